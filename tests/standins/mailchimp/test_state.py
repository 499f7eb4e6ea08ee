"""The state file and the command line."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from infra.standins.mailchimp import Latency, MailchimpStandIn
from infra.standins.mailchimp.__main__ import build, read_arguments

from .conftest import Api, Home, settle, wait_until
from .receiver import Receiver

ROOT = Path(__file__).parents[3]


@contextmanager
def kept(state: Path, **options: Any) -> Iterator[MailchimpStandIn]:
    with MailchimpStandIn(state=state, latency=Latency.none(), **options) as running:
        yield running


def at(standin: MailchimpStandIn, home: Home) -> Home:
    """The same account and audience at a restarted stand-in."""
    return Home(Api(standin.url, home.api.key), standin.control, home.account_id, home.id)


def test_the_seeded_account_has_three_audiences_to_make_and_one_steady_key(tmp_path: Path) -> None:
    with kept(tmp_path / "a") as first:
        account_id = first.control.accounts()[0]["account_id"]
        answer = Api(first.url, first.api_key).get("/lists").json()
        assert answer["constraints"] == {"may_create": True, "max_instances": 3, "current_total_instances": 0}
    with kept(tmp_path / "a") as again, kept(tmp_path / "b") as elsewhere:
        assert again.control.accounts()[0]["account_id"] == account_id
        assert again.api_key == first.api_key == elsewhere.api_key


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with kept(state) as first:
        home = settle(first)
        home.api.post(f"{home.path}/merge-fields", {"name": "Company", "tag": "COMPANY", "type": "text"})
        home.add("ann@clinic.test", tags=["Client"], merge_fields={"COMPANY": "Acme"})
        home.add("bob@clinic.test")
        home.act("unsubscribe", "bob@clinic.test")
        home.add("gone@clinic.test")
        home.act("admin_delete", "gone@clinic.test")
        before = home.api.get(f"{home.path}/members").json()
        segments = home.api.get(f"{home.path}/segments").json()
    with kept(state) as second:
        home = at(second, home)
        assert home.api.get(f"{home.path}/members").json() == before
        assert home.api.get(f"{home.path}/segments").json() == segments
        assert home.put("bob@clinic.test", status="subscribed").json()["title"] == "Member In Compliance State"
        assert home.put("gone@clinic.test", status="subscribed").json()["title"] == "Forgotten Email Not Subscribed"
        assert home.add("new@clinic.test")["web_id"] not in {member["web_id"] for member in before["members"]}


def test_removals_survive_a_restart_too(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with kept(state) as first:
        home = settle(first)
        home.add("ann@clinic.test")
        other = first.control.create_audience(account_id=home.account_id)["audience_id"]
    with kept(state) as second:
        home = at(second, home)
        home.act("admin_delete", "ann@clinic.test")
        assert home.api.delete(f"/lists/{other}").status_code == 204
    with kept(state) as third:
        home = at(third, home)
        assert home.listed() == []
        assert home.api.get(f"/lists/{other}").status_code == 404


def test_events_that_wait_are_delivered_after_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    state = tmp_path / "state"
    body = {"url": receiver.url, "events": {"unsubscribe": True}, "sources": {"user": True}}
    with kept(state, retry_after=(0.5,)) as first:
        home = settle(first)
        home.add("ann@clinic.test")
        home.api.post(f"{home.path}/webhooks", body)
        receiver.post_statuses = [500]
        home.act("unsubscribe", "ann@clinic.test")
        assert first.control.wait_for_deliveries(5)
        assert len(first.control.pending_deliveries()) == 1
    assert len(receiver.received) == 1
    with kept(state, retry_after=(0.5,)) as second:
        while second.control.pending_deliveries():
            second.control.wait_for_deliveries(0.05)
        assert second.control.wait_for_deliveries(5)
    assert [call.fields["data[email]"] for call in receiver.received] == ["ann@clinic.test"] * 2


def test_only_what_changed_is_written_again(tmp_path: Path) -> None:
    with kept(tmp_path / "state") as running:
        home = settle(running)
        home.bulk(*[{"email_address": f"p{number}@clinic.test", "status": "subscribed"} for number in range(50)])
        assert running._file is not None
        assert running._file.save(running.world) >= 51
        assert running._file.save(running.world) == 0
        home.put("p1@clinic.test", merge_fields={"FNAME": "New"})
        assert running._file.save(running.world) == 1


# --- the command ---


@contextmanager
def command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The stand-in as a process, and the line it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.standins.mailchimp", "--port", "0", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def test_the_command_tells_where_it_listens_and_saves_at_sigterm(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    with command("--state", state, "--no-latency") as (process, about):
        assert set(about) == {"url", "control_url", "api_key"}
        made = requests.post(about["control_url"] + "/create_audience", json={"name": "Clients"}, timeout=60).json()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    with command("--state", state, "--no-latency") as (_, again):
        assert again["api_key"] == about["api_key"]
        assert Api(again["url"], again["api_key"]).get(f"/lists/{made['audience_id']}").json()["name"] == "Clients"


def is_saved(state: Path, audience_id: str) -> bool:
    with closing(sqlite3.connect(state)) as database, suppress(sqlite3.OperationalError):
        return database.execute("SELECT 1 FROM documents WHERE id = ?", (audience_id,)).fetchone() is not None
    return False


def test_a_killed_process_has_lost_no_more_than_the_last_seconds(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with command("--state", str(state), "--no-latency", "--save-every", "0.1") as (process, about):
        made = requests.post(about["control_url"] + "/create_audience", json={}, timeout=60).json()
        wait_until(lambda: is_saved(state, made["audience_id"]))
        process.kill()
        process.wait()
    with kept(state) as again:
        assert again.control.audiences()[0]["audience_id"] == made["audience_id"]


def test_the_options_reach_the_stand_in() -> None:
    arguments = ["--bulk-base", "2", "--bulk-per-member", "0.1", "--single", "0.5", "--archived-in-listing"]
    standin = build(read_arguments([*arguments, "--reading", "segment_error_count=addresses"]))
    assert standin._gate.latency == Latency(2.0, 0.1, 0.5)
    assert standin.world.readings.archived_in_listing is True
    assert standin.world.readings.segment_error_count == "addresses"


def test_an_unknown_reading_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown reading"):
        build(read_arguments(["--reading", "nonsense=1"]))
