"""What rules mean: a test for each sentence of docs/segments.md, and a second reading of the whole by another hand."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from unicodedata import normalize
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.customers import Address, Customer
from chalicelib.domain.segments.fields import FIELDS, OPERATOR_LABELS, Choice
from chalicelib.domain.segments.filterable import Filterable, filterable
from chalicelib.domain.segments.rules import Rule, comparison, describe, explain, matches
from chalicelib.domain.segments.validation import check_definition, check_rules
from chalicelib.errors import RefuseRequest
from chalicelib.sync.segments.builder import field_descriptions, segment_templates
from tests.domain.messy_customers import ZONES, customers, days, rule_lists

TODAY = date(2026, 7, 15)
MELBOURNE = ZoneInfo("Australia/Melbourne")
NOBODY = Customer(id="7", updated_at="2026-01-01T00:00:00Z")


def holds(field: str, operator: str, value: Any, customer: Filterable, today: date = TODAY) -> bool:
    return matches(check_rules([{"field": field, "operator": operator, "value": value}]), customer, today)


def with_text(text: str, field: str = "postcode") -> Filterable:
    source = replace(NOBODY, address=Address(**{field: text}))
    return filterable(source, MELBOURNE)


def with_balance(balance: str) -> Filterable:
    return filterable(replace(NOBODY, balance=balance), MELBOURNE)


def created(moment: str, zone: ZoneInfo = MELBOURNE) -> Filterable:
    return filterable(replace(NOBODY, created_at=moment), zone)


def invoiced(moment: str, zone: ZoneInfo = MELBOURNE) -> Filterable:
    return filterable(replace(NOBODY, last_invoice_at=moment), zone)


# ------------------------------------------------------------------------------------------------------------ texts


def test_all_rules_must_hold() -> None:
    rules = check_rules(
        [{"field": "state", "operator": "equals", "value": "VIC"}, {"field": "city", "operator": "is_not_empty"}]
    )
    assert matches(rules, Filterable(state="vic", city="geelong"), TODAY)
    assert not matches(rules, Filterable(state="vic"), TODAY)
    assert not matches(rules, Filterable(state="nsw", city="geelong"), TODAY)


@pytest.mark.parametrize("field", [name for name, field in FIELDS.items() if not field.computed])
def test_every_text_field_looks_at_its_own_text(field: str) -> None:
    only: dict[str, Any] = {field: "x"}
    customer = Filterable(**only)
    for name in (name for name, each in FIELDS.items() if not each.computed):
        assert holds(name, "equals", "X", customer) is (name == field)


@pytest.mark.parametrize("written", ["VIC", "vic", " Vic ", "\tvIC\n"])
@pytest.mark.parametrize("value", ["VIC", "vic", "  Vic"])
def test_case_and_surrounding_space_do_not_count(written: str, value: str) -> None:
    for operator, outcome in [("equals", True), ("contains", True), ("does_not_equal", False)]:
        assert holds("state", operator, value, with_text(written, "state")) is outcome


def test_space_inside_a_text_counts() -> None:
    assert not holds("city", "equals", "StKilda", with_text("St Kilda", "city"))
    assert not holds("city", "equals", "St  Kilda", with_text("St Kilda", "city"))


def test_sharp_s_and_ligatures_are_found_by_their_letters() -> None:
    assert holds("city", "contains", "STRASSE", with_text("Lange Straße", "city"))
    assert holds("city", "equals", "fine", with_text("\ufb01ne", "city"))


def test_contains_finds_a_part_and_equals_only_the_whole() -> None:
    customer = with_text("Melbourne", "city")
    assert holds("city", "contains", "bour", customer)
    assert not holds("city", "equals", "bour", customer)
    assert not holds("city", "does_not_contain", "bour", customer)
    assert holds("city", "does_not_contain", "geel", customer)


@pytest.mark.parametrize("field", [name for name, field in FIELDS.items() if not field.computed])
def test_every_text_field_can_be_asked_how_it_starts(field: str) -> None:
    only: dict[str, Any] = {field: "3000"}
    customer = Filterable(**only)
    for value, starts in [("3", True), (3, True), (" 30", True), ("3000", True), ("30000", False), ("000", False)]:
        assert holds(field, "starts_with", value, customer) is starts
        assert holds(field, "does_not_start_with", value, customer) is not starts


def test_a_postcode_starts_with_three_in_victoria() -> None:
    codes = ["3000", "3999", " 3121", "2300", "0300", "", "4000"]
    assert [c for c in codes if holds("postcode", "starts_with", "3", with_text(c))] == ["3000", "3999", " 3121"]
    assert [c for c in codes if holds("postcode", "does_not_start_with", "3", with_text(c))] == [
        *("2300", "0300", "", "4000")
    ]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("Caf\u00e9", "cafe\u0301"),
        ("CAFE\u0301", "caf\u00e9"),
        ("O\u2019Brien", "O'Brien"),
        ("O'Brien", "o\u2019brien"),
        ("VI\u200bC", "vic"),
        ("vic", "\ufeffVIC"),
        ("\u200b VIC \u200b", "vic"),
        ("a\u0323\u0307", "a\u0307\u0323"),
    ],
)
def test_texts_that_look_alike_are_equal(written: str, value: str) -> None:
    customer = with_text(written, "city")
    for operator in ("equals", "contains", "starts_with"):
        assert holds("city", operator, value, customer)
    assert not holds("city", "does_not_equal", value, customer)


def test_a_letter_is_no_part_of_the_same_letter_with_an_accent() -> None:
    assert not holds("city", "starts_with", "e", with_text("e\u0301tude", "city"))


def test_a_text_that_nobody_sees_is_empty_and_no_value() -> None:
    assert holds("city", "is_empty", None, with_text("\u200b\ufeff", "city"))
    with pytest.raises(RefuseRequest):
        check_rules([{"field": "city", "operator": "equals", "value": "\u200b"}])


def test_signs_have_no_special_meaning() -> None:
    assert not holds("city", "contains", "M%", with_text("Melbourne", "city"))
    assert not holds("city", "equals", "M*", with_text("Melbourne", "city"))
    assert holds("city", "contains", ".*", with_text("a.*b", "city"))


@pytest.mark.parametrize(
    ("operator", "value", "outcome"),
    [
        ("equals", "VIC", False),
        ("does_not_equal", "VIC", True),
        ("contains", "VIC", False),
        ("does_not_contain", "VIC", True),
        ("starts_with", "VIC", False),
        ("does_not_start_with", "VIC", True),
        ("greater_than", "-1", False),
        ("less_than", "1", False),
        ("is_empty", None, True),
        ("is_not_empty", None, False),
    ],
)
@pytest.mark.parametrize("written", ["", "   ", "\t\n"])
def test_an_empty_field_passes_the_negative_operators_only(
    operator: str, value: Any, outcome: bool, written: str
) -> None:
    assert holds("state", operator, value, with_text(written, "state")) is outcome


def test_numbers_are_compared_as_numbers_not_as_letters() -> None:
    assert holds("postcode", "less_than", "10", with_text("9"))
    assert not holds("postcode", "greater_than", "10", with_text("9"))
    assert holds("postcode", "less_than", "-1", with_text("-2"))
    assert holds("postcode", "greater_than", "2.49", with_text("2.50"))


@pytest.mark.parametrize("written", ["$100", "1,000", "1e5", ".5", "NaN", "3000a", "9" * 21, "VIC"])
def test_what_is_no_number_is_neither_greater_nor_less(written: str) -> None:
    assert not holds("postcode", "greater_than", "-99999999999999999999", with_text(written))
    assert not holds("postcode", "less_than", "99999999999999999999", with_text(written))


def test_equals_keeps_leading_zeros_and_greater_compares_the_number() -> None:
    darwin = with_text("0800")
    assert holds("postcode", "equals", "0800", darwin)
    assert not holds("postcode", "equals", "800", darwin)
    assert not holds("postcode", "equals", 800, darwin)
    assert holds("postcode", "greater_than", "799", darwin)
    assert holds("postcode", "greater_than", "0799", darwin)
    assert holds("postcode", "less_than", 801, darwin)
    assert not holds("postcode", "greater_than", "800", darwin)


def test_equals_compares_texts_even_where_they_are_numbers() -> None:
    assert not holds("postcode", "equals", "2.5", with_text("2.50"))
    assert not holds("postcode", "greater_than", "2.5", with_text("2.50"))
    assert not holds("postcode", "less_than", "2.5", with_text("2.50"))


def test_victorias_postcodes_are_a_range_of_numbers() -> None:
    rules = check_rules(
        [
            {"field": "postcode", "operator": "greater_than", "value": "2999"},
            {"field": "postcode", "operator": "less_than", "value": "4000"},
        ]
    )
    inside = [code for code in ("2300", "2999", "3000", "3999", "4000", "3") if matches(rules, with_text(code), TODAY)]
    assert inside == ["3000", "3999"]


def test_a_customer_without_the_mark_is_active() -> None:
    unmarked = filterable(NOBODY, MELBOURNE)
    assert holds("inactive", "equals", "0", unmarked)
    assert holds("inactive", "equals", 0, unmarked)
    assert not holds("inactive", "does_not_equal", "0", unmarked)
    assert holds("inactive", "does_not_equal", "1", unmarked)
    assert not holds("inactive", "equals", "1", unmarked)
    assert not holds("inactive", "less_than", "1", unmarked)
    assert holds("inactive", "is_empty", None, unmarked)
    assert not holds("inactive", "is_not_empty", None, unmarked)
    assert holds("inactive", "equals", 0, filterable(replace(NOBODY, inactive="0"), MELBOURNE))


# --------------------------------------------------------------------------------------------------------- computed


@pytest.mark.parametrize("field", [name for name, field in FIELDS.items() if field.computed])
def test_is_not_holds_where_pracbill_has_no_date_and_no_balance(field: str) -> None:
    assert not holds(field, "is", 1, Filterable())
    assert holds(field, "is_not", 1, Filterable())


@given(st.data(), days, st.sampled_from(ZONES), rule_lists)
def test_is_not_is_the_exact_contrary_of_is(
    data: st.DataObject, today: date, zone: ZoneInfo, raw: list[dict[str, Any]]
) -> None:
    customer = filterable(data.draw(customers(today)), zone)
    for rule in check_rules(raw):
        if FIELDS[rule.field].computed:
            contrary = replace(rule, operator="is" if rule.operator == "is_not" else "is_not")
            asked = comparison(rule, today)
            if getattr(customer, str(asked.unreadable)) is None:
                assert matches([rule], customer, today) is not matches([contrary], customer, today)
            else:
                assert not matches([rule], customer, today)
                assert not matches([contrary], customer, today)


@pytest.mark.parametrize(
    ("day", "recent"),
    [("2025-12-31", False), ("2026-01-01", True), ("2026-01-15", True), ("2026-01-30", True)],
)
def test_the_last_30_days_are_today_and_the_29_before(day: str, recent: bool) -> None:
    today = date(2026, 1, 30)
    assert holds("created_in_last_days", "is", 30, created(day), today) is recent
    assert holds("has_invoice_in_last_days", "is", 30, invoiced(day), today) is recent
    assert holds("has_invoice_in_last_days", "is_not", 30, invoiced(day), today) is not recent


def test_the_last_day_is_today() -> None:
    assert holds("created_in_last_days", "is", 1, created("2026-07-15"))
    assert not holds("created_in_last_days", "is", 1, created("2026-07-14"))


def test_days_begin_at_midnight_of_the_department() -> None:
    # Midnight between 14 and 15 July in Melbourne is 14:00 in UTC.
    assert holds("created_in_last_days", "is", 1, created("2026-07-14T14:00:00Z"))
    assert not holds("created_in_last_days", "is", 1, created("2026-07-14T13:59:59Z"))
    assert holds("created_in_last_days", "is", 1, created("2026-07-14T13:59:59Z", ZoneInfo("Pacific/Auckland")))


def test_a_day_on_which_the_clocks_change_is_one_day() -> None:
    # Melbourne: 5 April 2026 has 25 hours, 4 October 2026 has 23.
    for change, first_moment, just_before in [
        (date(2026, 4, 5), "2026-04-04T13:00:00Z", "2026-04-04T12:59:59Z"),
        (date(2026, 10, 4), "2026-10-03T14:00:00Z", "2026-10-03T13:59:59Z"),
    ]:
        day_after = change + timedelta(days=1)
        assert holds("created_in_last_days", "is", 2, created(first_moment), day_after)
        assert not holds("created_in_last_days", "is", 2, created(just_before), day_after)


@pytest.mark.parametrize(
    ("today", "months", "day", "recent"),
    [
        ("2026-07-15", 6, "2026-01-15", True),
        ("2026-07-15", 6, "2026-01-14", False),
        ("2026-08-31", 6, "2026-02-28", True),
        ("2026-08-31", 6, "2026-02-27", False),
        ("2024-08-31", 6, "2024-02-29", True),
        ("2024-08-31", 6, "2024-02-28", False),
        ("2024-02-29", 12, "2023-02-28", True),
        ("2026-01-15", 1, "2025-12-15", True),
        ("2026-01-15", 1, "2025-12-14", False),
    ],
)
def test_the_last_months_begin_on_the_same_day_of_the_month(today: str, months: int, day: str, recent: bool) -> None:
    assert holds("has_invoice_in_last_months", "is", months, invoiced(day), date.fromisoformat(today)) is recent
    assert holds("has_invoice_in_last_months", "is_not", months, invoiced(day), date.fromisoformat(today)) is not recent


def test_leap_days_count() -> None:
    assert holds("created_in_last_days", "is", 2, created("2024-02-29"), date(2024, 3, 1))
    assert not holds("created_in_last_days", "is", 2, created("2024-02-28"), date(2024, 3, 1))


def test_a_day_in_the_future_counts_as_recent() -> None:
    assert holds("has_invoice_in_last_days", "is", 1, invoiced("2026-07-22"))
    assert not holds("has_invoice_in_last_months", "is_not", 6, invoiced("2027-01-01"))
    assert holds("created_in_last_days", "is", 30, created("2026-07-16"))


@pytest.mark.parametrize("written", ["yesterday", "14/07/2026", "0000-00-00", "20260714", "2026-02-30", "null"])
def test_a_date_that_cannot_be_read_matches_neither_is_nor_is_not(written: str) -> None:
    for operator in ("is", "is_not"):
        assert not holds("has_invoice_in_last_months", operator, 1200, invoiced(written))
        assert not holds("has_invoice_in_last_days", operator, 30, invoiced(written))
        assert not holds("created_in_last_days", operator, 36_500, created(written))


@pytest.mark.parametrize("written", ["1,250.00", "$500", "1e5", "12.5 AUD", "9" * 39, "NaN", "abc", '{"amount": 5}'])
def test_a_balance_that_cannot_be_read_matches_neither_is_nor_is_not(written: str) -> None:
    for operator in ("is", "is_not"):
        for value in ("-1", 0, 100, "9" * 20):
            assert not holds("balance_greater_than", operator, value, with_balance(written))


def test_the_longest_periods_reach_back_a_hundred_years() -> None:
    assert holds("created_in_last_days", "is", 36_500, created("1926-08-10"))
    assert not holds("created_in_last_days", "is", 36_500, created("1926-08-09"))
    assert holds("has_invoice_in_last_months", "is", 1_200, invoiced("1926-07-15"))


@pytest.mark.parametrize(
    ("balance", "value", "greater"),
    [
        ("100", "100", False),
        ("100.00", 100, False),
        ("100.01", "100", True),
        ("0.30", "0.3", False),
        ("0.3", 0.1 + 0.2, False),  # 0.30000000000000004 as a client may send it
        ("0.30000000000000004", "0.3", True),
        ("0.3", 0.3, False),
        ("-12.50", "0", False),
        ("-12.50", "-12.51", True),
        ("-12.50", -13, True),
        ("-0", "0", False),
        ("99999999999999999999999999999999999999", "99999999999999999999", True),
        ("", "-1", False),
        ("  ", "-1", False),
    ],
)
def test_balances_are_compared_exactly(balance: str, value: Any, greater: bool) -> None:
    assert holds("balance_greater_than", "is", value, with_balance(balance)) is greater
    assert holds("balance_greater_than", "is_not", value, with_balance(balance)) is not greater


def test_a_missing_balance_is_not_zero() -> None:
    assert holds("balance_greater_than", "is_not", 0, Filterable())
    assert not holds("balance_greater_than", "is", -1, Filterable())
    assert holds("balance_greater_than", "is", -1, Filterable(balance=Decimal(0)))


# ---------------------------------------------------------------------------------------- the whole, read a second time


@given(st.data(), days, st.sampled_from(ZONES), rule_lists)
def test_the_engine_agrees_with_a_plain_reading_of_the_guide(
    data: st.DataObject, today: date, zone: ZoneInfo, raw: list[dict[str, Any]]
) -> None:
    customer = data.draw(customers(today))
    seen = filterable(customer, zone)
    for rule in raw:
        assert matches(check_rules([rule]), seen, today) is reads_as(rule, customer, zone, today), rule
    assert matches(check_rules(raw), seen, today) is all(reads_as(rule, customer, zone, today) for rule in raw)


def reads_as(rule: dict[str, Any], customer: Customer, zone: ZoneInfo, today: date) -> bool:
    """The guide's tables, written down without regard to the engine: on PracBill's own record, not on our copy."""
    operator: str = rule["operator"]
    value: Any = rule.get("value")
    match rule["field"]:
        case "created_in_last_days":
            recent = is_recent(customer.created_at, zone, today - timedelta(days=int(value) - 1))
            return recent is not None and recent is (operator == "is")
        case "has_invoice_in_last_days":
            recent = is_recent(customer.last_invoice_at, zone, today - timedelta(days=int(value) - 1))
            return recent is not None and recent is (operator == "is")
        case "has_invoice_in_last_months":
            recent = is_recent(customer.last_invoice_at, zone, months_before(today, int(value)))
            return recent is not None and recent is (operator == "is")
        case "balance_greater_than":
            balance = number_in(customer.balance, 38)
            if balance is None and customer.balance.strip():
                return False
            greater = balance is not None and balance > Decimal(str(value).strip())
            return greater is (operator == "is")
    text = as_seen(text_of(customer, rule["field"]).replace("\ud800", "?"))
    if rule["field"] == "inactive" and not text and operator.startswith(("equals", "contains", "starts", "does_not")):
        text = "0"
    wanted = "" if value is None else as_seen(plain(value))
    number = number_in(text, 20)
    return {
        "equals": lambda: text == wanted,
        "does_not_equal": lambda: text != wanted,
        "contains": lambda: wanted in text,
        "does_not_contain": lambda: wanted not in text,
        "starts_with": lambda: text[: len(wanted)] == wanted,
        "does_not_start_with": lambda: text[: len(wanted)] != wanted,
        "greater_than": lambda: number is not None and number > Decimal(wanted),
        "less_than": lambda: number is not None and number < Decimal(wanted),
        "is_empty": lambda: text == "",
        "is_not_empty": lambda: text != "",
    }[operator]()


def as_seen(text: str) -> str:
    """As a reader takes a text: composed, in small letters, without signs that cannot be seen, apostrophes alike."""
    seen = "".join("'" if sign in "\u2018\u2019\u02bc\u201b\uff07" else sign for sign in text)
    seen = re.sub("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]", "", seen)
    return normalize("NFC", normalize("NFD", seen).casefold()).strip()


def plain(value: Any) -> str:
    """0.1 and 100.0 as a person would write them."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def text_of(customer: Customer, field: str) -> str:
    holder = customer.address if field in ("city", "state", "postcode", "country") else customer
    return str(getattr(holder, field))


