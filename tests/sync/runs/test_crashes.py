"""Functions that die at any line: before every single write and call of a scenario, one after another.

After each death the message comes back, as the queue brings it, and the sweeper looks now and then. However it went,
the audience must be right in the end, nobody is sent for more than a repeat, and nothing is left lying about.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.client import BaseClient

from chalicelib.domain.runs import Run
from chalicelib.http_client.calls import HttpCalls
from chalicelib.mailchimp.push import PushCalls
from tests.sync.engine import Engine, Killed, Practice

pytest_plugins = ("tests.sync.engine_fixtures",)

# More than there are writes and calls in the scenarios; before each of them the function is killed once.
POINTS_OF_A_FIRST_SYNC = 68
POINTS_OF_A_DAY = 83
_DAYS_A_TEST = 3
# The counts of a run that each stand for something written to Mailchimp.
WRITES = ("add", "update", "subscribe", "unsubscribe", "ask", "archive", "rename")
_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems", "SendMessageBatch"})


class Executioner:
    """Counts the writes and calls made by functions, and kills the function before the one that is next in line."""

    def __init__(self, kill_before: int) -> None:
        self._lock = threading.Lock()
        self._left = kill_before
        self.is_armed = False
        self.killed_before = ""

    def pass_by(self, what: str) -> None:
        with self._lock:
            if not self.is_armed:
                return
            self._left -= 1
            if self._left == 0:
                self.is_armed = False
                self.killed_before = what
                raise Killed(what)


@contextmanager
def executioner_at(engine: Engine, kill_before: int) -> Iterator[Executioner]:
    """Watches what the worker does; what the queue's driver and the test do is left alone."""
    executioner = Executioner(kill_before)
    with pytest.MonkeyPatch.context() as patch:
        call_aws = BaseClient._make_api_call  # type: ignore[attr-defined]
        exchange, handle = HttpCalls._exchange, engine.worker.handle

        def watched_aws(self: Any, operation: str, arguments: Any) -> Any:
            if operation in _WRITES:
                executioner.pass_by(operation)
            return call_aws(self, operation, arguments)

        def watched_exchange(self: Any, call: Any, read_seconds: float) -> Any:
            executioner.pass_by(f"{call.method} {call.template}")
            return exchange(self, call, read_seconds)

        def armed(event: Any, remaining: Callable[[], float]) -> Any:
            executioner.is_armed = not executioner.killed_before
            try:
                return handle(event, remaining)
            finally:
                executioner.is_armed = False

        patch.setattr(BaseClient, "_make_api_call", watched_aws)
        patch.setattr(HttpCalls, "_exchange", watched_exchange)
        patch.setattr(engine.worker, "handle", armed)
        yield executioner


def run_to_its_end(practice: Practice, run_id: str) -> Run:
    """Deliver and sweep until the run has ended and the department is free."""
    for _ in range(4):
        practice.engine.work()
        if practice.department.active_run_id == "":
            return practice.run(run_id)
        practice.engine.sweep(minutes=7)
    raise AssertionError("the run does not end")


def first_customers(practice: Practice) -> dict[str, str]:
    """Twenty customers of all kinds; answers the audience as it must be."""
    practice.join("there@clinic.test", "foreign@clinic.test")
    practice.join("out@clinic.test", status="unsubscribed")
    practice.customers(11)
    practice.customer("12", "there@clinic.test", None, first_name="There")
    practice.customer("13", "out@clinic.test")
    practice.customer("14", "silent@clinic.test", None)
    practice.customer("15", "no@clinic.test", "unsubscribed")
    practice.customer("16", "shared@clinic.test")
    practice.customer("17", "shared@clinic.test", None)
    practice.customer("18", "foo@example.com")
    practice.customer("19", None)
    practice.customer("20", "not an address")
    return {
        **{f"c{number}@clinic.test": "subscribed" for number in range(1, 12)},
        "there@clinic.test": "subscribed",
        "foreign@clinic.test": "subscribed",
        "out@clinic.test": "unsubscribed",
        "silent@clinic.test": "transactional",
        "shared@clinic.test": "transactional",
    }


def customers_of_a_day(practice: Practice, day: str) -> None:
    """Those who will change on that day."""
    for name in ("edited", "removed", "moves", "no", "unlucky"):
        practice.customer(f"{day}-{name}", f"{name}@{day}.test")
    practice.customer(f"{day}-silent", f"silent@{day}.test", None)


