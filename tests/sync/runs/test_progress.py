"""What staff see of a run while it goes on: how far each phase is, and never that there is nothing of nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from chalicelib.contract.runs import PhaseProgress, RunProgress, RunView
from chalicelib.domain.runs import PhaseCount, Run
from chalicelib.store.runs import RunStore
from chalicelib.sync.runs import phase_progress
from tests.sync.engine import Engine, Practice

pytest_plugins = ("tests.sync.engine_fixtures",)


@pytest.fixture
def told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every count is written, not one a second."""
    monkeypatch.setattr(phase_progress, "_TOLD_EVERY", timedelta(0))


def views(practice: Practice, run_id: str) -> Iterator[RunView]:
    """The run after each message, up to its end."""
    engine = practice.engine
    while (view := engine.staff.get(practice.id, run_id)).finished_at is None:
        yield view
        message = engine.receive()
        assert message is not None
        engine.deliver(message)
    yield view


def by_phase(progress: RunProgress) -> dict[str, PhaseProgress]:
    return {phase.phase: phase for phase in progress.phases}


def test_a_run_shows_in_which_phase_it_is_and_never_nothing_of_nothing(practice: Practice) -> None:
    practice.customers(3)
    seen = [view.progress for view in views(practice, practice.start("full"))]
    assert list(dict.fromkeys(progress.phase for progress in seen)) == [
        "pull",
        "ingest",
        "plan",
        "apply",
        "segments",
    ]
    assert all(progress.planned != 0 for progress in seen)
    units = {progress.phase: progress.unit for progress in seen}
    assert units == {
        "pull": "members", "ingest": "customers", "plan": "addresses", "apply": "changes", "segments": "members",
    }  # fmt: skip
    assert (seen[-1].planned, seen[-1].done, seen[-1].failed, seen[-1].estimated) == (3, 3, 0, False)


def test_at_the_end_every_phase_is_done_and_says_how_much_it_did(practice: Practice) -> None:
    practice.join("a@clinic.test", "b@clinic.test")
    practice.customers(3)
    run = practice.sync("full")
    phases = by_phase(practice.engine.staff.get(practice.id, run.id).progress)
    assert [(phase.phase, phase.state) for phase in phases.values()] == [
        ("pull", "done"), ("ingest", "done"), ("plan", "done"), ("apply", "done"), ("segments", "done"),
    ]  # fmt: skip
    assert (phases["pull"].done, phases["ingest"].done, phases["apply"].done) == (2, 3, 3)
    assert phases["plan"].done >= 3
    assert all(phase.planned == phase.done for phase in phases.values())


def test_the_pull_knows_from_its_first_page_how_many_members_there_are(
    practice: Practice, told_at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.join(*(f"m{number}@clinic.test" for number in range(5)))
    told: list[tuple[str, PhaseCount]] = []
    put = RunStore.put_phase

    def noted(self: RunStore, run: Run, phase: str, count: PhaseCount, *, part: str = "") -> None:
        told.append((phase, count))
        put(self, run, phase, count, part=part)

    monkeypatch.setattr(RunStore, "put_phase", noted)
    practice.sync("full")
    pulled = [(count.done, count.planned) for phase, count in told if phase == "pull"]
    assert pulled[0] == (0, 5)
    assert pulled[-1] == (5, 5)


def test_a_full_run_expects_as_many_customers_as_the_last_one_read(engine: Engine, practice: Practice) -> None:
    practice.customers(3)
    practice.sync("full")
    assert practice.department.customer_count == 3
    engine.looks_at_time = 1  # a step stores one page and goes on in another message
    run_id = practice.start("full")
    engine.deliver_until(lambda: practice.run(run_id).phase == "ingest")
    progress = engine.staff.get(practice.id, run_id).progress
    assert (progress.phase, progress.done) == ("ingest", 0)
    # The step itself says how many it expects, so at its very beginning nobody knows.
    assert progress.planned is None
    phase_progress.PhaseReporter(engine.runs, practice.run(run_id), "ingest", engine.clock).expect_more(3)
    progress = engine.staff.get(practice.id, run_id).progress
    assert (progress.planned, progress.estimated) == (3, True)


def test_a_guess_that_was_passed_is_shown_no_longer(engine: Engine, practice: Practice) -> None:
    run_id = practice.start("full")
    reporter = phase_progress.PhaseReporter(engine.runs, practice.run(run_id), "pull", engine.clock)
    reporter.expect_more(10)
    reporter.add(4)
    reporter.tell()
    progress = engine.staff.get(practice.id, run_id).progress
    assert (progress.planned, progress.done) == (10, 4)
    assert progress.rate is not None and progress.eta is not None
    reporter.add(7)
    reporter.tell()
    progress = engine.staff.get(practice.id, run_id).progress
    assert (progress.planned, progress.done, progress.eta) == (None, 11, None)


def test_a_dry_run_and_a_run_for_segments_have_the_phases_they_need(practice: Practice) -> None:
    practice.customers(1)
    run = practice.sync("full", dry_run=True)
    phases = practice.engine.staff.get(practice.id, run.id).progress.phases
    assert [(phase.phase, phase.state) for phase in phases] == [("pull", "done"), ("ingest", "done"), ("plan", "done")]
    practice.engine.lifecycle.start_segments(practice.id, by="user-1")
    shown = practice.engine.views.of(practice.latest()).progress
    assert [phase.phase for phase in shown.phases] == ["segments"]
    assert (shown.phase, shown.planned) == ("segments", None)
