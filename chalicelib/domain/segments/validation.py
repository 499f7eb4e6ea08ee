"""Checking what staff ask for: a segment's rules and its name. Every fault is found at once, each named by its path.

A checked rule means something: the engine needs no second look.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from chalicelib.domain.segments.fields import (
    FIELDS,
    LONGEST_NAME,
    LONGEST_VALUE,
    MOST_RULES,
    OPERATOR_LABELS,
    Field,
    ValueType,
)
from chalicelib.domain.segments.filterable import NUMBER_DIGITS, comparable_text
from chalicelib.domain.segments.rules import Rule, RuleValue, rule_number
from chalicelib.errors import FieldError, bad_input

_RULE_KEYS = frozenset({"field", "operator", "value"})
# Line breaks and other controls, and half characters, which no database stores.
_NOT_IN_NAMES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# A name of these alone looks like none.
_NOT_SEEN = frozenset({"Cf", "Zs", "Mn", "Me"})
_LONGEST_ECHO = 50


@dataclass(frozen=True, slots=True)
class Definition:
    """A segment as staff define it."""

    name: str
    rules: tuple[Rule, ...]


def check_definition(name: object, rules: object) -> Definition:
    """A segment's name and rules, or RefuseRequest (400) with every fault of both."""
    checked_name, name_faults = read_name(name)
    checked_rules, rule_faults = read_rules(rules)
    if name_faults or rule_faults:
        raise bad_input(*name_faults, *rule_faults)
    return Definition(checked_name, checked_rules)


def check_rules(raw: object) -> tuple[Rule, ...]:
    """Rules as they came (JSON), checked; RefuseRequest (400) with every fault."""
    rules, faults = read_rules(raw)
    if faults:
        raise bad_input(*faults)
    return rules


