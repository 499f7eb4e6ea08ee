"""What the service costs a month on AWS, counted from what its runs were measured to ask for.

    python -m infra.bench.costs

Prices are data below, with their date and region; so is what was measured. Everything between is plain arithmetic.
Free tiers are left out: what a small account pays is less.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass

from chalicelib.mailchimp.push import MOST_MEMBERS_A_CALL
from infra.standins.mailchimp.traffic import Latency

# List prices in US dollars. Check them before you rely on the sum: AWS changes them, and other regions cost more.
PRICES_DATE, PRICES_REGION = "November 2025", "us-east-1"
PRICES_OF = f"{PRICES_REGION}, {PRICES_DATE}, list prices as commonly known then; not read from AWS"
WRITE_UNIT = 0.625e-6  # DynamoDB on demand, 1 KB
READ_UNIT = 0.125e-6  # DynamoDB on demand, 4 KB strongly consistent
GB_STORED = 0.25 + 0.20  # DynamoDB, a month: the table, and its continuous backup
FUNCTION_GB_SECOND = 0.0000133334  # Lambda, arm64
FUNCTION_CALL = 0.20e-6
QUEUE_REQUEST = 0.50e-6  # SQS FIFO
API_REQUEST = 3.50e-6  # API Gateway, REST
SECRET = 0.40  # Secrets Manager, a month
SECRET_READ = 5.0e-6
KEY = 1.00  # KMS, a month: the one that seals what webhooks are signed with
KEY_CALL = 3.0e-6
GB_LOGGED = 0.50  # CloudWatch Logs, written
METRIC = 0.30  # CloudWatch, a month
ALARM = 0.10

# Measured on the local stack with 2,000 customers on 23 November 2026: each call of the sync's functions was noted and
# charged by DynamoDB's rules for sizes (python -m infra.bench.meter). Read units count strongly consistent reads whole.
MEASURED_CUSTOMERS = 2_000
STORED_BYTES = 3_669_914 + 8_658 * 100  # all tables after the first sync; DynamoDB adds 100 bytes an item


@dataclass(frozen=True, slots=True)
class Job:
    """What one run asks for. `each_` is a customer of the department, or a changed one where it says so."""

    writes: float = 0.0
    reads: float = 0.0
    steps: float = 0.0  # messages, each an invocation of sync_worker
    secret_reads: float = 0.0
    short_calls: float = 0.0  # pages and questions to Mailchimp (0.3 s) and PracBill (taken for the same)
    each_short_call: float = 0.0
    each_write: float = 0.0
    each_read: float = 0.0
    each_pushed: float = 0.0  # members that go out in bulk calls
    each_cpu_seconds: float = 0.0


# Pages are of 500 customers (PracBill) and of 1,000 members (Mailchimp).
# The first sync writes customers, members, records and the ledger; four in five customers can be pushed.
FIRST = Job(
    writes=4,
    reads=18,
    steps=6,
    secret_reads=6,
    short_calls=5,
    each_short_call=1 / 500,
    each_write=4.40,
    each_read=2.00,
    each_pushed=0.80,
    each_cpu_seconds=0.0033,
)
# An incremental run without changes: all of it is fixed.
UNCHANGED = Job(writes=16, reads=34, steps=6, secret_reads=4, short_calls=5)
# What one changed customer adds to it: the copy, the document, the push, marks set and taken, a record.
CHANGED = Job(each_write=9.25, each_read=6.20, each_pushed=1.0, each_cpu_seconds=0.0033)
# A full run without changes reads everything again, and writes 256 shards of who is reached and records of the refused.
FULL = Job(
    writes=276,
    reads=35,
    steps=6,
    secret_reads=4,
    short_calls=4,
    each_short_call=1 / 500 + 1 / 1000,
    each_write=0.175,
    each_read=2.28,
    each_cpu_seconds=0.0007,
)
# Segments are reckoned in one reading of all customers, as small items and eventually consistent, whatever their number
# (python -m infra.bench.units). It is counted for each run, though a run without changes needs it only once a day.
READING = Job(each_read=0.07, each_cpu_seconds=0.00006)
# A segment costs each run one question to Mailchimp at most; a changed customer goes in or out of one of them.
EACH_SEGMENT = Job(reads=1, writes=1, short_calls=1)
MEMBERSHIP = Job(each_write=2.0, each_read=1.0)


@dataclass(frozen=True, slots=True)
class Month:
    """A month of a department, and what all share. The first eight are assumptions; change them to yours."""

    customers: int = 10_000
    segments: int = 10
    changed_a_day: float = 0.01  # of the customers
    incremental_runs: int = 180  # SYNC_SCHEDULE rate(4 hours), thirty days
    full_runs: int = 1
    api_requests: int = 1_000  # staff at work; each is one invocation
    webhook_events: int = 50  # half a percent of the members opts out, changes an address, bounces
    days: int = 30


MONTH = Month()
# Assumptions about time and size that the local stack cannot tell of AWS.
STEP_SECONDS = 0.3  # what a step takes beside its calls
API_SECONDS = 0.25
EVENT_SECONDS = 1.0  # asks Mailchimp for the member, tells PracBill
# In whole units: consent state, ledger, log entry, the event itself; state, department, the webhook's record.
EVENT_WRITES, EVENT_READS = 8, 9
LOG_BYTES_A_CALL = 1_500  # Lambda's own three lines, and one or two of ours
# Lambda watches a queue with five long polls of 20 s (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS").
POLLS_A_MONTH = 3 * 5 * 3 * 60 * 24 * 30
SWEEPS_A_MONTH = 12 * 24 * 30
DEPARTMENT_BYTES = 1_300
ALARMS = 18
METRICS = 15  # names that the service counts, and the three that filters count for the stage


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill, in dollars."""

    what: str
    dollars: float
    why: str


