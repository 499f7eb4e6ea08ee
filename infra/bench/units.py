"""What the service asks of DynamoDB, in AWS's units: `python -m infra.bench.units [customers ...]`.

Units, calls and bytes do not depend on the machine, so nothing here is a time that was taken. The service is joined as
in production, over AWS's DynamoDB Local, which counts units as AWS does; Mailchimp and PracBill are their stand-ins and
answer at once, and messages are handed over in this process. For each operation: calls, units read and written, the
least time that AWS's limits for a partition key allow, and where that limit lies; for 500,000 customers it is reckoned
from the largest size measured. Without sizes 2,000 and 20,000 are measured, in about four minutes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("STAGE", "units")
os.environ.update(
    dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "bench"), AWS_DEFAULT_REGION="eu-central-1"
)

import boto3
import yaml
from pynamodb.models import Model

from chalicelib.domain.address_status import AddressStatus
from chalicelib.domain.departments import Audience, Connection, Department
from chalicelib.domain.fieldmap import FieldMap
from chalicelib.domain.logs import Record
from chalicelib.domain.runs import Run
from chalicelib.domain.segments.validation import Definition
from chalicelib.foundations import Seams
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.store import models
from chalicelib.store.address_status import AddressStatusStore
from chalicelib.store.aws import dynamodb
from chalicelib.store.logs import LogStore
from chalicelib.store.queue import Step
from infra.bench.consumption import Consumed, ConsumptionMeter
from infra.bench.department import SALT, SEGMENTS
from infra.bench.messages import Messages
from infra.bench.meters import NoMeter
from infra.standins.mailchimp import Latency, MailchimpStandIn
from infra.standins.pracbill import PracBillStandIn
from infra.standins.service import ConnectedService
from tests import dynamodb_local

SIZES = (2_000, 20_000)
RECKONED = 500_000
RECORDS = 12_000
_TABLES = Path(__file__).parent.parent / "deploy" / "resources" / "tables.yaml"
_DEPARTMENT = "bench"
_CHANGED = 100  # one customer in a hundred
_HELD = 6
_PLENTY = 290.0
HEAD = ("operation", "calls", "read units", "write units", "least time", "in table")
PREVIEW = "preview of three rules"
_MOST_RULES = 20
_OF_A_TABLE = ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema", "LocalSecondaryIndexes")
_PLAN = ("pull", "ingest", "plan")


class Clock:
    """The real time, further on by what it was moved."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def move(self, **span: float) -> None:
        self._ahead += timedelta(**span)

    def seconds(self) -> float:
        return self().timestamp()


class Hooks:
    """The audience has our webhook."""

    def repair(self, department: Department, client: MailchimpClient, *, patient: bool = False) -> Department:
        return department


class Service(ConnectedService):
    """The product's own wiring with another queue, and an audience that has our webhook."""

    def __init__(self, mailchimp: MailchimpStandIn, pracbill: PracBillStandIn, clock: Clock) -> None:
        super().__init__(
            mailchimp, pracbill, Seams(clock=clock, sleep=lambda seconds: None, random=lambda: 0.0, meter=NoMeter())
        )
        self.messages = self.stores.queue = Messages()  # type: ignore[assignment]  # all that is asked of a queue here

    @cached_property
    def hooks(self) -> Any:
        return Hooks()


class Figure(NamedTuple):
    """What one operation asked for."""

    name: str
    consumed: Consumed


