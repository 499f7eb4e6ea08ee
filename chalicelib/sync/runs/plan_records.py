"""The records of what a plan decided, before anything is carried out."""

from __future__ import annotations

from datetime import datetime, tzinfo

from chalicelib.domain.addresses import mask_address
from chalicelib.domain.consent.members import OptOut
from chalicelib.domain.hold_reasons import Explanation, explanation
from chalicelib.domain.logs import Record
from chalicelib.domain.partly_sent import explain_partly_sent
from chalicelib.domain.planning import Held, Operation


def planned_record(operation: Operation, at: datetime) -> Record:
    """The record of an operation that is not carried out yet; applying it replaces the record."""
    words = explain_partly_sent(operation.left_out) if operation.left_out else Explanation("", "")
    return Record(
        key=operation.address_key,
        customer_id=operation.customer_id,
        address=mask_address(operation.address),
        action=operation.action,
        outcome="planned",
        code=operation.rule,
        cause=words.cause,
        fix=words.fix,
        at=at,
    )


def unchanged_record(held: Held, at: datetime) -> Record:
    """The record of an address with which all is well and nothing to do; it is kept only with more to say."""
    return Record(
        key=held.address_key,
        customer_id=held.customer_id,
        address=mask_address(held.address),
        action="none",
        outcome="done",
        code=held.rule,
        cause="",
        fix="",
        at=at,
    )


def held_record(held: Held, at: datetime, *, no: OptOut | None, zone: tzinfo) -> Record:
    """The record of an address for which nothing was sent; `no` is its last known opt-out, `zone` the department's."""
    words = explanation(held.code, held.words, field=held.field, no=no, zone=zone)
    return Record(
        key=held.address_key,
        customer_id=held.customer_id,
        address=mask_address(held.address),
        action="none",
        outcome="held",
        code=held.code,
        cause=words.cause,
        fix=words.fix,
        at=at,
        params=words.params,
    )