def number_in(text: str, most_digits: int) -> Decimal | None:
    found = re.fullmatch(r"(-?)([0-9]+)(?:\.([0-9]+))?", text.strip())
    if found is None or len(found[2]) + len(found[3] or "") > most_digits:
        return None
    return Decimal(text.strip())


def is_recent(moment: str, zone: ZoneInfo, start: date) -> bool | None:
    """None for what is there and is no moment."""
    if not moment.strip():
        return False
    found = re.fullmatch(
        r"(\d{4}-\d\d-\d\d)(?:([Tt ])(\d\d:\d\d):(\d\d)(?:\.\d+)?([Zz]|[+-]\d\d:\d\d)?)?", moment, re.ASCII
    )
    try:
        if found is None:
            return None
        if found[2] is None:
            return date.fromisoformat(found[1]) >= start
        seconds = min(int(found[4]), 59)
        wall = datetime.strptime(f"{found[1]} {found[3]}:{seconds:02}", "%Y-%m-%d %H:%M:%S")
        return wall.replace(tzinfo=offset(found[5])).astimezone(zone).date() >= start
    except (ValueError, OverflowError):
        return None


def offset(written: str | None) -> timezone:
    if written is None or written in "Zz":
        return UTC
    sign = -1 if written[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(written[1:3]), minutes=int(written[4:])))


