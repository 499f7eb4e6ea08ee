"""How many calls a pull may make at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from chalicelib.domain.departments import Connection, Department
from chalicelib.store.departments import DepartmentStore
from chalicelib.sync.runs.free_connections import FreeConnections

pytestmark = pytest.mark.fast
START = datetime(2026, 1, 5, 10, 0, 0, tzinfo=UTC)


def department(name: str, account: str = "account-1", active_run_id: str = "") -> Department:
    connection = Connection("connected", account, "Example", "us21", "abcd", START) if account else None
    return Department(name, name, "UTC", "AU", "AUD", "00" * 16, connection=connection, active_run_id=active_run_id)


class Departments:
    """The store, as far as it is asked here; notes what is read."""

    def __init__(self, *departments: Department) -> None:
        self.stored = {one.id: one for one in departments}
        self.reads: Counter[str] = Counter()

    def each(self) -> Iterator[Department]:
        self.reads["each"] += 1
        yield from self.stored.values()

    def get(self, department_id: str) -> Department | None:
        self.reads["get"] += 1
        return self.stored.get(department_id)

    def run(self, name: str, run_id: str) -> None:
        self.stored[name] = replace(self.stored[name], active_run_id=run_id)


class Watch:
    def __init__(self, departments: Departments, ours: Department) -> None:
        self.now = START
        free = FreeConnections(cast(DepartmentStore, departments), lambda: self.now)
        self.calls_at_once = free.of(ours)

    def later(self, seconds: int) -> int:
        self.now += timedelta(seconds=seconds)
        return self.calls_at_once()


def test_a_department_alone_in_its_account_may_make_three_calls() -> None:
    ours = department("north", active_run_id="run-1")
    elsewhere = department("east", "account-2", active_run_id="run-2")
    watch = Watch(Departments(ours, elsewhere, department("new", account="")), ours)
    assert watch.calls_at_once() == 3


def test_a_sync_of_another_department_of_the_account_leaves_one_call() -> None:
    ours = department("north", active_run_id="run-1")
    assert Watch(Departments(ours, department("south", active_run_id="run-2")), ours).calls_at_once() == 1


def test_others_are_looked_at_again_and_again() -> None:
    ours = department("north", active_run_id="run-1")
    departments = Departments(ours, department("south"))
    watch = Watch(departments, ours)
    assert watch.calls_at_once() == 3
    departments.run("south", "run-2")
    assert watch.later(2) == 1
    departments.run("south", "")
    assert watch.later(2) == 3


def test_a_department_that_joins_the_account_is_found_within_a_minute() -> None:
    ours = department("north", active_run_id="run-1")
    departments = Departments(ours)
    watch = Watch(departments, ours)
    assert watch.calls_at_once() == 3
    departments.stored["south"] = department("south", active_run_id="run-2")
    assert watch.later(60) == 1


def test_all_departments_are_read_once_a_minute_and_those_of_the_account_every_two_seconds() -> None:
    ours = department("north", active_run_id="run-1")
    departments = Departments(ours, department("south"), *(department(f"d{n}", "account-2") for n in range(50)))
    watch = Watch(departments, ours)
    for _ in range(10):
        watch.calls_at_once()
    assert departments.reads == {"each": 1}
    for _ in range(59):
        watch.later(1)
    assert departments.reads == {"each": 1, "get": 29}


def test_an_account_of_many_departments_is_never_taken_for_free() -> None:
    ours = department("north", active_run_id="run-1")
    departments = Departments(ours, *(department(f"d{n}") for n in range(9)))
    watch = Watch(departments, ours)
    assert [watch.calls_at_once(), watch.later(2)] == [1, 1]
    assert departments.reads == {"each": 1}


def test_a_department_that_is_gone_by_then_stands_in_nobodys_way() -> None:
    ours = department("north", active_run_id="run-1")
    departments = Departments(ours, department("south"))
    watch = Watch(departments, ours)
    watch.calls_at_once()
    del departments.stored["south"]
    assert watch.later(2) == 3
