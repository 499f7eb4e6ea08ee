"""The machinery of runs as in production, with everything real but time: AWS is the emulator, Mailchimp and PracBill
are their stand-ins, messages go through a FIFO queue and are delivered to the worker as Lambda delivers them."""

from __future__ import annotations

import itertools
import json
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any

import requests

from chalicelib.domain.consent.members import Member
from chalicelib.domain.customers import address_key
from chalicelib.domain.departments import Audience, Department
from chalicelib.domain.departments import Connection as AccountLink
from chalicelib.domain.fieldmap import FieldMap
from chalicelib.domain.logs import Direction, LedgerEntry, LogEntry, LogFilter, Record
from chalicelib.domain.runs import Run, RunType
from chalicelib.foundations import Seams
from chalicelib.handlers.queue_worker import MAX_DELIVERIES
from chalicelib.http_client.calls import CallMade
from chalicelib.http_client.retry import RetryPolicy
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.store.customer_keys import HASH_KEY, RANGE_KEY
from chalicelib.store.models import DepartmentItem
from chalicelib.store.queue import SyncQueue
from chalicelib.store.stores import AwsClients, Retention
from chalicelib.sync.runs.progress import ENOUGH_SECONDS
from infra.standins.mailchimp import MailchimpStandIn
from infra.standins.pracbill import PracBillStandIn
from infra.standins.service import ConnectedService
from tests.aws_emulator import client

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PLENTY = 290.0
# The emulator removes what has expired by the real clock.
_KEEP = timedelta(days=3650)
_VISIBILITY_SECONDS = 360
_FIELDS = FieldMap(("FNAME", "LNAME", "COMPANY", "PHONE", "ADDRESS"), country="AU")
Message = dict[str, Any]


class Killed(BaseException):
    """The function was ended in the middle. Not an Exception: nothing in it can take notice."""


class Clock:
    """Goes on by a millisecond whenever somebody looks, and further when told to."""

    def __init__(self, moment: datetime = NOON) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment

    def move(self, **span: float) -> None:
        self.moment += timedelta(**span)

    def seconds(self) -> float:
        return self.moment.timestamp()


class CountingMeter:
    """Counts in memory what production counts into CloudWatch."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def count(self, name: str, value: float = 1, unit: str = "Count") -> None:
        self.counts[name] += int(value)

    def mailchimp_call(self, call: CallMade) -> None:
        self.count("MailchimpCalls")

    def flush(self) -> None:
        """Nothing is kept back."""


class QuickQueue(SyncQueue):
    """The real queue, but nobody waits for a delayed message: the clock is moved on instead."""

    def __init__(self, client: SQSClient, url: str, clock: Clock) -> None:
        super().__init__(client, url)
        self._clock = clock
        self.delays: list[float] = []

    def change_visibility(self, receipt_handle: str, seconds: float) -> None:
        self.delays.append(seconds)
        self._clock.move(seconds=seconds)
        super().change_visibility(receipt_handle, 0)


class NothingToDo:
    """A phase with nothing to do: segments have tests of their own."""

    def step(self, run: Run, department: Department, remaining: Callable[[], float]) -> None:
        return None


class HookInPlace:
    """The audience has our webhook: hooks have tests of their own."""

    def repair(self, department: Department, client: MailchimpClient, *, patient: bool = False) -> Department:
        return department


class EngineService(ConnectedService):
    """The service's own wiring, but for the webhook, the waiting of messages, and the phase of segments."""

    def __init__(self, engine: Engine, seams: Seams) -> None:
        super().__init__(engine.mailchimp, engine.pracbill, seams, {"SYNC_SCHEDULE": "rate(4 hours)"})
        self.stores.queue = engine.queue
        self.phases["segments"] = NothingToDo()

    @cached_property
    def hooks(self) -> Any:
        return HookInPlace()


