"""The workflows, joined with what they need. Each part is made when it is first asked for, and once a process.

The routes, the workers and the sweeper need different parts, and make only their own.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property

import requests

from chalicelib.config import Settings
from chalicelib.domain.departments import Department
from chalicelib.errors import RetryLater
from chalicelib.handlers.queue_worker import EventWorker, SyncWorker
from chalicelib.http_client.calls import new_session
from chalicelib.http_client.retry import DEFAULT_RETRY_POLICY, RetryPolicy
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.keys import ApiKey
from chalicelib.observability import MetricsMeter
from chalicelib.pracbill.client import PracBillClient
from chalicelib.store.address_status import AddressStatusStore
from chalicelib.store.attempts import AttemptStore
from chalicelib.store.aws import dynamodb, sqs
from chalicelib.store.call_counts import CallCounts
from chalicelib.store.customer_reading import CustomerReader
from chalicelib.store.customer_tags import CustomerTags
from chalicelib.store.customers import CustomerStore
from chalicelib.store.departments import DepartmentStore
from chalicelib.store.events import EventStore
from chalicelib.store.logs import LedgerStore, LogStore
from chalicelib.store.members import MemberStore
from chalicelib.store.pushed_members import PushedMemberStore
from chalicelib.store.queue import SyncQueue
from chalicelib.store.requests import RequestStore
from chalicelib.store.runs import RunStore
from chalicelib.store.schedule import ScheduleStore
from chalicelib.store.secret_store import SecretStore
from chalicelib.store.seen_addresses import SeenAddressStore
from chalicelib.store.segments import SegmentStore
from chalicelib.store.tag_rechecks import TagRecheckStore
from chalicelib.sync.account.audience_fields import AudienceFields
from chalicelib.sync.account.audience_status import AudienceStatusCache
from chalicelib.sync.account.audiences import Audiences
from chalicelib.sync.account.call_limits import CallLimits
from chalicelib.sync.account.connections import Connections, RunCalls
from chalicelib.sync.account.credentials import LinkedAccounts
from chalicelib.sync.account.registration import Registration
from chalicelib.sync.account.schedule import Schedule
from chalicelib.sync.account.settings import DepartmentSettings
from chalicelib.sync.account.webhook_registration import WebhookRegistration
from chalicelib.sync.consent.erasure import Erasure
from chalicelib.sync.consent.observations import Observations
from chalicelib.sync.consent.webhook_events import Events
from chalicelib.sync.panels import Panels
from chalicelib.sync.ports import Remaining
from chalicelib.sync.reports.customer_report import Customers, Reconciliations
from chalicelib.sync.reports.customer_search import CustomerSearch
from chalicelib.sync.reports.history import Histories
from chalicelib.sync.runs.apply_phase import ApplyPhase
from chalicelib.sync.runs.brake import Brake
from chalicelib.sync.runs.ingest_phase import IngestPhase
from chalicelib.sync.runs.lifecycle import Logs, Runs
from chalicelib.sync.runs.orchestrator import Orchestrator
from chalicelib.sync.runs.plan_phase import PlanPhase
from chalicelib.sync.runs.pull_phase import PullPhase
from chalicelib.sync.runs.records import Records
from chalicelib.sync.runs.sweeper import Sweeper
from chalicelib.sync.runs.unreadable import UnreadableCounts
from chalicelib.sync.segments.management import Segments
from chalicelib.sync.segments.previews import Previews
from chalicelib.sync.segments.segments_phase import SegmentsPhase

# What a panel may wait for Mailchimp; three of them are the reserve that every call leaves. A Mailchimp that asks to
# slow down is not asked again: the panel shows what is known.
_GLANCE_SECONDS = 5.0
# A page of the database takes a fraction of it; the rest is for what comes after the reading.
_SECONDS_FOR_A_PAGE = 2.0
_ASK_ONCE = RetryPolicy(attempts=1)
# Runs and chunks are kept as long as somebody may ask for them.
_KEEP_RUNS = timedelta(days=180)
# Runs look back to the start of the last good one. A department that had none for so long reads what it pushed itself.
_KEEP_PUSHED = timedelta(days=7)
_KEEP_ATTEMPTS = timedelta(days=1)


def now() -> datetime:
    return datetime.now(UTC)


class Container:
    """`request_time` answers the seconds that are left to answer the request in hand.

    What the routes call has the names of contract/services.py.
    """

    def __init__(self, env: Settings, secret_store: SecretStore, request_time: Remaining) -> None:
        self._env = env
        self._secret_store = secret_store
        self._request_time = request_time
        self._meter = MetricsMeter()

    # -------------------------------------------------------------------------------------------- functions

    @cached_property
    def sync_worker(self) -> SyncWorker:
        return SyncWorker(self._orchestrator, self._queue, self._meter)

    @cached_property
    def event_worker(self) -> EventWorker:
        return EventWorker(self._events, SyncQueue(sqs(), self._env.event_queue_url), self._meter)

    @cached_property
    def sweeper(self) -> Sweeper:
        return Sweeper(
            departments=self._departments,
            runs=self._runs,
            queue=self._queue,
            lifecycle=self.runs,
            schedule=self._schedule,
            clock=now,
            meter=self._meter,
        )

    # ------------------------------------------------------------------------------------------ for the routes

    @cached_property
    def limits(self) -> CallLimits:
        return CallLimits(CallCounts(dynamodb(), self._env.table("events")), clock=now)

    @cached_property
    def connections(self) -> Connections:
        return Connections(
            self._departments,
            self._accounts,
            self._hooks,
            registration=self._registration,
            audience_status=self._audience_status,
            open_mailchimp=self.mailchimp_of_key,
            attempts=AttemptStore(keep=_KEEP_ATTEMPTS),
            runs=RunCalls(active=self.runs.active, last_failed=self.runs.last_failed, stop=self.runs.stop_active),
            schedule=self._schedule,
            clock=now,
        )

    @cached_property
    def audiences(self) -> Audiences:
        return Audiences(
            self._departments,
            self._accounts,
            self._hooks,
            audience_status=self._audience_status,
            active_run=self.runs.active,
            last_failed=self.runs.last_failed,
            segment_count=lambda department_id: len(self.segments.list(department_id)),
            first_plan=self.runs.first_plan,
            requests=RequestStore(keep=_KEEP_ATTEMPTS),
            clock=now,
        )

    @cached_property
    def settings(self) -> DepartmentSettings:
        return DepartmentSettings(self._departments, registration=self._registration)

    @cached_property
    def runs(self) -> Runs:
        return Runs(
            departments=self._departments,
            runs=self._runs,
            logs=self._logs,
            members=self._members,
            queue=self._queue,
            clock=now,
            entropy=lambda: secrets.token_hex(2),
            meter=self._meter,
        )

    @cached_property
    def records(self) -> Records:
        return Records(runs=self._runs, logs=self._logs, customers=self._customers)

    @cached_property
    def logs(self) -> Logs:
        return Logs(self._logs)

    @cached_property
    def customers(self) -> Customers:
        return Customers(
            departments=self._departments,
            customers=self._customers,
            members=self._members,
            ledger=self._ledger,
            segments=self.segments.defined,
            eraser=self._eraser,
            clock=now,
        )

    @cached_property
    def history(self) -> Histories:
        return Histories(departments=self._departments, logs=self._logs, clock=now)

    @cached_property
    def search(self) -> CustomerSearch:
        return CustomerSearch(
            departments=self._departments, customers=self._customers, members=self._members, reader_for=self._reader_for
        )

    @cached_property
    def reconciliation(self) -> Reconciliations:
        return Reconciliations(
            departments=self._departments,
            members=self._members,
            checks=self._checks,
            address_statuses=self._address_statuses,
            reader_for=self._reader_for,
            mailchimp_for=self._mailchimp_in_request,
            clock=now,
        )

    @cached_property
    def segments(self) -> Segments:
        previews = Previews(
            customers=self._customers,
            members=self._members,
            address_statuses=self._address_statuses,
            runs=self._runs,
            reader_for=self._reader_for,
            pracbill_for=self._pracbill_for,
            clock=now,
        )
        return Segments(
            segments=self._segments,
            departments=self._departments,
            registration=self._registration,
            reader_for=self._reader_for,
            previews=previews,
            runs=self.runs,
            mailchimp_for=self._mailchimp_in_request,
            clock=now,
            entropy=lambda: secrets.token_hex(4),
        )

    @cached_property
    def panels(self) -> Panels:
        return Panels(
            departments=self._departments,
            runs=self.runs,
            logs=self.logs,
            segments=self.segments.list,
            schedule=self._schedule,
            clock=now,
        )

    # ------------------------------------------------------------------------------------------ steps of a run

    @cached_property
    def _orchestrator(self) -> Orchestrator:
        return Orchestrator(
            departments=self._departments,
            runs=self._runs,
            queue=self._queue,
            lifecycle=self.runs,
            hooks=self._hooks,
            fields=self._fields,
            observations=self._observations,
            pull_phase=self._pull_phase,
            ingest_phase=self._ingest_phase,
            plan_phase=self._plan_phase,
            brake=Brake(address_statuses=self._address_statuses, mailchimp_for=self._mailchimp_for),
            apply_phase=self._apply_phase,
            segments=self._segments_phase,
            audience_status=self._audience_status,
            mailchimp_for=self._mailchimp_for,
            pracbill_for=self._pracbill_for,
            clock=now,
        )

    @cached_property
    def _pull_phase(self) -> PullPhase:
        return PullPhase(
            observations=self._observations,
            members=self._members,
            runs=self._runs,
            logs=self._logs,
            seen_addresses=self._seen_addresses,
            pushed_members=self._pushed_members,
            mailchimp_for=self._mailchimp_for,
            pracbill_for=self._pracbill_for,
            clock=now,
        )

    @cached_property
    def _ingest_phase(self) -> IngestPhase:
        return IngestPhase(
            customers=self._customers,
            members=self._members,
            runs=self._runs,
            logs=self._logs,
            unreadable=UnreadableCounts(departments=self._departments, reader_for=self._reader_for),
            clock=now,
        )

    @cached_property
    def _plan_phase(self) -> PlanPhase:
        return PlanPhase(
            members=self._members,
            runs=self._runs,
            logs=self._logs,
            ledger=self._ledger,
            observations=self._observations,
            clock=now,
        )

    @cached_property
    def _apply_phase(self) -> ApplyPhase:
        return ApplyPhase(
            departments=self._departments,
            members=self._members,
            runs=self._runs,
            logs=self._logs,
            ledger=self._ledger,
            pushed_members=self._pushed_members,
            observations=self._observations,
            fields=self._fields,
            clock=now,
            meter=self._meter,
        )

    @cached_property
    def _segments_phase(self) -> SegmentsPhase:
        return SegmentsPhase(
            segments=self._segments,
            departments=self._departments,
            customers=self._customers,
            members=self._members,
            tags=self._tags,
            checks=self._checks,
            address_statuses=self._address_statuses,
            seen_addresses=self._seen_addresses,
            runs=self._runs,
            logs=self._logs,
            reader_for=self._reader_for,
            mailchimp_for=self._mailchimp_for,
            clock=now,
        )

    # --------------------------------------------------------------------------------------- shared by several

    @cached_property
    def _events(self) -> Events:
        return Events(
            departments=self._departments,
            members=self._members,
            events=EventStore(),
            observations=self._observations,
            logs=self._logs,
            mailchimp_for=self._mailchimp_for,
            pracbill_for=self._pracbill_for,
            clock=now,
            meter=self._meter,
        )

    @cached_property
    def _eraser(self) -> Erasure:
        return Erasure(
            departments=self._departments,
            customers=self._customers,
            members=self._members,
            ledger=self._ledger,
            logs=self._logs,
            mailchimp_for=self._mailchimp_in_request,
            clock=now,
        )

    @cached_property
    def _observations(self) -> Observations:
        return Observations(departments=self._departments, members=self._members, ledger=self._ledger, clock=now)

    @cached_property
    def _accounts(self) -> LinkedAccounts:
        return LinkedAccounts(
            self._departments,
            self._secret_store,
            self.mailchimp_of_key,
            secret_name=lambda department_id: self._env.secret("departments", department_id),
        )

    @cached_property
    def _audience_status(self) -> AudienceStatusCache:
        return AudienceStatusCache(
            self._departments, self._accounts, open_quickly=self._mailchimp_for_a_glance, clock=now
        )

    @cached_property
    def _registration(self) -> Registration:
        return Registration(self._departments, self._pracbill_for(self._request_time))

    @cached_property
    def _schedule(self) -> Schedule:
        return Schedule(self._env.sync_schedule, ScheduleStore(), clock=now)

    @cached_property
    def _fields(self) -> AudienceFields:
        return AudienceFields(self._departments, self._logs, clock=now)

    @cached_property
    def _hooks(self) -> WebhookRegistration:
        return WebhookRegistration(
            self._departments,
            self._secret_store,
            secret_name=lambda department_id: self._env.secret("hooks", department_id),
            public_url=lambda: self._env.public_url,
            clock=now,
        )

    # -------------------------------------------------------------------------------------------------- stores

    @cached_property
    def _departments(self) -> DepartmentStore:
        return DepartmentStore()

    @cached_property
    def _customers(self) -> CustomerStore:
        return CustomerStore(dynamodb(), self._env.table("customers"))

    @cached_property
    def _members(self) -> MemberStore:
        return MemberStore(dynamodb(), self._env.table("members"))

    @cached_property
    def _address_statuses(self) -> AddressStatusStore:
        return AddressStatusStore(dynamodb(), self._env.table("members"))

    @cached_property
    def _checks(self) -> TagRecheckStore:
        return TagRecheckStore(dynamodb(), self._env.table("members"))

    @cached_property
    def _segments(self) -> SegmentStore:
        return SegmentStore()

    @cached_property
    def _tags(self) -> CustomerTags:
        return CustomerTags(dynamodb(), self._env.table("customers"))

    @cached_property
    def _runs(self) -> RunStore:
        return RunStore(keep=_KEEP_RUNS)

    @cached_property
    def _seen_addresses(self) -> SeenAddressStore:
        return SeenAddressStore(dynamodb(), self._env.table("runs"), keep=_KEEP_RUNS)

    @cached_property
    def _pushed_members(self) -> PushedMemberStore:
        return PushedMemberStore(dynamodb(), self._env.table("runs"), keep=_KEEP_PUSHED)

    @cached_property
    def _logs(self) -> LogStore:
        return LogStore(keep=timedelta(days=self._env.log_retention_days))

    @cached_property
    def _ledger(self) -> LedgerStore:
        return LedgerStore()

    @cached_property
    def _queue(self) -> SyncQueue:
        return SyncQueue(sqs(), self._env.sync_queue_url)

    def _reader_for(self, department: Department) -> CustomerReader:
        return CustomerReader(
            dynamodb(), self._env.table("customers"), department.id, check_time=self._check_request_time
        )

    def _check_request_time(self) -> None:
        """The gateway cuts off an answer without a word when it takes too long: whoever waits is told before."""
        if self._request_time() < _SECONDS_FOR_A_PAGE:
            raise RetryLater(
                "Reading all customers of this department took longer than one request may take. Nothing was changed. "
                "Try again in a minute.",
                after_seconds=60,
            )

    # --------------------------------------------------------------------------------- Mailchimp and PracBill

    @cached_property
    def _session(self) -> requests.Session:
        """Connections to Mailchimp and PracBill are kept between invocations."""
        return new_session()

    def mailchimp_of_key(self, key: ApiKey) -> MailchimpClient:
        """A client for the request in hand."""
        return self._mailchimp(key, self._request_time)

    def _mailchimp_for_a_glance(self, key: ApiKey) -> MailchimpClient:
        """A client for what is nice to know: it asks once, and gives up a few seconds after it was made."""
        end = time.monotonic() + _GLANCE_SECONDS
        return self._mailchimp(key, lambda: end - time.monotonic(), _ASK_ONCE)

    def _mailchimp_for(self, department: Department, remaining: Remaining) -> MailchimpClient:
        return self._mailchimp(self._accounts.key_for(department), remaining)

    def _mailchimp_in_request(self, department: Department, remaining: Remaining) -> MailchimpClient:
        return self._mailchimp_for(department, lambda: min(remaining(), self._request_time()))

    def _mailchimp(
        self, key: ApiKey, remaining: Callable[[], float], retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY
    ) -> MailchimpClient:
        return MailchimpClient(
            key,
            url_template=self._env.mailchimp_api_url,
            remaining=remaining,
            retry_policy=retry_policy,
            sleep=time.sleep,
            random=random.random,
            on_call=self._meter.mailchimp_call,
            session_factory=lambda: self._session,
        )

    def _pracbill_for(self, remaining: Remaining) -> PracBillClient:
        """The client towards PracBill; its token is read for each call and kept for at most a minute."""
        return PracBillClient(
            self._env.pracbill_api_url,
            lambda: self._secret_store.needed_text(self._env.pracbill_token_secret),
            remaining=remaining,
            sleep=time.sleep,
            random=random.random,
            session_factory=lambda: self._session,
        )
