"""A department's customers, kept in the two orders in which they are listed.

Records never change: a change replaces the record, so a listing that is under way keeps what it has read. Each
record carries its JSON ready to send, which is what makes listing 50,000 customers a matter of joining bytes.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from infra.standins.pracbill.answers import encode
from infra.standins.pracbill.consent import ConsentChange, Effect, address_key, decide
from infra.standins.pracbill.moments import format_time, parse_time

Document = dict[str, Any]
IdKey = tuple[int, int, bytes, str]
ChangeKey = tuple[datetime, IdKey]

TEXT_FIELDS = ("email", "company_name", "first_name", "last_name", "phone", "inactive", "status", "customer_type")
ADDRESS_FIELDS = ("line1", "line2", "city", "state", "postcode", "country")
TIME_FIELDS = ("created_at", "last_invoice_at")
CUSTOMER_FIELDS = (*TEXT_FIELDS, "address", *TIME_FIELDS, "balance", "marketing_consent")

_TICK = timedelta(microseconds=1)


def id_key(customer_id: str) -> IdKey:
    """Sorts ids of digits first and by number, others by their bytes; of 7 and 007 the plain one comes first."""
    if not (customer_id.isascii() and customer_id.isdigit()):
        return (1, 0, customer_id.encode(), customer_id)
    number = int(customer_id)
    return (0, number, b"" if customer_id == str(number) else customer_id.encode(), customer_id)


@dataclass(frozen=True, slots=True)
class Record:
    """A customer, or what is left of a removed one.

    `document` is what the API shows. `consent_heard_at` is the time of the latest word about this customer's
    consent, even one that changed nothing; without it a late, older word could undo a repeated opt-out. `kind` says
    what is special about a seeded customer (see seeding.py).
    """

    id: str
    updated_at: datetime
    document: Document
    encoded: bytes
    consent_heard_at: datetime | None = None
    kind: str = ""

    def to_json(self) -> Document:
        """A copy of the document, for callers that may change it."""
        document: Document = json.loads(self.encoded)
        return document

    @property
    def deleted(self) -> bool:
        return self.document.get("deleted") is True

    @property
    def consent_status(self) -> str | None:
        status = (self.document.get("marketing_consent") or {}).get("status")
        return str(status) if status is not None else None

    @property
    def address(self) -> str:
        return "" if self.deleted else address_key(self.document.get("email"))


def make_record(
    fields: Mapping[str, Any], updated_at: datetime, *, heard_at: datetime | None = None, kind: str = ""
) -> Record:
    """`fields` is a customer without `updated_at`. `heard_at` defaults to the consent's own `changed_at`."""
    document = {**fields, "updated_at": format_time(updated_at)}
    if heard_at is None:
        told_at = (document.get("marketing_consent") or {}).get("changed_at")
        heard_at = parse_time(told_at) if told_at else None
    return Record(document["id"], updated_at, document, encode(document), heard_at, kind)


