"""Sending: what Mailchimp refuses, faults that pass and faults that stay, and what is known afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain import planning
from chalicelib.errors import KeyRejected, RetryLater
from chalicelib.mailchimp.push import PushCalls
from chalicelib.store.logs import LogStore
from chalicelib.sync.consent.observations import observation_of
from infra.standins.mailchimp import Readings
from tests.sync.engine import Engine, Killed, Practice

pytest_plugins = ("tests.sync.engine_fixtures",)

PASSING = {
    "too many requests": {"status": 429},
    "a bare 403": {"status": 403, "body": "empty"},
    "a fault of the server": {"status": 500},
    "a gateway's page": {"status": 502, "body": "html"},
    "no answer": {"kind": "drop"},
    "no answer to a call that was carried out": {"kind": "hang", "seconds": 0.02, "executes": True},
}


def outage(practice: Practice, *, times: int = 1000) -> None:
    """What fails fails for everybody: Mailchimp answers nothing else either."""
    practice.control.inject_fault(path="/ping", status=503, times=times)


# ------------------------------------------------------------------------------------------------------------ refusals


def test_a_refused_address_is_recorded_with_cause_and_fix_and_the_others_are_sent(practice: Practice) -> None:
    practice.customers(2)
    practice.customer("3", "foo@example.com")
    run = practice.sync("full")
    assert (run.status, run.counts, run.failed) == ("success", {"add": 2, "refused": 1}, 1)
    (record,) = practice.records(run, "refused")
    assert (record.customer_id, record.code, record.address) == ("3", "looks_fake", "f***@example.com")
    assert record.cause.startswith("Invalid email: ")
    assert "fix the e-mail address in PracBill" in record.fix
    assert "foo@example.com" not in record.cause
    assert set(practice.audience()) == {"c1@clinic.test", "c2@clinic.test"}


def test_a_refused_address_waits_until_its_customer_is_edited(practice: Practice) -> None:
    practice.customer("1", "foo@example.com")
    practice.sync("full")
    for run_type in ("incremental", "full"):
        run = practice.sync(run_type, days=20)
        assert (run.planned, practice.writes()) == (0, [])
    assert practice.codes(run, "held") == [("1", "looks_fake")]
    practice.edit("1", first_name="Another")
    assert practice.sync().counts == {"refused": 1}
    practice.edit("1", email="good@clinic.test")
    assert practice.sync().counts.get("add") == 1
    assert practice.audience() == {"good@clinic.test": "subscribed"}


def test_a_throttled_address_is_tried_again_by_itself_when_it_is_due(practice: Practice) -> None:
    practice.customers(1)
    practice.sync("full")
    practice.control.throttle("busy@clinic.test", audience_id=practice.audience_id)
    practice.customer("2", "busy@clinic.test")
    assert practice.sync(minutes=10).counts == {"refused": 1}
    assert practice.sync(minutes=3).planned == 0
    assert practice.sync(minutes=3).counts == {"refused": 1}
    assert practice.sync(hours=23).planned == 0
    practice.control.throttle("busy@clinic.test", audience_id=practice.audience_id, active=False)
    assert practice.sync(hours=2).counts == {"add": 1}
    assert practice.marks() == {}
    assert practice.sync().status == "skipped"


def test_a_contact_that_was_deleted_for_good_is_never_sent_again(practice: Practice) -> None:
    practice.join("gone@clinic.test")
    practice.act("admin_delete", "gone@clinic.test")
    practice.customer("1", "gone@clinic.test")
    practice.customers(1, start=2)
    run = practice.sync("full")
    assert practice.codes(run, "refused") == [("1", "forgotten")]
    assert practice.known("gone@clinic.test").status == "forgotten"
    practice.edit("1", first_name="Another")
    run = practice.sync()
    assert (practice.writes(), practice.codes(run, "held")) == ([], [("1", "forgotten")])


def test_who_opts_out_between_plan_and_push_is_not_sent(engine: Engine, practice: Practice) -> None:
    practice.customer("1", "c1@clinic.test", None)
    practice.customers(1, start=2)
    practice.sync("full")
    practice.customer(
        "1", "c1@clinic.test", marketing_consent={"status": "subscribed", "changed_at": "2026-03-02T12:11:00Z"}
    )
    practice.edit("2", first_name="Anna")
    engine.clock.move(minutes=10)
    run_id = practice.start()
    engine.deliver_until(lambda: practice.run(run_id).phase == "apply")
    practice.act("unsubscribe", "c1@clinic.test")
    asked_at = engine.clock()
    client = engine.mailchimp_for(practice.department, lambda: 60.0)
    found = client.member(practice.audience_id, "c1@clinic.test")
    assert found is not None
    engine.observations.apply(practice.department, [observation_of(found, asked_at, "webhook")])
    engine.work()
    run = practice.run(run_id)
    assert practice.audience()["c1@clinic.test"] == "unsubscribed"
    assert practice.codes(run, "held") == [("1", "changed_meanwhile")]
    assert (run.status, run.done, run.planned) == ("success", 2, 2)
    practice.sync()
    assert practice.marks() == {}
    assert practice.audience()["c1@clinic.test"] == "unsubscribed"


def test_who_opts_out_unheard_is_not_overruled_and_heard_by_the_refusal(engine: Engine, practice: Practice) -> None:
    practice.customer("1", "c1@clinic.test", None)
    practice.customers(1, start=2)
    practice.sync("full")
    practice.customer(
        "1", "c1@clinic.test", marketing_consent={"status": "subscribed", "changed_at": "2026-03-02T12:11:00Z"}
    )
    engine.clock.move(minutes=10)
    run_id = practice.start()
    engine.deliver_until(lambda: practice.run(run_id).phase == "apply")
    practice.meanwhile("unsubscribe", "c1@clinic.test")
    engine.work()
    assert practice.audience()["c1@clinic.test"] == "unsubscribed"
    assert practice.codes(practice.run(run_id), "refused") == [("1", "compliance_state")]
    known = practice.known("c1@clinic.test")
    assert known.opt_out is not None and known.status == "unsubscribed"


@pytest.mark.parametrize("readings", [Readings(bulk_judges_known_addresses=True)])
def test_an_opt_out_arrives_although_the_bulk_call_refuses_the_address(practice: Practice) -> None:
    practice.join("ann@gmail.con")  # refused as fake whenever somebody sends it
    practice.customer("1", "ann@gmail.con", "unsubscribed")
    run = practice.sync("full")
    assert practice.audience() == {"ann@gmail.con": "unsubscribed"}
    assert (run.status, run.counts["unsubscribe"], practice.codes(run, "refused")) == ("success", 1, [])


@pytest.mark.parametrize("readings", [Readings(bulk_judges_known_addresses=True)])
def test_an_opt_out_that_could_not_be_told_by_itself_comes_with_the_repeat(engine: Engine, practice: Practice) -> None:
    practice.join("ann@gmail.con")
    practice.customer("1", "ann@gmail.con", "unsubscribed")
    practice.customers(2, start=2)
    engine.mailchimp.control.inject_fault(method="PATCH", path="/lists/*/members/**", status=503, times=4)
    run = practice.sync("full")
    assert (run.status, run.chunks_failed, practice.audience()["ann@gmail.con"]) == ("success", 0, "unsubscribed")
    assert run.counts["add"] == 2


def test_a_run_that_could_not_tell_pracbill_says_how_many_words_wait(engine: Engine, practice: Practice) -> None:
    practice.customer("1", "c1@clinic.test")
    practice.sync("full")
    practice.customer("2", "c2@clinic.test")
    practice.join("c2@clinic.test")
    practice.act("admin_delete", "c2@clinic.test")
    practice.edit("1", first_name="Anna")
    engine.pracbill.inject("status", status=503, calls=9, path="marketing-consent")
    run = practice.sync()
    assert (run.status, run.counts["refused"]) == ("success", 1)
    assert "1 consent change has been waiting to be sent to PracBill" in practice.log()[0].message
    assert practice.department.backlog is not None
    engine.pracbill.faults.clear()
    practice.sync()
    assert practice.department.backlog is None
    assert "1 update sent to PracBill." in practice.log("pull")[0].message


# -------------------------------------------------------------------------------------------------------- whole chunks


def test_a_call_that_is_refused_as_a_whole_is_divided_until_all_are_sent(practice: Practice) -> None:
    practice.customers(6)
    practice.fail(method="POST", times=2, status=400, title="Invalid Resource")
    run = practice.sync("full")
    assert (run.status, run.counts) == ("success", {"add": 6})
    assert len(practice.audience()) == 6


def test_parts_of_a_refused_call_that_do_not_fit_into_the_time_go_in_the_next_delivery(
    engine: Engine, practice: Practice
) -> None:
    practice.customers(8)
    run_id = practice.start("full")
    engine.deliver_until(lambda: practice.run(run_id).phase == "apply")
    practice.fail(method="POST", times=3, status=400, title="Invalid Resource")
    engine.looks_at_time, engine.little = 6, 55.0
    engine.work()
    run = practice.run(run_id)
    assert (run.status, run.counts, run.failed) == ("success", {"add": 8}, 0)
    assert engine.queue.delays, "it did not go in one delivery"


def test_what_is_left_unsettled_goes_with_the_next_run(practice: Practice) -> None:
    practice.customers(30)
    practice.fail(method="POST", status=400, title="Invalid Resource")
    run = practice.sync("full")
    assert run.status == "error"
    assert run.failed == run.planned == 30
    lost = len(practice.records(run, "failed"))
    assert lost == run.counts["lost"] > 0
    assert set(practice.codes(run, "failed")) <= {(str(n), "chunk_failed") for n in range(1, 31)}
    practice.control.clear_faults()
    assert practice.sync().counts["add"] == lost
    assert practice.sync(days=2).counts["add"] == 30 - lost


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_a_fault_that_passes_delays_the_chunk_and_nothing_else(practice: Practice, fault: dict[str, Any]) -> None:
    practice.customers(3)
    practice.fail(method="POST", times=4, **fault)
    outage(practice, times=2)
    run = practice.sync("full")
    assert practice.engine.queue.delays == [5.0, 15.0]
    assert (run.status, run.done, run.failed) == ("success", 3, 0)
    assert set(practice.audience().values()) == {"subscribed"}
    assert len(practice.log()) == 1


def test_a_chunk_that_fails_again_and_again_is_closed_and_its_customers_go_with_the_next_run(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "MAX_CHUNK_OPERATIONS", 2)
    practice.customers(4)
    practice.sync("full")
    for number in range(1, 5):
        practice.edit(str(number), first_name="Changed")
    practice.fail(method="POST", times=10, status=503)
    outage(practice)
    run = practice.sync()
    assert (run.status, run.chunks_done, run.chunks_failed) == ("error", 1, 1)
    assert (run.done, run.failed, run.counts) == (2, 2, {"update": 2})
    assert run.message.startswith(
        "1 of 2 parts of the sync could not be sent to Mailchimp. The next sync sends their customers again."
    )
    assert {code for _, code in practice.codes(run, "failed")} == {"chunk_failed"}
    assert all(record.fix for record in practice.records(run, "failed"))
    assert len(practice.log()) == 2
    again = practice.sync()
    assert (again.status, again.counts) == ("success", {"update": 2})
    assert practice.marks() == {}
    assert {m["merge_fields"]["FNAME"] for m in practice.control.members(practice.audience_id)} == {"Changed"}


def test_a_chunk_that_fails_in_the_midst_counts_whom_it_reached(practice: Practice) -> None:
    practice.customers(4)
    practice.sync("full")
    practice.remove("1", "2", "3")
    practice.fail(path="/members/*", method="DELETE", skip=1, status=503)
    outage(practice)
    run = practice.sync()
    assert (run.status, run.chunks_failed, run.done, run.failed, run.counts) == ("error", 1, 1, 2, {"archive": 1})
    assert len(practice.records(run, "done")) == 1
    assert len(practice.records(run, "failed")) == 2
    practice.control.clear_faults()
    assert practice.sync().counts == {"archive": 2}


def test_retry_sends_what_failed(practice: Practice) -> None:
    practice.customers(2)
    practice.sync("full")
    practice.edit("1", first_name="Changed")
    practice.fail(method="POST", times=10, status=503)
    outage(practice)
    failed = practice.sync()
    assert (failed.status, failed.failed) == ("error", 1)
    view = practice.engine.staff.retry(practice.id, failed.id, by="user-1")
    practice.engine.work()
    assert practice.run(view.id).counts == {"update": 1}


def test_single_calls_that_do_not_fit_into_the_time_go_on_in_the_next_delivery(
    engine: Engine, practice: Practice
) -> None:
    practice.customers(4)
    practice.sync("full")
    practice.remove("1", "2", "3")
    engine.looks_at_time, engine.little = 2, 19.0
    run = practice.sync()
    assert (run.status, run.counts, run.failed) == ("success", {"archive": 3}, 0)
    assert [method for method, _ in practice.writes()] == ["DELETE"] * 3
    assert list(practice.audience().values()).count("archived") == 3


def test_a_fault_among_single_calls_does_not_repeat_those_that_are_done(practice: Practice) -> None:
    practice.customers(3)
    practice.sync("full")
    practice.remove("1", "2")
    practice.edit("3", email="new@clinic.test")
    practice.fail(path="/members/*", skip=1, times=2, status=503)
    run = practice.sync()
    assert (run.status, run.done, run.planned, run.failed) == ("success", 3, 3, 0)
    assert practice.audience() == {
        "c1@clinic.test": "archived",
        "c2@clinic.test": "archived",
        "new@clinic.test": "subscribed",
    }
    assert len(practice.writes()) == 5, "three that went through and the two that failed"


# ------------------------------------------------------------------------------------------------- keys and accounts


@pytest.mark.parametrize("path", ["", "/members"], ids=["while sending", "while pulling"])
def test_a_rejected_key_stops_the_run_and_the_schedule_until_it_is_replaced(practice: Practice, path: str) -> None:
    practice.customers(3)
    practice.fail(path=path, method="POST" if not path else "GET", times=1, status=401)
    run = practice.sync("full")
    assert (run.status, run.done) == ("error", 0)
    assert "key" in run.message
    assert practice.department.connection is not None
    assert practice.department.connection.state == "key_rejected"
    assert practice.department.active_run_id == ""
    assert practice.engine.sweeper.dispatch("noon") == 0
    key_replaced(practice)
    assert practice.scheduled().counts == {"add": 3}


def test_a_deactivated_account_stops_the_run_and_the_schedule(practice: Practice) -> None:
    practice.customers(2)
    practice.control.deactivate_account()
    run = practice.sync("full")
    assert (run.status, practice.audience()) == ("error", {})
    assert practice.department.connection is not None
    assert practice.department.connection.state == "account_deactivated"
    assert run.message == practice.department.connection.message
    assert practice.engine.sweeper.dispatch("noon") == 0


def test_other_chunks_of_a_stopped_run_send_nothing(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "MAX_CHUNK_OPERATIONS", 1)
    practice.customers(5)
    practice.fail(method="POST", times=1, status=401)
    run = practice.sync("full")
    assert (run.status, practice.audience(), len(practice.writes())) == ("error", {}, 1)
    assert len(practice.log()) == 1


def test_a_key_that_was_replaced_meanwhile_is_not_called_rejected(engine: Engine, practice: Practice) -> None:
    practice.customers(1)
    practice.start("full")
    rejected = KeyRejected("Mailchimp rejects the API key.", code="key_rejected")
    before = practice.department
    key_replaced(practice, hint="ffff")
    with pytest.raises(RetryLater):
        engine.steps.reject_key(before, rejected)
    assert practice.department.is_connected


def key_replaced(practice: Practice, hint: str = "beef") -> None:
    connection = practice.department.connection
    assert connection is not None
    practice.change(connection=replace(connection, state="connected", message="", key_hint=hint))


# ---------------------------------------------------------------------------------------------------------------- lanes


def test_chunks_are_spread_over_the_eight_lanes_of_the_account(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "MAX_CHUNK_OPERATIONS", 1)
    practice.customers(10)
    run = practice.sync("full")
    assert (run.chunks_total, run.chunks_done) == (10, 10)
    groups = {body["number"]: group for group, body in engine.handled if body["kind"] == "chunk"}
    assert groups == {number: f"account-1#{number % 8}" for number in range(10)}


def test_departments_of_one_account_share_its_lanes_and_nothing_else(engine: Engine, practice: Practice) -> None:
    other = engine.add_practice()
    practice.customers(2)
    other.customers(3, start=2)
    first, second = practice.start("full"), other.start("full")
    engine.work()
    assert practice.run(first).counts == {"add": 2}
    assert other.run(second).counts == {"add": 3}
    assert set(practice.audience()) == {"c1@clinic.test", "c2@clinic.test"}
    assert set(other.audience()) == {"c2@clinic.test", "c3@clinic.test", "c4@clinic.test"}
    lanes = {group for group, body in engine.handled if body["kind"] == "chunk"}
    assert lanes == {"account-1#0"}
    other.remove("2")
    assert other.sync("full").counts == {"archive": 1}
    assert practice.audience()["c2@clinic.test"] == "subscribed"


# ----------------------------------------------------------------------------------------------------------- erasures


@pytest.mark.parametrize("dies", [False, True])
def test_who_is_erased_while_the_call_runs_is_not_there_by_it(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    """The erasure found nobody to delete in Mailchimp, since the person was only just being added."""
    practice.customers(2)
    engine.clock.move(minutes=10)
    run_id = practice.start("full")
    engine.deliver_until(lambda: practice.run(run_id).phase == "apply")
    eraser = engine.eraser
    push, add_records = PushCalls.push, LogStore.add_records

    def pushed(self: Any, audience_id: str, members: Any) -> Any:
        monkeypatch.setattr(PushCalls, "push", push)
        eraser.erase(practice.id, "1", by="user-1")
        return push(self, audience_id, members)

    def killed(self: Any, *arguments: Any) -> None:
        monkeypatch.setattr(LogStore, "add_records", add_records)
        raise Killed

    monkeypatch.setattr(PushCalls, "push", pushed)
    if dies:
        monkeypatch.setattr(LogStore, "add_records", killed)
    engine.work()
    assert practice.audience() == {"c2@clinic.test": "subscribed"}
    member_states = engine.members.member_states(practice.id, [practice.key("c1@clinic.test")])[
        practice.key("c1@clinic.test")
    ]
    assert (member_states.address, member_states.delivery) == ("", None)
    assert practice.run(run_id).status == "success"
    practice.sync("full")
    assert practice.audience() == {"c2@clinic.test": "subscribed"}
