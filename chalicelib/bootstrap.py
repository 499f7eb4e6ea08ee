"""The one place where clients, stores and workflows are made and joined, each on first use and once a process."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # The routes, the workers and the webhook need different parts; each function imports only its own.
    import requests

    from chalicelib.api.services import Services
    from chalicelib.domain.departments import Department
    from chalicelib.mailchimp.client import MailchimpClient
    from chalicelib.mailchimp.keys import ApiKey
    from chalicelib.pracbill.client import PracBillClient
    from chalicelib.store.vault import Vault
    from chalicelib.sync.audiences import Audiences
    from chalicelib.sync.connect import Connections
    from chalicelib.sync.department_settings import DepartmentSettings
    from chalicelib.sync.ports import Remaining
    from chalicelib.sync.runs import Logs, Runs
    from chalicelib.sync.segments import Segments
    from chalicelib.sync.sweep import Sweeper
    from chalicelib.sync.why import Customers, Reconciliations
    from chalicelib.webhook import EventSender
    from chalicelib.worker import EventWorker, SyncWorker

# A request of the API must be answered within API Gateway's 29 seconds, its start on a new machine included.
_API_SECONDS = 25.0
# What a panel may wait for Mailchimp; three of them are the margin that every call leaves.
_GLANCE_SECONDS = 7.0
# Runs and chunks are kept as long as somebody may ask for them.
_KEEP_RUNS = timedelta(days=180)


def services() -> Services:
    """Everything the routes may call."""
    return _joined().services


def sync_worker() -> SyncWorker:
    return _joined().sync_worker


def event_worker() -> EventWorker:
    return _joined().event_worker


def webhook(event: dict[str, Any]) -> dict[str, Any]:
    """Answer one call of Mailchimp's webhook. Builds only what that function needs and may use."""
    from chalicelib.config import settings
    from chalicelib.webhook import handle

    def hook_of(department_id: str) -> Mapping[str, str]:
        # Read anew: Mailchimp probes a hook while its record is being written, and a retired one must not live on.
        return _secrets().fields_now(settings().secret("hooks", department_id))

    return handle(event, hook_of=hook_of, send=_event_sender(), now=time.time)


@lru_cache(maxsize=1)
def _event_sender() -> EventSender:
    from chalicelib.config import settings
    from chalicelib.store.aws import sqs
    from chalicelib.webhook import EventSender

    return EventSender(sqs(), settings().event_queue_url)


def sweeper() -> Sweeper:
    return _joined().sweeper


def time_left(context: Any) -> Remaining:
    """The seconds that a function may still run."""
    return lambda: context.get_remaining_time_in_millis() / 1000


