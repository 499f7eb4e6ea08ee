"""One reading that answers everything, against a second reading of the documentation."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.customers import Address, Customer, customer_key
from chalicelib.domain.segments.evaluation import Group, PreviewCounts, RuleSet, rule_sets
from chalicelib.domain.segments.fields import MOST_RULES
from chalicelib.domain.segments.filterable import (
    Filterable,
    Sample,
    filterable,
    filterable_from_document,
    filterable_to_document,
)
from chalicelib.domain.segments.rules import Rule
from chalicelib.domain.segments.validation import check_rules
from tests.domain.messy_customers import ZONES, customers, days, rule_lists, rules
from tests.domain.segments.rule_oracle import found_by, found_by_all
from tests.examples import examples

TODAY = date(2026, 7, 15)
# More random examples than a test run wants, for a long look at night: SEGMENT_EXAMPLES=20000.
EXAMPLES = examples(int(os.environ.get("SEGMENT_EXAMPLES", "60")))


@dataclass(frozen=True)
class Stored:
    """A customer as a reading finds it: its filterable form was packed and unpacked."""

    customer: Customer
    zone: ZoneInfo
    is_reached: bool = True

    @property
    def customer_key(self) -> str:
        return customer_key(self.customer.id)

    @property
    def filterable(self) -> Filterable:
        return filterable_from_document(filterable_to_document(filterable(self.customer, self.zone)))

    @property
    def sample(self) -> Sample:
        return Sample(self.customer.id)


_ids = st.lists(st.integers(1, 300).map(str), min_size=1, max_size=12, unique=True)
_as_many_rules_as_may_be = st.lists(rules(), min_size=MOST_RULES, max_size=MOST_RULES)


@st.composite
def departments(draw: st.DrawFn, today: date, zone: ZoneInfo) -> list[Stored]:
    """Up to a dozen messy customers, with ids in no order."""
    ids = draw(_ids)
    return [Stored(draw(customers(today, one)), zone, draw(st.booleans())) for one in ids]


@EXAMPLES
@given(data=st.data(), today=days, zone=st.sampled_from(ZONES))
def test_one_reading_tells_what_the_documentation_promises(data: st.DataObject, today: date, zone: ZoneInfo) -> None:
    stored = data.draw(departments(today, zone))
    asked, present = check_rules(data.draw(rule_lists)), check_rules(data.draw(rule_lists))
    counts = PreviewCounts(asked, today, instead_of=present, per_rule=True, sample_size=3)
    for one in stored:
        counts.add(one, lambda one=one: one.is_reached)  # type: ignore[misc]
    matched = {one.customer.id for one in stored if found_by_all(asked, one.customer, zone, today)}
    before = {one.customer.id for one in stored if found_by_all(present, one.customer, zone, today)}
    assert counts.total == len(stored)
    assert counts.reachable == sum(one.is_reached for one in stored if one.customer.id in matched)
    assert counts.alone == [sum(found_by(rule, one.customer, zone, today) for one in stored) for rule in asked]
    for group, expected in (
        (counts.matching, matched),
        (counts.entering, matched - before),
        (counts.leaving, before - matched),
    ):
        assert group.count == len(expected), (asked, present)
        assert [sample.id for sample in group.first] == sorted(expected, key=customer_key)[:3]


@EXAMPLES
@given(data=st.data(), today=days, zone=st.sampled_from(ZONES))
def test_twenty_rules_of_any_kind_find_whom_the_documentation_says(
    data: st.DataObject, today: date, zone: ZoneInfo
) -> None:
    customer = data.draw(customers(today))
    asked = check_rules(data.draw(_as_many_rules_as_may_be))
    expected = [found_by(rule, customer, zone, today) for rule in asked]
    assert RuleSet.of(asked, today).each(Stored(customer, zone).filterable) == expected, asked


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [("starts_with", "3", "12"), ("starts_with", "30", "1"), ("does_not_start_with", "3", "345")],
)
def test_texts_are_found_by_their_beginning(operator: str, value: str, expected: str) -> None:
    codes = {"1": "3000", "2": "3999", "3": "2300", "4": None, "5": "03"}
    wanted = RuleSet.of([Rule("postcode", operator, value)], TODAY)
    assert "".join(one for one, code in codes.items() if wanted.matches(Filterable(postcode=code))) == expected


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("equals", "0", "14"),
        ("does_not_equal", "0", "23"),
        ("equals", "1", "2"),
        ("does_not_equal", "1", "134"),
        ("contains", "0", "14"),
        ("does_not_start_with", "0", "23"),
        ("less_than", "1", "1"),
        ("greater_than", "0", "2"),
        ("is_empty", None, "4"),
        ("is_not_empty", None, "123"),
    ],
)
def test_customers_without_the_mark_are_active(operator: str, value: str | None, expected: str) -> None:
    marks = {"1": "0", "2": "1", "3": "yes", "4": None}
    wanted = RuleSet.of([Rule("inactive", operator, value)], TODAY)
    assert "".join(one for one, mark in marks.items() if wanted.matches(Filterable(inactive=mark))) == expected


@pytest.mark.parametrize(("operator", "expected"), [("is", "1"), ("is_not", "34")])
def test_nobody_is_found_by_what_cannot_be_read(operator: str, expected: str) -> None:
    balances = {"1": "1250.00", "2": "1,250.00", "3": "", "4": "50", "5": "$5"}
    wanted = RuleSet.of([Rule("balance_greater_than", operator, 100)], TODAY)
    stored = {
        one: Stored(Customer(one, "2026-01-01T00:00:00Z", balance=text), ZONES[0]) for one, text in balances.items()
    }
    assert "".join(one for one, kept in stored.items() if wanted.matches(kept.filterable)) == expected


def test_balances_keep_38_digits() -> None:
    most = Decimal("9" * 37 + ".9")
    for balance, expected in ((most, [True, True]), (-most, [False, False])):
        kept = filterable_from_document(filterable_to_document(Filterable(balance=balance)))
        asked = [Rule("balance_greater_than", "is", sign + "9" * 20) for sign in ("", "-")]
        assert RuleSet.of(asked, TODAY).each(kept) == expected


def test_a_repeated_rule_is_counted_each_time() -> None:
    vic, city = Rule("state", "equals", "VIC"), Rule("city", "is_not_empty")
    counts = PreviewCounts((vic, city, vic), TODAY, per_rule=True, sample_size=1)
    for number in range(5):
        address = Address(state="VIC", city="x" if number > 2 else "")
        counts.add(Stored(Customer(str(number), "2026-01-01T00:00:00Z", address=address), ZONES[0]), lambda: False)
    assert (counts.matching.count, counts.alone, counts.reachable) == (2, [5, 2, 5], 0)


def test_rules_are_counted_alone_and_compared_only_where_that_is_asked_for() -> None:
    counts = PreviewCounts((Rule("state", "equals", "VIC"),), TODAY, sample_size=1)
    counts.add(Stored(Customer("1", "2026-01-01T00:00:00Z", address=Address(state="VIC")), ZONES[0]), lambda: True)
    assert (counts.alone, counts.matching.count, counts.entering.count, counts.leaving.count) == ([], 1, 0, 0)


def test_the_rules_of_several_segments_are_those_of_each_on_the_same_day() -> None:
    state, recent = (Rule("state", "equals", "VIC"),), (Rule("created_in_last_days", "is", 30),)
    sets = rule_sets({"one": state, "two": recent}, TODAY)
    assert sets == {"one": RuleSet.of(state, TODAY), "two": RuleSet.of(recent, TODAY)}


def test_a_group_keeps_the_first_by_their_keys_whatever_the_order() -> None:
    group = Group(3)
    for number in (12, 3, 100, 7, 11, 2):
        group.add(Stored(Customer(str(number), "2026-01-01T00:00:00Z"), ZONES[0]))
    assert group.count == 6
    assert [sample.id for sample in group.first] == ["2", "3", "7"]


def test_a_group_without_room_only_counts() -> None:
    group = Group(0)
    group.add(Stored(Customer("1", "2026-01-01T00:00:00Z"), ZONES[0]))
    assert (group.count, group.first) == (1, ())
