"""Units are counted by AWS's rules, and for the partition key that they are charged to."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from infra.bench.consumption import Consumed, ConsumptionMeter

TABLE = "metered-things"


@pytest.fixture(scope="module")
def client(dynamodb_local_address: str) -> Any:
    client = boto3.client("dynamodb", region_name="eu-central-1", endpoint_url=dynamodb_local_address)
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
    return client


def thing(pk: str, sk: str, kilobytes: int = 0) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}, "text": {"S": "x" * 1024 * kilobytes}}


def measured(client: Any, operation: str, **asked: Any) -> Consumed:
    meter = ConsumptionMeter({TABLE: "pk"})
    with meter.running(), meter.measuring() as consumed:
        getattr(client, operation)(**asked)
    return consumed


def test_writes_cost_a_unit_for_each_kilobyte_begun_under_their_own_keys(client: Any) -> None:
    puts = [{"PutRequest": {"Item": item}} for item in (thing("a", "1", 4), thing("b", "1"))]
    found = measured(client, "batch_write_item", RequestItems={TABLE: puts})
    assert (found.calls, found.write_units, found.read_units) == (1, 6, 0)
    assert {key: round(units) for (_, key), units in found.writes.items()} == {"{'S': 'a'}": 5, "{'S': 'b'}": 1}
    table, seconds = found.busiest
    assert (table, round(seconds, 3)) == (TABLE, 0.005)


def test_a_transaction_costs_twice(client: Any) -> None:
    puts = [{"Put": {"TableName": TABLE, "Item": thing("t", str(number))}} for number in range(3)]
    assert measured(client, "transact_write_items", TransactItems=puts).write_units == 6


@pytest.mark.parametrize(("consistent", "units"), [(True, 3), (False, 1.5)])
def test_a_query_is_charged_for_what_it_passes_over(client: Any, consistent: bool, units: float) -> None:
    for number in range(10):
        client.put_item(TableName=TABLE, Item=thing("q", str(number), 1))
    found = measured(
        client,
        "query",
        TableName=TABLE,
        KeyConditionExpression="#p = :p",
        FilterExpression="#t = :none",
        ExpressionAttributeNames={"#p": "pk", "#t": "text"},
        ExpressionAttributeValues={":p": {"S": "q"}, ":none": {"S": "none"}},
        ConsistentRead=consistent,
    )
    assert found.read_units == units
    assert list(found.reads) == [(TABLE, "{'S': 'q'}")]


def test_nothing_is_counted_outside_of_a_measurement(client: Any) -> None:
    meter = ConsumptionMeter({TABLE: "pk"})
    with meter.running():
        client.put_item(TableName=TABLE, Item=thing("o", "1"))
        with meter.measuring() as consumed:
            client.list_tables()
    assert (consumed.calls, consumed.least_seconds) == (0, 0.0)
