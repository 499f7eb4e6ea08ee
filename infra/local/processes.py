"""Processes of the local stack: started apart from us, logging to files, found again and ended by id."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
_QUIET_PORTS = range(20_000, 30_000)
_REAPED: dict[int, subprocess.Popen[bytes]] = {}


class ProcessFailed(Exception):
    """A process of the stack ended or kept silent; the message names its log."""


def choose_port(*preferred: int | None) -> int:
    """The first of the preferred ports that is free on loopback, or any free one.

    Not one of those that the system hands to outgoing connections: it might be taken when we want it back.
    """
    others = random.sample(_QUIET_PORTS, 100)
    return next(port for port in (*preferred, *others) if port and is_free(port))


def is_free(port: int) -> bool:
    """Whether nobody listens on the port of loopback."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections still linger counts as free, one that is listened on does not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Command:
    """How a process is started; plain values, so that it can be written down and started again by others."""

    arguments: list[str]
    environment: dict[str, str]
    log: str
    directory: str

    def start(self, *, afresh: bool = True) -> int:
        """Start it and return its id; `afresh`: with an empty log."""
        log, directory = Path(self.log), Path(self.directory)
        return spawn(self.arguments, environment=self.environment, log=log, directory=directory, afresh=afresh)


def spawn(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path, directory: Path, afresh: bool = True
) -> int:
    """Start a process in a session of its own, so that it outlives us and our terminal. Returns its id."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb" if afresh else "ab") as output:
        process = subprocess.Popen(
            list(command),
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _REAPED[process.pid] = process
    return process.pid


def read_announcement(pid: int, log: Path, *, seconds: float = 60.0) -> dict[str, Any]:
    """The first line of JSON in a server's log, which it writes once it listens. Raises ProcessFailed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        alive = is_running(pid)
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                announcement = json.loads(line)
                if isinstance(announcement, dict):
                    return announcement
        if not alive:
            raise ProcessFailed(f"a server ended while starting:\n{_tail(log)}")
        time.sleep(0.02)
    raise ProcessFailed(f"a server did not say within {seconds:.0f} s where it listens; see {log}")


def is_running(pid: int, *, command_part: str = "") -> bool:
    """Whether the process lives and, since ids are used again, its command line holds `command_part`."""
    ours = _REAPED.get(pid)
    if ours is not None and ours.poll() is not None:
        return False
    state, command = _describe(pid)
    return bool(state) and not state.startswith("Z") and command_part in command


def _describe(pid: int) -> tuple[str, str]:
    """State letter and command line; empty for a process that is gone."""
    folder = Path("/proc") / str(pid)
    if Path("/proc/self").exists():
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            return state, (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (OSError, IndexError):
            return "", ""
    found = subprocess.run(["ps", "-o", "stat=,command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, command = found.stdout.strip().partition(" ")
    return state, command


def stop(pids: Iterable[int], *, seconds: float) -> list[int]:
    """Ask the processes to end, wait, and kill what is left. Returns the ids that had to be killed.

    What they started themselves goes with them: the emulator does not wait for its functions.
    """
    started = running = [pid for pid in pids if is_running(pid)]
    for pid in running:
        ask_to_end(pid)
    deadline = time.monotonic() + seconds
    while (running := [pid for pid in running if is_running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in running:
        _signal(pid, signal.SIGKILL)
    for pid in started:
        _end_descendants(pid)
    return running


def _end_descendants(leader: int) -> None:
    """Kill what is left of the group that a spawned process led; it ended a moment ago, so the id is still its own."""
    if leader != os.getpgrp():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def ask_to_end(pid: int) -> None:
    """Send SIGTERM and do not wait."""
    _signal(pid, signal.SIGTERM)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join([f"({log})", *log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]])
