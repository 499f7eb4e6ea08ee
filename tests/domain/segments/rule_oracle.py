"""A second reading of docs/segments.md, written apart from the rules: who is found by which rule.

Only how a text is made comparable and a moment a day is taken from the product; both have tests of their own.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from chalicelib.domain.customers import Customer
from chalicelib.domain.segments.calendar import day_of
from chalicelib.domain.segments.filterable import comparable_text
from chalicelib.domain.segments.rules import Rule


def found_by_all(rules: Iterable[Rule], customer: Customer, zone: ZoneInfo, today: date) -> bool:
    return all(found_by(rule, customer, zone, today) for rule in rules)


def found_by(rule: Rule, customer: Customer, zone: ZoneInfo, today: date) -> bool:
    if rule.field == "balance_greater_than":
        return _balance_found(rule, customer.balance.strip())
    if rule.field in ("created_in_last_days", "has_invoice_in_last_days", "has_invoice_in_last_months"):
        return _day_found(rule, customer, zone, today)
    return _text_found(rule, customer)


def _text_found(rule: Rule, customer: Customer) -> bool:
    where = customer.address if rule.field in ("city", "state", "postcode", "country") else customer
    text = comparable_text(getattr(where, rule.field)) or ""
    if rule.operator in ("is_empty", "is_not_empty"):
        return (text == "") == (rule.operator == "is_empty")
    if rule.operator in ("greater_than", "less_than"):
        mine, asked = _number(text, 20), _number(str(rule.value).strip(), 20)
        if mine is None or asked is None:
            return False
        return mine > asked if rule.operator == "greater_than" else mine < asked
    if rule.field == "inactive" and text == "":
        text = "0"
    asked_text = comparable_text(str(rule.value)) or ""
    return {
        "equals": text == asked_text,
        "does_not_equal": text != asked_text,
        "contains": asked_text in text,
        "does_not_contain": asked_text not in text,
        "starts_with": text[: len(asked_text)] == asked_text,
        "does_not_start_with": text[: len(asked_text)] != asked_text,
    }[rule.operator]


def _balance_found(rule: Rule, written: str) -> bool:
    balance = _number(written, 38)
    if balance is None and written:
        return False
    asked = _number(str(rule.value).strip(), 20)
    assert asked is not None
    is_greater = balance is not None and balance > asked
    return is_greater if rule.operator == "is" else not is_greater


def _day_found(rule: Rule, customer: Customer, zone: ZoneInfo, today: date) -> bool:
    written = customer.created_at if rule.field.startswith("created") else customer.last_invoice_at
    text = day_of(written, zone)
    if not text and written.strip():
        return False
    count = int(str(rule.value))
    first = _months_before(today, count) if rule.field.endswith("months") else today - timedelta(days=count - 1)
    is_recent = bool(text) and date.fromisoformat(text) >= first
    return is_recent if rule.operator == "is" else not is_recent


def _months_before(today: date, count: int) -> date:
    year, month = divmod(today.year * 12 + today.month - 1 - count, 12)
    return date(year, month + 1, min(today.day, monthrange(year, month + 1)[1]))


def _number(text: str, most_digits: int) -> Decimal | None:
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text) or sum(sign.isdigit() for sign in text) > most_digits:
        return None
    return Decimal(text)
