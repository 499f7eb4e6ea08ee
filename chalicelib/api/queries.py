"""Query parameters: their models, and reading them as strictly as bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from chalicelib.api.faults import Fault, field_errors
from chalicelib.domain.logs import Direction, LogStatus, LogTrigger, LogType, Outcome
from chalicelib.errors import FieldError, bad_input

DEFAULT_LIMIT = 50


class Query(BaseModel):
    """The parameters a route knows; others are refused. One that is given empty counts as left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)


QueryModel = TypeVar("QueryModel", bound=Query)


def read_query(given: Mapping[str, list[str]], model: type[QueryModel]) -> QueryModel:
    """The query of a request as its model. Raises RefuseRequest (400) with one entry for each fault."""
    twice = [name for name, values in given.items() if len(values) > 1]
    if twice:
        raise bad_input(*(FieldError(name[:100], "is given more than once", "given_twice") for name in twice))
    try:
        return model.model_validate({name: values[0] for name, values in given.items() if values and values[0]})
    except ValidationError as error:
        raise bad_input(*field_errors(error, whole="query")) from error


def _whole_number(text: object) -> object:
    if isinstance(text, str):
        if not (text.isascii() and text.isdigit() and len(text) <= 9):
            raise Fault("must be a whole number", "not_a_whole_number")
        return int(text)
    return text


def _any_case(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


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


class RecordsQuery(PageQuery):
    """Records of one outcome only."""

    outcome: Annotated[Outcome | None, BeforeValidator(_any_case), Field(description="How it ended.")] = None


class LogsQuery(PageQuery):
    """Log entries of one direction, type, status or trigger only."""

    direction: Annotated[Direction | None, BeforeValidator(_any_case), Field(description="To or from Mailchimp.")] = (
        None
    )
    type: Annotated[
        LogType | None, BeforeValidator(_any_case), Field(description="Everything was read, or changes.")
    ] = None
    status: Annotated[LogStatus | None, BeforeValidator(_any_case), Field(description="How it ended.")] = None
    trigger: Annotated[LogTrigger | None, BeforeValidator(_any_case), Field(description="What started it.")] = None


class DepartmentQuery(Query):
    """The department whose own values to offer; needs access to it."""

    department_id: Annotated[
        str | None, Field(description="Offer this department's own values, too; needs read access to it.")
    ] = None
