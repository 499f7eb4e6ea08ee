"""Addresses that the next sync of segments must look at, kept in the members' table until it has.

Between two readings of all customers, segments follow those whose address is noted here: an address whose customers
or status changed, one that a tagged customer left, one that Mailchimp refused. Customers without an address are noted
too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.store.batches import Item, delete, query, write_all
from chalicelib.store.member_keys import ADDRESS_KEY_LENGTH, entries_in, list_item

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

# In the place of the address of a customer who has none.
NO_ADDRESS = "-" * ADDRESS_KEY_LENGTH


def failed_call(segment_id: str, run_id: str) -> str:
    """What takes a customer's place in the key of an address about which a call failed."""
    return f"{segment_id}@{run_id}"


@dataclass(frozen=True, slots=True)
class TagRecheck:
    """An address to look at; it may carry the tags of `segments` although no customer is marked so.

    `customer_key` is the customer who left it. `is_gone`: the customer was removed, and belonged without a tag to the
    segments of `left_out`.
    """

    key: str
    address_key: str
    segments: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    is_gone: bool = False

    @property
    def customer_key(self) -> str:
        return self.key[ADDRESS_KEY_LENGTH + 1 :]

    def is_left_by(self, run_id: str) -> bool:
        """Whether a call of this run failed, so that the next one is to look at the address."""
        return self.key.endswith(f"@{run_id}")


class TagRecheckStore:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def all(self, department_id: str) -> list[TagRecheck]:
        """All checks that are due, in order of the addresses."""
        return list(self.ascending(department_id))

    def ascending(self, department_id: str) -> Iterator[TagRecheck]:
        """The same, read as far as one looks."""
        items = query(self._client, TableName=self._table, **entries_in(department_id, "tags"))
        return map(_read, items)

    def remove(self, department_id: str, checks: Sequence[TagRecheck]) -> None:
        requests = [delete(list_item(department_id, "tags", check.key)) for check in checks]
        write_all(self._client, self._table, requests)


def _read(item: Item) -> TagRecheck:
    key: str = item["sk"]["S"]
    return TagRecheck(
        key,
        key[:ADDRESS_KEY_LENGTH],
        tuple(item["segments"]["SS"]) if "segments" in item else (),
        tuple(item["left_out"]["SS"]) if "left_out" in item else (),
        "is_gone" in item,
    )
