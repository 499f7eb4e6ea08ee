"""The marks on customers that say whose tags their member carries (`in_segments`), and the texts customers have.

A mark follows Mailchimp's answer, so it may lag behind for a moment and never runs ahead. For which tags Mailchimp
passed the member over is kept beside it (`passed_over`), until the tag is taken or the customer is stored anew.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from chalicelib.iteration import map_concurrently, slices
from chalicelib.store.batches import Item, query_pages
from chalicelib.store.customer_keys import buckets_of, item_key

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

    def texts(
        self, department_id: str, fields: Sequence[str], *, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> dict[str, Counter[str]]:
        """How often which text occurs in each of the fields, of as many customers as can be read in that time."""
        names = {f"#f{number}": field for number, field in enumerate(fields)}
        pages = chain.from_iterable(
            query_pages(
                self._client,
                TableName=self._table,
                KeyConditionExpression="department_bucket = :b",
                ExpressionAttributeValues={":b": {"S": bucket}},
                ExpressionAttributeNames=names,
                ProjectionExpression=", ".join(names),
            )
            for bucket in buckets_of(department_id)
        )
        found: dict[str, Counter[str]] = {field: Counter() for field in fields}
        end = clock() + seconds
        for page in pages:
            for field in fields:
                found[field].update(item[field]["S"] for item in page["Items"] if field in item)
            if clock() > end:
                break
        return found

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
