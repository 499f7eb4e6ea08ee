"""The segments phase of a run at scale, and the answers that staff wait for: part of `python -m infra.bench.segments`.

On DynamoDB Local with a department as it is after a full sync (bench_department.py). A thousand customers change; then
the phase itself is run as in production, against the stand-in for Mailchimp, which answers at once: what Mailchimp
takes comes on top, once for each call. Every figure has the time of this process's own processor beside it, for the
database's is the same machine's.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from infra.bench.department import (
    DEPARTMENT,
    NOON,
    SEGMENTS,
    ZONE,
    BenchDepartment,
    Person,
    connected_department,
    people,
    tags_of,
)
from infra.bench.messages import Messages
from infra.standins.mailchimp import Latency, MailchimpStandIn

if TYPE_CHECKING:
    from chalicelib.domain.customers import Customer
    from chalicelib.domain.departments import Department

Result = TypeVar("Result")
CHANGED = 1_000
_A_CALL = 500
_PLENTY = 290.0


class Figure(NamedTuple):
    """One thing that was measured, with the seconds it took and those of this process's processor."""

    name: str
    seconds: float
    own_cpu: float
    words: str = ""

    def __str__(self) -> str:
        return f"{self.name:>40}: {self.seconds:6.2f} s, own CPU {self.own_cpu:5.2f} s{self.words}"


@contextmanager
def bench_running(endpoint: str, customers: int) -> Iterator[Bench]:
    """A benchmark on a server without tables."""
    os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = endpoint
    with MailchimpStandIn(latency=Latency.none()) as mailchimp:
        yield Bench(mailchimp, customers)