class Engine:
    """The workflows of runs. A message has plenty of time, or only until it was asked for `looks_at_time` times.

    `little` are the seconds left after that; `deliveries`: how often a message is handed over that is through.
    """

    def __init__(self, aws: str, mailchimp: MailchimpStandIn, pracbill: PracBillStandIn, clock: Clock) -> None:
        self.clock, self.mailchimp, self.pracbill = clock, mailchimp, pracbill
        self.meter = CountingMeter()
        self.looks_at_time: int | None = None
        self.little = ENOUGH_SECONDS - 1
        self.deliveries = 1
        # Staff approve at once what the brake holds, unless a test is about that: small practices reach it soon.
        self.approves = True
        self.handled: list[tuple[str, Message]] = []  # group and body of each message, in order of delivery
        self._numbers = itertools.count(1)
        self._make_queues(aws)
        self._make_tables(aws)
        self._join(aws)

    def _make_queues(self, aws: str) -> None:
        self.sqs: SQSClient = client("sqs", aws)
        name = f"engine-{uuid.uuid4().hex[:12]}"
        self.dead_url = _queue(self.sqs, f"{name}-dlq.fifo", {})
        arn = self.sqs.get_queue_attributes(QueueUrl=self.dead_url, AttributeNames=["QueueArn"])["Attributes"]
        redrive = json.dumps({"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": MAX_DELIVERIES})
        self.queue_url = _queue(self.sqs, f"{name}.fifo", {"RedrivePolicy": redrive})
        self.queue = QuickQueue(self.sqs, self.queue_url, self.clock)

    def _make_tables(self, aws: str) -> None:
        dynamodb = client("dynamodb", aws)
        _make_table(dynamodb, "pracbill-mailchimp-test-members", "shard", "sk")
        _make_table(dynamodb, "pracbill-mailchimp-test-customers", HASH_KEY, RANGE_KEY)
        for item in DepartmentItem.scan():
            item.delete()  # the table is shared with tests that ran before, and the schedule looks at everybody

    def _join(self, aws: str) -> None:
        self.service = service = EngineService(self, self._seams(aws))
        self.stores = stores = service.stores
        self.departments, self.customers, self.members = stores.departments, stores.customers, stores.members
        self.runs, self.logs, self.ledger = stores.runs, stores.logs, stores.ledger
        self.observations, self.outbox = service.observations, service.outbox
        self.lifecycle, self.staff, self.views = service.lifecycle, service.runs, service.views
        self.phases, self.ingest_phase, self.apply_phase = service.phases, service.ingest_phase, service.apply_phase
        self.steps, self.worker, self.sweeper = service.orchestrator, service.sync_worker, service.sweeper
        self.records, self.schedule, self.eraser = service.records, service.schedule, service.eraser
        self.mailchimp_for, self.pracbill_for = service.mailchimp_for, service.pracbill_for

    def _seams(self, aws: str) -> Seams:
        return Seams(
            clock=self.clock,
            entropy=lambda count: f"{next(self._numbers):0{2 * count}x}",
            sleep=lambda seconds: self.clock.move(seconds=seconds),
            random=lambda: 0.0,
            request_time=lambda: PLENTY,
            retry_policy=RetryPolicy(attempts=2),
            meter=self.meter,
            aws=AwsClients(
                dynamodb=lambda: client("dynamodb", aws),
                kms=lambda: client("kms", aws),
                sqs=lambda: self.sqs,
                secretsmanager=lambda: client("secretsmanager", aws),
            ),
            retention=Retention(runs=_KEEP, pushed=_KEEP, logs=_KEEP),
        )

    # the queue

    def receive(self, url: str = "") -> Message | None:
        """The next message that is visible, as SQS gives it."""
        answer = self.sqs.receive_message(
            QueueUrl=url or self.queue_url,
            MaxNumberOfMessages=1,
            MessageSystemAttributeNames=["All"],
            VisibilityTimeout=_VISIBILITY_SECONDS,
        )
        messages: list[Any] = answer.get("Messages", [])
        return messages[0] if messages else None

    def deliver(self, message: Message) -> bool:
        """Hand a message to the worker as Lambda does; answers whether it is through. Others stay in the queue."""
        self.handled.append((message["Attributes"]["MessageGroupId"], json.loads(message["Body"])))
        noted = len(self.queue.delays)
        try:
            for _ in range(self.deliveries):
                failed = self.worker.handle(as_event(message), self.time_left())["batchItemFailures"]
        except Killed:
            failed = [{"itemIdentifier": message["MessageId"]}]
        if not failed:
            self.delete(message)
        elif len(self.queue.delays) == noted:
            self.give_back(message)
        return not failed

    def time_left(self) -> Callable[[], float]:
        """The time of one message."""
        looks = itertools.count()
        return lambda: PLENTY if self.looks_at_time is None or next(looks) < self.looks_at_time else self.little

    def deliver_until(self, reached: Callable[[], bool]) -> None:
        """Deliver messages one by one until something is so."""
        while not reached():
            message = self.receive()
            assert message is not None, "the queue is empty"
            self.deliver(message)

    def delete(self, message: Message) -> None:
        self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])

    def give_back(self, message: Message) -> None:
        """Its function died: the message is seen again when its time is over."""
        self.clock.move(seconds=_VISIBILITY_SECONDS)
        SyncQueue.change_visibility(self.queue, message["ReceiptHandle"], 0)

    def work(self, *, most: int = 300) -> int:
        """Deliver messages, dead letters too, until there are none; answers how many."""
        for count in range(most):
            if message := self.receive():
                self.deliver(message)
            elif dead := self.receive(self.dead_url):
                self.worker.handle_dead(as_event(dead))
                self.sqs.delete_message(QueueUrl=self.dead_url, ReceiptHandle=dead["ReceiptHandle"])
            elif not self.approve_all():
                return count
        raise AssertionError("messages without end")

    def approve_all(self) -> bool:
        """What staff do who approve every run that waits for it; answers whether there was one."""
        waiting = []
        for department in self.departments.each() if self.approves else ():
            run = self.runs.get(department.id, department.active_run_id) if department.active_run_id else None
            if run is not None and run.status == "awaiting_approval":
                waiting.append(self.staff.approve(department.id, run.id, by="staff"))
        return bool(waiting)

    def work_in_random_order(self, random: Random) -> None:
        """Deliver messages of different groups in any order; within a group the queue keeps theirs."""
        waiting: list[Message] = []
        for _ in range(1000):
            while message := self.receive():
                waiting.append(message)
            if not waiting:
                if self.approve_all():
                    continue
                return
            self.deliver(waiting.pop(random.randrange(len(waiting))))
        raise AssertionError("messages without end")

    def lose(self) -> Message:
        """Take the next message away unseen."""
        message = self.receive()
        assert message is not None
        self.delete(message)
        body: Message = json.loads(message["Body"])
        return body

    def sweep(self, **span: float) -> None:
        """Let time go by and have the sweeper look."""
        self.clock.move(**span)
        self.sweeper.sweep()

    # departments

    def add_practice(self, **fields: Any) -> Practice:
        """A connected department with a new audience of the one account."""
        audience_id = str(self.mailchimp.control.create_audience("Clients")["audience_id"])
        department_id = f"practice-{uuid.uuid4().hex[:12]}"
        self.pracbill.add_department(department_id, name="North", timezone="Australia/Melbourne", country="AU")
        connection = AccountLink("connected", "account-1", "Example Practice", "us21", "abcd", NOON)
        department = Department(
            id=department_id,
            name="North",
            timezone="Australia/Melbourne",
            country="AU",
            currency="AUD",
            address_salt="5a" * 32,
            connection=connection,
            audience=Audience(audience_id, "Clients", _FIELDS, NOON),
        )
        self.departments.add(replace(department, **fields))
        practice = Practice(self, department_id, audience_id)
        practice.api("POST", "/merge-fields", {"tag": "COMPANY", "name": "Company", "type": "text"})
        self.mailchimp.control.reset_journal()
        return practice


