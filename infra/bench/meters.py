"""What the processes of the sync function use: CPU time and peak memory, read from Linux's /proc.

Elsewhere nothing is measured (None): the benchmark says so and goes on.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chalicelib.http_client.calls import CallMade

_PROC = Path("/proc")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
_IDLE_SECONDS = 4.0
# Written into clear_refs it makes the present memory the new peak (Linux, proc(5)).
_FORGET_PEAK = "5"


class WorkerMeter:
    """Watches the processes that the poller process `parent` has forked."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._idle_share = 0.0

    def learn_idle(self) -> None:
        """Measure what the workers use while there is nothing to do but to ask the queue; it is no work of ours."""
        before, began = self.cpu_seconds(), time.monotonic()
        time.sleep(_IDLE_SECONDS)
        after = self.cpu_seconds()
        if before is not None and after is not None:
            self._idle_share = (after - before) / (time.monotonic() - began)

    def work_seconds(self, cpu: float, wall: float) -> float:
        """CPU seconds without what the workers would have used idle meanwhile."""
        return max(0.0, cpu - self._idle_share * wall)

    def cpu_seconds(self) -> float | None:
        """CPU time of all workers so far, in user mode and kernel."""
        if not _PROC.is_dir():
            return None
        ticks = sum(user + system for _, user, system in self._workers())
        return ticks / os.sysconf("SC_CLK_TCK")

    def peak_megabytes(self) -> float | None:
        """The largest resident memory that any one worker had since `forget_peaks`."""
        peaks = [peak for pid, _, _ in self._workers() if (peak := peak_kilobytes(pid)) is not None]
        return max(peaks) / 1024 if peaks else None

    def forget_peaks(self) -> None:
        for pid, _, _ in self._workers():
            (_PROC / str(pid) / "clear_refs").write_text(_FORGET_PEAK)

    def _workers(self) -> Iterator[tuple[int, int, int]]:
        """Id and ticks in user mode and kernel of each worker."""
        for folder in _PROC.glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            if int(fields[1]) == self._parent:
                yield int(folder.name), int(fields[11]), int(fields[12])


def peak_kilobytes(pid: int) -> int | None:
    """The largest resident memory of a process so far (Linux); None where that cannot be told."""
    try:
        found = _PEAK.search((_PROC / str(pid) / "status").read_text())
    except OSError:
        return None
    return int(found[1]) if found else None


class NoMeter:
    """Prints nothing among the figures."""

    def count(self, name: str, value: float = 1, unit: str = "Count") -> None:
        pass

    def mailchimp_call(self, call: CallMade) -> None:
        pass

    def flush(self) -> None:
        pass
