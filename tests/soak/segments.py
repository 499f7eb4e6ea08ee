"""The segments of the histories, and who is in them by a small reading of docs/segments.md."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

# Name -> rules as staff send them: field, operator, value.
SEGMENTS: dict[str, tuple[tuple[str, str, Any], ...]] = {
    "Victoria": (("state", "equals", "VIC"),),
    "Elsewhere": (("state", "does_not_equal", "vic"),),
    "Debtors": (("balance_greater_than", "is", "100"),),
    "Others": (("balance_greater_than", "is_not", "100"), ("inactive", "does_not_equal", "1")),
    "Nameless": (("company_name", "is_empty", None),),
}


def matches(rules: tuple[tuple[str, str, Any], ...], customer: Mapping[str, Any]) -> bool:
    return all(_holds(field, operator, value, customer) for field, operator, value in rules)


def _holds(field: str, operator: str, value: Any, customer: Mapping[str, Any]) -> bool:
    if field == "balance_greater_than":
        balance = customer.get("balance")
        return (balance is not None and Decimal(balance) > Decimal(value)) == (operator == "is")
    where = (customer.get("address") or {}) if field == "state" else customer
    text, sought = (where.get(field) or "").strip().casefold(), str(value).casefold()
    match operator:
        case "equals":
            return bool(text) and text == sought
        case "does_not_equal":
            return bool(text != sought)
        case "is_empty":
            return not text
    raise ValueError(operator)
