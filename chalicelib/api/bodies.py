"""Request bodies: their models, and reading them with every fault told in plain words.

The models check shape only: types, lengths, closed choices. What a value means is checked by the workflows, where
the rules live. Unknown fields are refused, so that a misspelt option is never silently ignored.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)

from chalicelib.api.faults import COUNTRY_FORM, IDENTIFIER_FORM, LANGUAGE_FORM, Fault, field_errors
from chalicelib.contract.account import BrakeChanges, SettingsChanges
from chalicelib.domain.audiences import NewAudience
from chalicelib.domain.consent.rules import OnRemoved, UnknownConsent
from chalicelib.domain.customers import Address
from chalicelib.domain.segments.fields import FIELDS, OPERATOR_LABELS
from chalicelib.domain.segments.validation import Definition, check_definition, check_rules, read_name, read_rules
from chalicelib.errors import FieldError, RefuseRequest, bad_input

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chalicelib.domain.segments.rules import Rule

LARGEST_BODY = 64 * 1024
# For the API description; whether a key is one says chalicelib/mailchimp/keys.py, with words that help.
_KEY_FORM = r"^\s*[0-9a-f]{32}-[a-z]{2,3}[0-9]{1,3}\s*$"
_LONGEST_RULE_VALUE = 1000
# What DynamoDB can hold of a number.
_MOST_DIGITS = 38
_MAIL_ADDRESS = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


class Body(BaseModel):
    """A JSON object with known fields only; no value is converted from another type."""

    # A body is learnt by the first request that has it, and not by every function that starts.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)

    @classmethod
    def faults_of_meaning(cls, document: Mapping[str, Any]) -> Sequence[FieldError]:
        """What the workflows would find wrong with a document that does not fit the model: all is told at once."""
        return ()


# As it is sent: what it means to a field is checked with the rule.
RuleValue = str | int | Decimal | None

BodyModel = TypeVar("BodyModel", bound=Body)


def read_body(raw: bytes, model: type[BodyModel]) -> BodyModel:
    """The body of a request as its model. An empty body counts as `{}` where nothing is required.

    Raises RefuseRequest: 413 for a body over 64 KiB, else 400 with one entry for each fault.
    """
    if len(raw) > LARGEST_BODY:
        words = f"A body may have at most {LARGEST_BODY} bytes."
        errors = (FieldError("body", words),)
        raise RefuseRequest(words, status=413, title="Body too large", code="body-too-large", errors=errors)
    if not raw.strip() and model is NoBody:
        raw = b"{}"
    document = _parse(raw)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        faults = field_errors(error, whole="body")
        meant = model.faults_of_meaning(document) if isinstance(document, dict) else ()
        named = {fault.field for fault in faults}
        raise bad_input(*faults, *(fault for fault in meant if fault.field not in named)) from error


def _parse(raw: bytes) -> object:
    try:
        return json.loads(raw.decode(), object_pairs_hook=_object, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise bad_input(FieldError("body", "The body is not valid JSON.", "not_json")) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        # Which of the two was meant nobody can say; other readers of the same text might take the other one.
        names = [name for name, _ in pairs]
        twice = sorted({name[:100] for name in names if names.count(name) > 1})
        raise bad_input(*(FieldError(name, "Give this only once.", "given_twice") for name in twice))
    return fields


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


# ------------------------------------------------------------------------------------------------------ kinds of text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise Fault("Use one line of text.", "not_one_line")
    return text


def _looks_like_an_address(text: str) -> str:
    if not _MAIL_ADDRESS.fullmatch(text):
        raise Fault("Give an e-mail address.", "not_an_address")
    return text


def _rule_value(value: object) -> RuleValue:
    if value is None:
        return None
    if isinstance(value, str):
        if len(value) > _LONGEST_RULE_VALUE:
            raise Fault(f"Use at most {_LONGEST_RULE_VALUE} characters.", "too_long", most=_LONGEST_RULE_VALUE)
        return value
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        number = Decimal(value)
        if len(number.as_tuple().digits) > _MOST_DIGITS or abs(number.adjusted()) > _MOST_DIGITS:
            raise Fault(f"Use at most {_MOST_DIGITS} digits.", "too_many_digits", most=_MOST_DIGITS)
        return value
    raise Fault("Give a text or a number.", "not_text_or_number")


# What a check in code demands is told to readers of the API description too, as far as a pattern can say it.
_NOT_BLANK = Field(json_schema_extra={"pattern": r"\S"})
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_one_line), _NOT_BLANK
]
Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255), AfterValidator(_one_line), _NOT_BLANK
]
OptionalLine = Annotated[str, StringConstraints(strip_whitespace=True, max_length=255), AfterValidator(_one_line)]
Identifier = Annotated[str, StringConstraints(pattern=IDENTIFIER_FORM)]
Limit = Annotated[int, Field(ge=0, le=10_000_000)]
Percent = Annotated[int, Field(ge=0, le=100)]
Value = Annotated[RuleValue, PlainValidator(_rule_value), WithJsonSchema({"type": ["string", "number", "null"]})]


# ------------------------------------------------------------------------------------------------------------- bodies


class NoBody(Body):
    """Nothing, or an empty object."""


class ConnectBody(Body):
    """A Mailchimp API key, as Mailchimp shows it once when it is created."""

    api_key: Annotated[Line, Field(json_schema_extra={"pattern": _KEY_FORM})]


class AddressBody(Body):
    """The sender's postal address; `country` as ISO 3166 two letters."""

    line1: Line
    line2: OptionalLine = ""
    city: Line
    state: OptionalLine = ""
    postcode: OptionalLine = ""
    country: Annotated[str, StringConstraints(strip_whitespace=True, pattern=COUNTRY_FORM, to_upper=True)]


