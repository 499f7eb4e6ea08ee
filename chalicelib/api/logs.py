"""The Sync Logs."""

from __future__ import annotations

from dataclasses import astuple
from datetime import datetime

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
    query, wanted = call.query, call.query.to_filter()
    filters = tuple(moment_text(one) if isinstance(one, datetime) else one for one in astuple(wanted))
    listing = Listing("logs", call.department_id, filters)
    limit, after = query.rows(is_csv=call.is_csv), listing.key_after(query.cursor)
    return listing.page(call.services.logs.list(call.department_id, wanted, limit=limit, after=after))
