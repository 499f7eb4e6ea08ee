"""The databases that hold the stores to their contract: moto and the emulator within this process, and DynamoDB Local.

moto is quick to start and knows most errors of AWS; the emulator is what the workflows are tested on; DynamoDB Local is
AWS's own and the strictest. A test of a store runs on all three, so that none of them can drift from the others unseen.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber

from tests.aws_emulator import emulator_running
from tests.store.customers_table import CustomersTable, create_table

DATABASES = ["moto", "ministack", pytest.param("dynamodb_local", marks=pytest.mark.server)]


@pytest.fixture(scope="module", params=DATABASES)
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of one of the databases."""
    if request.param == "dynamodb_local":
        yield request.getfixturevalue("dynamodb_local_address")
        return
    with {"moto": moto_running, "ministack": emulator_running}[request.param]() as address:
        yield address


@pytest.fixture(scope="module")
def table(database: str) -> CustomersTable:
    """The table of customers; each department is a partition of its own."""
    return create_table(database)


@contextmanager
def moto_running() -> Iterator[str]:
    """AWS as moto has it, empty; yields the address at which moto answers in AWS's place."""
    one_at_a_time, answer = threading.RLock(), BotocoreStubber.__call__

    def answered(self: BotocoreStubber, *arguments: Any, **options: Any) -> Any:
        """moto loses items that several threads put into one partition at the same moment; AWS does not."""
        with one_at_a_time:
            return answer(self, *arguments, **options)

    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(BotocoreStubber, "__call__", answered)
        yield str(boto3.client("dynamodb", region_name="eu-central-1").meta.endpoint_url)
