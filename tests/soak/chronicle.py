"""What truly happened in a history, put down as it happens: the oracle's source beside the servers' present state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tests.soak.addresses import canonical


@dataclass(frozen=True, slots=True)
class Event:
    """Somebody did something to an address in an audience. `was` and `became` are statuses, "" for not there."""

    at: datetime
    who: str  # product, person, colleague, machine
    what: str
    address: str
    audience_id: str
    was: str = ""
    became: str = ""
    contact_id: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A customer's consent as PracBill has it at some moment."""

    customer_id: str
    address: str
    status: str | None
    changed_at: datetime | None
    since: datetime  # when this consent came to be in the record
    is_told: bool = False  # we told PracBill of it


@dataclass
class Chronicle:
    events: list[Event] = field(default_factory=list)
    records: list[tuple[datetime, dict[str, Record]]] = field(default_factory=list)
    selected: list[tuple[datetime, str]] = field(default_factory=list)

    def customers_at(self, moment: datetime) -> dict[str, Record]:
        found: dict[str, Record] = {}
        for at, records in self.records:
            if at > moment:
                break
            found = records
        return found

    def note_customers(self, at: datetime, documents: list[dict[str, Any]], *, is_told: bool) -> None:
        """PracBill's customers after a change; `is_told` when it was ours, by telling of a consent."""
        before = self.records[-1][1] if self.records else {}
        records = {}
        for document in documents:
            record = _record_of(document, at, is_told=is_told)
            known = before.get(record.customer_id)
            if known and (known.status, known.changed_at) == (record.status, record.changed_at):
                record = replace(record, since=known.since, is_told=known.is_told)
            records[record.customer_id] = record
        if records != before:
            self.records.append((at, records))

    def audience_at(self, moment: datetime) -> str:
        found = ""
        for at, audience_id in self.selected:
            if at > moment:
                break
            found = audience_id
        return found


def _record_of(document: Mapping[str, Any], at: datetime, *, is_told: bool) -> Record:
    consent = document.get("marketing_consent") or {}
    said = consent.get("changed_at")
    return Record(
        document["id"],
        canonical(document.get("email") or ""),
        consent.get("status"),
        datetime.fromisoformat(said) if said else None,
        at,
        is_told,
    )
