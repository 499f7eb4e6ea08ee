"""Where addresses stand, packed and kept: read back as it was noted, whatever was cut short."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.address_status import REASONS, AddressStatus
from chalicelib.store import address_status as store
from chalicelib.store.address_status import AddressStatuses, AddressStatusStore
from chalicelib.store.batches import write_all
from chalicelib.store.member_keys import shard_of
from chalicelib.store.members import MemberStore
from tests.aws_emulator import emulator_running

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

D, A = "north", "audience-1"
NOW = datetime(2026, 3, 2, tzinfo=UTC)
SUBSCRIBED = AddressStatus("subscribed", "", True, 1)
NOT_YET = AddressStatus("absent", "not_yet", True, 1)
FOREIGN = AddressStatus("subscribed", "foreign", False, 0)
NOBODY = AddressStatus("absent", "", False, 0)


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


SOME = st.builds(
    AddressStatus,
    st.sampled_from(store._STATUSES),
    st.sampled_from(("", *REASONS)),
    st.booleans(),
    st.integers(0, 0xFFFF),
).filter(lambda one: not one.is_nothing)


@given(st.dictionaries(st.integers(0, 400).map(key), SOME), st.dictionaries(st.integers(0, 400).map(key), SOME))
def test_what_was_noted_last_is_what_is_known(
    first: dict[str, AddressStatus], second: dict[str, AddressStatus]
) -> None:
    known = AddressStatuses({}).with_changes(first).with_changes(second)
    expected = first | second
    assert all(known.get(address) == expected.get(address) for address in map(key, range(401)))
    assert known.customers == sum(one.customer_count for one in expected.values())
    assert known.shared == sum(max(one.customer_count - 1, 0) for one in expected.values())
    assert known.reasons.total() == sum(1 for one in expected.values() if one.reason)
    assert all(known.reasons[r] == sum(one.reason == r for one in expected.values()) for r in REASONS)


def test_the_order_of_stored_names_is_never_changed() -> None:
    """They are stored as places in a list: another order would make other reasons of them."""
    assert (
        *("", "no_address", "shared_address", "transactional", "pending", "opted_out", "no_consent", "cleaned"),
        *("forgotten", "archived", "erased", "refused", "not_yet", "foreign", "not_counted_yet"),
    ) == store._REASONS
    assert (
        *("absent", "subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived", "forgotten"),
    ) == store._STATUSES


def test_more_sharers_than_can_be_kept_are_the_most_that_can() -> None:
    known = AddressStatuses({}).with_changes({key(1): AddressStatus("subscribed", "", True, 100_000)})
    assert known.customers == 0xFFFF


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with emulator_running() as endpoint:
        yield endpoint


@pytest.fixture
def client(aws: str) -> Iterator[DynamoDBClient]:
    client: DynamoDBClient = boto3.client("dynamodb", region_name="eu-central-1", endpoint_url=aws)
    client.create_table(
        TableName="members",
        KeySchema=[{"AttributeName": "shard", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("shard", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
    yield client
    client.delete_table(TableName="members")


def plan(client: DynamoDBClient, numbers: range, *, is_carried_out: bool = True) -> None:
    """A plan that adds all of some addresses, as the decide phase notes it."""
    shards: dict[str, dict[str, AddressStatus]] = {}
    for address in map(key, numbers):
        shards.setdefault(shard_of(address), {})[address] = NOT_YET
    batch = MemberStore(client, "members").batch(D)
    for now in shards.values():
        planned = dict.fromkeys(now, SUBSCRIBED) if is_carried_out else None
        batch.put_statuses(A, now, planned)
    batch.put_end_of_plan(A, NOW, is_carried_out=is_carried_out)
    batch.flush()


def test_a_plan_is_in_force_once_it_was_carried_out(client: DynamoDBClient) -> None:
    kept = AddressStatusStore(client, "members")
    plan(client, range(20))
    assert kept.load(D, A).reasons == {"not_yet": 20}
    assert kept.load(D, A).as_of == NOW
    kept.put_in_force(D, A)
    assert kept.load(D, A).reasons == {}
    assert kept.load(D, A).customers == 20
    kept.change(D, A, {key(3): AddressStatus("absent", "refused", False, 1), key(4): NOBODY})
    kept.put_in_force(D, A)
    assert kept.load(D, A).reasons == {"refused": 1}
    assert kept.load(D, A).get(key(4)) is None
    assert kept.load("south", A).as_of is kept.load(D, "audience-2").as_of is None


def test_a_dry_run_foresees_nothing(client: DynamoDBClient) -> None:
    kept = AddressStatusStore(client, "members")
    plan(client, range(5), is_carried_out=False)
    kept.put_in_force(D, A)
    assert kept.load(D, A).reasons == {"not_yet": 5}


def test_a_shard_that_a_plan_no_longer_finds_is_empty(client: DynamoDBClient) -> None:
    kept = AddressStatusStore(client, "members")
    plan(client, range(20))
    kept.put_in_force(D, A)
    plan(client, range(5))
    kept.put_in_force(D, A)
    shards = {shard_of(key(number)) for number in range(5)}
    assert kept.load(D, A).customers == 5
    assert set(kept.load(D, A)._by_shard) == shards


def test_coming_into_force_may_be_cut_short_anywhere(client: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = AddressStatusStore(client, "members")
    for writes in range(4):
        plan(client, range(30))
        left = iter(range(writes))

        def some(client: DynamoDBClient, table: str, requests: list[object], left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                write_all(client, table, requests[: len(requests) // 2])  # type: ignore[arg-type]
                raise KeyboardInterrupt
            write_all(client, table, requests)  # type: ignore[arg-type]

        monkeypatch.setattr(store, "write_all", some)
        try:
            kept.put_in_force(D, A)
        except KeyboardInterrupt:
            monkeypatch.setattr(store, "write_all", write_all)
            kept.put_in_force(D, A)
        monkeypatch.setattr(store, "write_all", write_all)
        assert kept.load(D, A).customers == 30
        assert kept.load(D, A).reasons == {}
