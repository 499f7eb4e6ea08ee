"""The one way in: every HTTP request passes this middleware before any view runs.

It decides about access, answers what no view should have to (preflights, unknown paths), puts Chalice's own errors
into our form, and sees to the headers that every answer carries. Closed by default: a route that was not declared with
a need is refused, whoever asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from chalice.app import Request, Response

from chalicelib.api.access import Caller, TokenVerifier, current_caller, forbidden
from chalicelib.api.problems import problem, problem_for, problem_from_chalice
from chalicelib.api.routing import Endpoint, Need, department_of, request_id
from chalicelib.errors import not_found

# Where API Gateway sends what fits no other route, so that it gets a problem answer of ours and not the gateway's own.
ANY_OTHER_PATH = "/{proxy+}"

_SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key",
    "Access-Control-Max-Age": "7200",
}


@dataclass(frozen=True, slots=True)
class Gate:
    """The middleware. `routes` are all of Chalice's (path, method) pairs, `declared` those that said what they need."""

    routes: Callable[[], Iterable[tuple[str, str]]]
    declared: Mapping[tuple[str, str], Endpoint]
    verifier: Callable[[], TokenVerifier]
    origins: Callable[[], tuple[str, ...]]

    def __call__(self, request: Request | None, get_response: Callable[[Request], Response]) -> Response:
        try:
            response = self._answer(request, get_response)
        except Exception as error:  # noqa: BLE001 - the last net: whatever happens, the answer is a problem of ours
            response = problem_for(error, request_id=request_id(request))
        response.headers.update(_SECURITY_HEADERS)
        response.headers.update(self._cors_headers(request))
        response.headers.update(self._cache_headers(request, response))
        response.headers.update(self._own_headers(request, response))
        return response

    def _answer(self, request: Request | None, get_response: Callable[[Request], Response]) -> Response:
        if request is None:
            raise not_found("There is nothing here.")
        methods = self._methods(request)
        if request.method == "OPTIONS":
            return _preflight(methods)
        if request.path == ANY_OTHER_PATH or request.method not in methods:
            return _no_such_route(methods)
        known = current_caller.set(self._admit(request))
        try:
            return problem_from_chalice(get_response(request), request_id=request_id(request))
        finally:
            current_caller.reset(known)

    def _admit(self, request: Request) -> Caller:
        """The caller, if they may use the route: 401, then 400 for an impossible department, then 403."""
        endpoint = self.declared.get((request.path, request.method))
        if endpoint is not None and endpoint.needs is Need.NOTHING:
            return Caller()
        caller = self.verifier().caller(request.headers.get("authorization"))
        if endpoint is None:
            raise forbidden("This route is closed because it names no access right.")
        if endpoint.needs is Need.TOKEN:
            return caller
        access = caller.access(department_of(request.uri_params or {}))
        if access is None:
            raise forbidden("You have no access to Mailchimp in this department.")
        if endpoint.needs is Need.WRITE and access != "write":
            raise forbidden("This needs write access to Mailchimp in this department.")
        return caller

    def _methods(self, request: Request) -> list[str]:
        """What the request's path can be asked with."""
        if request.path != ANY_OTHER_PATH:
            return sorted({method for path, method in self.routes() if path == request.path} - {"OPTIONS"})
        # The gateway found no route for path and method together; perhaps there is one for the path alone.
        asked = str(request.to_original_event().get("path") or "")
        return sorted({method for path, method in self.declared if _fits(path, asked)})

    def _cache_headers(self, request: Request | None, response: Response) -> dict[str, str]:
        """For an answer that its route lets browsers keep: it is the caller's own, so never for another token."""
        endpoint = self.declared.get((request.path, request.method)) if request is not None else None
        if endpoint is None or not endpoint.cache_seconds or response.status_code >= 400:
            return {}
        return {"Cache-Control": f"private, max-age={endpoint.cache_seconds}", "Vary": "Origin, Authorization"}

    def _own_headers(self, request: Request | None, response: Response) -> Mapping[str, str]:
        """What a route says of its good answers in place of the headers above: the page's file may be kept."""
        endpoint = None if request is None else self.declared.get((request.path, request.method))
        return endpoint.headers if endpoint is not None and response.status_code < 400 else {}

    def _cors_headers(self, request: Request | None) -> dict[str, str]:
        """What lets pages of the allowed origins, and of no other, read the answer."""
        headers = {"Vary": "Origin"}
        origin = None if request is None else request.headers.get("origin")
        if origin is not None and origin in self.origins():
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = "Content-Disposition, Next-Cursor, Retry-After"
        return headers


def _preflight(methods: list[str]) -> Response:
    """The answer to a browser that asks before it asks; without an allowed origin beside it, it allows nothing."""
    allowed = ", ".join([*methods, "OPTIONS"])
    headers = {"Allow": allowed, "Access-Control-Allow-Methods": allowed, **_PREFLIGHT_HEADERS}
    return Response(body="", status_code=204, headers=dict(headers))


def _no_such_route(methods: list[str]) -> Response:
    if not methods:
        raise not_found("There is nothing here. GET /openapi.json describes what there is.")
    return problem(
        status=405,
        code="method-not-allowed",
        title="Method not allowed",
        detail="This path cannot be used with this method.",
        headers={"Allow": ", ".join([*methods, "OPTIONS"])},
    )


def _fits(path: str, asked: str) -> bool:
    pattern = "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"({\w+})", path))
    return re.fullmatch(pattern, asked.rstrip("/")) is not None
