"""The fields that filter rules can ask about, and the operators each allows. docs/segments.md tells staff the same.

Names and labels are those of the user guide's tables. A field is a text of the customer, or computed from the calendar
or the balance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

ValueType = Literal["text", "number", "whole_number", "decimal", "none"]

MOST_RULES: Final = 20
LONGEST_VALUE: Final = 255
LONGEST_NAME: Final = 100
# A hundred years, beyond any customer; more would leave the calendar, whose first year is 1.
MOST_DAYS: Final = 36_500
MOST_MONTHS: Final = 1_200

OPERATOR_LABELS: Final[Mapping[str, str]] = {
    "equals": "Equals",
    "does_not_equal": "Does Not Equal",
    "contains": "Contains",
    "does_not_contain": "Does Not Contain",
    "starts_with": "Starts With",
    "does_not_start_with": "Does Not Start With",
    "greater_than": "Greater Than",
    "less_than": "Less Than",
    "is_empty": "Is Empty",
    "is_not_empty": "Is Not Empty",
    "is": "Is",
    "is_not": "Is Not",
}
_TEXT_OPERATORS: Final[Mapping[str, ValueType]] = {
    "equals": "text",
    "does_not_equal": "text",
    "contains": "text",
    "does_not_contain": "text",
    "starts_with": "text",
    "does_not_start_with": "text",
    "greater_than": "number",
    "less_than": "number",
    "is_empty": "none",
    "is_not_empty": "none",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A value worth offering for a field, with the words to show for it."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `operators` maps each operator it allows to the type of value that goes with it.

    `noun` names it within a sentence. `largest` bounds a whole number. `private` fields hold a name or an address:
    their content is not repeated in explanations. `when_missing` is the text that comparisons of texts take for a
    customer without one.
    """

    name: str
    label: str
    noun: str
    hint: str
    operators: Mapping[str, ValueType]
    computed: bool = False
    private: bool = False
    when_missing: str | None = None
    largest: int = 0
    choices: tuple[Choice, ...] = ()


def _computed(value_type: ValueType) -> Mapping[str, ValueType]:
    return {"is": value_type, "is_not": value_type}


def _text(name: str, label: str, noun: str, hint: str, *, private: bool = False) -> Field:
    return Field(name, label, noun, hint, _TEXT_OPERATORS, private=private)


_ACTIVE_OR_NOT = Field(
    "inactive",
    "Active/Inactive",
    "active/inactive mark",
    "0 is active, 1 is inactive; customers without a value are active",
    _TEXT_OPERATORS,
    when_missing="0",  # as PracBill does
    choices=(Choice("0", "Active"), Choice("1", "Inactive")),
)
_TABLE: Final = (
    _text("company_name", "Company Name", "company name", "Customer's company name", private=True),
    _text("email", "Email", "e-mail address", "Customer's e-mail address", private=True),
    _text("city", "City", "city", "City of the address"),
    _text("state", "State", "state", "State or province, as PracBill writes it"),
    _text("postcode", "Postcode", "postcode", "Postal or ZIP code; Starts With 3 finds 3000 to 3999"),
    _text("country", "Country", "country", "Country code, such as AU"),
    _ACTIVE_OR_NOT,
    _text("status", "Status", "status", "Customer status"),
    _text("customer_type", "Customer Type", "customer type", "Type classification"),
    Field(
        "created_in_last_days",
        "Created in Last N Days",
        "creation date",
        "Calendar days, today included",
        _computed("whole_number"),
        computed=True,
        largest=MOST_DAYS,
    ),
    Field(
        "has_invoice_in_last_days",
        "Has Invoice in Last N Days",
        "last invoice",
        "Calendar days, today included",
        _computed("whole_number"),
        computed=True,
        largest=MOST_DAYS,
    ),
    Field(
        "has_invoice_in_last_months",
        "Has Invoice in Last N Months",
        "last invoice",
        "From the same day N months ago, today included",
        _computed("whole_number"),
        computed=True,
        largest=MOST_MONTHS,
    ),
    Field(
        "balance_greater_than",
        "Balance Greater Than",
        "balance",
        "Outstanding balance in the department's currency",
        _computed("decimal"),
        computed=True,
    ),
)
FIELDS: Final[Mapping[str, Field]] = {field.name: field for field in _TABLE}
