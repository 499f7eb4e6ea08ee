"""Faults on order: the next calls of a kind get another answer, hang, or lose their connection."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .addresses import subscriber_hash
from .routes import split

KINDS = ("answer", "hang", "drop", "delay", "hold", "truncate")
BODIES = ("problem", "empty", "html")
_LOOK_SECONDS = 0.05


@dataclass
class Fault:
    """What happens to the next `times` calls that match, after letting `skip` pass.

    `kind`: "answer" gives `status` with a `body` ("problem" JSON, "empty" or "html"); "hang" holds the call for
    `seconds` and then drops it; "drop" closes the connection without an answer; "delay" adds `seconds` to a normal
    answer; "hold" gives the normal answer once the faults are cleared, after `seconds` at the latest; "truncate"
    carries the call out and answers half of what belongs into the answer. With `executes` the call is carried out all
    the same. With `about` only calls match that name this address, in the body or in the path: one member for which
    calls fail, while all others go through. A problem's `errors` name `field` and `message`.
    """

    method: str = "*"
    path: str = "/**"
    times: int = 1
    skip: int = 0
    kind: str = "answer"
    status: int = 500
    body: str = "problem"
    title: str = ""
    detail: str = ""
    seconds: float = 130.0
    executes: bool = False
    about: str = ""
    field: str = ""
    message: str = ""
    ordered_after: int = 0  # how often the faults had been cleared before; set when it is ordered

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.body not in BODIES:
            raise ValueError(f"kind must be one of {KINDS}, body one of {BODIES}")

    def matches(self, method: str, path: str, body: str = "") -> bool:
        return self.method in ("*", method) and matches_path(self.path, path) and self._is_about(path, body)

    def _is_about(self, path: str, body: str) -> bool:
        address = self.about.lower()
        if not address:
            return True
        return f'"{address}"' in body.lower() or not {address, subscriber_hash(address)}.isdisjoint(split(path.lower()))


def matches_path(pattern: str, path: str) -> bool:
    """Part by part: `*` and `{name}` stand for one part, a `**` at the end for any number of them."""
    wanted, parts = split(pattern), split(path)
    if wanted and wanted[-1] == "**":
        wanted = wanted[:-1]
        parts = parts[: len(wanted)]
    if len(wanted) != len(parts):
        return False
    return all(
        expected.startswith("{") or fnmatchcase(part, expected) for expected, part in zip(wanted, parts, strict=True)
    )


class Faults:
    """The faults on order, first come first served."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._cleared = 0  # how often

    def add(self, fault: Fault) -> None:
        with self._lock:
            fault.ordered_after = self._cleared
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()
            self._cleared += 1

    def waiting(self) -> list[Fault]:
        with self._lock:
            return list(self._faults)

    def hold(self, fault: Fault, *, stopped: threading.Event) -> None:
        """Wait until the fault is cleared, `stopped` is set or its seconds have passed."""
        deadline = time.monotonic() + fault.seconds
        while self._cleared == fault.ordered_after and time.monotonic() < deadline:
            if stopped.wait(_LOOK_SECONDS):
                return

    def take(self, method: str, path: str, body: str = "") -> Fault | None:
        """The fault for this call, used up by one; None for a normal call."""
        with self._lock:
            for fault in self._faults:
                if not fault.matches(method, path, body):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
                return fault
        return None
