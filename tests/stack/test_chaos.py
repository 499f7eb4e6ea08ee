"""A stack is stopped and started again, and parts of it are killed while it works: it goes on right, and soon.

One stack is restarted and then shaken, and a second one breaks down; each start takes seconds.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from chalicelib.store.queue import HOLD_SECONDS
from infra.local import __main__ as commands
from infra.local import processes
from infra.local import stack_state as stack_state
from infra.local.demonstration import Demonstration
from infra.local.journey import Journey, JourneyFailed
from infra.local.servers import ExternalServers
from infra.local.stack import LocalStack

pytestmark = pytest.mark.stack

SOON = 60.0
TABLE = "pracbill-mailchimp-local-departments"
# No run of its own starts while the tests last.
SCHEDULE = "rate(7 hours)"


@dataclass(frozen=True)
class Restarted:
    """A stack after its second start: what it said of itself before, and whether all was gone in between."""

    stack: LocalStack
    first: dict[str, Any]
    was_gone: bool
    key_made_before: str


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restarted]:
    """A stack of its own, changed in some ways, stopped and started again; what goes on in it may be killed."""
    folder = tmp_path_factory.mktemp("restarted")
    stack = LocalStack(folder, latency=False, customers=120)
    with stack:
        first = stack.about
        stack.client("dynamodb").put_item(TableName=TABLE, Item={"department_id": {"S": "kept"}})
        created = requests.post(f"{stack.mailchimp['control_url']}/create_key", json={}, timeout=60).json()
        change_routes(stack)
    gone = stack_state.read(folder) is None and not [pid for pid in first["pids"] if processes.is_running(pid)]
    stack = LocalStack(folder, latency=False, customers=120, environment={"SYNC_SCHEDULE": SCHEDULE})
    with stack:
        yield Restarted(stack, first=first, was_gone=gone, key_made_before=created["api_key"])


@dataclass(frozen=True)
class Disturbed:
    """A first sync of which a worker was killed: what was wrong after it, and how many seconds it took from there."""

    differences: list[str]
    seconds: float


@pytest.fixture(scope="module")
def disturbed(restarted: Restarted) -> Disturbed:
    """Mailchimp keeps the chunk's worker waiting; it is killed there, by the kernel's own means."""
    stack, killed = restarted.stack, list[float]()
    control = stack.mailchimp["control_url"]
    post(f"{control}/inject_fault", {"kind": "delay", "seconds": 20, "method": "POST", "path": "/lists/{list_id}"})

    def say(line: str) -> None:
        if not killed and line.startswith("  apply"):
            kill_busy_worker(stack, "sync_worker")
            killed.append(time.monotonic())

    differences = Demonstration(stack, say=say, patience=240).first_sync()
    assert killed
    return Disturbed(differences, time.monotonic() - killed[0])


@pytest.fixture
def shaken(restarted: Restarted, disturbed: Disturbed) -> LocalStack:
    return restarted.stack


def api_id(stack: LocalStack) -> str:
    return stack.api_url.split("/")[-2]


def change_routes(stack: LocalStack) -> None:
    """As if the code had had other routes: /health missing, /stale there."""
    gateway, api = stack.client("apigateway"), api_id(stack)
    ids = {item["path"]: item["id"] for item in gateway.get_resources(restApiId=api, limit=500)["items"]}
    gateway.delete_resource(restApiId=api, resourceId=ids["/health"])
    stale = gateway.create_resource(restApiId=api, parentId=ids["/"], pathPart="stale")["id"]
    gateway.put_method(restApiId=api, resourceId=stale, httpMethod="GET", authorizationType="NONE")


def test_a_stop_ends_every_process_and_takes_the_description_away(restarted: Restarted) -> None:
    assert restarted.was_gone


def test_what_it_knows_outlives_a_stop(restarted: Restarted) -> None:
    stack = restarted.stack
    assert "Item" in stack.client("dynamodb").get_item(TableName=TABLE, Key={"department_id": {"S": "kept"}})
    accounts = requests.get(f"{stack.mailchimp['control_url']}/accounts", timeout=60).text
    assert restarted.key_made_before in accounts
    assert urlsplit(stack.api_url).path == urlsplit(restarted.first["api_url"]).path


def test_a_restart_brings_the_routes_in_line_with_the_template(restarted: Restarted) -> None:
    stack = restarted.stack
    found = stack.client("apigateway").get_resources(restApiId=api_id(stack), limit=500)["items"]
    methods = {item["path"]: set(item.get("resourceMethods", {})) for item in found}
    assert "GET" in methods["/health"]
    assert methods["/stale"] == set()
    assert stack.call("GET", "/health").ok


def test_a_restart_takes_the_schedule_of_its_own_environment(restarted: Restarted) -> None:
    events = restarted.stack.client("events")
    rules = [rule for rule in events.list_rules()["Rules"] if "Dispatcher" in rule["Name"]]
    assert [rule["ScheduleExpression"] for rule in rules] == [SCHEDULE]
    assert events.list_targets_by_rule(Rule=rules[0]["Name"])["Targets"]


def test_a_killed_workers_chunk_is_pushed_again_after_half_a_minute(disturbed: Disturbed) -> None:
    assert disturbed.differences == []
    assert disturbed.seconds < HOLD_SECONDS + SOON


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


def test_a_stack_without_its_emulator_ends_and_goes_on_with_servers_of_others(
    shaken: LocalStack, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Those of others, in the stand-ins' places, are here the other stack's."""
    break_down(LocalStack(tmp_path, latency=False, customers=1))
    servers = servers_of(shaken)
    with LocalStack(tmp_path, servers=servers) as again:
        assert "the emulator's state since its start is lost" in capfd.readouterr().out
        assert again.call("GET", "/health").ok
        assert again.about["tokens"] == {"read": None, "write": None}
        assert again.about["department_id"] == shaken.department_id
        assert not {"mailchimp", "pracbill"} & again.about["processes"].keys()
        secret = shaken.mailchimp["api_key"].encode()
        assert not [path for path in tmp_path.glob("*.json") if secret in path.read_bytes()]
        assert Demonstration(again, servers, say=lambda line: None, patience=60).first_sync() == []


def break_down(stack: LocalStack) -> None:
    """Start the stack and kill its emulator: the rest ends by itself, and says why."""
    stack.start()
    pids = stack.about["processes"]
    os.kill(pids["emulator"], signal.SIGKILL)
    wait_for(lambda: not any(processes.is_running(pid) for pid in pids.values()))
    assert not stack_state.about_path(stack.folder).exists()
    assert "the emulator ended" in (stack.folder / "watch.log").read_text()


def servers_of(stack: LocalStack) -> ExternalServers:
    return ExternalServers(
        mailchimp_api_url=stack.mailchimp["url"],
        mailchimp_api_key=stack.mailchimp["api_key"],
        pracbill_api_url=stack.pracbill["url"],
        pracbill_token=stack.pracbill["token"],
        pracbill_jwks_url=stack.pracbill["jwks_url"],
        pracbill_issuer=stack.pracbill["issuer"],
        access_token=stack.about["tokens"]["write"],
        department_id=stack.department_id,
    )


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
