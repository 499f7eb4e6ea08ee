"""The filterable copy of a department's customers, in PracBill's order, with the fingerprint of what was read."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.domain.segments.filterable import (
    READABLE_ATTRIBUTES,
    Filterable,
    Sample,
    sample_from_document,
    sample_to_document,
    search_text,
)
from chalicelib.store.batches import Item, WriteBatch, delete, get_all, put, query
from chalicelib.store.customer_keys import BUCKET_COUNT, HASH_KEY, RANGE_KEY, buckets_of
from chalicelib.store.customer_keys import item_key as _key
from chalicelib.store.filterable_attributes import to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_UNREADABLE = tuple(f"{name}_unreadable" for name in READABLE_ATTRIBUTES)
_KNOWN = ", ".join(
    (
        *("customer_key", "customer_id", "fingerprint", "address_key", "in_segments", "previous_keys"),
        *("moved_from", "moved_at", *_UNREADABLE),
    )
)
# Keys and fingerprints of so many customers are held at a time, whatever the size of the department.
_KEYS_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class StoredCustomer:
    """What a plan needs to know of a customer it has seen before."""

    customer_key: str
    customer_id: str
    fingerprint: str
    address_key: str = ""
    in_segments: tuple[str, ...] = ()
    previous_keys: tuple[str, ...] = ()  # address keys of earlier addresses: whoever is erased is erased there as well
    is_readable: bool = True  # whether all its dates and its balance could be read
    moved_from: str = ""  # address key of the address before this one
    moved_at: str = ""  # when that was read


class CustomerStore:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, department_id: str, customer_keys: Sequence[str]) -> dict[str, StoredCustomer]:
        """The customers that are stored, by customer_key."""
        keys = [_key(department_id, key) for key in customer_keys]
        return {s.customer_key: s for s in map(_stored, get_all(self._client, self._table, keys, attributes=_KNOWN))}

    def whole(self, department_id: str, customer_key: str) -> tuple[StoredCustomer, Item] | None:
        """One customer and its whole filterable copy."""
        found = self.item(department_id, customer_key)
        return (_stored(found), found) if found else None

    def item(self, department_id: str, customer_key: str) -> Item | None:
        """The whole filterable copy of one customer."""
        found = get_all(self._client, self._table, [_key(department_id, customer_key)])
        return found[0] if found else None

    def items(self, department_id: str, customer_keys: Sequence[str]) -> dict[str, Item]:
        """The whole filterable copies of some customers, by customer_key."""
        keys = [_key(department_id, key) for key in customer_keys]
        return {item["customer_key"]["S"]: item for item in get_all(self._client, self._table, keys)}

    def samples(self, department_id: str, customer_keys: Sequence[str]) -> dict[str, tuple[StoredCustomer, Sample]]:
        """What a plan knows of some customers, and how a list shows them."""
        keys = [_key(department_id, key) for key in customer_keys]
        items = get_all(self._client, self._table, keys)
        return {item["customer_key"]["S"]: (_stored(item), sample_from_document(item["sample"]["S"])) for item in items}

    def ascending(self, department_id: str, *, after: str = "") -> Iterator[StoredCustomer]:
        """All stored customers in PracBill's order, from behind `after` on, read in pages.

        Each bucket is in order by itself; they are merged, so a walk goes on behind any key, stored or not.
        """
        walks = [map(_stored, self._bucket(bucket, after)) for bucket in buckets_of(department_id)]
        return heapq.merge(*walks, key=lambda stored: stored.customer_key)

    def is_empty(self, department_id: str) -> bool:
        """Whether no customer is stored."""
        return all(next(self._bucket(bucket, "", limit=1), None) is None for bucket in buckets_of(department_id))

    def _bucket(self, bucket: str, after: str, *, limit: int = _KEYS_AT_ONCE // BUCKET_COUNT) -> Iterator[Item]:
        return query(
            self._client,
            TableName=self._table,
            KeyConditionExpression="department_bucket = :b AND customer_key > :after"
            if after
            else "department_bucket = :b",
            ExpressionAttributeValues={":b": {"S": bucket}, **({":after": {"S": after}} if after else {})},
            ProjectionExpression=_KNOWN,
            ConsistentRead=True,
            Limit=limit,
        )

    def batch(self, department_id: str) -> CustomerBatch:
        return CustomerBatch(WriteBatch(self._client, self._table, key=(HASH_KEY, RANGE_KEY)), department_id)


class CustomerBatch:
    """Customers to store or to remove; nothing is written before `flush`. Of two writes of one the later counts."""

    def __init__(self, writes: WriteBatch, department_id: str) -> None:
        self._writes = writes
        self._department_id = department_id

    def put(self, stored: StoredCustomer, seen: Filterable, sample: Sample) -> None:
        """Store a customer; `seen` is what segment rules compare."""
        self._writes.add(put(_item(self._department_id, stored, seen, sample)))

    def remove(self, customer_key: str) -> None:
        self._writes.add(delete(_key(self._department_id, customer_key)))

    def flush(self) -> None:
        """Carry out what was collected. Raises RetryLater when the table stays throttled."""
        self._writes.flush()


def _item(department_id: str, stored: StoredCustomer, seen: Filterable, sample: Sample) -> Item:
    item: Item = {
        **_key(department_id, stored.customer_key),
        "customer_id": {"S": stored.customer_id},
        "fingerprint": {"S": stored.fingerprint},
        "sample": {"S": sample_to_document(sample)},
        **to_attributes(seen),
    }
    if names := search_text(sample):
        item["search_text"] = {"S": names}
    if stored.address_key:
        item["address_key"] = {"S": stored.address_key}
    if stored.in_segments:
        item["in_segments"] = {"SS": list(stored.in_segments)}
    if stored.previous_keys:
        item["previous_keys"] = {"SS": list(stored.previous_keys)}
    if stored.moved_from:
        item["moved_from"], item["moved_at"] = {"S": stored.moved_from}, {"S": stored.moved_at}
    return item


def _stored(item: Item) -> StoredCustomer:
    return StoredCustomer(
        customer_key=item["customer_key"]["S"],
        customer_id=item["customer_id"]["S"],
        fingerprint=item["fingerprint"]["S"],
        address_key=item["address_key"]["S"] if "address_key" in item else "",
        in_segments=tuple(item["in_segments"]["SS"]) if "in_segments" in item else (),
        previous_keys=tuple(item["previous_keys"]["SS"]) if "previous_keys" in item else (),
        is_readable=not any(name in item for name in _UNREADABLE),
        moved_from=item["moved_from"]["S"] if "moved_from" in item else "",
        moved_at=item["moved_at"]["S"] if "moved_at" in item else "",
    )
