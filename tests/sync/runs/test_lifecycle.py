"""Runs as staff handle them: first and repeated syncs, dry runs, the brake, cancel, retry, and the words of the log."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest

from chalicelib.domain.moments import parse_moment
from chalicelib.domain.runs import Run, RunType
from chalicelib.errors import RefuseRequest
from chalicelib.mailchimp.push import PushCalls
from chalicelib.sync.runs.brake import Brake
from chalicelib.sync.runs.progress import OVERLAP
from tests.sync.engine import Engine, Killed, Practice
from tests.sync.segment_office import SegmentOffice

pytest_plugins = ("tests.sync.engine_fixtures",)


# --------------------------------------------------------------------------------------------- syncs one after another


@pytest.mark.fast
def test_the_first_sync_is_full_and_ends_in_success(practice: Practice) -> None:
    practice.customers(3)
    run = practice.sync("incremental")
    assert (run.type, run.status, run.counts) == ("full", "success", {"add": 3})
    assert (run.planned, run.done, run.failed) == (3, 3, 0)


@pytest.mark.fast
def test_a_repeated_sync_writes_nothing_and_ends_skipped(practice: Practice) -> None:
    practice.customers(3)
    practice.sync("full")
    for run_type in ("incremental", "full"):
        run = practice.sync(run_type)
        assert (run.status, run.message) == ("skipped", "No changes to sync.")
        assert practice.writes() == []


@pytest.mark.fast
def test_an_incremental_sync_sends_only_what_changed(practice: Practice) -> None:
    practice.customers(4)
    practice.sync("full")
    practice.engine.clock.move(minutes=10)
    practice.edit("2", first_name="Anna")
    run = practice.sync()
    assert (run.status, run.counts, practice.pushed()) == ("success", {"update": 1}, 1)
    assert practice.member("c2@clinic.test")["merge_fields"]["FNAME"] == "Anna"


def test_a_change_that_no_merge_field_shows_is_not_sent(practice: Practice) -> None:
    practice.customers(2)
    practice.sync("full")
    practice.engine.clock.move(minutes=10)
    practice.edit("2", balance="12.50")
    run = practice.sync()
    assert (run.status, run.customers_read) == ("skipped", 1)
    assert practice.marks() == {}


def test_the_log_has_one_entry_a_run_in_plain_words(practice: Practice) -> None:
    practice.customers(2)
    first, second = practice.sync("full"), practice.sync()
    entries = practice.log()
    assert [(e.run_id, e.status, e.message) for e in entries] == [
        (second.id, "skipped", "No changes to sync."),
        (first.id, "success", "2 added."),
    ]
    assert entries[1].counts == {"add": 2}


def test_the_view_tells_progress_counts_and_who_started_it(practice: Practice) -> None:
    practice.customers(2)
    run = practice.sync("full")
    view = practice.engine.staff.get(practice.id, run.id)
    assert (view.status, view.phase, view.started_by, view.trigger) == ("success", "close", "user-1", "manual")
    assert (view.progress.planned, view.progress.done, view.progress.failed) == (2, 2, 0)
    assert view.counts == {"add": 2}


# ---------------------------------------------------------------------------------------------------------- watermarks


def test_the_watermark_moves_after_success_and_never_past_the_start(practice: Practice) -> None:
    practice.customers(2)
    full = practice.sync("full")
    after_full = parse_moment(practice.department.customers_watermark)
    assert after_full == (full.started_at - OVERLAP).replace(microsecond=after_full.microsecond)  # type: ignore[union-attr]
    incremental = practice.sync()
    after = parse_moment(practice.department.customers_watermark)
    assert after is not None and after_full is not None
    assert after_full < after <= incremental.started_at - OVERLAP + timedelta(milliseconds=1)
    assert practice.department.last_synced_at == incremental.finished_at


def test_what_changes_while_a_run_reads_goes_with_the_next_one(engine: Engine, practice: Practice) -> None:
    practice.customers(2)
    practice.sync("full")
    engine.clock.move(minutes=10)
    practice.start()
    engine.deliver_until(lambda: practice.latest().phase == "close")
    engine.clock.move(minutes=1)
    practice.edit("1", first_name="Late")
    engine.work()
    assert practice.member("c1@clinic.test")["merge_fields"]["FNAME"] == "Name 1"
    practice.sync()
    assert practice.member("c1@clinic.test")["merge_fields"]["FNAME"] == "Late"


@pytest.mark.parametrize("end", ["error", "cancel", "dry run"])
def test_the_watermark_stays_after_a_run_that_did_not_come_to_a_good_end(practice: Practice, end: str) -> None:
    practice.customers(2)
    practice.sync("full")
    before = practice.department
    practice.engine.clock.move(minutes=10)
    practice.edit("1", first_name="Anna")
    if end == "error":
        practice.engine.pracbill.inject("status", status=401, path="customers")
        assert practice.sync().status == "error"
    elif end == "cancel":
        practice.engine.staff.cancel(practice.id, practice.start(), by="user-2")
        practice.engine.work()
    else:
        practice.sync(dry_run=True)
    after = practice.department
    assert after.customers_watermark == before.customers_watermark
    assert after.members_watermark == before.members_watermark
    assert after.last_synced_at == before.last_synced_at
    assert after.active_run_id == ""
    assert practice.sync().counts == {"update": 1}


def causes(practice: Practice, run: Run) -> dict[str, str]:
    """The cause of each customer's record as staff read it."""
    records, _ = practice.engine.records.list(
        practice.id, run.id, outcomes=(), code=None, action=None, customer_id=None, limit=100, after=None
    )
    return {record.customer_id: record.cause for record in records}


