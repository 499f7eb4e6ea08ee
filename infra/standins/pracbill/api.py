"""PracBill's API (docs/pracbill-api.yaml): four calls over departments."""

from __future__ import annotations

import base64
import hmac
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from infra.standins.pracbill.answers import Answer, Refusal, Request, encode, ok, problem
from infra.standins.pracbill.consent import ConsentChange, Effect
from infra.standins.pracbill.department import Department, Record
from infra.standins.pracbill.moments import format_time, parse_time

MAX_PAGE = 500
MAX_CHANGES = 500
_JOURNAL_LENGTH = 100_000


@dataclass(frozen=True, slots=True)
class ReceivedChange:
    """A line of the journal: a consent change as PracBill was told it, and what became of it."""

    received_at: datetime
    department_id: str
    change: ConsentChange
    effect: Effect
    customer_ids: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "received_at": format_time(self.received_at),
            "department_id": self.department_id,
            "email": self.change.email,
            "status": self.change.status,
            "occurred_at": format_time(self.change.occurred_at),
            "source": self.change.source,
            "reason": self.change.reason,
            "effect": self.effect.value,
            "customer_ids": list(self.customer_ids),
        }

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> ReceivedChange:
        change = _change_from_json(line)
        received_at = parse_time(line["received_at"])
        return cls(received_at, line["department_id"], change, Effect(line["effect"]), tuple(line["customer_ids"]))


class BillingApi:
    """Answers requests below /departments. `token` is the one that callers must bear."""

    def __init__(self, token: str, departments: Mapping[str, Department], *, now: Callable[[], datetime]) -> None:
        self.journal: deque[ReceivedChange] = deque(maxlen=_JOURNAL_LENGTH)
        # Unlike the journal's length this never stops growing, so it tells when there is something new to keep.
        self.received_count = 0
        self._token = token.encode()
        self._departments = departments
        self._now = now

    def answer(self, request: Request) -> Answer:
        """Raises Refusal. Who is not let in learns nothing, so the token is looked at before anything else."""
        if not self._is_authorised(request):
            return problem(401, "A valid bearer token is needed.", headers={"WWW-Authenticate": "Bearer"})
        match request.method, request.segments:
            case "GET", ("departments", department_id):
                _check_parameters(request, ())
                return ok(self._department(department_id).details)
            case "GET", ("departments", department_id, "customers"):
                department = self._department(department_id)
                if "updated_since" in request.query:
                    return list_changes(department, request)
                return list_customers(department, request)
            case "POST", ("departments", department_id, "marketing-consent"):
                return self._write_consent(self._department(department_id), request)
            case _, ("departments", _) | ("departments", _, "customers" | "marketing-consent"):
                raise Refusal(405, "This resource does not know that method.")
        raise Refusal(404, "There is no such resource.")

    def _is_authorised(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token)

    def _department(self, department_id: str) -> Department:
        if department_id not in self._departments:
            raise Refusal(404, "There is no such department.")
        return self._departments[department_id]

    def _write_consent(self, department: Department, request: Request) -> Answer:
        changes = read_changes(request.json())
        unknown: dict[str, None] = {}
        applied = 0
        for change in changes:
            effects = department.apply_consent(change)
            self.received_count += 1
            self.journal.append(self._journal_line(department, change, effects))
            if effects:
                applied += 1
            else:
                unknown[change.email] = None
        return ok({"applied": applied, "unknown": list(unknown)})

    def _journal_line(
        self, department: Department, change: ConsentChange, effects: Sequence[tuple[str, Effect]]
    ) -> ReceivedChange:
        found = {effect for _, effect in effects}
        strongest = next((effect for effect in (Effect.CHANGED, Effect.STALE) if effect in found), Effect.UNCHANGED)
        effect = strongest if effects else Effect.UNKNOWN
        ids = tuple(customer_id for customer_id, _ in effects)
        return ReceivedChange(self._now(), str(department.details["id"]), change, effect, ids)


def list_customers(department: Department, request: Request) -> Answer:
    """All customers by ascending id. The position is the last id seen, so it holds whatever is changed meanwhile."""
    _check_parameters(request, ("limit", "after"))
    limit = _limit(request)
    # One more than asked for tells whether there is a next page, so that no list ends on an empty one.
    records = department.page_after(request.query.get("after") or None, limit + 1)
    page = records[:limit]
    return _page(page, {"next_after": page[-1].id if len(records) > limit else None})


