"""The filterable copy of a department's customers, in PracBill's order, with the fingerprint of what was read."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from chalicelib.domain.customers import customer_id_of
from chalicelib.domain.segments.filterable import (
    Filterable,
    Sample,
    filterable_to_document,
    sample_to_document,
)
from chalicelib.iteration import prefetch, slices
from chalicelib.store.batches import Item, WriteBatch, delete, get_all, put, query
from chalicelib.store.customer_keys import BUCKET_COUNT, HASH_KEY, RANGE_KEY, buckets_of
from chalicelib.store.customer_keys import item_key as _key
from chalicelib.store.customer_reading import CustomerRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

_KNOWN = (
    "customer_key, fingerprint, address_key, in_segments, left_out, previous_keys, moved_from, moved_at, unreadable"
)
# Keys and fingerprints of so many customers are held at a time, whatever the size of the department.
_KEYS_AT_ONCE = 5000
_READ_AHEAD = 500


@dataclass(frozen=True, slots=True)
class StoredCustomer:
    """What a plan needs to know of a customer it has seen before."""

    customer_key: str
    customer_id: str
    fingerprint: str
    address_key: str = ""
    in_segments: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()  # segments it belongs to without the tag, and why: see customer_tags.py
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

    def rows(self, department_id: str, customer_keys: Sequence[str]) -> dict[str, CustomerRow]:
        """Some customers as a reading of all finds them, by customer_key."""
        keys = [_key(department_id, key) for key in customer_keys]
        return {row.customer_key: row for row in map(CustomerRow, get_all(self._client, self._table, keys))}

    def ascending(self, department_id: str, *, after: str = "") -> Iterator[StoredCustomer]:
        """All stored customers in PracBill's order, from behind `after` on, read in pages and ahead of who asks.

        Each bucket is in order by itself; they are merged, so a walk goes on behind any key, stored or not.
        """
        walks = [map(_stored, self._bucket(bucket, after)) for bucket in buckets_of(department_id)]
        merged = heapq.merge(*walks, key=lambda stored: stored.customer_key)
        return chain.from_iterable(prefetch(slices(merged, _READ_AHEAD)))

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
    """Every reading of all customers pays for each byte of it."""
    item: Item = {
        **_key(department_id, stored.customer_key),
        "fingerprint": {"S": stored.fingerprint},
        "compared": {"S": filterable_to_document(seen)},
        "sample": {"S": sample_to_document(sample)},
    }
    if not seen.is_readable:
        item["unreadable"] = {"SS": list(seen.unreadable)}
    if stored.address_key:
        item["address_key"] = {"S": stored.address_key}
    if stored.in_segments:
        item["in_segments"] = {"SS": list(stored.in_segments)}
    if stored.left_out:
        item["left_out"] = {"SS": list(stored.left_out)}
    if stored.previous_keys:
        item["previous_keys"] = {"SS": list(stored.previous_keys)}
    if stored.moved_from:
        item["moved_from"], item["moved_at"] = {"S": stored.moved_from}, {"S": stored.moved_at}
    return item


def _stored(item: Item) -> StoredCustomer:
    return StoredCustomer(
        customer_key=item["customer_key"]["S"],
        customer_id=customer_id_of(item["customer_key"]["S"]),
        fingerprint=item["fingerprint"]["S"],
        address_key=item["address_key"]["S"] if "address_key" in item else "",
        in_segments=tuple(item["in_segments"]["SS"]) if "in_segments" in item else (),
        left_out=tuple(item["left_out"]["SS"]) if "left_out" in item else (),
        previous_keys=tuple(item["previous_keys"]["SS"]) if "previous_keys" in item else (),
        is_readable="unreadable" not in item,
        moved_from=item["moved_from"]["S"] if "moved_from" in item else "",
        moved_at=item["moved_at"]["S"] if "moved_at" in item else "",
    )
