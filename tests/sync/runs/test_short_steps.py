"""Steps with a few seconds each: every phase stops where it is and goes on in another message."""

from __future__ import annotations

import pytest

from chalicelib.domain import planning
from chalicelib.domain.runs import Run
from chalicelib.sync.runs import retries
from tests.sync.engine import Practice

pytest_plugins = ("tests.sync.engine_fixtures",)


@pytest.fixture
def hurried(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> Practice:
    """A practice whose chunks hold two customers, and whose messages have time for one look at the clock."""
    monkeypatch.setattr(planning, "MAX_CHUNK_OPERATIONS", 2)
    practice.engine.looks_at_time = 1
    return practice


def watch(practice: Practice, run_id: str) -> list[str]:
    """Deliver every message of a run; answers how many chunks of its plan were shown whenever a step ended early."""
    shown: list[str] = []
    while practice.run(run_id).status == "running" and (message := practice.engine.receive()):
        practice.engine.deliver(message)
        shown += [practice.run(run_id).cursor.get("shown", "")]
    return list(dict.fromkeys(filter(None, shown)))


def records(practice: Practice, run: Run, outcome: str) -> list[str]:
    return sorted(record.customer_id for record in practice.records(run, outcome))


def test_a_plan_to_look_at_is_shown_chunk_by_chunk(hurried: Practice) -> None:
    hurried.customers(11)
    run_id = hurried.start("full", dry_run=True)
    assert watch(hurried, run_id) == ["2", "4"]  # of six chunks, two in each step
    run = hurried.run(run_id)
    assert (run.status, run.chunks_total) == ("success", 6)
    assert records(hurried, run, "planned") == sorted(str(number) for number in range(1, 12))
    assert hurried.pushed() == 0


def test_a_plan_to_approve_is_shown_chunk_by_chunk_and_then_carried_out(hurried: Practice) -> None:
    hurried.customers(7)
    hurried.sync("full")
    hurried.change_brake(removals=1, removals_percent=1)
    for number in range(1, 8):
        hurried.edit(str(number), marketing_consent={"status": "unsubscribed", "changed_at": "2026-03-01T00:00:00Z"})
    run = hurried.sync("incremental")
    assert (run.status, run.phase) == ("awaiting_approval", "approval")
    assert records(hurried, run, "planned") == [str(number) for number in range(1, 8)]

    hurried.engine.staff.approve(hurried.id, run.id, by="staff")
    hurried.engine.work()
    run = hurried.run(run.id)
    assert (run.status, run.done, run.failed) == ("success", 7, 0)
    assert set(hurried.audience().values()) == {"unsubscribed"}
    assert records(hurried, run, "planned") == []


def test_a_whole_run_ends_right_however_short_its_steps(hurried: Practice) -> None:
    hurried.customers(7)
    hurried.join("foreign@clinic.test")
    run = hurried.sync("full")
    assert (run.status, run.done) == ("success", 7)
    assert hurried.audience() == {f"c{number}@clinic.test": "subscribed" for number in range(1, 8)} | {
        "foreign@clinic.test": "subscribed"
    }


def test_the_members_of_a_large_audience_are_held_against_the_listing_part_by_part(hurried: Practice) -> None:
    """Nobody is missing, so nothing but reading takes the time."""
    hurried.customers(7)
    hurried.sync("full")
    hurried.engine.clock.move(minutes=10)
    run_id = hurried.start("full")
    parts: list[str] = []
    while (run := hurried.run(run_id)).phase == "pull" and (message := hurried.engine.receive()):
        parts += [run.cursor.get("shard", "")] if run.cursor.get("part") == "missing" else []
        hurried.engine.deliver(message)
    assert len(dict.fromkeys(parts)) > 1
    hurried.engine.work()
    assert hurried.run(run_id).status == "skipped"


def test_a_retry_of_many_marks_them_page_by_page(hurried: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_RECORDS_A_PAGE", 2)
    hurried.customer("8", "fine@clinic.test")  # a run in which nothing went well leaves its customers to a full one
    for address in hurried.customers(7):
        hurried.control.throttle(address, audience_id=hurried.audience_id)
    failed = hurried.sync("full")
    assert failed.counts == {"add": 1, "refused": 7}
    for address in (f"c{number}@clinic.test" for number in range(1, 8)):
        hurried.control.throttle(address, audience_id=hurried.audience_id, active=False)
    marked = []
    run_id = hurried.engine.staff.retry(hurried.id, failed.id, by="user-1").id
    while hurried.run(run_id).retry_of and (message := hurried.engine.receive()):
        hurried.engine.deliver(message)
        marked.append(len(hurried.marks()))
    assert marked[-1] == 7
    assert len(marked) > 1
    hurried.engine.work()
    run = hurried.run(run_id)
    assert (run.status, run.trigger, run.counts) == ("success", "retry", {"add": 7})
    assert hurried.marks() == {}
