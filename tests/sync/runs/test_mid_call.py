"""Somebody acts in Mailchimp between a run's pull and its push, or while the call runs.

What the answer then shows is that person's word and not ours: it goes into the ledger and to PracBill, and stands in
every audience.
"""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.store.logs import LogStore
from chalicelib.store.member_batch import MemberBatch
from chalicelib.sync.runs.apply_phase import ApplyPhase
from chalicelib.sync.runs.chunk_results import ChunkResults
from tests.sync.engine import Engine, Killed, Practice
from tests.sync.segment_office import SegmentOffice

pytest_plugins = ("tests.sync.engine_fixtures",)

ANN = "c1@clinic.test"
NEW = "new@clinic.test"
ACTS = {
    "unsubscribe": ("unsubscribed", "unsubscribed-there", "person"),
    "complain": ("unsubscribed", "unsubscribed-there", "person"),
    "admin_unsubscribe": ("unsubscribed", "unsubscribed-by-admin", "admin"),
    "bounce": ("cleaned", "bounced-there", "bounce"),
}
MOMENTS = ("before", "written")


@pytest.fixture
def synced(practice: Practice) -> Practice:
    """Ann is customer 1 and subscribed; so is somebody else."""
    practice.customers(2)
    practice.sync("full")
    return practice


def check_heard(practice: Practice, status: str = "unsubscribed", rule: str = "unsubscribed-there") -> None:
    """Ann's no is known, in the ledger and told to PracBill, once, and nobody mails her in any audience."""
    known = practice.known(ANN)
    assert known.status == status
    assert known.opt_out is not None
    assert [entry.rule for entry in practice.ledger(ANN)].count(rule) == 1
    assert practice.told() == [(ANN, "unsubscribed")]
    assert "1" in practice.log("pull")[0].message
    practice.sync("full")
    practice.sync()
    assert practice.marks() == {}
    assert practice.audience()[ANN] == status
    assert practice.told() == [(ANN, "unsubscribed")]
    practice.select_new_audience()
    practice.sync("full")
    assert practice.audience().get(ANN) != "subscribed"
    assert practice.audience()["c2@clinic.test"] == "subscribed"


# ---------------------------------------------------------------------------------------------------------- bulk calls


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("act", ACTS)
def test_a_no_during_an_update_is_heard(synced: Practice, act: str, moment: str) -> None:
    status, rule, route = ACTS[act]
    synced.edit("1", first_name="Anna")
    synced.meanwhile(act, ANN, moment=moment)
    run = synced.sync()
    assert (run.status, run.counts) == ("success", {"update": 1})
    opt_out = synced.known(ANN).opt_out
    assert opt_out is not None
    assert opt_out.route == route
    check_heard(synced, status, rule)


@pytest.mark.parametrize("act", ["unsubscribe", "admin_unsubscribe"])
def test_a_no_of_somebody_just_added_is_heard(practice: Practice, act: str) -> None:
    practice.customers(2)
    practice.meanwhile(act, ANN, moment="written")
    run = practice.sync("full")
    assert (run.status, run.counts) == ("success", {"add": 2})
    assert not practice.known(ANN).pre_existing
    check_heard(practice, rule=ACTS[act][1])


def test_who_came_and_left_before_being_added_is_heard_and_not_ours(practice: Practice) -> None:
    practice.customers(2)
    row = {"email_address": ANN, "status": "unsubscribed", "blocked": "person"}
    audience_id = practice.audience_id
    practice.control.interject(
        "admin_import", {"members": [row], "audience_id": audience_id}, method="POST", path=f"/lists/{audience_id}"
    )
    run = practice.sync("full")
    assert (run.status, run.counts) == ("success", {"add": 1, "update": 1})  # who was there already was not added
    assert [record.action for record in practice.records(run) if record.customer_id == "1"] == ["update"]
    assert practice.known(ANN).pre_existing
    check_heard(practice)


@pytest.mark.parametrize("act", ["unsubscribe", "admin_unsubscribe"])
def test_a_no_right_after_being_subscribed_is_heard(practice: Practice, act: str) -> None:
    practice.customer("1", ANN, None)
    practice.customers(1, start=2)
    practice.sync("full")
    given = {"status": "subscribed", "changed_at": "2026-03-02T12:11:00Z"}
    practice.edit("1", marketing_consent=given)
    practice.meanwhile(act, ANN, moment="written")
    run = practice.sync()
    assert practice.codes(run, "held") == [("1", "changed_meanwhile")]
    check_heard(practice, rule=ACTS[act][1])


