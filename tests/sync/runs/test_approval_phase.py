"""A run that waited for approval carries out no plan about customers whom PracBill has changed since."""

from __future__ import annotations

import pytest

from chalicelib.domain.runs import Run
from tests.sync.engine import Engine, Practice

pytest_plugins = ("tests.sync.engine_fixtures",)

ANN, BEN, CAT, DAN = (f"c{number}@clinic.test" for number in "1234")
YES = {"status": "subscribed", "changed_at": "2026-03-02T12:11:00Z"}


def held_run(practice: Practice) -> Run:
    """Ann and Ben (silent) get a yes, Cat and Dan are removed; so are enough others for the brake."""
    practice.customer("1", ANN, None)
    practice.customer("2", BEN, None)
    practice.customers(8, start=3)
    practice.sync("full")
    practice.change_brake(removals=2, removals_percent=10)
    practice.engine.clock.move(minutes=10)
    practice.edit("1", marketing_consent=YES)
    practice.edit("2", marketing_consent=YES)
    practice.remove("3", "4", "5", "6")
    run = practice.sync()
    assert run.status == "awaiting_approval"
    return run


def approve(practice: Practice, run: Run) -> Run:
    practice.engine.clock.move(hours=30)
    practice.engine.staff.approve(practice.id, run.id, by="user-2")
    practice.engine.work()
    after = practice.run(run.id)
    assert after.status == "success"
    return after


def no_in_pracbill(practice: Practice, customer_id: str) -> None:
    practice.engine.clock.move(hours=1)
    said = {"status": "unsubscribed", "changed_at": practice.engine.clock().strftime("%Y-%m-%dT%H:%M:%SZ")}
    practice.edit(customer_id, marketing_consent=said)


@pytest.mark.fast
def test_who_said_no_to_pracbill_while_a_run_waited_is_not_subscribed_by_it(practice: Practice) -> None:
    run = held_run(practice)
    no_in_pracbill(practice, "1")
    after = approve(practice, run)
    assert practice.audience()[ANN] == "transactional"
    assert practice.audience()[BEN] == "subscribed"
    assert practice.codes(after, "held") == [("1", "changed_meanwhile")]
    practice.sync()
    assert practice.audience()[ANN] != "subscribed"
    assert practice.marks() == {}


def test_who_came_back_while_a_run_waited_is_not_archived_by_it(practice: Practice) -> None:
    run = held_run(practice)
    practice.engine.clock.move(hours=1)
    practice.customer("33", CAT)
    approve(practice, run)
    assert practice.audience()[CAT] == "subscribed"
    assert practice.audience()[DAN] == "archived"
    practice.sync()
    assert (practice.audience()[CAT], practice.marks()) == ("subscribed", {})


def test_who_was_removed_or_moved_while_a_run_waited_is_left_to_the_next_one(practice: Practice) -> None:
    run = held_run(practice)
    practice.engine.clock.move(hours=1)
    practice.remove("1")
    practice.edit("2", email="new@clinic.test")
    after = approve(practice, run)
    assert {ANN: practice.audience()[ANN], BEN: practice.audience()[BEN]} == {
        ANN: "transactional",
        BEN: "transactional",
    }
    assert {customer for customer, _ in practice.codes(after, "held")} == {"1", "2"}


def test_a_no_that_was_planned_does_not_wait_for_another_plan(practice: Practice) -> None:
    practice.customers(9)
    practice.sync("full")
    practice.change_brake(removals=2, removals_percent=10)
    practice.engine.clock.move(minutes=10)
    for number in ("1", "2", "3", "4"):
        no_in_pracbill(practice, number)
    run = practice.sync()
    assert run.status == "awaiting_approval"
    practice.edit("1", first_name="Changed")
    approve(practice, run)
    assert practice.audience()[ANN] == "unsubscribed"


def test_who_was_not_changed_since_the_plan_is_not_held_up(practice: Practice) -> None:
    run = held_run(practice)
    after = approve(practice, run)
    assert practice.codes(after, "held") == []
    assert [practice.audience()[address] for address in (ANN, BEN, CAT, DAN)] == ["subscribed"] * 2 + ["archived"] * 2


def test_the_look_goes_on_where_its_time_was_over(engine: Engine, practice: Practice) -> None:
    run = held_run(practice)
    no_in_pracbill(practice, "2")
    for number in range(100, 1200):
        practice.customer(str(number), f"new{number}@clinic.test")
    no_in_pracbill(practice, "1")
    engine.looks_at_time = 1
    approve(practice, run)
    assert {practice.audience()[ANN], practice.audience()[BEN]} == {"transactional"}


def test_while_pracbill_is_away_an_approved_run_sends_nothing(engine: Engine, practice: Practice) -> None:
    run = held_run(practice)
    no_in_pracbill(practice, "1")
    engine.pracbill.inject(kind="status", status=503, calls=1000, path="/customers")
    practice.control.reset_journal()
    engine.staff.approve(practice.id, run.id, by="user-2")
    message = engine.receive()
    assert message is not None
    engine.deliver(message)
    assert practice.writes() == []
    engine.pracbill.faults.clear()
    engine.work()
    assert practice.run(run.id).status == "success"
    assert practice.audience()[ANN] == "transactional"
