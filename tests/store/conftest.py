"""The databases that hold the stores to their contract: moto and the emulator within this process, and DynamoDB Local.

moto is quick to start and knows most errors of AWS; the emulator is what the workflows are tested on; DynamoDB Local is
AWS's own and the strictest. A test of a store runs on all three, so that none of them can drift from the others unseen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from moto import mock_aws

from tests import dynamodb_local
from tests.aws_emulator import emulator_running
from tests.store.customers_table import CustomersTable, create_table

DATABASES = ["moto", "ministack", pytest.param("dynamodb_local", marks=pytest.mark.server)]


@pytest.fixture(scope="session")
def dynamodb_local_address() -> Iterator[str]:
    """One for all tests of the process: it takes seconds to start."""
    try:
        with dynamodb_local.running() as address:
            yield address
    except dynamodb_local.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module", params=DATABASES)
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of one of the databases."""
    if request.param == "dynamodb_local":
        yield request.getfixturevalue("dynamodb_local_address")
        return
    with {"moto": _moto_running, "ministack": emulator_running}[request.param]() as address:
        yield address


@pytest.fixture(scope="module")
def table(database: str) -> CustomersTable:
    """The table of customers; each department is a partition of its own."""
    return create_table(database)


@contextmanager
def _moto_running() -> Iterator[str]:
    """AWS as moto has it, empty; yields the address at which moto answers in AWS's place."""
    with mock_aws():
        yield str(boto3.client("dynamodb", region_name="eu-central-1").meta.endpoint_url)
