"""A customers table on a server of the test's own: the emulator of the local stack, or AWS's DynamoDB Local."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import boto3
from botocore.config import Config
from mypy_boto3_dynamodb import DynamoDBClient

from chalicelib.domain.customers import Customer, customer_key
from chalicelib.domain.segments.filterable import Filterable, sample_of
from chalicelib.store.customer_keys import HASH_KEY, RANGE_KEY
from chalicelib.store.customer_reading import MAX_CONCURRENCY, CustomerReader
from chalicelib.store.customers import CustomerStore, StoredCustomer
from chalicelib.store.wire import pass_items_through

TABLE = "customers"


@dataclass(frozen=True)
class Stored:
    """A customer to be stored: filterable form, address key (empty: none) and segments whose tag is carried."""

    id: str
    filterable: Filterable
    address_key: str = "some-address"
    in_segments: tuple[str, ...] = ()
    customer: Customer | None = None


@dataclass(frozen=True)
class CustomersTable:
    """One table; each department has partitions of its own, so tests and examples do not see each other."""

    client: DynamoDBClient
    table: str = TABLE

    def new_department(self, customers: Iterable[Stored]) -> str:
        department_id = uuid.uuid4().hex
        self.store(department_id, customers)
        return department_id

    def store(self, department_id: str, customers: Iterable[Stored]) -> None:
        batch = CustomerStore(self.client, self.table).batch(department_id)
        for each in customers:
            known = StoredCustomer(customer_key(each.id), each.id, "fingerprint", each.address_key, each.in_segments)
            batch.put(known, each.filterable, sample_of(each.customer or Customer(each.id, "2026-01-01T00:00:00Z")))
        batch.flush()

    def reader(
        self,
        department_id: str,
        *,
        concurrency: int = MAX_CONCURRENCY,
        page_size: int | None = None,
    ) -> CustomerReader:
        return CustomerReader(
            self.client,
            self.table,
            department_id,
            concurrency=concurrency,
            page_size=page_size,
        )


def connect(endpoint: str, *, as_it_comes: bool = False, table: str = TABLE) -> CustomersTable:
    """The table on a server where it was created before; `as_it_comes`: with a client as the SDK makes it."""
    if as_it_comes:
        return CustomersTable(boto3.client("dynamodb", endpoint_url=endpoint), table)
    config = Config(
        max_pool_connections=16, parameter_validation=False, retries={"mode": "standard", "max_attempts": 1}
    )
    client: DynamoDBClient = boto3.client("dynamodb", endpoint_url=endpoint, config=config)
    pass_items_through(client)
    return CustomersTable(client, table)


def create_table(endpoint: str) -> CustomersTable:
    """The table, keyed as on AWS; made unless it is there."""
    table = connect(endpoint)
    with suppress(table.client.exceptions.ResourceInUseException):
        table.client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": HASH_KEY, "AttributeType": "S"},
                {"AttributeName": RANGE_KEY, "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": HASH_KEY, "KeyType": "HASH"},
                {"AttributeName": RANGE_KEY, "KeyType": "RANGE"},
            ],
        )
    return table
