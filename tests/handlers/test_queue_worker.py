"""The worker's answers to Lambda: each message by itself, later ones with growing delays, dead ones closed."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

import pytest

from chalicelib.errors import RetryLater, StopRun
from chalicelib.handlers.queue_worker import MAX_DELIVERIES, EventWorker, SyncWorker
from chalicelib.mailchimp.webhook import HookEvent, read_event, write_event
from chalicelib.store.queue import Step

STEP = {"kind": "step", "department_id": "north", "run_id": "run-1", "number": 3, "nudge": 0}


class ScriptedSteps:
    """Raises what a message's number is mapped to, and notes what it is asked."""

    def __init__(self, **raised: BaseException) -> None:
        self.raised = {int(number[1:]): error for number, error in raised.items()}
        self.handled: list[Step] = []
        self.given_up: list[tuple[Step, str]] = []
        self.asked_seconds: float | None = None
        self.waiting: list[tuple[str, float]] = []

    def handle(self, step: Step, remaining: Any) -> None:
        self.handled.append(step)
        assert remaining() == 100.0
        if step.number in self.raised:
            raise self.raised[step.number]

    def may_wait(self, step: Step, seconds: float) -> bool:
        return seconds < 1_800

    def give_up(self, step: Step, reason: str, *, asked_seconds: float | None = None) -> None:
        self.given_up.append((step, reason))
        self.asked_seconds = asked_seconds

    def note_waiting(self, step: Step, reason: str, seconds: float) -> None:
        self.waiting.append((reason, seconds))


class NotedDelays:
    """`said`: what the queue was told, holds too, in order."""

    def __init__(self) -> None:
        self.delays: list[tuple[str, float]] = []
        self.said: list[str] = []

    def extend_visibility(self, receipt_handle: str) -> None:
        self.said.append(f"hold {receipt_handle}")

    def change_visibility(self, receipt_handle: str, seconds: float) -> None:
        self.said.append(f"delay {receipt_handle}")
        self.delays.append((receipt_handle, seconds))


class CountingMeter:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.flushed = 0

    def count(self, name: str, value: float = 1, unit: str = "Count") -> None:
        self.counts[name] += int(value)

    def flush(self) -> None:
        self.flushed += 1


class Desk:
    def __init__(self, **raised: BaseException) -> None:
        self.steps, self.queue, self.meter = ScriptedSteps(**raised), NotedDelays(), CountingMeter()
        self.worker = SyncWorker(self.steps, self.queue, self.meter)  # type: ignore[arg-type]

    def handle(self, *records: dict[str, Any]) -> list[str]:
        """The ids of the messages that are to come again."""
        answer = self.worker.handle({"Records": records}, lambda: 100.0)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def record(number: int = 3, *, deliveries: int = 1, body: str | None = None) -> dict[str, Any]:
    return {
        "messageId": f"message-{number}",
        "receiptHandle": f"handle-{number}",
        "body": json.dumps({**STEP, "number": number}) if body is None else body,
        "attributes": {"ApproximateReceiveCount": str(deliveries)},
    }


def test_a_message_is_handed_on_as_it_was_sent() -> None:
    desk = Desk()
    assert desk.handle(record()) == []
    assert desk.steps.handled == [Step("step", "north", "run-1", 3)]
    assert desk.meter.flushed == 1


def test_messages_are_answered_one_by_one() -> None:
    desk = Desk(_2=RetryLater("Busy."), _4=OSError("away"))
    assert desk.handle(record(1), record(2), record(3), record(4), record(5)) == ["message-2", "message-4"]
    assert [step.number for step in desk.steps.handled] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("deliveries", "seconds"), [(1, 5), (2, 15), (3, 45), (4, 120)])
def test_what_may_pass_comes_back_later_and_later(deliveries: int, seconds: float) -> None:
    desk = Desk(_3=RetryLater("Busy."))
    assert desk.handle(record(deliveries=deliveries)) == ["message-3"]
    assert desk.queue.delays == [("handle-3", seconds)]
    assert desk.steps.given_up == []


def test_the_run_is_told_for_what_it_waits_and_how_long() -> None:
    desk = Desk(_3=RetryLater("Rate limit exceeded: Busy.", after_seconds=17.0))
    desk.handle(record(3))
    assert desk.steps.waiting == [("Rate limit exceeded: Busy.", 17.0)]


@pytest.mark.parametrize(
    ("asked", "deliveries", "seconds"), [(17.0, 1, 17.0), (17.0, 3, 120.0), (600.0, 1, 600.0), (600.0, 3, 600.0)]
)
def test_a_wait_that_was_asked_for_is_kept(asked: float, deliveries: int, seconds: float) -> None:
    desk = Desk(_3=RetryLater("Busy.", after_seconds=asked))
    assert desk.handle(record(deliveries=deliveries)) == ["message-3"]
    assert desk.queue.delays == [("handle-3", seconds)]
    assert desk.steps.waiting == [("Busy.", seconds)]


def test_a_wait_longer_than_its_run_may_make_ends_it_at_once() -> None:
    desk = Desk(_3=RetryLater("PracBill is busy.", after_seconds=3600.0))
    assert desk.handle(record()) == []
    assert desk.steps.given_up == [(Step("step", "north", "run-1", 3), "PracBill is busy.")]
    assert desk.steps.asked_seconds == 3600.0
    assert desk.queue.delays == []


def test_the_last_delivery_closes_what_the_message_belongs_to() -> None:
    desk = Desk(_3=RetryLater("PracBill cannot be reached."))
    assert desk.handle(record(deliveries=MAX_DELIVERIES)) == []
    assert desk.steps.given_up == [(Step("step", "north", "run-1", 3), "PracBill cannot be reached.")]
    assert desk.queue.delays == []


