"""Checking rules and names: every fault is named, at its place, in one go."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.segments.fields import FIELDS
from chalicelib.domain.segments.filterable import NUMBER_DIGITS
from chalicelib.domain.segments.rules import Rule
from chalicelib.domain.segments.validation import (
    check_definition,
    check_rules,
    name_key,
    read_name,
    read_rules,
)
from chalicelib.errors import RefuseRequest
from tests.domain.messy_customers import rule_lists


def test_faults_of_the_rules_alone_and_of_the_name_alone_are_refused() -> None:
    """Also where the form of the body was looked at before: nothing may pass the second check."""
    good: list[dict[str, object]] = [{"field": "city", "operator": "is_empty"}]
    for name, rules, faulty in (("Good", [{"field": "city"}], "rules[0].operator"), ("", good, "name")):
        with pytest.raises(RefuseRequest) as refused:
            check_definition(name, rules)
        assert (refused.value.status, [error.field for error in refused.value.errors]) == (400, [faulty])


def faults(raw: Any) -> list[str]:
    return [fault.field for fault in read_rules(raw)[1]]


def fault_of(**rule: Any) -> list[str]:
    return faults([rule])


def value_of(field: str, operator: str, value: Any) -> Any:
    (rule,) = check_rules([{"field": field, "operator": operator, "value": value}])
    return rule.value


def test_the_guides_example_is_three_rules() -> None:
    rules = check_rules(
        [
            {"field": "state", "operator": "equals", "value": "VIC"},
            {"field": "customer_type", "operator": "equals", "value": "Business"},
            {"field": "inactive", "operator": "equals", "value": "0"},
        ]
    )
    assert rules == (
        Rule("state", "equals", "VIC"),
        Rule("customer_type", "equals", "Business"),
        Rule("inactive", "equals", "0"),
    )


@given(rule_lists)
def test_every_rule_that_the_tables_allow_is_let_through(raw: list[dict[str, Any]]) -> None:
    assert len(check_rules(raw)) == len(raw)


@pytest.mark.parametrize("raw", [None, {}, "state equals VIC", 3, []])
def test_rules_are_a_list_with_something_in_it(raw: Any) -> None:
    assert faults(raw) == ["rules"]


def test_a_segment_has_at_most_20_rules() -> None:
    rule = {"field": "city", "operator": "is_empty"}
    assert faults([rule] * 20) == []
    assert faults([rule] * 21) == ["rules"]


@pytest.mark.parametrize("item", [None, "city is_empty", 5, ["city", "is_empty"]])
def test_a_rule_is_an_object(item: Any) -> None:
    assert faults([{"field": "city", "operator": "is_empty"}, item]) == ["rules[1]"]


def test_an_unknown_field_is_named_with_its_place() -> None:
    assert fault_of(field="shoe_size", operator="equals", value="9") == ["rules[0].field"]
    assert fault_of(operator="equals", value="9") == ["rules[0].field"]
    assert fault_of(field=["city"], operator="equals", value="9") == ["rules[0].field"]


def test_an_operator_must_be_known_and_fit_the_field() -> None:
    assert fault_of(field="city", operator="ends_with", value="M") == ["rules[0].operator"]
    assert fault_of(field="city", operator="is", value="M") == ["rules[0].operator"]
    assert fault_of(field="created_in_last_days", operator="equals", value=3) == ["rules[0].operator"]
    assert fault_of(field="city", value="M") == ["rules[0].operator"]
    assert fault_of(field="city", operator={"is_empty": 1}) == ["rules[0].operator"]


@pytest.mark.parametrize("value", [None, "", "  \t"])
def test_most_operators_need_a_value(value: Any) -> None:
    assert fault_of(field="city", operator="equals", value=value) == ["rules[0].value"]
    assert fault_of(field="city", operator="greater_than", value=value) == ["rules[0].value"]
    assert fault_of(field="balance_greater_than", operator="is_not", value=value) == ["rules[0].value"]
    assert fault_of(field="created_in_last_days", operator="is") == ["rules[0].value"]


def test_is_empty_takes_no_value_though_an_empty_one_may_be_sent() -> None:
    assert fault_of(field="city", operator="is_empty", value="x") == ["rules[0].value"]
    assert fault_of(field="city", operator="is_not_empty", value=0) == ["rules[0].value"]
    assert value_of("city", "is_empty", None) is None
    assert value_of("city", "is_not_empty", "") is None


@pytest.mark.parametrize("value", [True, False, ["VIC"], {"a": 1}, float("nan"), float("inf"), Decimal("sNaN")])
def test_a_value_is_a_text_or_a_number(value: Any) -> None:
    assert fault_of(field="state", operator="equals", value=value) == ["rules[0].value"]
    assert fault_of(field="balance_greater_than", operator="is", value=value) == ["rules[0].value"]


def test_a_value_has_at_most_255_characters() -> None:
    assert fault_of(field="city", operator="contains", value=" " + "x" * 255) == []
    assert fault_of(field="city", operator="contains", value="x" * 256) == ["rules[0].value"]


def test_half_a_character_cannot_be_searched_for() -> None:
    assert fault_of(field="city", operator="contains", value="M\ud800") == ["rules[0].value"]


@pytest.mark.parametrize("value", ["abc", "1e5", "$100", "1,000", "NaN", ".5", "9" * 21, 10**20, 1e300, 1e-300])
def test_what_is_compared_as_a_number_must_be_one(value: Any) -> None:
    assert fault_of(field="postcode", operator="greater_than", value=value) == ["rules[0].value"]
    assert fault_of(field="balance_greater_than", operator="is", value=value) == ["rules[0].value"]


def test_a_number_that_would_fill_the_memory_when_written_out_is_refused() -> None:
    for endless in (Decimal("1e999999999"), Decimal("1e-999999999"), 10**5000):
        assert fault_of(field="balance_greater_than", operator="is", value=endless) == ["rules[0].value"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("100", "100"), (" 100.50 ", "100.50"), (100, 100), (100.5, "100.5"), (0.1, "0.1"), (1e5, 100000), (-2.5, "-2.5")],
)
def test_numbers_come_as_texts_or_as_numbers_and_stay_exact(sent: Any, kept: Any) -> None:
    assert value_of("balance_greater_than", "is", sent) == kept


def test_a_text_may_come_as_a_number() -> None:
    assert value_of("inactive", "equals", 0) == 0
    assert value_of("postcode", "equals", 3000.0) == 3000
    assert value_of("postcode", "equals", "0800") == "0800"
    assert value_of("state", "equals", " VIC ") == "VIC"


@pytest.mark.parametrize(
    ("field", "most"),
    [("created_in_last_days", 36_500), ("has_invoice_in_last_days", 36_500), ("has_invoice_in_last_months", 1_200)],
)
def test_a_period_is_a_whole_number_of_at_least_1_and_at_most_a_hundred_years(field: str, most: int) -> None:
    for good in (1, "1", " 30 ", 30.0, most, str(most)):
        assert value_of(field, "is", good) == int(float(good))
    for bad in (0, -1, most + 1, 1e9, 10**9, 1.5, "1.5", "six", "-1", "0"):
        assert fault_of(field=field, operator="is", value=bad) == ["rules[0].value"]


def test_unknown_keys_are_refused() -> None:
    assert fault_of(field="city", operator="is_empty", colour="red") == ["rules[0].colour"]
    assert fault_of(field="city", operator="is_empty", **{"x" * 1000: 1}) == ["rules[0]." + "x" * 50]


def test_all_faults_of_all_rules_are_found_at_once() -> None:
    raw = [
        {"field": "city", "operator": "is_empty"},
        {"field": "shoe_size", "operator": "fits", "value": 9},
        {"field": "city", "operator": "equals", "colour": "red"},
        {"field": "created_in_last_days", "operator": "is", "value": -1},
    ]
    rules, found = read_rules(raw)
    assert rules == (Rule("city", "is_empty"),)
    assert [fault.field for fault in found] == [
        "rules[1].field",
        "rules[1].operator",
        "rules[2].colour",
        "rules[2].value",
        "rules[3].value",
    ]
    assert all(fault.message.endswith(".") for fault in found)


def test_a_fault_of_the_name_does_not_hide_those_of_the_rules() -> None:
    with pytest.raises(RefuseRequest) as refused:
        check_definition("", [{"field": "city"}])
    assert refused.value.status == 400
    assert [fault.field for fault in refused.value.errors] == ["name", "rules[0].operator"]


def test_a_definition_is_a_trimmed_name_and_its_rules() -> None:
    definition = check_definition(" Active Customers - Victoria ", [{"field": "city", "operator": "is_empty"}])
    assert definition.name == "Active Customers - Victoria"
    assert definition.rules == (Rule("city", "is_empty"),)


def test_rules_alone_are_refused_and_a_name_alone_has_its_faults() -> None:
    with pytest.raises(RefuseRequest):
        check_rules(None)
    assert read_name(None)[1]


@pytest.mark.parametrize("name", ["A", "x" * 100, " " + "x" * 100 + " ", "Ärzte & Söhne 👩‍⚕️", "日本", "مرضى"])
def test_names_have_1_to_100_characters_of_any_script(name: str) -> None:
    assert read_name(name) == (name.strip(), ())


@pytest.mark.parametrize(
    "name", [None, 5, "", "   ", "x" * 101, "two\nlines", "tab\there", "a\0b", "a\u2028b", "a\ud800"]
)
def test_other_names_are_refused(name: Any) -> None:
    assert [fault.field for fault in read_name(name)[1]] == ["name"]


@pytest.mark.parametrize(
    ("name", "code", "params"),
    [
        ("", "required", {}),
        ("x" * 103, "too_long", {"most": 100, "length": 103}),
        ("two\nlines", "not_one_line", {}),
    ],
)
def test_a_fault_of_the_name_has_a_code_with_its_figures(name: str, code: str, params: dict[str, Any]) -> None:
    ((fault,), checked) = read_name(name)[1], read_name(name)[0]
    assert (checked, fault.field, fault.code, fault.params) == ("", "name", code, params)


RULE = {"field": "balance_greater_than", "operator": "is", "value": 1}
RECENT = {"field": "created_in_last_days", "operator": "is", "value": 1}
CITY = {"field": "city", "operator": "equals", "value": "x"}


@pytest.mark.parametrize(
    ("raw", "field", "code", "params"),
    [
        ("odd", "rules", "not_a_list", {}),
        ([], "rules", "too_few", {"least": 1}),
        ([CITY] * 21, "rules", "too_many", {"most": 20, "length": 21}),
        (["odd"], "rules[0]", "not_an_object", {}),
        ([CITY, {**CITY, "x" * 60: 1}], f"rules[1].{'x' * 50}", "unknown_field", {}),
        ([{**CITY, "field": "odd"}], "rules[0].field", "unknown_rule_field", {}),
        ([{**CITY, "operator": "is"}], "rules[0].operator", "operator_does_not_fit", {"field": "city"}),
        ([{**CITY, "operator": "is_empty"}], "rules[0].value", "takes_no_value", {}),
        ([{**CITY, "value": " "}], "rules[0].value", "needs_a_value", {}),
        ([{**CITY, "value": []}], "rules[0].value", "not_text_or_number", {}),
        ([{**CITY, "value": "x" * 300}], "rules[0].value", "too_long", {"most": 255, "length": 300}),
        ([{**CITY, "value": "a\ud800"}], "rules[0].value", "half_a_character", {}),
        ([{**RULE, "value": 1e99}], "rules[0].value", "too_many_digits", {"most": NUMBER_DIGITS}),
        ([{**RULE, "value": "odd"}], "rules[0].value", "not_a_number", {"most": NUMBER_DIGITS}),
        (
            [{**RECENT, "value": 0}],
            "rules[0].value",
            "not_a_whole_number_in_range",
            {"least": 1, "most": FIELDS["created_in_last_days"].largest},
        ),
    ],
)
def test_a_fault_of_a_rule_has_a_code_with_its_figures(raw: Any, field: str, code: str, params: dict[str, Any]) -> None:
    (fault,) = read_rules(raw)[1]
    assert (fault.field, fault.code, fault.params) == (field, code, params)


def test_names_that_look_the_same_have_the_same_key() -> None:
    assert name_key("Müller ") == name_key("MU\u0308LLER")
    assert name_key("Active") != name_key("Active 2")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.sampled_from(tuple(FIELDS)),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["field", "operator", "value", "x"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_nothing_that_json_can_hold_breaks_the_check(raw: Any) -> None:
    rules, found = read_rules(raw)
    assert isinstance(rules, tuple)
    assert found or rules
