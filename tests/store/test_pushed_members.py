"""What chunks pushed, kept and read back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from chalicelib.store.pushed_members import PushedMemberStore
from tests.aws_emulator import emulator_running

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def store() -> Iterator[PushedMemberStore]:
    with emulator_running() as endpoint:
        client = boto3.client("dynamodb", region_name="eu-central-1", endpoint_url=endpoint)
        client.create_table(
            TableName="runs",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            BillingMode="PAY_PER_REQUEST",
        )
        yield PushedMemberStore(client, "runs", keep=timedelta(days=7))


def prints(count: int, start: int = 0) -> list[bytes]:
    return [number.to_bytes(8, "big") for number in range(start, start + count)]


def test_what_several_chunks_pushed_is_known_together(store: PushedMemberStore) -> None:
    store.add("north", "a", "run-0", prints(500), NOW)
    store.add("north", "a", "run-1", prints(500, 500), NOW)
    known = store.load("north", "a", NOW - timedelta(hours=1))
    assert len(known) == 1000
    assert all(one in known for one in prints(1000))
    assert prints(1, 1000)[0] not in known


def test_departments_and_audiences_know_only_of_their_own(store: PushedMemberStore) -> None:
    store.add("south", "a", "run-0", prints(3), NOW)
    assert len(store.load("south", "b", NOW - timedelta(hours=1))) == 0
    assert len(store.load("sou", "a", NOW - timedelta(hours=1))) == 0


def test_older_pushes_are_not_looked_at(store: PushedMemberStore) -> None:
    store.add("west", "a", "run-0", prints(3), NOW - timedelta(hours=2))
    store.add("west", "a", "run-1", prints(2, 3), NOW)
    assert len(store.load("west", "a", NOW - timedelta(hours=1))) == 2


def test_a_chunk_that_pushed_nothing_to_remember_leaves_no_item(store: PushedMemberStore) -> None:
    store.add("east", "a", "run-0", [], NOW)
    assert len(store.load("east", "a", NOW - timedelta(hours=1))) == 0
