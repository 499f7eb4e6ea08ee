"""The local stack as a whole: how it describes itself, what it listens on, starting twice."""

from __future__ import annotations

import json
import os
import stat
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from infra.local import __main__ as commands
from infra.local import processes
from infra.local import stack_state as stack_state
from infra.local.deployment import DataChanged
from infra.local.stack import AlreadyRunning, LocalStack

pytestmark = pytest.mark.stack


ALL_INTERFACES = {"00000000", "0" * 32}
# PEP 552: byte code that is taken without a look at the source, and that no import wrote.
UNCHECKED = 0b01


def test_it_describes_itself(stack: LocalStack) -> None:
    about = json.loads(stack_state.about_path(stack.folder).read_text())
    assert about.keys() == {"api_url", "webhook_base_url", "department_id", "tokens", "pids"}
    assert about["tokens"].keys() == {"read", "write"}
    assert all(processes.is_running(pid) for pid in about["pids"])
    assert requests.get(f"{about['api_url']}/health", timeout=60).json()["status"] == "ok"


def test_its_description_holds_tokens_and_is_for_its_owner_only(stack: LocalStack) -> None:
    for path in (stack_state.about_path(stack.folder), stack.folder / "running.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_tokens_are_those_of_the_issuer_the_functions_trust(stack: LocalStack) -> None:
    functions = stack.client("lambda")
    variables = functions.get_function_configuration(FunctionName="pracbill-mailchimp-local-api_handler")
    assert variables["Environment"]["Variables"]["PRACBILL_JWKS_URL"] == stack.pracbill["jwks_url"]
    assert variables["Environment"]["Variables"]["PUBLIC_URL"] == stack.api_url


def test_our_token_towards_pracbill_is_a_secret(stack: LocalStack) -> None:
    name = "pracbill-mailchimp/local/pracbill-token"
    assert stack.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"] == stack.pracbill["token"]


def test_nothing_of_our_environment_reaches_the_functions(stack: LocalStack) -> None:
    if not Path("/proc").is_dir():
        pytest.skip("needs /proc")
    assert stack.about["pids"]
    for pid in stack.about["pids"]:
        assert b"PYTEST_CURRENT_TEST" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_it_listens_on_loopback_only(stack: LocalStack) -> None:
    if not Path("/proc/net/tcp").exists():
        pytest.skip("needs /proc")
    listening = list(listening_addresses(stack.about["pids"]))
    assert len(listening) >= 3
    assert not ALL_INTERFACES & set(listening)


def listening_addresses(pids: list[int]) -> Iterator[str]:
    """Local addresses, as the kernel writes them, on which the processes or their children listen."""
    sockets = {link for pid in family(pids) for link in open_sockets(pid)}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                yield fields[1].partition(":")[0]


def family(pids: list[int]) -> Iterator[int]:
    for pid in pids:
        yield pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        if children.exists():
            yield from family([int(child) for child in children.read_text().split()])


def open_sockets(pid: int) -> Iterator[str]:
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            yield os.readlink(entry)
    except (FileNotFoundError, ProcessLookupError):
        return


def test_no_function_compiles_what_it_imports(stack: LocalStack) -> None:
    with zipfile.ZipFile(stack.folder / "package" / "deployment.zip") as package:
        sources = [Path(name) for name in package.namelist() if name.endswith(".py")]
        byte_code = [
            package.read(str(path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc"))
            for path in sources
        ]
    assert len(byte_code) > 100
    assert {int.from_bytes(code[4:8], "little") for code in byte_code} == {UNCHECKED}


def test_a_second_start_is_refused_and_says_where_the_first_runs(stack: LocalStack) -> None:
    with pytest.raises(AlreadyRunning, match=stack.host_url):
        LocalStack(stack.folder).start()
    assert stack.call("GET", "/health").ok


def test_a_kept_state_with_other_tables_is_refused(tmp_path: Path) -> None:
    (tmp_path / "emulator").mkdir()
    (tmp_path / "shape.json").write_text(json.dumps({"functions": [], "resources": {}}))
    with pytest.raises(DataChanged, match="FRESH=1 make run"):
        LocalStack(tmp_path).start()
    assert stack_state.read(tmp_path) is None


def test_a_server_that_cannot_start_takes_the_others_with_it(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, latency=False, mailchimp_options=["--no-such-option"])
    with pytest.raises(processes.ProcessFailed, match=r"mailchimp\.log"):
        stack.start()
    assert not [pid for pid in stack.started_pids() if processes.is_running(pid)]
    assert not stack_state.stop(tmp_path)


def test_a_process_of_another_name_under_a_known_id_is_left_alone(tmp_path: Path) -> None:
    """After a reboot the ids in stack.json may belong to anything."""
    stranger = processes.spawn(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        environment=dict(os.environ),
        log=tmp_path / "stranger.log",
        directory=tmp_path,
    )
    try:
        ids = {"emulator": stranger, "mailchimp": stranger, "watch": stranger}
        (tmp_path / "running.json").write_text(json.dumps({"api_url": "gone", "processes": ids}))
        assert stack_state.stop(tmp_path)
        assert processes.is_running(stranger)
    finally:
        processes.stop([stranger], seconds=5)


def test_the_logs_of_the_functions_behind_the_api_are_printed(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "FOLDER", stack.folder)
    assert stack.call("GET", "/health").ok
    assert commands.logs({}) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("api_handler START")]