def test_an_admins_no_between_the_pull_and_being_subscribed_is_not_undone(engine: Engine, practice: Practice) -> None:
    practice.customer("1", ANN, None)
    practice.customers(1, start=2)
    practice.sync("full")
    practice.edit("1", marketing_consent={"status": "subscribed", "changed_at": "2026-03-02T12:11:00Z"})
    engine.clock.move(minutes=10)
    run_id = practice.start()
    engine.deliver_until(lambda: practice.run(run_id).phase == "apply")
    practice.act("admin_unsubscribe", ANN)
    engine.work()
    assert practice.codes(practice.run(run_id), "held") == [("1", "changed_meanwhile")]
    check_heard(practice, rule="unsubscribed-by-admin")


def test_a_no_to_the_request_for_a_confirmation_is_heard_and_not_asked_again(synced: Practice) -> None:
    synced.change_policy(ask_again=True)
    synced.act("unsubscribe", ANN)
    synced.sync()
    synced.edit("1", marketing_consent={"status": "subscribed", "changed_at": "2026-03-02T12:30:00Z"})
    synced.meanwhile("unsubscribe", ANN, moment="written")
    run = synced.sync(hours=1)
    assert synced.codes(run, "held") == [("1", "changed_meanwhile")]
    asked = synced.member(ANN)["confirmations_sent"]
    assert (asked, synced.known(ANN).status) == (1, "unsubscribed")
    assert synced.told() == [(ANN, "unsubscribed")] * 2
    for _ in range(2):
        synced.sync()
    assert synced.member(ANN)["confirmations_sent"] == 1
    assert synced.audience()[ANN] == "unsubscribed"


def test_a_bounce_during_an_unsubscribe_is_heard(synced: Practice) -> None:
    given = {"status": "unsubscribed", "changed_at": "2026-03-02T12:05:00Z"}
    synced.edit("1", marketing_consent=given)
    synced.meanwhile("bounce", ANN)
    synced.sync()
    assert synced.known(ANN).status == "cleaned"
    assert [entry.rule for entry in synced.ledger(ANN)][-1] == "bounced-there"
    assert synced.told() == [(ANN, "unsubscribed")]
    assert synced.sync().planned == 0


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_confirmation_during_an_update_is_the_persons_yes(practice: Practice, moment: str) -> None:
    practice.join(ANN, status="pending")
    practice.customer("1", ANN, first_name="Ann")
    practice.meanwhile("confirm", ANN, moment=moment)
    practice.sync("full")
    assert practice.known(ANN).status == "subscribed"
    assert practice.sync().planned == 0


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_address_changed_during_an_update_is_heard(synced: Practice, moment: str) -> None:
    synced.edit("1", first_name="Anna")
    synced.meanwhile("change_address", ANN, new_email=NEW, moment=moment)
    synced.sync()
    assert synced.known(ANN).successor_key == synced.key(NEW)
    assert synced.known(NEW).status == "subscribed"
    for _ in range(2):
        synced.sync("full")
    found = synced.audience()
    assert (found[NEW], found.get(ANN)) == ("subscribed", "archived" if moment == "before" else None)


# --------------------------------------------------------------------------------------------------------- single calls


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_no_during_a_rename_is_heard(synced: Practice, moment: str) -> None:
    synced.edit("1", email=NEW)
    synced.meanwhile(
        "unsubscribe", ANN if moment == "before" else NEW, method="PATCH", path="/members/*", moment=moment
    )
    synced.sync()
    for _ in range(2):
        synced.sync("full")
    holder = ANN if moment == "before" else NEW
    assert synced.audience().get(holder) == ("archived" if moment == "before" else "unsubscribed")
    assert [entry.rule for entry in synced.ledger(holder)].count("unsubscribed-there") == 1
    assert (holder, "unsubscribed") in synced.told()
    assert "subscribed" not in {synced.audience().get(address) for address in (ANN, NEW)}
    synced.sync()
    assert synced.marks() == {}


def test_who_is_deleted_for_good_during_a_rename_is_not_added_anew(synced: Practice) -> None:
    synced.edit("1", email=NEW)
    synced.meanwhile("admin_delete", ANN, method="PATCH", path="/members/*")
    synced.sync()
    assert synced.known(ANN).status == "forgotten"
    assert "deleted-there" in [entry.rule for entry in synced.ledger(ANN)]
    for _ in range(2):
        synced.sync("full")
    assert synced.audience().get(NEW) != "subscribed"
    synced.sync()
    assert synced.marks() == {}


def test_who_changes_the_address_during_a_rename_is_followed(synced: Practice) -> None:
    synced.edit("1", email=NEW)
    synced.meanwhile("change_address", ANN, new_email="own@clinic.test", method="PATCH", path="/members/*")
    synced.sync()
    assert synced.known(ANN).successor_key == synced.key("own@clinic.test")
    assert synced.known("own@clinic.test").status == "subscribed"


