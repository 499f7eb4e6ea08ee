"""The marks on customers that say whose tags their member carries (`in_segments`).

A mark follows Mailchimp's answer, so it may lag behind for a moment and never runs ahead. For which tags Mailchimp
passed the member over is kept beside it (`passed_over`), until the tag is taken or the customer is stored anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chalicelib.iteration import map_concurrently, slices
from chalicelib.store.batches import Item
from chalicelib.store.customer_keys import item_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Marks = Mapping[str, Collection[str]]

_UPDATES_A_TRANSACTION = 100  # what DynamoDB takes


class CustomerTags:
    """`table` is the customers' one."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def change(self, department_id: str, *, mark: Marks, unmark: Marks, pass_over: Marks) -> None:
        """Set and take marks, and note who was passed over: segments' ids by customer key.

        Customers that are gone stay so.
        """
        # One after the other: a transaction takes no customer twice.
        for verbs, marks in (
            ("ADD in_segments :segments DELETE passed_over :segments", mark),
            ("DELETE in_segments :segments", unmark),
            ("ADD passed_over :segments", pass_over),
        ):
            self._update([self._marking(department_id, key, verbs, ids) for key, ids in marks.items()])

    def unmark(self, department_id: str, segment_id: str, customer_keys: Iterable[str]) -> None:
        """Take the mark of one segment from some customers."""
        self.change(department_id, mark={}, unmark=dict.fromkeys(customer_keys, (segment_id,)), pass_over={})

    def clear(self, department_id: str, customer_keys: Iterable[str]) -> None:
        """Take all marks of some customers."""
        self._update([self._clearing(department_id, key) for key in dict.fromkeys(customer_keys)])

    def _marking(self, department_id: str, customer_key: str, verbs: str, segment_ids: Collection[str]) -> Item:
        return {
            **self._target(department_id, customer_key),
            "UpdateExpression": verbs,
            "ExpressionAttributeValues": {":segments": {"SS": sorted(segment_ids)}},
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