class Practice:
    """A connected department whose customers are new to the service, and what happens to it."""

    def __init__(
        self, meter: ConsumptionMeter, clock: Clock, mailchimp: MailchimpStandIn, pracbill: PracBillStandIn
    ) -> None:
        self._meter, self._clock, self._mailchimp, self._pracbill = meter, clock, mailchimp, pracbill
        self._service = Service(mailchimp, pracbill, clock)
        self.figures: list[Figure] = []

    def prepare(self, customers: int) -> None:
        audience_id = str(self._mailchimp.control.create_audience("Clients")["audience_id"])
        self._pracbill.add_department(_DEPARTMENT, name="Bench", timezone="Australia/Melbourne", country="AU")
        self._pracbill.generate(customers, department_id=_DEPARTMENT)
        fields = FieldMap(("FNAME", "LNAME", "COMPANY", "PHONE", "ADDRESS"), country="AU")
        now = self._clock()
        self._service.stores.departments.add(
            Department(
                id=_DEPARTMENT,
                name="Bench",
                timezone="Australia/Melbourne",
                country="AU",
                currency="AUD",
                address_salt=SALT,
                connection=Connection("connected", "account-1", "Bench", "us21", "abcd", now),
                audience=Audience(audience_id, "Clients", fields, now),
            )
        )

    def live(self) -> None:
        """The days that are measured."""
        self._clock.move(hours=1)  # no run reads again what was there before the last one
        self._run("first full run", "full")
        self._clock.move(hours=4)
        self._run("next run, 4 hours later", "incremental")
        self._make_segments()
        self._clock.move(hours=4)
        self._run("", "incremental")  # whatever the segments left to do
        self._clock.move(hours=1)
        self._run("incremental run, nothing changed", "incremental")
        self._change()
        self._clock.move(hours=1)
        self._run("incremental run, 1 % changed", "incremental")
        self._clock.move(hours=1)
        self._run("dry run of all customers", "full", dry_run=True)
        self._run("full run, 1 % pushed before", "full")
        self._ask()

    def _make_segments(self) -> None:
        for segment_id, rules in SEGMENTS.items():
            with self._meter.measuring() as consumed:
                self._service.segments.create(_DEPARTMENT, Definition(f"Segment {segment_id}", rules), by="bench")
            self._drain("")
        self.figures.append(Figure("creation of the tenth segment", consumed))

    def _change(self) -> None:
        """Edit one customer in a hundred."""
        ids = [str(one["id"]) for one in self._pracbill.customers(department_id=_DEPARTMENT)]
        for number, customer_id in enumerate(ids[::_CHANGED]):
            self._pracbill.upsert(customer_id, department_id=_DEPARTMENT, first_name=f"Changed {number}")

    def _ask(self) -> None:
        """What staff wait for."""
        three = SEGMENTS["s09"]
        twenty = (three * _MOST_RULES)[:_MOST_RULES]
        segments, segment_id = self._service.segments, self._service.segments.list(_DEPARTMENT)[0].id
        self._measure(PREVIEW, lambda: segments.preview(_DEPARTMENT, three, segment_id=None, per_rule=False))
        self._measure(
            "preview of 20 rules, each alone, and of changes",
            lambda: segments.preview(_DEPARTMENT, twenty, segment_id=segment_id, per_rule=True),
        )
        self._measure("reconciliation", lambda: self._service.reconciliation.get(_DEPARTMENT))

    def _measure(self, name: str, work: Callable[[], object]) -> None:
        with self._meter.measuring() as consumed:
            work()
        self.figures.append(Figure(name, consumed))

    def _run(self, name: str, run_type: Any, *, dry_run: bool = False) -> None:
        self._service.runs.start(_DEPARTMENT, run_type, dry_run=dry_run, by="bench")
        self._drain(name)

    def _drain(self, name: str) -> None:
        """Hand over messages until there are none. What a run with a name asks for is listed, and phase by phase."""
        whole, parts = Consumed(), dict[str, Consumed]()
        queue = self._service.messages
        while queue.waiting:
            step = queue.waiting.popleft()
            phase = self._of(step).phase
            with self._meter.measuring() as consumed:
                self._service.orchestrator.handle(step, lambda: _PLENTY)
            whole.add(consumed)
            parts.setdefault(phase, Consumed()).add(consumed)
            if (run := self._of(step)).status == "awaiting_approval":
                self._service.runs.approve(_DEPARTMENT, run.id, by="bench")
        if name:
            self.figures += [Figure(name, whole), *(Figure(f"  {phase}", each) for phase, each in parts.items())]
            self._check(self._of(step))

    def _of(self, step: Step) -> Run:
        run = self._service.stores.runs.get(step.department_id, step.run_id)
        assert run is not None
        return run

    def _check(self, run: Run) -> None:
        if run.status not in ("success", "skipped"):
            raise SystemExit(f"The run ended as {run.status}: {run.message}")


def main(arguments: Sequence[str]) -> None:
    sizes = [int(argument.replace(",", "").replace("_", "")) for argument in arguments] or SIZES
    measured = {customers: measure(customers) for customers in sizes}
    for customers, figures in measured.items():
        print(f"\n{customers:,} customers, ten segments")
        print_table(HEAD, map(_row, figures))
    print(f"\nWhere {RECKONED:,} addresses stand (store/address_status.py)")
    print_table(HEAD, map(_row, measure_statuses()))
    print(f"\n{RECORDS:,} records of a run (store/logs.py)")
    print_table(HEAD, map(_row, measure_records()))
    largest = max(measured)
    print(f"\nReckoned for {RECKONED:,} customers from {largest:,}, at AWS's limits for a partition key")
    print_table(["operation", "least time", "target", ""], _reckoned(measured[largest], RECKONED / largest))


def measure(customers: int) -> list[Figure]:
    """All operations of a department of that size, on a database of its own."""
    print(f"{customers:,} customers ...", file=sys.stderr, flush=True)
    clock = Clock()
    with (
        dynamodb_local.running(heap_megabytes=1024, is_long=True) as endpoint,
        MailchimpStandIn(latency=Latency.none(), now=clock.seconds) as mailchimp,
        PracBillStandIn(customers=0, now=clock) as pracbill,
    ):
        meter = ConsumptionMeter(make_tables(endpoint))
        with meter.running():
            practice = Practice(meter, clock, mailchimp, pracbill)
            practice.prepare(customers)
            practice.live()
    return practice.figures