def job_cost(job: Job, each: float) -> float:
    """A run's cost in dollars, for `each` customers that its `each_` parts count."""
    pushed = job.each_pushed * each
    bulk_calls = pushed / MOST_MEMBERS_A_CALL
    latency = Latency()
    steps = job.steps + bulk_calls
    seconds = (
        bulk_calls * latency.bulk_base
        + pushed * latency.bulk_per_member
        + (job.short_calls + job.each_short_call * each) * latency.single
        + steps * STEP_SECONDS
        + job.each_cpu_seconds * each
    )
    return (
        (job.writes + job.each_write * each) * WRITE_UNIT
        + (job.reads + job.each_read * each) * READ_UNIT
        + steps * 4 * QUEUE_REQUEST  # sent, received, held, deleted; a step of more than ten seconds is held again
        + steps * (FUNCTION_CALL + LOG_BYTES_A_CALL * GB_LOGGED / 1e9)
        + seconds * FUNCTION_GB_SECOND  # sync_worker has one GB
        + job.secret_reads * SECRET_READ
    )


def first_sync(customers: int = MONTH.customers) -> float:
    """What a department's first sync costs, once."""
    return job_cost(FIRST, customers)


def bill(departments: int, month: Month = MONTH) -> list[Line]:
    """A month's bill for so many departments of the same size."""
    changed = month.customers * month.changed_a_day * month.days
    runs = month.incremental_runs * job_cost(UNCHANGED, 0) + job_cost(CHANGED, changed)
    runs += month.full_runs * job_cost(FULL, month.customers)
    all_runs = month.incremental_runs + month.full_runs
    segments = 0.0
    if month.segments:
        segments = all_runs * (job_cost(READING, month.customers) + month.segments * job_cost(EACH_SEGMENT, 0))
        segments += job_cost(MEMBERSHIP, changed)
    stored = STORED_BYTES / MEASURED_CUSTOMERS * month.customers / 1e9
    return [
        Line("secrets kept", (departments + 1) * SECRET, "a key for Mailchimp a department, our token for PracBill"),
        Line("runs", departments * runs, f"{month.incremental_runs} incremental, {month.full_runs} full"),
        Line("segments", departments * segments, f"{month.segments} of them, looked at by each run"),
        Line("tables", departments * stored * GB_STORED, "stored, with point-in-time recovery"),
        Line("webhook events", departments * month.webhook_events * _event_cost(), f"{month.webhook_events} each"),
        Line("API", departments * month.api_requests * _request_cost(), f"{month.api_requests:,} requests each"),
        Line("KMS key", KEY, "seals what webhooks are signed with"),
        Line("watching queues", POLLS_A_MONTH * QUEUE_REQUEST, "Lambda's polls of three queues, used or not"),
        Line("sweeper", SWEEPS_A_MONTH * _sweep_cost(departments), "every five minutes, all departments"),
        Line("alarms, metrics", ALARMS * ALARM + METRICS * METRIC, "the first three dashboards are free"),
    ]


