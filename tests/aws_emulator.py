"""The emulator of the local stack by itself, for tests of what speaks to AWS."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local import emulator, processes

_ATTEMPTS = 5


@contextmanager
def emulator_running() -> Iterator[str]:
    """AWS as the local stack has it, on a free port of this machine; yields its address."""
    with tempfile.TemporaryDirectory() as folder:
        running = _launch(Path(folder))
        try:
            yield running.url
        finally:
            processes.stop([running.pid], seconds=10)


def _launch(folder: Path) -> emulator.Emulator:
    """Another server may be faster to take a port that was free: then another port is tried."""
    for attempt in range(_ATTEMPTS):
        log = folder / f"{attempt}.log"
        running = emulator.launch(
            port=processes.choose_port(), state=folder / "state", scratch=folder / "scratch", log=log, further={}
        )
        try:
            emulator.wait_until_ready(running, log)
        except processes.ProcessFailed:
            processes.stop([running.pid], seconds=0)
        else:
            return running
    raise RuntimeError(f"the emulator did not start:\n{log.read_text()}")