def measure_statuses() -> list[Figure]:
    """What the index of addresses costs at the largest size, which needs no customers."""
    print(f"{RECKONED:,} addresses ...", file=sys.stderr, flush=True)
    keys = [blake2b(str(number).encode(), digest_size=16).hexdigest() for number in range(RECKONED)]
    with dynamodb_local.running(heap_megabytes=1024, is_long=True) as endpoint:
        meter = ConsumptionMeter(make_tables(endpoint))
        table = f"pracbill-mailchimp-{os.environ['STAGE']}-members"
        store, figures = AddressStatusStore(dynamodb(), table), []
        with meter.running():
            for name, changed in (("all noted for the first time", keys), ("1 % changed", keys[::_CHANGED])):
                status = AddressStatus("subscribed", "", is_reached=True, customer_count=1 + (changed is keys))
                with meter.measuring() as consumed:
                    changes = store.changes(_DEPARTMENT, "audience")
                    changes.note(dict.fromkeys(changed, status))
                    changes.flush()
                figures.append(Figure(name, consumed))
            with meter.measuring() as consumed:
                store.load(_DEPARTMENT, "audience", consistent=False)
            figures.append(Figure("read by a preview", consumed))
    return figures


def measure_records() -> list[Figure]:
    """What the records of a run cost: of a plan of that many that is shown to staff, and of those who are held back."""
    print(f"{RECORDS:,} records ...", file=sys.stderr, flush=True)
    keys = [blake2b(str(number).encode(), digest_size=16).hexdigest() for number in range(RECORDS)]
    now = datetime.now(UTC)
    held = [Record(key, key, "a***@b.c", "none", "held", "invalid_email", "", "", now) for key in keys[::_HELD]]
    planned = [Record(key, key, "a***@b.c", "add", "planned", "new-subscribed", "", "", now) for key in keys]
    store = LogStore(keep=timedelta(days=1))

    def page(run: str, *outcomes: str, limit: int = 100) -> None:
        store.records(_DEPARTMENT, run, limit=limit, after=None, outcomes=outcomes)

    def everything(run: str, outcome: str) -> None:
        after: str | None = None
        while True:
            _, after = store.records(_DEPARTMENT, run, limit=500, after=after, outcomes=(outcome,))
            if after is None:
                return

    works: dict[str, Callable[[], object]] = {
        "a plan that is shown to staff": lambda: store.add_records(_DEPARTMENT, "shown", planned),
        "those who are held back, one in six": lambda: store.add_records(_DEPARTMENT, "held", held),
        "first page of all": lambda: page("shown"),
        "first page of one outcome": lambda: page("held", "held"),
        "an outcome that nobody has": lambda: page("held", "refused"),
        "all who are held back, 500 at a time": lambda: everything("held", "held"),
    }
    with dynamodb_local.running(heap_megabytes=1024) as endpoint:
        meter, figures = ConsumptionMeter(make_tables(endpoint)), []
        with meter.running():
            for name, work in works.items():
                with meter.measuring() as consumed:
                    work()
                figures.append(Figure(name, consumed))
    return figures


def make_tables(endpoint: str) -> dict[str, str]:
    """The tables as they are deployed; answers the names of their partition keys by table."""
    os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = endpoint
    _forget_clients()
    client: Any = boto3.client("dynamodb")
    keys = {}
    for resource in yaml.load(_TABLES.read_text(), _Template)["Resources"].values():  # noqa: S506 - a safe loader
        if resource["Type"] != "AWS::DynamoDB::Table":
            continue
        wanted = {key: value for key, value in resource["Properties"].items() if key in _OF_A_TABLE}
        wanted["TableName"] = wanted["TableName"].replace("${Stage}", os.environ["STAGE"])
        client.create_table(**wanted)
        keys[wanted["TableName"]] = wanted["KeySchema"][0]["AttributeName"]
    return keys


class _Template(yaml.SafeLoader):
    """Reads CloudFormation's own tags as what they stand before."""


_Template.add_multi_constructor("!", lambda loader, tag, node: node.value)


def _forget_clients() -> None:
    """Clients remember the address of the database for which they were made."""
    dynamodb.cache_clear()
    models.transactions.cache_clear()
    for model in vars(models).values():
        if isinstance(model, type) and issubclass(model, Model) and model is not Model:
            model._connection = None


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = [head, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    for first, *rest in lines:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        print("  " + "  ".join(cells).rstrip())


def _row(figure: Figure) -> list[str]:
    consumed = figure.consumed
    table, seconds = consumed.busiest
    counts = [f"{count:,.0f}" for count in (consumed.calls, consumed.read_units, consumed.write_units)]
    return [figure.name, *counts, f"{seconds:.1f} s", table.removeprefix("pracbill-mailchimp-units-")]


def _reckoned(figures: Sequence[Figure], times: float) -> Iterator[list[str]]:
    names = [figure.name for figure in figures]
    first = names.index("first full run")
    # A run's phases follow each other, so their times add up.
    plan = sum(f.consumed.busiest[1] for f in figures[first : first + 1 + len(_PLAN)] if f.name.strip() in _PLAN)
    preview = figures[names.index(PREVIEW)].consumed.busiest[1]
    for name, seconds, most in (("preview", preview, 5), ("full plan (pull, ingest, plan)", plan, 600)):
        seconds *= times
        yield [name, f"{seconds:.1f} s", f"< {most} s", "ok" if seconds < most else "missed"]


if __name__ == "__main__":
    main(sys.argv[1:])
