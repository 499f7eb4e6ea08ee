"""Looks after a running stack: starts again what ended by itself or was killed.

    python -m infra.local.watch FOLDER

On AWS nobody has to: Lambda runs the functions, and PracBill and Mailchimp look after their servers. Here a poller that
is gone would leave runs waiting without a word. Stand-ins come back with the state they saved last, on their own ports.

The emulator keeps its state in memory until it is asked to end. When it dies, the rest of the stack is of no use: it is
ended, and the next `make run` says what happened.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.local import processes
from infra.local import stack_state as stack_state

_LOOK_SECONDS = 0.5
# Before what ended is started again: at once, and more slowly if it goes on ending.
_PAUSES = (0.0, 1.0, 5.0, 30.0)
_WELL_SECONDS = 300.0


class Watch:
    """One stack's watch. `say` is given a line for each thing that happened."""

    def __init__(
        self, folder: Path, *, say: Callable[[str], None] = print, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = folder
        self._say = say
        self._clock = clock
        self._ends: dict[str, list[float]] = {}

    def look(self) -> bool:
        """Look once. Whether there is anything left to watch."""
        stack = stack_state.read(self._folder)
        if stack is None:
            return False
        if not stack_state.is_alive(self._folder, stack["processes"]["emulator"]):
            self._say("the emulator ended: its state since its start is lost, and the others are of no use without it")
            others = {name: pid for name, pid in stack["processes"].items() if name != stack_state.WATCH}
            stack_state.end(self._folder, others)
            stack_state.about_path(self._folder).unlink(missing_ok=True)  # for others, no stack runs any more
            return False
        for name, pid in stack["processes"].items():
            if name != stack_state.WATCH and not stack_state.is_alive(self._folder, pid) and self._is_due(name):
                self._start_again(name, pid, stack)
        return True

    def _is_due(self, name: str) -> bool:
        """Whether the pause after a process's end is over."""
        now = self._clock()
        ends = self._ends.setdefault(name, [])
        if ends and now < ends[-1] + _PAUSES[min(len(ends), len(_PAUSES) - 1)]:
            return False
        self._ends[name] = [*(end for end in ends if end > now - _WELL_SECONDS), now]
        return True

    def _start_again(self, name: str, pid: int, stack: dict[str, Any]) -> None:
        started = processes.Command(**stack["commands"][name]).start(afresh=False)
        stack["processes"][name] = started
        stack_state.write(self._folder, stack)
        self._say(f"{name} ({pid}) ended; {started} takes its place")


def main() -> int:
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    watch = Watch(Path(sys.argv[1]), say=lambda line: print(time.strftime("%H:%M:%S"), line, flush=True))
    while not stopping and watch.look():
        time.sleep(_LOOK_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
