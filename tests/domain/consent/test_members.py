"""What is known of an address: which of the two states counts, and who speaks for customers who share it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.consent.members import (
    AddressCustomers,
    ConsentState,
    DeliveryState,
    Member,
    OptOut,
    PushRefusal,
    merge,
    with_values_held,
)
from chalicelib.domain.customers import Customer
from chalicelib.domain.fieldmap import LeftOut

HERE, ELSEWHERE = "a1", "a2"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
NO = OptOut(NOON, "person")


def known(consent_state: ConsentState | None = None, push: DeliveryState | None = None) -> Member:
    return merge("key", "a@clinic.test", HERE, consent_state, push)


def customer(id: str = "1", updated_at: str = "2026-03-01T00:00:00Z", **fields: Any) -> Customer:
    return Customer(id=id, updated_at=updated_at, **fields)


def test_an_address_of_which_nothing_is_known_is_absent() -> None:
    assert known() == Member("key", "a@clinic.test")


def test_what_we_pushed_after_the_last_observation_is_the_status() -> None:
    member = known(ConsentState(HERE, "subscribed", observed_at=NOON), DeliveryState(HERE, "unsubscribed", LATER))
    assert (member.status, member.pushed_status) == ("unsubscribed", "unsubscribed")


@pytest.mark.parametrize("pushed_at", [NOON, NOON - timedelta(minutes=1)])
def test_what_was_observed_after_the_push_or_at_the_same_instant_is_the_status(pushed_at: datetime) -> None:
    member = known(
        ConsentState(HERE, "unsubscribed", observed_at=NOON, opt_out=NO), DeliveryState(HERE, "subscribed", pushed_at)
    )
    assert (member.status, member.pushed_status, member.opt_out) == ("unsubscribed", "subscribed", NO)


def test_a_push_never_makes_an_opt_out_forgotten() -> None:
    member = known(
        ConsentState(HERE, "unsubscribed", observed_at=NOON, opt_out=NO), DeliveryState(HERE, "subscribed", LATER)
    )
    assert (member.status, member.opt_out) == ("subscribed", NO)


def test_of_another_audience_only_the_persons_words_count() -> None:
    consent_state = ConsentState(ELSEWHERE, "subscribed", NOON, NOON, NO, "subscribed", True, True, NOON, False)
    member = known(consent_state, DeliveryState(ELSEWHERE, "subscribed", LATER, owner="7", sent="print"))
    assert (member.status, member.opt_out, member.asked_at, member.has_consent_state) == ("absent", NO, NOON, True)
    assert (member.before_archive, member.archived_by_us, member.pre_existing) == (None, False, False)
    assert (member.sent, member.owner, member.pushed_at) == ("", "", None)


def test_all_that_is_known_here_comes_from_the_state_to_which_it_belongs() -> None:
    of_consent: dict[str, Any] = {
        "status": "archived",
        "status_at": NOON,
        "opt_out": NO,
        "before_archive": "pending",
        "archived_by_us": True,
        "pre_existing": True,
        "asked_at": NOON,
        "erased": True,
        "contact_id": "c1",
        "successor_key": "next",
        "spelling": "a@müller.test",
    }
    of_delivery: dict[str, Any] = {
        "sent": "print",
        "held": "held",
        "left_out": (LeftOut("PHONE", "us_phone"),),
        "owner": "7",
        "pushed_at": NOON,
        "refusal": PushRefusal("unknown", "words", NOON, 1, "inputs"),
    }
    state = ConsentState(audience_id=HERE, observed_at=LATER, no_seen_at=NOON, **of_consent)
    push = DeliveryState(audience_id=HERE, status="subscribed", rule="yes-absent", contact_id="c0", **of_delivery)
    assert known(state, push) == Member(
        "key", "a@clinic.test", pushed_status="subscribed", has_consent_state=True, **of_consent, **of_delivery
    )


def test_who_was_pushed_to_since_has_no_successor() -> None:
    moved = ConsentState(HERE, "forgotten", observed_at=NOON, successor_key="next")
    assert known(moved, DeliveryState(HERE, "subscribed", NOON)).successor_key == "next"
    assert known(moved, DeliveryState(HERE, "subscribed", LATER)).successor_key == ""


@pytest.mark.parametrize(
    ("observed", "pushed", "pushed_at", "contact"),
    [
        ("c1", "c2", LATER, "c2"),
        ("c1", "", LATER, "c1"),
        ("c1", "c2", NOON, "c1"),
        ("", "c2", NOON, "c2"),
        ("", "c2", None, ""),  # it was only ever refused: of whom that was is not known
        ("c1", "c2", None, "c1"),
    ],
)
def test_the_contact_is_the_one_that_the_newer_state_names(
    observed: str, pushed: str, pushed_at: datetime | None, contact: str
) -> None:
    state = ConsentState(HERE, "subscribed", observed_at=NOON, contact_id=observed)
    assert known(state, DeliveryState(HERE, "subscribed", pushed_at, contact_id=pushed)).contact_id == contact


# ------------------------------------------------------------------------------------- what Mailchimp holds by now

LEFT_OUT = (LeftOut("PHONE", "value_refused"),)
SENT = DeliveryState(HERE, "subscribed", NOON, sent="ours", held="theirs", left_out=LEFT_OUT)


@pytest.mark.parametrize("retry_refused", [True, False])
@pytest.mark.parametrize("asked_at", [NOON, LATER])
def test_values_that_were_changed_in_mailchimp_take_the_place_of_what_was_sent(
    asked_at: datetime, retry_refused: bool
) -> None:
    held = with_values_held(SENT, "changed", asked_at, retry_refused=retry_refused)
    assert held == replace(SENT, sent="changed", held="changed", left_out=())


def test_values_in_mailchimps_own_form_are_still_ours() -> None:
    assert with_values_held(SENT, "theirs", LATER) == SENT
    assert with_values_held(replace(SENT, held=""), "ours", LATER) == replace(SENT, held="")
    assert with_values_held(SENT, "ours", LATER).held == "ours"


def test_what_was_refused_is_sent_again_only_when_that_is_wanted() -> None:
    again = with_values_held(SENT, "theirs", LATER, retry_refused=True)
    assert again == replace(SENT, sent="theirs", left_out=())
    whole = replace(SENT, left_out=())
    assert with_values_held(whole, "theirs", LATER, retry_refused=True) == whole


def test_what_was_read_before_the_push_or_of_who_was_sent_nothing_counts_for_nothing() -> None:
    assert with_values_held(SENT, "changed", NOON - timedelta(seconds=1)) == SENT
    nothing = replace(SENT, sent="", held="")
    assert with_values_held(nothing, "changed", LATER) == nothing
    undated = replace(SENT, pushed_at=None)
    assert with_values_held(undated, "changed", LATER).held == "changed"


def test_erasure_is_known_in_every_audience() -> None:
    assert known(ConsentState(ELSEWHERE, erased=True)).erased


def test_a_refused_address_was_never_pushed() -> None:
    refusal = PushRefusal("invalid_email", "", NOON, 1, "inputs")
    member = known(None, DeliveryState(HERE, "absent", None, refusal=refusal))
    assert (member.status, member.refusal, member.is_ours) == ("absent", refusal, False)


def test_only_members_that_we_put_there_are_ours() -> None:
    pushed = DeliveryState(HERE, "subscribed", LATER)
    assert known(None, pushed).is_ours
    assert not known(ConsentState(HERE, "subscribed", pre_existing=True), pushed).is_ours
    assert not known(ConsentState(HERE, "subscribed")).is_ours


def test_the_primary_customer_is_active_then_newest_then_of_the_higher_id_in_whatever_order_they_are_read() -> None:
    active_old = customer("1", "2026-01-01T00:00:00Z")
    active_new = customer("2", "2026-02-01T00:00:00+11:00", inactive="0")
    same_time = customer("3", "2026-01-31T13:00:00Z")
    inactive_newest = customer("4", "2026-03-01T00:00:00Z", inactive="1")
    nonsense = customer("5", "yesterday")
    everybody = (active_old, active_new, same_time, inactive_newest, nonsense)
    expected = (same_time, active_new, active_old, nonsense, inactive_newest)
    assert {AddressCustomers.of(order).customers for order in permutations(everybody)} == {expected}


def test_of_two_customers_too_the_order_of_reading_does_not_count() -> None:
    older, newer = customer("1", "2026-01-01T00:00:00Z"), customer("2", "2026-02-01T00:00:00Z")
    for order in permutations((older, newer)):
        assert AddressCustomers.of(order).primary == newer


@pytest.mark.parametrize(
    ("words", "strictest"),
    [
        (("subscribed",), "subscribed"),
        (("subscribed", "subscribed"), "subscribed"),
        (("subscribed", None), None),
        ((None, None), None),
        (("subscribed", None, "unsubscribed"), "unsubscribed"),
    ],
)
def test_the_strictest_consent_counts(words: tuple[Any, ...], strictest: Any) -> None:
    for order in permutations(words):
        address_customers = AddressCustomers.of(tuple(customer(str(i), consent=word) for i, word in enumerate(order)))
        assert address_customers.consent == strictest


def test_refusers_are_the_customers_with_a_no() -> None:
    words: Any = ("unsubscribed", None, "subscribed", "unsubscribed")
    everybody = AddressCustomers.of(tuple(customer(str(i), consent=word) for i, word in enumerate(words)))
    assert sorted(everybody.refusers) == ["0", "3"]
    assert sorted(everybody.ids) == ["0", "1", "2", "3"]


def agreed(word: Any, *times: str) -> AddressCustomers:
    return AddressCustomers.of(tuple(customer(str(i), consent=word, consent_changed_at=t) for i, t in enumerate(times)))


def test_a_shared_yes_counts_from_the_earliest_and_a_shared_no_from_the_latest() -> None:
    early, late = "2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z"
    assert agreed("subscribed", late, early).consent_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert agreed("unsubscribed", late, early).consent_at == datetime(2026, 2, 2, tzinfo=UTC)


def test_the_time_of_a_no_is_that_of_who_said_it() -> None:
    """A later yes of another customer would make the no look newer than a yes that was given in between."""
    no = customer("1", consent="unsubscribed", consent_changed_at="2026-02-01T00:00:00Z")
    yes = customer("2", consent="subscribed", consent_changed_at="2026-02-09T00:00:00Z")
    silent = customer("3", "2026-02-20T00:00:00Z")
    assert AddressCustomers.of((no, yes, silent)).consent_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert AddressCustomers.of((yes, silent)).consent_at is None


def test_a_yes_without_a_time_leaves_the_shared_yes_without_one() -> None:
    assert agreed("subscribed", "2026-02-01T00:00:00Z", "").consent_at is None
    assert agreed("subscribed", "last week").consent_at is None


def test_a_no_without_a_time_was_said_when_its_record_last_changed_at_the_latest() -> None:
    assert agreed("unsubscribed", "2026-02-01T00:00:00Z", "").consent_at == datetime(2026, 3, 1, tzinfo=UTC)
    silent = AddressCustomers.of((customer("1", "yesterday", consent="unsubscribed"),))
    assert silent.consent_at is None


@given(st.lists(st.tuples(st.sampled_from(["subscribed", "unsubscribed", None]), st.datetimes(timezones=st.just(UTC)))))
def test_no_sharer_can_make_another_ones_no_undone(words: list[tuple[Any, datetime]]) -> None:
    refuser = customer("0", consent="unsubscribed", consent_changed_at="2026-02-01T00:00:00Z")
    others = (customer(f"{i + 1}", consent=w, consent_changed_at=t.isoformat()) for i, (w, t) in enumerate(words))
    address_customers = AddressCustomers.of((refuser, *others))
    assert address_customers.consent == "unsubscribed"
    assert address_customers.consent_at is not None
    assert address_customers.consent_at >= datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize("given", ["2026-03-02T20:00:00", "2026-03-02", "20260302T200000", "evening", ""])
def test_a_yes_without_an_offset_has_no_time_to_beat_a_no_with(given: str) -> None:
    """Eight in the evening may be meant in Melbourne, eleven hours before it is so in UTC."""
    assert AddressCustomers.of((customer(consent="subscribed", consent_changed_at=given),)).consent_at is None


def test_a_no_without_an_offset_was_said_at_the_latest_when_its_record_changed() -> None:
    no = customer(updated_at="2026-03-02T12:00:00Z", consent="unsubscribed", consent_changed_at="2026-03-02T08:00:00")
    assert AddressCustomers.of((no,)).consent_at == NOON
