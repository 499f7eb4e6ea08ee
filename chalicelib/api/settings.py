"""What a department may choose about its sync."""

from __future__ import annotations

from chalicelib.api.bodies import SettingsBody
from chalicelib.api.queries import NoQuery
from chalicelib.api.routing import Call, Need, PlainCall, Routes
from chalicelib.contract.account import SettingsView

routes = Routes("Settings")


@routes.get("/departments/{department_id}/settings", needs=Need.READ)
def read_settings(call: PlainCall) -> SettingsView:
    """Show the department's settings."""
    return call.services.settings.get(call.department_id)


@routes.put("/departments/{department_id}/settings", needs=Need.WRITE)
def change_settings(call: Call[SettingsBody, NoQuery]) -> SettingsView:
    """Change the settings that are sent; the others stay as they are."""
    return call.services.settings.put(call.department_id, call.body.to_changes(), by=call.by)
