"""Runs and chunks on a real table: what is counted once, and what happens when many hands count."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.planning import Operation
from chalicelib.domain.runs import Run
from chalicelib.store.runs import RunStore, run_id, started_at_of

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def operation(number: int) -> Operation:
    return Operation("add", f"{number:032x}", f"a{number}@clinic.test", "yes-absent", status="subscribed", values={})


@pytest.fixture
def runs(aws: str) -> RunStore:
    return RunStore(keep=timedelta(days=3650))  # the emulator removes what has expired by the real clock


@pytest.fixture
def run(runs: RunStore, request: pytest.FixtureRequest) -> Run:
    run = Run(
        department_id=request.node.name[:60],
        id="20260105T120000000Z-aaaa",
        type="full",
        trigger="manual",
        started_at=NOON,
    )
    runs.add(run)
    return run


def one_more(run: Run) -> Run:
    return replace(run, chunks_done=run.chunks_done + 1)


def test_chunks_that_end_at_the_same_moment_are_all_counted(runs: RunStore, run: Run) -> None:
    for number in range(12):
        runs.put_chunk(run, number, (operation(number),))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: runs.complete_chunk(run, number, "done", one_more), range(12)))
    stored = runs.get(run.department_id, run.id)
    assert stored is not None
    assert stored.chunks_done == 12


def test_a_chunk_that_ends_twice_is_counted_once(runs: RunStore, run: Run) -> None:
    runs.put_chunk(run, 0, (operation(0),))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: runs.complete_chunk(run, 0, "done", one_more), range(8)))
    stored = runs.get(run.department_id, run.id)
    assert stored is not None
    assert stored.chunks_done == 1
    assert runs.chunk(run, 0) is None


def test_a_stored_chunk_holds_the_operations_it_was_given(runs: RunStore, run: Run) -> None:
    operations = tuple(operation(number) for number in range(500))
    runs.put_chunk(run, 3, operations)
    assert runs.chunk(run, 3) == operations


def test_runs_are_listed_newest_first_page_by_page(runs: RunStore, run: Run) -> None:
    for minute in range(1, 5):
        started = NOON + timedelta(minutes=minute)
        runs.add(replace(run, id=run_id(started, "beef"), started_at=started))
    first, after = runs.page(run.department_id, limit=3, after=None)
    second, end = runs.page(run.department_id, limit=3, after=after)
    assert [r.started_at.minute for r in first] == [4, 3, 2]
    assert [r.started_at.minute for r in second] == [1, 0]
    assert end is None


def test_the_time_of_a_start_can_be_read_from_the_run_s_id() -> None:
    started = datetime(2026, 1, 5, 12, 30, 15, 123000, tzinfo=UTC)
    assert started_at_of(run_id(started, "beef")) == started
    assert started_at_of("nonsense") is None
