"""Beside every sentence stands a code with its figures, so that the page can say it in another language."""

from __future__ import annotations

import pytest

from chalicelib.domain.hold_reasons import HELD
from chalicelib.domain.logs import LogFilter
from chalicelib.sync.runs.sync_logs import Logs
from tests.sync.engine import Engine, Practice

pytest_plugins = ("tests.sync.engine_fixtures",)


def said(practice: Practice) -> list[tuple[str, str]]:
    """Direction and code of the log entries, newest first."""
    entries, _ = Logs(practice.engine.logs).list(practice.id, LogFilter(), limit=100, after=None)
    return [(entry.direction, entry.code) for entry in entries]


def test_a_run_and_its_log_entry_say_how_it_ended(practice: Practice) -> None:
    practice.customers(2)
    for code, dry_run in (("dry_run", True), ("synced", False), ("nothing_to_do", False)):
        run = practice.sync("full", dry_run=dry_run)
        view = practice.engine.staff.get(practice.id, run.id)
        assert (view.code, view.params) == (code, {})
        assert ("push", code) in said(practice)


def test_a_run_that_goes_on_says_that(practice: Practice) -> None:
    practice.customers(1)
    view = practice.engine.staff.start(practice.id, "full", dry_run=False, by="user-1")
    assert (view.code, view.params) == ("running", {})
    practice.engine.work()


def test_a_cancelled_run_says_by_whom_and_what_was_done(practice: Practice) -> None:
    practice.customers(1)
    run_id = practice.start("full")
    view = practice.engine.staff.cancel(practice.id, run_id, by="user-7")
    assert (view.code, view.params) == ("cancelled", {"by": "user-7", "done": 0, "planned": 0})


def test_a_brake_says_its_figures(practice: Practice) -> None:
    practice.customers(7)
    practice.sync("full")
    practice.change_brake(removals=0, removals_percent=0)
    practice.remove("1", "2")
    view = practice.engine.staff.get(practice.id, practice.sync().id)
    assert view.code == "awaiting_approval"
    assert view.brake is not None
    assert (view.brake.code, view.brake.params["planned"], view.brake.params["limit"]) == ("removals", 2, 0)
    practice.engine.staff.cancel(practice.id, view.id, by="user-1")
    practice.remove("3", "4")
    view = practice.engine.staff.get(practice.id, practice.sync().id)
    assert view.brake is not None
    assert (view.brake.code, view.brake.params) == ("share", {"planned": 4, "members": 7})


def test_a_run_that_shows_no_progress_says_so(engine: Engine, practice: Practice) -> None:
    practice.customers(1)
    run_id = practice.start("full")
    engine.sweep(minutes=31)
    assert practice.run(run_id).code == "stuck"
    assert practice.run(run_id).params["minutes"] == 30


def test_a_refused_key_is_said_by_its_health_code(practice: Practice) -> None:
    practice.customers(1)
    run_id = practice.start("full")
    practice.control.revoke_key(practice.engine.mailchimp.api_key)
    practice.engine.work()
    assert practice.run(run_id).code == "key_rejected"


def test_a_record_says_what_its_words_name(practice: Practice) -> None:
    practice.customer("1", "ann@clinic.test")
    practice.sync("full")
    practice.act("unsubscribe", "ann@clinic.test")
    practice.edit("1", first_name="Ann")
    run = practice.sync()
    (record,) = practice.records(run, "held")
    assert record.code in HELD
    assert record.params["who"] == "person"
    assert str(record.params["date"]).startswith("2026-03-")
    assert ("pull", "pulled") in said(practice)


@pytest.mark.parametrize("code", sorted(HELD))
def test_every_case_of_ours_has_a_code_in_snake_case(code: str) -> None:
    assert code.replace("_", "").isalpha() and code.islower()
