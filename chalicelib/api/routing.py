"""How routes are declared. One declaration serves Chalice, the gate and the API description alike.

A handler's signature is the contract: `call: Call[SomeBody, SomeQuery]` says what it is asked with, the return type
what it answers. So none of the three readers can tell another story than the code.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Required, TypedDict, TypeVar, Unpack, get_type_hints
from urllib.parse import unquote

from chalice.app import Blueprint, Request, Response

from chalicelib.api.access import Caller, current_caller
from chalicelib.api.answers import File, answer, csv_answer, file_response, wants_csv
from chalicelib.api.bodies import Body, NoBody, read_body
from chalicelib.api.faults import CUSTOMER_ID_WORDS, IDENTIFIER_WORDS
from chalicelib.api.problems import problem_for
from chalicelib.api.queries import NoQuery, PageQuery, Query, read_query
from chalicelib.contract.common import Access, Page
from chalicelib.contract.services import Services
from chalicelib.domain.limits import Allowance
from chalicelib.errors import FieldError, bad_input

BodyT = TypeVar("BodyT", bound=Body)
QueryT = TypeVar("QueryT", bound=Query)
Handler = TypeVar("Handler", bound=Callable[[Any], object])

DEPARTMENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")
_OUR_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST_CUSTOMER_ID = 200
_PARAMETER = re.compile(r"{(\w+)}")


class Need(StrEnum):
    """What a caller must bring for a route to open."""

    NOTHING = "nothing"
    TOKEN = "token"  # noqa: S105 - a word, no secret
    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Call(Generic[BodyT, QueryT]):
    """A request that passed the gate, with everything in it read and checked."""

    caller: Caller
    path: Mapping[str, str]
    query: QueryT
    body: BodyT
    joined: Callable[[], Services]
    is_csv: bool = False  # the caller asked for the list as CSV
    key: str = ""  # the request's Idempotency-Key, where the route takes one

    @property
    def services(self) -> Services:
        """The rest of the service, built when it is first needed: liveness must not hang on a missing setting."""
        return self.joined()

    @property
    def department_id(self) -> str:
        return self.path["department_id"]

    @property
    def access(self) -> Access:
        """What the caller may do in the department of the path; the gate let nobody in without."""
        return self.caller.access(self.department_id) or "read"

    @property
    def by(self) -> str:
        """Who asked, for logs and the ledger."""
        return self.caller.subject


PlainCall = Call[NoBody, NoQuery]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route as it was declared."""

    method: str
    path: str
    tag: str
    handler: Callable[[Any], object]
    body: type[Body]
    query: type[Query]
    answers: Any  # the handler's return type
    needs: Need
    status: int = 200
    cache_seconds: int = 0  # how long the caller's browser may keep the answer
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)  # in place of the gate's, on a good answer
    takes_key: bool = False  # an Idempotency-Key is respected
    csv_columns: tuple[str, ...] = ()  # the members of an item that its list shows as CSV; none: JSON only
    allowance: Allowance | None = None  # how often it may be called, where a call is expensive

    @property
    def parameters(self) -> list[str]:
        """The names in its path, in order."""
        return _PARAMETER.findall(self.path)


class RouteOptions(TypedDict, total=False):
    """What a route says of itself beside its path; Endpoint tells what each means."""

    needs: Required[Need]
    status: int
    cache_seconds: int
    content_type: str
    headers: Mapping[str, str]
    takes_key: bool
    csv_columns: tuple[str, ...]
    allowance: Allowance | None