def months_before(today: date, months: int) -> date:
    year, month = today.year, today.month
    for _ in range(months):
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    for day in range(today.day, 27, -1):
        try:
            return date(year, month, day)
        except ValueError:
            continue
    return date(year, month, today.day)


# --------------------------------------------------------------------------------------------------------- in words


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Rule("state", "equals", "VIC"), 'State equals "VIC"'),
        (Rule("city", "does_not_contain", "port"), 'City does not contain "port"'),
        (Rule("postcode", "starts_with", "3"), 'Postcode starts with "3"'),
        (Rule("postcode", "does_not_start_with", "3"), 'Postcode does not start with "3"'),
        (Rule("postcode", "greater_than", 2999), "Postcode is greater than 2999"),
        (Rule("email", "is_empty"), "Email is empty"),
        (Rule("created_in_last_days", "is", 30), "Created in the last 30 days"),
        (Rule("created_in_last_days", "is_not", 1), "Not created in the last day (today)"),
        (Rule("has_invoice_in_last_months", "is_not", 6), "No invoice in the last 6 months"),
        (Rule("has_invoice_in_last_months", "is", 1), "Has an invoice in the last month"),
        (Rule("has_invoice_in_last_days", "is", "90"), "Has an invoice in the last 90 days"),
        (Rule("balance_greater_than", "is", "100.50"), "Balance is greater than 100.50"),
        (Rule("balance_greater_than", "is_not", 0), "Balance is not greater than 0"),
    ],
)
def test_a_rule_reads_as_a_sentence(rule: Rule, words: str) -> None:
    assert describe(rule) == words


