"""Log entries, records and the consent ledger: written once, read newest first, the first two for a limited time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from itertools import islice
from typing import TypeVar

from pynamodb.expressions.condition import Condition

from chalicelib.domain.logs import LedgerEntry, LogEntry, Record
from chalicelib.domain.moments import moment_text
from chalicelib.store.aws import dynamodb
from chalicelib.store.batches import Item, put, write_all
from chalicelib.store.documents import from_document, to_document
from chalicelib.store.models import LedgerItem, LogItem

Value = TypeVar("Value")
Page = tuple[list[Value], str | None]

_PAGE = 100


class LogStore:
    def __init__(self, *, keep: timedelta) -> None:
        self._keep = keep

    def add(self, department_id: str, entry: LogEntry, *, key: str) -> None:
        """Store a log entry. `key` makes it one with its repetition: a run's id, an event's identity."""
        item = LogItem(department_id, f"{moment_text(entry.date)}#{_digest(key)}", document=to_document(entry))
        item.direction, item.type, item.status = entry.direction, entry.type, entry.status
        item.trigger = entry.trigger
        item.expires_at = entry.date + self._keep
        item.save()

    def entries(
        self,
        department_id: str,
        *,
        limit: int,
        after: str | None,
        direction: str = "",
        type: str = "",
        status: str = "",
        trigger: str = "",
    ) -> Page[LogEntry]:
        """Log entries, newest first, that fit every filter given; `after` is the key of the last one seen."""
        wanted: Condition | None = None
        asked = {"direction": direction, "type": type, "status": status, "trigger": trigger}
        for name, value in asked.items():
            if value:
                attribute = getattr(LogItem, name)
                wanted = (attribute == value) if wanted is None else wanted & (attribute == value)
        items, next_key = _page(department_id, wanted, limit=limit, after=after, newest_first=True)
        return [from_document(LogEntry, item.document) for item in items], next_key

    def add_records(self, department_id: str, run_id: str, records: Iterable[Record]) -> None:
        """Store records; a repeated step writes the same ones again."""
        pk = {"S": f"{department_id}#{run_id}"}
        items = {record.key: self._record_item(pk, record) for record in records}
        write_all(dynamodb(), LogItem.Meta.table_name, [put(item) for item in items.values()])

    def _record_item(self, pk: Item, record: Record) -> Item:
        """As LogItem would store it. Every address of a run has one, so they go the lean way of customers."""
        return {
            "pk": pk,
            "sk": {"S": _digest(record.key)},
            "document": {"S": to_document(record)},
            "outcome": {"S": record.outcome},
            "expires_at": {"N": str(int((record.at + self._keep).timestamp()))},
        }

    def records(
        self, department_id: str, run_id: str, *, limit: int, after: str | None, outcome: str = ""
    ) -> Page[Record]:
        """Records of a run in a fixed order; `after` is the key of the last one seen."""
        wanted = (LogItem.outcome == outcome) if outcome else None
        items, next_key = _page(f"{department_id}#{run_id}", wanted, limit=limit, after=after, newest_first=False)
        return [from_document(Record, item.document) for item in items], next_key


class LedgerStore:
    """Append only: there is no way here to change or remove an entry."""

    def append(self, department_id: str, address_key: str, entry: LedgerEntry) -> None:
        """Store an entry; the same change told twice is one entry."""
        _ledger_item(department_id, address_key, entry).save()

    def append_all(self, department_id: str, entries: Iterable[tuple[str, LedgerEntry]]) -> None:
        """Store the entries of many addresses: pairs of an address_key and its entry."""
        items = [_ledger_item(department_id, address_key, entry) for address_key, entry in entries]
        distinct = {(item.pk, item.sk): item.to_dynamodb_dict() for item in items}
        write_all(dynamodb(), LedgerItem.Meta.table_name, [put(item) for item in distinct.values()])

    def entries(self, department_id: str, address_key: str, *, most: int = 200) -> list[LedgerEntry]:
        """The ledger of an address, newest first."""
        items = LedgerItem.query(
            f"{department_id}#{address_key}", scan_index_forward=False, limit=most, consistent_read=True
        )
        return [from_document(LedgerEntry, item.document) for item in items]


def _ledger_item(department_id: str, address_key: str, entry: LedgerEntry) -> LedgerItem:
    identity = _digest(f"{entry.was}>{entry.became}:{entry.rule}")
    sk = f"{moment_text(entry.at)}#{identity}"
    return LedgerItem(f"{department_id}#{address_key}", sk, document=to_document(entry))


def _page(
    pk: str, wanted: Condition | None, *, limit: int, after: str | None, newest_first: bool
) -> tuple[list[LogItem], str | None]:
    behind = None
    if after:
        behind = LogItem.sk < after if newest_first else LogItem.sk > after
    found = LogItem.query(
        pk, behind, wanted, scan_index_forward=not newest_first, page_size=_PAGE, consistent_read=True
    )
    items = list(islice(found, limit + 1))
    return items[:limit], items[limit - 1].sk if len(items) > limit else None


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
