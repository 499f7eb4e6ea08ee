"""The words of what was done and of what was held back."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from chalicelib.domain.consent.members import SPAM_REPORT, OptOut, OptOutRoute
from chalicelib.domain.hold_reasons import _ACTIONS, _RULES, HELD, explanation, reason
from chalicelib.domain.planning import Action
from tests.domain.consent.test_rules import rules_of_the_table

LATE = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
MELBOURNE = ZoneInfo("Australia/Melbourne")


@pytest.mark.parametrize("code", ["opted_out", "compliance_state"])
@pytest.mark.parametrize(
    ("route", "why", "who"),
    [
        ("person", "", "the person unsubscribed"),
        ("person", SPAM_REPORT, "the person reported a campaign as spam"),
        ("admin", "", "a user unsubscribed this contact"),
    ],
)
def test_who_unsubscribed_in_mailchimp_is_told_with_the_day_and_the_way_out(
    code: str, route: OptOutRoute, why: str, who: str
) -> None:
    told = explanation(code, no=OptOut(LATE, route, why), zone=MELBOURNE)
    assert told.cause == (
        f"Compliance state: {who} in Mailchimp on 2026-03-02, so the address cannot be added again without the "
        "person's own consent."
    )
    assert told.fix == HELD["compliance_state"].fix


@pytest.mark.parametrize("no", [None, OptOut(LATE, "pracbill"), OptOut(LATE, "bounce")])
def test_a_no_that_was_not_said_in_mailchimp_is_pracbills(no: OptOut | None) -> None:
    assert explanation("opted_out", no=no, zone=MELBOURNE) == HELD["opted_out"]


def test_another_reason_is_told_whoever_unsubscribed() -> None:
    assert explanation("erased", no=OptOut(LATE, "person")) == HELD["erased"]
    assert explanation("looks_fake", "No such thing", no=OptOut(LATE, "person")).cause == (
        "Invalid email: Mailchimp considers the e-mail address fake or mistyped. Mailchimp says: No such thing."
    )


def test_what_was_done_has_a_reason_by_its_rule_or_its_action() -> None:
    assert reason("add", "unknown-add-transactional").startswith("No consent is recorded")
    assert reason("add", "anything") == "The address was not in the audience."
    assert reason("none", "anything") == ""


def test_a_reason_by_rule_is_of_a_rule_that_there_is() -> None:
    """A name that was mistyped would fall back to the action's reason, and nobody see it."""
    assert set(_RULES) <= set(rules_of_the_table())
    for rule, action in product(_RULES, get_args(Action)):
        assert reason(action, rule) == _RULES[rule]


@pytest.mark.parametrize(
    ("action", "rule", "words"),
    [
        ("add", "yes-absent", "PracBill has this customer's consent"),
        ("add", "consent-given-again", "has taken its own opt-out back"),
        ("add", "unknown-add-transactional", "campaigns do not reach it"),
        ("add", "unknown-add-subscribed", "the settings say to subscribe"),
        ("unsubscribe", "opt-out-carried", "An opt-out is known"),
        ("unsubscribe", "removed-opt-out-carried", "An opt-out is known"),
        ("update", "archived-restored", "is back in PracBill"),
    ],
)
def test_where_the_actions_reason_would_be_untrue_or_too_little_the_rule_has_its_own(
    action: Action, rule: str, words: str
) -> None:
    """Without its own, a rule falls back to the action's."""
    assert words in reason(action, rule)
    assert words not in reason(action, "anything")


def test_every_action_has_a_reason_of_its_own() -> None:
    reasons = [reason(action, "anything") for action in get_args(Action)]
    assert all(reasons) and len(set(reasons)) == len(reasons)
    assert set(_ACTIONS) == set(get_args(Action))


def test_every_reason_explains_itself_completely() -> None:
    for code, told in HELD.items():
        assert told.cause.endswith(".") and told.fix.endswith("."), code
        assert explanation(code) == told


def test_a_refusal_is_explained_with_its_field() -> None:
    told = explanation("merge_field_invalid", "Odd", field="PHONE")
    assert "the phone number (PHONE)" in told.cause and "Mailchimp says: Odd" in told.cause
    assert "the phone number (PHONE)" in told.fix


@pytest.mark.parametrize(("why", "who"), [("", "person"), (SPAM_REPORT, "spam")])
def test_the_parts_of_the_explanation_are_told_apart_from_its_words(why: str, who: str) -> None:
    for zone, day in ((UTC, "2026-03-01"), (MELBOURNE, "2026-03-02")):
        told = explanation("opted_out", no=OptOut(LATE, "person", why), zone=zone)
        assert told.params == {"who": who, "date": day}
    assert explanation("opted_out", no=OptOut(LATE, "admin")).params["date"] == "2026-03-01"


def test_a_no_that_came_along_names_the_customer_who_said_it() -> None:
    told = explanation("compliance_state", no=OptOut(LATE, "person", customers=("42",)), zone=MELBOURNE)
    assert told.cause.startswith("Compliance state: the person of customer 42 unsubscribed in Mailchimp on ")


def test_a_refusal_of_mailchimps_names_the_field_and_its_own_words() -> None:
    told = explanation("merge_field_invalid", "Please enter a number.", field="COMPANY")
    assert told.params == {"field": "COMPANY", "said": "Please enter a number"}
    assert explanation("plan_full").params == {}
