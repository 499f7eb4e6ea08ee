"""What the page shows at first."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.api.routing import Need, PlainCall, Routes
from chalicelib.contract.account import Panel

routes = Routes("Page")


@routes.get("/departments/{department_id}/panel", needs=Need.READ)
def read_panel(call: PlainCall) -> Panel:
    """Show connection, audience, settings, newest run, segments and the newest log entries in one answer.

    All of it comes from what is stored. Counts say when they were counted; `GET` of the connection or the audience asks
    Mailchimp for a newer one.
    """
    panel, access = call.services.panels.panel(call.department_id), call.access
    return replace(panel, access=access, connection=replace(panel.connection, access=access))
