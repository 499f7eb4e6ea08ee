"""A department that listens: stand-ins for Mailchimp and PracBill, our tables, and the workflows that hear consent."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import requests

from chalicelib.domain.consent.members import ConsentState, DeliveryState, Member, Status
from chalicelib.domain.consent.observations import Observation, OutboxEntry
from chalicelib.domain.customers import address_key, customer_from_json, customer_key, customer_to_document
from chalicelib.domain.departments import Audience, Connection, Department
from chalicelib.domain.fieldmap import FieldMap
from chalicelib.domain.logs import LedgerEntry, LogEntry, LogFilter
from chalicelib.domain.runs import Run, RunType
from chalicelib.domain.segments.filterable import Filterable, Sample
from chalicelib.foundations import Seams
from chalicelib.http_client.calls import CallMade
from chalicelib.http_client.retry import RetryPolicy
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.webhook import HookEvent, write_event
from chalicelib.store.customer_keys import HASH_KEY, RANGE_KEY
from chalicelib.store.customers import StoredCustomer
from chalicelib.store.stores import AwsClients, Retention
from chalicelib.sync.consent.observations import observation_of
from chalicelib.sync.consent.webhook_events import Outcome
from infra.standins.mailchimp import Latency, MailchimpStandIn, Readings
from infra.standins.pracbill import PracBillStandIn
from infra.standins.service import ConnectedService
from tests.aws_emulator import client

# In the years to come: what expires by our clock must not have expired by the emulator's.
NOON = datetime(2036, 3, 3, 12, 0, tzinfo=UTC)
ADMIN_REASON = "N/A (Unsubscribed by admin)"
# More than a pull can need: one short of time ends a step after each of the 256 parts in which members lie.
MOST_STEPS = 300
_KEEP = timedelta(days=30)
_MEMBERS, _CUSTOMERS = "pracbill-mailchimp-test-members", "pracbill-mailchimp-test-customers"


class Clock:
    """Stands still until told to move."""

    def __init__(self, moment: datetime = NOON) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def move(self, **span: float) -> datetime:
        self.moment += timedelta(**span)
        return self.moment


class CountingMeter:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def count(self, name: str, value: float = 1, unit: str = "Count") -> None:
        self.counts[name] += int(value)

    def mailchimp_call(self, call: CallMade) -> None:
        """Nobody asks for these."""

    def flush(self) -> None:
        """Nothing is kept back."""


@contextmanager
def mailchimp_running(clock: Clock, **readings: Any) -> Iterator[MailchimpStandIn]:
    """A Mailchimp that keeps our clock's time."""
    with MailchimpStandIn(latency=Latency.none(), now=clock, readings=Readings(**readings)) as standin:
        yield standin


class NothingToMend:
    """The audience has its fields and our webhook: both have tests of their own."""

    def look(self, run: Run, department: Department, client: MailchimpClient) -> Department:
        return department

    def note_state_required(self, department: Department) -> Department:
        return department

    def look_again(self, run: Run, department: Department, client: MailchimpClient) -> Department:
        return department

    def repair(self, department: Department, client: MailchimpClient, *, patient: bool = False) -> Department:
        return department


class DeskService(ConnectedService):
    """The service's own wiring, but for an audience that needs no mending."""

    @cached_property
    def fields(self) -> Any:
        return NothingToMend()

    @cached_property
    def hooks(self) -> Any:
        return NothingToMend()


