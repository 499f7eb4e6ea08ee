"""The operators' command line against moto: looking changes nothing, acting says what it does and wants a yes."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
import requests
from click.testing import CliRunner, Result
from moto import mock_aws
from pynamodb.models import Model

from chalicelib.config import Settings
from chalicelib.domain.customers import address_key
from chalicelib.domain.departments import Audience, Connection, Department
from chalicelib.domain.fieldmap import FieldMap
from chalicelib.domain.logs import LedgerEntry
from chalicelib.domain.runs import Run
from chalicelib.store import models
from chalicelib.store.aws import sdk_session
from chalicelib.store.departments import DepartmentStore
from chalicelib.store.logs import LedgerStore
from infra.deploy.package import load_resources
from infra.operate.__main__ import operate
from infra.standins.mailchimp import Latency, MailchimpStandIn

STAGE = "test"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SALT = "0a" * 16
ANN = "ann@clinic.test"
GONE_RUN = "20260101T000000000Z-0001"  # claimed, and never stored
Operate = Callable[..., Result]


def named(value: Any) -> str:
    return str(value["Fn::Sub"]).replace("${Stage}", STAGE)


def deploy(mailchimp_url: str) -> None:
    """What of the template the commands need: tables, queues, the key of webhooks, a function with its settings."""
    # Its session reads the descriptions of services once for all tests.
    session = boto3.Session(botocore_session=sdk_session())
    clients = {name: session.client(name) for name in ("dynamodb", "sqs", "kms", "iam", "lambda")}
    for resource in load_resources()["Resources"].values():
        properties = resource.get("Properties", {})
        if resource.get("Type") == "AWS::DynamoDB::Table":
            kept = ("AttributeDefinitions", "KeySchema", "BillingMode", "LocalSecondaryIndexes")
            table = {key: properties[key] for key in kept if key in properties}
            clients["dynamodb"].create_table(TableName=named(properties["TableName"]), **table)
        elif resource.get("Type") == "AWS::SQS::Queue":
            clients["sqs"].create_queue(QueueName=named(properties["QueueName"]), Attributes={"FifoQueue": "true"})
    key = clients["kms"].create_key()["KeyMetadata"]["KeyId"]
    clients["kms"].create_alias(AliasName=f"alias/pracbill-mailchimp-{STAGE}-webhook", TargetKeyId=key)
    role = clients["iam"].create_role(RoleName="api", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "")
    sync = clients["sqs"].get_queue_url(QueueName=f"pracbill-mailchimp-{STAGE}-sync.fifo")["QueueUrl"]
    settings = {
        "STAGE": STAGE,
        "PUBLIC_URL": "http://127.0.0.1:1/api",
        "MAILCHIMP_API_URL": mailchimp_url,
        "PRACBILL_API_URL": "https://api.pracbill.example",
        "PRACBILL_TOKEN_SECRET": "pracbill-mailchimp/test/pracbill-token",
        "SYNC_QUEUE_URL": sync,
        "SYNC_SCHEDULE": "rate(4 hours)",
        "AWS_ENDPOINT_URL": "http://not.ours.example",  # a function's own; never the operator's
    }
    clients["lambda"].create_function(
        FunctionName=f"pracbill-mailchimp-{STAGE}-api_handler",
        Role=role,
        Runtime="python3.13",
        Handler="app.app",
        Code={"ZipFile": code.getvalue()},
        Environment={"Variables": settings},
    )


@pytest.fixture
def mailchimp() -> Iterator[MailchimpStandIn]:
    with MailchimpStandIn(latency=Latency.none()) as standin:
        yield standin


@pytest.fixture
def aws(mailchimp: MailchimpStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The stage `test` with one connected department, `north`, and one that is not, `south`."""
    monkeypatch.setattr(os, "environ", os.environ.copy())  # a command's settings stay its own
    tables = [m for m in vars(models).values() if isinstance(m, type) and issubclass(m, Model) and m is not Model]
    with mock_aws():
        for table in tables:
            monkeypatch.setattr(table, "_connection", None)  # it remembers whom it was made for
        deploy(mailchimp.url)
        store = DepartmentStore()
        store.add(Department("south", "South", "UTC", "AU", "AUD", SALT))
        store.add(connected(mailchimp))
        boto3.Session(botocore_session=sdk_session()).client("secretsmanager").create_secret(
            Name=Settings({"STAGE": STAGE}).secret("departments", "north"),
            SecretString=json.dumps({"api_key": mailchimp.api_key, "account_id": "account-1"}),
        )
        yield


