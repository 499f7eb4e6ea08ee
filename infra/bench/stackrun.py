"""Runs on a local stack, watched from outside: when each phase began and ended, and what the workers used in it."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from infra.bench.meters import WorkerMeter
from infra.local.__main__ import FOLDER
from infra.local.deployment import STAGE
from infra.local.journey import NEW_AUDIENCE, Api
from infra.local.stack import LocalStack
from infra.standins.mailchimp.traffic import Latency

_POLL_SECONDS = 0.1
_LONGEST_RUN_SECONDS = 900.0
_RUNS_TABLE = f"pracbill-mailchimp-{STAGE}-runs"
# Reading customers and deciding about them are measured together.
_PHASES = {"ingest": "plan"}
_BULK_CALL = ("POST", "/lists/{list_id}")


class BenchFailed(Exception):
    """A run did not end well, so there is nothing to measure."""


@dataclass(frozen=True, slots=True)
class Span:
    """A phase: wall and CPU seconds, and the most memory one worker had. None: not measured on this system."""

    seconds: float = 0.0
    cpu_seconds: float | None = None
    peak_megabytes: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A finished run. `document` is the run as stored, `seconds` its whole length, `journal` Mailchimp's side."""

    document: Mapping[str, Any]
    seconds: float
    spans: Mapping[str, Span]
    journal: Mapping[str, Any]

    def span(self, phase: str) -> Span:
        return self.spans.get(phase, Span())

    @property
    def bulk_calls(self) -> int:
        calls = self.journal["calls"]
        return sum(call["count"] for call in calls if (call["method"], call["path"]) == _BULK_CALL)

    @property
    def too_many(self) -> int:
        """Calls that Mailchimp turned away because too many were under way."""
        return sum(call["statuses"].get("429", 0) for call in self.journal["calls"])


class BenchStack:
    """A running stack with a connected department, an empty audience and `customers` customers, none of them synced."""

    def __init__(self, stack: LocalStack, customers: int) -> None:
        self.customers = customers
        self.mailchimp: dict[str, Any] = stack.mailchimp
        self._pracbill_control = f"{stack.pracbill['control_url']}/departments/{stack.department_id}"
        self._api = Api(stack.api_url, stack.department_id, stack.about["tokens"]["write"])
        self._dynamodb = stack.client("dynamodb")
        self._meter = WorkerMeter(stack.about["processes"]["sync_worker"])
        self._session = requests.Session()
        self._session.trust_env = False

    def prepare(self) -> None:
        """Connect while PracBill has no customers yet, so that the first sync finds all of them new."""
        self._api.call("PUT", "D/connection", {"api_key": self.mailchimp["api_key"]})
        self._api.call("POST", "D/audiences", NEW_AUDIENCE)
        while self._api.call("GET", "D/connection")["active_run"]:
            time.sleep(_POLL_SECONDS)
        self._control(f"{self._pracbill_control}/generate", {"count": self.customers})
        self._meter.learn_idle()

    def sync(self, kind: str = "full") -> Measured:
        """Start a run and watch it to its end. Raises BenchFailed when it does not end well."""
        self.control_mailchimp("reset_journal")
        run = self._api.call("POST", "D/syncs", {"type": kind, "dry_run": False})
        document, spans = self._watch(run["id"])
        if document["status"] not in ("success", "skipped"):
            raise BenchFailed(f"the run ended as {document['status']}: {document['message']} {document['brake']}")
        seconds = _seconds_between(document["started_at"], document["finished_at"])
        return Measured(document, seconds, spans, self.journal())

    def journal(self) -> dict[str, Any]:
        """What Mailchimp's stand-in saw since the journal was reset."""
        answer: dict[str, Any] = self.control_mailchimp("journal", limit=0)
        return answer

    def control_mailchimp(self, action: str, **arguments: Any) -> Any:
        return self._control(f"{self.mailchimp['control_url']}/{action}", arguments)

    def ordinary_customers(self, count: int) -> list[dict[str, Any]]:
        """Customers with nothing odd about them, each with an address of its own."""
        found: list[dict[str, Any]] = []
        after = ""
        while len(found) < count:
            answer = self._session.get(f"{self._pracbill_control}/customers", params={"after": after}, timeout=60)
            page = answer.json()["customers"]
            if not page:
                raise BenchFailed(f"there are only {len(found)} ordinary customers, {count} are needed")
            found += [one["customer"] for one in page if one["kind"] == "ordinary"]
            after = page[-1]["customer"]["id"]
        return found[:count]

    def _control(self, url: str, body: Mapping[str, Any]) -> Any:
        answer = self._session.post(url, json=body, timeout=120)
        answer.raise_for_status()
        return answer.json()

    def _watch(self, run_id: str) -> tuple[dict[str, Any], dict[str, Span]]:
        """Follow the run's item from phase to phase, a tenth of a second behind at most."""
        spans: dict[str, Span] = {}
        deadline = time.monotonic() + _LONGEST_RUN_SECONDS
        phase, watch = "", _Watch(self._meter)
        while time.monotonic() < deadline:
            document = self._run_item(run_id)
            now_in = _PHASES.get(document["phase"], document["phase"])
            if now_in != phase or document["finished_at"]:
                if phase:
                    spans[phase] = watch.stop()
                phase, watch = now_in, _Watch(self._meter)
            if document["finished_at"] or document["status"] != "running":
                return document, spans
            time.sleep(_POLL_SECONDS)
        raise BenchFailed(f"the run did not end within {_LONGEST_RUN_SECONDS:.0f} s")

    def _run_item(self, run_id: str) -> dict[str, Any]:
        key = {"pk": {"S": self._api.department_id}, "sk": {"S": run_id}}
        item = self._dynamodb.get_item(TableName=_RUNS_TABLE, Key=key, ConsistentRead=True)["Item"]
        document: dict[str, Any] = json.loads(item["document"]["S"])
        return document


class _Watch:
    """Measures from now on until it is stopped."""

    def __init__(self, meter: WorkerMeter) -> None:
        self._meter = meter
        self._began = time.monotonic()
        self._cpu = meter.cpu_seconds()
        meter.forget_peaks()

    def stop(self) -> Span:
        seconds, cpu = time.monotonic() - self._began, self._meter.cpu_seconds()
        work = None if cpu is None or self._cpu is None else self._meter.work_seconds(cpu - self._cpu, seconds)
        return Span(seconds, work, self._meter.peak_megabytes())


@contextmanager
def bench_stack(customers: int, latency: Latency) -> Iterator[BenchStack]:
    """A fresh stack in a folder of its own, which is gone afterwards unless something failed."""
    FOLDER.mkdir(exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=FOLDER))
    options = [
        f"--bulk-base={latency.bulk_base}",
        f"--bulk-per-member={latency.bulk_per_member}",
        f"--single={latency.single}",
    ]
    with LocalStack(folder, customers=0, mailchimp_options=options) as stack:
        ready = BenchStack(stack, customers)
        ready.prepare()
        yield ready
    shutil.rmtree(folder)


def _seconds_between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