def test_a_fault_of_our_own_comes_back_soon_and_in_the_end_is_a_dead_letter() -> None:
    desk = Desk(_3=KeyError("x"))
    for deliveries in range(1, MAX_DELIVERIES + 1):
        assert desk.handle(record(deliveries=deliveries)) == ["message-3"]
    assert [seconds for _, seconds in desk.queue.delays] == [30, 90, 120, 120, 120]
    assert desk.steps.given_up == []


@pytest.mark.parametrize("body", ["", "no JSON", "[]", "{}", "null", '{"kind": "step"}', '{"kind": "step", "x": 1}'])
def test_a_message_that_is_none_of_ours_is_dropped(body: str) -> None:
    desk = Desk()
    assert desk.handle(record(body=body), record(4)) == []
    assert [step.number for step in desk.steps.handled] == [4]


def test_dead_letters_close_what_they_belong_to() -> None:
    desk = Desk()
    answer = desk.worker.handle_dead({"Records": [record(1), record(2, body="nonsense")]})
    assert answer == {"batchItemFailures": []}
    assert [step.number for step, _ in desk.steps.given_up] == [1]
    assert desk.meter.counts["DeadLetters"] == 1


def test_a_dead_letter_that_cannot_be_closed_now_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()

    def away(step: Step, reason: str) -> None:
        raise OSError("the table is away")

    monkeypatch.setattr(desk.steps, "give_up", away)
    answer = desk.worker.handle_dead({"Records": [record(1)]})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}


def test_logs_hold_no_words_of_the_error(caplog: pytest.LogCaptureFixture) -> None:
    Desk(_3=ValueError("ann@clinic.test")).handle(record())
    assert [line.message for line in caplog.records] == ["step failed"]
    assert "ann@clinic.test" not in str([vars(line) for line in caplog.records])


# ---------------------------------------------------------------------------------------------------------- heartbeat


def test_each_message_is_held_while_it_is_worked_on() -> None:
    desk = Desk()
    desk.handle(record(1), record(2, body="nonsense"), record(3))
    assert desk.queue.said == ["hold handle-1", "hold handle-3"]


@pytest.mark.parametrize("error", [RetryLater("Busy."), OSError("away")])
def test_a_delay_is_the_last_word(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr("chalicelib.handlers.queue_worker.HOLD_AGAIN_SECONDS", 0.001)
    desk = Desk()

    def busy(step: Step, remaining: Any) -> None:
        deadline = time.monotonic() + 10
        while len(desk.queue.said) < 3 and time.monotonic() < deadline:
            time.sleep(0.001)
        raise error

    monkeypatch.setattr(desk.steps, "handle", busy)
    assert desk.handle(record()) == ["message-3"]
    time.sleep(0.02)  # a heartbeat that still went on would be heard by now
    assert desk.queue.said[:3] == ["hold handle-3"] * 3
    assert desk.queue.said.index("delay handle-3") == len(desk.queue.said) - 1


# ----------------------------------------------------------------------------------------------------- webhook's events

EVENT = write_event(
    HookEvent(type="unsubscribe", department_id="north", audience_id="a1", address="ann@clinic.test", fired_at="")
)


class EventDesk:
    """Events are read as in production; then `raised` is raised, if anything."""

    def __init__(self, raised: BaseException | None = None) -> None:
        self.raised, self.applied = raised, list[str]()
        self.queue, self.meter = NotedDelays(), CountingMeter()
        self.worker = EventWorker(self, self.queue, self.meter)  # type: ignore[arg-type]

    def apply_event(self, body: str, remaining: Any) -> None:
        read_event(body)
        self.applied.append(body)
        if self.raised:
            raise self.raised

    def handle(self, *records: dict[str, Any]) -> list[str]:
        answer = self.worker.handle({"Records": records}, lambda: 100.0)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_an_event_is_held_while_it_is_applied() -> None:
    desk = EventDesk()
    assert desk.handle(record(body=EVENT)) == []
    assert (desk.applied, desk.queue.said) == ([EVENT], ["hold handle-3"])


@pytest.mark.parametrize("body", ["", "no JSON", "[]", "{}", "null", '{"type": "unsubscribe"}'])
def test_a_message_that_is_no_event_is_dropped(body: str) -> None:
    desk = EventDesk()
    assert (desk.handle(record(body=body)), desk.applied) == ([], [])


@pytest.mark.parametrize(
    ("error", "delays"),
    [
        (RetryLater("PracBill cannot be reached."), [10, 30, 90, 120, 120]),
        (StopRun("PracBill refuses our token."), [10, 30, 90, 120, 120]),
        (OSError("the table is away"), [30, 90, 120, 120, 120]),
        # What a fault of ours, or a document that we cannot read, looks like: it must not be taken for a bad event.
        (KeyError("status"), [30, 90, 120, 120, 120]),
        (ValueError("ann@clinic.test"), [30, 90, 120, 120, 120]),
    ],
)
def test_no_event_is_given_up(error: Exception, delays: list[float], caplog: pytest.LogCaptureFixture) -> None:
    desk = EventDesk(error)
    for deliveries in range(1, 6):
        assert desk.handle(record(body=EVENT, deliveries=deliveries)) == ["message-3"]
    assert [seconds for _, seconds in desk.queue.delays] == delays
    assert desk.queue.said[-1] == "delay handle-3"
    assert len(caplog.records) == 5
    assert "ann@clinic.test" not in str([vars(line) for line in caplog.records])
