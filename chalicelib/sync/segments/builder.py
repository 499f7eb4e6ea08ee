"""What a segment builder needs to draw itself: the fields with their operators, and ready-made segments.

Values worth offering are those that the department's customers have, the most frequent first.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from chalicelib.contract.segments import FieldOperator, SegmentField, SegmentFields, SegmentTemplate
from chalicelib.domain.segments.fields import FIELDS, MOST_RULES, OPERATOR_LABELS, Choice, Field
from chalicelib.domain.segments.filterable import comparable_text
from chalicelib.domain.segments.rules import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from chalicelib.store.customer_reading import CustomerReader

CHOICE_FIELDS = ("state", "country", "status", "customer_type")
# Typing errors are values too; the most useful list is a short one.
_MOST_CHOICES = 30
_LONGEST_CHOICE = 60
_CODES = ("state", "country")
_LONGEST_CODE = 3
_MOST_STATES: Final = 20
_LONGEST_STATE: Final = 40


def field_descriptions(choices: Mapping[str, Iterable[Choice]] | None = None) -> SegmentFields:
    """What a segment builder needs to draw itself. `choices` adds values worth offering, by field name."""
    more = choices or {}
    return SegmentFields(
        tuple(_description(field, tuple(more.get(field.name, ()))) for field in FIELDS.values()), max_rules=MOST_RULES
    )


def _description(field: Field, more: tuple[Choice, ...]) -> SegmentField:
    operators = (FieldOperator(name, OPERATOR_LABELS[name], value_type) for name, value_type in field.operators.items())
    return SegmentField(
        field=field.name,
        label=field.label,
        hint=field.hint,
        computed=field.computed,
        operators=tuple(operators),
        choices=field.choices + more,
    )


def segment_templates(states_seen: Iterable[str] = ()) -> tuple[SegmentTemplate, ...]:
    """Ready-made segments to start from: those that practices want most, and one for each state, first ones first."""
    return (
        SegmentTemplate(
            "active_customers",
            "Active customers",
            "Everybody who is not marked inactive.",
            # As PracBill reads the mark: whatever is not 1 is active.
            (Rule("inactive", "does_not_equal", "1"),),
        ),
        SegmentTemplate(
            "no_recent_invoice",
            "No invoice in the last 6 months",
            "Customers to win back, those never invoiced among them.",
            (Rule("has_invoice_in_last_months", "is_not", 6),),
        ),
        SegmentTemplate(
            "owes_money",
            "Owes money",
            "Customers with an outstanding balance.",
            (Rule("balance_greater_than", "is", 0),),
        ),
        SegmentTemplate(
            "new_customers",
            "New in the last 30 days",
            "Customers to welcome.",
            (Rule("created_in_last_days", "is", 30),),
        ),
        *_state_templates(states_seen),
    )


def _state_templates(states_seen: Iterable[str]) -> tuple[SegmentTemplate, ...]:
    shown: dict[str, str] = {}
    for state in states_seen:
        comparable = comparable_text(state)
        if comparable and len(comparable) <= _LONGEST_STATE and comparable.isprintable():
            shown.setdefault(comparable, _shown_state(state.strip()))
        if len(shown) == _MOST_STATES:
            break
    return tuple(
        SegmentTemplate(
            f"state_{comparable}",
            f"Customers in {state}",
            f'Customers whose state is "{state}".',
            (Rule("state", "equals", state),),
        )
        for comparable, state in shown.items()
    )


def _shown_state(state: str) -> str:
    """Stored states are case-folded: "vic" was "VIC", "bayern" was "Bayern"."""
    if state != state.casefold():
        return state
    return state.upper() if len(state) <= len("NSW") else state.title()


def texts_of(
    reader: CustomerReader, fields: Sequence[str], *, seconds: float, clock: Callable[[], float] = time.monotonic
) -> dict[str, Counter[str]]:
    """How often which text occurs in each of the fields, of as many customers as can be read in that time."""
    found: dict[str, Counter[str]] = {field: Counter() for field in fields}
    end = clock() + seconds
    for page in reader.pages():
        for row in page:
            filterable = row.filterable
            for field in fields:
                if text := getattr(filterable, field):
                    found[field][text] += 1
        if clock() > end:
            break
    return found


def choices_of(field: str, texts: Counter[str]) -> tuple[Choice, ...]:
    """The choices for a field of whose stored, case-folded `texts` it is known how often each occurs."""
    usable = [text for text, _ in texts.most_common() if len(text) <= _LONGEST_CHOICE and text.isprintable()]
    return tuple(Choice(_shown(field, text), _shown(field, text)) for text in usable[:_MOST_CHOICES])


def _shown(field: str, text: str) -> str:
    """As somebody would write it: "vic" was "VIC", "on hold" was "On hold". Rules do not mind the case."""
    if field in _CODES:
        return text.upper() if len(text) <= _LONGEST_CODE else text.title()
    return text[:1].upper() + text[1:]
