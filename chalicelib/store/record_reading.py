"""Where the records of a run lie, and how a page of them is read.

AWS writes 1,000 units a second of one partition key, and a plan that is shown to staff writes a record for every
address. So a run's records lie in four buckets by a hash of whose they are; a page is merged from all of them. More
buckets would cost more calls of every page, also of an empty one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from chalicelib.domain.logs import Record
from chalicelib.iteration import map_concurrently
from chalicelib.store.batches import Item
from chalicelib.store.documents import from_document
from chalicelib.store.models import LogItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

BUCKET_COUNT: Final = 4
# In the order in which staff see them, and how what is no problem ends.
PROBLEMS = ("failed", "refused", "held", "partly_sent")
WELL = ("planned", "done")
_PAGE = 100
# Filters look at so many records for one page, whatever they find, in few calls.
_MOST_LOOKED_AT = 5000
_FILTERED_AT_ONCE = 1000


def record_item_key(department_id: str, run_id: str, digest: str) -> Item:
    """The key of a record's item; `digest` is a hash of whose it is."""
    number = int(digest[0], 16) % BUCKET_COUNT
    return {"pk": {"S": buckets_of(department_id, run_id)[number]}, "sk": {"S": digest}}


def buckets_of(department_id: str, run_id: str) -> tuple[str, ...]:
    """All values of the partition key that a run's records have."""
    return tuple(f"{department_id}#{run_id}#{number}" for number in range(BUCKET_COUNT))


def problem_key(outcome: str, code: str) -> str:
    """How a problem's key begins: what may be mended soonest comes first."""
    return f"{PROBLEMS.index(outcome)}{outcome}#{code}#" if code else f"{PROBLEMS.index(outcome)}{outcome}#"


class RecordReading:
    """One page of records, collected from part after part of the list; `next_key` says in which to go on."""

    def __init__(
        self,
        client: DynamoDBClient,
        buckets: Sequence[str],
        code: str,
        action: str,
        limit: int,
        after: str | None,
    ) -> None:
        self._client = client
        self.found: list[Record] = []
        self.next_key: str | None = None
        self._buckets, self._code, self._action, self._limit = buckets, code, action, limit
        self._skipped_to, _, self._after = (after or "").partition(":")
        self._looked_at = 0

    def problems(self, outcome: str) -> None:
        """Those of one outcome that is in the index."""
        low = problem_key(outcome, self._code)
        self._read(outcome, "problem", low, f"{low}~", [outcome], IndexName="by-problem")

    def rest(self, outcomes: Sequence[str]) -> None:
        """Those that went well, or are planned."""
        self._read("rest", "sk", "0", "~", outcomes)

    def _read(self, part: str, key: str, low: str, high: str, outcomes: Sequence[str], **index: str) -> None:
        if self.next_key is not None or (self._skipped_to and self._skipped_to != part):
            return
        start, self._after = self._after if self._skipped_to else "", ""
        if self._skipped_to:
            # Behind the last one seen: no other key begins with it.
            self._skipped_to, low = "", f"{start}~" if start else low
        if low > high:
            return
        names = {f":o{number}": {"S": outcome} for number, outcome in enumerate(outcomes)}
        asked = {
            "TableName": LogItem.Meta.table_name,
            "KeyConditionExpression": f"pk = :pk AND {key} BETWEEN :low AND :high",
            "FilterExpression": f"outcome IN ({', '.join(names)})",
            "ExpressionAttributeValues": {":low": {"S": low}, ":high": {"S": high}, **names},
            "ConsistentRead": True,
            "Limit": _share_of(max(_PAGE, self._limit + 1)),
            **index,
        }
        self._merge(part, start, key, [_Bucket.of(self._client, pk, key, asked) for pk in self._buckets])

    def _merge(self, part: str, start: str, key: str, buckets: Sequence[_Bucket]) -> None:
        """Take what all buckets have, in order of the keys."""
        last = ""
        while True:
            self._looked_at += sum(map_concurrently(_Bucket.read, [one for one in buckets if one.is_due]))
            # Behind the bucket that has been read the least far another one may have a record that comes first.
            safe = min((one.read_to for one in buckets if one.has_more), default=None)
            for item in _in_order(key, (item for one in buckets for item in one.take(safe))):
                if len(self.found) == self._limit:
                    self.next_key = f"{part}:{last or start}"
                    return
                last = item[key]["S"]
                self._take(from_document(Record, item["document"]["S"]))
            if safe is None:
                return
            if self._looked_at >= _MOST_LOOKED_AT:
                self.next_key = f"{part}:{safe}"
                return

    def _take(self, record: Record) -> None:
        if self._code in ("", record.code) and self._action in ("", record.action):
            self.found.append(record)


@dataclass(slots=True)
class _Bucket:
    """One bucket's records by their keys: read up to `read_to`, and `at_hand` as far as they are not taken."""

    client: DynamoDBClient
    key: str
    request: dict[str, Any]
    at_hand: list[Item] = field(default_factory=list)
    read_to: str = ""
    has_more: bool = True

    @classmethod
    def of(cls, client: DynamoDBClient, pk: str, key: str, asked: dict[str, Any]) -> _Bucket:
        values = {**asked["ExpressionAttributeValues"], ":pk": {"S": pk}}
        return cls(client, key, {**asked, "ExpressionAttributeValues": values})

    @property
    def is_due(self) -> bool:
        return self.has_more and not self.at_hand

    def read(self) -> int:
        """Read the next page; answers how many records were looked at for it."""
        page: Any = self.client.query(**self.request)
        self.at_hand += page["Items"]
        self.has_more = "LastEvaluatedKey" in page
        if self.has_more:
            self.read_to = page["LastEvaluatedKey"][self.key]["S"]
            self.request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        if 2 * len(page["Items"]) < page["ScannedCount"]:
            # The filter lets through few.
            self.request["Limit"] = _FILTERED_AT_ONCE
        return int(page["ScannedCount"])

    def take(self, up_to: str | None) -> list[Item]:
        """What is at hand up to a key; None is the end of all."""
        taken = [item for item in self.at_hand if up_to is None or item[self.key]["S"] <= up_to]
        del self.at_hand[: len(taken)]
        return taken


def _in_order(key: str, items: Iterable[Item]) -> list[Item]:
    return sorted(items, key=lambda item: str(item[key]["S"]))


def _share_of(wanted: int) -> int:
    """How many of a page to ask a bucket for. They do not fill alike, and another call costs more than some records."""
    return wanted // BUCKET_COUNT + wanted // 10 + 1
