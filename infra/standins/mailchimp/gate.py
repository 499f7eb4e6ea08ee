"""The way of one API request: who calls, a free connection, a fault on order, the call itself, the answer."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

from . import problems
from .accounts import READ_ONLY_ROLES, Caller, authenticate
from .calls import Answer, Call
from .faults import Fault, Faults
from .interjections import Interjections, carry_out
from .problems import GatewayTimeout, Problem
from .routes import Route, find_route, member_count
from .traffic import Entry, Journal, Latency, Slots, Stopwatch
from .world import World

_HTML = b"<html><head><title>%d</title></head><body><h1>%d</h1></body></html>"
_SCHEMA = "https://us1.api.mailchimp.com/schema/3.0/Definitions/ProblemDetailDocument.json"


@dataclass(frozen=True)
class Request:
    """An API request as it came; `path` is below /3.0, header names are in small letters."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    client_ip: str


@dataclass(frozen=True)
class Response:
    """What goes back. `dropped` means: nothing, the connection is closed."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    dropped: bool = False


DROPPED = Response(0, dropped=True)


@dataclass(frozen=True)
class _Plan:
    """A request whose route is known."""

    request: Request
    route: Route
    call: Call
    members: int


class Gate:
    """Answers API requests. Every wait ends early when `stopped` is set."""

    def __init__(self, world: World, *, latency: Latency, stopped: threading.Event) -> None:
        self.world = world
        self.latency = latency
        self.slots = Slots()
        self.journal = Journal()
        self.faults = Faults()
        self.interjections = Interjections()
        self._stopped = stopped

    def answer(self, request: Request) -> Response:
        """The whole way of one request; it is in the journal before the answer goes out."""
        watch = Stopwatch()
        try:
            with self.world.lock:
                caller = authenticate(request.headers.get("authorization"), self.world.keys, self.world.readings)
        except Problem as problem:
            return self._refused(request, "", problem, watch)
        if not self.slots.acquire(caller.user):
            return self._refused(
                request, caller.user, problems.too_many_requests(self.world.readings.retry_after), watch
            )
        try:
            return self._inside(request, caller, watch)
        finally:
            self.slots.release(caller.user)

    def _refused(self, request: Request, user: str, problem: Problem, watch: Stopwatch) -> Response:
        response = problem_response(problem)
        self._note(request, None, user, response, watch)
        return response

    def _inside(self, request: Request, caller: Caller, watch: Stopwatch) -> Response:
        try:
            plan = self._plan(request, caller)
        except Problem as problem:
            return self._refused(request, caller.user, problem, watch)
        fault = self.faults.take(plan.call.method, request.path, request.body.decode(errors="replace"))
        response = self._with_fault(plan, fault) if fault else self._timed(plan, 0.0)
        self._note(request, plan, caller.user, response, watch)
        return response

    def _plan(self, request: Request, caller: Caller) -> _Plan:
        """Find the route and read the body; raises what Mailchimp would answer before doing anything."""
        triggered = problems.TRIGGERED.get(request.headers.get("x-trigger-error", ""))
        if triggered:
            raise triggered()
        method = _method(request)
        route, path = find_route(method, request.path)
        if method != "GET" and caller.key.role in READ_ONLY_ROLES:
            raise problems.not_permitted()
        body = _read_json(request.body) if method in ("POST", "PUT", "PATCH") else None
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        call = Call(self.world, caller, method, path, query, body, request.client_ip)
        return _Plan(request, route, call, member_count(body) if route.bulk else 0)

    def _timed(self, plan: _Plan, extra: float) -> Response:
        """Half of the waiting comes before the work, half after: a client that gives up may find either outcome."""
        seconds = self.latency.seconds(bulk=plan.route.bulk, members=plan.members) + extra
        self._wait(seconds / 2)
        response = self._execute(plan)
        self._wait(seconds / 2)
        return response

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self._stopped.wait(seconds)

    def _execute(self, plan: _Plan) -> Response:
        acts = self.interjections.take(plan.call.method, plan.request.path)
        call = replace(plan.call, written=lambda: carry_out(acts, "written"))
        try:
            carry_out(acts, "before")
            if plan.route.locked:
                with self.world.lock:
                    answer = plan.route.handle(call)
            else:
                answer = plan.route.handle(call)
            carry_out(acts, "after")
        except Problem as problem:
            return problem_response(problem)
        except GatewayTimeout:
            self._wait(self.latency.run_limit)
            return html_response(502)
        return answer_response(answer)

    def _with_fault(self, plan: _Plan, fault: Fault) -> Response:
        if fault.kind == "delay":
            return self._timed(plan, fault.seconds)
        if fault.kind == "hold":
            self.faults.hold(fault, stopped=self._stopped)
            return self._timed(plan, 0.0)
        if fault.kind == "truncate":
            response = self._timed(plan, 0.0)
            return replace(response, body=response.body[: len(response.body) // 2])
        if fault.executes:
            self._execute(plan)
        if fault.kind == "hang":
            self._wait(fault.seconds)
        if fault.kind in ("hang", "drop"):
            return DROPPED
        return _fault_response(fault)

    def _note(self, request: Request, plan: _Plan | None, user: str, response: Response, watch: Stopwatch) -> None:
        route, path = _journal_route(request, plan)
        self.journal.add(
            Entry(
                at=watch.at,
                method=plan.call.method if plan else request.method,
                path=route,
                audience_id=path.get("list_id", ""),
                user=user,
                query=plan.call.query if plan else {},
                members=plan.members if plan else 0,
                status=response.status,
                title=response.title,
                seconds=watch.seconds,
                is_write=(plan.call.method if plan else request.method) != "GET",
            )
        )


def _journal_route(request: Request, plan: _Plan | None) -> tuple[str, Mapping[str, str]]:
    """The template and path values of a request, also of one that was refused at the door."""
    if plan:
        return plan.route.template, plan.call.path
    try:
        route, path = find_route(request.method, request.path)
    except Problem:
        return "(unknown)", {}
    return route.template, path


def _method(request: Request) -> str:
    """The method, or the one that X-HTTP-Method-Override names for a POST."""
    override = request.headers.get("x-http-method-override")
    if override is None:
        return request.method
    if request.method != "POST":
        raise problems.TRIGGERED["InvalidMethodOverride"]()
    return override.upper()


def _read_json(body: bytes) -> Any:
    """The body; an empty one counts as an empty object."""
    if not body.strip():
        return {}
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise problems.json_unreadable() from None


def answer_response(answer: Answer) -> Response:
    headers = {"X-Request-Id": str(uuid.uuid4()), **answer.headers}
    if answer.document is None:
        return Response(answer.status, b"", headers)
    headers["Content-Type"] = "application/json; charset=utf-8"
    return Response(answer.status, _encode(answer.document), headers)


def problem_response(problem: Problem) -> Response:
    """A problem document; the request id is also its `instance`."""
    request_id = str(uuid.uuid4())
    headers = {
        "Content-Type": "application/problem+json; charset=utf-8",
        "X-Request-Id": request_id,
        "Link": f'<{_SCHEMA}>; rel="describedBy"',
        **problem.headers,
    }
    return Response(problem.status, _encode(problem.document(request_id)), headers, problem.title)


def html_response(status: int) -> Response:
    """What the edge in front of the API answers."""
    return Response(status, _HTML % (status, status), {"Content-Type": "text/html"})


def _fault_response(fault: Fault) -> Response:
    if fault.body == "html":
        return html_response(fault.status)
    if fault.body == "empty":
        return Response(fault.status)
    usual = problems.usual_problem(fault.status)
    errors = [problems.FieldError(fault.field, fault.message)] if fault.message else []
    detail = fault.detail or usual.detail
    return problem_response(Problem(fault.status, fault.title or usual.title, detail, errors=errors))


def _encode(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