def list_changes(department: Department, request: Request) -> Answer:
    """Customers changed since a time, by ascending (updated_at, id), up to the moment of the first page.

    That moment, `as_of`, travels in the cursor. A customer that changes while the list is read leaves it and stands
    in the next one, which begins at `as_of`; so the list ends, and no customer is lost or met twice.
    """
    _check_parameters(request, ("limit", "updated_since", "cursor"))
    limit = _limit(request)
    since = _time_parameter(request, "updated_since")
    position, until = None, department.close_interval()
    if request.query.get("cursor"):
        cursor = Cursor.decode(request.query["cursor"])
        if cursor.since != since:
            _refuse_parameter("cursor", "belongs to a list with another updated_since")
        position, until = (cursor.updated_at, cursor.customer_id), cursor.until
    records = department.changes_after(position, since=since, until=until, limit=limit + 1)
    page = records[:limit]
    following = Cursor(since, until, page[-1].updated_at, page[-1].id).encode() if len(records) > limit else None
    return _page(page, {"next_cursor": following, "as_of": format_time(until)})


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list of changes: the list (`since`, `until`) and the last customer of the page before."""

    since: datetime
    until: datetime
    updated_at: datetime
    customer_id: str

    def encode(self) -> str:
        times = [format_time(moment) for moment in (self.since, self.until, self.updated_at)]
        return base64.urlsafe_b64encode(encode([*times, self.customer_id])).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """Raises Refusal (400) for what `encode` never wrote."""
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            since, until, updated_at, customer_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            return cls(parse_time(since), parse_time(until), parse_time(updated_at), str(customer_id))
        except (ValueError, TypeError):
            _refuse_parameter("cursor", "is not one that this list has given")


def read_changes(body: object) -> list[ConsentChange]:
    """The changes of a request body. Raises Refusal (400) naming every fault; then none of them is applied."""
    if not isinstance(body, dict) or set(body) != {"changes"} or not isinstance(body["changes"], list):
        raise Refusal(400, 'The body must be an object {"changes": [...]}.')
    if len(body["changes"]) > MAX_CHANGES:
        raise Refusal(400, f"At most {MAX_CHANGES} changes are taken in one call.")
    errors = [error for index, entry in enumerate(body["changes"]) for error in _change_errors(index, entry)]
    if errors:
        raise Refusal(400, "Some changes cannot be read; none was applied.", errors=errors)
    return [_change_from_json(entry) for entry in body["changes"]]


def _change_from_json(entry: Mapping[str, Any]) -> ConsentChange:
    occurred_at = parse_time(entry["occurred_at"])
    return ConsentChange(entry["email"], entry["status"], occurred_at, entry.get("source"), entry.get("reason"))


def _change_errors(index: int, entry: object) -> list[tuple[str, str]]:
    place = f"changes[{index}]"
    if not isinstance(entry, dict):
        return [(place, "must be an object")]
    errors = []
    if not isinstance(entry.get("email"), str) or not entry["email"].strip():
        errors.append((f"{place}.email", "must be an address"))
    if entry.get("status") not in ("subscribed", "unsubscribed"):
        errors.append((f"{place}.status", "must be subscribed or unsubscribed"))
    try:
        parse_time(entry.get("occurred_at"))
    except ValueError as error:
        errors.append((f"{place}.occurred_at", f"is {error}"))
    texts = [name for name in ("source", "reason") if not isinstance(entry.get(name), str | None)]
    errors += [(f"{place}.{name}", "must be text") for name in texts]
    unknown = set(entry) - {"email", "status", "occurred_at", "source", "reason"}
    return errors + [(f"{place}.{name}", "is not known") for name in sorted(unknown)]


def _page(records: Sequence[Record], rest: Mapping[str, object]) -> Answer:
    customers = b",".join([record.encoded for record in records])
    return Answer(200, b'{"customers":[' + customers + b"]," + encode(rest)[1:])


def _check_parameters(request: Request, known: Sequence[str]) -> None:
    for name in request.query:
        if name not in known:
            _refuse_parameter(name, "is not known here")


def _limit(request: Request) -> int:
    text = request.query.get("limit", str(MAX_PAGE))
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MAX_PAGE):
        _refuse_parameter("limit", f"must be a number from 1 to {MAX_PAGE}")
    return int(text)


def _time_parameter(request: Request, name: str) -> datetime:
    try:
        return parse_time(request.query[name])
    except ValueError as error:
        _refuse_parameter(name, f"is {error}")


def _refuse_parameter(name: str, message: str) -> NoReturn:
    raise Refusal(400, f"The parameter {name} {message}.", errors=[(name, message)])
