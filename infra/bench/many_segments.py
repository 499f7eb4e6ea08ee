"""The segments phase at its limits: `python -m infra.bench.many_segments [customers] [segments]`.

Without numbers 66,000 customers are held against 100 segments of 20 rules each, 19 of which hold for nearly everybody,
so that nothing is saved by looking at fewer. On AWS's DynamoDB Local; the phase runs in a process of its own, message
after message, each with the 300 seconds of a function by the real clock, against Mailchimp's stand-in, which answers at
once. First all segments are new, then a day has passed and all customers are held against them again. A message that
takes longer than its function may ends the benchmark, and so does a tag that is not where it should be. Every message
tells its seconds and its peak memory. Takes half an hour on a machine that does nothing else.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from infra.bench.department import DEPARTMENT, NOON, BenchDepartment, Person, connected_department, people
from infra.bench.meters import NoMeter, peak_kilobytes
from infra.standins.mailchimp import Latency, MailchimpStandIn
from tests import dynamodb_local

CUSTOMERS, SEGMENTS = 66_000, 100
FUNCTION_SECONDS = 300.0
_RULES = 20
_WIDTH = 300  # of the postcodes between 200 and 9999 that a segment asks for
_IMPORTED_AT_ONCE = 5_000
# Written into clear_refs it makes the present memory the new peak (Linux, proc(5)).
_FORGET, _PEAK = Path("/proc/self/clear_refs"), "5"


class Server(NamedTuple):
    """What the service asks of the stand-in for Mailchimp, which runs in another process."""

    url: str
    api_key: str


def main(arguments: list[str]) -> None:
    numbers = [int(argument.replace(",", "").replace("_", "")) for argument in arguments]
    customers, segments = [*numbers, *(CUSTOMERS, SEGMENTS)[len(numbers) :]]
    os.environ.update(dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "bench"))
    os.environ["AWS_DEFAULT_REGION"] = "eu-central-1"
    with (
        dynamodb_local.running(heap_megabytes=1024) as endpoint,
        MailchimpStandIn(latency=Latency.none()) as mailchimp,
    ):
        os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = endpoint
        audience_id = _prepare(mailchimp, customers, segments)
        for day, name in enumerate(("all segments are new", "the first run of the next day")):
            print(f"\n{customers:,} customers, {segments} segments of {_RULES} rules: {name}", flush=True)
            mailchimp.control.reset_journal()
            _run_apart(Server(mailchimp.url, mailchimp.api_key), day)
            calls = mailchimp.control.journal(limit=0)["calls"]
            writes = sum(call["count"] for call in calls if call["method"] != "GET")
            print(f"  {writes:,} calls that write to Mailchimp", flush=True)
            _compare(mailchimp, audience_id, customers, segments)


def _run_apart(server: Server, day: int) -> None:
    """The phase as a function does it: what a benchmark holds besides would count as its memory."""
    subprocess.run([sys.executable, "-m", "infra.bench.many_segments", "run", *server, str(day)], check=True)


# ------------------------------------------------------------------------------------------------------- preparing


def _prepare(mailchimp: MailchimpStandIn, customers: int, segments: int) -> str:
    """A department after a full sync, whose segments nobody has brought to Mailchimp yet."""
    from chalicelib.store.aws import dynamodb
    from chalicelib.store.customer_keys import HASH_KEY, RANGE_KEY
    from chalicelib.store.models import DepartmentItem, LogItem, RunItem, SegmentItem

    audience_id = str(mailchimp.control.create_audience("Bench")["audience_id"])
    service = _service(Server(mailchimp.url, mailchimp.api_key), NOON)
    tables = [service.env.table(name) for name in ("customers", "members")]
    for name, pk, sk in ((tables[0], HASH_KEY, RANGE_KEY), (tables[1], "shard", "sk")):
        dynamodb().create_table(
            TableName=name,
            KeySchema=[{"AttributeName": pk, "KeyType": "HASH"}, {"AttributeName": sk, "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in (pk, sk)],
            BillingMode="PAY_PER_REQUEST",
        )
    for model in (DepartmentItem, SegmentItem, RunItem, LogItem):
        model.create_table(wait=False)
    print(f"storing {customers:,} customers ...", file=sys.stderr, flush=True)
    BenchDepartment(dynamodb(), tables[0], tables[1], audience_id).fill(customers)
    rows = [{"email_address": one.customer.email, "status": one.status} for one in _members(customers)]
    for start in range(0, len(rows), _IMPORTED_AT_ONCE):
        mailchimp.control.admin_import(rows[start : start + _IMPORTED_AT_ONCE], audience_id=audience_id)
    _connect(service, audience_id, segments)
    return audience_id


def _members(customers: int) -> Iterator[Person]:
    return (person for person in people(customers) if person.customer.email and person.status)


def _connect(service: Any, audience_id: str, segments: int) -> None:
    from chalicelib.domain.segments.segment import Segment

    service.stores.departments.add(connected_department(audience_id))
    for number in range(segments):
        service.stores.segments.add(
            Segment(DEPARTMENT, f"s{number:03d}", _name(number), _rules(number), created_at=NOON, created_by="bench")
        )


def _name(number: int) -> str:
    return f"Part {number}"


def _first_postcode(number: int) -> int:
    return 200 + 93 * number


def _rules(number: int) -> Any:
    """Seventeen rules that hold for everybody, and three that choose."""
    from chalicelib.domain.segments.validation import check_rules

    asked = [
        (field, operator, f"nobody {number} {turn}")
        for turn in range(_RULES)
        for field in ("company_name", "city", "email")
        for operator in ("does_not_contain", "does_not_equal", "does_not_start_with")
    ]
    low = _first_postcode(number)
    chosen: list[tuple[str, str, object]] = [
        ("inactive", "equals", "0"),
        ("postcode", "greater_than", low),
        ("postcode", "less_than", low + _WIDTH),
    ]
    rules = [*asked[: _RULES - len(chosen)], *chosen]
    return check_rules([{"field": field, "operator": operator, "value": value} for field, operator, value in rules])


def _compare(mailchimp: MailchimpStandIn, audience_id: str, customers: int, segments: int) -> None:
    """Mailchimp's tags are where the three rules that choose say, or the figures mean nothing."""
    wanted: dict[str, set[str]] = {_name(number): set() for number in range(segments)}
    for person in _members(customers):
        postcode, address = int(person.customer.address.postcode), person.customer.email.lower()
        for number in range(segments) if person.customer.inactive == "0" else ():
            if _first_postcode(number) < postcode < _first_postcode(number) + _WIDTH:
                wanted[_name(number)].add(address)
    carried: dict[str, set[str]] = {name: set() for name in wanted}
    for member in mailchimp.control.members(audience_id):
        for name in member["tag_names"]:
            carried[name].add(member["email_address"].lower())
    wrong = [name for name in wanted if wanted[name] != carried[name]]
    if wrong:
        raise SystemExit(f"{len(wrong)} segments have other members than they should, {wrong[0]} among them")
    print(f"  {sum(map(len, carried.values())):,} tags, all where they should be", flush=True)


