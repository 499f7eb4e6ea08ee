"""The HTTP API. `register(app)` gives a Chalice application all of its routes and the gate in front of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chalice.app import Chalice

from chalicelib import __version__
from chalicelib.api import audience, connection, customers, logs, openapi, page, panel, segments, service, syncs
from chalicelib.api import settings as department_settings
from chalicelib.api.access import TokenVerifier, token_verifier
from chalicelib.api.gate import ANY_OTHER_PATH, Gate
from chalicelib.config import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.api.routing import Endpoint
    from chalicelib.contract.services import Services

PARTS = (
    service.routes,
    panel.routes,
    connection.routes,
    audience.routes,
    department_settings.routes,
    segments.routes,
    syncs.routes,
    logs.routes,
    customers.routes,
    page.routes,
)


def endpoints() -> Iterator[Endpoint]:
    """Every declared route."""
    for part in PARTS:
        yield from part.endpoints


@lru_cache(maxsize=1)
def api_description() -> dict[str, Any]:
    """The OpenAPI document of the routes."""
    return openapi.describe(tuple(endpoints()), version=__version__)


def allowed_origins() -> tuple[str, ...]:
    """The origins of the environment."""
    return settings().allowed_origins


def register(
    app: Chalice,
    *,
    services: Callable[[], Services],
    verifier: Callable[[], TokenVerifier] = token_verifier,
    origins: Callable[[], tuple[str, ...]] = allowed_origins,
) -> None:
    """Give an application the API.

    `services`, `verifier` and `origins` are called during a request, never here: the application is imported on build
    machines, too, where nothing they need is set.
    """
    for part in PARTS:
        app.register_blueprint(part.blueprint(services))
    for path in [path for path in app.routes if any(endpoint.path == path for endpoint in endpoints())]:
        # Chalice's own CORS support knows one origin only and answers preflights in the gateway, where ours are not
        # known. So preflights come to the gate as ordinary requests.
        app.route(path, methods=["OPTIONS"])(answered_by_the_gate)
    app.route(ANY_OTHER_PATH, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])(answered_by_the_gate)
    app.register_middleware(
        Gate(
            routes=lambda: ((path, method) for path, methods in app.routes.items() for method in methods),
            declared={(endpoint.path, endpoint.method): endpoint for endpoint in endpoints()},
            verifier=verifier,
            origins=origins,
        ),
        "http",
    )


def answered_by_the_gate(**_: str) -> None:
    """Answered by the gate.

    The route only makes API Gateway pass such requests on; the gate has the answer before this could run.
    """
    raise AssertionError("the gate is missing")
