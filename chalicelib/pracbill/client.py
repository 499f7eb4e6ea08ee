"""Every call to PracBill: the department, its customers, their changes, and consent written back.

The contract is docs/pracbill-api.yaml. Customers are the truth about who exists, so a list that breaks the contract
stops the run before anything is concluded from it; a single unusable record does not.
"""

from __future__ import annotations

import re
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, Unpack
from zoneinfo import ZoneInfo

from chalicelib.domain.customers import (
    Customer,
    RemovedCustomer,
    UnusableRecord,
    change_from_json,
    customer_from_json,
)
from chalicelib.domain.moments import parse_moment
from chalicelib.domain.texts import text_of
from chalicelib.errors import StopRun
from chalicelib.http_client.calls import Call, ClientOptions, HttpCalls, Server
from chalicelib.pracbill.answers import (
    MOST_CHANGES_A_CALL,
    BadRecord,
    ChangePage,
    ConsentChange,
    ConsentWritten,
    CustomerPage,
    Department,
)
from chalicelib.pracbill.errors import (
    CHANGES,
    CONSENT,
    CUSTOMERS,
    DEPARTMENT,
    ConsentRefused,
    ContractViolation,
    DepartmentUnknown,
    Endpoint,
    TokenRefused,
    explain_fault,
)
from chalicelib.pracbill.pages import ChangeOrder, IdOrder, next_mark, object_of, page_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PAGE_SIZE = 500
_DEPARTMENT = "/departments/{department}"
_CUSTOMERS = _DEPARTMENT + "/customers"
_TOKEN = re.compile(r"[\x21-\x7e]+")


class PracBillClient:
    """Calls to PracBill. Every method may raise TokenRefused, DepartmentUnknown, ContractViolation and RetryLater.

    `token` is asked for at each call, so that a rotated token works at once.
    """

    def __init__(self, base_url: str, token: Callable[[], str], **client_options: Unpack[ClientOptions]) -> None:
        server = Server(
            url=base_url,
            name="PracBill",
            authorization=lambda: f"Bearer {_checked(token())}",
            explain=explain_fault,
        )
        self._calls = HttpCalls(server, **client_options)

    def department(self, department_id: str) -> Department:
        """The department. A time zone that is missing or unknown becomes UTC, and `note` says so."""
        document = object_of(self._read(_call("GET", _DEPARTMENT, department_id), DEPARTMENT), DEPARTMENT)
        zone, note = _zone(document.get("timezone"))
        return Department(
            id=department_id,
            name=text_of(document.get("name")).strip(),
            timezone=zone,
            country=text_of(document.get("country")).strip(),
            currency=text_of(document.get("currency")).strip(),
            note=note,
        )

    def customers(self, department_id: str, *, after: str | None = None) -> Iterator[CustomerPage]:
        """All customers with ids after `after`, page by page, in an order that was checked."""
        order = IdOrder(after)
        while True:
            query = {"limit": str(PAGE_SIZE)} | ({} if after is None else {"after": after})
            document = self._read(_call("GET", _CUSTOMERS, department_id, query), CUSTOMERS)
            page, raw = page_parts(document, CUSTOMERS)
            records = _customers_in_order(raw, order)
            after = next_mark(page, "next_after", count=len(raw), limit=PAGE_SIZE, endpoint=CUSTOMERS)
            if after is not None:
                _check_last(after, raw, records, order)
            yield CustomerPage(records, after)
            if after is None:
                return

    def changes(self, department_id: str, *, since: str, cursor: str | None = None) -> Iterator[ChangePage]:
        """Customers that changed or went at `since` (RFC 3339) or later, from `cursor` on, in a checked order."""
        order, cursors = ChangeOrder(), {cursor}
        while True:
            query = {"updated_since": since, "limit": str(PAGE_SIZE)} | ({} if cursor is None else {"cursor": cursor})
            document = self._read(_call("GET", _CUSTOMERS, department_id, query), CHANGES)
            page, raw = page_parts(document, CHANGES)
            records = _changes_in_order(raw, order)
            cursor = next_mark(page, "next_cursor", count=len(raw), limit=PAGE_SIZE, endpoint=CHANGES)
            if cursor is not None and cursor in cursors:
                raise ContractViolation("sent a 'next_cursor' that it had sent before", CHANGES)
            yield ChangePage(records, cursor, _as_of(page))
            if cursor is None:
                return
            cursors.add(cursor)

    def write_consent(self, department_id: str, changes: Sequence[ConsentChange]) -> ConsentWritten:
        """Send PracBill consent that was given or withdrawn elsewhere; sending it again changes nothing.

        Raises ConsentRefused when PracBill takes none of the changes of a call, though only one may be the cause.
        """
        applied, unknown = 0, []
        for start in range(0, len(changes), MOST_CHANGES_A_CALL):
            part = changes[start : start + MOST_CHANGES_A_CALL]
            body = {"changes": [_change_body(change) for change in part]}
            call = _call("POST", _DEPARTMENT + "/marketing-consent", department_id, body=body)
            written = object_of(self._read(call, CONSENT), CONSENT)
            if not isinstance(written.get("applied"), int):
                # A page that is none of PracBill's answers must not count as a confirmation.
                raise ContractViolation("did not say how many consent changes it applied", CONSENT)
            applied += _count(written.get("applied"))
            unknown += _texts(written.get("unknown"))
        return ConsentWritten(applied, tuple(unknown))

    def close(self) -> None:
        """Give the connections back."""
        self._calls.close()

    def _read(self, call: Call, endpoint: Endpoint) -> Any:
        """The JSON of a success, None when it is none."""
        answer = self._calls.send(call)
        if answer.is_success:
            return answer.document
        if answer.status in (401, 403):
            raise TokenRefused(answer.status)
        if answer.status == 404:
            raise DepartmentUnknown()
        if endpoint is CONSENT and answer.status in (400, 422):
            raise ConsentRefused(answer.status)
        raise ContractViolation(f"refused a request (HTTP {answer.status})", endpoint)


