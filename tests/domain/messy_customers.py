"""Customers and rules as the wild brings them, for property tests: few distinct words, so that rules often hit."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from chalicelib.domain.customers import Address, Customer
from chalicelib.domain.segments.fields import FIELDS, MOST_DAYS, MOST_MONTHS
from chalicelib.domain.segments.filterable import comparable_text

ZONES = tuple(
    ZoneInfo(name)
    for name in (
        "UTC",
        "Australia/Melbourne",
        "Pacific/Chatham",  # 12:45 ahead, 13:45 in summer
        "Pacific/Apia",  # had no 30 December 2011
        "America/St_Johns",  # half an hour off
        "America/New_York",
    )
)
_WORDS = (
    *("VIC", " vic ", "Vic", "vi", "i", "NSW", "St Kilda", "st  kilda", "Straße", "STRASSE", "İstanbul", "istanbul"),
    *("O\u2019Brien", "o\u2018brien", "VI\u200bC", "\ufeffvic", "\u200b", "E\u0301", "300", "3", "03000"),
    *("é", "e\u0301", "\ufb01ne", "fine", "\U0001f600", "half \ud800", "a\0b", "O'Brien", '"', "#f0", ":v0", "%_*"),
    *("", " ", "\t\n", "0", "1", "0800", "800", "800.0", " 800 ", "3000", "-5", "-0", "+5", ".5", "5.", "1e5", "$100"),
    *(
        "1,000",
        "NaN",
        "Infinity",
        "0x10",
        "１２",
        "99999999999999999999",
        "100000000000000000000",
        "0.1",
        "0.30",
        "0.3",
    ),
)
words = st.sampled_from(_WORDS) | st.text(max_size=4)
_MONEY = (
    *("0", "0.00", "-0", "0.1", "0.2", "0.3", "0.30", "0.30000000000000004", "-12.50", "100", "100.00", "100.01"),
    *("1e5", "NaN", "-Infinity", "$5", "", " 7 ", "9" * 38, "9" * 39, "0." + "0" * 36 + "1", "1,5", "1,250.00", "abc"),
)
money = st.sampled_from(_MONEY) | st.decimals(-1000, 1000, places=2).map(str)
_NO_TIMES = (
    "",
    "",
    "never",
    "14/07/2026",
    "0000-00-00",
    "2026-02-30T10:00:00Z",
    "2026-13-01",
    "20260105",
    "2026-W02-1",
    "1767571200",
)
_EDGE_TIMES = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "2016-12-31T23:59:60Z", "2024-02-29t12:00:00z")
_offsets = st.sampled_from([None, UTC, timezone(timedelta(hours=11)), timezone(-timedelta(hours=9, minutes=30))])
days = st.dates(date(2023, 1, 1), date(2026, 12, 31)) | st.sampled_from(
    [date(2024, 2, 29), date(2025, 2, 28), date(2025, 3, 31), date(2025, 4, 6), date(2025, 10, 5), date(2026, 1, 1)]
)


# Made once: to make and check them anew for each draw took longer than to draw.
_fifths, _tenths = st.integers(0, 4), st.integers(0, 9)
_no_moments = st.sampled_from(_NO_TIMES + _EDGE_TIMES) | st.text(max_size=12)
_days_away = st.sampled_from([0, 0, 1, -1, 6, 7, 29, 30, 31, 180, 365]) | st.integers(-400, 400)
_awkward_times = st.sampled_from([(0, 0), (23, 59), (13, 30), (11, 0), (2, 30)])
_inactive_marks = st.sampled_from(["0", "1", "", "yes", " 1"])


@st.composite
def moments(draw: st.DrawFn, around: date) -> str:
    """Mostly times within two years of a day, at awkward hours and offsets; sometimes nonsense or none."""
    if draw(_fifths) == 0:
        return draw(_no_moments)
    away = draw(_days_away)
    day = around - timedelta(days=away)
    if draw(_tenths) == 0:
        return day.isoformat()
    hour, minute = draw(_awkward_times)
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=draw(_offsets)).isoformat()


@st.composite
def customers(draw: st.DrawFn, around: date, customer_id: str = "1") -> Customer:
    return Customer(
        id=customer_id,
        updated_at="2026-01-01T00:00:00Z",
        email=draw(words),
        company_name=draw(words),
        address=Address(city=draw(words), state=draw(words), postcode=draw(words), country=draw(words)),
        inactive=draw(_inactive_marks),
        status=draw(words),
        customer_type=draw(words),
        created_at=draw(moments(around)),
        last_invoice_at=draw(moments(around)),
        balance=draw(money),
    )


_fields = st.sampled_from(tuple(FIELDS.values()))


@cache
def _operators(field_name: str) -> st.SearchStrategy[str]:
    return st.sampled_from(tuple(FIELDS[field_name].operators))


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """A rule as a client may send it, without fault."""
    field = draw(_fields)
    operator = draw(_operators(field.name))
    rule = {"field": field.name, "operator": operator}
    return rule | {"value": draw(_values(field.name, operator))} if field.operators[operator] != "none" else rule


@cache
def _values(field_name: str, operator: str) -> st.SearchStrategy[Any]:
    match FIELDS[field_name].operators[operator]:
        case "whole_number":
            most = MOST_MONTHS if field_name.endswith("months") else MOST_DAYS
            near = st.sampled_from([1, 2, 6, 7, 12, 30, 31, 365, most])
            return near | near.map(str) | st.integers(1, most)
        case "text":
            return words.filter(_usable_as_value)
    plain = ["0", "-0", "800", " 0800 ", "-5", "0.1", "0.30", "3000", "99999999999999999999", "-12.50", "100"]
    return st.sampled_from(plain) | st.integers(-1000, 4000) | st.sampled_from([0.1, 0.3, -12.5, 100.0])


def _usable_as_value(word: str) -> bool:
    return bool(comparable_text(word)) and not any("\ud800" <= character <= "\udfff" for character in word)


rule_lists = st.lists(rules(), min_size=1, max_size=3) | st.lists(rules(), min_size=1, max_size=20)
