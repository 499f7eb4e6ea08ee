"""Who enters and leaves, in one reading of real servers, against the pure engine."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.customers import customer_key
from chalicelib.domain.filterable import Filterable
from chalicelib.domain.segment_rules import check_rules
from chalicelib.domain.segments import Rule, differing, matches, only_first
from chalicelib.store.segment_conditions import compile_selection
from chalicelib.store.segment_query import Found
from tests.domain.messy_customers import ZONES, days, rule_lists
from tests.store.customers_table import CustomersTable, Stored
from tests.store.test_segment_query import AGAINST_SERVERS, longest_rules, messy_partitions, points_of
from tests.store.test_segment_query import table as table

TODAY = date(2026, 7, 15)
VIC = (Rule("state", "equals", "VIC"),)


@AGAINST_SERVERS
@given(data=st.data(), today=days, zone=st.sampled_from(ZONES))
def test_the_database_agrees_with_the_pure_engine_about_differences(
    table: CustomersTable, data: st.DataObject, today: date, zone: ZoneInfo
) -> None:
    stored = data.draw(messy_partitions(today, zone))
    query = table.query(table.new_department(stored), split_points=data.draw(points_of(stored)))
    for raw in data.draw(st.lists(rule_lists, min_size=2, max_size=4)):
        rules, others = check_rules(raw), check_rules(data.draw(rule_lists))
        matched = {each.id for each in stored if matches(rules, each.filterable, today)}
        tagged = {each.id for each in stored if "ours" in each.in_segments}
        found = {one.customer_id: leaves for one, leaves in query.differences(rules, today, "ours")}
        assert found == dict.fromkeys(matched - tagged, False) | dict.fromkeys(tagged - matched, True), rules
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
    found = list(table.query(department, page_size=1).differences(VIC, TODAY, "seg"))
    assert found == [(Found(customer_key("1"), "1", None), False)]


def test_the_longest_differences_stay_inside_the_databases_limits() -> None:
    for rules in longest_rules():
        for selection in (differing(rules, TODAY, "s" * 20), only_first(rules, rules, TODAY)):
            expression = compile_selection(selection).expression
            words = expression.replace("(", " ( ").split()
            operators = {"AND", "OR", "NOT", "=", "<>", "<", ">", "<=", ">="}
            functions = {"contains", "attribute_exists", "attribute_not_exists"}
            assert len(expression.encode()) < 4096
            assert sum(word in operators | functions for word in words) < 300


def test_the_database_takes_the_longest_differences(table: CustomersTable) -> None:
    query = table.query(table.new_department([Stored("1", Filterable(email="ann@clinic.test"))]))
    for rules in longest_rules():
        assert [leaves for _, leaves in query.differences(rules, TODAY, "seg")] in ([], [False])
        assert query.count(only_first(rules, VIC, TODAY)) in (0, 1)
