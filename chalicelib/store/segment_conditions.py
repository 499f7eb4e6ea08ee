"""Segment rules as DynamoDB filter conditions.

Every rule is one comparison (domain/segments/rules.py), and so is its contrary: "does not match" is written as "one of
the contraries holds", without NOT around anything. What a missing attribute means is thereby spelled out in each
condition and not left to the database.

Limits of DynamoDB (Developer Guide, "Service, account, and table quotas"): an expression has at most 4 KB and 300
operators or functions. 20 rules of the longest form stay below 2 KB and 150; a test counts them. The differences of
several segments share a condition as far as these limits allow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from chalicelib.domain.segments.rules import Comparison, Operand, Selection, comparison

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef


# A little below DynamoDB's limits.
_MOST_BYTES: Final = 4_000
_MOST_OPERATORS: Final = 290
_OPERATORS = re.compile(r"AND|OR|NOT|<>|<=|>=|[=<>]|attribute_\w+|contains|begins_with")

# What each of some segments asks of a customer, by the segments' ids.
Asked = Mapping[str, Sequence[Comparison]]


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter expression and what its placeholders stand for. An empty expression lets everybody through."""

    expression: str
    names: dict[str, str]
    values: dict[str, AttributeValueTypeDef]


def compile_selection(selection: Selection) -> Condition:
    """The condition that exactly the selected customers fulfil."""
    writer = _Writer()
    parts = []
    if selection.inside is not None:
        parts.append(writer.tagged(selection.inside))
    if selection.outside is not None:
        parts.append(writer.untagged(selection.outside))
    if selection.with_address:
        parts.append(f"attribute_exists({writer.name('address_key')})")
    if selection.tagged:
        parts.append(f"attribute_exists({writer.name('in_segments')})")
    comparisons = [comparison(rule, selection.today) for rule in selection.rules]
    if selection.holds:
        parts += [writer.written(each) for each in comparisons]
    else:
        parts.append(" OR ".join(writer.written(each.contrary()) for each in comparisons))
    if selection.unless:
        others = (comparison(rule, selection.today).contrary() for rule in selection.unless)
        parts.append(" OR ".join(writer.written(each) for each in others))
    return Condition(_all_of(parts), writer.names, writer.values)


def compile_differences(asked: Asked) -> Iterator[tuple[Condition, Asked]]:
    """Conditions that those fulfil who enter or leave any of the segments, each with the segments it is about.

    As few as DynamoDB's limits allow, for each is a reading of all customers.
    """
    waiting = list(asked.items())
    while waiting:
        part = dict(waiting[:1])
        for segment_id, comparisons in waiting[1:]:
            more = {**part, segment_id: comparisons}
            if not _fits(_differing_in(more)):
                break
            part = more
        yield _differing_in(part), part
        waiting = waiting[len(part) :]


def _differing_in(asked: Asked) -> Condition:
    writer = _Writer()
    expression = " OR ".join(_differing(writer, segment_id, comparisons) for segment_id, comparisons in asked.items())
    return Condition(expression, writer.names, writer.values)


def _fits(condition: Condition) -> bool:
    return len(condition.expression) <= _MOST_BYTES and len(_OPERATORS.findall(condition.expression)) <= _MOST_OPERATORS


def _differing(writer: _Writer, segment_id: str, comparisons: Sequence[Comparison]) -> str:
    """Fulfils the rules without the tag, or carries the tag without fulfilling them."""
    enters = _all_of([writer.untagged(segment_id), *(writer.written(each) for each in comparisons)])
    contrary = " OR ".join(writer.written(each.contrary()) for each in comparisons)
    leaves = _all_of([writer.tagged(segment_id), contrary])
    return f"({enters}) OR ({leaves})"


def _all_of(parts: list[str]) -> str:
    """Parts joined by AND, those with an OR in brackets. Doubled brackets are an error to DynamoDB."""
    if len(parts) == 1:
        return parts[0]
    return " AND ".join(f"({part})" if " OR " in part else part for part in parts)


@dataclass(slots=True)
class _Writer:
    """Writes comparisons with placeholders, for DynamoDB reserves some 570 words and `status` is one."""

    by_attribute: dict[str, str] = field(default_factory=dict)
    by_value: dict[tuple[str, str], str] = field(default_factory=dict)
    values: dict[str, AttributeValueTypeDef] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, str]:
        return {placeholder: attribute for attribute, placeholder in self.by_attribute.items()}

    def name(self, attribute: str) -> str:
        return self.by_attribute.setdefault(attribute, f"#f{len(self.by_attribute)}")

    def value(self, operand: Operand) -> str:
        """The placeholder of an operand; the same one for the same operand, which keeps expressions short."""
        kind, text = ("N", f"{operand:f}") if isinstance(operand, Decimal) else ("S", operand)
        placeholder = self.by_value.setdefault((kind, text), f":v{len(self.by_value)}")
        self.values[placeholder] = {"N": text} if kind == "N" else {"S": text}
        return placeholder

    def tagged(self, segment_id: str) -> str:
        return f"contains({self.name('in_segments')}, {self.value(segment_id)})"

    def untagged(self, segment_id: str) -> str:
        name = self.name("in_segments")
        return f"attribute_not_exists({name}) OR NOT contains({name}, {self.value(segment_id)})"

    def written(self, compared: Comparison) -> str:
        """One comparison; what it is to a customer without the attribute, or with an unreadable one, is spelled out."""
        name = self.name(compared.attribute)
        if compared.operand is None:
            return f"attribute_not_exists({name})" if compared.is_turned else f"attribute_exists({name})"
        plain, opposite = _FORMS[compared.relation]
        form = (opposite if compared.is_turned else plain).format(name=name, value=self.value(compared.operand))
        # Who has something unreadable lacks the attribute itself, too.
        if compared.holds_for_missing:
            return f"attribute_not_exists({name}){self._and_readable(compared)} OR {form}"
        form = f"attribute_exists({name}) AND {form}" if compared.is_turned else form
        return f"{self._unreadable_or(compared)}{form}"

    def _and_readable(self, compared: Comparison) -> str:
        if compared.unreadable is None or compared.inverted:
            return ""
        return f" AND attribute_not_exists({self.name(compared.unreadable)})"

    def _unreadable_or(self, compared: Comparison) -> str:
        if compared.unreadable is None or not compared.inverted:
            return ""
        return f"attribute_exists({self.name(compared.unreadable)}) OR "


# Each relation and its opposite for an attribute that is there.
_FORMS = {
    "=": ("{name} = {value}", "{name} <> {value}"),
    ">": ("{name} > {value}", "{name} <= {value}"),
    "<": ("{name} < {value}", "{name} >= {value}"),
    ">=": ("{name} >= {value}", "{name} < {value}"),
    "starts with": ("begins_with({name}, {value})", "NOT begins_with({name}, {value})"),
    "contains": ("contains({name}, {value})", "NOT contains({name}, {value})"),
}