class Bench:
    """Joined as in production, over tables and a stand-in of its own."""

    def __init__(self, mailchimp: MailchimpStandIn, count: int) -> None:
        # Only now: the tables' models are made with the environment.
        from chalicelib.foundations import Seams
        from chalicelib.store.aws import dynamodb
        from chalicelib.store.customer_keys import HASH_KEY, RANGE_KEY
        from chalicelib.store.models import DepartmentItem, LogItem, RunItem, SegmentItem
        from infra.standins.service import ConnectedService

        self._mailchimp, self._count, self._started = mailchimp, count, 0
        self._audience_id = str(mailchimp.control.create_audience("Bench")["audience_id"])
        self._service = ConnectedService(mailchimp, None, Seams(clock=lambda: NOON, request_time=lambda: _PLENTY))
        self._queue = self._service.stores.queue = Messages()  # type: ignore[assignment]  # all that is asked of one here
        customers, members = (self._service.env.table(name) for name in ("customers", "members"))
        for name, pk, sk in ((customers, HASH_KEY, RANGE_KEY), (members, "shard", "sk")):
            dynamodb().create_table(
                TableName=name,
                KeySchema=[{"AttributeName": pk, "KeyType": "HASH"}, {"AttributeName": sk, "KeyType": "RANGE"}],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in (pk, sk)],
                BillingMode="PAY_PER_REQUEST",
            )
        for model in (DepartmentItem, SegmentItem, RunItem, LogItem):
            model.create_table(wait=False)
        self._bench = BenchDepartment(dynamodb(), customers, members, self._audience_id)

    # ------------------------------------------------------------------------------------------------------ measuring

    def fill(self) -> Figure:
        figure, _ = _timed(f"store {self._count:,} customers", lambda: self._bench.fill(self._count))
        return figure

    def run_phase(self) -> list[Figure]:
        """The segments phase after a thousand changes, and once more without any."""
        self._service.stores.departments.add(connected_department(self._audience_id))
        persons = list(islice(people(self._count), 0, self._count, max(1, self._count // CHANGED)))[:CHANGED]
        self._mirror(persons)
        changed = self._bench.change(persons)
        allowed = _calls_allowed(persons, changed)
        figures = []
        for name, most in (
            (f"ten segments, {len(persons):,} customers changed", allowed),
            ("the same, nothing new", 0),
        ):
            self._mailchimp.control.reset_journal()
            figure, _ = _timed(name, self._phase)
            calls = self._mailchimp.control.journal(limit=100_000)["entries"]
            writes = sum(call["method"] != "GET" for call in calls)
            words = f", {writes} calls that write to Mailchimp (at most {most}), {len(calls) - writes} that read"
            figures.append(figure._replace(words=words))
        self._compare(persons, changed)
        return figures

    def ask(self) -> list[Figure]:
        """What staff wait for."""
        reconciliation, told = _timed("reconciliation", lambda: self._service.reconciliation.get(DEPARTMENT))
        assert sum(reason.count for reason in told.reasons) == told.difference
        department = self._department()
        preview, shown = _timed(
            "preview of three rules, each alone too",
            lambda: self._service.previews.preview(department, SEGMENTS["s09"], instead_of=None, per_rule=True),
        )
        wide, reached = _timed(
            "preview of who has no recent invoice",
            lambda: self._service.previews.preview(department, SEGMENTS["s02"], instead_of=None, per_rule=False),
        )
        counted, _ = _timed("count of a new segment", lambda: self._service.previews.count(department, SEGMENTS["s02"]))
        return [
            reconciliation._replace(words=f", {len(told.reasons)} reasons"),
            preview._replace(words=f", {shown.count:,} of {shown.total:,}"),
            wide._replace(words=f", {reached.count:,} match, {reached.reachable_count:,} reached"),
            counted,
        ]

    # -------------------------------------------------------------------------------------------------------- joining

    def _department(self) -> Department:
        department = self._service.stores.departments.get(DEPARTMENT)
        assert department is not None
        return department

    # ---------------------------------------------------------------------------------------------------------- doing

    def _mirror(self, persons: list[Person]) -> None:
        """Mailchimp has the members who will change, with their tags, and every segment has its tag there."""
        from chalicelib.domain.segments.filterable import filterable
        from chalicelib.domain.segments.segment import Segment, Tag

        there = [person for person in persons if person.customer.email and person.status]
        rows = [{"email_address": person.customer.email, "status": person.status} for person in there]
        self._mailchimp.control.admin_import(rows, audience_id=self._audience_id)
        carried: dict[str, set[str]] = {}
        for person in there:
            # Sharers of an address: the member carries the tags of each of them.
            carried.setdefault(person.customer.email, set()).update(tags_of(filterable(person.customer, ZONE)))
        client = self._service.mailchimp_for(self._department(), lambda: _PLENTY)
        for segment_id, rules in SEGMENTS.items():
            made = client.create_static_segment(self._audience_id, f"Segment {segment_id}")
            tagged = [address for address, tags in carried.items() if segment_id in tags]
            for start in range(0, len(tagged), _A_CALL):
                client.change_segment_members(self._audience_id, made.id, add=tagged[start : start + _A_CALL])
            tag = Tag(self._audience_id, made.id, made.name)
            self._service.stores.segments.add(
                Segment(DEPARTMENT, segment_id, made.name, rules, created_at=NOON, created_by="bench", tag=tag)
            )

    def _phase(self) -> None:
        """The segments phase of a run, message after message."""
        from chalicelib.domain.runs import Run

        self._started += 1
        following: Run | None = Run(DEPARTMENT, f"run-{self._started}", "incremental", "manual", NOON, phase="segments")
        assert following is not None
        phase, runs, queue = self._service.segments_phase, self._service.stores.runs, self._queue
        runs.add(following)
        while following is not None:
            following = phase.step(following, self._department(), lambda: _PLENTY)
            while following is not None and queue.waiting:
                # One share after the other: what lanes save is Mailchimp's time, and here it takes none.
                number = queue.waiting.popleft().number
                following = phase.shares.apply(following, self._department(), number, lambda: _PLENTY)

    def _compare(self, persons: list[Person], changed: list[Customer]) -> None:
        """Mailchimp's tags are what the rules say, or the figures mean nothing."""
        from chalicelib.domain.segments.filterable import filterable

        members = self._mailchimp.control.members(self._audience_id)
        carried = {member["email_address"]: sorted(member["tag_names"]) for member in members}
        wanted: dict[str, set[str]] = {}
        for person, customer in zip(persons, changed, strict=True):
            if customer.email and person.status:
                tags = wanted.setdefault(customer.email.lower(), set())
                tags.update(f"Segment {segment_id}" for segment_id in tags_of(filterable(customer, ZONE)))
        wrong = [address for address, tags in wanted.items() if not tags <= set(carried[address])]
        if wrong:
            raise SystemExit(f"{len(wrong)} members do not carry the tags of their segments")


def _calls_allowed(persons: list[Person], changed: list[Customer]) -> int:
    """Changes by five hundred, rounded up, for each segment and direction."""
    from chalicelib.domain.segments.filterable import filterable

    enter, leave = Counter[str](), Counter[str]()
    for person, customer in zip(persons, changed, strict=True):
        before, after = (set(tags_of(filterable(c, ZONE))) for c in (person.customer, customer))
        enter.update(after - before)
        leave.update(before - after)
    return sum(math.ceil(count / _A_CALL) for counts in (enter, leave) for count in counts.values())


def _timed(name: str, work: Callable[[], Result]) -> tuple[Figure, Result]:
    started, cpu = time.monotonic(), time.process_time()
    result = work()
    return Figure(name, time.monotonic() - started, time.process_time() - cpu), result
