"""The segment engine against real servers: the emulator of the local stack and AWS's own DynamoDB Local.

The emulator never ends a page at 1 MB, so every question is also asked with pages of one and two customers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chalicelib.domain.customers import Customer, customer_key
from chalicelib.domain.segments.fields import FIELDS, LONGEST_VALUE, MOST_RULES
from chalicelib.domain.segments.filterable import Filterable, filterable
from chalicelib.domain.segments.rules import (
    Rule,
    Selection,
    carrying,
    entering,
    leaving,
    matches,
    matching,
    reachable,
)
from chalicelib.domain.segments.validation import check_rules
from chalicelib.store.customer_keys import item_key
from chalicelib.store.filterable_attributes import from_attributes
from chalicelib.store.segment_conditions import compile_selection
from chalicelib.store.segment_query import Found, RuleCounts, SegmentQuery
from tests import dynamodb_local
from tests.aws_emulator import emulator_running
from tests.domain.messy_customers import ZONES, customers, days, rule_lists, rules
from tests.store.customers_table import TABLE, CustomersTable, Stored, create_table

TODAY = date(2026, 7, 15)
VIC = (Rule("state", "equals", "VIC"),)
EVERYBODY = Selection(TODAY)
# More random examples than a test run wants, for a long look at night: SEGMENT_EXAMPLES=2000.
EXAMPLES = int(os.environ.get("SEGMENT_EXAMPLES", "10"))


@pytest.fixture(scope="module", params=["ministack", "dynamodb_local"])
def table(request: pytest.FixtureRequest) -> Iterator[CustomersTable]:
    if request.param == "ministack":
        with emulator_running() as endpoint:
            yield create_table(endpoint)
        return
    try:
        with dynamodb_local.running() as endpoint:
            yield create_table(endpoint)
    except dynamodb_local.Unavailable as reason:
        pytest.skip(str(reason))


def numbered(count: int, **attributes: Any) -> list[Stored]:
    return [Stored(str(number), Filterable(**attributes), f"address-{number}") for number in range(1, count + 1)]


def ids(found: Iterator[Found]) -> list[str]:
    return sorted((each.customer_id for each in found), key=customer_key)


# ------------------------------------------------------------------------------------- agreement with the pure engine


# A failing example is printed as it is: making it smaller would ask the servers for minutes.
AGAINST_SERVERS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


@AGAINST_SERVERS
@given(data=st.data(), today=days, zone=st.sampled_from(ZONES))
def test_the_database_agrees_with_the_pure_engine(
    table: CustomersTable, data: st.DataObject, today: date, zone: ZoneInfo
) -> None:
    stored = data.draw(messy_partitions(today, zone))
    query = table.query(table.new_department(stored))
    tagged = {each.id for each in stored if "ours" in each.in_segments}
    placed = {each.id for each in stored if each.address_key}
    for raw in data.draw(st.lists(rule_lists, min_size=4, max_size=8)):
        checked = check_rules(raw)
        matched = {each.id for each in stored if matches(checked, each.filterable, today)}
        assert query.count(matching(checked, today)) == len(matched), checked
        for selection, expected in [
            (matching(checked, today), matched),
            (entering(checked, today, "ours"), (matched - tagged) & placed),
            (leaving(checked, today, "ours"), tagged - matched),
        ]:
            found = set(ids(query.iterate(selection)))
            assert found == expected, (selection, [each for each in stored if each.id in found ^ expected])


@AGAINST_SERVERS
@given(data=st.data(), today=days, zone=st.sampled_from(ZONES))
def test_each_rule_alone_agrees_with_the_pure_engine(
    table: CustomersTable, data: st.DataObject, today: date, zone: ZoneInfo
) -> None:
    stored = data.draw(messy_partitions(today, zone))
    query = table.query(table.new_department(stored))
    checked = check_rules(data.draw(st.lists(rules(), min_size=MOST_RULES, max_size=MOST_RULES)))
    together = sum(matches(checked, each.filterable, today) for each in stored)
    alone = [sum(matches([rule], each.filterable, today) for each in stored) for rule in checked]
    assert query.count_each(checked, today) == RuleCounts(together, tuple(alone)), checked


@st.composite
def messy_partitions(draw: st.DrawFn, today: date, zone: ZoneInfo) -> list[Stored]:
    """Few dozens of customers, made of a few messy records each, so that one example asks much of the rules."""
    records = draw(st.lists(customers(today), min_size=6, max_size=10))
    random = draw(st.randoms(use_true_random=False))
    return [
        Stored(
            id=str(number) if number % 3 else f"c{number}",
            filterable=filterable(mixed(records, random), zone),
            address_key=random.choice(["", "here"]),
            in_segments=random.choice([(), ("ours",), ("other",), ("other", "ours"), ("ours2",)]),
        )
        for number in range(30)
    ]


def mixed(records: list[Customer], random: Any) -> Customer:
    """A customer whose every field is that of one of the records."""
    fields = {name: getattr(random.choice(records), name) for name in Customer.__dataclass_fields__}
    return Customer(**fields)


def test_what_is_stored_is_what_the_pure_engine_sees(table: CustomersTable) -> None:
    seen = Filterable(state="vic", postcode="0800", postcode_number=Decimal(800), balance=Decimal("0.10"))
    department = table.new_department([Stored("1", seen)])
    key = item_key(department, customer_key("1"))
    assert from_attributes(table.client.get_item(TableName=TABLE, Key=key)["Item"]) == seen


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("starts_with", "3", ["1", "2"]),
        ("starts_with", "30", ["1"]),
        ("does_not_start_with", "3", ["3", "4", "5"]),
    ],
)
def test_the_database_finds_texts_by_their_beginning(
    table: CustomersTable, operator: str, value: str, expected: list[str]
) -> None:
    codes = {"1": "3000", "2": "3999", "3": "2300", "4": None, "5": "03"}
    stored = [Stored(number, Filterable(postcode=code)) for number, code in codes.items()]
    query = table.query(table.new_department(stored))
    assert ids(query.iterate(matching((Rule("postcode", operator, value),), TODAY))) == expected


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("equals", "0", ["1", "4"]),
        ("does_not_equal", "0", ["2", "3"]),
        ("equals", "1", ["2"]),
        ("does_not_equal", "1", ["1", "3", "4"]),
        ("contains", "0", ["1", "4"]),
        ("does_not_start_with", "0", ["2", "3"]),
        ("less_than", "1", ["1"]),
        ("greater_than", "0", ["2"]),
        ("is_empty", None, ["4"]),
        ("is_not_empty", None, ["1", "2", "3"]),
    ],
)
def test_the_database_takes_customers_without_the_mark_for_active(
    table: CustomersTable, operator: str, value: str | None, expected: list[str]
) -> None:
    marks = {"1": "0", "2": "1", "3": "yes", "4": ""}
    stored = [
        Stored(number, filterable(Customer(number, "2026-01-01T00:00:00Z", inactive=mark), ZONES[0]), "", ("seg",))
        for number, mark in marks.items()
    ]
    query = table.query(table.new_department(stored))
    rules = (Rule("inactive", operator, value),)
    assert ids(query.iterate(matching(rules, TODAY))) == expected
    assert ids(query.iterate(leaving(rules, TODAY, "seg"))) == sorted({*marks} - {*expected})


@pytest.mark.parametrize("operator", ["is", "is_not"])
def test_the_database_finds_nobody_by_what_cannot_be_read(table: CustomersTable, operator: str) -> None:
    balances = {"1": "1250.00", "2": "1,250.00", "3": "", "4": "50", "5": "$5"}
    stored = [
        Stored(
            number,
            filterable(Customer(number, "2026-01-01T00:00:00Z", balance=balance), ZONES[0]),
            f"a{number}",
            ("seg",) if number in "25" else (),
        )
        for number, balance in balances.items()
    ]
    query = table.query(table.new_department(stored))
    rules = (Rule("balance_greater_than", operator, 100),)
    expected = ["1"] if operator == "is" else ["3", "4"]
    assert ids(query.iterate(matching(rules, TODAY))) == expected
    assert ids(query.iterate(leaving(rules, TODAY, "seg"))) == ["2", "5"]
    differing = {found.customer_key: found for found in query.differences({"seg": rules}, TODAY)}
    assert {key for key, found in differing.items() if found.leaves} == {customer_key("2"), customer_key("5")}
    assert {key for key, found in differing.items() if found.enters} == {customer_key(number) for number in expected}
    assert query.unreadable() == {"balance": (2, "2")}


def test_balances_keep_38_digits_in_the_database(table: CustomersTable) -> None:
    most = Decimal("9" * 37 + ".9")
    department = table.new_department([Stored("1", Filterable(balance=most)), Stored("2", Filterable(balance=-most))])
    query = table.query(department)
    assert query.count(matching((Rule("balance_greater_than", "is", "9" * 20),), TODAY)) == 1
    assert query.count(matching((Rule("balance_greater_than", "is", "-" + "9" * 20),), TODAY)) == 1


# ----------------------------------------------------------------------------------------------- pages and buckets


@pytest.mark.parametrize("page_size", [1, 2, None])
def test_every_customer_is_found_once_whatever_the_pages(table: CustomersTable, page_size: int | None) -> None:
    query = table.query(table.new_department(numbered(70, state="vic")), page_size=page_size)
    assert query.count(matching(VIC, TODAY)) == 70
    assert ids(query.iterate(matching(VIC, TODAY))) == [str(number) for number in range(1, 71)]
    assert [sample.id for sample in query.first(matching(VIC, TODAY), 5)] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("page_size", [1, 2])
def test_a_page_without_a_match_is_not_the_end(table: CustomersTable, page_size: int) -> None:
    stored = [Stored(str(number), Filterable(state="vic" if number in (6, 11) else "nsw")) for number in range(12)]
    query = table.query(table.new_department(stored), page_size=page_size)
    assert query.count(matching(VIC, TODAY)) == 2
    assert [sample.id for sample in query.first(matching(VIC, TODAY), 10)] == ["6", "11"]
    assert ids(query.iterate(matching(VIC, TODAY))) == ["6", "11"]


def test_the_first_ones_are_first_by_key_though_buckets_are_read_side_by_side(table: CustomersTable) -> None:
    stored = [Stored(str(number), Filterable(state="vic" if number % 5 == 0 else None)) for number in range(1, 61)]
    query = table.query(table.new_department(stored), page_size=2)
    expected = [str(number) for number in range(5, 61, 5)]
    for limit in (1, 3, 4, 7, 12, 50):
        assert [sample.id for sample in query.first(matching(VIC, TODAY), limit)] == expected[:limit]


def test_other_departments_are_not_seen(table: CustomersTable) -> None:
    table.new_department(numbered(3, state="vic"))
    query = table.query(table.new_department(numbered(2, state="vic")))
    assert query.count(EVERYBODY) == 2
    assert len(list(query.iterate(EVERYBODY))) == 2
    assert len(query.first(EVERYBODY, 9)) == 2


def test_a_department_without_customers_has_nobody(table: CustomersTable) -> None:
    query = table.query("nobody-here")
    assert query.count(EVERYBODY) == 0
    assert query.first(EVERYBODY, 10) == ()
    assert list(query.iterate(EVERYBODY)) == []


def test_a_reader_may_stop_early(table: CustomersTable) -> None:
    query = table.query(table.new_department(numbered(9)), page_size=1)
    reading = query.iterate(EVERYBODY)
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert query.count(EVERYBODY) == 9


def test_an_error_of_the_database_reaches_the_caller(table: CustomersTable) -> None:
    query = SegmentQuery(table.client, "no-such-table", "d")
    for ask in (lambda: query.count(EVERYBODY), lambda: list(query.iterate(EVERYBODY))):
        with pytest.raises(table.client.exceptions.ResourceNotFoundException):
            ask()


# --------------------------------------------------------------------------------------------- what can be asked


def test_differences_are_who_enters_and_who_leaves(table: CustomersTable) -> None:
    stored = [
        Stored("1", Filterable(state="vic"), "a1", ("seg",)),
        Stored("2", Filterable(state="vic"), "a2", ("other",)),
        Stored("3", Filterable(state="vic"), "", ()),
        Stored("4", Filterable(state="nsw"), "a4", ("other", "seg")),
        Stored("5", Filterable(), "a5", ("seg",)),
        Stored("6", Filterable(state="nsw"), "a6", ()),
    ]
    query = table.query(table.new_department(stored))
    assert list(query.iterate(entering(VIC, TODAY, "seg"))) == [Found(customer_key("2"), "2", "a2")]
    assert ids(query.iterate(leaving(VIC, TODAY, "seg"))) == ["4", "5"]
    assert ids(query.iterate(carrying(TODAY, "seg"))) == ["1", "4", "5"]
    assert list(query.iterate(Selection(TODAY, VIC, outside="seg")))[-1].customer_id in ("2", "3")
    assert query.counts([matching(VIC, TODAY), reachable(VIC, TODAY), EVERYBODY]) == (3, 2, 6)


def test_a_customer_without_an_address_is_found_without_one(table: CustomersTable) -> None:
    query = table.query(table.new_department([Stored("1", Filterable(state="vic"), "")]))
    assert list(query.iterate(matching(VIC, TODAY))) == [Found(customer_key("1"), "1", None)]


def test_rules_are_counted_together_and_alone_even_when_one_is_repeated(table: CustomersTable) -> None:
    stored = [Stored(str(number), Filterable(state="vic", city="x" if number > 2 else None)) for number in range(5)]
    query = table.query(table.new_department(stored))
    city = Rule("city", "is_not_empty")
    assert query.count_each((*VIC, city, *VIC), TODAY) == RuleCounts(2, (5, 2, 5))
    assert query.count_each(VIC, TODAY) == RuleCounts(5, (5,))


def test_samples_show_customers_as_pracbill_wrote_them(table: CustomersTable) -> None:
    customer = Customer("7", "2026-01-01T00:00:00Z", email="Jo@Example.com", company_name="ACME", first_name="Jo")
    department = table.new_department([Stored("7", filterable(customer, ZONES[0]), customer=customer)])
    (sample,) = table.query(department).first(EVERYBODY, 10)
    assert (sample.id, sample.email, sample.company_name) == ("7", "Jo@Example.com", "ACME")
    assert (sample.first_name, sample.last_name) == ("Jo", "")


# -------------------------------------------------------------------------------------------- the database's limits


def longest_rules() -> list[tuple[Rule, ...]]:
    """For each field and operator the most rules with the longest value, and a mixture of the longest operator."""
    values: dict[str, str | int | None] = {"text": "ΐ" * LONGEST_VALUE, "whole_number": 1, "none": None}
    shapes = [
        Rule(field.name, operator, values.get(value_type, "-" + "9" * 20))
        for field in FIELDS.values()
        for operator, value_type in field.operators.items()
    ]
    mixed_fields = [rule for rule in shapes if rule.operator == "does_not_contain"] * 3
    return [*((rule,) * MOST_RULES for rule in shapes), tuple(mixed_fields[:MOST_RULES])]


def test_twenty_rules_of_any_kind_stay_inside_the_databases_limits() -> None:
    for checked in longest_rules():
        for selection in (
            Selection(TODAY, checked, inside="i" * 36, outside="o" * 36, with_address=True),
            Selection(TODAY, checked, holds=False, inside="i" * 36, outside="o" * 36, with_address=True),
        ):
            condition = compile_selection(selection)
            words = condition.expression.replace("(", " ( ").split()
            operators = {"AND", "OR", "NOT", "=", "<>", "<", ">", "<=", ">="}
            functions = {"contains", "begins_with", "attribute_exists", "attribute_not_exists"}
            assert len(condition.expression.encode()) < 2_000
            assert sum(word in operators | functions for word in words) <= 150
            assert len(str(condition.values).encode()) < 100_000


def test_the_database_takes_the_longest_rules(table: CustomersTable) -> None:
    query = table.query(table.new_department(numbered(3)))
    for checked in longest_rules():
        assert query.count(matching(checked, TODAY)) in (0, 3)
        assert query.count(leaving(checked, TODAY, "seg")) == 0
        assert query.count(entering(checked, TODAY, "seg")) in (0, 3)
