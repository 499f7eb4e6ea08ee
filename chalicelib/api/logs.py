"""The Sync Logs."""

from __future__ import annotations

from chalicelib.api.bodies import NoBody
from chalicelib.api.cursors import Listing
from chalicelib.api.queries import LogsQuery
from chalicelib.api.routing import Call, Need, Routes
from chalicelib.contract.views import LogEntryView, Page

routes = Routes("Logs")


@routes.get("/departments/{department_id}/logs", needs=Need.READ)
def list_log_entries(call: Call[NoBody, LogsQuery]) -> Page[LogEntryView]:
    """List the Sync Logs, the newest first."""
    query = call.query
    listing = Listing("logs", call.department_id, (query.direction, query.type, query.status, query.trigger))
    return listing.page(
        call.services.logs.list(
            call.department_id,
            direction=query.direction,
            type=query.type,
            status=query.status,
            trigger=query.trigger,
            limit=query.limit,
            after=listing.key_after(query.cursor),
        )
    )
