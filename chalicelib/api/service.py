"""What the service tells about itself."""

from __future__ import annotations

from typing import Any

from chalicelib import __version__
from chalicelib.api.routing import Need, PlainCall, Routes
from chalicelib.contract.common import Health

routes = Routes("Service")


@routes.get("/health", needs=Need.NOTHING)
def read_health(call: PlainCall) -> Health:
    """Tell whether the service is alive, and its version."""
    return Health(status="ok", version=__version__)


@routes.get("/openapi.json", needs=Need.NOTHING)
def read_api_description(call: PlainCall) -> dict[str, Any]:
    """Describe this API as an OpenAPI 3.1 document."""
    from chalicelib.api import api_description  # the description is of all routes, this one among them

    return api_description()
