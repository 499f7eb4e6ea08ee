"""What the workflows run against: the emulator's tables and secrets, and the stand-ins for Mailchimp and PracBill."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

# Read when the tables' models are imported.
os.environ.setdefault("STAGE", "test")

import boto3

from chalicelib.store.models import ChunkItem, DepartmentItem, EventItem, LedgerItem, LogItem, RunItem, SegmentItem
from infra.local.mailchimp import Latency, MailchimpStandIn
from infra.local.pracbill import PracBillStandIn
from tests.sync.office import HookAddress, Office
from tests.sync.rights import within_their_rights  # noqa: F401 - a fixture of all tests here

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_MODELS = (DepartmentItem, SegmentItem, RunItem, ChunkItem, LogItem, LedgerItem, EventItem)


_START_SECONDS = 30


@contextmanager
def emulator_running() -> Iterator[str]:
    """AWS as the local stack has it, on a free port of this machine; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}
    command = [sys.executable, "-m", "ministack"]
    with subprocess.Popen(
        command, env={**os.environ, **options}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_for(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("the emulator did not start")


@pytest.fixture(scope="package")
def aws() -> Iterator[str]:
    """The emulator with our tables; yields its address."""
    with emulator_running() as endpoint, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        for model in _MODELS:
            patch.setattr(model, "_connection", None)  # a connection remembers the address it was made with
        for model in {model.Meta.table_name: model for model in _MODELS}.values():
            model.create_table(wait=True)
        yield endpoint


@pytest.fixture(scope="package")
def secrets_client(aws: str) -> SecretsManagerClient:
    client: SecretsManagerClient = boto3.client("secretsmanager", region_name="eu-central-1", endpoint_url=aws)
    return client


@pytest.fixture(scope="package")
def pracbill() -> Iterator[PracBillStandIn]:
    with PracBillStandIn(customers=0) as standin:
        yield standin


@pytest.fixture
def mailchimp() -> Iterator[MailchimpStandIn]:
    with MailchimpStandIn(latency=Latency.none()) as standin:
        yield standin


@pytest.fixture
def hook_address() -> Iterator[HookAddress]:
    with HookAddress() as address:
        yield address


@pytest.fixture
def office(
    secrets_client: SecretsManagerClient,
    mailchimp: MailchimpStandIn,
    pracbill: PracBillStandIn,
    hook_address: HookAddress,
) -> Office:
    """The workflows of one department that PracBill knows and nobody has connected yet."""
    pracbill.faults.clear()
    return Office(secrets_client, mailchimp, pracbill, hook_address)
