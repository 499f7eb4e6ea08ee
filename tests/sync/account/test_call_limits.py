"""Limits of expensive calls, on a real table: several processes count together."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.limits import PREVIEWS, WINDOW_SECONDS, Allowance
from chalicelib.errors import RefuseRequest
from chalicelib.store.aws import dynamodb
from chalicelib.store.call_counts import CallCounts
from chalicelib.sync.account.call_limits import CallLimits

FEW = Allowance("few", of_caller=3, of_department=5)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Processes:
    """Functions that serve one department, by one clock."""

    def __init__(self) -> None:
        self.now = NOON
        self.department_id = uuid.uuid4().hex

    def start(self) -> CallLimits:
        return CallLimits(CallCounts(dynamodb(), "pracbill-mailchimp-test-events"), clock=lambda: self.now)

    def allowed(self, limits: CallLimits, by: str, *, times: int, allowance: Allowance = FEW) -> int:
        """How many of so many calls are allowed."""
        return sum(self.is_allowed(limits, by, allowance) for _ in range(times))

    def is_allowed(self, limits: CallLimits, by: str, allowance: Allowance = FEW) -> bool:
        try:
            limits.count(self.department_id, allowance, by=by)
        except RefuseRequest:
            return False
        return True


@pytest.fixture
def processes(aws: str) -> Processes:
    return Processes()


def test_a_caller_who_asks_too_often_waits_for_the_next_window(processes: Processes) -> None:
    limits = processes.start()
    processes.now = NOON + timedelta(seconds=3.5)
    assert processes.allowed(limits, "kim", times=4) == 3
    with pytest.raises(RefuseRequest, match="Try again in 7 seconds") as refused:
        limits.count(processes.department_id, FEW, by="kim")
    assert (refused.value.status, refused.value.code, refused.value.extra) == (
        429,
        "too-many-requests",
        {"retry_after": 7},
    )
    processes.now = NOON + timedelta(seconds=WINDOW_SECONDS)
    assert processes.is_allowed(limits, "kim")


def test_what_one_process_counted_the_others_know(processes: Processes) -> None:
    assert processes.allowed(processes.start(), "kim", times=2) == 2
    assert processes.allowed(processes.start(), "kim", times=2) == 1


def test_others_of_the_department_go_on_until_all_together_are_too_many(processes: Processes) -> None:
    limits = processes.start()
    assert processes.allowed(limits, "kim", times=9) == 3
    assert processes.allowed(limits, "lee", times=9) == 2
    assert not processes.is_allowed(limits, "max")


def test_another_department_and_another_kind_of_call_are_not_counted_along(processes: Processes) -> None:
    limits = processes.start()
    assert processes.allowed(limits, "kim", times=9) == 3
    assert processes.is_allowed(limits, "kim", Allowance("other", of_caller=1, of_department=1))
    processes.department_id = uuid.uuid4().hex
    assert processes.is_allowed(limits, "kim")


def test_calls_at_the_same_moment_are_counted_one_by_one(processes: Processes) -> None:
    limits = [processes.start() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        allowed = list(threads.map(lambda one: processes.allowed(one, "kim", times=3), limits))
    assert sum(allowed) == 3


def test_a_refusal_is_remembered_and_costs_no_further_write(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = processes.start()
    processes.allowed(limits, "kim", times=4)
    monkeypatch.setattr(CallCounts, "count", lambda *_: pytest.fail("the table was asked"))
    assert not processes.is_allowed(limits, "kim")


def test_a_builder_that_asks_every_300_ms_is_never_refused(processes: Processes) -> None:
    limits = processes.start()
    for tick in range(150):
        processes.now = NOON + timedelta(seconds=0.3 * tick)
        assert processes.is_allowed(limits, "kim", PREVIEWS)
        if tick % 5 == 0:
            assert processes.is_allowed(limits, "kim", PREVIEWS)  # that of each rule