@pytest.mark.parametrize(
    ("rule", "customer", "passes", "finding"),
    [
        (Rule("state", "equals", "VIC"), Filterable(state="nsw"), False, 'The state is "nsw".'),
        (Rule("state", "does_not_equal", "VIC"), Filterable(), True, "The state is empty."),
        (Rule("state", "is_empty"), Filterable(), True, "The state is empty."),
        (Rule("postcode", "starts_with", "3"), Filterable(postcode="2300"), False, 'The postcode is "2300".'),
        (Rule("city", "contains", "x"), Filterable(city="y" * 300), False, f'The city is "{"y" * 100}…".'),
        (
            Rule("inactive", "equals", "0"),
            Filterable(),
            True,
            "The active/inactive mark is empty, which counts as 0.",
        ),
        (Rule("inactive", "is_empty"), Filterable(), True, "The active/inactive mark is empty."),
        (
            Rule("postcode", "greater_than", 1),
            Filterable(postcode="abc"),
            False,
            'The postcode is "abc", which is not a number.',
        ),
        (
            Rule("postcode", "greater_than", 1),
            Filterable(postcode="0800"),
            True,
            'The postcode is "0800".',
        ),
        (
            Rule("has_invoice_in_last_months", "is_not", 6),
            Filterable(last_invoice_on="2026-01-15"),
            False,
            "The last invoice is of 2026-01-15; counted from 2026-01-15 on.",
        ),
        (Rule("has_invoice_in_last_days", "is", 6), Filterable(), False, "PracBill has no last invoice."),
        (Rule("created_in_last_days", "is", 6), Filterable(), False, "PracBill has no creation date."),
        (Rule("balance_greater_than", "is", 6), Filterable(balance=Decimal("7.50")), True, "The balance is 7.50."),
        (
            Rule("balance_greater_than", "is_not", 100),
            Filterable(balance_unreadable="1,250.00"),
            False,
            'The balance in PracBill, "1,250.00", cannot be read, so neither Is nor Is Not matches.',
        ),
        (
            Rule("has_invoice_in_last_months", "is_not", 6),
            Filterable(last_invoice_on_unreadable="14/07/2026"),
            False,
            'The last invoice in PracBill, "14/07/2026", cannot be read, so neither Is nor Is Not matches.',
        ),
    ],
)
def test_each_rule_is_explained(rule: Rule, customer: Filterable, passes: bool, finding: str) -> None:
    (verdict,) = explain([rule], customer, TODAY)
    assert (verdict.rule, verdict.passes, verdict.finding) == (rule, passes, finding)


