"""Expensive calls of the API, limited so that one caller cannot take the time of all others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chalicelib.domain.limits import WINDOW_SECONDS, Allowance
from chalicelib.errors import RefuseRequest

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from chalicelib.store.call_counts import CallCounts
    from chalicelib.sync.ports import Clock

# Refusals that a process remembers at once; each saves the write that would refuse again.
_MOST_REMEMBERED = 1_000


class CallLimits:
    def __init__(self, counts: CallCounts, *, clock: Clock) -> None:
        self._counts = counts
        self._clock = clock
        self._refused: dict[tuple[str, str, str], datetime] = {}

    def count(self, department_id: str, allowance: Allowance, *, by: str) -> None:
        """Count a call before it is carried out. Raises RefuseRequest (429) when there were too many."""
        now = self._clock()
        key = (department_id, allowance.kind, by)
        known_until = self._refused.get(key)
        if known_until is not None and now < known_until:
            raise _too_many(known_until - now)
        free_at = self._counts.count(department_id, allowance, by, now)
        if free_at is None:
            return
        if len(self._refused) >= _MOST_REMEMBERED:
            self._refused.clear()
        self._refused[key] = free_at
        raise _too_many(free_at - now)


def _too_many(wait: timedelta) -> RefuseRequest:
    seconds = max(1, min(WINDOW_SECONDS, math.ceil(wait.total_seconds())))
    unit = "second" if seconds == 1 else "seconds"
    return RefuseRequest(
        f"Too many requests of this kind were made at once. Try again in {seconds} {unit}.",
        status=429,
        title="Too many requests",
        code="too-many-requests",
        extra={"retry_after": seconds},
    )
