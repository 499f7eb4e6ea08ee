"""The marks on customers that say whose tags their member carries (`in_segments`).

A mark follows Mailchimp's answer, so it may lag behind for a moment and never runs ahead. Beside it stands why a
customer who belongs to a segment does not carry its tag (`left_out`, texts of a segment's id and a code): counts are
taken from both, and whom Mailchimp passed over is not sent again and again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chalicelib.iteration import map_concurrently, slices
from chalicelib.store.customer_keys import item_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from chalicelib.store.batches import Item
    from chalicelib.store.customer_reading import CustomerRow

# Behind the code of a customer who is tried again, since it was edited.
TRIED_AGAIN = ":again"
_UPDATES_A_TRANSACTION = 100  # what DynamoDB takes


@dataclass(slots=True)
class MarkChanges:
    """What is to change of one customer: segments' ids, and texts of `left_out`."""

    mark: set[str] = field(default_factory=set)
    unmark: set[str] = field(default_factory=set)
    leave_out: set[str] = field(default_factory=set)
    let_in: set[str] = field(default_factory=set)  # texts of `left_out` that hold no more


def left_out_text(segment_id: str, code: str) -> str:
    """How a reason is stored."""
    return f"{segment_id}:{code}"


class CustomerTags:
    """`table` is the customers' one."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def change(self, department_id: str, changes: Mapping[str, MarkChanges]) -> None:
        """Set and take marks and reasons of customers, by their keys. Customers that are gone stay so."""
        # One after the other: an update changes no attribute twice, a transaction no customer.
        steps = (
            {key: (("ADD in_segments", one.mark), ("DELETE left_out", one.let_in)) for key, one in changes.items()},
            {
                key: (("DELETE in_segments", one.unmark), ("ADD left_out", one.leave_out))
                for key, one in changes.items()
            },
        )
        for step in steps:
            updates = [self._updating(department_id, key, verbs) for key, verbs in step.items()]
            self._update([update for update in updates if update is not None])

    def unmark(self, department_id: str, segment_id: str, rows: Iterable[CustomerRow]) -> None:
        """Take everything of one segment from some customers."""
        self.change(
            department_id,
            {
                row.customer_key: MarkChanges(
                    unmark={segment_id} if segment_id in row.in_segments else set(),
                    let_in={left_out_text(segment_id, row.left_out[segment_id])}
                    if segment_id in row.left_out
                    else set(),
                )
                for row in rows
            },
        )

    def clear(self, department_id: str, customer_keys: Iterable[str]) -> None:
        """Take all marks of some customers."""
        self._update([self._clearing(department_id, key) for key in dict.fromkeys(customer_keys)])

    def _updating(
        self, department_id: str, customer_key: str, verbs: Sequence[tuple[str, Collection[str]]]
    ) -> Item | None:
        wanted = [(verb, sorted(texts)) for verb, texts in verbs if texts]
        if not wanted:
            return None
        return {
            **self._target(department_id, customer_key),
            "UpdateExpression": " ".join(f"{verb} :v{number}" for number, (verb, _) in enumerate(wanted)),
            "ExpressionAttributeValues": {f":v{number}": {"SS": texts} for number, (_, texts) in enumerate(wanted)},
        }

    def _clearing(self, department_id: str, customer_key: str) -> Item:
        return {**self._target(department_id, customer_key), "UpdateExpression": "REMOVE in_segments"}

    def _target(self, department_id: str, customer_key: str) -> Item:
        return {
            "TableName": self._table,
            "Key": item_key(department_id, customer_key),
            # An update of a customer that was removed meanwhile would make an empty one.
            "ConditionExpression": "attribute_exists(customer_key)",
        }

    def _update(self, updates: Sequence[Item]) -> None:
        map_concurrently(self._update_part, slices(updates, _UPDATES_A_TRANSACTION))

    def _update_part(self, updates: Sequence[Item]) -> None:
        """All in one transaction; one by one where that is refused, because a customer is gone or being written."""
        transaction: Any = {"TransactItems": [{"Update": update} for update in updates]}
        try:
            self._client.transact_write_items(**transaction)
        except self._client.exceptions.TransactionCanceledException:
            for update in updates:
                self._update_one(update)

    def _update_one(self, update: Item) -> None:
        try:
            self._client.update_item(**update)
        except self._client.exceptions.ConditionalCheckFailedException:
            return
