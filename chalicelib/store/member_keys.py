"""Where the items of the members' table lie: addresses in 256 shards, each work list in a partition of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chalicelib.store.batches import Item

# Addresses are spread by the first two digits of their key: even load, and a read of one address stays small.
SHARDS = tuple(f"{number:02x}" for number in range(256))
ADDRESS_KEY_LENGTH = 32


def shard_of(address_key: str) -> str:
    """The one of SHARDS in which an address lies."""
    return address_key[:2]


def partition(department_id: str, name: str) -> Item:
    """The value of `shard`: a shard's, or a work list's."""
    return {"S": f"{department_id}#{name}"}


def address_item(department_id: str, address_key: str, suffix: str = "") -> Item:
    """The key of one item of an address."""
    return list_item(department_id, shard_of(address_key), address_key + suffix)


def list_item(department_id: str, name: str, entry: str) -> Item:
    """The key of an entry in one of a department's lists."""
    return {"shard": partition(department_id, name), "sk": {"S": entry}}


def entries_in(department_id: str, name: str, *, of_address: str = "", after: str = "") -> dict[str, Any]:
    """What a Query needs for the entries of one list: all, those of one address, or those behind a key."""
    condition, values = "#shard = :s", {":s": partition(department_id, name)}
    if of_address:
        condition += " AND begins_with(sk, :k)"
        values[":k"] = {"S": of_address}
    if after:
        condition += " AND sk > :after"
        values[":after"] = {"S": after}
    return {
        "ExpressionAttributeNames": {"#shard": "shard"},  # a reserved word of DynamoDB's expressions
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
        "ConsistentRead": True,
    }
