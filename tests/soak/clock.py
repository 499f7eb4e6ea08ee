"""The time of a history: it goes on by a millisecond whenever somebody looks, and further when told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self, moment: datetime = NOON) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment

    def move(self, **span: float) -> None:
        self.moment += timedelta(**span)

    def sleep(self, seconds: float) -> None:
        self.move(seconds=seconds)

    def seconds(self) -> float:
        """Now, in seconds since 1970."""
        return self().timestamp()

    def deadline(self, seconds: float) -> _Deadline:
        return _Deadline(self, seconds)


class _Deadline:
    """The seconds that are left of a span that begins now."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._ends_at = clock.seconds() + seconds

    def __call__(self) -> float:
        return self._ends_at - self._clock.seconds()
