"""Reads all customers of a department: the one place that knows how they lie in their table.

DynamoDB charges a reading for the whole of every item, whatever a filter or a projection lets through. So everything
that is asked about the customers at one time is answered by one reading, and evaluated here and not by the database
(domain/segments/evaluation.py). A department's customers lie in buckets (customer_keys.py), which answers to people
read side by side and steps of runs one after the other.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Final

from chalicelib.domain.customers import customer_id_of
from chalicelib.domain.segments.filterable import (
    Filterable,
    Sample,
    filterable_from_document,
    sample_from_document,
)
from chalicelib.iteration import prefetch
from chalicelib.store.batches import Item, query_pages
from chalicelib.store.customer_keys import BUCKET_COUNT, HASH_KEY, RANGE_KEY, bucket_number, buckets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

# Requests under way at once. An SDK client keeps 10 connections, and a page is at most 1 MB: memory stays flat.
MAX_CONCURRENCY: Final = 8
# What is read of each customer; what a reader does not ask for is not decoded.
_PROJECTION: Final = "customer_key, compared, address_key, in_segments, left_out, #sample, unreadable"
_RESERVED: Final = {"#sample": "sample"}  # a word of DynamoDB's own

_Request = dict[str, Any]
_NOTHING: Final[Mapping[str, str]] = {}


class CustomerRow:
    """A stored customer as a reading finds it. Each part is decoded when it is asked for."""

    __slots__ = ("_item",)

    def __init__(self, item: Item) -> None:
        self._item = item

    @property
    def customer_key(self) -> str:
        key: str = self._item["customer_key"]["S"]
        return key

    @property
    def customer_id(self) -> str:
        return customer_id_of(self.customer_key)

    @property
    def address_key(self) -> str | None:
        """None without a usable address."""
        found = self._item.get("address_key")
        return found["S"] if found is not None else None

    @property
    def filterable(self) -> Filterable:
        return filterable_from_document(self._item["compared"]["S"])

    @property
    def sample(self) -> Sample:
        return sample_from_document(self.customer_id, self._item["sample"]["S"])

    @property
    def in_segments(self) -> Sequence[str]:
        """The ids of the segments whose tag the member carries through the customer."""
        found = self._item.get("in_segments")
        return found["SS"] if found is not None else ()

    @property
    def left_out(self) -> Mapping[str, str]:
        """Why the customer, who belongs to segments, does not carry their tags: codes by the segments' ids."""
        found = self._item.get("left_out")
        return dict(text.split(":", 1) for text in found["SS"]) if found is not None else _NOTHING

    @property
    def unreadable(self) -> Sequence[str]:
        """What PracBill has of the customer that cannot be read (`READABLE_ATTRIBUTES`)."""
        found = self._item.get("unreadable")
        return found["SS"] if found is not None else ()


class CustomerReader:
    """The customers of one department.

    `concurrency` is how many requests are under way at once. `check_time` is called before each page and may raise:
    who waits for an answer is told in time that it takes too long. `page_size` limits the customers of a page; it is
    for tests, where everything would fit one page. Errors of the database are botocore's and pass through.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        table_name: str,
        department_id: str,
        *,
        concurrency: int = MAX_CONCURRENCY,
        check_time: Callable[[], None] = lambda: None,
        page_size: int | None = None,
    ) -> None:
        self._client = client
        self._table_name = table_name
        self._buckets = buckets_of(department_id)
        self._concurrency = concurrency
        self._check_time = check_time
        self._page_size = page_size

    def rows(self) -> Iterator[CustomerRow]:
        """All customers in no order, as of about a second ago: for answers to people, at half the price."""
        for page in self.pages():
            yield from page

    def pages(self) -> Iterator[Sequence[CustomerRow]]:
        """The same, page by page: who reads only so long as there is time can stop after each."""
        for items in self._pages([self._request(bucket) for bucket in self._buckets]):
            yield [CustomerRow(item) for item in items]

    def walk(self, *, after: str = "", until: int = BUCKET_COUNT - 1) -> Iterator[CustomerRow]:
        """All customers as they are now, bucket by bucket: for steps that stop and go on.

        `after` is the `place_of` the last customer who is not wanted again, `until` the last bucket that is wanted.
        """
        number, key = bucket_at(after), after[1:]
        for bucket in self._buckets[number : until + 1]:
            pages = (page["Items"] for page in query_pages(self._client, **self._request(bucket, after=key)))
            for items in prefetch(pages):
                yield from map(CustomerRow, items)
            key = ""

    def _request(self, bucket: str, *, after: str | None = None) -> _Request:
        """The customers of a bucket; with `after`, as they are now and only those whose key comes behind it."""
        request: _Request = {
            "TableName": self._table_name,
            "KeyConditionExpression": f"{HASH_KEY} = :bucket" + (f" AND {RANGE_KEY} > :after" if after else ""),
            "ExpressionAttributeValues": {
                ":bucket": {"S": bucket},
                **({":after": {"S": after}} if after else {}),
            },
            "ProjectionExpression": _PROJECTION,
            "ExpressionAttributeNames": _RESERVED,
            "ConsistentRead": after is not None,
        }
        if self._page_size is not None:
            request["Limit"] = self._page_size
        return request

    def _pages(self, requests: Iterable[_Request]) -> Iterator[list[Item]]:
        """All pages of all requests, several under way at once.

        A reader who stops early waits for what is under way, nothing more is asked.
        """
        waiting = list(requests)[::-1]
        under_way: dict[Future[Any], _Request] = {}
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="customers") as pool:

            def ask(request: _Request) -> None:
                self._check_time()
                under_way[pool.submit(self._client.query, **request)] = request

            def ask_new() -> None:
                while waiting and len(under_way) < self._concurrency:
                    ask(waiting.pop())

            try:
                ask_new()
                while under_way:
                    answered, _ = wait(under_way, return_when=FIRST_COMPLETED)
                    for future in answered:
                        request = under_way.pop(future)
                        page = future.result()
                        start = page.get("LastEvaluatedKey")
                        if start:
                            ask({**request, "ExclusiveStartKey": start})
                        yield page["Items"]
                    ask_new()
            finally:
                pool.shutdown(cancel_futures=True)


def place_of(customer_key: str) -> str:
    """Where a walk goes on behind a customer."""
    return f"{bucket_number(customer_key):x}{customer_key}"


def bucket_at(place: str) -> int:
    """The bucket in which a place lies."""
    return int(place[:1], 16) if place else 0


def start_of(bucket: int) -> str:
    """The place before the first customer of a bucket."""
    return f"{bucket:x}"
