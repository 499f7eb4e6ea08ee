"""The heartbeat against a clock that the tests turn, and a message whose visibility runs out by that clock."""

from __future__ import annotations

import threading

import pytest

from chalicelib.handlers.heartbeat import Heartbeat
from chalicelib.store.queue import HOLD_AGAIN_SECONDS, HOLD_SECONDS

SOON = 10.0  # real seconds that a thread may take to do what it was told


class TurnedClock:
    """Stands in for the Event that ends a heartbeat: its waits are over when the test says that time went by."""

    def __init__(self) -> None:
        self.now = 0.0
        self._ended = False
        self._wakes_at: float | None = None
        self._changed = threading.Condition()

    def set(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait(self, timeout: float) -> bool:
        with self._changed:
            self._wakes_at = self.now + timeout
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._ended or self.now >= (self._wakes_at or 0.0), SOON)
            self._wakes_at = None
            return self._ended

    def turn(self, seconds: float) -> None:
        """Let time go by, second by second, each time until the heartbeat sleeps again."""
        for _ in range(int(seconds)):
            with self._changed:
                assert self._changed.wait_for(lambda: self._wakes_at is not None and self._wakes_at > self.now, SOON)
                self.now += 1
                self._changed.notify_all()
                assert self._changed.wait_for(lambda: self._wakes_at is not None and self._wakes_at > self.now, SOON)


class HeldMessage:
    """Seen by others when nobody held it again in time."""

    def __init__(self, clock: TurnedClock) -> None:
        self.clock = clock
        self.visible_at = 360.0  # what the queue itself gives
        self.holds = 0
        self.failing = False

    def extend_visibility(self) -> None:
        self.holds += 1
        if self.failing:
            raise ConnectionError("SQS is away: ann@clinic.test")
        self.visible_at = self.clock.now + HOLD_SECONDS


@pytest.fixture
def message() -> HeldMessage:
    return HeldMessage(TurnedClock())


def heartbeat(message: HeldMessage) -> Heartbeat:
    return Heartbeat(message.extend_visibility, every=HOLD_AGAIN_SECONDS, ending=message.clock)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "heartbeat"]


def test_a_message_is_held_for_a_short_while_from_the_beginning(message: HeldMessage) -> None:
    """A function that dies at once costs half a minute, not the queue's six."""
    with heartbeat(message):
        assert message.visible_at == HOLD_SECONDS == 30


def test_a_message_stays_away_as_long_as_it_is_worked_on(message: HeldMessage) -> None:
    with heartbeat(message):
        for _ in range(28):
            message.clock.turn(10)
            assert message.visible_at - message.clock.now >= HOLD_SECONDS - HOLD_AGAIN_SECONDS
    assert message.holds == 29


def test_nothing_is_held_after_the_end(message: HeldMessage) -> None:
    with heartbeat(message):
        message.clock.turn(15)
    assert (message.holds, message.visible_at) == (2, 40.0)
    assert threads() == []


def test_a_step_that_fails_ends_its_heartbeat_too(message: HeldMessage) -> None:
    with pytest.raises(KeyboardInterrupt), heartbeat(message):
        raise KeyboardInterrupt
    assert threads() == []


def test_the_end_waits_for_a_hold_that_is_under_way() -> None:
    """Else it might be carried out after the delay that follows, and undo it."""
    at_it, may_end, order = threading.Event(), threading.Event(), []

    def slow_hold() -> None:
        if threading.current_thread().name == "heartbeat":
            at_it.set()
            assert may_end.wait(SOON)
            order.append("held")

    with Heartbeat(slow_hold, every=0.001):
        assert at_it.wait(SOON)
        threading.Timer(0.05, may_end.set).start()
    order.append("delayed")
    assert order == ["held", "delayed"]


def test_a_queue_that_does_not_answer_is_asked_again(message: HeldMessage, caplog: pytest.LogCaptureFixture) -> None:
    message.failing = True
    with heartbeat(message):
        message.clock.turn(20)
        assert (message.holds, message.visible_at) == (3, 360.0)
        message.failing = False
        message.clock.turn(10)
        assert message.visible_at == 30 + HOLD_SECONDS
    assert [line.message for line in caplog.records] == ["heartbeat failed"] * 3
    assert "ann@clinic.test" not in str([vars(line) for line in caplog.records])


def test_two_beats_may_fail_before_the_message_is_seen_by_others(message: HeldMessage) -> None:
    with heartbeat(message):
        message.failing = True
        message.clock.turn(2 * HOLD_AGAIN_SECONDS)
        message.failing = False
        message.clock.turn(HOLD_AGAIN_SECONDS - 1)
        assert message.visible_at > message.clock.now
        message.clock.turn(1)
        assert message.visible_at == 60