def name_key(name: str) -> str:
    """Equal for names that staff, and Mailchimp, would take for the same: case and composed accents do not count."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())


def read_name(raw: object) -> tuple[str, tuple[FieldError, ...]]:
    """The trimmed name and its faults."""
    name = raw.strip() if isinstance(raw, str) else ""
    if all(unicodedata.category(character) in _NOT_SEEN for character in name):
        return "", (FieldError("name", "Give the segment a name.", "required"),)
    if len(name) > LONGEST_NAME:
        return "", (
            FieldError(
                "name",
                f"Use at most {LONGEST_NAME} characters; this name has {len(name)}.",
                "too_long",
                {"most": LONGEST_NAME, "length": len(name)},
            ),
        )
    if any(unicodedata.category(character) in _NOT_IN_NAMES for character in name):
        return "", (FieldError("name", "Use one line of text, without control characters.", "not_one_line"),)
    return name, ()


def read_rules(raw: object) -> tuple[tuple[Rule, ...], tuple[FieldError, ...]]:
    """The rules without fault, and all faults."""
    if not isinstance(raw, list | tuple):
        return (), (FieldError("rules", "Give a list of rules.", "not_a_list"),)
    if not raw:
        return (), (
            FieldError(
                "rules",
                "Give at least one rule: a segment without rules would contain every customer.",
                "too_few",
                {"least": 1},
            ),
        )
    if len(raw) > MOST_RULES:
        return (), (
            FieldError(
                "rules",
                f"Give at most {MOST_RULES} rules, since every sync checks each of them for every customer; these are "
                f"{len(raw)}.",
                "too_many",
                {"most": MOST_RULES, "length": len(raw)},
            ),
        )
    rules: list[Rule] = []
    faults: list[FieldError] = []
    for position, item in enumerate(raw):
        read = _Reader(f"rules[{position}]")
        rule = read.rule(item)
        faults += read.faults
        if rule is not None:
            rules.append(rule)
    return tuple(rules), tuple(faults)


class _Reader:
    """Reads one rule and collects its faults; what could not be read is None."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.faults: list[FieldError] = []

    def rule(self, item: object) -> Rule | None:
        if not isinstance(item, Mapping):
            self.faults.append(FieldError(self.path, "Give an object of field, operator and value.", "not_an_object"))
            return None
        for key in item:
            if key not in _RULE_KEYS:
                self._fault(
                    str(key)[:_LONGEST_ECHO],
                    "Give only a field, an operator and a value.",
                    "unknown_field",
                )
        field = self._field(item.get("field"))
        operator = self._operator(field, item.get("operator"))
        if field is None or operator is None:
            self._plain(item.get("value"))  # what no operator would take is told along with it
            return None
        value = self._value(field, field.operators[operator], item.get("value"))
        return None if self.faults else Rule(field.name, operator, value)

    def _field(self, raw: object) -> Field | None:
        if isinstance(raw, str) and raw in FIELDS:
            return FIELDS[raw]
        self._fault(
            "field",
            f"Choose one of these fields: {', '.join(field.label for field in FIELDS.values())}.",
            "unknown_rule_field",
        )
        return None

    def _operator(self, field: Field | None, raw: object) -> str | None:
        if isinstance(raw, str) and raw in (field.operators if field else OPERATOR_LABELS):
            return raw
        labels = ", ".join(OPERATOR_LABELS[name] for name in field.operators) if field else ""
        fitting = f" of {field.label}: {labels}" if field else ""
        self._fault(
            "operator",
            f"Choose one of the operators{fitting}.",
            "operator_does_not_fit",
            field=field.name if field else "",
        )
        return None

    def _value(self, field: Field, value_type: ValueType, raw: object) -> RuleValue:
        faults_before = len(self.faults)
        value = self._plain(raw)
        if len(self.faults) > faults_before:
            return None
        if value_type == "none":
            if value is not None:
                self._fault("value", "Leave the value out: this operator takes none.", "takes_no_value")
            return None
        if value is None:
            self._fault("value", "Give a value.", "needs_a_value")
            return None
        return value if value_type == "text" else self._number(field, value_type, value)

    def _plain(self, raw: object) -> RuleValue:
        """A text, trimmed, or a number; None for nothing, which an empty text is too. A fraction becomes its text."""
        if raw is None:
            return None
        if isinstance(raw, str):
            return self._trimmed(raw)
        if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal):
            self._fault("value", "Give a text or a number.", "not_text_or_number")
            return None
        exact = Decimal(repr(raw)) if isinstance(raw, float) else Decimal(raw)
        # Before it is written out: 1e-999999999 is eleven characters here and a billion there.
        if not exact.is_finite() or (exact and not -NUMBER_DIGITS <= exact.adjusted() < NUMBER_DIGITS):
            self._fault("value", f"Use at most {NUMBER_DIGITS} digits.", "too_many_digits", most=NUMBER_DIGITS)
            return None
        return int(exact) if exact == exact.to_integral_value() else f"{exact:f}"

    def _trimmed(self, text: str) -> str | None:
        value = text.strip()
        if len(value) > LONGEST_VALUE:
            self._fault(
                "value",
                f"Use at most {LONGEST_VALUE} characters; this value has {len(value)}.",
                "too_long",
                most=LONGEST_VALUE,
                length=len(value),
            )
        if any(unicodedata.category(character) == "Cs" for character in value):
            self._fault("value", "Type the value again: it contains a broken character.", "half_a_character")
        # Signs that nobody sees do not count, so a value of these alone is none.
        return value if comparable_text(value) else None

    def _number(self, field: Field, value_type: ValueType, value: str | int) -> RuleValue:
        number = rule_number(value)
        if value_type == "whole_number":
            return self._whole_number(field, number)
        if number is None:
            self._fault(
                "value",
                f"Give a number such as 100 or -2.50, of at most {NUMBER_DIGITS} digits.",
                "not_a_number",
                most=NUMBER_DIGITS,
            )
        return value

    def _whole_number(self, field: Field, number: Decimal | None) -> int | None:
        if number is not None and number == int(number) and 1 <= number <= field.largest:
            return int(number)
        self._fault(
            "value",
            f"Give a whole number from 1 to {field.largest}.",
            "not_a_whole_number_in_range",
            least=1,
            most=field.largest,
        )
        return None

    def _fault(self, key: str, message: str, code: str, **params: str | int) -> None:
        self.faults.append(FieldError(f"{self.path}.{key}", message, code, params))
