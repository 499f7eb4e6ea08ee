"""Every table, queue and secret of the service, each imported and opened on first use and once a process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from chalicelib.store import aws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

    from chalicelib.config import Settings
    from chalicelib.domain.departments import Department
    from chalicelib.store.address_status import AddressStatusStore
    from chalicelib.store.attempts import AttemptStore
    from chalicelib.store.call_counts import CallCounts
    from chalicelib.store.customer_reading import CustomerReader
    from chalicelib.store.customer_tags import CustomerTags
    from chalicelib.store.customers import CustomerStore
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.store.events import EventStore
    from chalicelib.store.hook_records import HookRecordStore
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


@dataclass(frozen=True, kw_only=True)
class AwsClients:
    """What opens a client of each service of AWS."""

    dynamodb: Callable[[], DynamoDBClient] = aws.dynamodb
    kms: Callable[[], KMSClient] = aws.kms
    sqs: Callable[[], SQSClient] = aws.sqs
    secretsmanager: Callable[[], SecretsManagerClient] = aws.secretsmanager


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How long what has been is kept. Runs and chunks: as long as somebody may ask for them."""

    runs: timedelta = timedelta(days=180)
    # Runs look back to the start of the last good one. A department that had none for so long reads what it pushed.
    pushed: timedelta = timedelta(days=7)
    attempts: timedelta = timedelta(days=1)
    requests: timedelta = timedelta(days=1)
    logs: timedelta | None = None  # None: as the settings say


class Stores:
    def __init__(
        self, env: Settings, clients: AwsClients, retention: Retention, sleep: Callable[[float], None]
    ) -> None:
        self._env = env
        self._clients = clients
        self._keep = retention
        self._sleep = sleep

    @cached_property
    def departments(self) -> DepartmentStore:
        from chalicelib.store.departments import DepartmentStore

        return DepartmentStore()

    @cached_property
    def customers(self) -> CustomerStore:
        from chalicelib.store.customers import CustomerStore

        return CustomerStore(self._clients.dynamodb(), self._env.table("customers"))

    @cached_property
    def tags(self) -> CustomerTags:
        from chalicelib.store.customer_tags import CustomerTags

        return CustomerTags(self._clients.dynamodb(), self._env.table("customers"))

    def reader_for(self, department: Department, check_time: Callable[[], None]) -> CustomerReader:
        """All customers of a department, read anew."""
        from chalicelib.store.customer_reading import CustomerReader

        table = self._env.table("customers")
        return CustomerReader(self._clients.dynamodb(), table, department.id, check_time=check_time)

    @cached_property
    def members(self) -> MemberStore:
        from chalicelib.store.members import MemberStore

        return MemberStore(self._clients.dynamodb(), self._env.table("members"))

    @cached_property
    def address_statuses(self) -> AddressStatusStore:
        from chalicelib.store.address_status import AddressStatusStore

        return AddressStatusStore(self._clients.dynamodb(), self._env.table("members"))

    @cached_property
    def rechecks(self) -> TagRecheckStore:
        from chalicelib.store.tag_rechecks import TagRecheckStore

        return TagRecheckStore(self._clients.dynamodb(), self._env.table("members"))

    @cached_property
    def segments(self) -> SegmentStore:
        from chalicelib.store.segments import SegmentStore

        return SegmentStore()

    @cached_property
    def runs(self) -> RunStore:
        from chalicelib.store.runs import RunStore

        return RunStore(keep=self._keep.runs)

    @cached_property
    def seen_addresses(self) -> SeenAddressStore:
        from chalicelib.store.seen_addresses import SeenAddressStore

        return SeenAddressStore(self._clients.dynamodb(), self._env.table("runs"), keep=self._keep.runs)

    @cached_property
    def pushed_members(self) -> PushedMemberStore:
        from chalicelib.store.pushed_members import PushedMemberStore

        return PushedMemberStore(self._clients.dynamodb(), self._env.table("runs"), keep=self._keep.pushed)

    @cached_property
    def logs(self) -> LogStore:
        from chalicelib.store.logs import LogStore

        return LogStore(
            keep=self._keep.logs or timedelta(days=self._env.log_retention_days), client=self._clients.dynamodb
        )

    @cached_property
    def ledger(self) -> LedgerStore:
        from chalicelib.store.logs import LedgerStore

        return LedgerStore(self._clients.dynamodb)

    @cached_property
    def events(self) -> EventStore:
        from chalicelib.store.events import EventStore

        return EventStore()

    @cached_property
    def schedule(self) -> ScheduleStore:
        from chalicelib.store.schedule import ScheduleStore

        return ScheduleStore()

    @cached_property
    def attempts(self) -> AttemptStore:
        from chalicelib.store.attempts import AttemptStore

        return AttemptStore(keep=self._keep.attempts)

    @cached_property
    def requests(self) -> RequestStore:
        from chalicelib.store.requests import RequestStore

        return RequestStore(keep=self._keep.requests)

    @cached_property
    def call_counts(self) -> CallCounts:
        from chalicelib.store.call_counts import CallCounts

        return CallCounts(self._clients.dynamodb(), self._env.table("events"))

    @cached_property
    def queue(self) -> SyncQueue:
        from chalicelib.store.queue import SyncQueue

        return SyncQueue(self._clients.sqs(), self._env.sync_queue_url)

    @cached_property
    def event_queue(self) -> SyncQueue:
        from chalicelib.store.queue import SyncQueue

        return SyncQueue(self._clients.sqs(), self._env.event_queue_url)

    @cached_property
    def hook_records(self) -> HookRecordStore:
        from chalicelib.store.hook_records import HookRecordStore

        table = self._env.table("hooks")
        return HookRecordStore(self._clients.dynamodb(), self._clients.kms, table=table, key=self._env.hook_key)

    @cached_property
    def secrets(self) -> SecretStore:
        from chalicelib.store.secret_store import SecretStore

        return SecretStore(self._clients.secretsmanager(), sleep=self._sleep)
