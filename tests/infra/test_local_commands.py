"""The commands of the local stack where there is none, and what they forget."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.local import __main__ as commands
from infra.local import stack_state as stack_state
from infra.local.journey import JourneyFailed
from infra.local.stack import AlreadyRunning, locked

NOBODY = 2**22 + 1  # no process has this id


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(commands, "FOLDER", tmp_path / ".local")
    return tmp_path / ".local"


def described(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    known = dict.fromkeys(stack_state.PROMISED, None) | {
        "api_url": "http://127.0.0.1:1",
        "processes": {"emulator": NOBODY},
    }
    stack_state.write(folder, known)


def test_stopping_where_nothing_runs_is_no_fault(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.stop({}) == 0
    assert capsys.readouterr().out == "No stack is running.\n"
    assert not folder.exists()


@pytest.mark.parametrize(("failure", "is_told"), [(JourneyFailed("Invalid API key"), True), (KeyError("x"), False)])
def test_a_start_whose_first_steps_fail_says_how_to_start_without_them(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    failure: Exception,
    is_told: bool,
) -> None:
    def fails(*_: object) -> None:
        raise failure

    stopped: list[bool] = []
    stack = SimpleNamespace(start=lambda: None, stop=lambda: stopped.append(True), host_url="", api_url="")
    monkeypatch.setattr(commands, "build_page", lambda: None)
    monkeypatch.setattr(commands, "_stack", lambda *_, **__: stack)
    monkeypatch.setattr(commands, "open_api", fails)
    with pytest.raises(type(failure)):
        commands.run({})
    told = capsys.readouterr().err
    assert ("SYNC=0 make run" in told and "FRESH=1 make run" in told) is is_told
    assert stopped == [True]


def test_stopping_what_broke_down_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    described(folder)
    assert commands.stop({}) == 0
    assert "broken down" in capsys.readouterr().out
    assert stack_state.read(folder) is None
    assert not stack_state.about_path(folder).exists()


def test_what_broke_down_has_no_logs_to_show(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    described(folder)
    assert commands.logs({}) == 1
    assert capsys.readouterr().err == "No stack is running.\n"


def test_a_stack_that_is_being_started_is_not_stopped_halfway(folder: Path) -> None:
    with locked(folder), pytest.raises(AlreadyRunning, match="being started or stopped"):
        commands.stop({})


def test_a_fresh_start_forgets_the_state_but_no_demo_that_runs_beside(folder: Path) -> None:
    (folder / "emulator").mkdir(parents=True)
    (folder / "demo-x").mkdir()
    (folder / "mailchimp.json").touch()
    commands._forget_state()
    assert {path.name for path in folder.iterdir()} == {"demo-x", "lock"}


@pytest.mark.parametrize("broken", [[], ["emulator"]])
def test_a_fresh_start_forgets_nothing_of_a_stack_that_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, broken: list[str]
) -> None:
    described(folder)
    monkeypatch.setattr(stack_state, "missing", lambda folder, known: broken)
    (folder / "mailchimp.json").touch()
    commands._forget_state()
    assert (folder / "mailchimp.json").exists() is not bool(broken)
    assert (stack_state.read(folder) is None) is bool(broken)


@pytest.mark.parametrize(("said", "forgotten"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_a_fresh_start_must_be_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, said: str, forgotten: bool
) -> None:
    class Refused(Exception):
        pass

    def refuse(*arguments: object, **options: object) -> None:
        raise Refused

    folder.mkdir()
    (folder / "mailchimp.json").touch()
    monkeypatch.setattr(commands, "_stack", refuse)
    with pytest.raises(Refused):
        commands.run({"FRESH": said})
    assert (folder / "mailchimp.json").exists() is not forgotten


def test_a_description_keeps_its_promise(folder: Path) -> None:
    described(folder)
    told = json.loads(stack_state.about_path(folder).read_text())
    assert told.keys() == {"api_url", "webhook_base_url", "department_id", "tokens", "pids"}
    assert told["pids"] == [NOBODY]


def test_a_second_interrupt_does_not_disturb_the_cleaning_up() -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            commands._interrupt_once()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