class Department:
    """Safe to use from several threads. `details` is what `GET /departments/{d}` shows."""

    def __init__(self, details: Mapping[str, Any], *, now: Callable[[], datetime]) -> None:
        self.details = dict(details)
        self._now = now
        self._lock = threading.RLock()
        self._records: dict[str, Record] = {}
        self._by_id: list[IdKey] = []
        self._by_change: list[ChangeKey] = []
        self._by_address: dict[str, set[str]] = defaultdict(set)
        self._latest = datetime.min.replace(tzinfo=now().tzinfo)
        self.revision = 0

    # reading

    def get(self, customer_id: str) -> Record | None:
        return self._records.get(customer_id)

    def records(self) -> list[Record]:
        """Customers by ascending id, removed ones not among them."""
        with self._lock:
            return [self._records[key[3]] for key in self._by_id]

    def everything(self) -> list[Record]:
        """Customers and removed ones, by ascending (updated_at, id)."""
        with self._lock:
            return [self._records[key[3]] for _, key in self._by_change]

    def page_after(self, customer_id: str | None, limit: int) -> list[Record]:
        """At most `limit` customers with ids above `customer_id`, which need not exist."""
        with self._lock:
            start = bisect_right(self._by_id, id_key(customer_id)) if customer_id is not None else 0
            return [self._records[key[3]] for key in self._by_id[start : start + limit]]

    def changes_after(
        self, position: tuple[datetime, str] | None, *, since: datetime, until: datetime, limit: int
    ) -> list[Record]:
        """At most `limit` customers, removed ones among them, changed from `since` up to and including `until`."""
        with self._lock:
            if position is None:
                start = bisect_left(self._by_change, since, key=lambda entry: entry[0])
            else:
                start = bisect_right(self._by_change, (position[0], id_key(position[1])))
            entries = self._by_change[start : start + limit]
            return [self._records[key[3]] for changed_at, key in entries if changed_at <= until]

    def close_interval(self) -> datetime:
        """A time such that every change so far is at or before it and every later one after it."""
        with self._lock:
            self._latest = max(self._now(), self._latest)
            return self._latest

    # changing

    def upsert(
        self,
        customer_id: str,
        fields: Mapping[str, Any],
        *,
        unset: Iterable[str] = (),
        touch: bool = False,
        as_is: bool = False,
    ) -> Record:
        """Create a customer or change the given fields, leaving the others; parts of address and consent merge too.

        `unset` names fields to leave out altogether. Nothing moves when nothing differs, unless `touch` asks for
        the save without a change that real systems know. `as_is` takes values that break the contract, as old data
        does: dates and numbers in other forms. Raises ValueError for what is not a customer's field.
        """
        if not as_is:
            check_fields(customer_id, fields)
        with self._lock:
            old = self._live(customer_id)
            document = {"id": customer_id, **_without_time(old.document if old else {})}
            for name, value in fields.items():
                document[name] = _merged(document.get(name), value)
            for name in unset:
                document.pop(name, None)
            if old and not touch and document == _without_time(old.document):
                return old
            same_consent = old is not None and "marketing_consent" not in fields and "marketing_consent" not in unset
            heard_at = old.consent_heard_at if old and same_consent else None
            return self._put(make_record(document, self._stamp(), heard_at=heard_at, kind=old.kind if old else ""))

    def remove(self, customer_id: str) -> bool:
        """Leave only `{id, deleted, updated_at}` of a customer; False when there is none."""
        with self._lock:
            if self._live(customer_id) is None:
                return False
            self._put(make_record({"id": customer_id, "deleted": True}, self._stamp(), kind="removed"))
            return True

    def set_consent(self, customer_id: str, status: str | None, *, changed_at: datetime | None = None) -> Record:
        """What staff do in PracBill itself: their word is taken as it is, whatever was there."""
        moment = format_time(changed_at or self._now())
        return self.upsert(customer_id, {"marketing_consent": {"status": status, "changed_at": moment}})

    def add_invoice(self, customer_id: str, amount: str, *, issued_at: datetime | None = None) -> Record:
        """Raise the balance and, unless a later invoice is known, move `last_invoice_at`. KeyError: no customer."""
        with self._lock:
            document = self._require(customer_id).document
            issued = format_time(issued_at or self._now())
            known = document.get("last_invoice_at")
            if known and parse_time(known) > parse_time(issued):
                issued = known
            balance = _decimal(document.get("balance")) + Decimal(amount)
            return self.upsert(customer_id, {"last_invoice_at": issued, "balance": f"{balance:.2f}"}, touch=True)

    def add_payment(self, customer_id: str, amount: str) -> Record:
        """Lower the balance. Raises KeyError when there is no such customer."""
        with self._lock:
            balance = _decimal(self._require(customer_id).document.get("balance")) - Decimal(amount)
            return self.upsert(customer_id, {"balance": f"{balance:.2f}"}, touch=True)

    def apply_consent(self, change: ConsentChange) -> list[tuple[str, Effect]]:
        """Tell every customer with that address; the effect on each. Empty when nobody has the address."""
        with self._lock:
            ids = sorted(self._by_address.get(address_key(change.email), ()), key=id_key)
            return [(customer_id, self._apply(self._records[customer_id], change)) for customer_id in ids]

    def load(self, records: Iterable[Record]) -> None:
        """Put many records at once, times as they stand. They must be new to the department."""
        with self._lock:
            for record in records:
                self._index(record)
                self._by_change.append((record.updated_at, id_key(record.id)))
                if not record.deleted:
                    self._by_id.append(id_key(record.id))
            self._by_id.sort()
            self._by_change.sort()
            if self._by_change:
                self._latest = max(self._latest, self._by_change[-1][0])
            self.revision += 1

    def add_bulk(self, drafts: Iterable[tuple[Document, str]]) -> int:
        """Add new customers (document and kind) as an import does: all with the one `updated_at` of the import."""
        with self._lock:
            moment = self._stamp()
            records = [make_record(document, moment, kind=kind) for document, kind in drafts]
            self.load(records)
            return len(records)

    def next_number(self) -> int:
        """The lowest number above every id of digits ever used here."""
        with self._lock:
            return 1 + max((key[1] for _, key in self._by_change if key[0] == 0), default=0)

    def _apply(self, record: Record, change: ConsentChange) -> Effect:
        effect = decide(status=record.consent_status, heard_at=record.consent_heard_at, change=change)
        heard_at = max(change.occurred_at, record.consent_heard_at or change.occurred_at)
        if effect is Effect.CHANGED:
            consent = {"status": change.status, "changed_at": format_time(change.occurred_at)}
            document = {**_without_time(record.document), "marketing_consent": consent}
            self._put(make_record(document, self._stamp(), heard_at=heard_at, kind=record.kind))
        elif effect is Effect.UNCHANGED and heard_at != record.consent_heard_at:
            # Nothing a reader could see differs, so updated_at stays where it is.
            self._records[record.id] = replace(record, consent_heard_at=heard_at)
            self.revision += 1
        return effect

    def _put(self, record: Record) -> Record:
        key = id_key(record.id)
        old = self._records.get(record.id)
        if old is not None:
            _discard(self._by_change, (old.updated_at, key))
            self._by_address[old.address].discard(record.id)
        if record.deleted:
            _discard(self._by_id, key)
        elif old is None or old.deleted:
            insort(self._by_id, key)
        insort(self._by_change, (record.updated_at, key))
        self._index(record)
        self.revision += 1
        return record

    def _index(self, record: Record) -> None:
        self._records[record.id] = record
        if record.address:
            self._by_address[record.address].add(record.id)

    def _stamp(self) -> datetime:
        """The time of a change: now, but always later than the last one, whatever the clock does."""
        self._latest = max(self._now(), self._latest + _TICK)
        return self._latest

    def _live(self, customer_id: str) -> Record | None:
        record = self._records.get(customer_id)
        return None if record is None or record.deleted else record

    def _require(self, customer_id: str) -> Record:
        record = self._live(customer_id)
        if record is None:
            raise KeyError(customer_id)
        return record


