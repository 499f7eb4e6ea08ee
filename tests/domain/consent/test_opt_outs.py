"""Which opt-out is remembered, and what a plan comes across: PracBill's own, and those that go along with a move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.consent.members import AddressCustomers, Member, OptOut, OptOutRoute
from chalicelib.domain.consent.opt_outs import (
    newest_opt_out,
    no_along_a_move,
    no_of_a_contact,
    pracbill_opt_out,
)
from chalicelib.domain.customers import Customer
from chalicelib.domain.planning import AddressState, Arrival

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
BEFORE, AFTER = NOON - timedelta(hours=1), NOON + timedelta(hours=1)


def said(route: OptOutRoute, at: datetime = BEFORE, *customers: str, reason: str = "") -> OptOut:
    return OptOut(at, route, reason, customers=customers)


def refuser(id: str, at: datetime | None = BEFORE) -> Customer:
    """A customer whose no PracBill has; without a time even of its record there is none."""
    changed = at.isoformat() if at else ""
    return Customer(id=id, updated_at="", consent="unsubscribed", consent_changed_at=changed)


def state(no: OptOut | None, *customers: Customer, key: str = "here", **fields: Any) -> AddressState:
    member = Member(key, f"{key}@clinic.test", opt_out=no, erased=fields.pop("erased", False))
    return AddressState(member, AddressCustomers.of(customers) if customers else None, **fields)


def agreed(id: str) -> Customer:
    return Customer(id=id, updated_at="", consent="subscribed", consent_changed_at=BEFORE.isoformat())


# ---------------------------------------------------------------------------------------------- which one is kept


def test_the_first_one_known_is_kept_as_it_was_said() -> None:
    assert newest_opt_out(None, said("admin", BEFORE, "7", reason="why")) == said("admin", BEFORE, "7", reason="why")


@pytest.mark.parametrize(
    ("earlier", "later", "kept"),
    [
        ("admin", "person", "person"),
        ("person", "admin", "admin"),
        ("pracbill", "person", "person"),
        ("pracbill", "pracbill", "pracbill"),
        # PracBill may take back only a no of its own.
        ("person", "pracbill", "person"),
        ("bounce", "pracbill", "bounce"),
    ],
)
def test_the_latest_is_kept_whichever_was_heard_first(
    earlier: OptOutRoute, later: OptOutRoute, kept: OptOutRoute
) -> None:
    one, other = said(earlier, BEFORE, "1", reason="one"), said(later, AFTER, "2", reason="other")
    expected = said(kept, AFTER, "1", "2", reason="other" if kept == later else "one")
    assert newest_opt_out(one, other) == newest_opt_out(other, one) == expected


def test_of_two_at_the_same_time_the_one_known_stays() -> None:
    assert newest_opt_out(said("admin", NOON), said("person", NOON)).route == "admin"


@pytest.mark.parametrize(
    ("one", "other", "names"),
    [
        (said("pracbill", BEFORE, "2"), said("pracbill", AFTER, "1"), ("1", "2")),
        (said("pracbill", BEFORE), said("pracbill", AFTER, "1"), ("1",)),
        (said("person", BEFORE, "3"), said("pracbill", AFTER, "1"), ("1", "3")),
        # The word of whoever reads the mailbox names nobody.
        (said("person", BEFORE), said("pracbill", AFTER, "1"), ()),
        (said("pracbill", BEFORE, "1"), said("bounce", AFTER), ()),
    ],
)
def test_whose_word_two_noes_are(one: OptOut, other: OptOut, names: tuple[str, ...]) -> None:
    assert newest_opt_out(one, other).customers == names
    assert newest_opt_out(other, one).customers == names


# ------------------------------------------------------------------------------------------------- PracBill's own


def new_no(known: AddressState) -> OptOut | None:
    return pracbill_opt_out(known, NOON)


def pracbills(at: datetime, *customers: str) -> OptOut:
    return OptOut(at, "pracbill", sent_to_pracbill=True, customers=customers)


def test_pracbills_no_is_new_where_none_is_known() -> None:
    assert new_no(state(None, refuser("2"), refuser("1"))) == pracbills(BEFORE, "1", "2")


def test_there_is_none_without_customers_without_a_no_or_for_who_was_erased() -> None:
    assert new_no(state(None)) is None
    assert new_no(state(None, agreed("1"))) is None
    assert new_no(state(None, refuser("1"), erased=True)) is None


@pytest.mark.parametrize("known", [NOON, BEFORE])
def test_a_no_that_is_known_or_older_is_not_new(known: datetime) -> None:
    assert new_no(state(said("pracbill", known, "1"), refuser("1"))) is None
    assert new_no(state(said("person", known), refuser("1"))) is None


def test_a_later_no_is_new_and_so_is_one_of_another_customer() -> None:
    earlier = BEFORE - timedelta(hours=1)
    assert new_no(state(said("pracbill", earlier, "1"), refuser("1"))) == pracbills(BEFORE, "1")
    assert new_no(state(said("person", earlier), refuser("1"))) == pracbills(BEFORE, "1")
    assert new_no(state(said("pracbill", NOON, "1"), refuser("1"), refuser("2"))) == pracbills(BEFORE, "1", "2")
    assert new_no(state(said("pracbill", NOON, "1", "2"), refuser("1"))) is None


def test_a_no_without_a_time_takes_that_of_the_known_one_else_of_now() -> None:
    assert new_no(state(None, refuser("1", None))) == pracbills(NOON, "1")
    assert new_no(state(said("pracbill", BEFORE, "1"), refuser("1", None))) is None
    assert new_no(state(said("person", BEFORE), refuser("1", None))) is None
    assert new_no(state(said("pracbill", BEFORE, "2"), refuser("1", None))) == pracbills(BEFORE, "1")


def test_a_no_from_the_future_is_one_of_now() -> None:
    """It would outlive every yes until then."""
    assert new_no(state(None, refuser("1", AFTER))) == pracbills(NOON, "1")
    assert new_no(state(said("pracbill", BEFORE, "1"), refuser("1", AFTER))) == pracbills(NOON, "1")


# ----------------------------------------------------------------------------------------------- along with a move


def moved(
    no: OptOut | None, *arrivals: Arrival, at_new: OptOut | None = None, left: tuple[Customer, ...] = (), **new: Any
) -> OptOut | None:
    """What goes to the new address of customer 1, who came from `old`, where `no` is known and `left` stay."""
    customers = new.pop("customers", (agreed("1"),))
    came = arrivals or (Arrival("1", "old"),)
    return no_along_a_move(state(at_new, *customers, arrivals=came, **new), state(no, *left, key="old"), NOON)


def back(no: OptOut | None, *arrivals: Arrival, at_old: OptOut | None = None, here: Any = ()) -> OptOut | None:
    """What goes to the old address, of whose customers one has gone to `new`, where `no` is known."""
    new = state(no, agreed("1"), key="new", arrivals=arrivals or (Arrival("1", "here"),))
    return no_along_a_move(state(at_old, *here), new, NOON)


def test_a_no_in_mailchimp_goes_along_and_names_who_moved() -> None:
    assert moved(said("person")) == said("person", BEFORE, "1")
    both = (Arrival("2", "old"), Arrival("1", "old"))
    assert moved(said("admin"), *both) == said("admin", BEFORE, "1", "2")


def test_what_goes_along_is_joined_with_what_is_known_there() -> None:
    assert moved(said("person"), at_new=said("admin", NOON, "9")) == said("admin", NOON, "1", "9")
    assert moved(said("person"), at_new=said("person", BEFORE, "1")) is None


def test_nothing_goes_along_where_there_is_no_no_or_it_belongs_to_the_address() -> None:
    assert moved(None) is None
    assert moved(said("bounce")) is None
    assert moved(said("person"), erased=True) is None
    assert moved(said("person"), Arrival("1", "elsewhere")) is None


def test_the_no_that_a_plan_reads_in_pracbill_goes_along_too() -> None:
    assert moved(None, left=(refuser("1"),)) == OptOut(BEFORE, "pracbill", sent_to_pracbill=True, customers=("1",))
    later = moved(said("pracbill", BEFORE - timedelta(hours=1), "1"), left=(refuser("1"),))
    assert later == OptOut(BEFORE, "pracbill", sent_to_pracbill=True, customers=("1",))


def test_a_no_in_mailchimp_that_pracbill_repeats_goes_along_as_the_persons_own() -> None:
    earlier = said("person", BEFORE - timedelta(hours=1))
    assert moved(earlier, left=(refuser("4"),)) == said("person", BEFORE, "1")


def test_a_no_in_pracbill_of_nobody_knows_whom_is_none_of_who_moved_where_others_stay() -> None:
    assert moved(said("pracbill"), left=(agreed("4"),)) is None
    assert moved(said("pracbill")) == said("pracbill", BEFORE, "1")


def test_a_no_in_pracbill_goes_along_with_who_said_it_alone() -> None:
    no = said("pracbill", BEFORE, "1", "2")
    assert moved(no) == said("pracbill", BEFORE, "1")
    assert moved(no, Arrival("3", "old"), left=(agreed("4"),), customers=(agreed("3"),)) is None


def test_where_nobody_else_is_concerned_the_doubt_counts_against_mailing() -> None:
    """Who said it is no customer of the old address any more, or was entered anew."""
    no = said("pracbill", BEFORE, "9")
    assert moved(no) == said("pracbill", BEFORE, "1")
    assert moved(no, left=(agreed("4"),)) is None
    assert moved(no, customers=(agreed("1"), agreed("4"))) is None
    assert moved(no, customers=()) is None


@pytest.mark.parametrize(
    ("left_at", "stays", "goes"),
    [
        (None, True, True),
        (AFTER, True, True),
        (BEFORE, True, True),  # gone in the very moment
        (BEFORE - timedelta(seconds=1), True, False),  # others had the mailbox by then
        (BEFORE - timedelta(seconds=1), False, True),
    ],
)
def test_who_had_left_the_mailbox_did_not_say_what_was_said_there(
    left_at: datetime | None, stays: bool, goes: bool
) -> None:
    left = (agreed("4"),) if stays else ()
    told = moved(said("person"), Arrival("1", "old", left_at), left=left)
    assert told == (said("person", BEFORE, "1") if goes else None)


def test_of_two_who_moved_only_the_one_who_still_read_the_mailbox_said_it() -> None:
    early, late = Arrival("1", "old", BEFORE - timedelta(hours=1)), Arrival("2", "old", AFTER)
    assert moved(said("person"), early, late, left=(agreed("4"),)) == said("person", BEFORE, "2")


def test_a_no_at_the_new_address_comes_back_to_an_old_one_that_nobody_has() -> None:
    assert back(said("person")) == said("person", BEFORE, "1")
    assert back(said("person"), Arrival("1", "elsewhere")) is None
    assert back(said("person"), here=(agreed("2"),)) is None


# ------------------------------------------------------------------------------------- along with a contact's rename


@pytest.mark.parametrize(
    ("no", "at_old", "at_new", "goes"),
    [
        (None, (), (), False),
        (said("bounce"), (), (), False),
        (said("person"), ("1", "2"), ("3",), True),  # whoever reads the mailbox
        (said("pracbill", BEFORE, "1"), ("1", "2"), (), True),  # nobody has the new address
        (said("pracbill", BEFORE, "1"), ("1",), ("3",), True),  # nobody else has the old one
        (said("pracbill", BEFORE, "1"), (), ("3",), True),
        (said("pracbill", BEFORE, "1"), ("1", "2"), ("1", "3"), True),  # its speaker has the new one
        (said("pracbill", BEFORE, "1"), ("1", "2"), ("3",), False),
    ],
)
def test_a_no_goes_along_with_a_contact_where_it_may_be_the_contacts(
    no: OptOut | None, at_old: tuple[str, ...], at_new: tuple[str, ...], goes: bool
) -> None:
    old, new = (state(None, *map(agreed, ids)) for ids in (at_old, at_new))
    assert no_of_a_contact(no, old, new) == (no if goes else None)
