"""Values as JSON documents: what is read is what was written, also by an earlier version."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.consent.members import ConsentState, DeliveryState
from chalicelib.domain.consent.observations import OutboxEntry
from chalicelib.domain.departments import Department
from chalicelib.domain.logs import LedgerEntry, LogEntry, Moment, Record
from chalicelib.domain.planning import Operation
from chalicelib.domain.runs import PhaseCount, Run
from chalicelib.domain.schedule import Firing
from chalicelib.domain.segments.segment import Segment
from chalicelib.store.documents import from_document, from_list, to_document, to_short_list
from chalicelib.store.requests import KeptRequest
from tests.examples import examples

KINDS = [
    ConsentState,
    DeliveryState,
    Department,
    Firing,
    KeptRequest,
    LedgerEntry,
    LogEntry,
    Moment,
    Operation,
    OutboxEntry,
    PhaseCount,
    Record,
    Run,
    Segment,
]


# Made once: reading the types of the fields anew for each example took longer than the example.
VALUES: dict[type[Any], st.SearchStrategy[Any]] = {
    kind: st.builds(kind, **{field.name: ... for field in fields(kind)}) for kind in KINDS
}


@pytest.mark.parametrize("kind", KINDS)
@examples(30)
@given(data=st.data())
def test_whatever_is_stored_comes_back_as_it_was(kind: type[Any], data: st.DataObject) -> None:
    value = data.draw(VALUES[kind])
    assert from_document(kind, to_document(value)) == value
    assert from_list(kind, to_short_list([value, value])) == (value, value)


def test_a_document_of_before_lacks_fields_and_has_others() -> None:
    before = '{"done":3,"seen_long_ago":true}'
    assert from_document(PhaseCount, before) == PhaseCount(done=3)


def test_a_moment_is_written_in_universal_time() -> None:
    entry = Firing("rate(4 hours)", at=datetime(2026, 1, 5, 12, tzinfo=UTC))
    assert to_document(entry) == '{"expression":"rate(4 hours)","at":"2026-01-05T12:00:00Z"}'


def test_a_document_that_holds_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="done"):
        from_document(PhaseCount, '{"done":"three"}')


def test_a_list_leaves_out_what_has_its_default() -> None:
    operation = Operation("add", "ab", "a@clinic.test", "yes-absent")
    assert to_short_list([operation]) == (
        b'[{"action":"add","address_key":"ab","address":"a@clinic.test","rule":"yes-absent"}]'
    )


def test_an_empty_list_is_one() -> None:
    assert from_list(Operation, to_short_list([])) == ()
