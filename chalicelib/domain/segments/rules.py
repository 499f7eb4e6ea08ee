"""What segments mean: rules, who matches them, and why. Pure; docs/segments.md tells the same in words.

Every rule comes down to one comparison of one attribute of a customer (`Comparison`). The tests hold it against a
second reading of docs/segments.md that was written apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from chalicelib.domain.segments.calendar import start_of_last_days, start_of_last_months
from chalicelib.domain.segments.fields import FIELDS, Field
from chalicelib.domain.segments.filterable import NUMBER_DIGITS, Filterable, comparable_text, number_of, plain_decimal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

# A fraction is kept as its decimal text: 0.1 stays 0.1.
RuleValue = str | int | None
Operand = str | Decimal
Relation = Literal["has a value", "=", "contains", "starts with", ">", "<", ">="]

_LONGEST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Rule:
    """One filter rule; `value` is null for operators that take none."""

    field: str
    operator: str
    value: RuleValue = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`attribute` `relation` `operand`; `missing` says whether that holds for a customer without the attribute.

    `negated` turns it round, also where the attribute is missing. Neither way it holds where PracBill has something
    that cannot be read: then the attribute `unreadable` is there. `as_number`: what counts is the number that the text
    is, and one that is none counts as missing.
    """

    attribute: str
    relation: Relation
    operand: Operand | None = None
    negated: bool = False
    missing: bool = False
    unreadable: str | None = None
    as_number: bool = False

    def holds(self, filterable: Filterable) -> bool:
        if self.unreadable is not None and getattr(filterable, self.unreadable) is not None:
            return False
        value: Operand | None = getattr(filterable, self.attribute)
        if self.as_number and isinstance(value, str):
            value = number_of(value)
        return (self.missing if value is None else self._compare(value)) is not self.negated

    def reading_missing_as(self, value: Operand) -> Comparison:
        """The same comparison, for a customer without the attribute as if it were `value`."""
        return replace(self, missing=self._compare(value))

    def _compare(self, value: Operand) -> bool:
        operand = self.operand
        match self.relation:
            case "has a value":
                return True
            case "=":
                return value == operand
            case "contains":
                return str(operand) in str(value)
            case "starts with":
                return str(value).startswith(str(operand))
            case ">":
                return value > operand  # type: ignore[operator]  # attribute and operand are of one type
            case "<":
                return value < operand  # type: ignore[operator]
            case ">=":
                return value >= operand  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule held against one customer, and both in words: `words` tell the rule, `finding` what the customer has."""

    rule: Rule
    passes: bool
    words: str
    finding: str


def matches(rules: Iterable[Rule], filterable: Filterable, today: date) -> bool:
    """Whether all rules hold for a customer; `today` is the day of the department's calendar."""
    return all(comparison(rule, today).holds(filterable) for rule in rules)


def explain(rules: Iterable[Rule], filterable: Filterable, today: date) -> tuple[RuleResult, ...]:
    """Each rule with pass or fail and what was found, in the words of staff."""
    return tuple(
        RuleResult(rule, comparison(rule, today).holds(filterable), describe(rule), _finding(rule, filterable, today))
        for rule in rules
    )


def comparison(rule: Rule, today: date) -> Comparison:
    """What a rule asks of a customer on that day."""
    field = FIELDS[rule.field]
    if field.computed:
        return _computed_comparison(rule, today)
    compared = _text_comparison(rule)
    when_missing = _when_missing(field, compared)
    return compared if when_missing is None else compared.reading_missing_as(when_missing)


def rule_number(value: RuleValue) -> Decimal | None:
    """The number a rule's value is: written plainly, at most 20 digits. None for everything else."""
    text = comparable_text(str(value)) if value is not None else None
    return plain_decimal(text, digits=NUMBER_DIGITS) if text is not None else None