@pytest.mark.fast
def test_records_say_why_something_was_done_or_is_planned(practice: Practice) -> None:
    practice.customers(3)
    practice.customer("4", "silent@clinic.test", None)
    added = {
        "1": "PracBill has this customer's consent, and the address was not in the audience.",
        "4": "No consent is recorded in PracBill, so the address is added as non-subscribed: "
        "campaigns do not reach it.",
    }
    for dry_run in (True, False):
        told = causes(practice, practice.sync("full", dry_run=dry_run))
        assert {"1": told["1"], "4": told["4"]} == added
    practice.engine.clock.move(minutes=10)
    practice.edit("1", first_name="Anna")
    practice.customer("2", "c2@clinic.test", "unsubscribed")
    practice.remove("3")
    assert causes(practice, practice.sync()) == {
        "1": "The customer's data differ from what was sent before.",
        "2": "PracBill has recorded that this person does not want marketing mail.",
        "3": "No customer in PracBill has this address any more.",
    }


def last_failed(practice: Practice) -> str | None:
    view = practice.engine.staff.last_failed(practice.department)
    return view.id if view else None


def test_a_failed_sync_is_told_of_until_one_comes_to_a_good_end(practice: Practice) -> None:
    practice.customers(2)
    practice.sync("full")
    assert last_failed(practice) is None
    practice.engine.clock.move(minutes=10)
    practice.engine.pracbill.inject("status", status=401, path="customers")
    failed = practice.sync()
    assert (failed.status, last_failed(practice)) == ("error", failed.id)
    # Neither a plan nor a sync that somebody cancelled shows that it works again.
    practice.engine.clock.move(minutes=1)
    practice.sync(dry_run=True)
    practice.engine.clock.move(minutes=1)
    practice.engine.staff.cancel(practice.id, practice.start(), by="user-2")
    practice.engine.work()
    assert last_failed(practice) == failed.id
    practice.engine.clock.move(minutes=1)
    assert practice.sync().status == "skipped"
    assert last_failed(practice) is None


# ------------------------------------------------------------------------------------------------------------ dry runs


