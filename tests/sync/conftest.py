"""What the workflows run against: the emulator's tables and secrets, and the stand-ins for Mailchimp and PracBill."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING

import boto3
import pytest
from pynamodb.connection import TableConnection
from pynamodb.models import Model

from chalicelib.store import models
from chalicelib.store.models import (
    ChunkItem,
    DepartmentItem,
    EventItem,
    LedgerItem,
    LogItem,
    PhaseItem,
    RequestItem,
    RunItem,
    SegmentItem,
)
from infra.standins.mailchimp import Latency, MailchimpStandIn
from infra.standins.pracbill import PracBillStandIn
from tests.aws_emulator import create_hook_records, emulator_running
from tests.portless_standins import without_ports
from tests.sync.office import HookAddress, Office
from tests.sync.rights import calls_seen, within_their_rights  # noqa: F401 - fixtures of all tests here

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_MODELS: tuple[type[Model], ...] = (
    DepartmentItem,
    SegmentItem,
    RunItem,
    ChunkItem,
    PhaseItem,
    LogItem,
    LedgerItem,
    EventItem,
    RequestItem,
)
Connections = dict[type[Model], TableConnection]


@pytest.fixture(scope="session", autouse=True)
def ports(pytestconfig: pytest.Config) -> Iterator[None]:
    """In the fast tier the stand-ins have none."""
    with without_ports() if pytestconfig.option.fast else nullcontext():
        yield


@pytest.fixture(scope="session")
def lasting_aws() -> tuple[str, Connections]:
    """The emulator with our tables, for all tests of the process: each has departments of its own."""
    with emulator_running(quick=True) as endpoint, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        for model in _MODELS:
            patch.setattr(model, "_connection", None)  # a connection remembers the address it was made with
        for model in {model.Meta.table_name: model for model in _MODELS}.values():
            model.create_table(wait=True)
            _let_nothing_expire(model.Meta.table_name, endpoint)
        create_hook_records(endpoint, stage="test")
        connections = {model: model._get_connection() for model in _MODELS}
        for connection in connections.values():
            assert connection.connection.client.meta.endpoint_url == endpoint  # it is made when first asked for
        return endpoint, connections


@pytest.fixture
def aws(lasting_aws: tuple[str, Connections]) -> Iterator[str]:
    """The emulator with our tables; yields its address."""
    endpoint, connections = lasting_aws
    with pytest.MonkeyPatch.context() as patch:  # of its own: a test may undo what it did to the other one
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        for model, connection in connections.items():
            patch.setattr(model, "_connection", connection)
        patch.setattr(models, "transactions", lambda: connections[RunItem].connection)
        yield endpoint


def _let_nothing_expire(table: str, endpoint: str) -> None:
    """Many clocks of the tests stand in the past: the emulator would take away, once a minute, what they just wrote."""
    client = boto3.client("dynamodb", region_name="eu-central-1", endpoint_url=endpoint)
    setting = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if setting["TimeToLiveStatus"] == "ENABLED":
        off = {"Enabled": False, "AttributeName": setting["AttributeName"]}
        client.update_time_to_live(TableName=table, TimeToLiveSpecification=off)


@pytest.fixture(scope="session")
def secrets_client(lasting_aws: tuple[str, Connections]) -> SecretsManagerClient:
    address, _ = lasting_aws
    client: SecretsManagerClient = boto3.client("secretsmanager", region_name="eu-central-1", endpoint_url=address)
    return client


@pytest.fixture(scope="session")
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
    aws: str,
    secrets_client: SecretsManagerClient,
    mailchimp: MailchimpStandIn,
    pracbill: PracBillStandIn,
    hook_address: HookAddress,
) -> Office:
    """The workflows of one department that PracBill knows and nobody has connected yet."""
    pracbill.faults.clear()
    return Office(secrets_client, mailchimp, pracbill, hook_address)