def _event_cost() -> float:
    """Through the gateway, the webhook's function, the queue, the event worker."""
    functions = (
        2 * (FUNCTION_CALL + LOG_BYTES_A_CALL * GB_LOGGED / 1e9) + 0.5 * (0.1 + EVENT_SECONDS) * FUNCTION_GB_SECOND
    )
    return (
        API_REQUEST
        + functions
        + 4 * QUEUE_REQUEST
        + KEY_CALL  # the record is opened once a process
        + SECRET_READ  # the department's key, once a minute and process
        + EVENT_WRITES * WRITE_UNIT
        + EVENT_READS * READ_UNIT
    )


def _request_cost() -> float:
    lines = LOG_BYTES_A_CALL * GB_LOGGED / 1e9
    return API_REQUEST + FUNCTION_CALL + lines + API_SECONDS * FUNCTION_GB_SECOND + 5 * READ_UNIT


def _sweep_cost(departments: int) -> float:
    read = departments * DEPARTMENT_BYTES / 4096 * READ_UNIT
    seconds = 0.3 + departments * 0.001
    return read + FUNCTION_CALL + LOG_BYTES_A_CALL * GB_LOGGED / 1e9 + 0.5 * seconds * FUNCTION_GB_SECOND


def of_one_more(month: Month = MONTH) -> list[Line]:
    """What a department adds to the bill, the dearest first."""
    lines = [
        Line(more.what, more.dollars - less.dollars, more.why)
        for less, more in zip(bill(1, month), bill(2, month), strict=True)
    ]
    return sorted((line for line in lines if line.dollars), key=lambda line: -line.dollars)


def _what_dominates() -> str:
    lines = of_one_more()
    together = sum(line.dollars for line in lines)
    shares = ", ".join(f"{line.what} {line.dollars / together:.0%}" for line in lines[:3])
    return f"A department more costs {together:.2f} dollars a month: {shares}."


def table(sizes: Iterable[int] = (1, 50, 1_000)) -> str:
    """The bills side by side, as a Markdown table."""
    numbers = list(sizes)
    bills = [bill(number) for number in numbers]
    heads = " | ".join(f"{number:,} department{'s' if number > 1 else ''}" for number in numbers)
    rows = [
        f"| {lines[0].what} | " + " | ".join(f"{line.dollars:,.2f}" for line in lines) + f" | {lines[0].why} |"
        for lines in zip(*bills, strict=True)
    ]
    totals = " | ".join(f"**{sum(line.dollars for line in lines):,.2f}**" for lines in bills)
    return "\n".join(
        [
            f"US dollars a month, {MONTH.customers:,} customers and {MONTH.segments} segments a department, "
            f"{MONTH.changed_a_day:.0%} of them changed a day, {MONTH.incremental_runs // MONTH.days} runs a day.",
            f"Prices: {PRICES_OF}.",
            "",
            f"| | {heads} | |",
            "| --- |" + " ---: |" * len(numbers) + " --- |",
            *rows,
            f"| **together** | {totals} | |",
            "",
            _what_dominates(),
            f"A department's first sync costs {first_sync():.3f} dollars, once.",
            "",
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(table())