@pytest.mark.parametrize("field", ["email", "company_name"])
def test_explanations_do_not_repeat_names_and_addresses(field: str) -> None:
    only: dict[str, Any] = {field: "jo@example.com"}
    customer = Filterable(**only)
    (verdict,) = explain([Rule(field, "contains", "x")], customer, TODAY)
    assert "jo@" not in verdict.finding
    assert "has a value" in verdict.finding


@given(st.data(), days, rule_lists)
def test_explanations_agree_with_the_outcome(data: st.DataObject, today: date, raw: list[dict[str, Any]]) -> None:
    customer, rules = filterable(data.draw(customers(today)), MELBOURNE), check_rules(raw)
    verdicts = explain(rules, customer, today)
    assert all(verdict.passes for verdict in verdicts) is matches(rules, customer, today)
    assert all(verdict.words and verdict.finding.endswith(".") for verdict in verdicts)


# ------------------------------------------------------------------------------------- what a builder is told, and docs


def test_a_builder_is_told_every_field_with_the_operators_it_allows() -> None:
    described = field_descriptions()
    assert described.max_rules == 20
    assert [field.field for field in described.fields] == list(FIELDS)
    for field in described.fields:
        for operator in field.operators:
            value = {"text": "x", "number": "1", "whole_number": 1, "decimal": "1.5", "none": None}[operator.value_type]
            assert check_rules([{"field": field.field, "operator": operator.operator, "value": value}])


