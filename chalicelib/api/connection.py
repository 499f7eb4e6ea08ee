"""The connection of a department to a Mailchimp account."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.api.bodies import ConnectBody
from chalicelib.api.queries import NoQuery
from chalicelib.api.routing import Call, Need, PlainCall, Routes
from chalicelib.contract.account import ConnectionStatus
from chalicelib.errors import FieldError, KeyRejected, bad_input

routes = Routes("Connection")


@routes.get("/departments/{department_id}/connection", needs=Need.READ)
def read_connection(call: PlainCall) -> ConnectionStatus:
    """Show the connection's status: account, audience, last sync, active run, and what needs attention."""
    return replace(call.services.connections.status(call.department_id), access=call.access)


@routes.put("/departments/{department_id}/connection", needs=Need.WRITE)
def connect(call: Call[ConnectBody, NoQuery]) -> ConnectionStatus:
    """Connect the department with a Mailchimp API key, or give it a new one.

    The key is tried with Mailchimp first and then kept in Secrets Manager; it is never shown again. A key of another
    Mailchimp account than the connected one is refused with 409: disconnect first.
    """
    try:
        status = call.services.connections.connect(call.department_id, call.body.api_key, by=call.by)
    except KeyRejected as error:
        # Anywhere else a dead key is the connection's state; here it is what the caller has just typed.
        raise bad_input(
            FieldError("api_key", error.message, error.code), detail="Mailchimp refuses this key."
        ) from error
    return replace(status, access=call.access)


@routes.delete("/departments/{department_id}/connection", needs=Need.WRITE)
def disconnect(call: PlainCall) -> ConnectionStatus:
    """Disconnect the department. Works with a dead key, too.

    Removes our webhook and the stored key and stops the active run. The audience, its members, the segments, the
    consent ledger and the logs stay; the department can be connected again at once.
    """
    return replace(call.services.connections.disconnect(call.department_id, by=call.by), access=call.access)
