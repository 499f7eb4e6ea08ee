"""What the watch does about processes that end again and again. That it works on a real stack is in tests/stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.local import processes
from infra.local import stack_state as stack_state
from infra.local.watch import Watch


class Failing:
    """A stack whose poller ends as soon as it is started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.started_at, self.emulator_runs = 0.0, list[float](), True
        command = {"arguments": ["poll"], "environment": {}, "log": "l", "directory": "."}
        self.stack: dict[str, Any] = {
            "processes": {"emulator": 1, "sync_worker": 2, stack_state.WATCH: 3},
            "commands": {"sync_worker": command},
        }
        self.ended: dict[str, int] = {}
        monkeypatch.setattr(stack_state, "read", lambda folder: self.stack)
        monkeypatch.setattr(stack_state, "write", lambda folder, known: None)
        monkeypatch.setattr(stack_state, "is_alive", lambda folder, pid: pid == 1 and self.emulator_runs)
        monkeypatch.setattr(stack_state, "end", lambda folder, running: self.ended.update(running))

    def start(self, command: processes.Command, *, afresh: bool = True) -> int:
        assert not afresh  # the log tells why it ended the last time
        self.started_at.append(self.now)
        return 100 + len(self.started_at)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    failing = Failing(monkeypatch)
    monkeypatch.setattr(processes.Command, "start", lambda command, **options: failing.start(command, **options))
    return failing


def test_what_goes_on_ending_is_started_more_and_more_slowly(failing: Failing, tmp_path: Path) -> None:
    watch = Watch(tmp_path, say=lambda line: None, clock=lambda: failing.now)
    for _ in range(200):
        assert watch.look()
        failing.now += 0.5
    assert failing.started_at == [0.0, 1.0, 6.0, 36.0, 66.0, 96.0]


def test_without_the_emulator_all_others_are_ended_but_the_watch_itself(failing: Failing, tmp_path: Path) -> None:
    failing.emulator_runs = False
    said: list[str] = []
    assert not Watch(tmp_path, say=said.append).look()
    assert failing.ended == {"emulator": 1, "sync_worker": 2}
    assert said[0].startswith("the emulator ended")
    assert failing.started_at == []
