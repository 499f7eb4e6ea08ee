"""The service as it is deployed, joined by its own hands; only time, queues and the servers it calls are the history's.

Nothing else in this folder touches the product's inside.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.config import Settings
from chalicelib.contract.account import SettingsChanges
from chalicelib.domain.segments.rules import Rule
from chalicelib.domain.segments.validation import Definition
from chalicelib.errors import RefuseRequest, ServiceError
from chalicelib.foundations import Seams
from chalicelib.handlers.webhook import EventSender, RecentRefusals, handle
from chalicelib.store import member_keys
from chalicelib.store.aws import dynamodb, kms, sqs
from chalicelib.store.hook_records import HookRecordStore
from chalicelib.store.queue import SyncQueue
from infra.standins.service import StandInService
from tests.soak.aws import Queues
from tests.soak.clock import Clock

__all__ = ["Definition", "Product", "RefuseRequest", "Rule", "ServiceError", "SettingsChanges", "few_shards"]

_SHARDS = ("0", "1")
# What the functions have, by their template.
WORKER_SECONDS, EVENT_SECONDS, API_SECONDS = 290.0, 55.0, 25.0


class _QuickQueue(SyncQueue):
    """Nobody waits for a delayed message: the clock is moved on instead."""

    def __init__(self, url: str, clock: Clock) -> None:
        super().__init__(sqs(), url)
        self._clock = clock
        self.delayed = False

    def change_visibility(self, receipt_handle: str, seconds: float) -> None:
        self.delayed = True
        self._clock.move(seconds=seconds)
        super().change_visibility(receipt_handle, 0)


class _Meter:
    """Counts nothing: the histories look at what is so, not at what is measured."""

    def count(self, name: str, value: float = 1, unit: str = "Count") -> None:
        pass

    def mailchimp_call(self, call: Any) -> None:
        pass

    def flush(self) -> None:
        pass


class _Joined(StandInService):
    """The product's own wiring with the history's clock, queues and servers."""

    def __init__(self, env: dict[str, str], clock: Clock, queues: Queues, mailchimp: Any, pracbill: Any) -> None:
        seams = Seams(
            clock=clock, sleep=clock.sleep, random=lambda: 0.5, request_time=lambda: API_SECONDS, meter=_Meter()
        )
        super().__init__(mailchimp, pracbill, seams, env)
        self.sync_queue = self.stores.queue = _QuickQueue(queues.sync, clock)
        self.stores.event_queue = _QuickQueue(queues.events, clock)


class Product:
    """The service of one department: what staff call, what queues bring, what the webhook answers."""

    def __init__(self, clock: Clock, queues: Queues, department_id: str, mailchimp: Any, pracbill: Any, hooks: str):
        environment = {
            **os.environ,
            "PUBLIC_URL": hooks,
            "SYNC_QUEUE_URL": queues.sync,
            "EVENT_QUEUE_URL": queues.events,
        }
        self._env = Settings(environment)
        self.id, self._clock, self._queues = department_id, clock, queues
        self.joined = _Joined(environment, clock, queues, mailchimp, pracbill)
        self.service = self.joined  # what the routes call
        self._send = EventSender(sqs(), queues.events)
        self._hook_records = HookRecordStore(dynamodb(), kms, table=self._env.table("hooks"), key=self._env.hook_key)
        self._refusals = RecentRefusals()

    # ------------------------------------------------------------------------------------------------ functions

    def handle_sync(self, event: dict[str, Any]) -> tuple[bool, bool]:
        """Hand a message to the worker; answers whether it is through, and if not whether its return was asked for."""
        queue = self.joined.sync_queue
        queue.delayed = False
        failed = self.joined.sync_worker.handle(event, self._clock.deadline(WORKER_SECONDS))["batchItemFailures"]
        return not failed, queue.delayed

    def handle_dead(self, event: dict[str, Any]) -> None:
        self.joined.sync_worker.handle_dead(event)

    def handle_event(self, event: dict[str, Any]) -> bool:
        failed = self.joined.event_worker.handle(event, self._clock.deadline(EVENT_SECONDS))["batchItemFailures"]
        return not failed

    def webhook(self, event: dict[str, Any]) -> int:
        """Answer a call of Mailchimp's webhook, given as API Gateway passes it on."""
        answer = handle(
            event,
            hook_of=self._hook_records.open,
            send=self._send,
            now=self._clock.seconds,
            refusals=self._refusals,
        )
        return int(answer["statusCode"])

    def sweep(self) -> None:
        self.joined.sweeper.sweep()

    def schedule(self, occasion: str) -> None:
        self.joined.sweeper.dispatch(occasion)

    # ---------------------------------------------------------------------------------------- looking, for an oracle

    def active_run_id(self) -> str:
        department = self.joined.stores.departments.get(self.id)
        return department.active_run_id if department is not None else ""

    def work_lists(self) -> dict[str, list[str]]:
        """What waits to be looked at again: nothing, when all is at rest."""
        members = self.joined.stores.members
        return {
            "marked": [f"{key}: {', '.join(marks)}" for key, marks in members.marked(self.id)],
            "outbox": [f"{word.email}: {word.status}" for word in members.outbox(self.id)],
        }

    def forget_other_departments(self) -> None:
        """The schedule and the sweeper look at everybody."""
        for item in models_of_departments().scan():
            item.delete()


def models_of_departments() -> Any:
    from chalicelib.store.models import DepartmentItem

    return DepartmentItem


@contextmanager
def few_shards() -> Iterator[None]:
    """Addresses in two partitions instead of 256."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(member_keys, "SHARDS", _SHARDS)
        patch.setattr(member_keys, "shard_of", lambda address_key: str(int(address_key[0], 16) % 2))
        yield
