"""What is heard from Mailchimp: whose word it is, what it changes, how PracBill hears of it. One test a rule."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.consent.members import AddressCustomers, OptOut
from chalicelib.domain.consent.observations import Observation, OutboxEntry
from chalicelib.domain.customers import customer_from_json
from chalicelib.domain.planning import Operation
from chalicelib.errors import RetryLater, StopRun
from chalicelib.pracbill.client import PracBillClient
from chalicelib.pracbill.errors import ConsentRefused
from chalicelib.store.member_batch import MemberBatch
from chalicelib.sync.consent.observations import gone
from infra.standins.pracbill import PracBillStandIn
from tests.sync.observing import NOON, Clock, Desk, mailchimp_running

ANN, BOB, OLD = "ann@clinic.test", "bob@clinic.test", "old@clinic.test"


@pytest.fixture
def desk(aws: str, pracbill: PracBillStandIn) -> Iterator[Desk]:
    clock = Clock()
    with mailchimp_running(clock) as mailchimp:
        yield Desk(aws, mailchimp, pracbill, clock)


def opt_out_of(desk: Desk, address: str) -> tuple[str, str] | None:
    """Route and reason of the known opt-out."""
    opt_out = desk.member(address).opt_out
    return (opt_out.route, opt_out.reason) if opt_out else None


def ask_again(desk: Desk, address: str) -> None:
    """Have Mailchimp ask the person, as the plan does when a department allows it."""
    desk.set_status(address, "pending")
    desk.push(address, "pending", in_mailchimp=False)
    desk.know(address, status="pending", asked_at=desk.clock(), observed_at=desk.clock())


# ---------------------------------------------------------------------------------------------------------- whose no


def test_a_persons_unsubscribe_is_an_opt_out_that_pracbill_hears_of(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN, reason="No longer interested")

    assert desk.observe_now(ANN) == {"opted_out": 1}

    assert desk.member(ANN).status == "unsubscribed"
    assert opt_out_of(desk, ANN) == ("person", "unsubscribed in Mailchimp")
    assert desk.tell() == 1
    assert desk.told() == [(ANN, "unsubscribed", "unsubscribed in Mailchimp")]
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def test_the_ledger_says_who_unsubscribed_when_and_why(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN, reason="No longer interested")
    unsubscribed_at = desk.clock()
    desk.clock.move(minutes=5)
    desk.observe_now(ANN)

    (entry,) = desk.ledger_of(ANN)
    assert (entry.was, entry.became, entry.who) == ("subscribed", "unsubscribed", "the person")
    assert (entry.at, entry.recorded_at, entry.route) == (unsubscribed_at, desk.clock(), "pull")
    assert entry.rule == "unsubscribed-there"
    assert entry.evidence["reason"] == "No longer interested"


def test_a_complaint_is_the_persons_own_no(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("complain", ANN)
    desk.observe_now(ANN)
    assert opt_out_of(desk, ANN) == ("person", "unsubscribed in Mailchimp")


def test_a_bounce_is_an_opt_out_and_pracbill_hears_that_mail_bounced(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("bounce", ANN)

    assert desk.observe_now(ANN) == {"bounced": 1}
    assert desk.member(ANN).status == "cleaned"
    assert opt_out_of(desk, ANN) == ("bounce", "bounced")
    desk.tell()
    assert desk.told() == [(ANN, "unsubscribed", "bounced")]


def test_an_admins_unsubscribe_is_an_opt_out_but_not_the_persons(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("admin_unsubscribe", ANN)

    assert desk.observe_now(ANN) == {"opted_out": 1}
    assert opt_out_of(desk, ANN) == ("admin", "unsubscribed by a user in Mailchimp")
    assert desk.ledger_of(ANN)[0].who == "somebody in Mailchimp"
    desk.tell()
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def test_another_api_clients_unsubscribe_counts_like_an_admins(desk: Desk) -> None:
    desk.push(ANN)
    desk.set_status(ANN, "unsubscribed")
    desk.observe_now(ANN)
    assert opt_out_of(desk, ANN) == ("admin", "unsubscribed by a user in Mailchimp")


def test_our_own_unsubscribing_is_no_news_when_it_comes_back(desk: Desk) -> None:
    desk.push(ANN)
    desk.know(ANN, status="subscribed", opt_out=OptOut(desk.clock(), "pracbill", sent_to_pracbill=True))
    desk.set_status(ANN, "unsubscribed")
    desk.clock.move(seconds=5)
    desk.push(ANN, "unsubscribed", in_mailchimp=False)

    assert desk.observe_now(ANN) == {}
    assert opt_out_of(desk, ANN) == ("pracbill", "")
    assert (desk.ledger_of(ANN), desk.backlog()) == ([], [])


def test_our_own_unsubscribing_is_no_news_though_the_reason_for_it_was_not_noted(desk: Desk) -> None:
    desk.push(ANN)
    desk.push(ANN, "unsubscribed")
    assert desk.observe_now(ANN) == {}
    assert (desk.member(ANN).status, desk.member(ANN).opt_out) == ("unsubscribed", None)


def test_our_own_unsubscribing_is_recognised_though_we_died_before_noting_it(desk: Desk) -> None:
    desk.push(ANN)
    desk.know(ANN, status="subscribed", opt_out=OptOut(desk.clock(), "pracbill", sent_to_pracbill=True))
    desk.set_status(ANN, "unsubscribed")

    assert desk.observe_now(ANN) == {"status": 1}
    assert desk.member(ANN).status == "unsubscribed"
    assert (opt_out_of(desk, ANN), desk.rules_of(ANN)) == (("pracbill", ""), ["no-carried"])
    assert desk.backlog() == []


def test_what_may_also_have_been_an_admins_no_is_taken_back_only_by_a_yes_given_since(desk: Desk) -> None:
    """PracBill's no was on its way when somebody unsubscribed the member: us, or an admin who was faster."""
    desk.push(ANN)
    desk.know(ANN, status="subscribed", opt_out=OptOut(desk.clock(), "pracbill", sent_to_pracbill=True))
    desk.set_status(ANN, "unsubscribed")
    unsubscribed_at = desk.clock()
    desk.observe_now(ANN)
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None
    assert opt_out.at == unsubscribed_at


