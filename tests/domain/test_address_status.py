"""Where an address stands, and will stand after the plan."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.domain.address_status import REASONS, AddressStatus, address_status, address_status_after
from chalicelib.domain.consent.members import AddressCustomers, Member, OptOut, PushRefusal, Status
from chalicelib.domain.consent.rules import ConsentPolicy
from chalicelib.domain.customers import Customer
from chalicelib.domain.fieldmap import FieldMap
from chalicelib.domain.planning import Action, AddressState, Held, Operation, plan_address

NOW = datetime(2026, 3, 2, tzinfo=UTC)
FIELDS = FieldMap(("FNAME",), country="AU")


def state(status: Any, *consents: Any, **member: Any) -> AddressState:
    """An address with a customer for each consent."""
    customers = tuple(
        Customer(str(number), "2026-01-01T00:00:00Z", email="a@x.test", consent=word, consent_changed_at="2026-01-01")
        for number, word in enumerate(consents)
    )
    customer_count = AddressCustomers.of(customers) if customers else None
    return AddressState(Member("ab" * 16, "a@x.test", status=status, **member), customer_count)


def both(one: AddressState, **policy: Any) -> tuple[AddressStatus, AddressStatus]:
    decision = plan_address(one, policy=ConsentPolicy(**policy), fields=FIELDS, now=NOW)
    now = address_status(one, decision)
    return now, address_status_after(now, one, decision)


PUSHED = {"pushed_at": NOW, "pushed_status": "subscribed"}
NO = {"opt_out": OptOut(NOW, "person")}


@pytest.mark.parametrize(
    ("one", "now", "after", "is_reached"),
    [
        (state("absent", "subscribed"), ("absent", "not_yet"), ("subscribed", ""), True),
        (state("absent", None), ("absent", "not_yet"), ("transactional", "transactional"), False),
        (state("absent", "unsubscribed"), ("absent", "opted_out"), ("absent", "opted_out"), False),
        (state("subscribed", "subscribed"), ("subscribed", ""), ("subscribed", ""), True),
        (state("subscribed", "unsubscribed"), ("subscribed", ""), ("unsubscribed", "opted_out"), False),
        (state("transactional", None), ("transactional", "not_yet"), ("transactional", "transactional"), False),
        (state("transactional", "subscribed", **PUSHED), ("transactional", "not_yet"), ("subscribed", ""), True),
        (
            state("unsubscribed", "subscribed", **NO),
            ("unsubscribed", "opted_out"),
            ("unsubscribed", "opted_out"),
            False,
        ),
        (state("cleaned", "subscribed"), ("cleaned", "cleaned"), ("cleaned", "cleaned"), False),
        (state("subscribed"), ("subscribed", "foreign"), ("subscribed", "foreign"), False),
        (state("subscribed", **PUSHED), ("subscribed", "foreign"), ("archived", ""), False),
        (state("unsubscribed"), ("unsubscribed", ""), ("unsubscribed", ""), False),
    ],
)
def test_where_an_address_stands(
    one: AddressState, now: tuple[str, str], after: tuple[str, str], is_reached: bool
) -> None:
    found_now, found_after = both(one)
    assert (found_now.status, found_now.reason) == now
    assert (found_after.status, found_after.reason) == after
    assert found_now.is_reached is found_after.is_reached is is_reached
    assert found_now.customer_count == (len(one.address_customers.customers) if one.address_customers else 0)


def test_what_the_settings_leave_out_is_told() -> None:
    assert both(state("absent", None), unknown_consent="skip")[1] == AddressStatus("absent", "no_consent", False, 1)


def test_a_refused_address_is_refused_until_it_is_tried_again() -> None:
    one = state("absent", "subscribed")
    planned = plan_address(one, policy=ConsentPolicy(), fields=FIELDS, now=NOW)
    assert isinstance(planned, Operation)
    refusal = PushRefusal("fake_address", "looks fake", NOW, 1, planned.inputs)
    assert both(state("absent", "subscribed", refusal=refusal))[1].reason == "refused"


def test_a_member_who_moves_away_leaves_nothing_behind() -> None:
    old = state("subscribed", **PUSHED)
    rename = Operation("rename", "cd" * 16, "new@x.test", "address-renamed", status="subscribed")
    assert address_status_after(address_status(old, rename), old, rename) == AddressStatus("absent", "", False, 0)


def operation(action: Action, status: Status | None) -> Operation:
    return Operation(action, "ab" * 16, "a@x.test", "a-rule", status=status)


@pytest.mark.parametrize(
    ("one", "planned", "after"),
    [
        # An update changes no status, whatever it says.
        (state("transactional", None), operation("update", "subscribed"), ("transactional", "transactional")),
        (state("pending", None), operation("update", "subscribed"), ("pending", "pending")),
        (state("subscribed", None), operation("update", None), ("subscribed", "")),
        # Nor does what names none.
        (state("transactional", None), operation("subscribe", None), ("transactional", "transactional")),
        (state("archived", None, **NO), operation("update", None), ("archived", "not_yet")),
        # Of strangers only subscribed ones count.
        (state("absent"), operation("subscribe", "subscribed"), ("subscribed", "foreign")),
        (state("subscribed"), operation("unsubscribe", "unsubscribed"), ("unsubscribed", "")),
        (state("subscribed"), operation("archive", "subscribed"), ("archived", "")),
        (state("subscribed", None), operation("unsubscribe", "unsubscribed"), ("unsubscribed", "opted_out")),
        (state("absent", None), operation("add", "pending"), ("pending", "pending")),
    ],
)
def test_where_an_address_stands_after_an_operation(
    one: AddressState, planned: Operation, after: tuple[str, str]
) -> None:
    found = address_status_after(address_status(one, planned), one, planned)
    assert (found.status, found.reason) == after


@pytest.mark.parametrize(
    ("one", "code", "reason"),
    [
        (state("absent", "subscribed"), "opted_out", "opted_out"),
        (state("absent", "subscribed"), "compliance_state", "opted_out"),
        # A yes that is not believed hides the no that is known; where none is known, it is only early.
        (state("absent", "subscribed", **NO), "consent_in_future", "opted_out"),
        (state("absent", "subscribed"), "consent_in_future", "not_yet"),
        (state("transactional", "subscribed"), "consent_in_future", "transactional"),
        (state("pending", "subscribed"), "unknown_code", "pending"),
        (state("absent", "subscribed", **NO), "unknown_code", "not_yet"),
        (state("unsubscribed", "subscribed"), "no_consent", "opted_out"),
        (state("transactional", "subscribed"), "no_consent", "no_consent"),
        (
            state("absent", None, refusal=PushRefusal("fake_address", "looks fake", NOW, 1, "")),
            "unknown_code",
            "refused",
        ),
        (state("subscribed", None, **NO), "opted_out", ""),
    ],
)
def test_why_a_customer_who_is_held_does_not_count(one: AddressState, code: str, reason: str) -> None:
    held = Held("ab" * 16, "a@x.test", "1", code, "a-rule")
    found = address_status(one, held)
    assert found.reason == reason
    assert found.is_reached is (found.status == "subscribed")
    assert address_status_after(found, one, held) == found


def test_of_nobodys_address_nothing_is_to_be_known() -> None:
    nothing = AddressStatus("absent", "", is_reached=False, customer_count=0)
    assert address_status(state("absent"), Held("k", "", "", "", "nobody")) == nothing
    assert both(state("absent", "unsubscribed"))[0] != nothing


def test_every_reason_has_words() -> None:
    assert all(REASONS.values())
