"""Counting expensive calls, the same on everything that stands for DynamoDB in tests."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from chalicelib.domain.limits import WINDOW_SECONDS, Allowance
from chalicelib.store.call_counts import CallCounts

TABLE = "calls-contract"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NEXT = NOON + timedelta(seconds=WINDOW_SECONDS)
FEW = Allowance("few", of_caller=3, of_department=5)


@pytest.fixture
def client(database: str) -> Any:
    client: Any = boto3.client("dynamodb", region_name="eu-central-1", endpoint_url=database)
    if TABLE not in client.list_tables()["TableNames"]:
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )
    return client


@pytest.fixture
def counts(client: Any) -> CallCounts:
    return CallCounts(client, TABLE)


@pytest.fixture
def department() -> str:
    return uuid.uuid4().hex


def stored(client: Any, department: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.query(
        TableName=TABLE,
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": f"{department}#limits"}},
        ConsistentRead=True,
    )["Items"]
    return items


def allowed(counts: CallCounts, department: str, *callers: str, at: datetime = NOON) -> list[bool]:
    return [counts.count(department, FEW, caller, at) is None for caller in callers]


def test_a_caller_and_a_department_have_so_many_calls_each(counts: CallCounts, department: str) -> None:
    assert allowed(counts, department, "kim", "kim", "kim", "kim") == [True, True, True, False]
    assert allowed(counts, department, "lee", "lee", "lee", "max") == [True, True, False, False]


def test_a_refused_call_is_told_when_the_next_window_begins_and_is_not_counted(
    client: Any, counts: CallCounts, department: str
) -> None:
    late = NOON + timedelta(seconds=WINDOW_SECONDS - 0.5)
    allowed(counts, department, "kim", "kim", "kim", at=late)
    for at in (NOON, late):
        assert counts.count(department, FEW, "kim", at) == NEXT
    (item,) = stored(client, department)
    assert item["calls"] == {"N": "3"}
    assert counts.count(department, FEW, "kim", NEXT) is None


def test_what_is_stored_goes_by_itself_and_names_no_caller(client: Any, counts: CallCounts, department: str) -> None:
    allowed(counts, department, "kim", "half of \ud800", at=NOON + timedelta(seconds=3))
    (item,) = stored(client, department)
    second = int(NOON.timestamp())
    assert item["sk"] == {"S": f"few#{second}"}
    assert item["expires_at"] == {"N": str(second + 3600)}
    assert item["calls"] == {"N": "2"}
    by_caller = {name: value for name, value in item.items() if name.startswith("by_")}
    assert list(by_caller.values()) == [{"N": "1"}, {"N": "1"}]
    assert {len(name) for name in by_caller} == {len("by_") + 16}
    assert "kim" not in str(item)


def test_kinds_and_departments_are_counted_apart(counts: CallCounts, department: str) -> None:
    allowed(counts, department, "kim", "kim", "kim")
    assert counts.count(department, Allowance("other", of_caller=1, of_department=1), "kim", NOON) is None
    assert allowed(counts, f"{department}-too", "kim") == [True]
    assert allowed(counts, department, "kim") == [False]


def test_calls_at_the_same_moment_are_all_counted(counts: CallCounts, department: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda number: counts.count(department, FEW, str(number), NOON), range(9)))
    assert done.count(None) == FEW.of_department


def test_another_failure_of_the_database_is_no_refusal(client: Any, department: str) -> None:
    with pytest.raises(ClientError, match="ResourceNotFound"):
        CallCounts(client, "elsewhere").count(department, FEW, "kim", NOON)
