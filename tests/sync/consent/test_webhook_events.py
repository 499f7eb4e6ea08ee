"""Webhook events: each is a hint; the member as Mailchimp shows it is what counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.consent.members import DeliveryState, OptOut
from chalicelib.domain.health import health
from chalicelib.errors import KeyRejected, RetryLater
from chalicelib.handlers.webhook import RecentRefusals, handle
from chalicelib.mailchimp.webhook import NotAnEvent
from chalicelib.sync.account.webhook_registration import WebhookRecord, secret_hash
from infra.standins.mailchimp.delivery import sign
from infra.standins.pracbill import PracBillStandIn
from tests.sync.engine import Killed
from tests.sync.observing import Clock, Desk, mailchimp_running

ANN, BOB = "ann@clinic.test", "bob@clinic.test"


@pytest.fixture
def desk(aws: str, pracbill: PracBillStandIn) -> Iterator[Desk]:
    clock = Clock()
    with mailchimp_running(clock) as mailchimp:
        yield Desk(aws, mailchimp, pracbill, clock)


def unsubscribed(desk: Desk, address: str = ANN, **fields: Any) -> Any:
    return desk.event("unsubscribe", address, **{"action": "unsub", "reason": "manual", **fields})


def reject_the_key(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    rejection = KeyRejected("The key was revoked.", code="key_rejected")
    monkeypatch.setattr(desk.service, "rejection", rejection)


# ------------------------------------------------------------------------------------------------------ event by event


@pytest.mark.fast
def test_an_unsubscribe_reaches_pracbill_at_once(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)

    assert desk.apply(unsubscribed(desk, campaign_id="cb398d21d2")) == "applied"

    assert desk.member(ANN).status == "unsubscribed"
    assert desk.consent_in_pracbill("1") == "unsubscribed"
    (entry,) = desk.ledger_of(ANN)
    assert (entry.route, entry.who) == ("webhook", "the person")
    assert (entry.evidence["campaign_id"], entry.evidence["event"]) == ("cb398d21d2", "unsubscribe")
    assert desk.is_marked(ANN)


def test_an_unsubscribe_is_a_log_entry_of_direction_pull_that_names_nobody(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.apply(unsubscribed(desk))
    (entry,) = desk.log_entries()
    assert (entry.direction, entry.type, entry.trigger) == ("pull", "incremental", "webhook")
    assert (entry.status, entry.counts) == ("success", {"opted_out": 1})
    assert entry.message == "A contact unsubscribed in Mailchimp (customer 1). PracBill has been updated."
    assert entry.customer_ids == ("1",)
    assert entry.date == desk.clock()


def test_an_event_and_the_pull_after_it_make_one_entry_of_the_ledger(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.apply(unsubscribed(desk))
    desk.pull()
    assert desk.rules_of(ANN) == ["unsubscribed-there"]
    assert len(desk.told()) == 1


def test_an_unsubscribe_is_in_the_log_though_the_function_dies_once_it_is_known(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    with monkeypatch.context() as dying:
        dying.setattr("chalicelib.sync.consent.webhook_events.Events._tell", _dies)
        with pytest.raises(Killed):
            desk.apply(unsubscribed(desk))
    assert desk.member(ANN).status == "unsubscribed"
    desk.clock.move(minutes=1)
    desk.apply(unsubscribed(desk))
    (entry,) = [one for one in desk.log_entries() if one.code == "opted_out"]
    assert entry.message == "A contact unsubscribed in Mailchimp (customer 1)."
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def _dies(*_: object) -> None:
    raise Killed


def test_a_complaint_is_told_as_such(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("complain", ANN)
    desk.apply(unsubscribed(desk, reason="abuse"))
    assert desk.told() == [(ANN, "unsubscribed", "reported as spam")]
    assert desk.rules_of(ANN) == ["complained-there"]


def test_an_unsubscribe_by_an_admin_is_not_taken_for_the_persons(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("admin_unsubscribe", ANN)
    desk.apply(unsubscribed(desk))
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None
    assert opt_out.route == "admin"


def test_a_bounce_reaches_pracbill(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("bounce", ANN)
    assert desk.apply(desk.event("cleaned", ANN, reason="hard")) == "applied"
    assert desk.member(ANN).status == "cleaned"
    assert desk.told() == [(ANN, "unsubscribed", "bounced")]


def test_a_sign_up_after_the_persons_own_no_reaches_pracbill(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.apply(unsubscribed(desk))
    desk.act("resubscribe", ANN)
    assert desk.apply(desk.event("subscribe", ANN)) == "applied"
    assert desk.consent_in_pracbill("1") == "subscribed"
    assert desk.member(ANN).opt_out is None


def test_the_time_of_a_sign_up_is_the_events_though_the_member_was_edited_later(desk: Desk) -> None:
    """So a no that PracBill recorded after the sign-up is not overruled by it."""
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.apply(unsubscribed(desk))
    desk.act("resubscribe", ANN)
    signed_up = desk.event("subscribe", ANN)
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None
    desk.know(ANN, opt_out=replace(opt_out, at=desk.clock.move(minutes=1)))
    desk.act("admin_tag", ANN, "VIP")
    desk.apply(signed_up)
    assert desk.member(ANN).opt_out is not None
    assert desk.rules_of(ANN)[-1] == "subscribed-not-accepted"


def test_a_sign_up_by_an_admin_takes_no_opt_out_back(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("admin_unsubscribe", ANN)
    desk.apply(unsubscribed(desk))
    desk.set_status(ANN, "subscribed")
    desk.apply(desk.event("subscribe", ANN))
    assert desk.member(ANN).opt_out is not None
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def test_an_edited_profile_changes_nothing_and_makes_no_log_entry(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("edit_profile", ANN, {"FNAME": "Ann"})
    assert desk.apply(desk.event("profile", ANN)) == "nothing_new"
    assert desk.log_entries() == []


def test_an_archived_contact_is_known_as_archived(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("admin_archive", ANN)
    assert desk.apply(unsubscribed(desk, action="delete")) == "applied"
    assert (desk.member(ANN).status, desk.member(ANN).opt_out) == ("archived", None)


@pytest.mark.parametrize("action", ["delete", ""])
def test_a_contact_deleted_for_good_is_known_as_gone_and_pracbill_hears_of_it(desk: Desk, action: str) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("admin_delete", ANN)
    assert desk.apply(unsubscribed(desk, action=action)) == "applied"
    assert desk.member(ANN).status == "forgotten"
    assert desk.told() == [(ANN, "unsubscribed", "deleted in Mailchimp")]


# ------------------------------------------------------------------------------------------- the fresh read counts


def test_an_unsubscribe_that_was_taken_back_before_we_looked_is_not_heard(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    event = unsubscribed(desk)
    desk.act("resubscribe", ANN)
    assert desk.apply(event) == "nothing_new"
    assert desk.told() == []


def test_an_unsubscribe_counts_though_the_contact_was_archived_before_we_looked(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    event = unsubscribed(desk)
    desk.act("admin_archive", ANN)
    desk.apply(event)
    member = desk.member(ANN)
    assert member.opt_out is not None
    assert member.status == "archived"
    assert desk.consent_in_pracbill("1") == "unsubscribed"


@pytest.mark.parametrize(("act", "route"), [("unsubscribe", "person"), ("admin_unsubscribe", "admin")])
def test_whose_no_it_was_is_known_once_an_archived_contact_is_unsubscribed_again(
    desk: Desk, act: str, route: str
) -> None:
    """An archived contact does not show it, and until then the no is not the person's to end by a sign-up."""
    desk.push(ANN)
    desk.act(act, ANN)
    event = unsubscribed(desk)
    desk.act("admin_archive", ANN)
    desk.apply(event)
    unread = desk.member(ANN).opt_out
    assert unread is not None
    assert unread.route == "admin"
    desk.clock.move(minutes=1)
    desk.api("POST", "/members", {"email_address": ANN, "status": "unsubscribed"})
    desk.observe_now(ANN)
    read = desk.member(ANN).opt_out
    assert read is not None
    assert read.route == route


