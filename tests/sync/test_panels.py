"""The page's first answer: everything from what is stored, and the one member count that all panels show."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.contract.segments import SegmentView
from chalicelib.domain.logs import LogEntry
from chalicelib.sync.panels import LOG_ENTRIES, Panels
from chalicelib.sync.runs.sync_logs import Logs
from tests.sync.engine import Engine, Practice

pytest_plugins = ("tests.sync.engine_fixtures",)


def panels(engine: Engine, *segments: SegmentView) -> Panels:
    return Panels(
        departments=engine.departments,
        runs=engine.staff,
        logs=Logs(engine.logs),
        segments=lambda department_id: segments,
        schedule=engine.schedule,
        clock=engine.clock,
    )


def calls(practice: Practice) -> list[Any]:
    return [*practice.control.journal()["entries"], *practice.engine.pracbill.calls]


@pytest.mark.fast
def test_the_panel_shows_everything_without_asking_mailchimp_or_pracbill(engine: Engine, practice: Practice) -> None:
    practice.customers(3)
    run = practice.sync("full")
    practice.control.reset_journal()
    engine.pracbill.calls.clear()
    segment = SegmentView("s1", "Victoria", (), 1, engine.clock(), None, "pending", 1)
    panel = panels(engine, segment).panel(practice.id)
    assert calls(practice) == []
    assert (panel.connection.state, panel.connection.active_run, panel.connection.health) == ("connected", None, ())
    assert panel.newest_run is not None
    assert (panel.newest_run.id, panel.newest_run.status) == (run.id, "success")
    assert panel.audience is not None
    assert (panel.audience.name, panel.audience.segments) == ("Clients", 1)
    assert panel.segments == (segment,)
    assert panel.settings.unknown_consent == "transactional"
    assert [entry.run_id for entry in panel.logs if entry.direction == "push"] == [run.id]


def test_the_panel_says_when_the_next_scheduled_sync_starts(engine: Engine, practice: Practice) -> None:
    fired = engine.clock()
    engine.schedule.note_firing(fired.isoformat())
    assert panels(engine).panel(practice.id).connection.next_sync_at == fired + timedelta(hours=4)


def test_the_end_of_a_run_counts_the_members_and_every_panel_shows_that_count(
    engine: Engine, practice: Practice
) -> None:
    practice.customers(3)
    run = practice.sync("full")
    panel = panels(engine).panel(practice.id)
    assert panel.audience is not None and panel.connection.audience is not None
    assert panel.audience.member_count == panel.connection.audience.member_count == 3
    assert panel.audience.counted_at == panel.connection.audience.counted_at
    assert run.started_at < (panel.audience.counted_at or run.started_at) <= (run.finished_at or run.started_at)


def test_a_count_that_fails_at_the_end_of_a_run_leaves_the_run_and_the_last_count_as_they_are(
    engine: Engine, practice: Practice
) -> None:
    practice.customers(3)
    practice.sync("full")
    before = practice.department.audience
    practice.customers(1, start=9)
    run_id = practice.start()
    engine.deliver_until(lambda: practice.run(run_id).phase == "close")
    practice.fail(path="/members", method="GET", status=500)
    engine.work()
    assert practice.run(run_id).status == "success"
    assert before is not None and practice.department.audience is not None
    assert practice.department.audience.status == before.status


def test_a_department_that_nobody_ever_connected_shows_that(engine: Engine) -> None:
    panel = panels(engine).panel("never seen")
    assert (panel.connection.state, panel.audience, panel.newest_run) == ("not_connected", None, None)
    assert (panel.segments, panel.logs, panel.settings.paused) == ((), (), False)


def test_while_disconnected_the_panel_has_no_overview_but_keeps_its_history(engine: Engine, practice: Practice) -> None:
    practice.customers(1)
    run = practice.sync("full")
    practice.change(connection=None)
    panel = panels(engine).panel(practice.id)
    assert (panel.connection.state, panel.audience) == ("not_connected", None)
    assert panel.newest_run is not None
    assert panel.newest_run.id == run.id


def test_the_panel_has_the_newest_log_entries_and_no_more(engine: Engine, practice: Practice) -> None:
    for number in range(LOG_ENTRIES + 2):
        engine.logs.add(
            practice.id, LogEntry(engine.clock(), "push", "full", "staff", "success", "Done."), key=str(number)
        )
    logs = panels(engine).panel(practice.id).logs
    assert len(logs) == LOG_ENTRIES
    assert [entry.date for entry in logs] == sorted((entry.date for entry in logs), reverse=True)
