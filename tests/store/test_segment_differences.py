"""Who enters and leaves, in one reading of real servers, against the pure engine."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.customers import customer_key
from chalicelib.domain.segments.filterable import Filterable
from chalicelib.domain.segments.rules import Rule, comparison, matches, only_first
from chalicelib.domain.segments.validation import check_rules
from chalicelib.store.customer_tags import CustomerTags
from chalicelib.store.segment_conditions import Condition, compile_differences, compile_selection
from chalicelib.store.segment_query import Difference
from tests.domain.messy_customers import ZONES, days, rule_lists
from tests.store.customers_table import TABLE, CustomersTable, Stored
from tests.store.test_segment_query import AGAINST_SERVERS, longest_rules, messy_partitions
from tests.store.test_segment_query import table as table

TODAY = date(2026, 7, 15)
VIC = (Rule("state", "equals", "VIC"),)


@AGAINST_SERVERS
@given(data=st.data(), today=days, zone=st.sampled_from(ZONES))
def test_the_database_agrees_with_the_pure_engine_about_differences(
    table: CustomersTable, data: st.DataObject, today: date, zone: ZoneInfo
) -> None:
    stored = data.draw(messy_partitions(today, zone))
    query = table.query(table.new_department(stored))
    drawn = data.draw(st.lists(rule_lists, min_size=2, max_size=6))
    # Two of the segments' ids are among those that the customers carry.
    segments = {key: check_rules(raw) for key, raw in zip(("ours", "other", "a", "b", "c", "d"), drawn, strict=False)}
    differs = {(one.customer_key, key) for one in query.differences(segments, today) for key in one.enters}
    leaves = {(one.customer_key, key) for one in query.differences(segments, today) for key in one.leaves}
    for key, rules in segments.items():
        matched = {each.id for each in stored if matches(rules, each.filterable, today)}
        tagged = {each.id for each in stored if key in each.in_segments}
        assert {one for one in differs if one[1] == key} == {(customer_key(i), key) for i in matched - tagged}, rules
        assert {one for one in leaves if one[1] == key} == {(customer_key(i), key) for i in tagged - matched}, rules
    for raw in drawn:
        rules, others = check_rules(raw), check_rules(data.draw(rule_lists))
        matched = {each.id for each in stored if matches(rules, each.filterable, today)}
        both = {each.id for each in stored if matches(others, each.filterable, today)}
        only = {one.customer_id for one in query.iterate(only_first(rules, others, today))}
        assert only == matched - both, (rules, others)


def test_customers_with_tags_are_found_with_all_of_them(table: CustomersTable) -> None:
    department = table.new_department(
        [
            Stored("1", Filterable(), "a1", ("s1", "s2")),
            Stored("2", Filterable(), "a2"),
            Stored("3", Filterable(), "", ("s1",)),
        ]
    )
    found = [(address, sorted(tags)) for address, tags in table.query(department).tagged(TODAY)]
    assert found == [("a1", ["s1", "s2"]), (None, ["s1"])]


def test_who_has_no_address_enters_like_everybody(table: CustomersTable) -> None:
    department = table.new_department([Stored("1", Filterable(state="vic"), "")])
    found = list(table.query(department, page_size=1).differences({"seg": VIC}, TODAY))
    assert found == [Difference(customer_key("1"), None, enters=("seg",))]


def test_one_customer_may_enter_some_segments_and_leave_others(table: CustomersTable) -> None:
    stored = [
        Stored("1", Filterable(state="vic"), "a1", ("gone", "kept")),
        Stored("2", Filterable(state="nsw"), "a2"),
    ]
    query = table.query(table.new_department(stored))
    gone, city = (Rule("state", "equals", "NSW"),), (Rule("city", "is_empty"),)
    found = list(query.differences({"new": VIC, "gone": gone, "kept": VIC, "city": city}, TODAY))
    assert found == [
        Difference(customer_key("1"), "a1", enters=("new", "city"), leaves=("gone",)),
        Difference(customer_key("2"), "a2", enters=("gone", "city")),
    ]


def test_what_mailchimp_passed_over_comes_with_the_difference(table: CustomersTable) -> None:
    department = table.new_department([Stored("1", Filterable(state="vic"), "a1")])
    tags = CustomerTags(table.client, TABLE)
    tags.change(department, mark={}, unmark={}, pass_over={customer_key("1"): {"seg", "other"}})
    (found,) = table.query(department).differences({"seg": VIC}, TODAY)
    assert found == Difference(customer_key("1"), "a1", enters=("seg",), passed_over=frozenset({"seg", "other"}))
    tags.change(department, mark={customer_key("1"): {"seg"}}, unmark={}, pass_over={})
    tags.change(department, mark={}, unmark={customer_key("1"): {"seg"}}, pass_over={})
    (found,) = table.query(department).differences({"seg": VIC}, TODAY)
    assert found.passed_over == {"other"}


def within_limits(condition: Condition) -> bool:
    words = condition.expression.replace("(", " ( ").split()
    operators = {"AND", "OR", "NOT", "=", "<>", "<", ">", "<=", ">="}
    functions = {"contains", "attribute_exists", "attribute_not_exists"}
    return len(condition.expression.encode()) < 4096 and sum(word in operators | functions for word in words) < 300


def test_the_longest_differences_stay_inside_the_databases_limits() -> None:
    for rules in longest_rules():
        assert within_limits(compile_selection(only_first(rules, rules, TODAY)))
        asked = {f"segment-{number:012}": [comparison(rule, TODAY) for rule in rules] for number in range(3)}
        compiled = list(compile_differences(asked))
        assert all(within_limits(condition) for condition, _ in compiled)
        assert [key for _, part in compiled for key in part] == list(asked)


def test_a_hundred_segments_of_two_rules_need_few_readings() -> None:
    two = [comparison(rule, TODAY) for rule in (*VIC, Rule("has_invoice_in_last_months", "is_not", 6))]
    compiled = list(compile_differences({f"s{number:015}": two for number in range(100)}))
    assert all(within_limits(condition) for condition, _ in compiled)
    # A rule with a date also asks whether the date could be read at all: eleven segments fit one reading, not twelve.
    assert len(compiled) <= 100 / 11


def test_the_database_takes_the_longest_differences(table: CustomersTable) -> None:
    query = table.query(table.new_department([Stored("1", Filterable(email="ann@clinic.test"))]))
    for rules in longest_rules():
        assert [one.leaves for one in query.differences({"a": rules, "b": VIC, "c": rules}, TODAY)] in (
            [],
            [()],
            [(), ()],
        )
        assert query.count(only_first(rules, VIC, TODAY)) in (0, 1)


def test_a_reading_full_of_segments_is_taken_by_the_database(table: CustomersTable) -> None:
    query = table.query(table.new_department([Stored("1", Filterable(state="vic"), "a1")]))
    segments = {f"s{number:015}": (*VIC, Rule("city", "does_not_contain", f"x{number}")) for number in range(40)}
    found = list(query.differences(segments, TODAY))
    assert sorted(key for one in found for key in one.enters) == sorted(segments)
