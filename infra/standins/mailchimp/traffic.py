"""What surrounds a call: how long it takes, the ten connections of a user, and the journal of calls."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MAX_CONNECTIONS = 10
_KEPT_ENTRIES = 20_000


@dataclass(frozen=True)
class Latency:
    """Seconds that calls take. A bulk call takes `bulk_base` and `bulk_per_member` for each member in it.

    `run_limit` is the time after which the edge gives up with 502; it only matters for calls that hang.
    """

    bulk_base: float = 1.0
    bulk_per_member: float = 0.008
    single: float = 0.3
    run_limit: float = 120.0

    @classmethod
    def none(cls) -> Latency:
        return cls(0.0, 0.0, 0.0, 0.0)

    def seconds(self, *, bulk: bool, members: int) -> float:
        return self.bulk_base + self.bulk_per_member * members if bulk else self.single


class Slots:
    """The simultaneous connections of each user, counted as requests being worked on.

    A request that its client has given up holds its slot until it ends.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._peaks: Counter[str] = Counter()
        self._peak = 0

    def acquire(self, user: str) -> bool:
        """Take a slot; false if all ten are taken."""
        with self._lock:
            if self._held[user] >= MAX_CONNECTIONS:
                return False
            self._held[user] += 1
            self._peaks[user] = max(self._peaks[user], self._held[user])
            self._peak = max(self._peak, sum(self._held.values()))
            return True

    def release(self, user: str) -> None:
        with self._lock:
            self._held[user] -= 1

    def peaks(self) -> tuple[int, dict[str, int]]:
        """Most simultaneous requests over all users, and for each user."""
        with self._lock:
            return self._peak, dict(self._peaks)

    def reset(self) -> None:
        with self._lock:
            self._peaks = Counter(self._held)
            self._peak = sum(self._held.values())


@dataclass(frozen=True)
class Entry:
    """One call in the journal. `path` is the template; ids of members are left out, those of audiences are kept.

    `at` is seconds since 1970, `seconds` how long the call took, `status` 0 if it was given no answer.
    """

    at: float
    method: str
    path: str
    audience_id: str
    user: str
    query: Mapping[str, str]
    members: int
    status: int
    title: str
    seconds: float
    is_write: bool


class Journal:
    """The latest calls, and totals of all since the last reset."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_KEPT_ENTRIES)
        self._counts: dict[tuple[str, str], Counter[int]] = {}
        self._members: Counter[tuple[str, str]] = Counter()
        self._writes = 0

    def add(self, entry: Entry) -> None:
        with self._lock:
            self._entries.append(entry)
            call = (entry.method, entry.path)
            self._counts.setdefault(call, Counter())[entry.status] += 1
            self._members[call] += entry.members
            self._writes += entry.is_write

    def reset(self) -> None:
        with self._lock:
            self._clear()

    def entries(self, *, writes_only: bool = False) -> list[Entry]:
        with self._lock:
            return [entry for entry in self._entries if entry.is_write or not writes_only]

    def summary(self, slots: Slots, *, limit: int, writes_only: bool) -> dict[str, Any]:
        """Counts by call and the latest `limit` entries, as the control interface shows them."""
        peak, by_user = slots.peaks()
        entries = self.entries(writes_only=writes_only)
        with self._lock:
            calls = [
                {
                    "method": method,
                    "path": path,
                    "count": counts.total(),
                    "members": self._members[method, path],
                    "statuses": {str(status): number for status, number in sorted(counts.items())},
                }
                for (method, path), counts in self._counts.items()
            ]
            writes = self._writes
        return {
            "total": sum(call["count"] for call in calls),
            "writes": writes,
            "calls": calls,
            "peak_connections": peak,
            "peak_by_user": by_user,
            "too_many_requests": [asdict(entry) for entry in entries if entry.status == 429],
            "entries": [asdict(entry) for entry in entries[len(entries) - min(limit, len(entries)) :]],
        }


class Stopwatch:
    """When a call began and how long it has taken."""

    def __init__(self) -> None:
        self.at = time.time()
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self._start, 4)
