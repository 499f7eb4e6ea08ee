"""What is killed while the service works: the run ends right all the same, and soon."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from chalicelib.store.queue import HOLD_SECONDS
from infra.local import __main__ as commands
from infra.local import processes
from infra.local import stack_state as stack_state
from infra.local.demonstration import Demonstration
from infra.local.journey import Journey, JourneyFailed
from infra.local.stack import LocalStack

pytestmark = pytest.mark.stack

SOON = 60.0


@pytest.fixture(scope="module")
def shaken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack of its own, which these tests may break."""
    with LocalStack(tmp_path_factory.mktemp("shaken"), latency=False, customers=120) as started:
        yield started


def test_a_killed_workers_chunk_is_pushed_again_after_half_a_minute(shaken: LocalStack) -> None:
    """Mailchimp keeps the chunk's worker waiting; it is killed there, by the kernel's own means."""
    control, killed = shaken.mailchimp["control_url"], list[float]()
    post(f"{control}/inject_fault", {"kind": "delay", "seconds": 20, "method": "POST", "path": "/lists/{list_id}"})

    def say(line: str) -> None:
        if not killed and line.startswith("  apply"):
            kill_busy_worker(shaken, "sync_worker")
            killed.append(time.monotonic())

    assert Demonstration(shaken, say=say, patience=240).first_sync() == []
    assert killed
    assert time.monotonic() - killed[0] < HOLD_SECONDS + SOON


@pytest.mark.parametrize("name", ["sync_worker", "event_worker", "dead_letters", "mailchimp", "pracbill"])
def test_what_is_killed_is_started_again(shaken: LocalStack, name: str) -> None:
    known = stack_state.read(shaken.folder)
    assert known is not None
    os.kill(known["processes"][name], signal.SIGKILL)
    wait_for(lambda: pid_of(shaken, name) != known["processes"][name])
    assert processes.is_running(pid_of(shaken, name))
    wait_for(lambda: pid_of(shaken, name) in json.loads(stack_state.about_path(shaken.folder).read_text())["pids"])
    for standin in (shaken.mailchimp, shaken.pracbill):
        wait_for(lambda url=standin["control_url"]: answers(url))  # type: ignore[misc]


def test_a_shaken_stack_still_hears_opt_outs_and_syncs(shaken: LocalStack) -> None:
    """After all that was killed above: the stand-ins know what they knew, and everybody takes messages again."""
    assert Demonstration(shaken, say=lambda line: None, patience=120).opt_out() == []


def test_a_stack_without_its_emulator_ends_and_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stack = LocalStack(tmp_path, latency=False, customers=1)
    stack.start()
    pids = stack.about["processes"]
    os.kill(pids["emulator"], signal.SIGKILL)
    wait_for(lambda: not any(processes.is_running(pid) for pid in pids.values()))
    assert not stack_state.about_path(tmp_path).exists()
    assert "the emulator ended" in (tmp_path / "watch.log").read_text()
    with LocalStack(tmp_path, latency=False, customers=1) as again:
        assert again.call("GET", "/health").ok
    assert "the emulator's state since its start is lost" in capfd.readouterr().out


def kill_busy_worker(stack: LocalStack, name: str) -> None:
    """Kill -9 the worker processes of a function that hold a connection to Mailchimp."""
    port = int(stack.mailchimp["url"].split(":")[2].split("/")[0])
    busy = [pid for pid in children_of(pid_of(stack, name)) if speaks_to(pid, port)]
    assert busy, "no worker speaks to Mailchimp"
    for pid in busy:
        os.kill(pid, signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    if not children.exists():
        pytest.skip("needs /proc")
    return [int(child) for child in children.read_text().split()]


def speaks_to(pid: int, port: int) -> bool:
    """Whether the process has an open connection to the port of this machine."""
    sockets = {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "01" and int(fields[2].partition(":")[2], 16) == port and f"socket:[{fields[9]}]" in sockets:
            return True
    return False


def pid_of(stack: LocalStack, name: str) -> int:
    known = stack_state.read(stack.folder)
    assert known is not None
    return int(known["processes"][name])


def post(url: str, body: dict[str, Any]) -> None:
    session = requests.Session()
    session.trust_env = False
    session.post(url, json=body, timeout=30).raise_for_status()


def answers(url: str) -> bool:
    try:
        requests.get(url, timeout=60)
    except requests.ConnectionError:
        return False
    return True


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)


@pytest.mark.parametrize("failure", [JourneyFailed("refused"), KeyboardInterrupt()])
def test_a_first_sync_that_fails_or_is_interrupted_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    started: list[int] = []

    def fail(journey: Journey, api_key: str) -> None:
        known = stack_state.read(tmp_path)
        assert known is not None
        started.extend(known["pids"])
        raise failure

    monkeypatch.setattr(commands, "FOLDER", tmp_path)
    monkeypatch.setattr(Journey, "travel", fail)
    with pytest.raises(type(failure)):
        commands.run({"MAILCHIMP_LATENCY": "off"})
    assert len(started) == 8  # the page is shown by a process of its own
    assert not [pid for pid in started if processes.is_running(pid)]
    assert stack_state.read(tmp_path) is None
