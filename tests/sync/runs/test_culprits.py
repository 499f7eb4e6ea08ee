"""One address for which Mailchimp always fails: it costs a record of its own and nobody else anything."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sync.engine import Engine, Practice
from tests.sync.segment_office import SegmentOffice

pytest_plugins = ("tests.sync.engine_fixtures",)

# What Mailchimp answers for good whenever the culprit is in a call.
FAILURES = {
    "500": {"status": 500},
    "a gateway's page": {"status": 502, "body": "html"},
    "no answer": {"kind": "drop"},
    "an answer that breaks off": {"kind": "truncate"},
}
always = pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())


def calls(practice: Practice) -> int:
    """All calls to Mailchimp that wrote, or asked whether it is there."""
    entries = practice.control.journal()["entries"]
    return sum(1 for e in entries if e["is_write"] or e["path"] == "/ping")


@always
def test_an_address_for_which_the_bulk_call_fails_keeps_nobody_else_out(
    practice: Practice, failure: dict[str, Any]
) -> None:
    practice.customer("9", "no@clinic.test", "unsubscribed")
    practice.join("no@clinic.test")
    practice.customers(8)
    practice.fail(about="c5@clinic.test", **failure)
    run = practice.sync("full")
    audience = practice.audience()
    assert audience.pop("no@clinic.test") == "unsubscribed"
    audience.pop("c5@clinic.test", None)
    assert audience == {f"c{n}@clinic.test": "subscribed" for n in (1, 2, 3, 4, 6, 7, 8)}
    assert (run.status, run.counts) == ("success", {"add": 7, "unsubscribe": 1, "refused": 1})
    (record,) = practice.records(run, "refused")
    assert (record.customer_id, record.code) == ("5", "no_answer")
    assert practice.engine.queue.delays == []
    assert calls(practice) <= 20


def test_opt_outs_go_before_all_others_when_a_call_is_divided(practice: Practice) -> None:
    practice.customers(4)
    practice.customer("9", "no@clinic.test", "unsubscribed")
    practice.join("no@clinic.test")
    practice.fail(about="c1@clinic.test", status=500)
    practice.sync("full")
    sent = [e["members"] for e in practice.control.journal(writes_only=True)["entries"] if e["status"] == 200]
    assert sent[0] == 1, "the opt-out alone"
    assert practice.audience()["no@clinic.test"] == "unsubscribed"


def test_the_next_sync_leaves_the_culprit_alone_until_it_is_due_and_then_tries_it_by_itself(practice: Practice) -> None:
    practice.customers(3)
    practice.fail(about="c2@clinic.test", status=500)
    practice.sync("full")
    run = practice.sync(minutes=5)
    assert (run.planned, practice.writes()) == (0, [])
    practice.customer("4", "c4@clinic.test")
    run = practice.sync(minutes=15)
    assert (run.status, run.counts) == ("success", {"add": 1, "refused": 1})
    members = [e["members"] for e in practice.control.journal(writes_only=True)["entries"]]
    assert set(members) == {1}, "nobody goes in a call with it any more"
    practice.control.clear_faults()
    assert practice.sync(hours=5).counts == {"add": 1}
    assert practice.marks() == {}


@pytest.mark.fast
def test_several_culprits_are_found_in_one_chunk(practice: Practice) -> None:
    practice.customers(40)
    for number in (3, 4, 17, 40):
        practice.fail(about=f"c{number}@clinic.test", status=500)
    run = practice.sync("full")
    assert (run.status, run.counts) == ("success", {"add": 36, "refused": 4})
    assert set(practice.codes(run, "refused")) == {(str(n), "no_answer") for n in (3, 4, 17, 40)}
    assert calls(practice) <= 45


def test_a_culprit_alone_in_its_chunk_is_recorded_when_mailchimp_answers_others(practice: Practice) -> None:
    practice.customers(1)
    practice.fail(about="c1@clinic.test", status=500)
    run = practice.sync("full")
    assert practice.codes(run, "refused") == [("1", "no_answer")]
    assert calls(practice) <= 6


@always
def test_a_run_for_one_customer_whose_calls_all_fail_is_an_error_and_says_why(
    practice: Practice, failure: dict[str, Any]
) -> None:
    practice.customers(1)
    practice.fail(method="POST", **failure)
    practice.fail(path="/members/*", **failure)
    run = practice.sync("full")
    assert (run.status, run.code, run.params) == ("error", "nothing_went_through", {"failed": 1})
    assert run.message == (
        "Nothing went through. 1 refused by Mailchimp. Mailchimp fails: Mailchimp "
        "answers each call with this address with an internal error, or not at all."
    )
    assert (practice.log()[0].status, practice.log()[0].message) == ("error", run.message)
    practice.control.clear_faults()
    assert practice.sync(minutes=16).code == "synced"
    assert practice.audience() == {"c1@clinic.test": "subscribed"}


def test_a_run_in_which_mailchimp_refuses_everybody_is_an_error_and_says_why(practice: Practice) -> None:
    practice.customer("1", "ann@gmail.con")
    practice.customer("2", "ben@gmail.con")
    run = practice.sync("full")
    assert (run.status, run.code, run.params) == ("error", "nothing_went_through", {"failed": 2})
    assert "Nothing went through. 2 refused by Mailchimp. Invalid email: Mailchimp considers the e-mail" in run.message
    assert "gmail.con" not in run.message


def test_in_an_outage_of_the_bulk_call_nobody_is_blamed_and_calls_are_few(practice: Practice) -> None:
    practice.customers(500)
    practice.control.reset_journal()
    practice.fail(method="POST", status=500)
    run = practice.sync("full")
    assert (run.status, run.chunks_failed, run.failed) == ("error", 1, 500)
    assert practice.codes(run, "refused") == []
    assert calls(practice) <= 75
    practice.control.clear_faults()
    assert practice.sync().counts == {"add": 500}


def test_in_a_real_outage_calls_are_fewer_still(practice: Practice) -> None:
    practice.customers(20)
    run_id = practice.start("full")
    practice.engine.deliver_until(lambda: practice.run(run_id).phase == "apply")
    practice.control.reset_journal()
    practice.control.inject_fault(path="/**", times=1000, status=503)
    practice.engine.deliver_until(lambda: practice.run(run_id).chunks_failed == 1)
    assert practice.codes(practice.run(run_id), "refused") == []
    assert calls(practice) <= 20


def test_an_outage_that_begins_in_the_midst_blames_nobody(engine: Engine, practice: Practice) -> None:
    practice.customers(16)
    practice.fail(about="c16@clinic.test", status=500, times=4)
    run_id = practice.start("full")
    engine.deliver_until(lambda: practice.run(run_id).phase == "apply")
    practice.fail(method="POST", status=500, skip=1)
    practice.control.inject_fault(path="/ping", skip=1, status=503, times=1)
    message = engine.receive()
    assert message is not None
    engine.deliver(message)
    practice.control.clear_faults()
    engine.work()
    run = practice.run(run_id)
    assert (run.status, run.counts, run.failed) == ("success", {"add": 16}, 0)


@always
def test_an_address_whose_own_call_fails_keeps_no_other_from_its_call(
    practice: Practice, failure: dict[str, Any]
) -> None:
    practice.customers(4)
    practice.sync("full")
    practice.remove("1", "2", "3")
    practice.fail(path="/**", about="c1@clinic.test", **failure)
    run = practice.sync()
    assert run.counts.pop("archive") >= 2
    assert practice.audience()["c2@clinic.test"] == practice.audience()["c3@clinic.test"] == "archived"
    if failure.get("kind") != "truncate":  # the answer to archiving has no body
        assert [code for _, code in practice.codes(run, "refused")] == ["no_answer"]
    assert (run.status, run.chunks_failed) == ("success", 0)
    assert calls(practice) <= 10


def test_an_opt_out_whose_calls_fail_is_tried_again_by_every_sync(practice: Practice) -> None:
    practice.customers(3)
    practice.sync("full")
    given = {"status": "unsubscribed", "changed_at": "2026-03-02T12:11:00Z"}
    practice.edit("1", marketing_consent=given)
    practice.edit("2", first_name="Anna")
    practice.fail(path="/**", about="c1@clinic.test", status=500)
    run = practice.sync()
    assert practice.codes(run, "refused") == [("1", "no_answer")]
    assert run.counts["update"] == 1
    assert practice.codes(practice.sync(), "refused") == [("1", "no_answer")]
    practice.control.clear_faults()
    assert practice.sync().counts == {"unsubscribe": 1}
    assert practice.audience()["c1@clinic.test"] == "unsubscribed"


@pytest.mark.fast
@always
def test_an_address_that_fails_the_segment_call_keeps_no_other_from_its_tag(
    engine: Engine, practice: Practice, failure: dict[str, Any]
) -> None:
    office = SegmentOffice(engine, practice)
    for name in ("ann", "ben", "cem", "dan", "eva"):
        office.customer(name, state="VIC")
    office.sync("full")
    created = office.create()
    practice.fail(path="/segments/*", about="cem@clinic.test", **failure)
    run = office.run()
    assert run.status != "error"
    assert [name for name in office.tagged() if name != "cem"] == ["ann", "ben", "dan", "eva"]
    assert office.marked(created) == ["ann", "ben", "dan", "eva"]
    assert office.segment_calls() <= 14
    practice.control.clear_faults()
    office.sync("full")
    assert office.marked(created) == ["ann", "ben", "cem", "dan", "eva"]


def test_a_member_that_cannot_be_untagged_keeps_no_other_from_losing_the_tag(
    engine: Engine, practice: Practice
) -> None:
    office = SegmentOffice(engine, practice)
    for name in ("ann", "ben", "cem"):
        office.customer(name, state="VIC")
    office.sync("full")
    created = office.create()
    office.run()
    for name in ("ann", "ben"):
        office.move(name, "TAS")
    practice.fail(path="/segments/*", about="ann@clinic.test", status=500)
    assert office.sync().status == "success"
    assert office.tagged() == ["ann", "cem"] == office.marked(created)
    practice.control.clear_faults()
    office.sync()
    assert office.tagged() == ["cem"] == office.marked(created)