def test_an_unsubscribe_counts_though_the_contact_was_deleted_before_we_looked(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    event = unsubscribed(desk)
    desk.act("admin_delete", ANN)
    desk.apply(event)
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None
    assert (desk.member(ANN).status, opt_out.route) == ("forgotten", "person")
    assert desk.consent_in_pracbill("1") == "unsubscribed"


@pytest.mark.fast
def test_an_invented_unsubscribe_unsubscribes_nobody(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    assert desk.apply(unsubscribed(desk)) == "nothing_new"
    assert desk.consent_in_pracbill("1") == "subscribed"


def test_an_invented_sign_up_takes_no_opt_out_back(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.apply(unsubscribed(desk))
    desk.clock.move(minutes=1)
    assert desk.apply(desk.event("subscribe", ANN)) == "nothing_new"
    assert desk.member(ANN).opt_out is not None


@pytest.mark.parametrize("type", ["unsubscribe", "subscribe", "profile", "cleaned"])
def test_an_event_about_an_address_that_nobody_has_leaves_nothing_behind(desk: Desk, type: str) -> None:
    before = desk.everything_stored()
    assert desk.apply(desk.event(type, "nobody@clinic.test", action="unsub", reason="hard")) == "nothing_new"
    assert desk.everything_stored() == before
    assert (desk.told(), desk.log_entries()) == ([], [])


def test_an_address_change_between_addresses_that_nobody_has_leaves_nothing_behind(desk: Desk) -> None:
    before = desk.everything_stored()
    assert desk.apply(desk.event("upemail", "new@clinic.test", old_address="old@clinic.test")) == "nothing_new"
    assert desk.everything_stored() == before


# --------------------------------------------------------------------------------------------- changes of the address


def moved(desk: Desk, old: str = ANN, new: str = BOB) -> Any:
    desk.act("change_address", old, new)
    return desk.event("upemail", new, old_address=old)


@pytest.mark.fast
def test_an_address_changed_in_mailchimp_is_known_and_the_old_one_is_not_added_again(desk: Desk) -> None:
    desk.customer("17", ANN)
    desk.push(ANN)
    assert desk.apply(moved(desk)) == "applied"
    assert (desk.member(ANN).status, desk.member(BOB).status) == ("forgotten", "subscribed")
    assert desk.is_marked(ANN)


def test_pracbill_is_not_told_of_an_opt_out_when_an_address_changed(desk: Desk) -> None:
    desk.customer("17", ANN)
    desk.push(ANN)
    desk.apply(moved(desk))
    assert desk.told() == []
    assert desk.member(ANN).opt_out is None


def test_staff_read_which_customer_to_change_when_an_address_changed_in_mailchimp(desk: Desk) -> None:
    desk.customer("17", ANN)
    desk.push(ANN)
    desk.apply(moved(desk))
    (entry,) = desk.log_entries()
    assert entry.counts == {"address_changed": 1}
    assert entry.message == (
        "A contact changed the e-mail address in Mailchimp (customer 17). Change it in PracBill too."
    )
    assert entry.customer_ids == ("17",)


def test_an_entry_says_that_pracbill_knows_only_once_it_does(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    event = unsubscribed(desk, ANN)
    desk.pracbill.inject("status", status=503)
    with pytest.raises(RetryLater):
        desk.apply(event)
    (entry,) = desk.log_entries()
    assert entry.message.startswith("A contact unsubscribed in Mailchimp (customer 1). 1 consent change has")
    assert "updated" not in entry.message


def test_an_entry_about_a_contact_who_is_no_customer_says_so(desk: Desk) -> None:
    desk.join(ANN)
    desk.observe_now(ANN)
    desk.act("unsubscribe", ANN)
    desk.apply(unsubscribed(desk, ANN))
    (entry,) = desk.log_entries()
    assert entry.message.startswith("A contact unsubscribed in Mailchimp (no customer has this address).")
    assert entry.customer_ids == ()


def test_the_ledgers_of_both_addresses_tell_of_the_change(desk: Desk) -> None:
    desk.join(ANN)
    desk.observe_now(ANN)
    desk.apply(moved(desk))
    (left,) = desk.ledger_of(ANN)
    assert (left.rule, left.was, left.became, left.who) == ("address-changed", "subscribed", "forgotten", "the person")


def test_who_was_there_before_us_is_so_under_the_new_address_and_who_was_not_is_not(desk: Desk) -> None:
    desk.join(ANN)
    desk.observe_now(ANN)
    desk.apply(moved(desk))
    desk.push("cat@clinic.test")
    desk.apply(moved(desk, "cat@clinic.test", "dan@clinic.test"))
    assert (desk.member(BOB).pre_existing, desk.member("dan@clinic.test").pre_existing) == (True, False)


def test_pracbills_no_follows_the_person_to_the_new_address(desk: Desk) -> None:
    """Before the next run could carry the no out, the member was somewhere else, where no customer speaks for it."""
    desk.customer("17", ANN, "unsubscribed")
    desk.push(ANN)
    no = OptOut(desk.clock(), "pracbill", sent_to_pracbill=True)
    desk.know(ANN, status="subscribed", opt_out=no)
    desk.apply(moved(desk))

    at_mailchimp = desk.at_mailchimp(BOB)
    assert at_mailchimp is not None
    assert at_mailchimp["status"] == "unsubscribed"
    assert (desk.member(BOB).status, desk.member(BOB).opt_out) == ("unsubscribed", no)
    desk.pull()
    assert desk.member(BOB).opt_out == no


@pytest.mark.fast
def test_an_address_change_that_died_half_way_is_finished_by_its_repeat(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.customer("17", ANN, "unsubscribed")
    desk.push(ANN)
    no = OptOut(desk.clock(), "pracbill", sent_to_pracbill=True)
    desk.know(ANN, status="subscribed", opt_out=no)
    event = moved(desk)

    def die(*args: object, **options: object) -> Any:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(desk.observations, "apply", die)
        with pytest.raises(SystemExit):
            desk.apply(event)
    desk.apply(event)
    assert (desk.member(BOB).opt_out, desk.member(ANN).status) == (no, "forgotten")


def test_a_bounce_of_the_old_address_does_not_follow_to_the_new_one(desk: Desk) -> None:
    desk.push(ANN)
    desk.know(ANN, status="subscribed", opt_out=OptOut(desk.clock(), "bounce", "bounced"))
    desk.apply(moved(desk))
    assert (desk.member(BOB).status, desk.member(BOB).opt_out) == ("subscribed", None)


def test_an_import_of_an_address_that_its_person_left_takes_no_opt_out_back(desk: Desk) -> None:
    """Only who was deleted for good can come back by themselves alone; an address that was left takes anybody."""
    desk.customer("1", ANN, "unsubscribed")
    desk.push(ANN)
    desk.know(ANN, status="subscribed", opt_out=OptOut(desk.clock(), "pracbill", sent_to_pracbill=True))
    desk.apply(moved(desk))
    desk.clock.move(minutes=1)
    desk.join(ANN)
    desk.observe_now(ANN)
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None and opt_out.route == "pracbill"
    assert desk.backlog() == []


def test_a_deleted_audience_deletes_no_contact(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.control.inject_fault(method="GET", path="/lists/**", status=404, times=9)
    assert desk.apply(unsubscribed(desk, action="delete")) == "nothing_new"
    assert (desk.member(ANN).status, desk.consent_in_pracbill("1")) == ("subscribed", "subscribed")


def test_in_a_deleted_audience_a_persons_no_counts_all_the_same(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.control.inject_fault(method="GET", path="/lists/**", status=404, times=9)
    assert desk.apply(unsubscribed(desk)) == "applied"
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def test_a_no_dated_in_the_future_is_said_now(desk: Desk) -> None:
    """It would outlive every yes until then."""
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("admin_delete", ANN)
    desk.apply(unsubscribed(desk, fired_at="2099-01-01 00:00:00"))
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None and opt_out.at == desk.clock()


def test_an_address_that_was_changed_back_is_there_again(desk: Desk) -> None:
    desk.push(ANN)
    desk.apply(moved(desk))
    desk.apply(moved(desk, BOB, ANN))
    assert (desk.member(ANN).status, desk.member(BOB).status) == ("subscribed", "forgotten")


def test_an_address_change_heard_after_the_person_went_on_to_a_third_one(desk: Desk) -> None:
    desk.push(ANN)
    first = moved(desk)
    second = moved(desk, BOB, "cat@clinic.test")
    desk.apply(first)
    desk.apply(second)
    assert (desk.member(ANN).status, desk.member("cat@clinic.test").status) == ("forgotten", "subscribed")


def test_an_invented_address_change_changes_nothing(desk: Desk) -> None:
    desk.push(ANN)
    desk.push(BOB)
    assert desk.apply(desk.event("upemail", BOB, old_address=ANN)) == "nothing_new"
    assert {desk.member(ANN).status, desk.member(BOB).status} == {"subscribed"}


# ------------------------------------------------------------------------- noes of the audience selected before


def selected_another(desk: Desk, *, is_pushed: bool = True) -> None:
    """Another audience is selected, and the customer is subscribed there."""
    desk.select_new_audience()
    if is_pushed:
        desk.push(ANN)
        desk.observe_now(ANN)


@pytest.mark.fast
@pytest.mark.parametrize("is_pushed", [True, False])
@pytest.mark.parametrize(
    ("act", "who"), [("unsubscribe", "the person"), ("admin_unsubscribe", "somebody in Mailchimp")]
)
def test_a_no_that_is_heard_once_another_audience_is_selected_counts_there(
    desk: Desk, act: str, who: str, is_pushed: bool
) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act(act, ANN)
    event = unsubscribed(desk)
    selected_another(desk, is_pushed=is_pushed)

    assert desk.apply(event) == "applied"

    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None
    assert opt_out.at == event.fired_at_moment
    assert desk.member(ANN).status == ("subscribed" if is_pushed else "absent")
    assert desk.consent_in_pracbill("1") == "unsubscribed"
    assert desk.is_marked(ANN)
    assert desk.ledger_of(ANN)[0].who == who
    assert desk.ledger_of(ANN)[0].evidence["audience_id"] == event.audience_id
    (entry,) = desk.log_entries()
    assert entry.message == (
        "A contact unsubscribed in Mailchimp (customer 1). This was in an audience that is no longer selected. "
        "PracBill has been updated."
    )
    assert desk.meter.counts["OptOutsHeard"] == 1


def test_a_bounce_that_is_heard_once_another_audience_is_selected_counts_there(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("bounce", ANN)
    event = desk.event("cleaned", ANN, reason="hard")
    selected_another(desk)
    assert desk.apply(event) == "applied"
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None
    assert opt_out.route == "bounce"
    assert desk.told() == [(ANN, "unsubscribed", "bounced")]


def test_a_deletion_that_is_heard_once_another_audience_is_selected_counts_there(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("admin_delete", ANN)
    event = unsubscribed(desk, action="delete")
    selected_another(desk)
    assert desk.apply(event) == "applied"
    assert (desk.member(ANN).status, desk.told()) == ("subscribed", [(ANN, "unsubscribed", "deleted in Mailchimp")])


def unsubscribed_here_and_in_the_audience_before(desk: Desk, act: str) -> None:
    """Somebody unsubscribes Ann in the selected audience by `act`, and she does so herself in the one before."""
    desk.customer("1", ANN)
    desk.push(ANN)
    before = desk.audience_id
    selected_another(desk)
    desk.act(act, ANN)
    desk.observe_now(ANN)
    desk.clock.move(minutes=1)
    desk.control.unsubscribe(ANN, audience_id=before)
    assert desk.apply(unsubscribed(desk, audience_id=before)) == "applied"


def test_the_persons_no_in_another_audience_is_not_ended_by_a_colleague_in_this_one(desk: Desk) -> None:
    """Where the person did not unsubscribe, Mailchimp lets everybody subscribe the contact."""
    unsubscribed_here_and_in_the_audience_before(desk, "admin_unsubscribe")
    desk.act("admin_tag", ANN, "VIP")
    desk.pull()
    desk.set_status(ANN, "subscribed")
    desk.pull()
    desk.tell()
    assert desk.member(ANN).opt_out is not None
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def test_a_no_of_the_audience_before_does_not_make_the_persons_own_no_here_an_admins(desk: Desk) -> None:
    unsubscribed_here_and_in_the_audience_before(desk, "unsubscribe")
    desk.act("resubscribe", ANN)
    desk.pull()
    desk.tell()
    assert desk.consent_in_pracbill("1") == "subscribed"


def test_a_no_of_the_audience_before_that_the_person_took_back_there_does_not_count(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    event = unsubscribed(desk)
    desk.act("resubscribe", ANN)
    selected_another(desk)
    assert desk.apply(event) == "nothing_new"
    assert (desk.member(ANN).opt_out, desk.told()) == (None, [])


def test_a_no_of_the_audience_before_that_was_heard_in_time_is_told_once(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    event = unsubscribed(desk)
    desk.observe_now(ANN)
    desk.tell()
    desk.act("edit_profile", ANN, {"FNAME": "Ann"})
    selected_another(desk)
    assert desk.apply(event) == "nothing_new"
    assert len(desk.told()) == 1
    assert desk.rules_of(ANN).count("unsubscribed-there") == 1


@pytest.mark.parametrize("fault", ["the key", "the audience"])
def test_a_no_of_the_audience_before_counts_though_mailchimp_cannot_be_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("admin_unsubscribe", ANN)
    event = unsubscribed(desk)
    selected_another(desk)
    if fault == "the key":
        reject_the_key(desk, monkeypatch)
    else:
        event = replace(event, audience_id="deleted123")
    assert desk.apply(event) == "applied"
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None
    assert opt_out.speaker_unread
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def test_while_mailchimp_is_down_a_no_of_the_audience_before_comes_again(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    event = unsubscribed(desk)
    selected_another(desk)
    desk.control.inject_fault(method="GET", path="/lists/*/members/*", status=503)
    with pytest.raises(RetryLater):
        desk.apply(event)
    desk.pracbill.inject("status", status=503)
    with pytest.raises(RetryLater):
        desk.apply(event)
    assert desk.apply(event) == "nothing_new"
    assert desk.consent_in_pracbill("1") == "unsubscribed"
    assert desk.apply(event) == "repeated"


def test_an_admins_no_that_our_call_undid_in_the_audience_before_counts(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    event = unsubscribed(desk)
    call = DeliveryState(desk.audience_id, "subscribed", desk.clock(), subscribed_at=desk.clock())
    batch = desk.members.batch(desk.department_id)
    batch.put_delivery(desk.key(ANN), ANN, call)
    batch.flush()
    selected_another(desk, is_pushed=False)
    assert desk.apply(event) == "applied"
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None
    assert opt_out.route == "admin"
    assert desk.rules_of(ANN) == ["unsubscribed-meanwhile"]
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def test_a_contact_that_was_archived_in_the_audience_before_has_said_nothing(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("admin_archive", ANN)
    event = unsubscribed(desk, action="delete")
    selected_another(desk)
    assert desk.apply(event) == "nothing_new"
    assert (desk.member(ANN).opt_out, desk.told()) == (None, [])


@pytest.mark.parametrize("type", ["subscribe", "profile", "upemail"])
def test_an_event_of_the_audience_before_that_is_no_no_is_ignored(desk: Desk, type: str) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    event = desk.event(type, BOB if type == "upemail" else ANN, old_address=ANN if type == "upemail" else "")
    selected_another(desk)
    before = desk.everything_stored()
    assert desk.apply(event) == "ignored"
    assert desk.everything_stored() == before


def test_a_no_of_the_audience_before_by_somebody_unknown_is_ignored(desk: Desk) -> None:
    desk.join(ANN)
    desk.act("unsubscribe", ANN)
    event = unsubscribed(desk)
    desk.select_new_audience()
    before = desk.everything_stored()
    assert desk.apply(event) == "ignored"
    assert desk.everything_stored() == before
    assert (desk.told(), desk.log_entries()) == ([], [])


# ------------------------------------------------------------------------------------------- repeats, strangers, faults


def test_an_event_that_is_delivered_again_is_not_applied_again(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    event = unsubscribed(desk)
    assert [desk.apply(event), desk.apply(event)] == ["applied", "repeated"]
    assert len(desk.log_entries()) == 1


def test_an_event_is_remembered_for_a_week(desk: Desk) -> None:
    desk.push(ANN)
    event = unsubscribed(desk)
    desk.apply(event)
    desk.clock.move(days=6, hours=23)
    assert desk.apply(event) == "repeated"
    desk.clock.move(hours=2)
    assert desk.apply(event) == "nothing_new"


def test_an_event_of_a_department_that_is_unknown_is_ignored(desk: Desk) -> None:
    assert desk.apply(unsubscribed(desk, department_id="elsewhere")) == "ignored"


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"type": "unsubscribe"}', '{"kind": "step"}'])
def test_a_message_that_is_no_event_is_refused(desk: Desk, body: str) -> None:
    with pytest.raises(NotAnEvent):
        desk.event_worker.apply_event(body, desk.remaining)


@pytest.mark.fast
def test_while_pracbill_is_down_an_event_comes_again_until_it_is_told(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    event = unsubscribed(desk)
    for _ in range(2):
        desk.pracbill.inject("status", status=503)
        with pytest.raises(RetryLater):
            desk.apply(event)
    assert desk.member(ANN).status == "unsubscribed"
    assert desk.apply(event) == "nothing_new"
    assert desk.consent_in_pracbill("1") == "unsubscribed"
    assert desk.apply(event) == "repeated"


def test_while_pracbill_is_down_log_and_health_say_how_many_words_wait(desk: Desk) -> None:
    for number, address in enumerate((ANN, BOB)):
        desk.customer(str(number), address)
        desk.push(address)
        desk.act("unsubscribe", address)
    since = desk.clock()
    events = [unsubscribed(desk, ANN)]
    desk.clock.move(seconds=1)  # entries of one second have no order
    events.append(unsubscribed(desk, BOB))
    for event in events:
        desk.pracbill.inject("status", status=503)
        with pytest.raises(RetryLater):
            desk.apply(event)
        desk.clock.move(minutes=5)
    assert [entry.counts for entry in desk.log_entries()] == [
        {"opted_out": 1, "waiting": 2},
        {"opted_out": 1, "waiting": 1},
    ]
    assert "2 consent changes have been waiting to be sent to PracBill since" in desk.log_entries()[0].message
    found = {finding.code: finding for finding in health(desk.department, run=None, failed=None, now=desk.clock())}
    assert found["pracbill_waiting"].severity == "warning"
    assert f"2 consent changes have been waiting to be sent to PracBill since {since:%Y-%m-%d %H:%M} UTC" in (
        found["pracbill_waiting"].message
    )
    later = health(desk.department, run=None, failed=None, now=since + timedelta(days=2))
    assert ("pracbill_waiting", "error") in [(finding.code, finding.severity) for finding in later]
    desk.apply(events[0])
    assert desk.department.backlog is None
    assert desk.log_entries()[0].message == "2 waiting updates have been sent to PracBill."


def test_while_mailchimp_is_down_an_event_comes_again(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    event = unsubscribed(desk)
    desk.control.inject_fault(method="GET", path="/lists/*/members/*", status=503)
    with pytest.raises(RetryLater):
        desk.apply(event)
    assert desk.apply(event) == "applied"


@pytest.mark.fast
def test_with_a_dead_key_a_persons_no_is_taken_at_its_word(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    event = unsubscribed(desk)
    reject_the_key(desk, monkeypatch)
    assert desk.apply(event) == "applied"
    assert desk.member(ANN).status == "unsubscribed"
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def test_with_a_dead_key_nothing_but_a_no_is_taken_at_its_word(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.apply(unsubscribed(desk))
    desk.act("resubscribe", ANN)
    reject_the_key(desk, monkeypatch)
    assert desk.apply(desk.event("subscribe", ANN)) == "nothing_new"
    assert desk.member(ANN).opt_out is not None


def test_when_the_key_is_replaced_the_pull_confirms_what_was_taken_at_its_word(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    with monkeypatch.context() as patch:
        reject_the_key(desk, patch)
        desk.apply(unsubscribed(desk))
    desk.pull()
    assert desk.member(ANN).status == "unsubscribed"
    assert len(desk.ledger_of(ANN)) == 1
    assert len(desk.log_entries()) == 1


def heard_with_a_dead_key(desk: Desk, monkeypatch: pytest.MonkeyPatch, act: str, event: str = "unsubscribe") -> None:
    """A consenting customer's no, which the event alone tells of; the key is replaced right after it."""
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act(act, ANN)
    reason = {"complain": "abuse", "bounce": "hard"}.get(act, "manual")
    with monkeypatch.context() as patch:
        reject_the_key(desk, patch)
        assert desk.apply(desk.event(event, ANN, action="unsub", reason=reason)) == "applied"
    assert desk.consent_in_pracbill("1") == "unsubscribed"


@pytest.mark.fast
@pytest.mark.parametrize("is_read_before", [True, False])
def test_an_admins_no_heard_with_a_dead_key_is_not_taken_back_by_a_colleague(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, is_read_before: bool
) -> None:
    """The event does not say whose no it is: it passes for the person's only once the member has shown that."""
    heard_with_a_dead_key(desk, monkeypatch, "admin_unsubscribe")
    if is_read_before:
        desk.pull()
    desk.set_status(ANN, "subscribed")
    desk.pull()
    desk.tell()
    assert desk.consent_in_pracbill("1") == "unsubscribed"
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None
    assert opt_out.route == "admin"
    assert desk.rules_of(ANN) == ["unsubscribed-there", "subscribed-not-accepted"]
    assert desk.ledger_of(ANN)[-1].who == "the person or somebody in Mailchimp"


def test_a_persons_no_heard_with_a_dead_key_is_the_persons_once_the_member_was_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard_with_a_dead_key(desk, monkeypatch, "unsubscribe")
    desk.pull()
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None
    assert opt_out.route == "person"
    assert desk.rules_of(ANN) == ["unsubscribed-there"]
    desk.act("resubscribe", ANN)
    desk.apply(desk.event("subscribe", ANN))
    assert desk.member(ANN).opt_out is None
    assert desk.consent_in_pracbill("1") == "subscribed"


def test_a_no_heard_with_a_dead_key_is_the_persons_though_its_event_is_dated_later_than_the_member(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.clock.move(seconds=2)
    with monkeypatch.context() as patch:
        reject_the_key(desk, patch)
        desk.apply(unsubscribed(desk))
    desk.pull()
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None
    assert opt_out.route == "person"


def test_a_no_heard_with_a_dead_key_stands_though_somebody_took_it_back_before_it_was_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who took it back, the person or a colleague, is not to be known then: nobody is mailed."""
    heard_with_a_dead_key(desk, monkeypatch, "unsubscribe")
    desk.act("resubscribe", ANN)
    desk.pull()
    desk.tell()
    assert desk.member(ANN).opt_out is not None
    assert desk.consent_in_pracbill("1") == "unsubscribed"


@pytest.mark.parametrize(
    ("act", "event", "route", "rule"),
    [("complain", "unsubscribe", "person", "complained-there"), ("bounce", "cleaned", "bounce", "bounced-there")],
)
def test_with_a_dead_key_a_complaint_is_the_persons_and_a_bounce_the_addresss(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, act: str, event: str, route: str, rule: str
) -> None:
    heard_with_a_dead_key(desk, monkeypatch, act, event)
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None
    assert opt_out.route == route
    assert desk.rules_of(ANN) == [rule]


def test_a_no_heard_with_a_dead_key_is_not_pracbills_to_take_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """PracBill's own no was on its way, but the webhook tells of no call of ours: this one is somebody else's."""
    desk.customer("1", ANN, "unsubscribed")
    desk.push(ANN)
    desk.know(ANN, status="subscribed", opt_out=OptOut(desk.clock(), "pracbill", sent_to_pracbill=True))
    desk.act("unsubscribe", ANN)
    with monkeypatch.context() as patch:
        reject_the_key(desk, patch)
        assert desk.apply(unsubscribed(desk)) == "applied"
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None
    assert opt_out.route == "admin"


def test_an_event_without_a_readable_time_is_applied_all_the_same(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    assert desk.apply(unsubscribed(desk, fired_at="yesterday")) == "applied"
    assert desk.member(ANN).status == "unsubscribed"


def test_operators_can_count_events_and_opt_outs(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    event = unsubscribed(desk)
    desk.apply(event)
    desk.apply(event)
    assert desk.meter.counts["WebhookEventsApplied"] == 1
    assert desk.meter.counts["WebhookEventsRepeated"] == 1
    assert desk.meter.counts["OptOutsHeard"] == 1


def test_events_of_a_bulk_change_in_mailchimp_are_all_applied(desk: Desk) -> None:
    addresses = [f"p{number}@clinic.test" for number in range(20)]
    for address in addresses:
        desk.push(address)
        desk.control.admin_archive(address, audience_id=desk.audience_id)
    outcomes = [desk.apply(unsubscribed(desk, address, action="delete")) for address in addresses]
    assert set(outcomes) == {"applied"}
    assert {desk.member(address).status for address in addresses} == {"archived"}


def test_an_old_event_played_back_does_not_undo_what_came_after_it(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    old = unsubscribed(desk)
    desk.apply(old)
    desk.act("resubscribe", ANN)
    desk.apply(desk.event("subscribe", ANN))
    desk.clock.move(days=30)
    desk.apply(old)
    assert (desk.member(ANN).opt_out, desk.consent_in_pracbill("1")) == (None, "subscribed")


def test_an_event_that_arrives_before_its_time_says_nothing_of_the_future(desk: Desk) -> None:
    """A sign-up may not be dated later than Mailchimp dates the member, to overrule a no that comes in between."""
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.apply(unsubscribed(desk))
    desk.act("resubscribe", ANN)
    signed_up_at = desk.clock()
    future = (signed_up_at + timedelta(days=365)).strftime("%Y-%m-%d %H:%M:%S")
    desk.apply(desk.event("subscribe", ANN, fired_at=future))
    assert desk.ledger_of(ANN)[0].at == signed_up_at


def test_the_webhooks_function_reads_the_record_that_registering_the_hook_writes() -> None:
    token = "7" * 43
    record = asdict(WebhookRecord(secret_hash(token), "", "account-1", "abc123def4", signing_secret="secret"))
    body = "type=profile&fired_at=2026-01-05+10%3A00%3A00&data[list_id]=abc123def4&data[email]=ann@clinic.test"
    sent: list[Any] = []
    event = {
        "httpMethod": "POST",
        "pathParameters": {"department_id": "north", "token": token},
        "headers": {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Mailchimp-Signature": sign(body.encode(), "secret", 100),
        },
        "body": body,
    }
    answer = handle(
        event,
        hook_of=lambda _: record,
        send=lambda *call: sent.append(call),
        now=lambda: 100.0,
        refusals=RecentRefusals(),
    )
    assert answer["statusCode"] == 200
    assert [(event.address, account_id) for event, account_id in sent] == [(ANN, "account-1")]
