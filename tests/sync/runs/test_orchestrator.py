"""Messages: doubled, late, lost or dead ones, and a PracBill that fails in every way it can."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from chalicelib.domain import planning
from chalicelib.store.queue import Step
from tests.sync.engine import Engine, Killed, Message, Practice

pytest_plugins = ("tests.sync.engine_fixtures",)

STAYING: dict[str, tuple[dict[str, Any], str]] = {
    "no JSON": ({"kind": "nonsense"}, "not a JSON object"),
    "an answer that is cut off": ({"kind": "truncated"}, "not a JSON object"),
    "customers out of order": ({"kind": "out_of_order"}, "out of order"),
    "a page that points to itself": ({"kind": "repeated_cursor"}, "'next_"),
    "a refused token": ({"kind": "status", "status": 401}, "PRACBILL_TOKEN_SECRET"),
    "an unknown department": ({"kind": "status", "status": 404}, "PRACBILL_API_URL"),
    "a fault that stays": (
        {"kind": "status", "status": 503},
        "PracBill has an internal error at the moment (HTTP 503)",
    ),
    "too many requests for ever": ({"kind": "status", "status": 429}, "PracBill accepts no more requests"),
    "connections that break": ({"kind": "drop"}, "PracBill cannot be reached"),
    "connections that break midway": ({"kind": "drop_midway"}, "PracBill cannot be reached"),
    "silence": ({"kind": "hang", "seconds": 0.01}, "PracBill cannot be reached"),
}


def small_pages(monkeypatch: pytest.MonkeyPatch, *, customers: int = 2, operations: int = 2) -> None:
    monkeypatch.setattr("chalicelib.pracbill.client.PAGE_SIZE", customers)
    monkeypatch.setattr(planning, "MAX_CHUNK_OPERATIONS", operations)


def busy(practice: Practice) -> dict[str, str]:
    """A department with every kind of change to make; answers the audience as it must be in the end."""
    practice.customers(8)
    practice.sync("full")
    practice.engine.clock.move(minutes=10)
    practice.edit("1", first_name="Changed")
    practice.remove("2", "3")
    practice.edit("4", email="moved@clinic.test")
    practice.customer("5", "c5@clinic.test", "unsubscribed")
    practice.customers(5, start=20)
    practice.customer("30", "not an address")
    practice.control.reset_journal()
    left = {f"c{number}@clinic.test": "subscribed" for number in (1, 6, 7, 8, 20, 21, 22, 23, 24)}
    gone = {"c2@clinic.test": "archived", "c3@clinic.test": "archived", "c5@clinic.test": "unsubscribed"}
    return {**left, **gone, "moved@clinic.test": "subscribed"}


COUNTS = {"add": 5, "update": 1, "archive": 2, "rename": 1, "unsubscribe": 1, "held": 1, "invalid_email": 1}


# ------------------------------------------------------------------------------------------ doubled and late ones


@pytest.mark.fast
def test_every_message_may_come_twice(engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    small_pages(monkeypatch)
    expected = busy(practice)
    engine.deliveries = 2
    run = practice.sync()
    assert (run.status, run.counts, run.done, run.failed) == ("success", COUNTS, 10, 0)
    assert practice.audience() == expected
    assert practice.pushed() == 7
    assert len(practice.log()) == 2
    assert practice.marks() == {}


@pytest.mark.parametrize("seed", [1, 2])
def test_groups_may_come_in_any_order(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    small_pages(monkeypatch, operations=1)
    expected = busy(practice)
    run_id = practice.start("full")
    engine.work_in_random_order(Random(seed))
    run = practice.run(run_id)
    assert (run.status, run.counts) == ("success", COUNTS)
    assert practice.audience() == expected


def test_messages_of_an_ended_run_that_come_late_change_nothing(engine: Engine, practice: Practice) -> None:
    busy(practice)
    practice.sync()
    late = [body for _, body in engine.handled]
    before = (practice.audience(), practice.department, len(practice.log()))
    practice.control.reset_journal()
    for body in late:
        engine.steps.handle(Step(**body), engine.time_left())
    assert engine.receive() is None
    assert (practice.audience(), practice.department, len(practice.log())) == before
    assert practice.writes() == []


def test_late_messages_do_not_disturb_the_next_run(engine: Engine, practice: Practice) -> None:
    practice.customers(3)
    practice.sync("full")
    late = [body for _, body in engine.handled]
    practice.edit("1", first_name="Changed")
    practice.start()
    for _ in range(20):
        for body in late:
            engine.steps.handle(Step(**body), engine.time_left())
        if message := engine.receive():
            engine.deliver(message)
    assert (practice.latest().status, practice.latest().counts) == ("success", {"update": 1})
    assert len(practice.log()) == 2


def test_older_steps_of_a_run_that_come_again_do_nothing_twice(engine: Engine, practice: Practice) -> None:
    expected = busy(practice)
    run_id = practice.start()
    seen: list[Message] = []
    for _ in range(100):
        message = engine.receive()
        if message is None:
            if engine.approve_all():
                continue
            break
        engine.deliver(message)
        seen.append(json.loads(message["Body"]))
        for body in seen:
            engine.steps.handle(Step(**body), engine.time_left())
    run = practice.run(run_id)
    assert (run.status, run.counts, practice.pushed()) == ("success", COUNTS, 7)
    assert practice.audience() == expected
    assert len(practice.log()) == 2


# --------------------------------------------------------------------------------------------------------- dead letters


def dies(*_: object) -> Any:
    raise Killed


@pytest.mark.fast
def test_a_chunk_over_which_functions_die_is_closed_and_the_run_goes_on(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    practice.customers(4)
    apply = engine.apply_phase.apply
    with monkeypatch.context() as patch:
        patch.setattr(engine.apply_phase, "apply", lambda *a: dies() if a[2] == 0 else apply(*a))
        run = practice.sync("full")
    assert (run.status, run.chunks_done, run.chunks_failed, run.done, run.failed) == ("error", 1, 1, 2, 2)
    assert len(practice.audience()) == 2
    assert engine.meter.counts["DeadLetters"] == 1
    assert practice.sync().counts == {"add": 2}
    assert len(practice.audience()) == 4


@pytest.mark.fast
def test_a_step_over_which_functions_die_ends_the_run(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.customers(2)
    monkeypatch.setattr(engine.ingest_phase, "step", dies)
    run = practice.sync("full")
    assert (run.status, practice.audience()) == ("error", {})
    assert run.message.startswith(
        "This part of the sync failed repeatedly; the operators can find the cause in the logs. "
    )
    assert practice.department.active_run_id == ""


def test_a_dead_letter_of_a_step_that_was_done_after_all_ends_nothing(engine: Engine, practice: Practice) -> None:
    practice.customers(2)
    run_id = practice.start("full")
    engine.deliver_until(lambda: practice.run(run_id).phase == "plan")
    engine.steps.give_up(Step("step", practice.id, run_id, 0), "It failed.")
    engine.steps.give_up(Step("chunk", practice.id, run_id, 77), "It failed.")
    engine.work()
    assert practice.run(run_id).status == "success"


# ------------------------------------------------------------------------------------------------------------ PracBill


@pytest.mark.parametrize(
    ("run_type", "name"),
    [("full", name) for name in STAYING]
    + [("incremental", name) for name in ("no JSON", "customers out of order", "a page that points to itself")],
)
def test_a_pracbill_that_cannot_be_used_ends_the_run_with_nothing_sent_and_nothing_concluded(
    practice: Practice, monkeypatch: pytest.MonkeyPatch, run_type: Any, name: str
) -> None:
    fault, words = STAYING[name]
    small_pages(monkeypatch, customers=3)
    practice.customers(7)
    practice.sync("full")
    before = practice.audience()
    practice.engine.clock.move(minutes=10)
    for number in range(1, 8):
        practice.edit(str(number), first_name="Changed")
    practice.engine.pracbill.inject(**fault, calls=1000, path="/customers")
    run = practice.sync(run_type)
    assert (run.status, run.done, practice.writes()) == ("error", 0, [])
    assert "PracBill" in run.message and words in run.message
    assert "continues automatically" not in run.message
    assert practice.audience() == before
    assert practice.log()[0].status == "error"
    practice.engine.pracbill.faults.clear()
    again = practice.sync()
    assert (again.status, again.counts) == ("success", {"update": 7})


@pytest.mark.fast
def test_a_fault_in_the_middle_of_the_list_goes_on_at_the_page_where_it_was(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    practice.customers(7)
    practice.engine.pracbill.inject("status", status=503, path="/customers", skip=2, calls=5)
    run = practice.sync("full")
    assert (run.status, run.counts, run.customers_read) == ("success", {"add": 7}, 7)
    assert practice.engine.queue.delays == [5.0, 15.0]


@pytest.mark.fast
def test_a_pracbill_that_asks_for_an_hour_is_left_alone_for_it(practice: Practice) -> None:
    practice.customers(2)
    practice.engine.pracbill.inject("status", status=429, retry_after=3600, path="/customers", calls=1000)
    run = practice.sync("full")
    until = practice.engine.clock() + timedelta(hours=1)
    assert (run.status, run.code, run.phase) == ("error", "gave_up", "ingest")
    assert run.message == (
        "PracBill accepts no more requests at the moment (HTTP 429). PracBill asks this service to wait until "
        f"{until:%Y-%m-%d %H:%M} UTC, longer than a sync can wait, so the sync was stopped. Nothing was sent to "
        "Mailchimp. Start it again after that time, or leave it to the next scheduled sync."
    )
    assert practice.engine.queue.delays == []


@pytest.mark.fast
def test_a_pracbill_that_asks_for_ten_minutes_gets_them(practice: Practice) -> None:
    practice.customers(2)
    practice.engine.pracbill.inject("status", status=429, retry_after=600, path="/customers", calls=1)
    run = practice.sync("full")
    assert (run.status, run.counts, practice.engine.queue.delays) == ("success", {"add": 2}, [600.0])


@pytest.mark.fast
def test_an_unusable_record_is_told_and_removes_nobody(practice: Practice) -> None:
    practice.customers(3)
    practice.sync("full")
    department = practice.engine.pracbill.department(practice.id)
    whole = department.get("2")
    assert whole is not None
    unusable = {name: value for name, value in whole.to_json().items() if name != "updated_at"}
    department._records["2"] = replace(whole, document=unusable, encoded=json.dumps(unusable).encode())
    practice.remove("3")
    run = practice.sync("full")
    assert practice.codes(run, "held") == [("", "unusable_record")]
    assert "archived" not in practice.audience().values()
    assert practice.sync().counts == {"archive": 1}
    assert practice.audience()["c2@clinic.test"] == "subscribed"


# --------------------------------------------------------------------------------------------------------- the schedule


@pytest.mark.fast
def test_a_scheduled_message_starts_one_incremental_run(engine: Engine, practice: Practice) -> None:
    practice.customers(2)
    run = practice.scheduled()
    assert (run.trigger, run.type, run.status) == ("schedule", "full", "success")
    second = practice.scheduled()
    assert (second.trigger, second.type, second.status) == ("schedule", "incremental", "skipped")


@pytest.mark.parametrize("why", ["paused", "not connected", "unknown"])
def test_a_scheduled_message_that_comes_when_nothing_is_due_starts_nothing(
    engine: Engine, practice: Practice, why: str
) -> None:
    if why == "paused":
        practice.change(settings=replace(practice.department.settings, paused=True))
    if why == "not connected":
        practice.change(connection=None)
    engine.steps.handle(Step("start", "nobody" if why == "unknown" else practice.id, "noon"), engine.time_left())
    assert practice.department.active_run_id == ""
    assert practice.engine.runs.page(practice.id, limit=1, after=None)[0] == []
