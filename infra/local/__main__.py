"""The local stack's commands, as the Makefile calls them: `python -m infra.local run|demo|stop|logs`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.local import verify
from infra.local.deployment import DataChanged, DeploymentFailed
from infra.local.emulator import client
from infra.local.journey import Api, Journey, JourneyFailed
from infra.local.mailchimp.addresses import is_well_formed, looks_fake
from infra.local.processes import ProcessFailed
from infra.local.servers import ExternalServers, IncompleteServers
from infra.local.smoke import SmokeTestFailed
from infra.local.stack import PASSED_ON, AlreadyRunning, LocalStack, read_about, stop_stack
from infra.package import PROJECT

FOLDER = PROJECT / ".local"
_EXPECTED = (
    AlreadyRunning,
    DataChanged,
    DeploymentFailed,
    IncompleteServers,
    JourneyFailed,
    ProcessFailed,
    SmokeTestFailed,
)


def run(environment: Mapping[str, str]) -> int:
    """Start the stack and go through a newcomer's first steps; leave it running."""
    servers = ExternalServers.from_environment(environment)
    if environment.get("FRESH") and read_about(FOLDER) is None:
        shutil.rmtree(FOLDER, ignore_errors=True)
    stack = _stack(FOLDER, servers, environment, usual_ports=True)
    stack.start()
    print(f"The stack is up: {stack.api_url}")
    if environment.get("SYNC") != "0":
        Journey(_api(stack, servers)).travel(_api_key(stack, servers))
    print(where_to_look(stack.about))
    return 0


def demo(environment: Mapping[str, str]) -> int:
    """Do the same from nothing, check the result from outside, and leave no trace."""
    servers = ExternalServers.from_environment(environment)
    FOLDER.mkdir(exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=FOLDER))
    stack = _stack(folder, servers, environment)
    try:
        with stack:
            report = _travel_and_verify(stack, servers)
    except BaseException:
        print(f"The logs of the failed demo are in {folder}", file=sys.stderr)
        raise
    shutil.rmtree(folder)
    print("\n".join(report.differences))
    print(f"Checked from outside: {report.summary()}")
    return 1 if report.differences else 0


def stop(environment: Mapping[str, str]) -> int:
    """End the running stack; its state is kept."""
    if stop_stack(FOLDER):
        print("The stack is stopped; make run goes on where it was.")
    else:
        print("No stack is running.")
    return 0


def logs(environment: Mapping[str, str]) -> int:
    """Print what the functions behind the API logged; the others' logs are files."""
    about = read_about(FOLDER)
    if about is None:
        print("No stack is running.", file=sys.stderr)
        return 1
    cloudwatch = client("logs", about["emulator_url"])
    for group in cloudwatch.describe_log_groups()["logGroups"]:
        for event in cloudwatch.filter_log_events(logGroupName=group["logGroupName"])["events"]:
            print(group["logGroupName"].rpartition("-")[2], event["message"].rstrip())
    return 0


def _stack(
    folder: Path, servers: ExternalServers, environment: Mapping[str, str], *, usual_ports: bool = False
) -> LocalStack:
    return LocalStack(
        folder,
        latency=environment.get("MAILCHIMP_LATENCY") != "off",
        usual_ports=usual_ports,
        servers=servers,
        environment={name: environment[name] for name in PASSED_ON if environment.get(name)},
    )


def _api(stack: LocalStack, servers: ExternalServers) -> Api:
    token = servers.access_token or stack.about["tokens"]["write"]
    return Api(stack.api_url, stack.department_id, token)


def _api_key(stack: LocalStack, servers: ExternalServers) -> str:
    return servers.mailchimp_api_key or str(stack.mailchimp["api_key"])


def _travel_and_verify(stack: LocalStack, servers: ExternalServers) -> verify.Report:
    mailchimp = verify.Mailchimp(servers.mailchimp_api_url or stack.mailchimp["url"], _api_key(stack, servers))
    audiences = mailchimp.audience_ids()
    before = mailchimp.members(audiences[0]) if audiences else {}
    api = _api(stack, servers)
    Journey(api).travel(mailchimp.api_key)
    pracbill = verify.PracBill(
        servers.pracbill_api_url or stack.pracbill["url"],
        servers.pracbill_token or stack.pracbill["token"],
        stack.department_id,
    )
    return verify.Verification(
        pracbill.customers(),
        mailchimp.members(api.call("GET", "D/connection")["audience"]["id"]),
        before=before,
        is_refused=lambda address: not is_well_formed(address) or looks_fake(address),
        unknown_consent=api.call("GET", "D/settings")["unknown_consent"],
        country=pracbill.country(),
    ).compare()


def where_to_look(about: Mapping[str, object]) -> str:
    """What a developer needs to go on from here."""
    lines = ["", f"API         {about['api_url']}", f"description {about['api_url']}/openapi.json"]
    for name in ("mailchimp", "pracbill"):
        standin = about[name]
        if isinstance(standin, Mapping):
            lines.append(f"{name:<11} {standin['control_url']}  (levers of the stand-in)")
    lines += [
        f"logs        {about['logs']}/*.log  (the API's own: make logs)",
        f"details     {about['logs']}/stack.json",
        "",
        f'TOKEN=$(python3 -c \'import json; print(json.load(open("{about["logs"]}/stack.json"))["tokens"]["write"])\')',
        f'curl -H "Authorization: Bearer $TOKEN" {about["api_url"]}/departments/{about["department_id"]}/connection',
        "",
        "make stop ends it; what it knows is kept for the next make run.",
    ]
    return "\n".join(lines)


COMMANDS: dict[str, Callable[[Mapping[str, str]], int]] = {"run": run, "demo": demo, "stop": stop, "logs": logs}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.local")
    parser.add_argument("command", choices=COMMANDS)
    try:
        return COMMANDS[parser.parse_args().command](os.environ)
    except _EXPECTED as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