def _call(
    method: str, template: str, department_id: str, query: Mapping[str, str] | None = None, *, body: object = None
) -> Call:
    return Call(method, template, {"department": department_id}, query or {}, body)


def _customers_in_order(raw: list[Any], order: IdOrder) -> tuple[Customer | BadRecord, ...]:
    records: list[Customer | BadRecord] = []
    for position, record in enumerate(raw):
        try:
            customer = customer_from_json(record)
        except UnusableRecord as unusable:
            records.append(BadRecord(position, str(unusable)))
            continue
        if not order.follows(customer.id):
            raise ContractViolation(f"sent customers out of order (record {position + 1} of a page)", CUSTOMERS)
        records.append(customer)
    return tuple(records)


def _changes_in_order(raw: list[Any], order: ChangeOrder) -> tuple[Customer | RemovedCustomer | BadRecord, ...]:
    records: list[Customer | RemovedCustomer | BadRecord] = []
    for position, record in enumerate(raw):
        try:
            change = change_from_json(record)
        except UnusableRecord as unusable:
            records.append(BadRecord(position, str(unusable)))
            continue
        if not order.follows(change.updated_at, change.id):
            raise ContractViolation(f"sent changes out of order (record {position + 1} of a page)", CHANGES)
        records.append(change)
    return tuple(records)


def _check_last(next_after: str, raw: list[Any], records: tuple[Customer | BadRecord, ...], order: IdOrder) -> None:
    """The next page must start after the last id of this one, even when that record is unusable."""
    last = raw[-1] if raw else None
    last_id = last.get("id") if isinstance(last, dict) else None
    if last_id is None or str(last_id) != next_after:
        raise ContractViolation("sent a 'next_after' that is not the last id of its page", CUSTOMERS)
    if isinstance(records[-1], BadRecord) and not order.follows(next_after):
        raise ContractViolation("sent a 'next_after' that goes back", CUSTOMERS)


def _as_of(page: Mapping[str, Any]) -> str:
    text = text_of(page.get("as_of")).strip()
    if parse_moment(text) is None:
        raise ContractViolation("sent changes without a time in 'as_of'", CHANGES)
    return text


def _change_body(change: ConsentChange) -> dict[str, str]:
    """A no is sent as of the next full second, a yes as of the last: no change of the same second may overtake it."""
    at = change.occurred_at.astimezone(UTC)
    if change.status == "unsubscribed" and at.microsecond:
        at += timedelta(seconds=1)
    return {
        "email": change.email,
        "status": change.status,
        "occurred_at": at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "source": change.source,
        "reason": change.reason,
    }


def _zone(value: object) -> tuple[str, str]:
    """The name of a time zone that exists here, and a note when it is not the one PracBill names."""
    name = text_of(value).strip()
    try:
        ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        return "UTC", (
            "PracBill gives no valid time zone for this department, so days are counted in UTC. Set the "
            "department's time zone in PracBill, for example Australia/Melbourne."
        )
    return name, ""


def _checked(token: str) -> str:
    """A token with a line end or the like in it must not reach the HTTP library, whose errors quote it."""
    if not _TOKEN.fullmatch(token.strip()):
        raise StopRun(
            "The token for PracBill is empty or has characters that cannot be sent. "
            "Check the secret that PRACBILL_TOKEN_SECRET names."
        )
    return token.strip()


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
