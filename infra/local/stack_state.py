"""A stack that runs, as its files tell: found, described for others, and ended by who did not start it.

`stack.json` is for others and holds what is promised (README.md). `running.json` beside it is for our own commands:
the processes by name, how each was started, and where the parts are. Neither is there when no stack runs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.local import processes

WATCH = "watch"
PROMISED = ("api_url", "webhook_base_url", "department_id", "tokens", "pids")
_STOP_SECONDS = 20.0
# In this order, after all others: functions speak to the stand-ins until they end, and all of them to the emulator.
_LAST = ("mailchimp", "pracbill", "emulator")


def about_path(folder: Path) -> Path:
    return folder / "stack.json"


def _running_path(folder: Path) -> Path:
    return folder / "running.json"


def read(folder: Path) -> dict[str, Any] | None:
    """All that is known of the stack that runs from this folder; None when there is none."""
    try:
        known: dict[str, Any] = json.loads(_running_path(folder).read_text())
    except FileNotFoundError:
        return None
    return known


def answering(folder: Path) -> dict[str, Any] | None:
    """As `read`, but None also for a stack that broke down: one whose emulator is gone."""
    known = read(folder)
    return known if known and "emulator" not in missing(folder, known) else None


def write(folder: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a running stack. Returns what `read` answers from now on."""
    described = {**known, "pids": sorted(known["processes"].values())}
    _put(_running_path(folder), described)
    _put(about_path(folder), {name: described[name] for name in PROMISED})
    return described


def forget(folder: Path) -> None:
    """Take the descriptions away."""
    about_path(folder).unlink(missing_ok=True)
    _running_path(folder).unlink(missing_ok=True)


def _put(path: Path, content: Mapping[str, Any]) -> None:
    scratch = path.with_suffix(".new")
    scratch.touch(mode=0o600)
    scratch.write_text(json.dumps(content, indent=2) + "\n")
    scratch.rename(path)


def is_alive(folder: Path, pid: int) -> bool:
    """Whether a process of the stack lives. Ids are used again, so its command must be one of this folder's."""
    return processes.is_running(pid, command_part=str(folder.resolve()))


def missing(folder: Path, known: Mapping[str, Any]) -> list[str]:
    """Names of the processes that should run and do not."""
    return [name for name, pid in known["processes"].items() if not is_alive(folder, pid)]


def stop(folder: Path) -> dict[str, Any] | None:
    """End the stack that runs from this folder, state saved. Returns what was known of it, None if there was none."""
    known = read(folder)
    if known is None:
        return None
    watch = known["processes"].get(WATCH, 0)
    if is_alive(folder, watch):
        processes.stop([watch], seconds=_STOP_SECONDS)
        known = read(folder) or known  # it may have started something again meanwhile
    end(folder, known["processes"])
    forget(folder)
    return known


def end(folder: Path, running: Mapping[str, int]) -> None:
    """End processes: the watch, then what takes messages, then the stand-ins, last the emulator with the state."""
    alive = {name: pid for name, pid in running.items() if is_alive(folder, pid)}
    processes.stop([alive[WATCH]] if WATCH in alive else [], seconds=_STOP_SECONDS)
    processes.stop([pid for name, pid in alive.items() if name not in (WATCH, *_LAST)], seconds=_STOP_SECONDS)
    for name in _LAST:
        if name in alive and processes.stop([alive[name]], seconds=_STOP_SECONDS):
            print(f"{name} had to be killed; what it did not save is lost", file=sys.stderr)
