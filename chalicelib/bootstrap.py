"""The entrances of the functions: what each of them needs is made on first use, once a process.

Nothing heavy is imported here before it is needed: the webhook's function must answer at once when it starts anew.
"""

from __future__ import annotations

import contextlib
import os
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chalicelib.config import API_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.container import Container
    from chalicelib.contract.services import Services
    from chalicelib.handlers.queue_worker import EventWorker, SyncWorker
    from chalicelib.handlers.webhook import EventSender, RecentRefusals
    from chalicelib.store.hook_records import HookRecordStore
    from chalicelib.sync.ports import Remaining
    from chalicelib.sync.runs.sweeper import Sweeper


def services() -> Services:
    """Everything the routes may call."""
    return workflows()


def sync_worker() -> SyncWorker:
    return workflows().sync_worker


def event_worker() -> EventWorker:
    return workflows().event_worker


def sweeper() -> Sweeper:
    return workflows().sweeper


def webhook(event: dict[str, Any]) -> dict[str, Any]:
    """Answer one call of Mailchimp's webhook. Builds only what that function needs and may use."""
    from chalicelib.handlers.webhook import handle

    return handle(event, hook_of=hook_records().open, send=event_sender(), now=time.time, refusals=_refusals())


def prepare(*makers: Callable[[], object]) -> None:
    """Make what the first call of this function needs: where it starts, AWS counts no time-out, and gives more of a
    processor. Outside Lambda nothing is made at import.
    """
    from chalicelib.config import MissingSetting

    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        with contextlib.suppress(MissingSetting):  # it is named by the first call that needs it
            for make in makers:
                make()


def tables() -> None:
    """The client of all tables but those that are written by the ten thousand."""
    from chalicelib.store.models import connect

    connect()


def large_tables() -> None:
    """The client of the tables that are written by the ten thousand."""
    from chalicelib.store.aws import dynamodb

    dynamodb()


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
        self._ends_at = self._clock() + API_SECONDS

    def left(self) -> float:
        return API_SECONDS if self._ends_at is None else self._ends_at - self._clock()


request_time = RequestTime()


@lru_cache(maxsize=1)
def workflows() -> Container:
    from chalicelib.config import settings
    from chalicelib.container import Container
    from chalicelib.foundations import Seams

    return Container(settings(), Seams(request_time=lambda: request_time.left()))


@lru_cache(maxsize=1)
def hook_records() -> HookRecordStore:
    from chalicelib.config import settings
    from chalicelib.store.aws import dynamodb, kms
    from chalicelib.store.hook_records import HookRecordStore

    return HookRecordStore(dynamodb(), kms, table=settings().table("hooks"), key=settings().hook_key)


@lru_cache(maxsize=1)
def _refusals() -> RecentRefusals:
    from chalicelib.handlers.webhook import RecentRefusals

    return RecentRefusals()


@lru_cache(maxsize=1)
def event_sender() -> EventSender:
    from chalicelib.config import settings
    from chalicelib.handlers.webhook import EventSender
    from chalicelib.store.aws import sqs

    return EventSender(sqs(), settings().event_queue_url)
