"""The stand-in as a process, and the state that outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from infra.standins.pracbill import PracBillStandIn
from infra.standins.pracbill.consent import Effect
from tests.standins.pracbill.conftest import NOON, Caller, Clock, opt_in, opt_out

ROOT = Path(__file__).parents[3]


def own_address(response: requests.Response) -> Any:
    """The port that this answer came to; the connection is still open."""
    assert response.raw.connection is not None
    return response.raw.connection.sock.getsockname()


@contextmanager
def running(*arguments: str) -> Iterator[dict[str, Any]]:
    """The stand-in in a process of its own, ended by SIGTERM; yields what it announces."""
    command = [sys.executable, "-m", "infra.standins.pracbill", "--port", "0", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0


def test_it_announces_itself_keeps_its_state_and_its_tokens_over_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "pracbill.json"
    with running("--state", str(state), "--customers", "60") as first:
        assert first.keys() >= {"url", "control_url", "token", "jwks_url", "issuer", "department_id", "tokens"}
        headers = {"Authorization": f"Bearer {first['token']}"}
        base = f"{first['url']}/departments/{first['department_id']}"
        customers = requests.get(f"{base}/customers", headers=headers, timeout=60).json()["customers"]
        assert len(customers) == 60
        path = f"{first['control_url']}/departments/{first['department_id']}/customers"
        requests.post(path, json={"id": "77777", "email": "kept@clinic.test"}, timeout=60)
    assert state.stat().st_mode & 0o077 == 0
    with running("--state", str(state), "--customers", "5") as second:
        base = f"{second['url']}/departments/{second['department_id']}"
        kept = requests.get(f"{base}/customers", headers=headers, timeout=60).json()["customers"]
        assert kept[:59] == customers[:59]
        assert len(kept) == 61
        key = jwt.PyJWKClient(second["jwks_url"]).get_signing_key_from_jwt(first["tokens"]["write"])
        claims = jwt.decode(
            first["tokens"]["write"], key, ["ES256"], audience="pracbill-mailchimp", issuer=second["issuer"]
        )
        assert claims["mailchimp_access"] == {"melbourne-north": "write"}


def test_what_was_announced_holds_after_a_crash_at_once(tmp_path: Path) -> None:
    state = tmp_path / "pracbill.json"
    command = [sys.executable, "-m", "infra.standins.pracbill", "--state", str(state), "--customers", "20"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        announced = json.loads(process.stdout.readline())
        process.kill()
    with PracBillStandIn(state=state) as after:
        assert after.token == announced["token"]
        kids = {key["kid"] for key in after.issuer_keys.key_set()["keys"]}
        assert jwt.get_unverified_header(announced["tokens"]["read"])["kid"] in kids


def test_everything_is_as_before_after_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    state = tmp_path / "state.json"
    with PracBillStandIn(customers=40, now=clock, state=state) as before:
        before.upsert("90001", email="ann@clinic.test")
        caller = Caller(before)
        caller.post_consent(opt_out("ann@clinic.test", "2026-03-04T09:00:00Z"))
        caller.post_consent(opt_out("ann@clinic.test", "2026-03-04T11:00:00Z"))
        before.remove("90001")
        before.upsert("90002", email="bob@clinic.test")
        caller.post_consent(opt_out("bob@clinic.test", "2026-03-04T09:00:00Z"))
        caller.post_consent(opt_out("bob@clinic.test", "2026-03-04T11:00:00Z"))
        changes, kinds, journal = caller.all_changes(), before.kinds(), before.consent_changes()
        key_set, token = before.issuer_keys.key_set(), before.token
    with PracBillStandIn(now=clock, state=state) as after:
        caller = Caller(after)
        assert (caller.all_changes(), after.kinds(), after.consent_changes()) == (changes, kinds, journal)
        assert (after.issuer_keys.key_set(), after.token) == (key_set, token)
        # The second opt-out is remembered, although it changed nothing that is shown.
        caller.post_consent(opt_in("bob@clinic.test", "2026-03-04T10:00:00Z"))
        assert after.consent_changes()[-1].effect is Effect.STALE


def test_a_change_after_a_restart_is_later_than_all_before_it(tmp_path: Path) -> None:
    clock = Clock()
    with PracBillStandIn(customers=0, now=clock, state=tmp_path / "s.json") as before:
        first = before.upsert("1")["updated_at"]
    clock.moment = NOON - timedelta(hours=2)
    with PracBillStandIn(now=clock, state=tmp_path / "s.json") as after:
        assert after.upsert("2")["updated_at"] > first


def test_the_state_may_be_saved_at_any_time(tmp_path: Path) -> None:
    state = tmp_path / "s.json"
    with PracBillStandIn(customers=0, state=state) as standin:
        standin.upsert("1")
        assert requests.post(f"{standin.control_url}/save", timeout=60).json() == {"saved": True}
        assert "melbourne-north" in state.read_text()
        assert os.listdir(tmp_path) == ["s.json"]


@pytest.mark.parametrize("content", ["{", '{"version": 99}', "[]"])
def test_a_state_it_cannot_read_is_left_alone_and_said(tmp_path: Path, content: str) -> None:
    state = tmp_path / "s.json"
    state.write_text(content)
    command = [sys.executable, "-m", "infra.standins.pracbill", "--state", str(state)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 1
    assert "s.json" in result.stderr
    assert state.read_text() == content


def test_a_stopped_stand_in_breaks_open_connections(pracbill: PracBillStandIn, caller: Caller) -> None:
    assert caller.get().status_code == 200
    pracbill.stop()
    with pytest.raises(requests.ConnectionError):
        caller.get()


def test_connections_are_kept_between_calls(seeded: Caller) -> None:
    first = seeded.get(stream=True)
    before = own_address(first)
    first.content  # noqa: B018 - reading it frees the connection
    second = seeded.get(stream=True)
    assert own_address(second) == before
    second.close()