def connected(mailchimp: MailchimpStandIn) -> Department:
    audience_id = str(mailchimp.control.create_audience("Clients")["audience_id"])
    return Department(
        "north",
        "North",
        "Australia/Melbourne",
        "AU",
        "AUD",
        SALT,
        connection=Connection("connected", "account-1", "North", "us21", "cdef", NOON),
        audience=Audience(audience_id, "Clients", FieldMap(()), selected_at=NOON),
    )


@pytest.fixture
def command(aws: None) -> Operate:
    runner = CliRunner()

    def run(*arguments: str) -> Result:
        return runner.invoke(operate, ["--stage", STAGE, *arguments])

    return run


def printed(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_departments_are_listed_with_their_state(command: Operate) -> None:
    rows = printed(command("--json", "departments"))
    assert [(row["department"], row["state"], row["audience"]) for row in rows] == [
        ("north", "connected", "Clients"),
        ("south", "not connected", None),
    ]
    table = command("departments").stdout.splitlines()
    assert table[0].split()[:3] == ["department", "name", "state"]
    assert "not connected" in table[2]


def test_a_run_is_shown_with_its_phases(command: Operate) -> None:
    assert "no sync yet" in command("run", "north").output
    run = Run("north", "20260302T120000000Z-0001", "full", "manual", NOON, started_by="user-1")
    models.RunItem("north", run.id, document=to_document(run)).save()
    shown = printed(command("--json", "run", "north"))
    assert (shown["id"], shown["type"]) == (run.id, "full")
    assert [phase["phase"] for phase in shown["progress"]["phases"]]
    assert "progress:" in command("run", "north", run.id).stdout


@pytest.mark.parametrize(
    "arguments", [("run", "west"), ("run", "north", "nothing"), ("ledger", "west"), ("erase", "north", "ann", "--yes")]
)
def test_what_is_not_there_is_told_without_a_traceback(command: Operate, arguments: tuple[str, ...]) -> None:
    result = command(*arguments)
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("arguments", [("redrive",), ("sweep",), ("register-webhooks",), ("erase", "north", ANN)])
def test_nothing_is_done_without_a_yes(
    command: Operate, mailchimp: MailchimpStandIn, arguments: tuple[str, ...]
) -> None:
    bury("event-1")
    DepartmentStore().claim("south", GONE_RUN)
    result = command(*arguments)
    assert result.exit_code == 1
    assert f"On stage {STAGE}: " in result.stderr
    assert "Nothing was done" in result.stderr
    assert resting() == 1
    assert not DepartmentStore().get("north").has_erasures  # type: ignore[union-attr]
    assert DepartmentStore().get("south").active_run_id == GONE_RUN  # type: ignore[union-attr]
    assert hooks(mailchimp) == []


def test_dead_events_are_sent_again(command: Operate) -> None:
    bury("event-1")
    bury("event-2")
    result = command("--json", "redrive", "--yes")
    assert "about 2 dead events" in result.stderr
    assert printed(result) == {"sent again": 2}
    assert resting() == 0


def test_a_sweep_names_the_departments_it_looks_after(command: Operate) -> None:
    DepartmentStore().claim("south", GONE_RUN)
    result = command("sweep", "--yes")
    assert result.exit_code == 0, result.output
    assert "the active and waiting runs of south" in result.stderr
    assert DepartmentStore().get("south").active_run_id == ""  # type: ignore[union-attr]


def test_a_sweep_counts_segments_whose_run_was_not_started(command: Operate) -> None:
    DepartmentStore().change("north", lambda known: replace(known, segments_waiting=True))
    result = command("sweep", "--yes")
    assert result.exit_code == 0, result.output
    assert "the active and waiting runs of north" in result.stderr
    assert DepartmentStore().get("north").active_run_id  # type: ignore[union-attr]


def test_where_there_is_nothing_to_do_nobody_is_asked(command: Operate) -> None:
    swept = command("sweep")
    assert (swept.exit_code, swept.stderr) == (0, "")
    assert "no department has a sync under way or waiting" in swept.stdout
    looked = command("--json", "register-webhooks", "south")
    assert looked.exit_code == 0
    assert "Nothing was done: no such department is connected" in looked.stderr
    assert printed(looked) == []


def test_webhooks_are_registered_again_where_there_is_an_audience(
    command: Operate, mailchimp: MailchimpStandIn
) -> None:
    result = command("--json", "register-webhooks", "--yes")
    assert "the webhook in Mailchimp of north" in result.stderr
    (row,) = printed(result)
    # Nothing listens there; what Mailchimp says of it is told.
    assert row["department"] == "north"
    assert "PUBLIC_URL" in row["webhook"]


def test_the_ledger_is_exported_whole_or_of_one_address(command: Operate, tmp_path: Any) -> None:
    ledger = LedgerStore()
    for address in (ANN, "bob@clinic.test"):
        ledger.append("north", address_key(bytes.fromhex(SALT), address), entry())
    ledger.append("northwest", address_key(bytes.fromhex(SALT), ANN), entry())
    whole = [json.loads(line) for line in command("ledger", "north").stdout.splitlines()]
    assert len(whole) == 2
    (one,) = [
        json.loads(line) for line in command("ledger", "north", "--address", " ANN@clinic.test").stdout.splitlines()
    ]
    assert (one["became"], one["rule"]) == ("unsubscribed", "opted-out")
    assert one in whole
    file = tmp_path / "ledger.jsonl"
    assert command("ledger", "north", "--out", str(file)).exit_code == 0
    assert len(file.read_text().splitlines()) == 2


def test_an_address_that_no_customer_has_is_erased_in_mailchimp_and_noted_here(
    command: Operate, mailchimp: MailchimpStandIn
) -> None:
    mailchimp.control.admin_import([{"email_address": ANN, "status": "subscribed"}])
    result = command("--json", "erase", "north", ANN, "--yes")
    assert "an address that no customer here has" in result.stderr
    (receipt,) = printed(result)
    assert "deleted in Mailchimp for good" in receipt["message"]
    department = DepartmentStore().get("north")
    assert department is not None and department.has_erasures
    (noted,) = LedgerStore().entries("north", address_key(bytes.fromhex(SALT), ANN))
    assert (noted.became, noted.rule) == ("forgotten", "erased")
    assert noted.evidence["by"].startswith("operator ")
    # Again, it changes nothing and breaks nothing.
    assert command("erase", "north", ANN, "--yes").exit_code == 0


def test_a_table_from_before_a_change_is_named_with_what_to_do(command: Operate) -> None:
    tables, name = boto3.client("dynamodb"), f"pracbill-mailchimp-{STAGE}-customers"
    tables.delete_table(TableName=name)
    assert f"There is no table {name}" in command("departments").output
    tables.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "department_id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "department_id", "KeyType": "HASH"}],
    )
    result = command("departments")
    assert result.exit_code == 1
    assert f"{name} has the keys department_id, not " in result.output
    assert "FRESH=1" in result.output and "Old tables" in result.output


def test_a_stage_that_is_not_there_is_told(aws: None) -> None:
    result = CliRunner().invoke(operate, ["--stage", "nowhere", "departments"])
    assert result.exit_code == 1
    assert "pracbill-mailchimp-nowhere-api_handler" in result.output


def entry() -> LedgerEntry:
    return LedgerEntry(
        at=NOON, recorded_at=NOON, was="subscribed", became="unsubscribed", who="the person", route="webhook",
        rule="opted-out", evidence={},
    )  # fmt: skip


def to_document(run: Run) -> str:
    from chalicelib.store.documents import to_document

    return to_document(run)


def bury(body: str) -> None:
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=f"pracbill-mailchimp-{STAGE}-events-dlq.fifo")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g", MessageDeduplicationId=body)


def resting() -> int:
    from infra.local.redrive import waiting_events

    return waiting_events(boto3.client("sqs"), stage=STAGE)


def hooks(mailchimp: MailchimpStandIn) -> list[Any]:
    department = DepartmentStore().get("north")
    assert department is not None
    answer = requests.get(
        f"{mailchimp.url}/lists/{department.audience_id}/webhooks", auth=("any", mailchimp.api_key), timeout=30
    )
    return list(answer.json()["webhooks"])
