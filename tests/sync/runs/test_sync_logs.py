"""The Sync Logs tell the guide's types, and beside them what started each entry."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.contract.runs import LogEntryView
from chalicelib.domain.logs import LogFilter, LogTrigger
from chalicelib.sync.runs.sync_logs import Logs
from tests.sync.engine import Engine, Practice
from tests.sync.segment_office import SegmentOffice

pytest_plugins = ("tests.sync.engine_fixtures",)


def entries(practice: Practice, **wanted: Any) -> list[LogEntryView]:
    found, _ = Logs(practice.engine.logs).list(practice.id, LogFilter(**wanted), limit=100, after=None)
    return list(found)


def told(practice: Practice, trigger: LogTrigger) -> list[tuple[str, str, str, bool]]:
    return [(e.direction, e.type, e.status, e.cancelled) for e in entries(practice, trigger=trigger)]


def test_each_entry_says_what_started_it_and_its_type_is_incremental_or_full(
    engine: Engine, practice: Practice
) -> None:
    office = SegmentOffice(engine, practice)
    practice.customers(2)
    practice.sync("full")
    assert told(practice, "staff") == [("push", "full", "success", False)]
    office.create()
    office.run()
    assert told(practice, "segment_edit") == [("push", "incremental", "skipped", False)]
    engine.eraser.erase(practice.id, "2", by="user-1")
    assert told(practice, "erasure") == [("push", "incremental", "success", False)]
    practice.customers(1, start=3)
    practice.act("unsubscribe", "c1@clinic.test")
    engine.sweeper.dispatch("2026-03-02T16")
    engine.work()
    assert sorted(told(practice, "schedule")) == [
        ("pull", "incremental", "success", False),
        ("push", "incremental", "success", False),
    ]
    assert told(practice, "webhook") == []
    assert {entry.type for entry in entries(practice)} == {"incremental", "full"}
    assert len(entries(practice, type="full")) == 1


@pytest.mark.parametrize("type", ["incremental", "full"])
def test_a_cancelled_run_says_so_in_a_field_of_its_own(practice: Practice, type: str) -> None:
    practice.customers(1)
    run_id = practice.start(type)  # type: ignore[arg-type]
    practice.engine.staff.cancel(practice.id, run_id, by="user-1")
    practice.engine.work()
    (entry,) = entries(practice, trigger="staff")
    assert (entry.run_id, entry.type, entry.cancelled) == (run_id, "full", True)


def test_a_retry_and_the_first_plan_of_an_audience_are_staffs(practice: Practice) -> None:
    practice.customers(1)
    practice.engine.lifecycle.first_plan(practice.id, "user-1")
    practice.engine.work()
    assert told(practice, "staff") == [("push", "full", "success", False)]
