"""Where addresses stand, packed and kept: read back as it was noted, whatever was cut short."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.address_status import REASONS, AddressStatus
from chalicelib.domain.consent.members import TAGGABLE
from chalicelib.store import address_status as store
from chalicelib.store import packed_statuses
from chalicelib.store.address_status import AddressStatuses, AddressStatusStore
from chalicelib.store.batches import write_all
from chalicelib.store.member_keys import shard_of
from chalicelib.store.members import MemberStore
from tests.aws_emulator import emulator_running
from tests.examples import examples

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

D, A = "north", "audience-1"
NOW = datetime(2026, 3, 2, tzinfo=UTC)
SUBSCRIBED = AddressStatus("subscribed", "", True, 1)
NOT_YET = AddressStatus("absent", "not_yet", True, 1)
FOREIGN = AddressStatus("subscribed", "foreign", False, 0)
NOBODY = AddressStatus("absent", "", False, 0)


def change(kept: AddressStatusStore, changes: Mapping[str, AddressStatus]) -> AddressStatuses:
    """Note where some addresses stand in one step. Answers what was known of their shards before."""
    step = kept.changes(D, A)
    before = step.note(changes)
    step.flush()
    return before


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


SOME = st.builds(
    AddressStatus,
    st.sampled_from(packed_statuses.STATUSES),
    st.sampled_from(("", *REASONS)),
    st.booleans(),
    st.integers(0, 0xFFFF),
).filter(lambda one: (one.customer_count or one.reason) and one != FOREIGN)
NOTED = st.dictionaries(st.integers(0, 60).map(key), st.one_of(SOME, st.just(FOREIGN), st.just(NOBODY)))


@examples(40)
@given(st.lists(NOTED, max_size=4), st.booleans())
def test_what_was_noted_last_is_what_is_known(noted: list[dict[str, AddressStatus]], in_one_step: bool) -> None:
    kept, expected = AddressStatusStore(Memory(), "members"), dict[str, AddressStatus]()  # type: ignore[arg-type]
    step = kept.changes(D, A)
    for changes in noted:
        step.note(changes)
        expected |= changes
        if not in_one_step:
            step.flush()
            step = kept.changes(D, A)
    assert_known(step.statuses(kept.load(D, A)), expected)
    step.flush()
    assert_known(kept.load(D, A), expected)


def assert_known(known: AddressStatuses, expected: dict[str, AddressStatus]) -> None:
    ours = {address: one for address, one in expected.items() if one not in (FOREIGN, NOBODY)}
    assert all(known.get(address) == ours.get(address) for address in map(key, range(61)))
    assert all(known.is_reached(a) == (a in ours and ours[a].is_reached) for a in map(key, range(61)))
    assert known.customers == sum(one.customer_count for one in ours.values())
    assert known.shared == sum(max(one.customer_count - 1, 0) for one in ours.values())
    assert known.members == sum(one.status in TAGGABLE and one.customer_count > 0 for one in ours.values())
    assert all(known.reasons[r] == sum(one.reason == r for one in expected.values()) for r in REASONS)


def test_the_order_of_stored_names_is_never_changed() -> None:
    """They are stored as places in a list: another order would make other reasons of them."""
    assert (
        *("", "no_address", "shared_address", "transactional", "pending", "opted_out", "no_consent", "cleaned"),
        *("forgotten", "archived", "erased", "refused", "not_yet", "foreign", "not_counted_yet"),
    ) == packed_statuses.REASON_PLACES
    assert (
        *("absent", "subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived", "forgotten"),
    ) == packed_statuses.STATUSES


def test_more_sharers_than_can_be_kept_are_the_most_that_can() -> None:
    kept = AddressStatusStore(Memory(), "members")  # type: ignore[arg-type]
    change(kept, {key(1): AddressStatus("subscribed", "", True, 100_000)})
    assert kept.load(D, A).customers == 0xFFFF


class Memory:
    """The few calls of DynamoDB that the store makes, in a dictionary."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], dict[str, Any]] = {}

    def get_item(self, *, Key: dict[str, Any], **_: Any) -> dict[str, Any]:
        found = self._items.get((Key["shard"]["S"], Key["sk"]["S"]))
        return {"Item": found} if found else {}

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:
        (wanted,) = RequestItems.values()
        keys = [(key["shard"]["S"], key["sk"]["S"]) for key in wanted["Keys"]]
        return {
            "Responses": {"members": [self._items[key] for key in keys if key in self._items]},
            "UnprocessedKeys": {},
        }

    def batch_write_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:
        (requests,) = RequestItems.values()
        for item in (request["PutRequest"]["Item"] for request in requests):
            self._items[(item["shard"]["S"], item["sk"]["S"])] = item
        return {"UnprocessedItems": {}}

    def query(self, *, ExpressionAttributeValues: dict[str, Any], **_: Any) -> dict[str, Any]:
        wanted = ExpressionAttributeValues[":s"]["S"]
        return {"Items": [item for (shard, _), item in self._items.items() if shard == wanted]}


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