def describe(rule: Rule) -> str:
    """A rule as a sentence: `State equals "VIC"`, `No invoice in the last 6 months`."""
    field, no = FIELDS[rule.field], rule.operator == "is_not"
    match rule.field:
        case "created_in_last_days":
            return f"{'Not created' if no else 'Created'} in {_period(rule)}"
        case "has_invoice_in_last_days" | "has_invoice_in_last_months":
            return f"{'No invoice' if no else 'Has an invoice'} in {_period(rule)}"
        case "balance_greater_than":
            return f"Balance is {'not ' if no else ''}greater than {rule.value}"
    words = rule.operator.replace("_", " ")
    match field.operators[rule.operator]:
        case "none":
            return f"{field.label} {words}"
        case "number":
            return f"{field.label} is {words} {rule.value}"
        case _:
            return f'{field.label} {words} "{rule.value}"'


def _text_comparison(rule: Rule) -> Comparison:
    field = rule.field
    match rule.operator:
        case "equals" | "does_not_equal":
            return Comparison(field, "=", comparable_text(str(rule.value)), rule.operator == "does_not_equal")
        case "contains" | "does_not_contain":
            return Comparison(field, "contains", comparable_text(str(rule.value)), rule.operator == "does_not_contain")
        case "starts_with" | "does_not_start_with":
            negated = rule.operator == "does_not_start_with"
            return Comparison(field, "starts with", comparable_text(str(rule.value)), negated)
        case "greater_than":
            return Comparison(field, ">", rule_number(rule.value), as_number=True)
        case "less_than":
            return Comparison(field, "<", rule_number(rule.value), as_number=True)
        case "is_empty" | "is_not_empty":
            return Comparison(field, "has a value", negated=rule.operator == "is_empty")
    raise ValueError(f"no operator of texts: {rule.operator}")


def _when_missing(field: Field, compared: Comparison) -> str | None:
    """The text that a missing one counts as: none where the question is whether there is one, or numbers compare."""
    return None if compared.as_number or compared.relation == "has a value" else field.when_missing


def _computed_comparison(rule: Rule, today: date) -> Comparison:
    """A day in the future counts as recent (docs/segments.md says why), so periods have a start and no end."""
    negated = rule.operator == "is_not"
    if rule.field == "balance_greater_than":
        return _of_what_is_readable("balance", ">", rule_number(rule.value), negated)
    attribute = "created_on" if rule.field == "created_in_last_days" else "last_invoice_on"
    return _of_what_is_readable(attribute, ">=", _period_start(rule, today).isoformat(), negated)


def _of_what_is_readable(attribute: str, relation: Relation, operand: Operand | None, negated: bool) -> Comparison:
    return Comparison(attribute, relation, operand, negated, unreadable=f"{attribute}_unreadable")


def _period_start(rule: Rule, today: date) -> date:
    count = int(rule_number(rule.value) or 1)
    if rule.field == "has_invoice_in_last_months":
        return start_of_last_months(today, count)
    return start_of_last_days(today, count)


def _period(rule: Rule) -> str:
    unit = "month" if rule.field == "has_invoice_in_last_months" else "day"
    count = int(rule_number(rule.value) or 1)
    if count > 1:
        return f"the last {count} {unit}s"
    return "the last month" if unit == "month" else "the last day (today)"


def _finding(rule: Rule, filterable: Filterable, today: date) -> str:
    """What the customer has, as far as it may be repeated."""
    field, compared = FIELDS[rule.field], comparison(rule, today)
    if compared.unreadable is not None and (written := getattr(filterable, compared.unreadable)) is not None:
        return (
            f'The {field.noun} in PracBill, "{_shortened(written)}", cannot be read, so neither Is nor Is Not matches.'
        )
    if field.computed:
        return _computed_finding(rule, field, getattr(filterable, compared.attribute), today)
    text: str | None = getattr(filterable, field.name)
    if text is None and (when_missing := _when_missing(field, compared)):
        return f"The {field.noun} is empty, which counts as {when_missing}."
    if text is None:
        return f"The {field.noun} is empty."
    shown = "has a value" if field.private else f'is "{_shortened(text)}"'
    return f"The {field.noun} {shown}" + (
        ", which is not a number." if compared.as_number and number_of(text) is None else "."
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"


def _computed_finding(rule: Rule, field: Field, value: Operand | None, today: date) -> str:
    if value is None:
        return f"PracBill has no {field.noun}."
    if isinstance(value, Decimal):
        return f"The {field.noun} is {value:f}."
    return f"The {field.noun} is of {value}; counted from {_period_start(rule, today)} on."
