"""Reading and writing many items of a table: full batches, side by side, nothing left behind."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from chalicelib.errors import RetryLater

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]  # DynamoDB's wire form: {"name": {"S": "value"}}
Request = dict[str, Any]
Thing = TypeVar("Thing")
Result = TypeVar("Result")

_WRITES_A_CALL = 25
_KEYS_A_CALL = 100
_ROUNDS = 10
# DynamoDB answers a batch in some ten milliseconds; four side by side keep one function busy without crowding it.
_PARALLEL_CALLS = 4


def put(item: Item) -> Request:
    return {"PutRequest": {"Item": item}}


def delete(key: Item) -> Request:
    return {"DeleteRequest": {"Key": key}}


def write_all(client: DynamoDBClient, table: str, requests: Sequence[Request]) -> None:
    """Carry out puts and deletes; no key may occur twice. Raises RetryLater when the table stays throttled."""
    map_concurrently(lambda batch: _write(client, table, batch), _slices(requests, _WRITES_A_CALL))


def get_all(client: DynamoDBClient, table: str, keys: Sequence[Item], *, attributes: str = "") -> list[Item]:
    """The items that exist, in no order, strongly consistent. `attributes` is a projection of plain names."""
    found = map_concurrently(lambda batch: _read(client, table, batch, attributes), _slices(keys, _KEYS_A_CALL))
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


def map_concurrently(work: Callable[[Thing], Result], things: Iterable[Thing]) -> list[Result]:
    """Do `work` for every thing, a few at a time, results in order; the first error is raised."""
    waiting = list(things)
    if len(waiting) < 2:
        return [work(thing) for thing in waiting]
    with ThreadPoolExecutor(min(_PARALLEL_CALLS, len(waiting))) as pool:
        return list(pool.map(work, waiting))


def prefetch(things: Iterator[Thing]) -> Iterator[Thing]:
    """The same things, none of which is None; the next one is fetched while the last one is worked on."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, things, None)
        while (thing := coming.result()) is not None:
            coming = pool.submit(next, things, None)
            yield thing


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


def _slices(things: Sequence[Thing], size: int) -> Iterator[list[Thing]]:
    iterator = iter(things)
    while part := list(islice(iterator, size)):
        yield part
