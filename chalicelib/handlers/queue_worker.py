"""Queue messages in: each is handled by itself, and answered by itself.

What may pass is brought back by the queue, soon at first and later more slowly. The last delivery closes what it
belongs to, so that nobody waits for the dead-letter queue to be read. While a message is worked on it is held back by a
heartbeat: when the function dies, the message comes back within half a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.errors import RetryLater, StopRun
from chalicelib.handlers.heartbeat import Heartbeat
from chalicelib.mailchimp.webhook import NotAnEvent
from chalicelib.observability import log_failure, logger
from chalicelib.store.queue import HOLD_AGAIN_SECONDS, Step, SyncQueue, read_step

if TYPE_CHECKING:
    from chalicelib.sync.consent.webhook_events import Events
    from chalicelib.sync.ports import ProcessMeter, Remaining
    from chalicelib.sync.runs.orchestrator import Orchestrator

Answer = dict[str, list[dict[str, str]]]
Record = Mapping[str, Any]

# The queue's maxReceiveCount (infra): after so many deliveries a message would go to the dead-letter queue.
MAX_DELIVERIES = 5
_FIRST_DELAY_SECONDS = 5.0
_LONGEST_DELAY_SECONDS = 120.0
# After a fault of our own: sooner than the message would be seen again by itself, while its group waits for it.
_FAULT_DELAY_SECONDS = 30.0


class SyncWorker:
    def __init__(self, steps: Orchestrator, queue: SyncQueue, meter: ProcessMeter) -> None:
        self._orchestrator = steps
        self._queue = queue
        self._meter = meter

    def handle(self, event: Mapping[str, Any], remaining: Remaining) -> Answer:
        """Messages of the sync queue: steps and chunks of runs."""
        return _each(event, lambda record: self._one(record, remaining), self._meter)

    def handle_dead(self, event: Mapping[str, Any]) -> Answer:
        """Messages of the dead-letter queue: functions that died over them too often. What they belong to is closed."""
        return _each(event, self._dead, self._meter)

    def _one(self, record: Record, remaining: Remaining) -> bool:
        step = _step(record)
        if step is None:
            return True
        logger().append_keys(department_id=step.department_id, run_id=step.run_id, step=step.kind, number=step.number)
        try:
            with _held(self._queue, record):
                self._orchestrator.handle(step, remaining)
        except RetryLater as later:
            return self._again_later(record, step, later)
        except Exception as error:  # noqa: BLE001 - the table may be away, or the fault ours: the queue counts the tries
            log_failure("step failed", error, message_id=record.get("messageId"))
            self._queue.change_visibility(record["receiptHandle"], _growing(_FAULT_DELAY_SECONDS, record))
            return False
        return True

    def _again_later(self, record: Record, step: Step, later: RetryLater) -> bool:
        deliveries = _deliveries(record)
        logger().warning("step comes again", extra={"deliveries": deliveries, "why": later.message})
        if deliveries >= MAX_DELIVERIES:
            self._orchestrator.give_up(step, later.message)
            return True
        asked = later.after_seconds or 0.0
        # A wait that the other side asks for is never cut short.
        seconds = max(asked, _growing(asked or _FIRST_DELAY_SECONDS, record))
        if asked > _LONGEST_DELAY_SECONDS and not self._orchestrator.may_wait(step, asked):
            self._orchestrator.give_up(step, later.message, asked_seconds=asked)
            return True
        try:
            self._orchestrator.note_waiting(step, later.message, seconds)
        finally:
            self._queue.change_visibility(record["receiptHandle"], seconds)
        return False

    def _dead(self, record: Record) -> bool:
        step = _step(record)
        if step is not None:
            self._meter.count("DeadLetters")
            self._orchestrator.give_up(
                step, "This part of the sync failed repeatedly; the operators can find the cause in the logs."
            )
        return True


class EventWorker:
    """Events of Mailchimp's webhook. None is ever given up here: after the queue's last delivery it rests."""

    def __init__(self, events: Events, queue: SyncQueue, meter: ProcessMeter) -> None:
        self._events = events
        self._queue = queue
        self._meter = meter

    def handle(self, event: Mapping[str, Any], remaining: Remaining) -> Answer:
        return _each(event, lambda record: self._one(record, remaining), self._meter)

    def _one(self, record: Record, remaining: Remaining) -> bool:
        try:
            with _held(self._queue, record):
                self._events.apply_event(record["body"], remaining)
        except NotAnEvent as error:
            log_failure("message is not an event", error, message_id=record.get("messageId"))
        except (RetryLater, StopRun) as passing:
            logger().warning("event comes again", extra={"deliveries": _deliveries(record), "why": passing.message})
            return self._again(record, 2 * _FIRST_DELAY_SECONDS)
        except Exception as error:  # noqa: BLE001 - the table may be away, or the fault ours: no event may be lost by it
            log_failure("event failed", error, message_id=record.get("messageId"))
            return self._again(record, _FAULT_DELAY_SECONDS)
        return True

    def _again(self, record: Record, seconds: float) -> bool:
        self._queue.change_visibility(record["receiptHandle"], _growing(seconds, record))
        return False


def _each(event: Mapping[str, Any], handle: Callable[[Record], bool], meter: ProcessMeter) -> Answer:
    """Handle each record; those that are not through are named, and only they come again."""
    failed = []
    for record in event["Records"]:
        try:
            through = handle(record)
        except Exception as error:  # noqa: BLE001 - one message must not bring the others back
            log_failure("message failed", error, message_id=record.get("messageId"))
            through = False
        if not through:
            failed.append({"itemIdentifier": record["messageId"]})
    meter.flush()
    return {"batchItemFailures": failed}


def _held(queue: SyncQueue, record: Record) -> Heartbeat:
    """Keeps the message away from others during a block. What `change_visibility` says after the block stands."""
    return Heartbeat(lambda: queue.extend_visibility(record["receiptHandle"]), every=HOLD_AGAIN_SECONDS)


def _growing(seconds: float, record: Record) -> float:
    """A delay that grows with each delivery, up to a bound.

    A hitch costs seconds, and the five deliveries of a step still outlast some minutes in which nothing works.
    """
    return min(seconds * 3.0 ** (_deliveries(record) - 1), _LONGEST_DELAY_SECONDS)


def _deliveries(record: Record) -> int:
    return int(record["attributes"]["ApproximateReceiveCount"])


def _step(record: Record) -> Step | None:
    """The step of a message; one that is none of ours is logged and dropped, since it would never get better."""
    try:
        return read_step(record["body"])
    except (ValueError, KeyError, TypeError) as error:
        log_failure("message is not a step", error, message_id=record.get("messageId"))
        return None
