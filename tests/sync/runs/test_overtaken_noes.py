"""An admin's no in the midst of the very call that subscribes: only the webhook's event is left of it, and it counts.

The event comes before or after the call's answer is kept, and the function may die anywhere between.
"""

from __future__ import annotations

from contextvars import Context
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.mailchimp.answers import RemoteMember
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.webhook import HookEvent, write_event
from chalicelib.sync.consent.overtaken_noes import OvertakenNoes
from chalicelib.sync.runs.chunk_calls import ChunkCalls
from chalicelib.sync.runs.chunk_results import ChunkResults
from tests.sync.engine import PLENTY, Killed, Practice
from tests.sync.runs.test_mid_call import die_once
from tests.sync.runs.test_plan_phase import move

pytest_plugins = ("tests.sync.engine_fixtures",)

ANN = "c1@clinic.test"


def agreed(practice: Practice) -> None:
    """Ann was silent and has said yes in PracBill since: the next sync subscribes her."""
    practice.customer("1", ANN, None)
    practice.customers(1, start=2)
    practice.sync("full")
    practice.edit("1", marketing_consent={"status": "subscribed", "changed_at": "2026-03-02T12:11:00Z"})
    practice.engine.clock.move(minutes=20)


def agreed_and_unsubscribed(practice: Practice) -> None:
    """The same, and an admin unsubscribes her while the next call runs."""
    agreed(practice)
    practice.meanwhile("admin_unsubscribe", ANN)