class NewAudienceBody(Body):
    """What Mailchimp wants to know of an audience. Anti-spam laws require the sender's postal address."""

    name: Name
    from_name: Name
    from_email: Annotated[
        str,
        StringConstraints(strip_whitespace=True, max_length=254),
        AfterValidator(_looks_like_an_address),
        Field(json_schema_extra={"pattern": rf"^\s*{_MAIL_ADDRESS.pattern}\s*$"}),
    ]
    company: Line
    address: AddressBody
    language: Annotated[str, StringConstraints(pattern=LANGUAGE_FORM)] = "en"
    permission_reminder: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)] = (
        "You receive this e-mail because you are a customer of ours."
    )

    def to_audience(self) -> NewAudience:
        fields = self.model_dump(exclude={"address"})
        return NewAudience(**fields, address=Address(**self.address.model_dump()))


class SelectAudienceBody(Body):
    """The audience to use, by its Mailchimp id."""

    audience_id: Identifier


class BrakeBody(Body):
    """Limits beyond which a plan waits for approval: more than the count and more than the share of the audience."""

    removals: Limit | None = None
    removals_percent: Percent | None = None
    additions: Limit | None = None
    additions_percent: Percent | None = None


class SettingsBody(Body):
    """Settings to change; those left out, or null, stay as they are."""

    unknown_consent: UnknownConsent | None = None
    on_removed: OnRemoved | None = None
    ask_again: bool | None = None
    brake: BrakeBody | None = None
    paused: bool | None = None

    def to_changes(self) -> SettingsChanges:
        brake = BrakeChanges(**self.brake.model_dump()) if self.brake is not None else BrakeChanges()
        return SettingsChanges(**self.model_dump(exclude={"brake"}), brake=brake)


class RuleBody(Body):
    """One filter rule; GET /segment-fields tells the fields, their operators and which of them take a value."""

    field: Annotated[
        str, StringConstraints(min_length=1, max_length=64), Field(json_schema_extra={"enum": list(FIELDS)})
    ]
    operator: Annotated[
        str, StringConstraints(min_length=1, max_length=64), Field(json_schema_extra={"enum": list(OPERATOR_LABELS)})
    ]
    value: Value = None


Rules = Annotated[list[RuleBody], Field(min_length=1, max_length=20)]


class SegmentBody(Body):
    """A segment's name and rules."""

    name: Name
    rules: Rules

    @classmethod
    def faults_of_meaning(cls, document: Mapping[str, Any]) -> Sequence[FieldError]:
        return (*read_name(document.get("name"))[1], *read_rules(document.get("rules"))[1])

    def to_definition(self) -> Definition:
        """The segment, if it means something. Raises RefuseRequest (400)."""
        return check_definition(self.name, [rule.model_dump() for rule in self.rules])


class SegmentEditBody(SegmentBody):
    """A segment's new name and rules. With `version`, the edit is refused if somebody else edited in between."""

    version: Annotated[int, Field(ge=0)] | None = None


class PreviewBody(Body):
    """Rules to try out. `segment_id` compares with that segment, `per_rule` counts each rule alone, too."""

    rules: Rules
    segment_id: Identifier | None = None
    per_rule: bool = False

    @classmethod
    def faults_of_meaning(cls, document: Mapping[str, Any]) -> Sequence[FieldError]:
        return read_rules(document.get("rules"))[1]

    def to_rules(self) -> tuple[Rule, ...]:
        """The rules, if they mean something. Raises RefuseRequest (400)."""
        return check_rules([rule.model_dump() for rule in self.rules])


class StartSyncBody(Body):
    """Which sync to start. A dry run plans and records, but sends nothing."""

    type: Literal["incremental", "full"]
    dry_run: bool = False


class EraseBody(Body):
    """The customer's id once more, so that nobody is erased by a slip of the hand."""

    confirm: Annotated[str, StringConstraints(min_length=1, max_length=200)]
