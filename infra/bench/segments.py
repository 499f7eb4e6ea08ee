"""How fast the segment engine is: `python -m infra.bench.segments [customers]`.

On AWS's DynamoDB Local with 100,000 customers in one department: the preview of a segment of three rules (count and
sample of ten) as the service asks for it, against reading every customer and filtering here. Each in a process of its
own, so that peak memory is its own too; the best of five rounds, for other work on the machine only ever adds. Takes
about three minutes.

Reading is measured with the AWS SDK as it comes, which is how anybody would read, and with items that pass through it
untouched as in our own reads (store/wire.py), which saves half of the time.

The engine is measured with one request at a time and with eight, as the service asks. AWS answers them at the same
time; DynamoDB Local hardly does, so here eight gain nothing, and on busy cores they get into each other's way.

Then a thousand customers change, and the segments phase of a run brings ten segments to Mailchimp's stand-in; and what
staff wait for is asked (bench_segment_runs.py).
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from chalicelib.domain.segments.filterable import sample_from_document
from chalicelib.domain.segments.rules import matches, matching
from chalicelib.domain.segments.validation import check_rules
from chalicelib.store.batches import Item, query
from chalicelib.store.customer_keys import RANGE_KEY, buckets_of
from chalicelib.store.filterable_attributes import from_attributes
from infra.bench.department import DEPARTMENT, TODAY
from infra.bench.meters import peak_kilobytes
from tests import dynamodb_local
from tests.store.customers_table import TABLE, CustomersTable, connect

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
    # Not for those that are measured apart: what it imports would count as their memory.
    from infra.bench.segment_runs import bench_running

    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    os.environ.update(dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "bench"))
    os.environ["AWS_DEFAULT_REGION"] = "eu-central-1"
    with dynamodb_local.running(heap_megabytes=512) as endpoint, bench_running(endpoint, customers) as bench:
        print(bench.fill(), flush=True)
        measured = {way: _apart(way, endpoint) for way in _WAYS}
        figures = [*bench.run_phase(), *bench.ask()]
    answers = [each.answer for each in measured.values()]
    if any(answer != answers[0] for answer in answers):
        raise SystemExit(f"the ways do not agree: {answers}")
    print(f"matching: {answers[0].matching}; all ways give the same count and the same sample")
    rival = measured["reading"].seconds
    for way, each in measured.items():
        print(
            f"{way:>17}: {each.seconds:6.2f} s, {rival / each.seconds:4.1f} times as fast as reading,"
            f" peak memory {each.megabytes:.0f} MB"
        )
    for figure in figures:
        print(figure)


def _apart(way: str, endpoint: str) -> Measured:
    """Measures one way in a fresh process."""
    command = [sys.executable, "-m", "infra.bench.segments", way, endpoint]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    (count, sample), seconds, megabytes = json.loads(done.stdout)
    return Measured(Answer(count, sample), seconds, megabytes)


def _measure(way: Callable[[], Answer]) -> Measured:
    times = []
    for _ in range(ROUNDS):
        started = time.monotonic()
        answer = way()
        times.append(time.monotonic() - started)
    # Not getrusage: its peak is also that of the process that started this one.
    kilobytes = peak_kilobytes(os.getpid())
    return Measured(answer, min(times), kilobytes / 1024 if kilobytes else math.nan)


def _by_engine(table: CustomersTable, *, concurrency: int = 1) -> Answer:
    asked = table.query(DEPARTMENT, concurrency=concurrency)
    selection = matching(RULES, TODAY)
    return Answer(asked.count(selection), [sample.id for sample in asked.first(selection, SAMPLE)])


def _by_reading(table: CustomersTable) -> Answer:
    """Reads bucket by bucket; each is in order by itself."""
    count = 0
    sample: list[tuple[str, str]] = []
    for bucket in buckets_of(DEPARTMENT):
        found = 0
        for item in _everybody(table, bucket):
            if matches(RULES, from_attributes(item), TODAY):
                count += 1
                found += 1
                if found <= SAMPLE:
                    sample.append((item[RANGE_KEY]["S"], sample_from_document(item["sample"]["S"]).id))
    return Answer(count, [id for _, id in sorted(sample)[:SAMPLE]])


def _everybody(table: CustomersTable, bucket: str) -> Iterator[Item]:
    values = {":bucket": {"S": bucket}}
    return query(
        table.client,
        TableName=TABLE,
        KeyConditionExpression="department_bucket = :bucket",
        ExpressionAttributeValues=values,
    )


_WAYS: dict[str, Callable[[CustomersTable], Answer]] = {
    "engine": _by_engine,
    "engine, 8 at once": partial(_by_engine, concurrency=8),
    "reading": _by_reading,
    "reading untouched": _by_reading,
}

if __name__ == "__main__":
    if len(sys.argv) > 2:
        way, endpoint = sys.argv[1:]
        print(json.dumps(_measure(partial(_WAYS[way], connect(endpoint, as_it_comes=way == "reading")))))
    else:
        main()
