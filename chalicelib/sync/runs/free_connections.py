"""How many calls a pull may make at once, so that an account's syncs keep to their eight connections.

A step of a pull has one of the account's eight lanes, and so one connection. Where no other department of the account
syncs, the other lanes are empty until this run's own plan is carried out, and the pull may use some of their
connections. Should a sync begin in the seconds between two looks and come as far as its chunks, the account would see
its seven other lanes and the calls of this pull: ten connections, which is what Mailchimp allows.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.departments import Department
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.sync.ports import Clock

_AT_ONCE = 3
# A sync needs some seconds for its pull and plan before its chunks go over all lanes.
_LOOK_AGAIN = timedelta(seconds=2)
# Who the others of the account are is found by reading all departments, which only a long listing is worth.
_FIND_AGAIN = timedelta(minutes=1)
# An account of so many departments is hardly ever free for long, and asking for each takes longer than a page.
_MOST_OTHERS = 8


class FreeConnections:
    def __init__(self, departments: DepartmentStore, clock: Clock) -> None:
        self._departments = departments
        self._clock = clock

    def of(self, department: Department) -> Callable[[], int]:
        """Tells, each time it is called, how many calls of this department's pull there may be at once."""
        return _AccountWatch(self._departments, department, self._clock).calls_at_once


class _AccountWatch:
    """Whether other departments of an account sync, as of a moment ago."""

    def __init__(self, departments: DepartmentStore, department: Department, clock: Clock) -> None:
        self._departments = departments
        self._department = department
        self._clock = clock
        self._others: list[str] = []
        self._found_at: datetime | None = None
        self._looked_at: datetime | None = None
        self._is_free = False

    def calls_at_once(self) -> int:
        now = self._clock()
        if self._looked_at is None or now - self._looked_at >= _LOOK_AGAIN:
            self._is_free = not any(other.active_run_id for other in self._others_now(now))
            self._is_free = self._is_free and len(self._others) <= _MOST_OTHERS
            self._looked_at = now
        return _AT_ONCE if self._is_free else 1

    def _others_now(self, now: datetime) -> list[Department]:
        if self._found_at is None or now - self._found_at >= _FIND_AGAIN:
            others = [one for one in self._departments.each() if self._shares_account(one)]
            self._others, self._found_at = [one.id for one in others], now
            return others
        if len(self._others) > _MOST_OTHERS:
            return []
        found = (self._departments.get(other) for other in self._others)
        return [one for one in found if one is not None]

    def _shares_account(self, other: Department) -> bool:
        ours, theirs = self._department.connection, other.connection
        if ours is None or theirs is None or other.id == self._department.id:
            return False
        return theirs.account_id == ours.account_id