def changes_of_a_day(practice: Practice, day: str) -> dict[str, str]:
    """What happens to them; answers their addresses in the audience afterwards."""
    now = practice.engine.clock()
    practice.edit(f"{day}-edited", first_name="Changed")
    practice.remove(f"{day}-removed")
    practice.edit(f"{day}-moves", email=f"moved@{day}.test")
    practice.customer(f"{day}-no", f"no@{day}.test", "unsubscribed")
    practice.customer(
        f"{day}-silent", f"silent@{day}.test", marketing_consent={"status": "subscribed", "changed_at": now.isoformat()}
    )
    practice.customer(f"{day}-new", f"new@{day}.test")
    practice.customer(f"{day}-late-no", f"late-no@{day}.test", "unsubscribed")
    practice.edit(f"{day}-unlucky", email="taken.con@clinic.con")
    return {
        f"edited@{day}.test": "subscribed",
        f"removed@{day}.test": "archived",
        f"moved@{day}.test": "subscribed",
        f"no@{day}.test": "unsubscribed",
        f"silent@{day}.test": "subscribed",
        f"new@{day}.test": "subscribed",
        f"unlucky@{day}.test": "archived",
    }


def check_coverage(executioner: Executioner, point: int, last: int) -> None:
    """Somebody died at the points, but not at the last one: there are no further ones."""
    if point == last:
        assert not executioner.killed_before, "the scenario has more points than are tried: raise their number"
    elif 0 < point < last // 2:
        assert executioner.killed_before


def check_run(practice: Practice, run: Run, no: str) -> None:
    """What holds for a run however often its function died; `no` is an address that opted out in PracBill."""
    assert run.status == "success"
    assert (run.chunks_done, run.chunks_failed) == (run.chunks_total, 0)
    assert run.done + run.failed == run.planned == sum(run.planned_counts.values())
    assert sum(run.counts.get(name, 0) for name in WRITES) == run.done
    assert [entry.run_id for entry in practice.log()].count(run.id) == 1
    opt_out = practice.known(no).opt_out
    assert opt_out is not None and opt_out.route == "pracbill"
    assert [entry.rule for entry in practice.ledger(no)] == ["no-recorded"]
    assert practice.engine.receive() is None


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each address was sent in a bulk call."""
    counts: Counter[str] = Counter()
    push = PushCalls.push

    def counted(self: Any, audience_id: str, members: Any) -> Any:
        answer = push(self, audience_id, members)
        counts.update(member["email_address"] for member in members)
        return answer

    monkeypatch.setattr(PushCalls, "push", counted)
    return counts


@pytest.mark.parametrize("point", range(POINTS_OF_A_FIRST_SYNC + 1))
def test_a_first_sync_ends_right_when_its_function_dies(engine: Engine, sent: Counter[str], point: int) -> None:
    """Point 0 is the run in which nobody dies."""
    practice = engine.add_practice()
    expected = first_customers(practice)
    engine.clock.move(minutes=10)
    with executioner_at(engine, point) as executioner:
        run = run_to_its_end(practice, practice.start("full"))
    check_coverage(executioner, point, POINTS_OF_A_FIRST_SYNC)
    check_run(practice, run, "no@clinic.test")
    assert max(sent.values()) <= (2 if point else 1)
    assert practice.audience() == expected
    assert practice.department.customers_watermark
    assert practice.department.active_run_id == ""
    if point % 4 == 0:  # a run that leaves nothing to do leaves nothing to do at every point
        again = practice.sync()
        assert (again.status, practice.writes(), practice.marks()) == ("skipped", [], {})


@pytest.mark.parametrize("first", range(0, POINTS_OF_A_DAY + 1, _DAYS_A_TEST))
def test_a_day_s_changes_end_right_when_the_function_dies(engine: Engine, sent: Counter[str], first: int) -> None:
    practice = engine.add_practice()
    points = range(first, min(first + _DAYS_A_TEST, POINTS_OF_A_DAY + 1))
    for point in points:
        customers_of_a_day(practice, f"day{point}")
    practice.sync("full")
    expected = practice.audience()
    for point in points:
        day = f"day{point}"
        engine.clock.move(minutes=10)
        expected |= changes_of_a_day(practice, day)
        del expected[f"moves@{day}.test"]
        engine.clock.move(minutes=10)
        sent.clear()
        with executioner_at(engine, point) as executioner:
            run = run_to_its_end(practice, practice.start())
        check_coverage(executioner, point, POINTS_OF_A_DAY)
        check_run(practice, run, f"late-no@{day}.test")
        assert max(sent.values()) <= (2 if point else 1)
        assert practice.audience() == expected
        for name, became in (("no", "unsubscribed"), ("silent", "subscribed"), ("removed", "archived")):
            ledger = practice.ledger(f"{name}@{day}.test")
            told = [entry.became for entry in ledger if entry.evidence.get("run") == run.id]
            assert told == [became], name
    again = practice.sync()
    assert (again.status, practice.writes(), practice.marks()) == ("skipped", [], {})