def plan(client: DynamoDBClient, numbers: Iterable[int], name: str, *, is_carried_out: bool = True) -> None:
    """A plan that adds all of some addresses, as the decide phase notes it."""
    note(client, numbers, name, is_carried_out=is_carried_out)
    batch = MemberStore(client, "members").batch(D)
    batch.put_end_of_plan(A, name, NOW)
    batch.flush()


def note(client: DynamoDBClient, numbers: Iterable[int], name: str, *, is_carried_out: bool = True) -> None:
    """The same, cut short before its end."""
    shards: dict[str, dict[str, AddressStatus]] = {}
    for address in map(key, numbers):
        shards.setdefault(shard_of(address), {})[address] = NOT_YET
    batch = MemberStore(client, "members").batch(D)
    for now in shards.values():
        batch.put_statuses(A, name, now, dict.fromkeys(now, SUBSCRIBED) if is_carried_out else None)
    batch.flush()


def test_a_plan_is_in_force_once_it_was_carried_out(client: DynamoDBClient) -> None:
    kept = AddressStatusStore(client, "members")
    plan(client, range(20), "run-1")
    assert kept.load(D, A).reasons == {"not_yet": 20}
    assert kept.load(D, A).as_of == NOW
    kept.put_in_force(D, A, "run-1")
    assert kept.load(D, A).reasons == {}
    assert kept.load(D, A).customers == kept.load(D, A).members == 20
    change(kept, {key(3): AddressStatus("absent", "refused", False, 1), key(4): NOBODY})
    kept.put_in_force(D, A, "run-1")
    assert kept.load(D, A).reasons == {"refused": 1}
    assert kept.load(D, A).get(key(4)) is None
    assert kept.load("south", A).as_of is kept.load(D, "audience-2").as_of is None


def test_what_is_noted_before_the_plan_is_in_force_still_counts_then(client: DynamoDBClient) -> None:
    kept = AddressStatusStore(client, "members")
    plan(client, range(20), "run-1")
    change(kept, {key(3): AddressStatus("unsubscribed", "opted_out", False, 1)})
    assert kept.load(D, A).reasons == {"not_yet": 19, "opted_out": 1}
    kept.put_in_force(D, A, "run-1")
    assert kept.load(D, A).reasons == {"opted_out": 1}


def test_a_dry_run_foresees_nothing(client: DynamoDBClient) -> None:
    kept = AddressStatusStore(client, "members")
    plan(client, range(5), "run-1", is_carried_out=False)
    kept.put_in_force(D, A, "run-1")
    assert kept.load(D, A).reasons == {"not_yet": 5}