def check_fields(customer_id: str, fields: Mapping[str, Any]) -> None:
    """Raises ValueError for an unusable id, an unknown field, or a time or text that the API could not show."""
    if not customer_id or len(customer_id) > 200:
        raise ValueError("id must have 1 to 200 characters")
    for problem in _field_problems(fields):
        raise ValueError(problem)
    encode([customer_id, dict(fields)])


def _field_problems(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, value in fields.items():
        if name not in CUSTOMER_FIELDS:
            yield f"{name} is not a field of a customer"
        elif name == "address":
            yield from _part_problems(name, value, ADDRESS_FIELDS)
        elif name == "marketing_consent":
            yield from _part_problems(name, value, ("status", "changed_at"))
            yield from _consent_problems(value or {})
        elif value is not None and not isinstance(value, str):
            yield f"{name} must be text or null"
        elif value is not None and name in TIME_FIELDS:
            parse_time(value)


def _part_problems(name: str, value: object, parts: tuple[str, ...]) -> Iterator[str]:
    if value is None:
        return
    if not isinstance(value, Mapping):
        yield f"{name} must be an object or null"
        return
    yield from (f"{part} is not a part of {name}" for part in value if part not in parts)
    yield from (f"{name}.{part} must be text or null" for part, v in value.items() if not isinstance(v, str | None))


def _consent_problems(value: Mapping[str, Any]) -> Iterator[str]:
    if value.get("status") not in ("subscribed", "unsubscribed", None):
        yield "marketing_consent.status must be subscribed, unsubscribed or null"
    if value.get("changed_at") is not None:
        parse_time(value["changed_at"])


def _merged(old: object, new: object) -> object:
    return {**old, **new} if isinstance(old, dict) and isinstance(new, Mapping) else new


def _without_time(document: Mapping[str, Any]) -> Document:
    return {name: value for name, value in document.items() if name != "updated_at"}


def _decimal(text: str | None) -> Decimal:
    try:
        return Decimal(text or "0")
    except InvalidOperation:
        return Decimal(0)


def _discard(ordered: list[Any], entry: object) -> None:
    """Take `entry`, which must be there, out of a sorted list."""
    del ordered[bisect_left(ordered, entry)]