class Routes:
    """The routes of one part of the API."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.endpoints: list[Endpoint] = []

    def get(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Handler], Handler]:
        return self._declare("GET", path, options)

    def put(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Handler], Handler]:
        return self._declare("PUT", path, options)

    def post(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Handler], Handler]:
        return self._declare("POST", path, options)

    def delete(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Handler], Handler]:
        return self._declare("DELETE", path, options)

    def blueprint(self, services: Callable[[], Services]) -> Blueprint:
        """These routes for one Chalice application.

        Made anew for each: a Chalice blueprint uses up its own registrations and cannot be registered twice.
        """
        blueprint = Blueprint(__name__)
        for endpoint in self.endpoints:
            view = _view(endpoint, lambda: blueprint.current_request, services)
            blueprint.route(endpoint.path, methods=[endpoint.method])(view)
        return blueprint

    def _declare(self, method: str, path: str, options: RouteOptions) -> Callable[[Handler], Handler]:
        if (options["needs"] in (Need.READ, Need.WRITE)) != ("{department_id}" in path):
            raise ValueError(f"{method} {path}: read and write are rights in a department of the path, and only there")

        def declare(handler: Handler) -> Handler:
            hints = get_type_hints(handler)
            body, query = hints["call"].__args__
            self.endpoints.append(Endpoint(method, path, self.tag, handler, body, query, hints["return"], **options))
            return handler

        return declare


def request_id(request: Request | None) -> str:
    """What names a request in logs and problem answers: API Gateway's id, or Lambda's."""
    if request is None:
        return "unknown"
    known = request.context.get("requestId") or getattr(request.lambda_context, "aws_request_id", None)
    return str(known or "unknown")


def department_of(raw: Mapping[str, str]) -> str:
    """The department a path names, checked. Raises RefuseRequest (400)."""
    return checked_department(raw["department_id"])


def checked_department(department_id: str) -> str:
    """A department id that is one by its form. Raises RefuseRequest (400)."""
    if not DEPARTMENT_ID.fullmatch(department_id):
        raise bad_input(
            FieldError(
                "department_id",
                "Use 1 to 64 letters, digits, `_`, `.` or `-`, and begin with a letter or digit.",
                "bad_form",
            )
        )
    return department_id


def _view(
    endpoint: Endpoint, current_request: Callable[[], Request], services: Callable[[], Services]
) -> Callable[..., Response]:
    """What Chalice calls for a route: read the request, call the handler, write the answer, or the problem."""

    @functools.wraps(endpoint.handler)
    def view(**_: str) -> Response:
        request = current_request()
        try:
            call = _call(endpoint, request, services)
            if endpoint.allowance is not None:
                call.services.limits.count(call.department_id, endpoint.allowance, by=call.by)
            answered = endpoint.handler(call)
            if isinstance(answered, File):
                return file_response(answered, content_type=endpoint.content_type)
            if call.is_csv and isinstance(answered, Page):
                name = endpoint.path.rsplit("/", 1)[1]
                # A page that goes on is put behind the one before it.
                return csv_answer(answered, endpoint.csv_columns, name=name, with_names=not _is_further(call.query))
            return answer(answered, status=endpoint.status)
        except Exception as error:  # noqa: BLE001 - what a route cannot answer becomes a problem, whatever it is
            return problem_for(error, request_id=request_id(request))

    return view


def _call(endpoint: Endpoint, request: Request, services: Callable[[], Services]) -> Call[Body, Query]:
    given = request.query_params
    query = {} if given is None else {name: given.getlist(name) for name in given}
    return Call(
        caller=current_caller.get(),
        path={name: _path_value(name, (request.uri_params or {})[name]) for name in endpoint.parameters},
        query=read_query(query, endpoint.query),
        # The body of a GET or DELETE has no meaning (RFC 9110, 9.3.1) and is not looked at.
        body=read_body(_raw_body(request) if endpoint.method in ("POST", "PUT") else b"", endpoint.body),
        joined=services,
        is_csv=bool(endpoint.csv_columns) and wants_csv(request.headers.get("accept")),
        key=_key(request) if endpoint.takes_key else "",
    )


def _key(request: Request) -> str:
    """The Idempotency-Key, empty without one. Raises RefuseRequest (400)."""
    key = str(request.headers.get("idempotency-key") or "")
    if key and not KEY.fullmatch(key):
        raise bad_input(FieldError("Idempotency-Key", "Use 1 to 100 letters, digits, `_` or `-`.", "bad_form"))
    return key


def _is_further(query: Query) -> bool:
    return isinstance(query, PageQuery) and query.cursor is not None


def _raw_body(request: Request) -> bytes:
    try:
        raw = request.raw_body
    except ValueError as error:  # not base64 where the gateway says so, or a lone half of a surrogate pair
        raise bad_input(FieldError("body", "The body cannot be read.", "not_json")) from error
    return raw if isinstance(raw, bytes) else raw.encode()


def _path_value(name: str, raw: str) -> str:
    """A value from the path, decoded and of the right form. Raises RefuseRequest (400).

    API Gateway's REST APIs hand path parameters over as the URL has them, percent-encoded.
    """
    if name == "department_id":
        return checked_department(raw)
    try:
        value = unquote(raw, errors="strict")
    except UnicodeDecodeError as error:
        raise bad_input(FieldError(name, "Send valid UTF-8.", "bad_form")) from error
    if name == "customer_id":
        # PracBill's ids are its own; only what could never be one is refused.
        words = CUSTOMER_ID_WORDS
        fits = 0 < len(value) <= _LONGEST_CUSTOMER_ID and not any(unicodedata.category(c)[0] == "C" for c in value)
    else:
        words = IDENTIFIER_WORDS
        fits = _OUR_ID.fullmatch(value) is not None
    if not fits:
        raise bad_input(FieldError(name, words, "bad_form"))
    return value
