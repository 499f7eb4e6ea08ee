"""The local stack's commands, as the Makefile calls them: `python -m infra.local run|demo|stop|logs`."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.deploy.package import PROJECT
from infra.deploy.page import PageFailed
from infra.deploy.page import build as build_page
from infra.local import stack_state as stack_state
from infra.local.demonstration import Demonstration, api_key_of, open_api
from infra.local.deployment import DataChanged, DeploymentFailed
from infra.local.emulator import client
from infra.local.journey import Journey, JourneyFailed
from infra.local.processes import ProcessFailed
from infra.local.servers import ExternalServers, IncompleteServers
from infra.local.smoke import SmokeTestFailed
from infra.local.stack import PASSED_ON, AlreadyRunning, LocalStack, locked

FOLDER = PROJECT / ".local"
_EXPECTED = (
    AlreadyRunning,
    DataChanged,
    DeploymentFailed,
    IncompleteServers,
    JourneyFailed,
    PageFailed,
    ProcessFailed,
    SmokeTestFailed,
)

# What the last start left may be why a connection or a sync fails: a key that was revoked, a department that waits.
_WITHOUT_THE_JOURNEY = (
    "SYNC=0 make run starts without connecting and syncing; FRESH=1 make run starts anew (the old state is lost)."
)


def run(environment: Mapping[str, str]) -> int:
    """Start the stack and go through a newcomer's first steps; leave it running, unless they fail."""
    servers = ExternalServers.from_environment(environment)
    if environment.get("FRESH", "0") not in ("", "0"):
        _forget_state()
    build_page()
    stack = _stack(FOLDER, servers, environment, for_people=True)
    stack.start()
    try:
        print(f"Open {stack.host_url}")
        print(f"The stack is up: {stack.api_url}/health")
        if environment.get("SYNC") != "0":
            Journey(open_api(stack, servers)).travel(api_key_of(stack, servers))
    except BaseException as failure:
        print(f"Stopping what was started; the logs are in {FOLDER}", file=sys.stderr)
        if isinstance(failure, JourneyFailed):
            print(_WITHOUT_THE_JOURNEY, file=sys.stderr)
        stack.stop()
        raise
    print(where_to_look(stack.about))
    return 0


def _forget_state() -> None:
    """Remove what the last stack knew; one that runs is left alone, and demos have folders of their own."""
    with locked(FOLDER):
        if stack_state.answering(FOLDER) is not None:
            return
        stack_state.stop(FOLDER)  # what may be left of one that broke down
        for path in FOLDER.iterdir():
            if path.is_dir() and not path.name.startswith("demo-"):
                shutil.rmtree(path, ignore_errors=True)
            elif path.is_file() and path.name != "lock":
                path.unlink()


def demo(environment: Mapping[str, str]) -> int:
    """Do the same from nothing, check the result from outside, and leave no trace."""
    servers = ExternalServers.from_environment(environment)
    FOLDER.mkdir(exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=FOLDER))
    try:
        with _stack(folder, servers, environment) as stack:
            differences = Demonstration(stack, servers).give()
    except (KeyboardInterrupt, SystemExit):
        shutil.rmtree(folder)
        raise
    except BaseException:
        print(f"The logs of the failed demo are in {folder}", file=sys.stderr)
        raise
    if differences:
        print("Not as it should be:", *differences, f"The logs are in {folder}", sep="\n")
        return 1
    shutil.rmtree(folder)
    return 0


def stop(environment: Mapping[str, str]) -> int:
    """End the running stack; its state is kept."""
    if not FOLDER.exists():
        print("No stack is running.")
        return 0
    with locked(FOLDER):
        known = stack_state.read(FOLDER)
        broken = stack_state.missing(FOLDER, known) if known else []
        stack_state.stop(FOLDER)
    if known is None:
        print("No stack is running.")
    elif "emulator" in broken:
        print("The stack had broken down: the emulator's state since its start is lost. What was left is ended.")
    else:
        print("The stack is stopped; make run goes on where it was.")
    return 0


def logs(environment: Mapping[str, str]) -> int:
    """Print what the functions behind the API logged; the others' logs are files."""
    about = stack_state.answering(FOLDER)
    if about is None:
        print("No stack is running.", file=sys.stderr)
        return 1
    cloudwatch = client("logs", about["emulator_url"])
    groups = cloudwatch.get_paginator("describe_log_groups").paginate()
    for name in [group["logGroupName"] for page in groups for group in page["logGroups"]]:
        for page in cloudwatch.get_paginator("filter_log_events").paginate(logGroupName=name):
            for event in page["events"]:
                print(name.rpartition("-")[2], event["message"].rstrip())
    return 0


def _stack(
    folder: Path, servers: ExternalServers, environment: Mapping[str, str], *, for_people: bool = False
) -> LocalStack:
    return LocalStack(
        folder,
        latency=environment.get("MAILCHIMP_LATENCY") != "off",
        usual_ports=for_people,
        host=for_people,
        servers=servers,
        environment={name: environment[name] for name in PASSED_ON if environment.get(name)},
    )


def where_to_look(about: Mapping[str, object]) -> str:
    """What a developer needs to go on from here."""
    tokens = about["tokens"]
    stored = f"""$(python3 -c 'import json; print(json.load(open("{about["logs"]}/stack.json"))["tokens"]["write"])')"""
    # Only our own issuer's tokens are kept in the file; somebody else's is in the caller's environment.
    token = stored if isinstance(tokens, Mapping) and tokens["write"] else "$ACCESS_TOKEN"
    lines = ["", *([f"Open {about['host_url']}", ""] if "host_url" in about else [])]
    lines += [f"API         {about['api_url']}/health", f"description {about['api_url']}/openapi.json"]
    for name in ("mailchimp", "pracbill"):
        standin = about[name]
        if isinstance(standin, Mapping):
            lines.append(f"{name:<11} {standin['control_url']}  (levers of the stand-in)")
    lines += [
        f"logs        {about['logs']}/*.log  (the API's own: make logs)",
        f"details     {about['logs']}/stack.json",
        "",
        f"TOKEN={token}",
        f'curl -s -H "Authorization: Bearer $TOKEN" {about["api_url"]}/departments/{about["department_id"]}/connection',
        "",
        "make stop ends it; what it knows is kept for the next make run.",
    ]
    return "\n".join(lines)


COMMANDS: dict[str, Callable[[Mapping[str, str]], int]] = {"run": run, "demo": demo, "stop": stop, "logs": logs}


def _interrupt_once(*_: object) -> None:
    """A second Ctrl-C must not leave half of the stack behind while the first one ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.local")
    parser.add_argument("command", choices=COMMANDS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an exception, so that what was started is ended
    signal.signal(signal.SIGINT, _interrupt_once)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a pipe shows each line when it is told, as a terminal does
    try:
        return COMMANDS[parser.parse_args().command](os.environ)
    except _EXPECTED as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; nothing is left running.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
