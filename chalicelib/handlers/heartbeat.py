"""Something that is repeated every few seconds while a block of code runs, and not once more after it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol, Self

from chalicelib.observability import log_failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Ending(Protocol):
    """What a heartbeat needs of threading.Event: whether the block has ended, waiting for it or not."""

    def set(self) -> None: ...

    def wait(self, timeout: float) -> bool: ...


class Heartbeat:
    """Beats once before the block begins, then every so many seconds in a thread of its own.

    When the block is left the thread has ended: no beat comes after what the block's caller does next, and no thread
    lives on in a function that AWS puts to sleep. A beat that fails is logged and tried again with the next one.
    """

    def __init__(self, beat: Callable[[], None], *, every: float, ending: Ending | None = None) -> None:
        self._beat = beat
        self._every = every
        self._ending = ending or threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._try_beat()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._ending.wait(self._every):
            self._try_beat()

    def _try_beat(self) -> None:
        try:
            self._beat()
        except Exception as error:  # noqa: BLE001 - whatever it is, what the block does matters more
            log_failure("heartbeat failed", error)
