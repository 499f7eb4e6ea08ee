"""From a history that goes wrong to a short one that goes wrong as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.soak.script import Step


def shorten(steps: Sequence[Step], is_wrong: Callable[[Sequence[Step]], bool], *, tries: int = 60) -> tuple[Step, ...]:
    """Leave out ever smaller parts as long as the rest goes wrong."""
    kept, size = list(steps), max(1, len(steps) // 2)
    while True:
        start = 0
        while start < len(kept):
            if tries == 0:
                return tuple(kept)
            tries -= 1
            rest = kept[:start] + kept[start + size :]
            if rest and is_wrong(rest):
                kept = rest
            else:
                start += size
        if size == 1:
            return tuple(kept)
        size //= 2
