"""Reading and writing many items of a table: full batches, side by side, nothing left behind."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from chalicelib.errors import RetryLater
from chalicelib.iteration import map_concurrently, slices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]  # DynamoDB's wire form: {"name": {"S": "value"}}
Request = dict[str, Any]

_WRITES_A_CALL = 25
_KEYS_A_CALL = 100
_ROUNDS = 10


def put(item: Item) -> Request:
    return {"PutRequest": {"Item": item}}


def delete(key: Item) -> Request:
    return {"DeleteRequest": {"Key": key}}


class WriteBatch:
    """Puts and deletes in one table, collected and carried out together. Of two about one key the later one counts."""

    def __init__(self, client: DynamoDBClient, table: str, *, key: tuple[str, str]) -> None:
        self._client = client
        self._table = table
        self._key = key
        self._requests: dict[tuple[str, str], Request] = {}

    def __len__(self) -> int:
        return len(self._requests)

    def add(self, request: Request) -> None:
        item = request["PutRequest"]["Item"] if "PutRequest" in request else request["DeleteRequest"]["Key"]
        hash_key, range_key = self._key
        self._requests[item[hash_key]["S"], item[range_key]["S"]] = request

    def flush(self) -> None:
        """Carry out what was collected; the batch is empty then. Raises RetryLater when the table stays throttled."""
        write_all(self._client, self._table, list(self._requests.values()))
        self._requests.clear()


def write_all(client: DynamoDBClient, table: str, requests: Sequence[Request]) -> None:
    """Carry out puts and deletes; no key may occur twice. Raises RetryLater when the table stays throttled."""
    map_concurrently(lambda batch: _write(client, table, batch), slices(requests, _WRITES_A_CALL))


def get_all(client: DynamoDBClient, table: str, keys: Sequence[Item], *, attributes: str = "") -> list[Item]:
    """The items that exist, in no order, strongly consistent. `attributes` is a projection of plain names."""
    found = map_concurrently(lambda batch: _read(client, table, batch, attributes), slices(keys, _KEYS_A_CALL))
    return [item for batch in found for item in batch]


def query(client: DynamoDBClient, **arguments: Any) -> Iterator[Item]:
    """Every item of a Query, page after page."""
    for page in query_pages(client, **arguments):
        yield from page["Items"]


def query_pages(client: DynamoDBClient, **arguments: Any) -> Iterator[dict[str, Any]]:
    """The pages of a Query, followed until DynamoDB says that there is no more."""
    while True:
        page: Any = client.query(**arguments)
        yield page
        if "LastEvaluatedKey" not in page:
            return
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _write(client: DynamoDBClient, table: str, requests: Sequence[Request]) -> None:
    waiting: Any = {table: list(requests)}
    for attempt in range(_ROUNDS):
        waiting = client.batch_write_item(RequestItems=waiting)["UnprocessedItems"]
        if not waiting:
            return
        _pause(attempt)
    raise RetryLater("The database is busy. The step is repeated automatically.")


def _read(client: DynamoDBClient, table: str, keys: Sequence[Item], attributes: str) -> list[Item]:
    wanted: dict[str, Any] = {"Keys": list(keys), "ConsistentRead": True}
    if attributes:
        wanted["ProjectionExpression"] = attributes
    waiting: Any = {table: wanted}
    found: list[Item] = []
    for attempt in range(_ROUNDS):
        answer: Any = client.batch_get_item(RequestItems=waiting)
        found.extend(answer["Responses"].get(table, ()))
        waiting = answer["UnprocessedKeys"]
        if not waiting:
            return found
        _pause(attempt)
    raise RetryLater("The database is busy. The step is repeated automatically.")


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0, min(5.0, 0.05 * 2**attempt)))  # noqa: S311 - jitter, not a secret
