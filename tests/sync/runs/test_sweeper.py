"""The sweeper and the schedule: nothing hangs, nobody is forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.runs import Run
from chalicelib.errors import RefuseRequest
from chalicelib.store.models import RunItem
from tests.sync.engine import Engine, Practice

pytest_plugins = ("tests.sync.engine_fixtures",)


@pytest.mark.parametrize("phase", ["pull", "ingest", "plan", "apply", "segments", "close"])
def test_a_message_that_was_lost_is_sent_again(engine: Engine, practice: Practice, phase: str) -> None:
    practice.customers(2)
    run_id = practice.start("full")
    engine.deliver_until(lambda: practice.run(run_id).phase == phase)
    assert engine.lose()["kind"] == "step"
    engine.work()
    assert practice.run(run_id).phase == phase
    engine.sweep(minutes=5)
    assert engine.work() == 0, "a run that is quiet for five minutes is left alone"
    engine.sweep(minutes=2)
    engine.work()
    run = practice.run(run_id)
    assert (run.status, run.counts, len(practice.log())) == ("success", {"add": 2}, 1)


@pytest.mark.fast
def test_chunks_that_were_lost_are_sent_again(engine: Engine, practice: Practice) -> None:
    practice.customers(2)
    run_id = practice.start("full")
    engine.deliver_until(lambda: practice.run(run_id).apply_started_at is not None)
    assert engine.lose()["kind"] == "chunk"
    for _ in range(2):
        engine.sweep(minutes=7)
    engine.work()
    assert (practice.run(run_id).status, practice.pushed()) == ("success", 2)


@pytest.mark.fast
def test_a_run_without_progress_for_half_an_hour_is_closed_and_says_so(engine: Engine, practice: Practice) -> None:
    practice.customers(3)
    run_id = practice.start("full")
    engine.deliver_until(lambda: practice.run(run_id).phase == "apply")
    engine.lose()
    engine.sweep(minutes=31)
    run = practice.run(run_id)
    assert run.status == "error"
    assert run.message.startswith("The sync made no progress for 30 minutes and was closed. 0 of 3 changes were made.")
    assert (practice.log()[0].status, practice.log()[0].message) == ("error", run.message)
    assert practice.department.active_run_id == ""
    assert engine.meter.counts["RunsStuck"] == 1
    assert practice.sync().counts == {"add": 3}


def test_a_claim_whose_run_was_never_stored_is_given_free(engine: Engine, practice: Practice) -> None:
    practice.customers(1)
    run_id = practice.start("full")
    RunItem.get(practice.id, run_id).delete()
    with pytest.raises(RefuseRequest, match="just starting"):
        practice.start()
    engine.sweep(minutes=1)
    assert practice.department.active_run_id == run_id
    engine.sweep(minutes=6)
    assert practice.department.active_run_id == ""
    assert practice.sync().counts == {"add": 1}


def test_a_run_that_ended_unsettled_gets_its_log_entry_and_gives_the_department_free(
    engine: Engine, practice: Practice
) -> None:
    run_id = practice.start("full")
    now = engine.clock()
    engine.runs.change(
        practice.id, run_id, lambda run: replace(run, status="success", message="3 added.", finished_at=now)
    )
    for _ in range(2):
        engine.sweep(minutes=1)
    assert [entry.message for entry in practice.log()] == ["3 added."]
    assert practice.department.active_run_id == ""


def test_a_new_run_settles_the_one_that_ended_unsettled(engine: Engine, practice: Practice) -> None:
    run_id = practice.start("full")
    engine.runs.change(practice.id, run_id, lambda run: replace(run, status="error", finished_at=engine.clock()))
    assert practice.sync("full").status == "skipped"
    assert len(practice.log()) == 2


def test_a_run_that_waits_for_approval_may_wait(engine: Engine, practice: Practice) -> None:
    practice.customers(3)
    practice.sync("full")
    practice.change_brake(removals=1, removals_percent=0)
    practice.remove("1", "2")
    run = practice.sync()
    for _ in range(3):
        engine.sweep(days=1)
    assert engine.work() == 0
    assert practice.run(run.id).status == "awaiting_approval"
    engine.staff.approve(practice.id, run.id, by="user-2")
    engine.lose()
    engine.sweep(minutes=7)
    engine.work()
    assert practice.run(run.id).counts == {"archive": 2}


def test_trouble_with_one_department_leaves_the_others_looked_after(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [engine.add_practice() for _ in range(2)]
    for each in (practice, *others):
        each.start("full")
        engine.lose()
    get = engine.runs.get

    def troubled(department_id: str, run_id: str) -> Run | None:
        if department_id == practice.id:
            raise OSError("the table is away")
        return get(department_id, run_id)

    with monkeypatch.context() as patch:
        patch.setattr(engine.runs, "get", troubled)
        with pytest.raises(OSError, match="the table is away"):
            engine.sweep(minutes=7)
    engine.work()
    assert [other.latest().status for other in others] == ["skipped", "skipped"]
    assert practice.latest().status == "running"


# -------------------------------------------------------------------------------------------------------- the schedule


def test_each_department_that_is_due_gets_one_message_an_occasion(engine: Engine, practice: Practice) -> None:
    other = engine.add_practice()
    for _ in range(2):
        assert engine.sweeper.dispatch("2026-03-02T12:00:00Z") == 2
    engine.work()
    assert sorted(body["department_id"] for _, body in engine.handled if body["kind"] == "start") == sorted(
        [practice.id, other.id]
    )
    assert {group for group, body in engine.handled if body["kind"] == "start"} == {
        f"{practice.id}#plan",
        f"{other.id}#plan",
    }
    engine.sweeper.dispatch("2026-03-02T16:00:00Z")
    engine.work()
    assert len(engine.runs.page(practice.id, limit=10, after=None)[0]) == 2


@pytest.mark.parametrize("state", ["paused", "disconnected", "key_rejected", "account_deactivated", "no audience"])
def test_a_department_that_cannot_or_shall_not_be_synced_is_not_on_the_schedule(
    engine: Engine, practice: Practice, state: str
) -> None:
    department = practice.department
    assert department.connection is not None
    if state == "paused":
        practice.change(settings=replace(department.settings, paused=True))
    elif state == "disconnected":
        practice.change(connection=None)
    elif state == "no audience":
        practice.change(audience=None)
    else:
        practice.change(connection=replace(department.connection, state=state))  # type: ignore[arg-type]
    assert engine.sweeper.dispatch("noon") == 0
    assert engine.receive() is None


def test_the_connection_says_when_the_schedule_starts_the_next_sync(engine: Engine, practice: Practice) -> None:
    fired = engine.clock()
    engine.clock.move(minutes=3)  # the event took its time
    engine.sweeper.dispatch(fired.isoformat())
    assert engine.schedule.next_sync_at(practice.department) == fired + timedelta(hours=4)
    other = engine.add_practice()  # the schedule is one for all, so a new department knows it as well
    assert engine.schedule.next_sync_at(other.department) == fired + timedelta(hours=4)
    practice.change(settings=replace(practice.department.settings, paused=True))
    assert engine.schedule.next_sync_at(practice.department) is None
    assert engine.schedule.next_sync_at(None) is None


def test_an_occasion_that_is_no_time_starts_syncs_and_leaves_the_last_firing(
    engine: Engine, practice: Practice
) -> None:
    fired = engine.clock()
    engine.sweeper.dispatch(fired.isoformat())
    assert engine.sweeper.dispatch("noon") == 1
    assert engine.schedule.next_sync_at(practice.department) == fired + timedelta(hours=4)


def test_changed_segments_whose_run_was_never_started_get_one(engine: Engine, practice: Practice) -> None:
    practice.customers(1)
    practice.sync("full")
    practice.change(segments_waiting=True)
    engine.sweep(minutes=1)
    assert practice.latest().type == "segments"
