"""What somebody does in the midst of an API call: just before it is carried out, or before its answer is written."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from .faults import matches_path

MOMENTS = ("before", "written", "after")


@dataclass
class Interjection:
    """An act that falls into the next call that matches, after letting `skip` pass.

    `moment`: "before" the call is carried out; "written": when it was carried out and its answer, which shows the
    member as it is by then, is not written yet (calls that answer with members only); "after" the answer is written.
    """

    act: Callable[[], object]
    method: str = "*"
    path: str = "/**"
    moment: str = "before"
    skip: int = 0

    def __post_init__(self) -> None:
        if self.moment not in MOMENTS:
            raise ValueError(f"moment must be one of {MOMENTS}")

    def matches(self, method: str, path: str) -> bool:
        return self.method in ("*", method) and matches_path(self.path, path)


class Interjections:
    """The acts on order, first come first served."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Interjection] = []

    def add(self, interjection: Interjection) -> None:
        with self._lock:
            self._waiting.append(interjection)

    def take(self, method: str, path: str) -> list[Interjection]:
        """The acts that fall into this call, used up by it."""
        taken: list[Interjection] = []
        with self._lock:
            for one in list(self._waiting):
                if not one.matches(method, path):
                    continue
                if one.skip > 0:
                    one.skip -= 1
                    continue
                self._waiting.remove(one)
                taken.append(one)
        return taken


def carry_out(interjections: list[Interjection], moment: str) -> None:
    for one in interjections:
        if one.moment == moment:
            one.act()
