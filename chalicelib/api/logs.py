"""The Sync Logs."""

from __future__ import annotations

from chalicelib.api.bodies import NoBody
from chalicelib.api.cursors import Listing
from chalicelib.api.queries import LogsQuery
from chalicelib.api.routing import Call, Need, Routes
from chalicelib.contract.common import Page
from chalicelib.contract.runs import LogEntryView
from chalicelib.domain.limits import LISTS
from chalicelib.domain.moments import moment_text

routes = Routes("Logs")
_COLUMNS = ("date", "direction", "type", "trigger", "status", "code", "message", "run_id", "counts")


@routes.get("/departments/{department_id}/logs", needs=Need.READ, csv_columns=_COLUMNS, allowance=LISTS)
def list_log_entries(call: Call[NoBody, LogsQuery]) -> Page[LogEntryView]:
    """List the Sync Logs, the newest first."""
    query = call.query
    days = tuple(moment_text(moment) if moment else None for moment in (query.since, query.until))
    filters = (query.direction, query.type, query.status, query.trigger, *days)
    listing = Listing("logs", call.department_id, filters)
    return listing.page(
        call.services.logs.list(
            call.department_id,
            direction=query.direction,
            type=query.type,
            status=query.status,
            trigger=query.trigger,
            since=query.since,
            until=query.until,
            limit=query.rows(is_csv=call.is_csv),
            after=listing.key_after(query.cursor),
        )
    )
