"""Which addresses campaigns reach, as of the last sync: what a preview counts with, in one read.

The first eight bytes of an address key stand for an address: two of a million share them once in 37 million
departments. An item holds one shard of the members' table, so that a sync changes only what it touched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from chalicelib.store import members
from chalicelib.store.batches import Item, Request, get_all, put, query, write_all

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_BYTES = 8


class MailableStore:
    """`table` is the members' one."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def load(self, department_id: str) -> Mailable:
        items = query(
            self._client,
            TableName=self._table,
            ExpressionAttributeNames={"#shard": "shard"},
            KeyConditionExpression="#shard = :s",
            ExpressionAttributeValues={":s": _shard(department_id)},
        )
        return Mailable(short for item in items for short in _shorts(item))

    def change(self, department_id: str, reached: Mapping[str, bool]) -> None:
        """Note for some addresses, by their keys, whether campaigns reach them."""
        by_shard: dict[str, dict[bytes, bool]] = defaultdict(dict)
        for address_key, is_reached in reached.items():
            by_shard[_shard_of(address_key)][_short(address_key)] = is_reached
        keys = [_key(department_id, shard) for shard in by_shard]
        known = {item["sk"]["S"]: set(_shorts(item)) for item in get_all(self._client, self._table, keys)}
        requests = []
        for shard, changes in by_shard.items():
            before = known.get(shard, set())
            after = before - changes.keys() | {short for short, is_reached in changes.items() if is_reached}
            if after != before:
                requests.append(_put(department_id, shard, after))
        write_all(self._client, self._table, requests)


class Mailable:
    """A set of address keys."""

    def __init__(self, shorts: Iterable[bytes] = ()) -> None:
        self._shorts = frozenset(shorts)

    def __contains__(self, address_key: str) -> bool:
        return _short(address_key) in self._shorts


def put_mailable(department_id: str, address_keys: Iterable[str], shard_of: str) -> Request:
    """The request that notes who is reached in a whole shard: that of the address key `shard_of`."""
    return _put(department_id, _shard_of(shard_of), {_short(key) for key in address_keys})


def _put(department_id: str, shard: str, shorts: set[bytes]) -> Request:
    return put({**_key(department_id, shard), "keys": {"B": b"".join(sorted(shorts))}})


def _key(department_id: str, shard: str) -> Item:
    return {"shard": _shard(department_id), "sk": {"S": shard}}


def _shard(department_id: str) -> Item:
    return {"S": f"{department_id}#mailable"}


def _shard_of(address_key: str) -> str:
    return address_key[: len(members.SHARDS[0])]


def _short(address_key: str) -> bytes:
    return bytes.fromhex(address_key[: 2 * _BYTES])


def _shorts(item: Item) -> list[bytes]:
    packed = bytes(item["keys"]["B"])
    return [packed[start : start + _BYTES] for start in range(0, len(packed), _BYTES)]