class Practice:
    """One department: its customers in PracBill, its audience in Mailchimp, and what is stored of them."""

    def __init__(self, engine: Engine, department_id: str, audience_id: str) -> None:
        self.engine, self.id, self.audience_id = engine, department_id, audience_id
        self.control = engine.mailchimp.control

    @property
    def department(self) -> Department:
        department = self.engine.departments.get(self.id)
        assert department is not None
        return department

    def change(self, **fields: Any) -> Department:
        return self.engine.departments.change(self.id, lambda department: replace(department, **fields))

    def change_policy(self, **fields: Any) -> None:
        settings = self.department.settings
        self.change(settings=replace(settings, consent=replace(settings.consent, **fields)))

    def change_brake(self, **limits: int) -> None:
        """Other limits; from here on nobody approves by themselves."""
        self.engine.approves = False
        settings = self.department.settings
        self.change(settings=replace(settings, brake=replace(settings.brake, **limits)))

    # PracBill

    def customer(self, customer_id: str, email: str | None, consent: str | None = "subscribed", **fields: Any) -> None:
        """Create or change a customer; a consent is a month old when nothing else is said."""
        given = {"status": consent, "changed_at": "2026-02-01T00:00:00Z"} if consent else None
        fields.setdefault("marketing_consent", given)
        self.engine.pracbill.upsert(customer_id, department_id=self.id, email=email, **fields)

    def customers(self, count: int, *, start: int = 1) -> list[str]:
        """Customers of the usual kind; answers their addresses."""
        numbers = range(start, start + count)
        for number in numbers:
            self.customer(str(number), f"c{number}@clinic.test", first_name=f"Name {number}")
        return [f"c{number}@clinic.test" for number in numbers]

    def edit(self, customer_id: str, **fields: Any) -> None:
        self.engine.pracbill.upsert(customer_id, department_id=self.id, **fields)

    def edit_as_is(self, customer_id: str, **fields: Any) -> None:
        """Values that PracBill's contract does not allow, as old data has them."""
        self.engine.pracbill.upsert(customer_id, department_id=self.id, as_is=True, **fields)

    def told(self) -> list[tuple[str, str]]:
        """What PracBill was told, oldest first: address and status."""
        lines = self.engine.pracbill.consent_changes(department_id=self.id)
        return [(line.change.email, line.change.status) for line in lines]

    def remove(self, *customer_ids: str) -> None:
        for customer_id in customer_ids:
            assert self.engine.pracbill.remove(customer_id, department_id=self.id)

    # Mailchimp

    def api(self, method: str, path: str, body: object = None) -> Any:
        """A call of Mailchimp's API by somebody else."""
        url = f"{self.engine.mailchimp.url}/lists/{self.audience_id}{path}"
        answer = requests.request(method, url, json=body, auth=("any", self.engine.mailchimp.api_key), timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def join(self, *addresses: str, status: str = "subscribed", **row: Any) -> None:
        """Members that came by an import in Mailchimp."""
        rows = [{"email_address": address, "status": status, **row} for address in addresses]
        self.control.admin_import(rows, audience_id=self.audience_id)

    def act(self, name: str, address: str, *arguments: Any, **options: Any) -> None:
        """Something a person, an admin or a mail server does, a minute from now."""
        self.engine.clock.move(minutes=1)
        getattr(self.control, name)(address, *arguments, audience_id=self.audience_id, **options)

    def meanwhile(
        self, act: str, email: str, *, method: str = "POST", path: str = "", moment: str = "before", **arguments: Any
    ) -> None:
        """Have somebody act in the midst of the next such call about this audience."""
        arguments = {"email": email, "audience_id": self.audience_id, **arguments}
        self.control.interject(act, arguments, method=method, path=f"/lists/{self.audience_id}{path}", moment=moment)

    def select_new_audience(self) -> None:
        """Another audience, as after its selection: nothing of it is known yet."""
        self.audience_id = str(self.control.create_audience("Others")["audience_id"])
        audience = self.department.audience
        assert audience is not None
        audience = replace(audience, id=self.audience_id, first_contact_done=False)
        self.change(audience=audience, members_watermark=None, replan_all=True)

    def audience(self) -> dict[str, str]:
        """Statuses of all members by address, archived ones too."""
        return {member["email_address"]: member["status"] for member in self.control.members(self.audience_id)}

    def member(self, address: str) -> dict[str, Any]:
        return next(m for m in self.control.members(self.audience_id) if m["email_address"] == address)

    def fail(self, *, times: int = 1000, path: str = "", method: str = "*", **fault: Any) -> None:
        """Have Mailchimp's calls about this audience fail."""
        self.control.inject_fault(method=method, path=f"/lists/{self.audience_id}{path}", times=times, **fault)

    def writes(self) -> list[tuple[str, str]]:
        """Calls that wrote to Mailchimp since the journal was reset."""
        entries = self.control.journal(writes_only=True)["entries"]
        return [(e["method"], e["path"]) for e in entries if e["audience_id"] == self.audience_id]

    def pushed(self) -> int:
        """Members in bulk calls since the journal was reset."""
        entries = self.control.journal(writes_only=True)["entries"]
        return sum(e["members"] for e in entries if e["audience_id"] == self.audience_id)

    # runs

    def start(self, run_type: RunType = "incremental", *, dry_run: bool = False) -> str:
        return self.engine.staff.start(self.id, run_type, dry_run=dry_run, by="user-1").id

    def sync(self, run_type: RunType = "incremental", *, dry_run: bool = False, **span: float) -> Run:
        """A whole run, some minutes after the last one; Mailchimp's journal starts anew with it."""
        self.engine.clock.move(**(span or {"minutes": 10}))
        self.control.reset_journal()
        run_id = self.start(run_type, dry_run=dry_run)
        self.engine.work()
        return self.run(run_id)

    def scheduled(self) -> Run:
        """A run that the schedule starts."""
        self.engine.clock.move(hours=4)
        self.control.reset_journal()
        self.engine.sweeper.dispatch(f"occasion-{self.engine.clock()}")
        self.engine.work()
        return self.latest()

    def run(self, run_id: str) -> Run:
        run = self.engine.runs.get(self.id, run_id)
        assert run is not None
        return run

    def latest(self) -> Run:
        return self.engine.runs.page(self.id, limit=1, after=None)[0][0]

    # what is stored

    def log(self, direction: Direction = "push") -> list[LogEntry]:
        """Log entries, newest first."""
        return self.engine.logs.entries(self.id, LogFilter(direction=direction), limit=100, after=None)[0]

    def records(self, run: Run, outcome: str = "") -> list[Record]:
        outcomes = (outcome,) if outcome else ()
        return self.engine.logs.records(self.id, run.id, limit=1000, after=None, outcomes=outcomes)[0]

    def codes(self, run: Run, outcome: str = "") -> list[tuple[str, str]]:
        """Customer and code of each record, in order of the customers."""
        return sorted((record.customer_id, record.code) for record in self.records(run, outcome))

    def key(self, address: str) -> str:
        return address_key(self.department.salt, address)

    def known(self, address: str) -> Member:
        return self.engine.members.state(self.id, self.key(address), self.audience_id).member

    def marks(self) -> dict[str, tuple[str, ...]]:
        return dict(self.engine.members.marked(self.id))

    def ledger(self, address: str) -> list[LedgerEntry]:
        """Oldest first."""
        return self.engine.ledger.entries(self.id, self.key(address))[::-1]


def as_event(message: Message) -> dict[str, Any]:
    """What Lambda makes of a message of SQS."""
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "awsRegion": "eu-central-1",
    }
    return {"Records": [record]}


def _queue(sqs: SQSClient, name: str, more: dict[str, str]) -> str:
    attributes = {
        "FifoQueue": "true",
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
        "ContentBasedDeduplication": "false",
        **more,
    }
    return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type]


def _make_table(client: Any, name: str, pk: str, sk: str) -> None:
    try:
        client.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": pk, "KeyType": "HASH"}, {"AttributeName": sk, "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in (pk, sk)],
            BillingMode="PAY_PER_REQUEST",
        )
    except client.exceptions.ResourceInUseException:
        return