def test_a_plan_that_was_never_carried_out_foresees_nothing(client: DynamoDBClient) -> None:
    kept = AddressStatusStore(client, "members")
    plan(client, range(5), "run-1")
    plan(client, range(5), "run-2", is_carried_out=False)
    kept.put_in_force(D, A, "run-1")  # late
    assert kept.load(D, A).reasons == {"not_yet": 5}


def test_a_plan_cut_short_leaves_the_last_one_in_force(client: DynamoDBClient) -> None:
    kept = AddressStatusStore(client, "members")
    plan(client, range(20), "run-1")
    kept.put_in_force(D, A, "run-1")
    seen = [number for number in range(20) if shard_of(key(number)) < "80"]
    note(client, seen, "run-2")
    assert kept.load(D, A).customers == 20
    assert kept.load(D, A).reasons == ({"not_yet": len(seen)} if seen else {})
    kept.put_in_force(D, A, "run-2")  # it saw only some of them
    assert kept.load(D, A).reasons == ({"not_yet": len(seen)} if seen else {})
    plan(client, range(20), "run-3")
    kept.put_in_force(D, A, "run-3")
    assert kept.load(D, A).reasons == {}


def test_a_shard_that_a_plan_no_longer_finds_is_empty(client: DynamoDBClient) -> None:
    kept = AddressStatusStore(client, "members")
    change(kept, {key(number): FOREIGN for number in range(20, 40)})
    plan(client, range(20), "run-1")
    assert kept.load(D, A).reasons == {"not_yet": 20}
    kept.put_in_force(D, A, "run-1")
    plan(client, range(5), "run-2")
    kept.put_in_force(D, A, "run-2")
    assert kept.load(D, A).customers == 5
    # Who comes back into such a shard comes alone.
    change(kept, {key(19): SUBSCRIBED, key(39): FOREIGN})
    assert kept.load(D, A).customers == 6
    assert kept.load(D, A).reasons == {"foreign": 1}


def test_members_of_nobody_are_counted_and_not_carried_along(client: DynamoDBClient) -> None:
    kept = AddressStatusStore(client, "members")
    batch = MemberStore(client, "members").batch(D)
    shards: dict[str, dict[str, AddressStatus]] = {}
    for number in range(300):
        shards.setdefault(shard_of(key(number)), {})[key(number)] = FOREIGN if number else SUBSCRIBED
    for now in shards.values():
        batch.put_statuses(A, "run-1", now, now)
    batch.put_end_of_plan(A, "run-1", NOW)
    batch.flush()
    known = kept.load(D, A)
    assert known.reasons == {"foreign": 299}
    assert sum(len(shard.packed) for shard in known._by_shard.values()) == packed_statuses.LENGTH
    change(kept, {key(1): SUBSCRIBED, key(2): NOBODY, key(3): FOREIGN, key(300): FOREIGN})
    assert kept.load(D, A).reasons == {"foreign": 298}
    assert kept.load(D, A).members == 2


@pytest.mark.parametrize("changes", [{key(1): SUBSCRIBED}, {key(2): NOBODY}, {key(9): FOREIGN}])
def test_a_change_may_be_cut_short_anywhere(
    client: DynamoDBClient, monkeypatch: pytest.MonkeyPatch, changes: dict[str, AddressStatus]
) -> None:
    kept, before = AddressStatusStore(client, "members"), {key(n): FOREIGN for n in (1, 2, 3)} | {key(9): SUBSCRIBED}
    change(kept, before)
    expected = kept.changes(D, A)
    expected.note(changes)
    wanted = expected.statuses(kept.load(D, A)).reasons
    for writes in range(2):
        left = iter(range(writes))

        def some(client: DynamoDBClient, table: str, requests: list[Any], left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            write_all(client, table, requests)

        monkeypatch.setattr(store, "write_all", some)
        with pytest.raises(KeyboardInterrupt):
            change(kept, changes)
        monkeypatch.setattr(store, "write_all", write_all)
        change(kept, changes)
        assert kept.load(D, A).reasons == wanted
        change(kept, before)
