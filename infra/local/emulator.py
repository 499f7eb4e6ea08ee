"""The AWS emulator (ministack) as a process: on loopback only, its state in a folder, our environment kept out."""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from infra.local import processes

REGION = "us-east-1"  # the emulator's own default
ACCOUNT = "000000000000"
DEFAULT_PORT = 4566
# As `python -m ministack`, with the folder of its state in the command line: by it a stack knows its own emulator from
# another's that was given the same process id later. API Gateway hands paths to functions as the URL has them, encoded;
# the emulator's server decodes them first, so that an id with a slash would be two parts of a path, and `%25` a `%`
# which our routes decode once more. So what goes to its gateway goes there as it was sent.
_START = """
import sys
import ministack.app as emulator

decoding = emulator.app

async def as_sent(scope, receive, send):
    if scope.get("path", "").startswith("/_aws/execute-api/"):
        scope = {**scope, "path": scope["raw_path"].decode("ascii")}
    await decoding(scope, receive, send)

emulator.app = as_sent
del sys.argv[1:]
emulator.main()
"""
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot reach our loopback
# Made up: the emulator takes any key, and functions must not find real ones.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": ACCOUNT,
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_SESSION_TOKEN": "local",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator. State is saved when it is asked to end, not when it is killed."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        return f"http://{processes.LOOPBACK}:{self.port}"

    def client(self, service: str) -> Any:
        return client(service, self.url)


@cache
def client(service: str, endpoint: str) -> Any:
    """A client of one AWS service at the emulator's address. Made once: making one takes longer than most calls."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"max_attempts": 2}, s3={"addressing_style": "path"}, proxies={}),
    )


def bare_environment() -> dict[str, str]:
    """What a process needs of ours to run at all. Keys and addresses given to us must not leak into functions."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    return {name: os.environ[name] for name in kept if name in os.environ}


def launch(*, port: int, state: Path, scratch: Path, log: Path, further: Mapping[str, str]) -> Emulator:
    """Start the emulator's process; `wait_until_ready` tells when it answers.

    Functions inherit its environment; `further` are variables for them.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    environment = {
        **bare_environment(),
        **CREDENTIALS,
        "GATEWAY_PORT": str(port),
        "BIND_HOST": processes.LOOPBACK,
        "MINISTACK_HOST": processes.LOOPBACK,
        "MINISTACK_REGION": REGION,
        "IOT_MTLS_ENABLED": "0",  # else it listens on every interface
        "SFTP_ENABLED": "0",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state),
        "S3_DATA_DIR": str(scratch / "s3"),
        "TMPDIR": str(scratch),
        "LAMBDA_STATE_TRANSITION_SECONDS": "0",
        **further,
    }
    command = [sys.executable, "-c", _START, str(state)]
    pid = processes.spawn(command, environment=environment, log=log, directory=scratch)
    return Emulator(pid=pid, port=port)


def wait_until_ready(emulator: Emulator, log: Path, *, seconds: float = 60.0) -> None:
    """Raises ProcessFailed when the emulator ends or keeps silent.

    Its own log must say that it listens: an answer alone may be that of another server on the same port.
    """
    listening = f"Running on {emulator.url}"
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not processes.is_running(emulator.pid):
            break
        if listening in log.read_text(encoding="utf-8", errors="replace") and _is_healthy(emulator):
            return
        time.sleep(0.03)
    raise processes.ProcessFailed(f"the emulator did not start; see {log}")


def _is_healthy(emulator: Emulator) -> bool:
    try:
        with _DIRECT.open(f"{emulator.url}/_ministack/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