def test_our_carrying_of_an_opt_out_without_pracbills_no_is_no_admins_no_either(desk: Desk) -> None:
    no = OptOut(desk.clock(), "person", "unsubscribed in Mailchimp")
    desk.know(ANN, audience_id="another audience", opt_out=no)
    desk.push(ANN)
    desk.set_status(ANN, "unsubscribed")
    desk.push(ANN, "unsubscribed", in_mailchimp=False)

    assert desk.observe_now(ANN) == {}
    assert desk.member(ANN).opt_out == no


def test_a_persons_no_that_hides_behind_ours_is_heard(desk: Desk) -> None:
    """The person unsubscribed a moment before we carried out PracBill's no: PracBill alone may not take that back."""
    desk.push(ANN)
    desk.know(ANN, status="subscribed", opt_out=OptOut(desk.clock(), "pracbill", sent_to_pracbill=True))
    desk.act("unsubscribe", ANN)
    desk.push(ANN, "unsubscribed")

    assert desk.observe_now(ANN) == {"opted_out": 1}
    assert opt_out_of(desk, ANN) == ("person", "unsubscribed in Mailchimp")
    assert desk.observe_now(ANN) == {}


def test_members_who_opted_out_before_we_came_are_told_to_pracbill_as_well(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.join(ANN, status="unsubscribed", blocked="person")
    assert desk.observe_now(ANN) == {"opted_out": 1}
    assert desk.tell() == 1
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def test_opt_outs_of_people_pracbill_does_not_know_are_told_and_put_aside(desk: Desk) -> None:
    desk.join(ANN, status="unsubscribed", blocked="person")
    desk.observe_now(ANN)

    assert desk.tell() == 0
    assert desk.backlog() == []
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None
    assert not opt_out.sent_to_pracbill


# --------------------------------------------------------------------------------------------------------- whose yes


def test_who_unsubscribed_and_signs_up_again_takes_the_no_back(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.observe_now(ANN)
    desk.tell()
    desk.act("resubscribe", ANN)
    signed_up_at = desk.clock()

    assert desk.observe_now(ANN) == {"resubscribed": 1}

    assert desk.member(ANN).opt_out is None
    assert desk.member(ANN).status == "subscribed"
    assert (desk.ledger_of(ANN)[0].rule, desk.ledger_of(ANN)[0].at) == ("resubscribed-there", signed_up_at)
    assert desk.ledger_of(ANN)[0].who == "the person"
    desk.tell()
    assert desk.told()[-1] == (ANN, "subscribed", "subscribed again in Mailchimp")
    assert desk.consent_in_pracbill("1") == "subscribed"


def test_in_an_audience_with_double_opt_in_the_no_stands_until_the_sign_up_is_confirmed(desk: Desk) -> None:
    desk.select_new_audience(double_optin=True)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.observe_now(ANN)
    desk.act("resubscribe", ANN)

    assert desk.observe_now(ANN) == {"status": 1}
    assert opt_out_of(desk, ANN) is not None
    desk.act("confirm", ANN)
    assert desk.observe_now(ANN) == {"resubscribed": 1}
    assert opt_out_of(desk, ANN) is None


def test_a_confirmation_that_we_asked_for_takes_the_no_back_whoever_had_said_it(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("admin_unsubscribe", ANN)
    desk.observe_now(ANN)
    ask_again(desk, ANN)
    desk.act("confirm", ANN)

    assert desk.observe_now(ANN) == {"resubscribed": 1}
    assert opt_out_of(desk, ANN) is None


def test_a_no_that_came_after_our_asking_is_not_taken_back_by_the_answer(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("admin_unsubscribe", ANN)
    desk.observe_now(ANN)
    ask_again(desk, ANN)
    desk.know(ANN, opt_out=OptOut(desk.clock.move(minutes=1), "pracbill"))
    desk.act("confirm", ANN)

    assert desk.observe_now(ANN) == {"not_accepted": 1}
    assert opt_out_of(desk, ANN) == ("pracbill", "")


def test_an_admin_who_resubscribes_after_an_admins_no_takes_no_opt_out_back(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("admin_unsubscribe", ANN)
    desk.observe_now(ANN)
    desk.tell()
    desk.set_status(ANN, "subscribed")

    assert desk.observe_now(ANN) == {"not_accepted": 1}
    assert desk.member(ANN).status == "subscribed"
    assert opt_out_of(desk, ANN) == ("admin", "unsubscribed by a user in Mailchimp")
    assert desk.is_marked(ANN)
    assert desk.tell() == 0
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def test_subscribing_in_mailchimp_does_not_take_pracbills_no_back(desk: Desk) -> None:
    desk.know(ANN, status="subscribed", opt_out=OptOut(desk.clock(), "pracbill", sent_to_pracbill=True))
    desk.push(ANN, "unsubscribed")
    desk.set_status(ANN, "subscribed")

    assert desk.observe_now(ANN) == {"not_accepted": 1}
    assert opt_out_of(desk, ANN) == ("pracbill", "")
    assert desk.is_marked(ANN)


def test_subscribing_in_mailchimp_does_not_take_a_bounce_back(desk: Desk) -> None:
    desk.know(ANN, status="cleaned", status_at=desk.clock(), opt_out=OptOut(desk.clock(), "bounce", "bounced"))
    desk.clock.move(minutes=1)
    desk.join(ANN)
    assert desk.observe_now(ANN) == {"not_accepted": 1}
    assert opt_out_of(desk, ANN) == ("bounce", "bounced")


def test_a_yes_that_is_surely_later_than_pracbills_no_takes_both_back(desk: Desk) -> None:
    """Mailchimp tells when the person opted in."""
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.observe_now(ANN)
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None
    desk.know(ANN, opt_out=replace(opt_out, at=desk.clock.move(minutes=1)))
    desk.act("resubscribe", ANN)
    assert desk.observe_now(ANN) == {"resubscribed": 1}


def test_a_yes_that_may_be_older_than_pracbills_no_takes_nothing_back(desk: Desk) -> None:
    """The member changed after the no, but that may have been anything: a tag, a name."""
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.observe_now(ANN)
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None
    desk.act("resubscribe", ANN)
    desk.know(ANN, opt_out=replace(opt_out, at=desk.clock.move(minutes=1)))
    desk.act("admin_tag", ANN, "VIP")

    assert desk.observe_now(ANN) == {"not_accepted": 1}
    assert opt_out_of(desk, ANN) is not None


def test_a_no_said_in_another_audience_is_not_taken_back_by_being_subscribed_in_this_one(desk: Desk) -> None:
    no = OptOut(desk.clock(), "person", "unsubscribed in Mailchimp")
    desk.know(ANN, audience_id="another audience", status="unsubscribed", opt_out=no)
    desk.clock.move(minutes=1)
    desk.join(ANN)
    assert desk.observe_now(ANN) == {"not_accepted": 1}
    assert desk.member(ANN).opt_out == no


def test_after_our_carrying_of_an_opt_out_an_admin_cannot_take_it_back(desk: Desk) -> None:
    """Mailchimp blocks only who unsubscribed by themselves in this audience: here it was our API call."""
    no = OptOut(NOON - timedelta(days=1), "person", "unsubscribed in Mailchimp")
    desk.push(ANN)
    desk.know(ANN, status="subscribed", status_at=NOON, opt_out=no)
    desk.push(ANN, "unsubscribed")
    desk.know(ANN, status="unsubscribed", observed_at=desk.clock())
    desk.set_status(ANN, "subscribed")
    assert desk.observe_now(ANN) == {"not_accepted": 1}
    assert desk.member(ANN).opt_out == no


def test_who_was_archived_after_unsubscribing_can_still_come_back_by_themselves(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.observe_now(ANN)
    desk.act("admin_archive", ANN)
    desk.observe_now(ANN)
    assert opt_out_of(desk, ANN) is not None
    desk.act("resubscribe", ANN)
    assert desk.observe_now(ANN) == {"resubscribed": 1}


def test_who_was_deleted_for_good_can_come_back_by_themselves_only(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("admin_delete", ANN)
    desk.observe(gone(ANN, desk.clock(), desk.clock(), "pull"))
    assert opt_out_of(desk, ANN) == ("admin", "deleted in Mailchimp")
    desk.act("resubscribe", ANN)
    assert desk.observe_now(ANN) == {"resubscribed": 1}


def test_a_sign_up_without_any_known_no_changes_the_status_only(desk: Desk) -> None:
    desk.push(ANN, "transactional")
    desk.act("resubscribe", ANN)
    assert desk.observe_now(ANN) == {"status": 1}
    assert desk.member(ANN).status == "subscribed"
    assert desk.backlog() == []
    assert desk.rules_of(ANN) == ["subscribed-there"]


# ---------------------------------------------------------------------------------------- archive, first meeting, order


def test_a_contact_archived_by_somebody_is_no_opt_out_and_its_status_before_is_kept(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("admin_archive", ANN)

    assert desk.observe_now(ANN) == {"status": 1}
    member = desk.member(ANN)
    assert (member.status, member.before_archive, member.archived_by_us) == ("archived", "subscribed", False)
    assert (member.opt_out, desk.backlog(), desk.ledger_of(ANN)) == (None, [], [])


def test_our_own_archiving_stays_ours_when_it_comes_back(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("admin_archive", ANN)
    desk.know(ANN, status="subscribed", archived_by_us=True, before_archive="transactional")
    desk.observe_now(ANN)
    member = desk.member(ANN)
    assert (member.before_archive, member.archived_by_us) == ("transactional", True)


def test_who_was_restored_in_mailchimp_counts_as_archived_by_us_no_longer(desk: Desk) -> None:
    desk.know(ANN, status="archived", archived_by_us=True, before_archive="subscribed")
    desk.join(ANN)
    desk.observe_now(ANN)
    member = desk.member(ANN)
    assert (member.status, member.before_archive, member.archived_by_us) == ("subscribed", None, False)


def test_who_is_met_in_the_audience_before_any_push_of_ours_was_there_before_us(desk: Desk) -> None:
    desk.join(ANN)
    desk.observe_now(ANN)
    desk.push(BOB)
    desk.act("admin_archive", BOB)
    desk.observe_now(BOB)
    assert (desk.member(ANN).pre_existing, desk.member(BOB).pre_existing) == (True, False)


def test_who_was_there_before_us_stays_so_after_our_first_push(desk: Desk) -> None:
    desk.join(ANN)
    desk.observe_now(ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.observe_now(ANN)
    assert desk.member(ANN).pre_existing


def test_the_no_of_a_person_is_remembered_in_every_audience_their_status_in_one(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.observe_now(ANN)
    desk.select_new_audience()
    assert (desk.member(ANN).status, opt_out_of(desk, ANN)) == ("absent", ("person", "unsubscribed in Mailchimp"))


def test_an_older_state_never_undoes_a_newer_one(desk: Desk) -> None:
    desk.push(ANN)
    desk.know(ANN, status="subscribed", status_at=NOON - timedelta(days=1))
    desk.clock.move(minutes=1)
    before = desk.see(ANN)
    desk.act("unsubscribe", ANN)
    desk.observe_now(ANN)
    assert desk.observe(before) == {}
    assert desk.member(ANN).status == "unsubscribed"


def test_news_read_before_our_push_was_answered_does_not_hide_the_push(desk: Desk) -> None:
    desk.join(ANN)
    seen = desk.see(ANN)
    desk.clock.move(seconds=3)
    desk.push(ANN, "unsubscribed")
    desk.observe(seen)
    assert desk.member(ANN).status == "unsubscribed"


def test_hearing_the_same_again_writes_nothing(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    observation = desk.see(ANN)
    desk.observe(observation)
    desk.tell()
    stored = desk.everything_stored()
    assert desk.observe(observation, replace(observation, observed_at=desk.clock.move(hours=1))) == {}
    assert desk.everything_stored() == stored
    assert len(desk.ledger_of(ANN)) == 1


def test_one_change_heard_by_webhook_and_pull_is_one_entry_of_the_ledger(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    observation = desk.see(ANN)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(desk.observe, [observation, replace(observation, route="webhook")]))
    assert desk.rules_of(ANN) == ["unsubscribed-there"]
    assert desk.member(ANN).status == "unsubscribed"


def test_two_states_of_a_member_in_one_page_end_with_the_later(desk: Desk) -> None:
    desk.push(ANN)
    before = desk.see(ANN)
    desk.act("unsubscribe", ANN)
    after = desk.see(ANN)
    desk.observe(after, before)
    assert desk.member(ANN).status == "unsubscribed"


def test_many_members_at_once_are_all_known(desk: Desk) -> None:
    addresses = [f"person{number}@clinic.test" for number in range(1_010)]
    observation = [Observation(address, "subscribed", NOON, NOON, "pull", "subscribed-there") for address in addresses]
    desk.know(addresses[7], audience_id="another audience")
    assert desk.observe(*observation) == {"status": 1_010}
    known = desk.members.member_states(desk.department_id, [desk.key(address) for address in addresses])
    assert {member_states.member(desk.audience_id).status for member_states in known.values()} == {"subscribed"}
    assert len(known) == 1_010


def test_an_erased_address_is_not_heard_of(desk: Desk) -> None:
    desk.know(ANN, status="forgotten", erased=True)
    desk.join(ANN)
    assert desk.observe_now(ANN) == {}
    desk.act("unsubscribe", ANN)
    assert desk.observe_now(ANN) == {}
    assert ANN not in desk.everything_stored()
    assert (desk.ledger_of(ANN), desk.is_marked(ANN)) == ([], False)


def test_without_an_audience_nothing_is_heard(desk: Desk) -> None:
    desk.push(ANN)
    observation = desk.see(ANN)
    desk.change(audience=None)
    assert desk.observe(observation) == {}


# ------------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("code", ["compliance_state", "previously_unsubscribed"])
def test_a_refusal_for_compliance_tells_of_a_persons_opt_out(desk: Desk, code: str) -> None:
    desk.customer("1", ANN)
    operation = Operation("add", desk.key(ANN), ANN, "yes-absent", customer_id="1")
    desk.observations.refused(desk.department, operation, code, desk.clock())

    assert desk.member(ANN).status == "unsubscribed"
    assert opt_out_of(desk, ANN) == ("person", "compliance state")
    assert desk.rules_of(ANN) == [f"refused-{code}"]
    desk.tell()
    assert desk.told() == [(ANN, "unsubscribed", "compliance state")]


def test_a_refusal_of_a_deleted_address_is_remembered_as_such(desk: Desk) -> None:
    desk.customer("1", ANN)
    operation = Operation("add", desk.key(ANN), ANN, "yes-absent", customer_id="1")
    desk.observations.refused(desk.department, operation, "forgotten", desk.clock())

    assert desk.member(ANN).status == "forgotten"
    assert opt_out_of(desk, ANN) == ("admin", "deleted in Mailchimp")
    desk.tell()
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def test_a_repeated_refusal_changes_nothing(desk: Desk) -> None:
    operation = Operation("add", desk.key(ANN), ANN, "yes-absent")
    desk.observations.refused(desk.department, operation, "compliance_state", desk.clock())
    stored = desk.everything_stored()
    desk.observations.refused(desk.department, operation, "compliance_state", desk.clock.move(hours=4))
    assert desk.everything_stored() == stored


# ----------------------------------------------------------------------------------------------------- telling PracBill


def opted_out(desk: Desk, address: str, minutes: float = 0) -> OutboxEntry:
    at = NOON + timedelta(minutes=minutes)
    return OutboxEntry(desk.key(address), address, "unsubscribed", at, "mailchimp", "unsubscribed in Mailchimp")


def opted_in(desk: Desk, address: str, minutes: float = 0) -> OutboxEntry:
    return replace(opted_out(desk, address, minutes), status="subscribed")


def test_pracbill_is_told_in_calls_of_five_hundred(desk: Desk) -> None:
    desk.pracbill.call_counts.clear()
    for number in range(501):
        desk.members.keep_outbox_entry(desk.department_id, opted_out(desk, f"p{number}@clinic.test"))
    assert desk.tell() == 0
    assert desk.pracbill.call_counts["POST marketing-consent"] == 2
    assert len(desk.told()) == 501
    assert desk.backlog() == []


def test_what_pracbill_was_told_is_noted_with_the_opt_out(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.observe_now(ANN)
    desk.tell()
    opt_out = desk.member(ANN).opt_out
    assert opt_out is not None
    assert opt_out.sent_to_pracbill


def test_nothing_is_asked_of_pracbill_when_there_is_nothing_to_tell(desk: Desk) -> None:
    desk.pracbill.call_counts.clear()
    assert desk.tell() == 0
    assert desk.pracbill.call_counts == {}


def test_while_pracbill_is_down_its_words_wait(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.observe_now(ANN)
    desk.pracbill.inject("status", status=503)
    with pytest.raises(RetryLater):
        desk.tell()
    assert [word.email for word in desk.backlog()] == [ANN]
    assert desk.tell() == 1
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def test_a_word_that_pracbill_refuses_keeps_no_other_back_and_is_shown(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = [f"c{number}@clinic.test" for number in range(7)]
    for number, address in enumerate([*addresses, BOB]):
        desk.customer(str(number), address)
        desk.members.keep_outbox_entry(desk.department_id, opted_out(desk, address))
    write = PracBillClient.write_consent

    def picky(self: Any, department_id: str, changes: Any) -> Any:
        if any(change.email == BOB for change in changes):
            raise ConsentRefused(400)
        return write(self, department_id, changes)

    monkeypatch.setattr(PracBillClient, "write_consent", picky)
    assert desk.tell() == 7
    assert [word.email for word in desk.backlog()] == [BOB]
    backlog = desk.department.backlog
    assert backlog is not None and "1 consent change has been waiting to be sent to PracBill" in backlog.message
    assert "HTTP 400" in backlog.message
    monkeypatch.undo()
    assert desk.tell() == 1
    assert desk.department.backlog is None


def test_a_pracbill_that_refuses_every_word_is_not_asked_without_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        desk.members.keep_outbox_entry(desk.department_id, opted_out(desk, f"c{number}@clinic.test"))
    calls: list[int] = []

    def refuse(self: Any, department_id: str, changes: Any) -> Any:
        calls.append(len(changes))
        raise ConsentRefused(400)

    monkeypatch.setattr(PracBillClient, "write_consent", refuse)
    assert desk.tell() == 0
    assert len(calls) <= 30
    assert desk.department.backlog is not None and desk.department.backlog.count == 60


def test_an_answer_that_is_none_of_pracbills_loses_no_word(desk: Desk) -> None:
    desk.members.keep_outbox_entry(desk.department_id, opted_out(desk, ANN))
    desk.pracbill.inject("nonsense")
    with pytest.raises((RetryLater, StopRun)):
        desk.tell()
    assert [word.email for word in desk.backlog()] == [ANN]


def test_of_two_words_about_an_address_the_later_is_told(desk: Desk) -> None:
    words = [opted_in(desk, ANN, 2), opted_out(desk, ANN, 1), opted_out(desk, BOB, 1), opted_in(desk, BOB, 2)]
    for word in words:
        desk.members.keep_outbox_entry(desk.department_id, word)
    assert {word.email: word.status for word in desk.backlog()} == {ANN: "subscribed", BOB: "subscribed"}


def test_of_two_words_of_the_same_instant_the_no_is_told(desk: Desk) -> None:
    for word in [opted_in(desk, ANN), opted_out(desk, ANN), opted_out(desk, BOB), opted_in(desk, BOB)]:
        desk.members.keep_outbox_entry(desk.department_id, word)
    assert {word.status for word in desk.backlog()} == {"unsubscribed"}


def test_a_word_that_was_replaced_while_it_was_told_stays_for_the_next_time(desk: Desk) -> None:
    told, newer = opted_out(desk, ANN, 1), opted_in(desk, ANN, 2)
    desk.members.keep_outbox_entry(desk.department_id, newer)
    desk.members.drop_outbox_entry(desk.department_id, desk.key(ANN), told)
    assert desk.backlog() == [newer]


def test_a_customer_who_comes_later_is_told_of_as_well(desk: Desk) -> None:
    """PracBill did not know the address when the opt-out was heard."""
    desk.join(ANN, status="unsubscribed", blocked="person")
    desk.observe_now(ANN)
    desk.tell()
    desk.customer("1", ANN)
    state = desk.members.state(desk.department_id, desk.key(ANN), desk.audience_id)

    desk.outbox.add_opt_outs(desk.department, [state])
    assert desk.tell() == 1
    desk.customer("1", ANN, "unsubscribed")  # as the next plan reads it
    told = desk.members.state(desk.department_id, desk.key(ANN), desk.audience_id)
    desk.outbox.add_opt_outs(desk.department, [told])
    assert desk.backlog() == []


@pytest.mark.parametrize(
    ("consent", "owed"),
    [
        (None, True),
        ({"status": "subscribed", "changed_at": "2026-01-01T00:00:00Z"}, True),
        ({"status": "subscribed", "changed_at": "2099-01-01T00:00:00Z"}, False),
        ({"status": "subscribed", "changed_at": None}, False),
        ({"status": "unsubscribed", "changed_at": None}, False),
    ],
    ids=str,
)
def test_pracbill_hears_again_of_an_opt_out_when_it_enters_the_customer_anew(
    desk: Desk, consent: dict[str, Any] | None, owed: bool
) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.observe_now(ANN)
    desk.tell()
    state = desk.members.state(desk.department_id, desk.key(ANN), desk.audience_id)
    record = {"id": "2", "updated_at": "2099-01-01T00:00:00Z", "email": ANN, "marketing_consent": consent}
    anew = replace(state, address_customers=AddressCustomers((customer_from_json(record),)))
    desk.outbox.add_opt_outs(desk.department, [anew])
    assert [word.email for word in desk.backlog()] == ([ANN] if owed else [])


def test_pracbill_is_not_told_its_own_no(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.know(ANN, status="subscribed", opt_out=OptOut(NOON, "pracbill"))
    state = desk.members.state(desk.department_id, desk.key(ANN), desk.audience_id)
    desk.outbox.add_opt_outs(desk.department, [state])
    assert desk.backlog() == []


# ----------------------------------------------------------------------------------------------------- dying in between


class Killed(BaseException):
    """The function ends here."""


@pytest.mark.parametrize(
    "write", ["keep_outbox_entry", "flush", "add_consent_states", "change_consent_state", "append_all"]
)
def test_a_function_that_dies_at_any_write_loses_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    desk.customer("1", ANN)
    desk.join(OLD)
    desk.observe_now(OLD)
    desk.push(ANN)
    desk.push(BOB)
    for address in (ANN, BOB, OLD):
        desk.act("unsubscribe", address)
    observation = [desk.see(address) for address in (ANN, BOB, OLD)]

    def die(*args: Any, **options: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        target = {"append_all": desk.ledger, "flush": MemberBatch}.get(write, desk.members)
        patch.setattr(target, write, die)
        with pytest.raises(Killed):
            desk.observe(*observation)
    desk.observe(*observation)

    for address in (ANN, BOB, OLD):
        assert desk.member(address).status == "unsubscribed"
        assert desk.rules_of(address) == ["unsubscribed-there"]
        assert desk.is_marked(address)
    desk.tell()
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def test_a_function_that_dies_after_the_facet_has_left_word_and_mark_behind(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    observation = desk.see(ANN)
    change_consent_state = desk.members.change_consent_state

    def change_and_die(*args: Any, **options: Any) -> Any:
        change_consent_state(*args, **options)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(desk.members, "change_consent_state", change_and_die)
        with pytest.raises(Killed):
            desk.observe(observation)

    assert desk.observe(observation) == {}
    assert (desk.is_marked(ANN), desk.rules_of(ANN)) == (True, ["unsubscribed-there"])
    assert desk.tell() == 1


def test_a_plan_that_clears_the_mark_while_we_write_does_not_clear_the_one_for_the_new_state(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    change_consent_state = desk.members.change_consent_state

    def plan_meanwhile(*args: Any, **options: Any) -> Any:
        marks = dict(desk.members.marked(desk.department_id))[desk.key(ANN)]
        result = change_consent_state(*args, **options)
        batch = desk.members.batch(desk.department_id)
        for mark in marks:
            batch.unmark(mark)
        batch.flush()
        return result

    monkeypatch.setattr(desk.members, "change_consent_state", plan_meanwhile)
    desk.observe_now(ANN)
    assert desk.is_marked(ANN)
