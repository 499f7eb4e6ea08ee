"""Notes what the workflows ask of AWS while they are tested, and holds it against the functions' policies.

The stack tests do the same for the functions themselves, but many paths they never take: a chunk that is given up, a
run that the sweeper closes, an erasure that goes on where it stopped. Here the tests of the workflows take them. A call
belongs to the function that production would have entered by: `SyncWorker.handle_dead` is dead_letters, whatever is
called below it.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any

import pytest
from botocore.client import BaseClient

from chalicelib.contract import services
from chalicelib.handlers.queue_worker import EventWorker, SyncWorker
from chalicelib.sync.account.audiences import Audiences
from chalicelib.sync.account.call_limits import CallLimits
from chalicelib.sync.account.connections import Connections
from chalicelib.sync.account.settings import DepartmentSettings
from chalicelib.sync.consent.erasure import Erasure
from chalicelib.sync.consent.webhook_events import Events
from chalicelib.sync.panels import Panels
from chalicelib.sync.reports.customer_report import Customers, Reconciliations
from chalicelib.sync.reports.customer_search import CustomerSearch
from chalicelib.sync.reports.history import Histories
from chalicelib.sync.runs.apply_phase import ApplyPhase
from chalicelib.sync.runs.ingest_phase import IngestPhase
from chalicelib.sync.runs.orchestrator import Orchestrator
from chalicelib.sync.runs.plan_phase import PlanPhase
from chalicelib.sync.runs.pull_phase import PullPhase
from chalicelib.sync.runs.records import Records
from chalicelib.sync.runs.runs import Runs
from chalicelib.sync.runs.sweeper import Sweeper
from chalicelib.sync.runs.sync_logs import Logs
from chalicelib.sync.segments.management import Segments
from chalicelib.sync.segments.segments_phase import SegmentsPhase
from chalicelib.sync.segments.tag_shares import TagShares
from infra.deploy.package import PROJECT
from infra.local.call_notes.sitecustomize import named
from infra.local.deployment import read_template
from infra.local.permissions import denied_calls, read_calls

STAGE = "test"
# What each function enters by; phases are sync_worker's when a test enters by them.
_ENTRANCES: list[tuple[type, str, str]] = [
    (SyncWorker, "handle", "sync_worker"),
    (SyncWorker, "handle_dead", "dead_letters"),
    (Orchestrator, "handle", "sync_worker"),
    (Orchestrator, "give_up", "dead_letters"),
    (PullPhase, "step", "sync_worker"),
    (IngestPhase, "step", "sync_worker"),
    (PlanPhase, "step", "sync_worker"),
    (ApplyPhase, "step", "sync_worker"),
    (ApplyPhase, "apply", "sync_worker"),
    (ApplyPhase, "fail", "dead_letters"),
    (SegmentsPhase, "step", "sync_worker"),
    (TagShares, "apply", "sync_worker"),
    (TagShares, "fail", "dead_letters"),
    (EventWorker, "handle", "event_worker"),
    (Events, "apply_event", "event_worker"),
    (Sweeper, "dispatch", "dispatcher"),
    (Sweeper, "sweep", "sweeper"),
    (Erasure, "erase", "api_handler"),
]
_SERVICES = (
    Audiences,
    CallLimits,
    Connections,
    Customers,
    CustomerSearch,
    Histories,
    DepartmentSettings,
    Logs,
    Panels,
    Reconciliations,
    Records,
    Runs,
    Segments,
)
_ENTRANCES += [
    (service, name, "api_handler")
    for service in _SERVICES
    for name in vars(getattr(services, service.__name__))
    if not name.startswith("_")
]
_inside: ContextVar[str] = ContextVar("_inside", default="")


@pytest.fixture(scope="session")
def calls_seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[str]]:
    """The calls of all tests of the process, held against the policies when they are through."""
    folder = tmp_path_factory.mktemp("rights")
    # By itself: packaging imports the application, which sets up logging for the whole process.
    command = [sys.executable, "-m", "infra.deploy.package", "--out", str(folder), "--stage", STAGE, "--sources-only"]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    template = read_template(folder / "sam.yaml")
    seen: set[str] = set()
    yield seen
    trace = folder / "calls.jsonl"
    trace.write_text("\n".join(seen))
    denied = denied_calls(template, read_calls(trace), stage=STAGE)
    assert denied == [], "AWS would deny these calls: infra/deploy/resources/permissions.yaml lacks them"


@pytest.fixture(autouse=True)
def within_their_rights(request: pytest.FixtureRequest) -> Iterator[None]:
    """The workflows ask nothing of AWS that their function's role does not allow; told when all tests are through.

    Not in the fast tier: the policies are made by a process.
    """
    if request.config.option.fast:
        yield
        return
    calls_seen: set[str] = request.getfixturevalue("calls_seen")
    with pytest.MonkeyPatch.context() as patch:
        for owner, name, function in _ENTRANCES:
            patch.setattr(owner, name, _entered(getattr(owner, name), function))
        patch.setattr(ThreadPoolExecutor, "submit", _in_the_same_context(ThreadPoolExecutor.submit))
        noted = _noted(BaseClient._make_api_call, calls_seen)  # type: ignore[attr-defined]
        patch.setattr(BaseClient, "_make_api_call", noted)
        yield


def _entered(method: Any, function: str) -> Any:
    @functools.wraps(method)
    def entered(*arguments: Any, **options: Any) -> Any:
        if _inside.get():
            return method(*arguments, **options)
        token = _inside.set(function)
        try:
            return method(*arguments, **options)
        finally:
            _inside.reset(token)

    return entered


def _in_the_same_context(submit: Any) -> Any:
    """Threads that a workflow starts belong to the function it runs in."""

    def submitted(self: ThreadPoolExecutor, work: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        found: Future[Any] = submit(self, copy_context().run, work, *arguments, **options)
        return found

    return submitted


def _noted(call: Any, seen: set[str]) -> Any:
    def noted(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if _inside.get():
            entry = {
                "function": f"pracbill-mailchimp-{STAGE}-{_inside.get()}",
                "service": self.meta.service_model.service_name,
                "operation": operation,
                "parameters": _as_deployed(named(parameters)),
            }
            seen.add(json.dumps(entry, sort_keys=True))
        return call(self, operation, parameters)

    return noted


def _as_deployed(names: dict[str, Any]) -> dict[str, Any]:
    """Tests have tables and queues of their own; `engine-members` is the table `members`."""
    told = dict(names)
    if "TableName" in told:
        told["TableName"] = _table(told["TableName"])
    if "RequestItems" in told:
        told["RequestItems"] = [_table(name) for name in told["RequestItems"]]
    if "TransactItems" in told:
        told["TransactItems"] = [[kind, _table(name)] for kind, name in told["TransactItems"]]
    if "QueueUrl" in told:
        told["QueueUrl"] = f"/pracbill-mailchimp-{STAGE}-sync.fifo"
    return told


def _table(name: str) -> str:
    return f"pracbill-mailchimp-{STAGE}-{name.rpartition('-')[2]}"