class Desk:
    """One connected department with an audience. `remaining` is the time each step has left, in seconds."""

    def __init__(self, aws: str, mailchimp: MailchimpStandIn, pracbill: PracBillStandIn, clock: Clock) -> None:
        self.clock, self.mailchimp, self.pracbill = clock, mailchimp, pracbill
        self.control = mailchimp.control
        self.meter = CountingMeter()
        self.remaining: Callable[[], float] = lambda: 200.0
        dynamodb = client("dynamodb", aws)
        _make_table(dynamodb, _MEMBERS, "shard", "sk")
        _make_table(dynamodb, _CUSTOMERS, HASH_KEY, RANGE_KEY)
        self._dynamodb = dynamodb
        self.service = service = DeskService(mailchimp, pracbill, self._seams(aws))
        stores = service.stores
        self.departments, self.customers, self.members = stores.departments, stores.customers, stores.members
        self.runs, self.logs, self.ledger = stores.runs, stores.logs, stores.ledger
        self.observations, self.outbox, self.erasure = service.observations, service.outbox, service.eraser
        self.pull_phase, self.event_worker = service.pull_phase, service.events
        self.mailchimp_for, self.pracbill_for = service.mailchimp_for, service.pracbill_for
        self.department_id = f"practice-{uuid.uuid4().hex[:12]}"
        self.audience_id = self.new_audience()
        pracbill.faults.clear()
        pracbill.add_department(self.department_id)
        self.departments.add(self._new_department())

    def _new_department(self) -> Department:
        connection = Connection("connected", "account-1", "Example Practice", "us21", "abcd", self.clock())
        audience = Audience(self.audience_id, "Clients", FieldMap(("FNAME",)), self.clock(), first_contact_done=True)
        return Department(
            id=self.department_id,
            name="North",
            timezone="Australia/Melbourne",
            country="AU",
            currency="AUD",
            address_salt=uuid.uuid4().hex,
            connection=connection,
            audience=audience,
            members_watermark=self.clock(),
        )

    def _seams(self, aws: str) -> Seams:
        return Seams(
            clock=self.clock,
            sleep=lambda seconds: None,
            random=lambda: 0.0,
            request_time=lambda: 200.0,
            retry_policy=RetryPolicy(attempts=1),
            meter=self.meter,
            aws=AwsClients(dynamodb=lambda: self._dynamodb, kms=lambda: client("kms", aws)),
            retention=Retention(runs=_KEEP, pushed=_KEEP, logs=_KEEP),
        )

    # the department

    @property
    def department(self) -> Department:
        department = self.departments.get(self.department_id)
        assert department is not None
        return department

    def change(self, **fields: Any) -> Department:
        return self.departments.change(self.department_id, lambda department: replace(department, **fields))

    def change_audience(self, **fields: Any) -> Department:
        audience = self.department.audience
        assert audience is not None
        return self.change(audience=replace(audience, **fields))

    def new_audience(self, *, double_optin: bool = False) -> str:
        return str(self.control.create_audience("Clients", double_optin=double_optin)["audience_id"])

    def select_new_audience(self, **options: Any) -> str:
        """Another audience, as after its selection: nothing of it is known yet."""
        self.audience_id = self.new_audience(**options)
        self.change_audience(id=self.audience_id, first_contact_done=False)
        self.change(members_watermark=None)
        return self.audience_id

    # people

    def key(self, address: str) -> str:
        return address_key(self.department.salt, address)

    def join(self, *addresses: str, status: str = "subscribed", **row: Any) -> None:
        """Members that came by an import in Mailchimp."""
        rows = [{"email_address": address, "status": status, **row} for address in addresses]
        self.control.admin_import(rows, audience_id=self.audience_id)

    def act(self, name: str, address: str, *arguments: Any, **options: Any) -> None:
        """Something a person, an admin or a mail server does, a minute from now."""
        self.clock.move(minutes=1)
        getattr(self.control, name)(address, *arguments, audience_id=self.audience_id, **options)

    def api(self, method: str, path: str, body: object = None) -> Any:
        """A call of Mailchimp's API by somebody else."""
        url = f"{self.mailchimp.url}/lists/{self.audience_id}{path}"
        answer = requests.request(method, url, json=body, auth=("any", self.mailchimp.api_key), timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def set_status(self, address: str, status: str) -> None:
        """Another API client sets a status."""
        self.clock.move(minutes=1)
        self.api("PATCH", f"/members/{address}", {"status": status})

    def at_mailchimp(self, address: str) -> dict[str, Any] | None:
        found = self.control.members(self.audience_id)
        return next((member for member in found if member["email_address"].lower() == address), None)

    def customer(
        self,
        customer_id: str,
        email: str,
        consent: Status | None = "subscribed",
        *,
        previous_keys: tuple[str, ...] = (),
        **fields: Any,
    ) -> None:
        """A customer of PracBill that the last plan has stored; `previous_keys` are addresses it had before."""
        given = {"status": consent, "changed_at": "2026-01-01T00:00:00Z"} if consent else None
        self.pracbill.upsert(
            customer_id, department_id=self.department_id, email=email, marketing_consent=given, **fields
        )
        record = self.pracbill.customer(customer_id, department_id=self.department_id)
        key = self.key(email.lower()) if email else ""
        if key:
            document = customer_to_document(customer_from_json(record))
            batch = self.members.batch(self.department_id)
            batch.put_document(key, customer_key(customer_id), document)
            batch.flush()
        keys = tuple(self.key(address) for address in previous_keys)
        stored = StoredCustomer(customer_key(customer_id), customer_id, "print", key, previous_keys=keys)
        customers = self.customers.batch(self.department_id)
        customers.put(stored, Filterable(email=email), Sample(customer_id))
        customers.flush()

    def push(self, address: str, status: Status = "subscribed", *, in_mailchimp: bool = True) -> None:
        """What the plan sends: a member of ours with this status."""
        if in_mailchimp:
            body = {"email_address": address, "status": status, "status_if_new": status}
            self.api("PUT", f"/members/{address}", body)
        push = DeliveryState(self.audience_id, status, self.clock(), owner="1", sent="print")
        batch = self.members.batch(self.department_id)
        batch.put_delivery(self.key(address), address, push)
        batch.flush()

    def know(self, address: str, **state: Any) -> None:
        """What was heard of an address before."""
        fields: dict[str, Any] = {"audience_id": self.audience_id, **state}
        self.members.change_consent_state(
            self.department_id, self.key(address), address, lambda consent_state: replace(consent_state, **fields)
        )

    # what is known

    def consent_state(self, address: str) -> ConsentState | None:
        member_states = self.members.member_states(self.department_id, [self.key(address)]).get(self.key(address))
        return member_states.consent_state if member_states else None

    def member(self, address: str) -> Member:
        return self.members.state(self.department_id, self.key(address), self.audience_id).member

    def ledger_of(self, address: str) -> list[LedgerEntry]:
        return self.ledger.entries(self.department_id, self.key(address))

    def rules_of(self, address: str) -> list[str]:
        """The rules in the ledger of an address, oldest first."""
        return [entry.rule for entry in reversed(self.ledger_of(address))]

    def is_marked(self, address: str) -> bool:
        return self.key(address) in dict(self.members.marked(self.department_id))

    def backlog(self) -> list[OutboxEntry]:
        return list(self.members.outbox(self.department_id))

    def told(self) -> list[tuple[str, str, str]]:
        """What PracBill was told, oldest first: address, status, reason."""
        lines = self.pracbill.consent_changes(department_id=self.department_id)
        return [(line.change.email, line.change.status, line.change.reason or "") for line in lines]

    def consent_in_pracbill(self, customer_id: str) -> str | None:
        record = self.pracbill.customer(customer_id, department_id=self.department_id)
        assert record is not None
        consent = record.get("marketing_consent") or {}
        status: str | None = consent.get("status")
        return status

    def log_entries(self) -> list[LogEntry]:
        return self.logs.entries(self.department_id, LogFilter(), limit=100, after=None)[0]

    def everything_stored(self) -> str:
        """All items of the department in the tables of members and customers, as text."""
        scan = self._dynamodb.get_paginator("scan")
        pages = [page["Items"] for table in (_MEMBERS, _CUSTOMERS) for page in scan.paginate(TableName=table)]
        return str([item for page in pages for item in page if self.department_id in str(item)])

    # workflows

    def see(self, address: str) -> Observation:
        """News of a member as the pull would bring it now."""
        found = self.mailchimp_for(self.department, self.remaining).member(self.audience_id, address)
        assert found is not None
        return observation_of(found, self.clock(), "pull")

    def observe(self, *observation: Observation) -> Counter[str]:
        return self.observations.apply(self.department, observation)

    def observe_now(self, address: str) -> Counter[str]:
        return self.observe(self.see(address))

    def tell(self) -> int:
        return self.outbox.send(self.department, self.remaining).confirmed

    def new_run(self, run_type: RunType = "incremental", **fields: Any) -> Run:
        self.clock.move(minutes=1)
        run_id = f"{self.clock().strftime('%Y%m%dT%H%M%S')}000Z-{uuid.uuid4().hex[:4]}"
        run = Run(self.department_id, run_id, run_type, "manual", self.clock(), **fields)
        self.runs.add(run)
        return run

    def pull(self, run_type: RunType = "incremental", **fields: Any) -> Run:
        """A run's pull to its end, and the watermark that a good end of the run would set."""
        run = self.new_run(run_type, **fields)
        steps = 0
        while self.pull_phase.step(self.stored_run(run), self.department, self.remaining) is not None:
            steps += 1
            assert steps < MOST_STEPS, "the pull does not end"
        run = self.stored_run(run)
        self.change(members_watermark=run.members_until)
        self.change_audience(first_contact_done=True)
        return run

    def stored_run(self, run: Run) -> Run:
        stored = self.runs.get(run.department_id, run.id)
        assert stored is not None
        return stored

    def event(self, type: Any, address: str, **fields: Any) -> HookEvent:
        """An event that Mailchimp fires now."""
        fired_at = fields.pop("fired_at", self.clock().strftime("%Y-%m-%d %H:%M:%S"))
        return HookEvent(
            type,
            fields.pop("department_id", self.department_id),
            fields.pop("audience_id", self.audience_id),
            address,
            fired_at,
            **fields,
        )

    def apply(self, event: HookEvent) -> Outcome:
        return self.event_worker.apply_event(write_event(event), self.remaining)


def _make_table(client: Any, name: str, partition: str, sort: str) -> None:
    try:
        client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in (partition, sort)],
            KeySchema=[
                {"AttributeName": partition, "KeyType": "HASH"},
                {"AttributeName": sort, "KeyType": "RANGE"},
            ],
        )
    except client.exceptions.ResourceInUseException:
        return