@pytest.mark.parametrize("run_type", ["full", "incremental"])
def test_a_dry_run_sends_nothing_and_the_next_run_sends_it(practice: Practice, run_type: str) -> None:
    practice.customers(3)
    if run_type == "incremental":
        practice.sync("full")
        practice.engine.clock.move(minutes=10)
        practice.edit("1", first_name="Anna")
        practice.customer("9", "new@clinic.test")
    wanted = {"add": 3} if run_type == "full" else {"add": 1, "update": 1}
    dry = practice.sync(run_type, dry_run=True)  # type: ignore[arg-type]
    assert (dry.status, dry.planned_counts, dry.done, practice.writes()) == ("success", wanted, 0, [])
    assert dry.message.startswith("Dry run, nothing was sent.")
    assert practice.engine.views.of(dry).counts == wanted
    assert Counter(record.action for record in practice.records(dry, "planned")) == wanted
    run = practice.sync()
    assert run.counts == wanted
    assert practice.sync().status == "skipped"


def test_a_dry_run_does_not_forget_who_was_removed(practice: Practice) -> None:
    practice.customers(2)
    practice.sync("full")
    practice.remove("1")
    assert practice.sync("full", dry_run=True).planned_counts == {"archive": 1}
    assert practice.sync().counts == {"archive": 1}
    assert practice.audience()["c1@clinic.test"] == "archived"


# ----------------------------------------------------------------------------------------------------------- the brake


def removal_beyond_the_brake(practice: Practice) -> Run:
    practice.customers(6)
    practice.sync("full")
    practice.change_brake(removals=2, removals_percent=10)
    practice.engine.clock.move(minutes=10)
    practice.remove("1", "2", "3")
    return practice.sync()


def test_a_plan_that_removes_many_waits_for_approval_with_nothing_sent(practice: Practice) -> None:
    run = removal_beyond_the_brake(practice)
    assert (run.status, run.phase, practice.writes()) == ("awaiting_approval", "approval", [])
    view = practice.engine.staff.get(practice.id, run.id)
    assert view.brake is not None
    assert view.brake.planned_counts == {"archive": 3}
    assert "unsubscribe or archive 3 of the department's 6 members" in view.brake.reason
    assert {(r.customer_id, r.action) for r in practice.records(run, "planned")} == {(id, "archive") for id in "123"}


@pytest.mark.fast
def test_an_approved_run_goes_on_to_its_end(practice: Practice) -> None:
    run = removal_beyond_the_brake(practice)
    practice.engine.staff.approve(practice.id, run.id, by="user-2")
    practice.engine.work()
    after = practice.run(run.id)
    assert (after.status, after.counts, after.approved_by) == ("success", {"archive": 3}, "user-2")
    assert [record.outcome for record in practice.records(after)] == ["done"] * 3
    assert practice.log()[0].message.endswith("Approved by user-2.")
    assert practice.engine.views.of(after).approved_by == "user-2"
    with pytest.raises(RefuseRequest) as refused:
        practice.engine.staff.approve(practice.id, run.id, by="user-2")
    assert refused.value.status == 409


def test_a_cancelled_run_sends_nothing_and_the_next_one_brakes_again(practice: Practice) -> None:
    run = removal_beyond_the_brake(practice)
    view = practice.engine.staff.cancel(practice.id, run.id, by="user-2")
    assert (view.status, view.message) == (
        "cancelled",
        "Cancelled by user-2. Nothing was sent to Mailchimp.",
    )
    assert (practice.log()[0].status, practice.log()[0].cancelled) == ("skipped", True)
    again = practice.sync()
    assert (again.status, again.planned_counts, practice.writes()) == ("awaiting_approval", {"archive": 3}, [])