def test_a_rename_that_was_carried_out_before_the_function_died_is_not_taken_for_a_deletion(
    synced: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced.edit("1", email=NEW)
    die_once(monkeypatch, ChunkResults, "keep")
    synced.sync()
    assert synced.audience() == {NEW: "subscribed", "c2@clinic.test": "subscribed"}
    assert (synced.known(ANN).opt_out, synced.known(NEW).opt_out, synced.told()) == (None, None, [])


@pytest.mark.parametrize("act", ACTS)
def test_a_no_between_the_pull_and_the_archiving_is_heard(synced: Practice, act: str) -> None:
    status, rule, _ = ACTS[act]
    synced.remove("1")
    synced.meanwhile(act, ANN, method="GET", path="/members/*")
    synced.sync()
    assert synced.known(ANN).status == status
    assert [entry.rule for entry in synced.ledger(ANN)][-1] == rule
    assert synced.told() == [(ANN, "unsubscribed")]
    synced.sync()
    assert synced.audience()[ANN] == ("cleaned" if act == "bounce" else "archived")
    synced.customer("1", ANN)
    synced.sync()
    assert synced.audience()[ANN] != "subscribed"


def test_who_is_deleted_for_good_before_being_archived_is_heard(synced: Practice) -> None:
    synced.remove("1")
    synced.meanwhile("admin_delete", ANN, method="DELETE", path="/members/*")
    synced.sync()
    assert synced.known(ANN).status == "forgotten"
    assert "deleted-there" in [entry.rule for entry in synced.ledger(ANN)]
    assert synced.sync().planned == 0


def test_who_changes_the_address_before_being_archived_is_followed(synced: Practice) -> None:
    synced.remove("1")
    synced.meanwhile("change_address", ANN, new_email=NEW, method="DELETE", path="/members/*")
    synced.sync()
    assert synced.known(ANN).successor_key == synced.key(NEW)
    assert "address-changed" in [entry.rule for entry in synced.ledger(ANN)]
    assert synced.told() == []


# ------------------------------------------------------------------------------------------------------------ tag calls


@pytest.mark.parametrize("moment", [*MOMENTS, "after"])
def test_a_no_during_a_tag_call_is_heard(engine: Engine, synced: Practice, moment: str) -> None:
    office = SegmentOffice(engine, synced)
    synced.edit("1", address={"state": "VIC"})
    synced.edit("2", address={"state": "VIC"})
    synced.sync()
    synced.meanwhile("unsubscribe", ANN, path="/segments/*", moment=moment)
    office.create()
    run = office.run()
    assert run.status == "success"
    synced.sync()
    check_heard(synced)


# -------------------------------------------------------------------------------------------------------------- crashes


@pytest.mark.parametrize(
    ("of", "name", "is_done"),
    [
        (ChunkResults, "keep", False),
        (LogStore, "add", True),
        (LogStore, "add_records", False),
        (MemberBatch, "flush", False),
    ],
    ids=["keep", "log", "records", "batch"],
)
@pytest.mark.parametrize("is_new", [False, True])
def test_a_no_is_heard_although_the_function_dies_between_answer_and_storing(
    practice: Practice, monkeypatch: pytest.MonkeyPatch, of: Any, name: str, is_done: bool, is_new: bool
) -> None:
    practice.customers(2)
    if not is_new:
        practice.sync("full")
        practice.edit("1", first_name="Anna")
    send = ApplyPhase.apply

    def applied(self: Any, *arguments: Any) -> Any:
        monkeypatch.setattr(ApplyPhase, "apply", send)
        die_once(monkeypatch, of, name, is_done=is_done)
        return send(self, *arguments)

    monkeypatch.setattr(ApplyPhase, "apply", applied)
    practice.meanwhile("unsubscribe", ANN, moment="written")
    practice.sync("full" if is_new else "incremental")
    check_heard(practice)


def test_a_no_after_a_lost_answer_is_heard_by_the_repeat(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    practice.customers(2)
    keep = ChunkResults.keep

    def killed(self: Any, *arguments: Any) -> None:
        monkeypatch.setattr(ChunkResults, "keep", keep)
        practice.act("unsubscribe", ANN)
        raise Killed

    monkeypatch.setattr(ChunkResults, "keep", killed)
    practice.sync("full")
    check_heard(practice)


def die_once(monkeypatch: pytest.MonkeyPatch, of: Any, name: str, *, is_done: bool = False) -> None:
    """Kill the function at its next call of a method, before or, where `is_done`, after that has done its work."""
    method = getattr(of, name)

    def killed(self: Any, *arguments: Any, **options: Any) -> None:
        monkeypatch.setattr(of, name, method)
        if is_done:
            method(self, *arguments, **options)
        raise Killed

    monkeypatch.setattr(of, name, killed)