# --------------------------------------------------------------------------------------------------------- running


def _service(server: Server, now: datetime) -> Any:
    from chalicelib.foundations import Seams
    from infra.bench.messages import Messages
    from infra.standins.service import ConnectedService

    seams = Seams(clock=lambda: now, request_time=lambda: FUNCTION_SECONDS, meter=NoMeter())
    service = ConnectedService(server, None, seams)  # type: ignore[arg-type]  # its address and key are all it asks for
    service.stores.queue = Messages()  # type: ignore[assignment]  # all that is asked of a queue here
    return service


def _run(server: Server, day: int) -> None:
    """One run's segments phase, message after message, each told with what it took."""
    from chalicelib.domain.runs import Run

    now = NOON + timedelta(days=day)
    service = _service(server, now)
    department = service.stores.departments.get(DEPARTMENT)
    phase, runs, queue = service.segments_phase, service.stores.runs, service.stores.queue
    run: Run | None = Run(DEPARTMENT, f"run-{day}", "incremental", "manual", now, phase="segments")
    assert run is not None
    runs.add(run)
    functions = Functions()
    while run is not None:
        with functions.message("step") as remaining:
            run = phase.step(run, department, remaining)
        while run is not None and queue.waiting:
            number = queue.waiting.popleft().number
            with functions.message(f"share {number}") as remaining:
                run = phase.shares.apply(run, department, number, remaining)
    print(f"  {functions}", flush=True)


class Functions:
    """What the functions took that worked on the messages of a run."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._megabytes: list[float] = []

    @contextmanager
    def message(self, name: str) -> Iterator[Callable[[], float]]:
        """A message's time; ends the benchmark where AWS would have ended the function."""
        if _FORGET.exists():
            _FORGET.write_text(_PEAK)
        began, cpu = time.monotonic(), time.process_time()
        yield lambda: FUNCTION_SECONDS - (time.monotonic() - began)
        seconds, cpu = time.monotonic() - began, time.process_time() - cpu
        self._seconds.append(seconds)
        self._megabytes.append((peak_kilobytes(os.getpid()) or 0) / 1024)
        print(f"    {name}: {seconds:.0f} s, own CPU {cpu:.0f} s, {self._megabytes[-1]:.0f} MB", flush=True)
        if seconds > FUNCTION_SECONDS:
            raise SystemExit(f"the function of this message would have died: {seconds:.0f} s")

    def __str__(self) -> str:
        memory = f"peak memory {min(self._megabytes):.0f} to {max(self._megabytes):.0f} MB"
        count, longest = len(self._seconds), max(self._seconds)
        return f"{count} messages, {sum(self._seconds):.0f} s in all, the longest {longest:.0f} s, {memory}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        _run(Server(*sys.argv[2:4]), int(sys.argv[4]))
    else:
        main(sys.argv[1:])