def test_choices_seen_in_the_data_are_offered_beside_those_known() -> None:
    described = field_descriptions({"state": [Choice("vic", "VIC")], "inactive": [Choice("2", "?")]})
    choices = {field.field: [choice.value for choice in field.choices] for field in described.fields}
    assert choices["state"] == ["vic"]
    assert choices["inactive"] == ["0", "1", "2"]
    assert choices["city"] == []


def test_every_template_is_a_segment_that_may_be_saved_as_it_is() -> None:
    templates = segment_templates(["VIC", "nsw", " vic ", "", "bayern", "x" * 300, "two\nlines"])
    names = [template.name for template in templates]
    assert names[4:] == ["Customers in VIC", "Customers in NSW", "Customers in Bayern"]
    assert len({template.id for template in templates}) == len(templates)
    for template in templates:
        raw = [{"field": rule.field, "operator": rule.operator, "value": rule.value} for rule in template.rules]
        assert check_definition(template.name, raw).name == template.name


def test_the_templates_find_whom_they_promise() -> None:
    active, lapsed, owing, new = (template.rules for template in segment_templates())
    customer = Filterable(inactive="1", balance=Decimal("0.01"), created_on="2026-06-16", last_invoice_on="2026-01-14")
    assert not matches(active, customer, TODAY)
    assert matches(active, Filterable(), TODAY)
    assert matches(lapsed, customer, TODAY)
    assert matches(owing, customer, TODAY)
    assert matches(new, customer, TODAY)


def test_states_beyond_the_first_twenty_get_no_template() -> None:
    assert len(segment_templates(f"state {number}" for number in range(50))) == 4 + 20


def test_the_page_for_staff_names_every_field_and_operator() -> None:
    page = (Path(__file__).parents[3] / "docs" / "segments.md").read_text()
    for field in FIELDS.values():
        assert f"| {field.label} | `{field.name}` |" in page
    for name, label in OPERATOR_LABELS.items():
        assert f"| {label} | `{name}` |" in page or f"**{label}** (`{name}`)" in page
