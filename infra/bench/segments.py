"""How fast the segment engine is: `python -m infra.bench.segments [customers]`.

On AWS's DynamoDB Local with 100,000 customers in one department: the preview of a segment of three rules (count, each
rule alone, sample of ten) in one reading as the service does it. Each way in a process of its own, so that peak memory
is its own too; the best of five rounds, for other work on the machine only ever adds. Takes about three minutes.

It is measured with one request at a time and with eight, as the service asks (AWS answers them at the same time;
DynamoDB Local hardly does), and with the AWS SDK as it comes, which rebuilds every value (store/wire.py).

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
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from chalicelib.config import settings
from chalicelib.domain.segments.evaluation import PreviewCounts
from chalicelib.domain.segments.validation import check_rules
from infra.bench.department import DEPARTMENT, TODAY
from infra.bench.meters import peak_kilobytes
from tests import dynamodb_local
from tests.store.customers_table import CustomersTable, connect

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
    with (
        dynamodb_local.running(heap_megabytes=512, is_long=True) as endpoint,
        bench_running(endpoint, customers) as bench,
    ):
        print(bench.fill(), flush=True)
        measured = {way: _apart(way, endpoint) for way in _WAYS}
        figures = [*bench.run_phase(), *bench.ask()]
    answers = [each.answer for each in measured.values()]
    if any(answer != answers[0] for answer in answers):
        raise SystemExit(f"the ways do not agree: {answers}")
    print(f"matching: {answers[0].matching}; all ways give the same count and the same sample")
    rival = measured["SDK as it comes"].seconds
    for way, each in measured.items():
        print(
            f"{way:>17}: {each.seconds:6.2f} s, {rival / each.seconds:4.1f} times as fast as the SDK as it comes,"
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


def _preview(table: CustomersTable, *, concurrency: int = 1) -> Answer:
    counts = PreviewCounts(RULES, TODAY, per_rule=True, sample_size=SAMPLE)
    for row in table.reader(DEPARTMENT, concurrency=concurrency).rows():
        counts.add(row, lambda: False)
    return Answer(counts.matching.count, [sample.id for sample in counts.matching.first])


_WAYS: dict[str, Callable[[CustomersTable], Answer]] = {
    "preview": _preview,
    "preview, 8 at once": partial(_preview, concurrency=8),
    "SDK as it comes": _preview,
}

if __name__ == "__main__":
    if len(sys.argv) > 2:
        way, endpoint = sys.argv[1:]
        table = connect(endpoint, as_it_comes=way == "SDK as it comes", table=settings().table("customers"))
        print(json.dumps(_measure(partial(_WAYS[way], table))))
    else:
        main()
