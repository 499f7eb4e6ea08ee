"""Items in DynamoDB's wire form, out of our hands and back into them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config

from chalicelib.store.customer_keys import item_key
from chalicelib.store.wire import pass_items_through
from tests.store.customers_table import TABLE, CustomersTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEY = item_key("north", "0")
ITEM: dict[str, Any] = {
    **KEY,
    "text": {"S": 'Zoë "Ω" 😀\n'},
    "number": {"N": "-12.5"},
    "texts": {"SS": ["a", "b"]},
    "parts": {"M": {"inner": {"L": [{"BOOL": True}, {"NULL": True}]}}},
}
BYTES = {"bits": {"B": b"\x00\xff"}}


class Wire:
    """A client whose calls are noted, and answered as told."""

    def __init__(self, answer: str, status: int = 200) -> None:
        self.bodies: list[bytes] = []
        self._answer, self._status = answer, status
        self.client: DynamoDBClient = boto3.client(
            "dynamodb", config=Config(parameter_validation=False, retries={"mode": "standard", "total_max_attempts": 2})
        )
        pass_items_through(self.client)
        self.client.meta.events.register("before-send.dynamodb.*", self._send)

    def _send(self, request: Any, **_: Any) -> Any:
        self.bodies.append(request.body)
        response: Any = AWSResponse(request.url, self._status, HTTPHeaders(), None)
        response._content = self._answer.encode()  # else it wants a socket to read from
        return response


@pytest.mark.parametrize("more", [{}, BYTES], ids=["no bytes", "bytes"])
def test_every_kind_of_value_comes_back_as_it_was_written(table: CustomersTable, more: dict[str, Any]) -> None:
    client, item = table.client, ITEM | more
    client.batch_write_item(RequestItems={TABLE: [{"PutRequest": {"Item": item}}]})

    got = client.batch_get_item(RequestItems={TABLE: {"Keys": [KEY], "ConsistentRead": True}})
    assert (got["Responses"][TABLE], got["UnprocessedKeys"]) == ([item], {})
    values = {":d": KEY["department_bucket"]}
    found = client.query(
        TableName=TABLE, KeyConditionExpression="department_bucket = :d", ExpressionAttributeValues=values
    )
    assert (found["Items"], found["Count"]) == ([item], 1)
    assert client.get_item(TableName=TABLE, Key=KEY)["Item"] == item


def test_an_error_of_the_database_is_the_sdks_error(table: CustomersTable) -> None:
    with pytest.raises(table.client.exceptions.ResourceNotFoundException):
        table.client.batch_write_item(RequestItems={"elsewhere": [{"PutRequest": {"Item": ITEM}}]})


def test_neither_way_does_the_sdk_rebuild_an_item() -> None:
    wire = Wire('{"UnprocessedItems": {}, "NotInTheSdksModel": [1]}')
    items: Any = {"table": [{"PutRequest": {"Item": {"sk": {"S": "é", "NotInTheSdksModel": "1"}}}}]}
    answer: Any = wire.client.batch_write_item(RequestItems=items)
    assert answer["NotInTheSdksModel"] == [1]
    assert [json.loads(body) for body in wire.bodies] == [{"RequestItems": items}]


def test_a_busy_database_is_asked_again_by_the_sdk() -> None:
    wire = Wire('{"__type": "ThrottlingException"}', 400)
    with pytest.raises(wire.client.exceptions.ClientError, match="Throttling"):
        wire.client.query(TableName="table", KeyConditionExpression="a = :a")
    assert wire.bodies == [b'{"TableName":"table","KeyConditionExpression":"a = :a"}'] * 2


def test_what_is_no_value_of_the_wire_form_is_not_sent() -> None:
    wire = Wire("{}")
    with pytest.raises(TypeError):
        wire.client.batch_write_item(RequestItems={"t": [{"PutRequest": {"Item": {"sk": {"S": object()}}}}]})
    assert wire.bodies == []


def test_half_a_character_asked_for_is_the_databases_to_refuse() -> None:
    wire = Wire('{"Responses": {}, "UnprocessedKeys": {}}')
    wire.client.batch_get_item(RequestItems={"table": {"Keys": [{"sk": {"S": "\ud800"}}]}})
    assert wire.bodies == [b'{"RequestItems": {"table": {"Keys": [{"sk": {"S": "\\ud800"}}]}}}']


@pytest.mark.parametrize("more", [{}, BYTES], ids=["no bytes", "bytes"])
def test_a_transaction_writes_items_as_they_are_or_says_what_kept_it_from_it(
    table: CustomersTable, more: dict[str, Any]
) -> None:
    key = item_key("north", uuid4().hex)
    client, item = table.client, ITEM | key | more
    put: Any = {"Put": {"TableName": TABLE, "Item": item, "ConditionExpression": "attribute_not_exists(customer_key)"}}
    client.transact_write_items(TransactItems=[put])
    assert client.get_item(TableName=TABLE, Key=key)["Item"] == item
    with pytest.raises(client.exceptions.TransactionCanceledException) as refused:
        client.transact_write_items(TransactItems=[put])
    reasons: Any = refused.value.response
    assert [reason["Code"] for reason in reasons["CancellationReasons"]] == ["ConditionalCheckFailed"]


def test_a_transaction_that_is_tried_again_is_the_same_one() -> None:
    wire = Wire('{"__type": "ThrottlingException"}', 400)
    deletion: Any = [{"Delete": {"TableName": "table", "Key": KEY}}]
    for _ in range(2):
        with pytest.raises(wire.client.exceptions.ClientError, match="Throttling"):
            wire.client.transact_write_items(TransactItems=deletion)
    first, again, other, other_again = [json.loads(body) for body in wire.bodies]
    assert first == again != other == other_again
    assert first["TransactItems"] == other["TransactItems"] == deletion
    assert len(first["ClientRequestToken"]) == 36
