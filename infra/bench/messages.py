"""A queue within the process of a benchmark."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chalicelib.store.queue import Step


class Messages:
    """No message is lost, late or twice."""

    def __init__(self) -> None:
        self.waiting: deque[Step] = deque()

    def send(self, step: Step, *, group: str) -> None:
        self.waiting.append(step)

    def send_all(self, steps: Iterable[tuple[Step, str]]) -> None:
        self.waiting.extend(step for step, _ in steps)
