"""The emulator with our tables, in which nothing expires: the histories' clock stands in the past."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from pynamodb.models import Model

from chalicelib.config import Settings
from chalicelib.store import models
from chalicelib.store.customer_keys import HASH_KEY, RANGE_KEY
from tests.aws_emulator import create_hook_records, emulator_running

# Tables that PynamoDB does not look after: name, partition key, sort key.
_LEAN_TABLES = (("members", "shard", "sk"), ("customers", HASH_KEY, RANGE_KEY))
_MAX_RECEIVES = 5


@dataclass(frozen=True)
class Queues:
    """The addresses of one history's queues."""

    sync: str
    dead: str
    events: str


@contextmanager
def emulated_aws() -> Iterator[str]:
    """AWS on this machine, for as many histories as wished; yields its address."""
    with emulator_running(quick=True) as endpoint:
        before = os.environ.get("AWS_ENDPOINT_URL")
        os.environ["AWS_ENDPOINT_URL"] = endpoint
        try:
            make_tables(endpoint)
            yield endpoint
        finally:
            os.environ.pop("AWS_ENDPOINT_URL")
            if before is not None:
                os.environ["AWS_ENDPOINT_URL"] = before


def client(service: Any, endpoint: str) -> Any:
    return boto3.client(service, region_name="eu-central-1", endpoint_url=endpoint)


def make_tables(endpoint: str) -> None:
    dynamodb = client("dynamodb", endpoint)
    tables = [t for t in vars(models).values() if isinstance(t, type) and issubclass(t, Model) and t is not Model]
    made: set[str] = set(dynamodb.list_tables()["TableNames"])
    for table in tables:
        table._connection = None  # it remembers the address it was made with
    # Of models that share a table the last one has all of its keys.
    for name, table in {table.Meta.table_name: table for table in tables}.items():
        if name not in made:
            table.create_table(wait=True)
        _let_nothing_expire(dynamodb, name)
    create_hook_records(endpoint, stage=Settings(dict(os.environ)).stage)
    for name, partition, sort in _LEAN_TABLES:
        full = Settings(dict(os.environ)).table(name)
        if full not in made:
            dynamodb.create_table(
                TableName=full,
                KeySchema=[
                    {"AttributeName": partition, "KeyType": "HASH"},
                    {"AttributeName": sort, "KeyType": "RANGE"},
                ],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in (partition, sort)],
                BillingMode="PAY_PER_REQUEST",
            )


def _let_nothing_expire(dynamodb: Any, table: str) -> None:
    setting = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if setting["TimeToLiveStatus"] == "ENABLED":
        off = {"Enabled": False, "AttributeName": setting["AttributeName"]}
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=off)


def make_queues(endpoint: str) -> Queues:
    sqs = client("sqs", endpoint)
    name = f"soak-{uuid.uuid4().hex[:12]}"
    dead = _queue(sqs, f"{name}-dlq.fifo", {})
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": _MAX_RECEIVES})
    return Queues(
        sync=_queue(sqs, f"{name}.fifo", {"RedrivePolicy": redrive}),
        dead=dead,
        events=_queue(sqs, f"{name}-ev.fifo", {}),
    )


def _queue(sqs: Any, name: str, more: dict[str, str]) -> str:
    attributes = {
        "FifoQueue": "true",
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
        "ContentBasedDeduplication": "false",
        **more,
    }
    url: str = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url
