"""Query parameters: their models, and reading them as strictly as bodies."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import MAXYEAR, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)

from chalicelib.api.faults import CODE_FORM, CUSTOMER_ID_FORM, Fault, field_errors
from chalicelib.domain.logs import Direction, LogFilter, LogStatus, LogTrigger, LogType, Outcome
from chalicelib.domain.moments import parse_exact_moment
from chalicelib.errors import FieldError, bad_input

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_LIMIT = 50
MOST_ITEMS = 100
# Half a megabyte of CSV: neither Lambda nor the gateway minds it.
MOST_ROWS = 1000
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME_FORM = r"^\d{4}-\d{2}-\d{2}([Tt ].+)?$"
_OUTCOMES = "|".join(get_args(Outcome))
_SEVERAL_OUTCOMES = f"^({_OUTCOMES})(,({_OUTCOMES}))*$"
_Word = Annotated[str, StringConstraints(pattern=CODE_FORM)]
_Sought = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=200)]
_SoughtName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
_CustomerId = Annotated[str, StringConstraints(pattern=CUSTOMER_ID_FORM)]


class Query(BaseModel):
    """The parameters a route knows; others are refused. One that is given empty counts as left out."""

    # As of bodies: learnt by the first request.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


QueryModel = TypeVar("QueryModel", bound=Query)


def read_query(given: Mapping[str, list[str]], model: type[QueryModel]) -> QueryModel:
    """The query of a request as its model. Raises RefuseRequest (400) with one entry for each fault."""
    twice = [name for name, values in given.items() if len(values) > 1]
    if twice:
        raise bad_input(*(FieldError(name[:100], "Give this only once.", "given_twice") for name in twice))
    try:
        return model.model_validate({name: values[0] for name, values in given.items() if values and values[0]})
    except ValidationError as error:
        # A parameter is one text, whatever it is parted into.
        faults = {fault.field.partition("[")[0]: fault for fault in field_errors(error, whole="query")}
        raise bad_input(*(replace(fault, field=name) for name, fault in faults.items())) from error


def _whole_number(text: object) -> object:
    if isinstance(text, str):
        if not (text.isascii() and text.isdigit() and len(text) <= 9):
            raise Fault("Give a whole number.", "not_a_whole_number")
        return int(text)
    return text


def _any_case(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


def _several(text: object) -> object:
    return tuple(dict.fromkeys(text.lower().split(","))) if isinstance(text, str) else text


def _first_moment(text: object) -> object:
    if not isinstance(text, str):
        return text
    # In an address a plus is a space.
    moment = parse_exact_moment(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text.replace(" ", "+"))
    if moment is None:
        raise Fault("Give a time such as 2026-11-01T08:00:00Z or a day such as 2026-11-01.", "not_a_time")
    return moment


def _moment_after(text: object) -> object:
    moment = _first_moment(text)
    if isinstance(text, str) and _DAY.fullmatch(text) and isinstance(moment, datetime) and moment.year < MAXYEAR:
        return moment + timedelta(days=1)
    return moment


class NoQuery(Query):
    """No parameters."""


class PageQuery(Query):
    """Where in a list to read."""

    limit: Annotated[
        int, Field(ge=1, le=100, description="How many items to answer at most."), BeforeValidator(_whole_number)
    ] = DEFAULT_LIMIT
    cursor: Annotated[
        str | None, Field(description="`next_cursor` of the page before; leave it out for the first page.")
    ] = None


class AudiencesQuery(PageQuery):
    """The account's audiences of one name only."""

    name: Annotated[
        _SoughtName | None,
        Field(description="Only those of this name. Capital and small letters are the same."),
    ] = None


class RowsQuery(PageQuery):
    """Where in a list to read that is answered as CSV as well."""

    limit: Annotated[
        int | None,
        Field(
            ge=1,
            le=MOST_ROWS,
            description=f"How many at most: {DEFAULT_LIMIT} when left out and up to {MOST_ITEMS}; as CSV {MOST_ROWS}.",
        ),
        BeforeValidator(_whole_number),
    ] = None  # type: ignore[assignment]

    def rows(self, *, is_csv: bool) -> int:
        """How many to answer at most. Raises RefuseRequest (400) for more than JSON is answered with."""
        if self.limit is None:
            return MOST_ROWS if is_csv else DEFAULT_LIMIT
        if not is_csv and self.limit > MOST_ITEMS:
            raise bad_input(
                FieldError("limit", f"Give a number of at most {MOST_ITEMS}.", "too_large", {"most": MOST_ITEMS})
            )
        return self.limit


class RecordsQuery(RowsQuery):
    """Records of some outcomes, of one code, action or customer only."""

    outcome: Annotated[
        tuple[Outcome, ...] | None,
        BeforeValidator(_several),
        WithJsonSchema({"type": "string", "pattern": _SEVERAL_OUTCOMES}),
        Field(description="How it ended: one or several, separated by commas."),
    ] = None
    code: Annotated[_Word | None, Field(description="The case, as `code` of a record.")] = None
    action: Annotated[_Word | None, Field(description="What was done or planned, as `action` of a record.")] = None
    customer_id: Annotated[_CustomerId | None, Field(description="Whose records.")] = None


class LogsQuery(RowsQuery):
    """Log entries of one direction, type, status or trigger only, or of some days."""

    direction: Annotated[Direction | None, BeforeValidator(_any_case), Field(description="To or from Mailchimp.")] = (
        None
    )
    type: Annotated[
        LogType | None, BeforeValidator(_any_case), Field(description="Everything was read, or changes.")
    ] = None
    status: Annotated[LogStatus | None, BeforeValidator(_any_case), Field(description="How it ended.")] = None
    trigger: Annotated[LogTrigger | None, BeforeValidator(_any_case), Field(description="What started it.")] = None

    since: Annotated[
        datetime | None,
        BeforeValidator(_first_moment),
        WithJsonSchema({"type": "string", "pattern": _TIME_FORM}),
        Field(description="The earliest: a time (RFC 3339), or a day in UTC such as 2026-11-01."),
    ] = None
    until: Annotated[
        datetime | None,
        BeforeValidator(_moment_after),
        WithJsonSchema({"type": "string", "pattern": _TIME_FORM}),
        Field(description="The first that is too late: a time (RFC 3339), or the last day in UTC, which is included."),
    ] = None

    def to_filter(self) -> LogFilter:
        return LogFilter(**self.model_dump(exclude={"limit", "cursor"}))


class HistoryQuery(Query):
    """How far to look back."""

    days: Annotated[
        int, Field(ge=1, le=366, description="How many days, today among them."), BeforeValidator(_whole_number)
    ] = 90


class SearchQuery(Query):
    """What to look for."""

    query: Annotated[
        _Sought | None,
        Field(description="An e-mail address, an id, or a part of a name, of at least two characters."),
    ] = None


class DepartmentQuery(Query):
    """The department whose own values to offer; needs access to it."""

    department_id: Annotated[
        str | None, Field(description="Offer this department's own values, too; needs read access to it.")
    ] = None
