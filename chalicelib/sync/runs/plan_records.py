"""The records of what a plan decided, before anything is carried out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain.hold_reasons import Explanation, explanation
from chalicelib.domain.partly_sent import explain_partly_sent
from chalicelib.domain.push_results import record_about

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from chalicelib.domain.consent.members import OptOut
    from chalicelib.domain.logs import Record
    from chalicelib.domain.planning import Held, Operation


def planned_record(operation: Operation, at: datetime) -> Record:
    """The record of an operation that is not carried out yet; applying it replaces the record."""
    words = explain_partly_sent(operation.left_out) if operation.left_out else Explanation("", "")
    record = record_about(operation, at, action=operation.action)
    return replace(record, outcome="planned", cause=words.cause, fix=words.fix)


def unchanged_record(held: Held, at: datetime) -> Record:
    """The record of an address with which all is well and nothing to do; it is kept only with more to say."""
    return record_about(held, at, action="none")


def held_record(held: Held, at: datetime, *, no: OptOut | None, zone: tzinfo) -> Record:
    """The record of an address for which nothing was sent; `no` is its last known opt-out, `zone` the department's."""
    words = explanation(held.code, held.words, field=held.field, no=no, zone=zone)
    record = record_about(held, at, action="none")
    return replace(record, outcome="held", code=held.code, cause=words.cause, fix=words.fix, params=words.params)
