"""Log entries, records and the consent ledger: written once, read newest first, the first two for a limited time."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from pynamodb.expressions.condition import Condition

from chalicelib.domain.logs import LedgerEntry, LogEntry, LogFilter, Moment, Record
from chalicelib.domain.moments import moment_text
from chalicelib.store.aws import dynamodb
from chalicelib.store.batches import Item, get_all, put, write_all
from chalicelib.store.documents import from_document, to_document
from chalicelib.store.models import LedgerItem, LogItem
from chalicelib.store.record_reading import PROBLEMS, WELL, RecordReading, buckets_of, problem_key, record_item_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

Value = TypeVar("Value")
Page = tuple[list[Value], str | None]

_PAGE = 100
_HISTORY = "#history"
# A year may be looked back on, whatever the logs are kept for.
_KEEP_HISTORY = timedelta(days=400)


class LogStore:
    def __init__(self, *, keep: timedelta, client: Callable[[], DynamoDBClient] = dynamodb) -> None:
        self._keep = keep
        self._client = client

    def add(self, department_id: str, entry: LogEntry, *, key: str) -> None:
        """Store a log entry. `key` makes it one with its repetition: a run's id, an event's identity."""
        item = LogItem(department_id, f"{moment_text(entry.date)}#{_digest(key)}", document=to_document(entry))
        item.direction, item.type, item.status = entry.direction, entry.type, entry.status
        item.trigger = entry.trigger
        item.expires_at = entry.date + self._keep
        item.save()
        if entry.direction == "pull" and entry.counts.get("opted_out"):
            self.add_to_history(department_id, Moment(entry.date, opted_out=entry.counts["opted_out"]), key=key)

    def add_to_history(self, department_id: str, moment: Moment, *, key: str) -> None:
        """Keep what the trend is drawn from, longer than the log. `key` makes it one with its repetition."""
        sk = f"{moment_text(moment.at)}#{_digest(key)}"
        item = LogItem(f"{department_id}{_HISTORY}", sk, document=to_document(moment))
        item.expires_at = moment.at + _KEEP_HISTORY
        item.save()

    def history(self, department_id: str, since: datetime) -> Iterator[Moment]:
        """What was kept since then, oldest first: small items, some for each sync."""
        found = LogItem.query(f"{department_id}{_HISTORY}", LogItem.sk >= moment_text(since), consistent_read=True)
        return (from_document(Moment, item.document) for item in found)

    def entries(self, department_id: str, wanted: LogFilter, *, limit: int, after: str | None) -> Page[LogEntry]:
        """Log entries, newest first, that are wanted; `after` is the key of the last one seen."""
        condition: Condition | None = None
        for name in ("direction", "type", "status", "trigger"):
            if value := getattr(wanted, name):
                fits = getattr(LogItem, name) == value
                condition = fits if condition is None else condition & fits
        low = moment_text(wanted.since) if wanted.since else "0"
        # A key holds its time first, so that what ends before a time sorts before it.
        high = _before(min(after or "~", moment_text(wanted.until) if wanted.until else "~"))
        found = LogItem.query(
            department_id,
            LogItem.sk.between(low, high),
            condition,
            scan_index_forward=False,
            page_size=_PAGE,
            consistent_read=True,
        )
        items = list(islice(found, limit + 1)) if low <= high else []
        next_key = items[limit - 1].sk if len(items) > limit else None
        items = items[:limit]
        return [from_document(LogEntry, item.document) for item in items], next_key

    def add_records(self, department_id: str, run_id: str, records: Iterable[Record]) -> None:
        """Store records; a repeated step writes the same ones again."""
        items = {record.key: self._record_item(department_id, run_id, record) for record in records}
        write_all(self._client(), LogItem.Meta.table_name, [put(item) for item in items.values()])

    def _record_item(self, department_id: str, run_id: str, record: Record) -> Item:
        """As LogItem would store it. Every address of a run has one, so they go the lean way of customers."""
        digest = _digest(record.key)
        item: Item = {
            **record_item_key(department_id, run_id, digest),
            "document": {"S": to_document(record)},
            "outcome": {"S": record.outcome},
            "expires_at": {"N": str(int((record.at + self._keep).timestamp()))},
        }
        if record.outcome in PROBLEMS:
            item["problem"] = {"S": f"{problem_key(record.outcome, record.code)}{digest}"}
        return item

    def records(
        self,
        department_id: str,
        run_id: str,
        *,
        limit: int,
        after: str | None,
        outcomes: Collection[str] = (),
        code: str = "",
        action: str = "",
    ) -> Page[Record]:
        """Records of a run, problems first; none of `outcomes`, `code` and `action` given means all.

        `after` is the key of the last one seen. A page may be short, or empty, though more is to come: so many are
        looked at for it and no more.
        """
        reading = RecordReading(self._client(), buckets_of(department_id, run_id), code, action, limit, after)
        for outcome in PROBLEMS:
            if not outcomes or outcome in outcomes:
                reading.problems(outcome)
        rest = [outcome for outcome in WELL if not outcomes or outcome in outcomes]
        if rest:
            reading.rest(rest)
        return reading.found, reading.next_key

    def records_of(self, department_id: str, run_id: str, keys: Iterable[str]) -> list[Record]:
        """The records of a run under some keys, in no order."""
        wanted = [record_item_key(department_id, run_id, digest) for digest in dict.fromkeys(map(_digest, keys))]
        items = get_all(self._client(), LogItem.Meta.table_name, wanted)
        return [from_document(Record, item["document"]["S"]) for item in items]


class LedgerStore:
    """Append only: there is no way here to change or remove an entry."""

    def __init__(self, client: Callable[[], DynamoDBClient] = dynamodb) -> None:
        self._client = client

    def append(self, department_id: str, address_key: str, entry: LedgerEntry) -> None:
        """Store an entry; the same change told twice is one entry."""
        pk, sk = _ledger_key(department_id, address_key, entry)
        LedgerItem(pk, sk, document=to_document(entry)).save()

    def append_all(self, department_id: str, entries: Iterable[tuple[str, LedgerEntry]]) -> None:
        """Store the entries of many addresses: pairs of an address_key and its entry.

        As LedgerItem would; every new member has one, so they go the lean way of records.
        """
        distinct = {_ledger_key(department_id, address_key, entry): entry for address_key, entry in entries}
        items = [
            {"pk": {"S": pk}, "sk": {"S": sk}, "document": {"S": to_document(entry)}}
            for (pk, sk), entry in distinct.items()
        ]
        write_all(self._client(), LedgerItem.Meta.table_name, [put(item) for item in items])

    def all_entries(self, department_id: str) -> Iterator[tuple[str, LedgerEntry]]:
        """The whole ledger of a department: keys of addresses and their entries. Reads the table of all departments."""
        for item in LedgerItem.scan(LedgerItem.pk.startswith(f"{department_id}#")):
            yield item.pk.rpartition("#")[2], from_document(LedgerEntry, item.document)

    def entries(self, department_id: str, address_key: str, *, most: int = 200) -> list[LedgerEntry]:
        """The ledger of an address, newest first."""
        items = LedgerItem.query(
            f"{department_id}#{address_key}", scan_index_forward=False, limit=most, consistent_read=True
        )
        return [from_document(LedgerEntry, item.document) for item in items]


def _ledger_key(department_id: str, address_key: str, entry: LedgerEntry) -> tuple[str, str]:
    """The same for the same change, whoever tells it again."""
    identity = _digest(f"{entry.was}>{entry.became}:{entry.rule}")
    return f"{department_id}#{address_key}", f"{moment_text(entry.at)}#{identity}"


def _before(key: str) -> str:
    """The greatest key that sorts before this one, among keys of plain characters."""
    return f"{key[:-1]}{chr(ord(key[-1]) - 1)}~"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
