"""Cutting a department's customers into key ranges of about equal length, to be read side by side.

Customers lie in the order of their customer keys, and PracBill lists them in the same order. So a full sync that sees
them stream by can keep every k-th key as a split point. The points need not be exact nor fresh: key ranges always cover
every key once; old points only make them less equal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

# Reading pays side by side from about one DynamoDB page (1 MB) upwards: 2,000 customers of some 500 bytes.
SHORTEST_KEY_RANGE = 2_000
MOST_POINTS = 16


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The customer keys after `after` (not included) up to `upto` (included); None is no bound."""

    after: str | None
    upto: str | None


@dataclass(frozen=True, slots=True)
class SplitPoints:
    """Every `stride`-th key of the `seen` keys so far. At most `MOST_POINTS` are kept: then the stride doubles.

    A value, to be stored between the steps of a run and taken up again.
    """

    stride: int = SHORTEST_KEY_RANGE
    seen: int = 0
    points: tuple[str, ...] = ()

    def with_keys(self, keys: Iterable[str]) -> SplitPoints:
        """The points after more `keys`, which come in ascending order and after those seen before."""
        stride, seen, points = self.stride, self.seen, list(self.points)
        for key in keys:
            seen += 1
            if seen % stride == 0:
                points.append(key)
            if len(points) > MOST_POINTS:
                points, stride = points[1::2], stride * 2
        return SplitPoints(stride, seen, tuple(points))

    def to_text(self) -> str:
        """As kept with a run; `from_text` reads it back."""
        return json.dumps([self.stride, self.seen, *self.points])

    @classmethod
    def from_text(cls, text: str) -> SplitPoints:
        if not text:
            return cls()
        stride, seen, *points = json.loads(text)
        return cls(stride, seen, tuple(points))


def key_ranges(points: Iterable[str]) -> tuple[KeyRange, ...]:
    """Key ranges that together hold every key exactly once, in order; a single one without points."""
    bounds: list[str | None] = [None, *sorted(set(points)), None]
    return tuple(KeyRange(after, upto) for after, upto in pairwise(bounds))
