"""Asks DynamoDB who is in a segment: counts, samples, and the differences that a sync sends.

The database filters, so only answers travel: 100,000 customers are counted without one of them being read here.
A department's customers lie in buckets (customer_keys.py) that are read side by side. DynamoDB answers at most 1 MB a
page, counted before the filter: a page may be empty and not the last, so only a missing LastEvaluatedKey ends a bucket.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeVar

from chalicelib.domain.segments.filterable import READABLE_ATTRIBUTES, Sample, sample_from_document
from chalicelib.domain.segments.rules import Rule, Selection, comparison, matching
from chalicelib.store.customer_keys import buckets_of
from chalicelib.store.filterable_attributes import from_attributes
from chalicelib.store.segment_conditions import Asked, Condition, compile_differences, compile_selection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, QueryOutputTypeDef

# Requests under way at once. An SDK client keeps 10 connections, and a page is at most 1 MB: memory stays flat.
MAX_CONCURRENCY: Final = 8
_READ_OF_EACH: Final = frozenset({"customer_key", "address_key", "in_segments", "passed_over"})

_Label = TypeVar("_Label", bound=Hashable)
_Request = dict[str, Any]
_Item = dict[str, "AttributeValueTypeDef"]


@dataclass(frozen=True, slots=True)
class Found:
    """A selected customer; `address_key` is None without a usable address."""

    customer_key: str
    customer_id: str
    address_key: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A customer who enters or leaves segments, which are told by their ids.

    `passed_over` are those among `enters` for which Mailchimp passed the member over before.
    """

    customer_key: str
    address_key: str | None
    enters: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    passed_over: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RuleCounts:
    """How many customers all rules together match, and each alone, in the rules' order."""

    together: int
    alone: tuple[int, ...]