class RequestTime:
    """The seconds that are left to answer the request in hand.

    All calls of a request share them: when Mailchimp hangs, its caller is told so in time, and the gateway need not
    cut the answer off.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at: float | None = None

    def begin(self) -> None:
        """A request has come; a function answers one at a time."""
        self._ends_at = self._clock() + _API_SECONDS

    def left(self) -> float:
        return _API_SECONDS if self._ends_at is None else self._ends_at - self._clock()


request_time = RequestTime()


def now() -> datetime:
    return datetime.now(UTC)


@lru_cache(maxsize=1)
def http_session() -> requests.Session:
    """One session a process: connections to Mailchimp and PracBill are kept between invocations."""
    from chalicelib.outbound.calls import new_session

    return new_session()


@dataclass(frozen=True)
class JoinedServices:
    """What the routes call, by the names of api/services.py."""

    connections: Connections
    audiences: Audiences
    settings: DepartmentSettings
    runs: Runs
    logs: Logs
    customers: Customers
    reconciliation: Reconciliations
    segments: Segments


@dataclass(frozen=True)
class _Joined:
    services: Services
    sync_worker: SyncWorker
    event_worker: EventWorker
    sweeper: Sweeper


@lru_cache(maxsize=1)
def _joined() -> _Joined:
    from chalicelib.config import settings
    from chalicelib.observability import MetricsMeter
    from chalicelib.store.attempts import AttemptStore
    from chalicelib.store.aws import dynamodb, sqs
    from chalicelib.store.customer_tags import CustomerTags
    from chalicelib.store.customers import CustomerStore
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.store.events import EventStore
    from chalicelib.store.logs import LedgerStore, LogStore
    from chalicelib.store.members import MemberStore
    from chalicelib.store.queue import SyncQueue
    from chalicelib.store.runs import RunStore
    from chalicelib.store.segment_query import SegmentQuery
    from chalicelib.store.segments import SegmentStore
    from chalicelib.store.sightings import SightingsStore
    from chalicelib.store.standings import StandingStore
    from chalicelib.store.tag_checks import TagCheckStore
    from chalicelib.sync.accounts import LinkedAccounts
    from chalicelib.sync.apply import ChunkApplier
    from chalicelib.sync.audience_looks import AudienceLooks
    from chalicelib.sync.audiences import Audiences
    from chalicelib.sync.connect import Connections, RunCalls
    from chalicelib.sync.deciding import Decider
    from chalicelib.sync.department_settings import DepartmentSettings
    from chalicelib.sync.enrolment import Enrolment
    from chalicelib.sync.erase import Erasure
    from chalicelib.sync.events import Events
    from chalicelib.sync.hearing import Hearing
    from chalicelib.sync.hooks import Hooks
    from chalicelib.sync.pull import Puller
    from chalicelib.sync.runs import Logs, Runs
    from chalicelib.sync.segment_previews import Previews
    from chalicelib.sync.segment_sync import SegmentSync
    from chalicelib.sync.segments import Segments
    from chalicelib.sync.steps import Steps
    from chalicelib.sync.storing import Storer
    from chalicelib.sync.sweep import Sweeper
    from chalicelib.sync.why import Customers, Reconciliations
    from chalicelib.worker import EventWorker, SyncWorker

    env, meter = settings(), MetricsMeter()
    keep_logs = timedelta(days=env.log_retention_days)
    departments, vault = DepartmentStore(), _secrets()
    customers = CustomerStore(dynamodb(), env.table("customers"))
    members = MemberStore(dynamodb(), env.table("members"))
    runs, logs, ledger = RunStore(keep=_KEEP_RUNS), LogStore(keep=keep_logs), LedgerStore()
    queue = SyncQueue(sqs(), env.sync_queue_url)
    accounts = LinkedAccounts(
        departments, vault, _mailchimp_of_key, secret_name=lambda department: env.secret("departments", department)
    )
    enrolment = Enrolment(departments, pracbill_for(request_time.left))
    hooks = Hooks(
        departments,
        vault,
        secret_name=lambda department: env.secret("hooks", department),
        public_url=lambda: env.public_url,
        clock=now,
    )
    lifecycle = Runs(
        departments=departments,
        runs=runs,
        logs=logs,
        members=members,
        queue=queue,
        clock=now,
        entropy=lambda: secrets.token_hex(2),
        meter=meter,
    )

    def mailchimp_for(department: Department, remaining: Remaining) -> MailchimpClient:
        return _mailchimp(accounts.key_for(department), remaining)

    def mailchimp_in_request(department: Department, remaining: Remaining) -> MailchimpClient:
        return mailchimp_for(department, lambda: min(remaining(), request_time.left()))

    sightings = SightingsStore(dynamodb(), env.table("runs"), keep=_KEEP_RUNS)
    hearing = Hearing(departments=departments, members=members, ledger=ledger, clock=now)
    puller = Puller(
        hearing=hearing,
        members=members,
        runs=runs,
        logs=logs,
        sightings=sightings,
        mailchimp_for=mailchimp_for,
        pracbill_for=pracbill_for,
        clock=now,
    )
    eraser = Erasure(
        departments=departments,
        customers=customers,
        members=members,
        ledger=ledger,
        logs=logs,
        mailchimp_for=mailchimp_in_request,
        clock=now,
    )
    events = Events(
        departments=departments,
        members=members,
        events=EventStore(),
        hearing=hearing,
        logs=logs,
        mailchimp_for=mailchimp_for,
        pracbill_for=pracbill_for,
        clock=now,
        meter=meter,
    )

    def query_for(department: Department) -> SegmentQuery:
        return SegmentQuery(dynamodb(), env.table("customers"), department.id, split_points=department.split_points)

    segment_store, tags = SegmentStore(), CustomerTags(dynamodb(), env.table("customers"))
    standings, checks = StandingStore(dynamodb(), env.table("members")), TagCheckStore(dynamodb(), env.table("members"))
    segment_sync = SegmentSync(
        segments=segment_store,
        departments=departments,
        customers=customers,
        members=members,
        tags=tags,
        checks=checks,
        standings=standings,
        sightings=sightings,
        runs=runs,
        logs=logs,
        query_for=query_for,
        mailchimp_for=mailchimp_for,
        clock=now,
    )
    segments = Segments(
        segments=segment_store,
        departments=departments,
        enrolment=enrolment,
        tags=tags,
        previews=Previews(
            customers=customers,
            members=members,
            standings=standings,
            runs=runs,
            query_for=query_for,
            pracbill_for=pracbill_for,
            clock=now,
        ),
        runs=lifecycle,
        mailchimp_for=mailchimp_in_request,
        clock=now,
        entropy=lambda: secrets.token_hex(4),
    )
    storer = Storer(customers=customers, members=members, runs=runs, logs=logs, clock=now)
    decider = Decider(members=members, runs=runs, logs=logs, ledger=ledger, hearing=hearing, clock=now)
    applier = ChunkApplier(
        departments=departments,
        members=members,
        runs=runs,
        logs=logs,
        ledger=ledger,
        hearing=hearing,
        clock=now,
        meter=meter,
    )
    steps = Steps(
        departments=departments,
        runs=runs,
        queue=queue,
        lifecycle=lifecycle,
        hooks=hooks,
        hearing=hearing,
        puller=puller,
        storer=storer,
        decider=decider,
        applier=applier,
        segments=segment_sync,
        mailchimp_for=mailchimp_for,
        pracbill_for=pracbill_for,
        clock=now,
    )
    looks = AudienceLooks(accounts, open_quickly=_mailchimp_for_a_glance, clock=now)
    joined = JoinedServices(
        connections=Connections(
            departments,
            accounts,
            hooks,
            enrolment=enrolment,
            looks=looks,
            open_mailchimp=_mailchimp_of_key,
            attempts=AttemptStore(keep=timedelta(days=1)),
            runs=RunCalls(active=lifecycle.active, last_failed=lifecycle.last_failed, stop=lifecycle.stop_active),
            clock=now,
        ),
        audiences=Audiences(
            departments,
            accounts,
            hooks,
            looks=looks,
            active_run=lifecycle.active,
            last_failed=lifecycle.last_failed,
            segment_count=lambda department_id: len(segments.list(department_id)),
            first_plan=lifecycle.first_plan,
            clock=now,
        ),
        settings=DepartmentSettings(departments, enrolment=enrolment),
        runs=lifecycle,
        logs=Logs(logs),
        customers=Customers(
            departments=departments,
            customers=customers,
            members=members,
            ledger=ledger,
            segments=segments.defined,
            eraser=eraser,
            clock=now,
        ),
        reconciliation=Reconciliations(
            departments=departments,
            members=members,
            checks=checks,
            standings=standings,
            query_for=query_for,
            mailchimp_for=mailchimp_in_request,
            clock=now,
        ),
        segments=segments,
    )
    return _Joined(
        services=joined,
        sync_worker=SyncWorker(steps, queue, meter),
        event_worker=EventWorker(events, SyncQueue(sqs(), env.event_queue_url), meter),
        sweeper=Sweeper(departments=departments, runs=runs, queue=queue, lifecycle=lifecycle, clock=now, meter=meter),
    )


def pracbill_for(remaining: Remaining) -> PracBillClient:
    """The client towards PracBill; its token is read for each call and kept for at most a minute."""
    from chalicelib.config import settings
    from chalicelib.pracbill.client import PracBillClient

    return PracBillClient(
        settings().pracbill_api_url,
        _pracbill_token,
        remaining=remaining,
        sleep=time.sleep,
        random=random.random,
        session_factory=http_session,
    )


@lru_cache(maxsize=1)
def _secrets() -> Vault:
    from chalicelib.store.aws import secretsmanager
    from chalicelib.store.vault import Vault

    return Vault(secretsmanager())


def _pracbill_token() -> str:
    from chalicelib.config import settings

    return _secrets().text(settings().pracbill_token_secret) or ""


def _mailchimp_of_key(key: ApiKey) -> MailchimpClient:
    return _mailchimp(key, request_time.left)


def _mailchimp_for_a_glance(key: ApiKey) -> MailchimpClient:
    """A client for what is nice to know: it gives up a few seconds after it was made."""
    end = time.monotonic() + _GLANCE_SECONDS
    return _mailchimp(key, lambda: end - time.monotonic())


def _mailchimp(key: ApiKey, remaining: Callable[[], float]) -> MailchimpClient:
    from chalicelib.config import settings
    from chalicelib.mailchimp.client import MailchimpClient
    from chalicelib.observability import MetricsMeter

    return MailchimpClient(
        key,
        url_template=settings().mailchimp_api_url,
        remaining=remaining,
        sleep=time.sleep,
        random=random.random,
        on_call=MetricsMeter().mailchimp_call,
        session_factory=http_session,
    )
