"""The service as it is deployed, joined by its own hands; only time, queues and the servers it calls are the history's.

Nothing else in this folder touches the product's inside.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import pytest

from chalicelib import container
from chalicelib.config import Settings
from chalicelib.contract.account import SettingsChanges
from chalicelib.contract.segments import SegmentRule
from chalicelib.errors import RefuseRequest, ServiceError
from chalicelib.handlers.queue_worker import EventWorker
from chalicelib.handlers.webhook import EventSender, RecentRefusals, handle
from chalicelib.http_client.retry import DEFAULT_RETRY_POLICY, RetryPolicy
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.keys import ApiKey
from chalicelib.pracbill.client import PracBillClient
from chalicelib.store.aws import secretsmanager, sqs
from chalicelib.store.queue import SyncQueue
from chalicelib.store.secret_store import SecretStore
from tests.soak.aws import Queues
from tests.soak.clock import Clock

__all__ = ["Product", "RefuseRequest", "SegmentRule", "ServiceError", "SettingsChanges", "few_shards"]

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


class _Joined(container.Container):
    """The product's own wiring with the history's clock, queues and servers."""

    def __init__(self, env: Settings, clock: Clock, queues: Queues, mailchimp_url: str, pracbill: Any) -> None:
        super().__init__(env, SecretStore(secretsmanager(), sleep=clock.sleep), lambda: API_SECONDS)
        self._meter = _Meter()  # type: ignore[assignment]
        self._soak_clock, self._queues = clock, queues
        self._mailchimp_url, self._pracbill = mailchimp_url, pracbill

    @cached_property
    def _queue(self) -> _QuickQueue:
        return _QuickQueue(self._queues.sync, self._soak_clock)

    @cached_property
    def event_queue(self) -> _QuickQueue:
        return _QuickQueue(self._queues.events, self._soak_clock)

    @cached_property
    def event_worker(self) -> EventWorker:
        return EventWorker(self._events, self.event_queue, self._meter)

    def _mailchimp(
        self, key: ApiKey, remaining: Callable[[], float], retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY
    ) -> MailchimpClient:
        return MailchimpClient(
            key,
            url_template=self._mailchimp_url,
            remaining=remaining,
            retry_policy=retry_policy,
            sleep=self._soak_clock.sleep,
            random=lambda: 0.5,
            session_factory=lambda: self._session,
        )

    def _pracbill_for(self, remaining: Callable[[], float]) -> PracBillClient:
        return PracBillClient(
            self._pracbill.url,
            lambda: str(self._pracbill.token),
            remaining=remaining,
            sleep=self._soak_clock.sleep,
            random=lambda: 0.5,
            session_factory=lambda: self._session,
        )


class Product:
    """The service of one department: what staff call, what queues bring, what the webhook answers."""

    def __init__(self, clock: Clock, queues: Queues, department_id: str, mailchimp_url: str, pracbill: Any, hooks: str):
        environment = {
            **os.environ,
            "PUBLIC_URL": hooks,
            "SYNC_QUEUE_URL": queues.sync,
            "EVENT_QUEUE_URL": queues.events,
        }
        self._env = Settings(environment)
        self.id, self._clock, self._queues = department_id, clock, queues
        self.joined = _Joined(self._env, clock, queues, mailchimp_url, pracbill)
        self.service = self.joined  # what the routes call
        self._send = EventSender(sqs(), queues.events)
        self._other_vault = SecretStore(secretsmanager(), sleep=clock.sleep)
        self._refusals = RecentRefusals()

    # ------------------------------------------------------------------------------------------------ functions

    def handle_sync(self, event: dict[str, Any]) -> tuple[bool, bool]:
        """Hand a message to the worker; answers whether it is through, and if not whether its return was asked for."""
        queue = self.joined._queue
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
        record = self._env.secret
        answer = handle(
            event,
            hook_of=lambda department_id: self._other_vault.fields_now(record("hooks", department_id)),
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
        department = self.joined._departments.get(self.id)
        return department.active_run_id if department is not None else ""

    def work_lists(self) -> dict[str, list[str]]:
        """What waits to be looked at again: nothing, when all is at rest."""
        members = self.joined._members
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
def few_shards(clock: Clock) -> Iterator[None]:
    """Addresses in two partitions instead of 256, and the history's clock wherever the wiring names its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(container, "now", clock)
        for name, module in list(sys.modules.items()):
            if not name.startswith("chalicelib."):
                continue
            if hasattr(module, "SHARDS"):
                patch.setattr(module, "SHARDS", _SHARDS)
            if hasattr(module, "shard_of"):
                patch.setattr(module, "shard_of", lambda address_key: str(int(address_key[0], 16) % 2))
        yield