def subscribed_and_not_kept(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> str:
    """The call that undid an admin's no is made, and the function died before it kept the answer. Answers the run."""
    agreed_and_unsubscribed(practice)
    die_once(monkeypatch, ChunkResults, "keep")
    run_id = practice.start()
    practice.engine.deliver_until(lambda: practice.audience().get(ANN) == "subscribed")
    return run_id


def told_by_webhook(practice: Practice, fired_at: str) -> str:
    event = HookEvent("unsubscribe", practice.id, practice.audience_id, ANN, fired_at, action="unsub", reason="manual")
    return practice.engine.service.events.apply_event(write_event(event), lambda: PLENTY)


def called_at(practice: Practice) -> str:
    pushed_at = practice.known(ANN).pushed_at
    assert pushed_at is not None
    return pushed_at.strftime("%Y-%m-%d %H:%M:%S")


def changed_at(practice: Practice) -> str:
    """The second in which the call undid what the admin did."""
    return str(practice.member(ANN)["last_changed"])[:19].replace("T", " ")


def fired_now(practice: Practice) -> str:
    return practice.engine.clock().strftime("%Y-%m-%d %H:%M:%S")


def check_undone_no_counts(practice: Practice) -> None:
    """The no that the call undid is known, in the ledger and told to PracBill; the next sync carries it out."""
    opt_out = practice.known(ANN).opt_out
    assert opt_out is not None
    assert opt_out.route == "admin"
    rules = [entry.rule for entry in practice.ledger(ANN)]
    assert rules.count("unsubscribed-meanwhile") == 1
    assert "subscribed-there" not in rules, "nobody in Mailchimp subscribed her"
    practice.sync()
    assert practice.audience()[ANN] == "unsubscribed"
    assert set(practice.told()) == {(ANN, "unsubscribed")}
    practice.sync("full")
    practice.sync()
    assert practice.audience()[ANN] == "unsubscribed"
    assert practice.audience()["c2@clinic.test"] == "subscribed"
    assert practice.marks() == {}


def test_an_admins_no_that_our_call_undid_counts_when_its_event_comes_after_the_run(practice: Practice) -> None:
    agreed_and_unsubscribed(practice)
    practice.sync(minutes=0)
    assert practice.audience()[ANN] == "subscribed"
    assert told_by_webhook(practice, called_at(practice)) == "applied"
    check_undone_no_counts(practice)


def test_an_admins_no_that_our_call_undid_counts_when_its_event_comes_before_the_answer_is_kept(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = subscribed_and_not_kept(practice, monkeypatch)
    assert practice.known(ANN).opt_out is None
    told_by_webhook(practice, changed_at(practice))
    assert practice.known(ANN).opt_out is not None, "a call is noted before it is made"
    practice.engine.work()
    assert practice.run(run_id).status == "success"
    check_undone_no_counts(practice)


def test_an_admins_no_that_our_call_undid_counts_though_the_function_dies_before_looking_for_it(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribed_and_not_kept(practice, monkeypatch)
    die_once(monkeypatch, OvertakenNoes, "apply")
    with pytest.raises(Killed):
        told_by_webhook(practice, changed_at(practice))
    practice.engine.work()
    check_undone_no_counts(practice)


def test_an_older_no_that_the_person_took_back_is_not_taken_for_one_that_our_call_undid(practice: Practice) -> None:
    agreed(practice)
    long_ago = (practice.engine.clock() - timedelta(days=2)).strftime("%Y-%m-%d %H:%M:%S")
    practice.sync(minutes=0)
    told_by_webhook(practice, long_ago)
    assert practice.known(ANN).opt_out is None
    practice.sync()
    assert (practice.audience()[ANN], practice.told()) == ("subscribed", [])


def test_a_no_that_came_after_our_call_and_was_taken_back_is_not_one_that_it_undid(practice: Practice) -> None:
    agreed(practice)
    practice.sync(minutes=0)
    practice.engine.clock.move(minutes=1)
    practice.act("unsubscribe", ANN)
    fired_at = fired_now(practice)
    practice.engine.clock.move(minutes=1)
    practice.act("resubscribe", ANN)
    told_by_webhook(practice, fired_at)
    assert practice.known(ANN).opt_out is None
    practice.sync()
    assert practice.audience()[ANN] == "subscribed"


# ------------------------------------------------------------- the event's reader was faster than our call's work


def read_before(monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """Mailchimp's answer to the next question about a member is from before our call: unsubscribed by an admin."""
    member = MailchimpClient.member

    def stale(client: MailchimpClient, audience_id: str, address: str) -> RemoteMember | None:
        monkeypatch.setattr(MailchimpClient, "member", member)
        found = member(client, audience_id, address)
        assert found is not None
        moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
        reason = "N/A (Unsubscribed by admin)"
        return replace(found, status="unsubscribed", unsubscribe_reason=reason, last_changed=moment)

    monkeypatch.setattr(MailchimpClient, "member", stale)


def check_known_no_is_carried_out_again(practice: Practice) -> None:
    assert practice.known(ANN).opt_out is not None
    assert practice.audience()[ANN] == "subscribed"
    practice.sync()
    assert practice.audience()[ANN] == "unsubscribed"
    assert set(practice.told()) == {(ANN, "unsubscribed")}
    practice.sync()
    assert (practice.audience()[ANN], practice.marks()) == ("unsubscribed", {})


def test_a_no_read_before_our_call_undid_it_is_carried_out_again_when_it_is_kept_first(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreed_and_unsubscribed(practice)
    keep = ChunkResults.keep

    def event_first(results: ChunkResults, *arguments: Any) -> Any:
        read_before(monkeypatch, changed_at(practice))
        Context().run(told_by_webhook, practice, changed_at(practice))  # another function, with rights of its own
        return keep(results, *arguments)

    monkeypatch.setattr(ChunkResults, "keep", event_first)
    practice.sync(minutes=0)
    monkeypatch.setattr(ChunkResults, "keep", keep)
    check_known_no_is_carried_out_again(practice)


def test_a_no_read_before_our_call_undid_it_is_carried_out_again_when_it_is_kept_last(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreed_and_unsubscribed(practice)
    practice.sync(minutes=0)
    read_before(monkeypatch, changed_at(practice))
    told_by_webhook(practice, changed_at(practice))
    check_known_no_is_carried_out_again(practice)


# ------------------------------------------------------------- calls whose answer is never kept


def carried_out_in_vain(practice: Practice) -> str:
    """The next call is carried out, but its connection breaks; staff cancel before the chunk comes again."""
    agreed_and_unsubscribed(practice)
    practice.fail(method="POST", kind="drop", executes=True)
    run_id = practice.start()
    practice.engine.deliver_until(lambda: practice.audience().get(ANN) == "subscribed")
    practice.engine.staff.cancel(practice.id, run_id, by="user-2")
    practice.control.clear_faults()
    return run_id


def test_an_admins_no_counts_though_the_answer_of_the_call_that_undid_it_was_lost(practice: Practice) -> None:
    carried_out_in_vain(practice)
    told_by_webhook(practice, changed_at(practice))
    practice.engine.work()
    check_undone_no_counts(practice)


def test_an_admins_no_counts_though_its_event_comes_long_after_a_call_whose_answer_was_lost(practice: Practice) -> None:
    carried_out_in_vain(practice)
    practice.engine.work()
    undone_at = changed_at(practice)
    practice.sync()
    practice.sync("full")
    assert practice.audience()[ANN] == "subscribed"
    told_by_webhook(practice, undone_at)
    opt_out = practice.known(ANN).opt_out
    assert opt_out is not None
    practice.sync()
    assert practice.audience()[ANN] == "unsubscribed"
    assert set(practice.told()) == {(ANN, "unsubscribed")}


def test_what_a_lost_call_of_ours_set_is_not_blamed_on_somebody_in_mailchimp(practice: Practice) -> None:
    carried_out_in_vain(practice)
    practice.engine.work()
    practice.sync()
    entry = practice.ledger(ANN)[-1]
    assert (entry.became, entry.who, entry.rule) == ("subscribed", "this service", "set-by-sync")


def test_an_admins_no_counts_though_the_function_was_killed_and_the_run_cancelled(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreed_and_unsubscribed(practice)
    die_once(monkeypatch, ChunkResults, "keep")
    run_id = practice.start()
    practice.engine.deliver_until(lambda: practice.audience().get(ANN) == "subscribed")
    practice.engine.staff.cancel(practice.id, run_id, by="user-2")
    told_by_webhook(practice, changed_at(practice))
    practice.engine.work()
    check_undone_no_counts(practice)


# ------------------------------------------------------------- a contact that comes back as non-subscribed


def test_an_admins_no_counts_though_our_call_made_the_contact_non_subscribed(practice: Practice) -> None:
    practice.customer("1", ANN, None)
    practice.customers(1, start=2)
    practice.sync("full")
    practice.remove("1")
    practice.sync()
    assert practice.audience()[ANN] == "archived"
    practice.customer("3", ANN, None)
    practice.meanwhile("admin_unsubscribe", ANN)
    practice.sync()
    assert practice.audience()[ANN] == "transactional"
    told_by_webhook(practice, changed_at(practice))
    an_hour_before = (practice.engine.clock() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    practice.edit("3", marketing_consent={"status": "subscribed", "changed_at": an_hour_before})
    practice.sync()
    assert practice.known(ANN).opt_out is not None
    assert practice.audience()[ANN] == "transactional"
    assert set(practice.told()) == {(ANN, "unsubscribed")}


# ------------------------------------------------------------- events that come late, after a changed address


def undone_and_moved(practice: Practice, *addresses: str) -> str:
    """A call undid an admin's no; then the customer's address changed, and the event has not come yet."""
    agreed_and_unsubscribed(practice)
    practice.sync(minutes=0)
    undone_at = changed_at(practice)
    for address in addresses:
        move(practice, "1", address)
        practice.sync()
        assert practice.audience()[address] == "subscribed"
    return undone_at


@pytest.mark.parametrize("way", [("new@clinic.test",), ("between@clinic.test", "new@clinic.test")])
def test_a_no_whose_event_comes_late_goes_along_to_the_address_that_the_customer_has_by_then(
    practice: Practice, way: tuple[str, ...]
) -> None:
    undone_at = undone_and_moved(practice, *way)
    told_by_webhook(practice, undone_at)
    practice.sync()
    assert practice.audience()[way[-1]] == "unsubscribed"
    assert "no-moved-along" in [entry.rule for entry in practice.ledger(way[-1])]
    practice.sync("full")
    assert practice.audience()[way[-1]] == "unsubscribed"
    assert practice.audience()["c2@clinic.test"] == "subscribed"
    assert practice.marks() == {}


def test_a_no_whose_event_comes_late_counts_though_the_customer_moved_away_and_back(practice: Practice) -> None:
    undone_at = undone_and_moved(practice, "between@clinic.test", ANN)
    told_by_webhook(practice, undone_at)
    practice.sync()
    assert practice.audience()[ANN] == "unsubscribed"


# ------------------------------------------------------------- what is done is kept


def test_who_was_archived_before_the_key_was_refused_is_known_as_archived_by_us(practice: Practice) -> None:
    practice.customers(3)
    practice.sync("full")
    practice.remove("1", "2")
    practice.fail(method="DELETE", path="/members/*", kind="answer", status=401, title="API Key Invalid", skip=1)
    assert practice.sync().status == "error"
    practice.control.clear_faults()
    archived = [address for address, status in practice.audience().items() if status == "archived"]
    assert len(archived) == 1
    assert practice.known(archived[0]).archived_by_us


def test_who_was_archived_by_a_call_whose_answer_was_never_kept_comes_back_with_a_later_yes(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.customers(8)
    practice.sync("full")
    practice.remove("1")
    die_once(monkeypatch, ChunkResults, "keep")
    run_id = practice.start()
    practice.engine.deliver_until(lambda: practice.audience()[ANN] == "archived")
    practice.engine.staff.cancel(practice.id, run_id, by="user-2")
    practice.engine.work()
    practice.sync()
    practice.customer("9", ANN)
    practice.sync()
    assert practice.audience()[ANN] == "subscribed"


def test_who_was_erased_while_a_call_added_them_is_deleted_by_the_next_pull_where_its_answer_was_never_kept(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.customers(3)
    practice.sync("full")
    practice.customer("9", "erased@clinic.test")
    die_once(monkeypatch, ChunkResults, "keep")
    run_id = practice.start()
    # The erasure finds nobody in Mailchimp: the call has begun, and adds the member afterwards.
    send = ChunkCalls.send

    def erased_before(calls: ChunkCalls, *arguments: Any) -> Any:
        Context().run(practice.engine.eraser.erase, practice.id, "9", by="user-1")
        return send(calls, *arguments)

    monkeypatch.setattr(ChunkCalls, "send", erased_before)
    practice.engine.deliver_until(lambda: "erased@clinic.test" in practice.audience())
    monkeypatch.setattr(ChunkCalls, "send", send)
    practice.engine.staff.cancel(practice.id, run_id, by="user-2")
    practice.engine.work()
    assert practice.audience()["erased@clinic.test"] == "subscribed"
    practice.sync()
    assert "erased@clinic.test" not in practice.audience()
    assert practice.audience()["c1@clinic.test"] == "subscribed"


def test_an_erased_person_who_signs_up_later_is_left_alone(practice: Practice) -> None:
    practice.customers(2)
    practice.sync("full")
    practice.engine.eraser.erase(practice.id, "1", by="user-1")
    practice.remove("1")
    practice.engine.clock.move(hours=1)
    practice.join(ANN)
    practice.sync()
    assert practice.audience()[ANN] == "subscribed"


def no_of_the_audience_before(practice: Practice) -> HookEvent:
    fired_at = practice.engine.clock().strftime("%Y-%m-%d %H:%M:%S")
    return HookEvent("unsubscribe", practice.id, practice.audience_id, ANN, fired_at, action="unsub", reason="manual")


def heard(practice: Practice, event: HookEvent) -> str:
    return practice.engine.service.events.apply_event(write_event(event), lambda: PLENTY)


def check_no_is_carried_out_here(practice: Practice) -> None:
    assert practice.audience()[ANN] == "subscribed"
    practice.sync()
    practice.sync("full")
    assert practice.audience()[ANN] == "unsubscribed"
    assert practice.audience()["c2@clinic.test"] == "subscribed"
    assert set(practice.told()) == {(ANN, "unsubscribed")}


@pytest.mark.parametrize("act", ["unsubscribe", "admin_unsubscribe"])
def test_a_no_heard_once_another_audience_is_selected_is_carried_out_there(practice: Practice, act: str) -> None:
    practice.customer("1", ANN)
    practice.customers(1, start=2)
    practice.sync("full")
    practice.act(act, ANN)
    event = no_of_the_audience_before(practice)
    practice.select_new_audience()
    practice.sync("full")
    assert heard(practice, event) == "applied"
    check_no_is_carried_out_here(practice)


def test_an_admins_no_that_our_call_undid_counts_though_another_audience_is_in_step_already(
    practice: Practice,
) -> None:
    """What was sent to the new audience takes the place of what the call before it was."""
    agreed_and_unsubscribed(practice)
    practice.sync(minutes=0)
    assert practice.audience()[ANN] == "subscribed"
    event = replace(no_of_the_audience_before(practice), fired_at=called_at(practice))
    practice.select_new_audience()
    practice.sync("full")
    practice.sync("full")
    assert heard(practice, event) == "applied"
    check_no_is_carried_out_here(practice)


def test_a_no_that_was_taken_back_in_the_audience_before_is_not_one_that_our_call_undid(practice: Practice) -> None:
    practice.customer("1", ANN)
    practice.customers(1, start=2)
    practice.sync("full")
    practice.act("unsubscribe", ANN)
    event = no_of_the_audience_before(practice)
    practice.act("resubscribe", ANN)
    practice.select_new_audience()
    practice.sync("full")
    assert heard(practice, event) == "nothing_new"
    practice.sync("full")
    assert practice.audience()[ANN] == "subscribed"
    assert practice.told() == []