class SegmentQuery:
    """Questions about the customers of one department.

    `concurrency` is how many requests are under way at once. `page_size` limits the customers looked at per page; it
    is for tests, where everything would fit one page.
    Errors of the database are botocore's and pass through.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        table_name: str,
        department_id: str,
        *,
        concurrency: int = MAX_CONCURRENCY,
        page_size: int | None = None,
    ) -> None:
        self._client = client
        self._table_name = table_name
        self._buckets = buckets_of(department_id)
        self._concurrency = concurrency
        self._page_size = page_size

    def count(self, selection: Selection) -> int:
        """How many customers are selected, as of about a second ago."""
        return self.counts([selection])[0]

    def counts(self, selections: Sequence[Selection]) -> tuple[int, ...]:
        """How many customers each selection has, all counted side by side."""
        return self.counts_of_all(selections)[1]

    def counts_of_all(self, selections: Sequence[Selection]) -> tuple[int, tuple[int, ...]]:
        """How many customers there are, which every count tells by the way, and how many each selection has."""
        totals, looked_at = dict.fromkeys(selections, 0), dict.fromkeys(selections, 0)
        requests = (
            (selection, self._request(selection, bucket, Select="COUNT"))
            for selection in totals
            for bucket in self._buckets
        )
        for selection, page in self._pages(requests):
            totals[selection] += page["Count"]
            looked_at[selection] += page["ScannedCount"]
        return max(looked_at.values(), default=0), tuple(totals[selection] for selection in selections)

    def count_each(self, rules: tuple[Rule, ...], today: date) -> RuleCounts:
        """The count of all rules together and of each rule alone."""
        together, *alone = self.counts([matching(rules, today), *(matching((rule,), today) for rule in rules)])
        return RuleCounts(together, tuple(alone))

    def first(self, selection: Selection, limit: int) -> tuple[Sample, ...]:
        """The first selected customers by customer key, at most `limit`, as a preview shows them."""
        projection = _projection("customer_key", "sample")
        requests = ((bucket, self._request(selection, bucket, **projection)) for bucket in self._buckets)
        kept: dict[str, list[_Item]] = {bucket: [] for bucket in self._buckets}
        for bucket, page in self._pages(requests, lambda bucket: len(kept[bucket]) < limit):
            kept[bucket] += page["Items"][: limit - len(kept[bucket])]
        first = heapq.nsmallest(limit, chain.from_iterable(kept.values()), key=lambda item: item["customer_key"]["S"])
        return tuple(sample_from_document(item["sample"]["S"]) for item in first)

    def iterate(self, selection: Selection) -> Iterator[Found]:
        """All selected customers, in no order, streaming: a few pages are in memory, however many there are.

        Read consistently: a customer that was written before the call is seen as it was written.
        """
        for item in self._items(selection, "customer_key", "customer_id", "address_key"):
            yield _found(item)

    def address_keys(self, selection: Selection) -> Iterator[str]:
        """The address key of every selected customer who has an address. Otherwise as `iterate`."""
        for item in self._items(selection, "address_key"):
            if "address_key" in item:
                yield item["address_key"]["S"]

    def differences(self, segments: Mapping[str, tuple[Rule, ...]], today: date) -> Iterator[Difference]:
        """Who enters or leaves any of some segments (rules by id), with an address or not. Otherwise as `iterate`.

        All segments are asked about in one reading, or in as few as the length of a condition allows. Of two readings
        each may name the same customer, for other segments.
        """
        asked = {key: [comparison(rule, today) for rule in rules] for key, rules in segments.items()}
        compared = {name for comparisons in asked.values() for each in comparisons for name in each.attributes}
        projected = sorted(compared | _READ_OF_EACH)
        for condition, part in compile_differences(asked):
            for item in self._items(condition, *projected):
                yield _difference(item, part)

    def tagged(self, today: date) -> Iterator[tuple[str | None, tuple[str, ...]]]:
        """The address key of every customer who carries tags, and the ids of their segments. Otherwise as `iterate`."""
        for item in self._items(Selection(today, tagged=True), "address_key", "in_segments"):
            address = item.get("address_key")
            yield (address["S"] if address else None), _tags(item)

    def containing(self, text: str, limit: int, *, goes_on: Callable[[], bool]) -> tuple[tuple[Sample, ...], bool]:
        """Customers whose names contain a text in comparable form, at most `limit`; False when there may be more.

        Reading ends when enough are found, or when `goes_on` says so.
        """
        condition = Condition("contains(#search, :search)", {"#search": "search_text"}, {":search": {"S": text}})
        projection = _projection("sample")
        requests = ((bucket, self._request(condition, bucket, **projection)) for bucket in self._buckets)
        found: list[_Item] = []

        def wants_more(_: str) -> bool:
            return len(found) <= limit and goes_on()

        is_complete = True
        for bucket, page in self._pages(requests, wants_more):
            found += page["Items"]
            if not wants_more(bucket):
                is_complete = False
                break
        return tuple(sample_from_document(item["sample"]["S"]) for item in found[:limit]), is_complete

    def unreadable(self) -> dict[str, tuple[int, str]]:
        """For each attribute that PracBill has unreadable values of: how many customers, and the first one's id."""
        found: dict[str, tuple[int, str, str]] = {}
        names = {f"#u{number}": f"{attribute}_unreadable" for number, attribute in enumerate(READABLE_ATTRIBUTES)}
        condition = Condition(" OR ".join(f"attribute_exists({name})" for name in names), names, {})
        for item in self._items(condition, "customer_key", "customer_id", *names.values()):
            here = (item["customer_key"]["S"], item["customer_id"]["S"])
            for attribute in READABLE_ATTRIBUTES:
                if f"{attribute}_unreadable" in item:
                    count, *first = found.get(attribute, (0, *here))
                    found[attribute] = (count + 1, *min(here, (first[0], first[1])))
        return {
            attribute: (found[attribute][0], found[attribute][2])
            for attribute in READABLE_ATTRIBUTES
            if attribute in found
        }

    def _items(self, asked: Selection | Condition, *attributes: str) -> Iterator[_Item]:
        projection = _projection(*attributes)
        requests = (
            (bucket, self._request(asked, bucket, ConsistentRead=True, **projection)) for bucket in self._buckets
        )
        for _, page in self._pages(requests):
            yield from page["Items"]

    def _pages(
        self, requests: Iterable[tuple[_Label, _Request]], wants_more: Callable[[_Label], bool] = lambda _: True
    ) -> Iterator[tuple[_Label, QueryOutputTypeDef]]:
        """All pages of all requests, several under way at once; the pages of one request come in order.

        `wants_more` is asked, when a page was dealt with, whether the next one of that request is needed. A reader who
        stops early waits for what is under way, nothing more is asked.
        """
        prefetch = iter(requests)
        under_way: dict[Future[QueryOutputTypeDef], tuple[_Label, _Request]] = {}
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="segment-query") as pool:

            def ask(label: _Label, request: _Request) -> None:
                under_way[pool.submit(self._client.query, **request)] = (label, request)

            def ask_new() -> None:
                while len(under_way) < self._concurrency and (following := next(prefetch, None)) is not None:
                    ask(*following)

            try:
                ask_new()
                while under_way:
                    answered, _ = wait(under_way, return_when=FIRST_COMPLETED)
                    for future in answered:
                        label, request = under_way.pop(future)
                        page = future.result()
                        yield label, page
                        start = page.get("LastEvaluatedKey")
                        if start and wants_more(label):
                            ask(label, {**request, "ExclusiveStartKey": start})
                    ask_new()
            finally:
                pool.shutdown(cancel_futures=True)

    def _request(self, asked: Selection | Condition, bucket: str, **options: Any) -> _Request:
        condition = compile_selection(asked) if isinstance(asked, Selection) else asked
        request: _Request = {
            "TableName": self._table_name,
            "KeyConditionExpression": "department_bucket = :bucket",
            "ExpressionAttributeValues": {":bucket": {"S": bucket}, **condition.values},
            **options,
        }
        names = {**condition.names, **options.get("ExpressionAttributeNames", {})}
        if names:
            request["ExpressionAttributeNames"] = names
        if condition.expression:
            request["FilterExpression"] = condition.expression
        if self._page_size is not None:
            request["Limit"] = self._page_size
        return request


def _projection(*attributes: str) -> dict[str, Any]:
    names = {f"#p{number}": attribute for number, attribute in enumerate(attributes)}
    return {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}


def _difference(item: _Item, asked: Asked) -> Difference:
    """In which of the segments the customer differs: the database answers those who differ in any."""
    fields, tags = from_attributes(item), _tags(item)
    enters, leaves = [], []
    for segment_id, comparisons in asked.items():
        if all(each.holds(fields) for each in comparisons):
            if segment_id not in tags:
                enters.append(segment_id)
        elif segment_id in tags:
            leaves.append(segment_id)
    address, passed_over = item.get("address_key"), item.get("passed_over")
    return Difference(
        item["customer_key"]["S"],
        address["S"] if address else None,
        tuple(enters),
        tuple(leaves),
        frozenset(passed_over["SS"]) if passed_over else frozenset(),
    )


def _tags(item: _Item) -> tuple[str, ...]:
    tags = item.get("in_segments")
    return tuple(tags["SS"]) if tags else ()


def _found(item: _Item) -> Found:
    address = item.get("address_key")
    return Found(item["customer_key"]["S"], item["customer_id"]["S"], address["S"] if address else None)
