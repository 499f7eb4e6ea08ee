"""How fast the segment engine is: `python -m infra.bench_segments [customers]`.

On AWS's DynamoDB Local with 100,000 customers in one department: the preview of a segment of three rules (count and
sample of ten) as the service asks for it, against reading every customer and filtering here. Each in a process of its
own, so that peak memory is its own too; the best of five rounds, for other work on the machine only ever adds. Takes
about three minutes.

The engine is measured with one request at a time and with eight, as the service asks. AWS answers them at the same
time; DynamoDB Local hardly does, so here eight gain nothing, and on busy cores they get into each other's way.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from itertools import chain, islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from chalicelib.domain.customers import Address, Customer, customer_key
from chalicelib.domain.filterable import filterable, sample_from_document
from chalicelib.domain.key_ranges import KeyRange, SplitPoints, key_ranges
from chalicelib.domain.segment_rules import check_rules
from chalicelib.domain.segments import matches, matching
from chalicelib.store.batches import Item, query
from chalicelib.store.filterable_attributes import from_attributes
from chalicelib.store.segment_query import key_condition
from tests import dynamodb_local
from tests.store.customers_table import TABLE, CustomersTable, Stored, connect, create_table

TODAY = date(2026, 7, 15)
ZONE = ZoneInfo("Australia/Melbourne")
DEPARTMENT = "bench"
SAMPLE = 10
ROUNDS = 5
RULES = check_rules(
    [
        {"field": "state", "operator": "equals", "value": "VIC"},
        {"field": "inactive", "operator": "does_not_equal", "value": "1"},
        {"field": "has_invoice_in_last_months", "operator": "is_not", "value": 6},
    ]
)


class Answer(NamedTuple):
    """What a preview shows: how many match, and the ids of the first ones."""

    matching: int
    sample: list[str]


class Measured(NamedTuple):
    """One way: its answer, the time of its best round and the process's peak memory."""

    answer: Answer
    seconds: float
    megabytes: float


def main() -> None:
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    os.environ.update(dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "bench"))
    os.environ["AWS_DEFAULT_REGION"] = "eu-central-1"
    with dynamodb_local.running(heap_megabytes=512) as endpoint:
        points, seconds = _store(create_table(endpoint), customers)
        print(f"stored {customers} customers in {seconds:.0f} s, {len(points) + 1} stretches")
        measured = {way: _apart(way, endpoint, points) for way in _WAYS}
    answers = [each.answer for each in measured.values()]
    if any(answer != answers[0] for answer in answers):
        raise SystemExit(f"the ways do not agree: {answers}")
    print(f"matching: {answers[0].matching}; all ways give the same count and the same sample")
    slowest = measured["reading"].seconds
    for way, each in measured.items():
        print(
            f"{way:>17}: {each.seconds:6.2f} s, {slowest / each.seconds:4.1f} times as fast as reading,"
            f" peak memory {each.megabytes:.0f} MB"
        )


def _store(table: CustomersTable, count: int) -> tuple[tuple[str, ...], float]:
    started = time.monotonic()
    points = SplitPoints()
    stream = _customers(count)
    while part := list(islice(stream, 1_000)):
        table.store(DEPARTMENT, part)
        points = points.with_keys(customer_key(each.id) for each in part)
    return points.points, time.monotonic() - started


def _customers(count: int) -> Iterator[Stored]:
    """Made-up customers, the same ones every time."""
    chance = random.Random(7)  # noqa: S311 - nothing secret
    for number in range(1, count + 1):
        customer = Customer(
            id=str(number),
            updated_at="2026-07-01T00:00:00Z",
            email=f"person.{number}@practice{number % 900}.example",
            company_name=f"{chance.choice(['Acme', 'Harbour', 'Summit', 'Wattle'])} Health {number} Pty Ltd",
            first_name=chance.choice(["Alex", "Kim", "Sam"]),
            last_name=f"Person{number}",
            address=Address(
                city=chance.choice(["Melbourne", "Geelong", "Sydney", "Perth"]),
                state=chance.choice(["VIC", "vic", "NSW", "WA", "QLD", ""]),
                postcode=f"{chance.randrange(200, 9999):04d}",
                country="AU",
            ),
            inactive=chance.choice("00001"),
            status=chance.choice(["Active", "On hold"]),
            customer_type=chance.choice(["Business", "Private"]),
            created_at=_moment(chance, 2_000),
            last_invoice_at=_moment(chance, 500) if chance.random() < 0.9 else "",
            balance=f"{chance.uniform(-100, 2_000):.2f}",
        )
        yield Stored(customer.id, filterable(customer, ZONE), f"{number:032x}", customer=customer)


def _moment(chance: random.Random, days: int) -> str:
    return f"{TODAY - timedelta(days=chance.randrange(days))}T{chance.randrange(24):02d}:30:00Z"


def _apart(way: str, endpoint: str, points: tuple[str, ...]) -> Measured:
    """Measures one way in a fresh process."""
    command = [sys.executable, "-m", "infra.bench_segments", way, endpoint, *points]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    (count, sample), seconds, megabytes = json.loads(done.stdout)
    return Measured(Answer(count, sample), seconds, megabytes)


def _measure(way: Callable[[], Answer]) -> Measured:
    times = []
    for _ in range(ROUNDS):
        started = time.monotonic()
        answer = way()
        times.append(time.monotonic() - started)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(answer, min(times), megabytes)


def _by_engine(table: CustomersTable, points: tuple[str, ...], *, side_by_side: int = 1) -> Answer:
    asked = table.query(DEPARTMENT, split_points=points, side_by_side=side_by_side)
    selection = matching(RULES, TODAY)
    return Answer(asked.count(selection), [sample.id for sample in asked.first(selection, SAMPLE)])


def _by_reading(table: CustomersTable, points: tuple[str, ...]) -> Answer:
    """Reads stretch by stretch: one long Query is slower on DynamoDB Local than its length tells."""
    count = 0
    sample: list[str] = []
    for item in chain.from_iterable(_everybody(table, stretch) for stretch in key_ranges(points)):
        if matches(RULES, from_attributes(item), TODAY):
            count += 1
            if len(sample) < SAMPLE:
                sample.append(sample_from_document(item["sample"]["S"]).id)
    return Answer(count, sample)


def _everybody(table: CustomersTable, stretch: KeyRange) -> Iterator[Item]:
    keys, values = key_condition(stretch)
    values[":department"] = {"S": DEPARTMENT}
    return query(table.client, TableName=TABLE, KeyConditionExpression=keys, ExpressionAttributeValues=values)


_WAYS: dict[str, Callable[[CustomersTable, tuple[str, ...]], Answer]] = {
    "engine": _by_engine,
    "engine, 8 at once": partial(_by_engine, side_by_side=8),
    "reading": _by_reading,
}

if __name__ == "__main__":
    if len(sys.argv) > 2:
        way, endpoint, *points = sys.argv[1:]
        print(json.dumps(_measure(partial(_WAYS[way], connect(endpoint), tuple(points)))))
    else:
        main()