def test_a_run_that_is_cancelled_while_the_brake_looks_stays_cancelled(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason_of = Brake.reason

    def reason(self: Brake, run: Run, *rest: Any) -> Any:
        if run.planned_counts.get("archive"):
            practice.engine.staff.cancel(practice.id, run.id, by="user-2")
        return reason_of(self, run, *rest)

    monkeypatch.setattr(Brake, "reason", reason)
    run = removal_beyond_the_brake(practice)
    assert (run.status, run.planned_counts, practice.writes()) == ("cancelled", {"archive": 3}, [])
    assert practice.department.active_run_id == ""


def test_only_scheduled_additions_brake(practice: Practice) -> None:
    practice.customers(4)
    practice.sync("full")
    practice.change_brake(additions=2, additions_percent=10)
    practice.customers(3, start=10)
    braked = practice.scheduled()
    assert (braked.status, braked.planned_counts, practice.writes()) == ("awaiting_approval", {"add": 3}, [])
    practice.engine.staff.cancel(practice.id, braked.id, by="user-2")
    assert practice.sync().counts == {"add": 3}


def test_a_share_of_the_audience_widens_the_brake(practice: Practice) -> None:
    practice.customers(9)
    practice.sync("full")
    practice.change_brake(removals=1, removals_percent=34)
    practice.engine.clock.move(minutes=10)
    practice.remove("1", "2", "3")
    assert practice.sync().counts == {"archive": 3}


@pytest.mark.parametrize("run_type", ["incremental", "full"])
@pytest.mark.parametrize(("count", "removed", "waits"), [(12, 12, True), (12, 5, True), (12, 4, False), (2, 2, True)])
def test_a_small_department_does_not_lose_more_than_a_third_unasked(
    engine: Engine, practice: Practice, run_type: RunType, count: int, removed: int, waits: bool
) -> None:
    office = SegmentOffice(engine, practice)
    for number in range(30):  # members of others do not make the department larger
        practice.api("POST", "/members", {"email_address": f"other{number}@else.test", "status": "subscribed"})
    practice.customers(count)
    office.sync("full")
    office.sync()
    engine.approves = False
    practice.remove(*(str(number) for number in range(1, removed + 1)))
    run = office.sync(run_type)
    assert run.planned_counts == {"archive": removed}
    assert (run.status == "awaiting_approval") is waits
    gone = [address for address, status in practice.audience().items() if status == "archived"]
    assert len(gone) == (0 if waits else removed)


def test_opt_outs_of_more_than_a_third_wait_too(engine: Engine, practice: Practice) -> None:
    practice.customers(6)
    practice.sync("full")
    engine.approves = False
    for number in ("1", "2", "3"):
        practice.customer(number, f"c{number}@clinic.test", "unsubscribed")
    run = practice.scheduled()
    assert (run.status, run.planned_counts, practice.writes()) == ("awaiting_approval", {"unsubscribe": 3}, [])


@pytest.mark.fast
def test_a_scheduled_run_does_not_believe_an_empty_list(engine: Engine, practice: Practice) -> None:
    practice.customers(3)
    practice.sync("full")
    engine.approves = False
    practice.remove("1", "2", "3")
    practice.change(customers_watermark="")
    run = practice.scheduled()
    assert (run.status, run.type, run.planned_counts, practice.writes()) == ("error", "full", {}, [])
    assert run.message.startswith(
        "PracBill sent an empty list of customers, although this department has had customers."
    )
    # Nobody was taken for removed: when the list is back, there is nothing to do.
    practice.customers(3)
    assert practice.sync("full").status == "skipped"
    practice.remove("1", "2", "3")
    assert practice.sync("full").status == "awaiting_approval"


def test_a_first_scheduled_run_of_a_department_without_customers_is_no_fault(practice: Practice) -> None:
    assert practice.scheduled().status == "skipped"


# ------------------------------------------------------------------------------------------------------- one at a time


def test_a_second_run_is_refused_with_the_one_that_is_active(practice: Practice) -> None:
    practice.customers(1)
    active = practice.start("full")
    with pytest.raises(RefuseRequest) as refused:
        practice.start()
    assert (refused.value.status, refused.value.code) == (409, "run-active")
    assert refused.value.extra["run"].id == active  # type: ignore[attr-defined]
    view = practice.engine.staff.active(practice.department)
    assert view is not None and view.id == active


def test_the_schedule_leaves_an_active_run_alone(engine: Engine, practice: Practice) -> None:
    practice.customers(1)
    active = practice.start("full")
    engine.sweeper.dispatch("noon")
    engine.work()
    assert practice.latest().id == active
    assert len(practice.log()) == 1


def test_the_first_plan_of_a_new_audience_gives_way_to_a_real_run(engine: Engine, practice: Practice) -> None:
    practice.customers(2)
    engine.lifecycle.first_plan(practice.id, "user-1")
    plan = practice.latest()
    assert (plan.trigger, plan.dry_run, plan.type) == ("selection", True, "full")
    run = practice.sync("full")
    assert run.counts == {"add": 2}
    assert (practice.run(plan.id).status, practice.run(plan.id).message) == (
        "cancelled",
        "Replaced by a newer sync.",
    )
    assert len(practice.log()) == 2


@pytest.mark.fast
def test_the_first_plan_tells_what_a_full_sync_would_do(engine: Engine, practice: Practice) -> None:
    practice.customers(2)
    engine.lifecycle.first_plan(practice.id, "user-1")
    engine.work()
    assert (practice.latest().status, practice.latest().planned_counts) == ("success", {"add": 2})
    assert practice.audience() == {}


@pytest.mark.parametrize("lack", ["connection", "audience"])
def test_a_run_needs_a_connection_and_an_audience(practice: Practice, lack: str) -> None:
    practice.change(**{lack: None})
    with pytest.raises(RefuseRequest) as refused:
        practice.start()
    assert refused.value.code == {"connection": "not-connected", "audience": "no-audience"}[lack]


def test_disconnecting_stops_the_active_run(engine: Engine, practice: Practice) -> None:
    practice.customers(2)
    run_id = practice.start("full")
    engine.lifecycle.stop_active(practice.id, "The department was disconnected.")
    engine.work()
    assert (practice.run(run_id).status, practice.audience()) == ("cancelled", {})
    engine.lifecycle.stop_active(practice.id, "The department was disconnected.")
    assert len(practice.log()) == 1


# -------------------------------------------------------------------------------------------------- cancel, retry, end


def test_cancelling_between_chunks_keeps_what_is_done(engine: Engine, practice: Practice) -> None:
    practice.customers(2)
    practice.join("old@clinic.test")
    practice.sync("full")
    engine.clock.move(minutes=10)
    practice.edit("1", first_name="Anna")
    practice.remove("2")
    run_id = practice.start()
    engine.deliver_until(lambda: practice.run(run_id).chunks_done == 1)
    view = engine.staff.cancel(practice.id, run_id, by="user-2")
    engine.work()
    assert (
        view.message == "Cancelled by user-2. Stopped after 1 of 2 changes. The next sync makes the remaining changes."
    )
    assert practice.run(run_id).status == "cancelled"
    assert (practice.log()[0].status, practice.log()[0].cancelled) == ("error", True)
    rest = practice.sync()
    assert rest.counts in ({"update": 1}, {"archive": 1})
    assert practice.audience()["c2@clinic.test"] == "archived"
    assert practice.member("c1@clinic.test")["merge_fields"]["FNAME"] == "Anna"


@pytest.mark.fast
@pytest.mark.parametrize("dies", [False, True])
def test_a_run_that_is_cancelled_while_a_chunk_is_in_flight_tells_what_came_of_it(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    practice.customers(40)
    run_id = practice.start("full")
    engine.deliver_until(lambda: practice.run(run_id).phase == "apply")
    push, seen = PushCalls.push, list[Any]()

    def cancel() -> None:
        seen.append(engine.staff.cancel(practice.id, run_id, by="user-2"))
        seen.append(len(practice.log()))
        with pytest.raises(RefuseRequest, match="just ending") as refused:
            practice.start()
        seen.append(refused.value.status)

    def pushed(self: Any, audience_id: str, members: Any) -> Any:
        monkeypatch.setattr(PushCalls, "push", push)
        answer = push(self, audience_id, members)
        # A thread of its own, since it is another function that does it.
        staff = Thread(target=cancel)
        staff.start()
        staff.join()
        if dies:
            raise Killed
        return answer

    monkeypatch.setattr(PushCalls, "push", pushed)
    engine.work()
    view, entries, refused = seen
    assert refused == 409
    assert (view.status, view.message, entries) == ("cancelled", "Cancelled by user-2.", 0)
    (entry,) = practice.log()
    assert len(practice.audience()) == 40
    if not dies:
        said = "Cancelled by user-2. Stopped after 40 of 40 changes."
        assert (entry.status, entry.cancelled, entry.counts) == ("error", True, {"add": 40})
        assert (entry.message, practice.run(run_id).message) == (said, said)
    assert (practice.run(run_id).in_flight, practice.department.active_run_id) == ((), "")
    assert practice.sync("full").status in ("success", "skipped")
    assert set(practice.audience().values()) == {"subscribed"}


def test_a_cancelled_run_whose_chunk_never_ends_is_closed_by_the_sweeper(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.customers(2)
    run_id = practice.start("full")
    engine.deliver_until(
        lambda: practice.run(run_id).phase == "apply" and practice.run(run_id).apply_started_at is not None
    )
    engine.runs.change(practice.id, run_id, lambda run: replace(run, in_flight=(0,)))
    engine.staff.cancel(practice.id, run_id, by="user-2")
    engine.lose()
    engine.sweep(minutes=5)
    assert (practice.log(), practice.department.active_run_id) == ([], run_id)
    engine.sweep(minutes=15)
    assert (practice.log()[0].status, practice.department.active_run_id) == ("skipped", "")


def test_an_ended_run_cannot_be_cancelled(practice: Practice) -> None:
    run = practice.sync("full")
    with pytest.raises(RefuseRequest) as refused:
        practice.engine.staff.cancel(practice.id, run.id, by="user-2")
    assert refused.value.status == 409


def test_a_run_is_ended_once_whoever_ends_it_again(engine: Engine, practice: Practice) -> None:
    practice.customers(1)
    run = practice.sync("full")
    again = engine.lifecycle.finish(run, "error", "Something else.")
    assert (again.status, again.message) == (run.status, run.message)
    assert len(practice.log()) == 1
    assert engine.meter.counts["RunsSucceeded"] == 1


@pytest.mark.fast
def test_retry_sends_refused_addresses_at_once(practice: Practice) -> None:
    practice.customers(2)
    practice.customer("3", "busy@clinic.test")
    practice.control.throttle("busy@clinic.test", audience_id=practice.audience_id)
    run = practice.sync("full")
    assert run.counts == {"add": 2, "refused": 1}
    practice.control.throttle("busy@clinic.test", audience_id=practice.audience_id, active=False)
    view = practice.engine.staff.retry(practice.id, run.id, by="user-1")
    practice.engine.work()
    retried = practice.run(view.id)
    assert (retried.trigger, retried.counts) == ("retry", {"add": 1})
    assert practice.audience()["busy@clinic.test"] == "subscribed"
    assert practice.marks() == {}


def test_retry_is_refused_while_the_run_is_active_and_where_nothing_failed(practice: Practice) -> None:
    practice.customers(1)
    run_id = practice.start("full")
    with pytest.raises(RefuseRequest, match="still active"):
        practice.engine.staff.retry(practice.id, run_id, by="user-1")
    practice.engine.work()
    with pytest.raises(RefuseRequest, match="Nothing failed"):
        practice.engine.staff.retry(practice.id, run_id, by="user-1")


def test_unknown_runs_and_departments_are_not_found(practice: Practice) -> None:
    with pytest.raises(RefuseRequest) as refused:
        practice.engine.staff.get(practice.id, "nothing")
    assert refused.value.status == 404
    with pytest.raises(RefuseRequest) as refused:
        practice.engine.lifecycle.first_plan("nobody", "user-1")
    assert refused.value.status == 404
