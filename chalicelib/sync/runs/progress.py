"""What the phases of a run share: where they stop, what they have counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from chalicelib.domain.logs import Record

# Below this a step saves where it is and goes on in a new message: a page takes a few seconds at the worst.
ENOUGH_SECONDS = 45.0
# Changes are read again from a little before the last run's start: clocks differ, transactions commit late.
OVERLAP = timedelta(minutes=5)
# The change marker of an address that the next run takes up by itself.
RETRY_MARK = "retry"
# The cursor of a phase that came to its end: a step that comes again must not begin anew.
ENDED = {"end": "yes"}


def has_ended(cursor: dict[str, str]) -> bool:
    """Whether a phase with this cursor came to its end; it may have noted more."""
    return cursor.items() >= ENDED.items()


@dataclass(slots=True)
class Tally:
    """What a step has counted so far."""

    counts: dict[str, int] = field(default_factory=dict)  # of what is to be done, by action
    held: dict[str, int] = field(default_factory=dict)  # of those for whom nothing is, in all and by cause
    records: list[Record] = field(default_factory=list)

    def add(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def hold(self, code: str) -> None:
        for name in ("held", code):
            self.held[name] = self.held.get(name, 0) + 1


def summed(counts: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    """Both counts together."""
    return {name: counts.get(name, 0) + more.get(name, 0) for name in counts | more}
