"""The schedule that all departments share: when it fired, and when it will fire next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.moments import parse_moment
from chalicelib.domain.schedule import Firing, next_firing

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from chalicelib.domain.departments import Department
    from chalicelib.store.schedule import ScheduleStore


class Schedule:
    """`expression` is EventBridge's, as the template deploys it."""

    def __init__(self, expression: str, store: ScheduleStore, *, clock: Callable[[], datetime]) -> None:
        self._expression = expression
        self._store = store
        self._clock = clock

    def note_firing(self, time: str) -> None:
        """Keep that the schedule has fired, at the time that its event names."""
        at = parse_moment(time)
        if at is not None:
            self._store.put(Firing(self._expression, at))

    def next_sync_at(self, department: Department | None) -> datetime | None:
        """When the department's next scheduled sync starts; None when it is not on schedule, or it cannot be told."""
        if department is None or not department.runs_on_schedule:
            return None
        return next_firing(self._expression, self._store.last(), self._clock())
