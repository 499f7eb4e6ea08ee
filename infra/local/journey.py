"""A newcomer's first quarter of an hour with the service, over its HTTP API: connect, choose an audience, sync.

Nothing here knows how the service works inside; every step is a call that PracBill's front end makes too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

POLL_SECONDS = 0.5
SILENCE_SECONDS = 15.0  # the longest time without a line
# A message that got lost is sent again after six minutes, so a run may rest that long and still be well.
PATIENCE_SECONDS = 900.0
# What a practice would type into "Create Audience".
NEW_AUDIENCE = {
    "name": "Customer Newsletter",
    "from_name": "Melbourne North Practice",
    "from_email": "news@melbourne-north.example",
    "company": "Melbourne North Practice",
    "address": {
        "line1": "1 Collins Street",
        "line2": "",
        "city": "Melbourne",
        "state": "VIC",
        "postcode": "3000",
        "country": "AU",
    },
    "language": "en",
    "permission_reminder": "You receive this e-mail because you are a customer of ours.",
}


class JourneyFailed(Exception):
    """A call was refused or a run did not end well; the message tells which and why."""


@dataclass(frozen=True, slots=True)
class Api:
    """The service's HTTP API as one department's user sees it."""

    url: str
    department_id: str
    token: str

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON. `D` at the start of a path stands for the department. Raises JourneyFailed."""
        if path.startswith("D/"):
            path = f"/departments/{self.department_id}/{path[2:]}"
        headers = {"Authorization": f"Bearer {self.token}"}
        session = requests.Session()
        session.trust_env = False
        try:
            answer = session.request(method, self.url + path, json=body, headers=headers, timeout=60)
        except requests.RequestException as error:
            raise JourneyFailed(f"{method} {path} got no answer: {type(error).__name__}") from error
        if not answer.ok:
            raise JourneyFailed(f"{method} {path} answered {answer.status_code}: {_plain_words(answer)}")
        return answer.json() if answer.content else None


def _plain_words(answer: requests.Response) -> str:
    """What a problem document says, without the document around it."""
    try:
        problem = answer.json()
        detail = str(problem["detail"])
        faults = [f"{e['field']}: {e['message']}" for e in problem.get("errors", []) if e["message"] not in detail]
        return " ".join([detail, *faults])
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer.text[:1000]


class Journey:
    """The steps, each told in a line. `patience` is the longest time in seconds that a run may show no progress."""

    def __init__(self, api: Api, *, say: Callable[[str], None] = print, patience: float = PATIENCE_SECONDS) -> None:
        self._api = api
        self._say = say
        self._patience = patience

    def travel(self, api_key: str) -> list[dict[str, Any]]:
        """Connect, choose an audience, sync all. Returns the finished runs."""
        self._connect(api_key)
        self._choose_audience()
        runs = [*self._finish_active_run(), self.sync("full")]
        self._show(runs)
        return runs

    def sync(self, run_type: str) -> dict[str, Any]:
        """Run one sync to its end. Raises JourneyFailed when it does not end well."""
        started = self._api.call("POST", "D/syncs", {"type": run_type, "dry_run": False})
        self._say(f"{run_type.capitalize()} sync")
        return self._watch(started["id"])

    def _connect(self, api_key: str) -> None:
        status = self._api.call("PUT", "D/connection", {"api_key": api_key})
        self._say(f"Connected to {status['account_name']} ({status['server_prefix']}, key ...{status['key_hint']})")

    def _choose_audience(self) -> None:
        selected = self._api.call("GET", "D/connection")["audience"]
        if selected:
            self._say(f"Audience: {selected['name']}")
            return
        found = self._api.call("GET", "D/audiences")["items"]
        if found:
            overview = self._api.call("PUT", "D/audience", {"audience_id": found[0]["id"]})
        else:
            overview = self._api.call("POST", "D/audiences", NEW_AUDIENCE)
        self._say(f"Audience: {overview['name']} ({'existing' if found else 'created'})")

    def _finish_active_run(self) -> list[dict[str, Any]]:
        """Choosing an audience starts a run that only plans, and a stack may have been stopped in the middle of one."""
        active = self._api.call("GET", "D/connection")["active_run"]
        if not active:
            return []
        if active["dry_run"]:
            self._say("First look at the audience, which choosing it started")
        else:
            self._say(f"{active['type'].capitalize()} sync that was under way")
        return [self._watch(active["id"])]

    def _watch(self, run_id: str) -> dict[str, Any]:
        """Tell how a run gets on until it ends well. Raises JourneyFailed when it does not."""
        news, news_at, told_at = "", time.monotonic(), 0.0
        while time.monotonic() < news_at + self._patience:
            run: dict[str, Any] = self._api.call("GET", f"D/syncs/{run_id}")
            before, news = news, f"{run['phase']} {run['status']} {run['progress']['done']} {run['progress']['failed']}"
            if news != before:
                news_at = time.monotonic()
            if news != before or time.monotonic() > told_at + SILENCE_SECONDS:
                self._say(progress_line(run))
                told_at = time.monotonic()
            if run["finished_at"] or run["status"] == "awaiting_approval":
                return _ended_well(run)
            time.sleep(POLL_SECONDS)
        raise JourneyFailed(f"The run {run_id} showed no progress for {self._patience:.0f} s")

    def _show(self, runs: list[dict[str, Any]]) -> None:
        """The log entry and the counts of each run."""
        entries = {entry["run_id"]: entry for entry in self._api.call("GET", "D/logs?limit=100")["items"]}
        for run in runs:
            entry = entries.get(run["id"])
            if entry is None:
                raise JourneyFailed(f"The Sync Logs hold no entry of the run {run['id']}")
            self._say(
                f"Sync Logs  {entry['date'][:19]}  {entry['direction']}  {entry['type']}  {entry['status']}  "
                f"{entry['message']}"
            )
            counts = ", ".join(f"{action} {count}" for action, count in sorted(run["counts"].items()))
            self._say(f"Counts     {counts or 'nothing to do'}")


def _ended_well(run: dict[str, Any]) -> dict[str, Any]:
    if run["status"] == "awaiting_approval":
        raise JourneyFailed(f"The run waits for approval: {run['brake'] and run['brake']['reason']}")
    if run["status"] not in {"success", "skipped"}:
        raise JourneyFailed(f"The run ended as {run['status']}: {run['message']}")
    return run


def progress_line(run: dict[str, Any]) -> str:
    """One line on where a run is."""
    progress = run["progress"]
    if run["dry_run"] and run["finished_at"] and progress["planned"] is not None:
        # What it planned is left to a later run: as a share done it would read as if nothing had worked.
        return f"  {run['phase']:<9} {progress['planned']} changes planned, nothing sent  {run['status']}"
    line = f"  {run['phase']:<9} {progress['done'] + progress['failed']}"
    if progress["planned"] is not None:
        line += f"/{progress['planned']}"
    if progress["failed"]:
        line += f" ({progress['failed']} failed)"
    if progress["rate"]:
        line += f"  {progress['rate']:.0f}/s"
    if progress["eta"]:
        line += f"  done at {_local_time(progress['eta'])}"
    return f"{line}  {run['status']}"


def _local_time(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%H:%M:%S")
