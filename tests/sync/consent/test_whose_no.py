"""Whose word a no was: it goes along with the customer who said it, and with nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sync.engine import Practice

pytest_plugins = ("tests.sync.engine_fixtures",)

SHARED, NEW, CAT = "shared@clinic.test", "new@clinic.test", "cat@clinic.test"


def said(word: str, year: int) -> dict[str, Any]:
    return {"status": word, "changed_at": f"{year}-05-01T10:00:00Z"}


def consent_of(practice: Practice, customer_id: str) -> str | None:
    record = practice.engine.pracbill.customer(customer_id, department_id=practice.id)
    assert record is not None
    status: str | None = (record.get("marketing_consent") or {}).get("status")
    return status


@pytest.fixture
def shared(practice: Practice) -> Practice:
    """Ann (no, 2024) and Bob (yes, 2025) share an address; Cat has her own, agreed and is subscribed."""
    practice.customer("ann", SHARED, marketing_consent=said("unsubscribed", 2024))
    practice.customer("bob", SHARED, marketing_consent=said("subscribed", 2025))
    practice.customer("cat", CAT, marketing_consent=said("subscribed", 2023))
    practice.sync("full")
    assert practice.audience() == {CAT: "subscribed"}
    return practice


@pytest.mark.parametrize("run_type", ["incremental", "full"])
def test_the_no_of_one_customer_does_not_travel_with_another(shared: Practice, run_type: Any) -> None:
    shared.edit("bob", email=CAT)
    shared.sync(run_type)
    shared.sync("full")
    assert shared.audience() == {CAT: "subscribed"}
    assert shared.known(CAT).opt_out is None
    assert [entry.rule for entry in shared.ledger(CAT) if entry.rule == "no-moved-along"] == []
    assert shared.known(SHARED).opt_out is not None


def test_the_other_customer_is_subscribed_at_an_address_of_its_own(shared: Practice) -> None:
    shared.edit("bob", email=NEW)
    shared.sync()
    assert shared.audience() == {CAT: "subscribed", NEW: "subscribed"}


@pytest.mark.parametrize(("given", "becomes"), [(2025, {SHARED: "subscribed"}), (2023, {})])
def test_the_no_of_a_customer_who_is_removed_ends_with_a_later_yes_of_who_shared_the_address(
    shared: Practice, given: int, becomes: dict[str, str]
) -> None:
    shared.edit("bob", marketing_consent=said("subscribed", given))
    shared.sync()
    assert shared.audience() == {CAT: "subscribed"}
    shared.remove("ann")
    shared.sync()
    assert shared.audience() == {CAT: "subscribed"} | becomes


def test_the_no_of_a_customer_whose_record_falls_silent_travels_with_it(shared: Practice) -> None:
    shared.edit("ann", email=CAT, marketing_consent=None)
    shared.sync()
    assert shared.audience() == {CAT: "unsubscribed", SHARED: "subscribed"}  # where only Bob is left
    no = shared.known(CAT).opt_out
    assert no is not None
    assert (no.route, no.customers) == ("pracbill", ("ann",))
    entry = next(entry for entry in shared.ledger(CAT) if entry.rule == "no-moved-along")
    assert (entry.who, entry.at.year) == ("PracBill", 2024)


def test_a_no_that_came_along_does_not_travel_on_with_somebody_else(shared: Practice) -> None:
    shared.edit("ann", email=CAT, marketing_consent=None)
    shared.sync()
    shared.edit("cat", email=NEW)
    shared.sync()
    assert shared.audience()[NEW] == "subscribed"
    assert shared.audience()[CAT] == "unsubscribed"


def test_those_who_stay_are_not_bound_by_what_one_of_them_says_elsewhere(practice: Practice) -> None:
    practice.customer("bob", SHARED)
    practice.customer("dan", SHARED)
    practice.sync("full")
    practice.edit("bob", email=NEW, marketing_consent=said("unsubscribed", 2026))
    practice.sync()
    assert practice.audience() == {SHARED: "subscribed"}


def test_a_no_said_in_mailchimp_travels_with_whoever_reads_the_mailbox(practice: Practice) -> None:
    practice.customer("bob", SHARED)
    practice.sync("full")
    practice.act("unsubscribe", SHARED)
    practice.edit("bob", email=NEW)
    practice.sync()
    assert NEW not in practice.audience()
    no = practice.known(NEW).opt_out
    assert no is not None
    assert (no.route, no.customers) == ("person", ("bob",))
    assert [entry.who for entry in practice.ledger(NEW) if entry.rule == "no-moved-along"] == ["the person"]
    practice.sync()
    assert consent_of(practice, "bob") == "unsubscribed"


def test_pracbill_is_not_told_of_one_customers_no_for_everybody_at_the_new_address(practice: Practice) -> None:
    practice.customer("bob", SHARED)
    practice.customer("cat", NEW)
    practice.sync("full")
    practice.act("unsubscribe", SHARED)
    practice.edit("bob", email=NEW)
    run = practice.sync()
    practice.sync("full")
    assert practice.audience()[NEW] == "unsubscribed"
    assert consent_of(practice, "cat") == "subscribed"
    assert run.counts["unsubscribe"] == 1


def test_the_no_of_a_customer_who_may_have_been_entered_anew_travels_with_who_moves_alone(practice: Practice) -> None:
    practice.customer("ann", SHARED, marketing_consent=said("unsubscribed", 2025))
    practice.sync("full")
    practice.remove("ann")
    practice.customer("ann again", SHARED, consent=None)
    practice.sync()
    practice.edit("ann again", email=NEW)
    practice.sync()
    assert practice.audience() == {}


def test_a_no_said_to_pracbill_follows_the_only_customer_to_the_address_it_has_in_mailchimp(practice: Practice) -> None:
    practice.customer("ann", SHARED)
    practice.customer("cat", NEW, consent=None)
    practice.change_policy(unknown_consent="skip")
    practice.sync("full")
    practice.act("change_address", SHARED, NEW)
    practice.sync("full")
    practice.edit("ann", marketing_consent=said("unsubscribed", 2026))
    practice.sync()
    practice.sync()
    assert practice.audience() == {NEW: "unsubscribed"}


def test_a_no_said_in_mailchimp_after_somebody_had_left_the_address_is_not_theirs(practice: Practice) -> None:
    practice.customer("bob", SHARED)
    practice.customer("dan", SHARED)
    practice.sync("full")
    practice.edit("bob", email=NEW)
    practice.sync()
    practice.act("unsubscribe", SHARED)
    practice.sync("full")
    assert practice.audience() == {SHARED: "unsubscribed", NEW: "subscribed"}


def test_a_customers_no_stays_when_another_ones_contact_changes_its_address_in_mailchimp(practice: Practice) -> None:
    practice.customer("ann", SHARED)
    practice.customer("bob", SHARED)
    practice.customer("cat", NEW, consent=None)
    practice.change_policy(unknown_consent="skip")
    practice.sync("full")
    practice.act("change_address", SHARED, NEW)
    practice.sync("full")
    practice.edit("ann", marketing_consent=said("unsubscribed", 2026))
    practice.sync()
    practice.sync()
    assert practice.audience() == {NEW: "subscribed"}
