"""What the store of members promises, the same on everything that stands for DynamoDB in tests."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from chalicelib.domain.consent.members import ConsentState, DeliveryState, OptOut
from chalicelib.domain.consent.observations import OutboxEntry
from chalicelib.domain.customers import Customer, customer_to_document
from chalicelib.domain.planning import Arrival
from chalicelib.store import member_keys
from chalicelib.store.members import MemberStore

TABLE, AUDIENCE = "members-contract", "audience-1"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
THERE = ConsentState(AUDIENCE, "subscribed", NOON, NOON)
SENT = DeliveryState(AUDIENCE, "subscribed", NOON + timedelta(minutes=1), owner="1", sent="f" * 20)


@pytest.fixture
def store(database: str, monkeypatch: pytest.MonkeyPatch) -> MemberStore:
    """With two parts a department: each is a call, which is not what this is about."""
    monkeypatch.setattr(member_keys, "SHARDS", ("0", "1"))
    monkeypatch.setattr(member_keys, "shard_of", lambda address_key: str(int(address_key[0], 16) % 2))
    client: Any = boto3.client("dynamodb", region_name="eu-central-1", endpoint_url=database)
    if TABLE not in client.list_tables()["TableNames"]:
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("shard", "sk")],
            KeySchema=[{"AttributeName": "shard", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )
    return MemberStore(client, TABLE)


@pytest.fixture
def department() -> str:
    return uuid.uuid4().hex


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


def add(store: MemberStore, department: str, *numbers: int, state: ConsentState = THERE) -> bool:
    return store.add_consent_states(department, [(key(one), f"a{one}@clinic.test", state) for one in numbers])


def walked(store: MemberStore, department: str, start: int = 0) -> list[str]:
    parts = [list(states) for states, _ in store.walk(department, AUDIENCE, start=start)]
    return [one.member.address_key for part in parts for one in part]


# ------------------------------------------------------------------------------------------------------------- states


def test_states_that_exist_already_let_none_of_the_others_be_stored(store: MemberStore, department: str) -> None:
    assert add(store, department, 1, 2)
    assert not add(store, department, 3, 2, state=replace(THERE, status="unsubscribed"))
    found = store.member_states(department, [key(1), key(2), key(2), key(3)])
    assert {one: states.consent_state for one, states in found.items()} == {key(1): THERE, key(2): THERE}


def test_of_changes_of_one_state_at_the_same_moment_none_is_lost(store: MemberStore, department: str) -> None:
    def longer(known: ConsentState) -> ConsentState:
        return replace(known, spelling=f"{known.spelling}!")

    add(store, department, 1)
    with ThreadPoolExecutor(4) as pool:
        changes = list(
            pool.map(
                lambda _: store.change_consent_state(department, key(1), "a1@clinic.test", longer),
                range(8),
            )
        )
    assert sorted(after.spelling for _, after in changes) == ["!" * count for count in range(1, 9)]
    assert store.state(department, key(1), AUDIENCE).member.spelling == "!" * 8


@pytest.mark.parametrize("is_known", [False, True], ids=["of a new state", "of a known one"])
def test_a_change_that_somebody_else_was_faster_with_is_made_on_top_of_theirs(
    store: MemberStore, department: str, is_known: bool
) -> None:
    """Pull and webhook may both meet an address for the first time: the no that one of them brings must stay."""
    if is_known:
        add(store, department, 1)
    no = OptOut(NOON, "person", "too many")
    seen: list[ConsentState] = []

    def change(known: ConsentState) -> ConsentState:
        seen.append(known)
        if len(seen) == 1:
            store.change_consent_state(department, key(1), "a1@clinic.test", lambda one: replace(one, opt_out=no))
        return replace(known, spelling="Ann")

    before, after = store.change_consent_state(department, key(1), "a1@clinic.test", change)
    assert [one.opt_out for one in seen] == [None, no]
    assert (before.opt_out, before.spelling) == (no, "")
    assert (after.opt_out, after.spelling) == (no, "Ann")
    (states,) = store.member_states(department, [key(1)]).values()
    assert states.consent_state == after


def test_a_change_that_changes_nothing_is_not_written(store: MemberStore, department: str) -> None:
    assert store.change_consent_state(department, key(1), "a1@clinic.test", lambda known: known) == (
        ConsentState(),
        ConsentState(),
    )
    assert store.member_states(department, [key(1)]) == {}


def test_an_erased_address_is_stored_without_it(store: MemberStore, department: str) -> None:
    add(store, department, 1)
    store.change_consent_state(department, key(1), "a1@clinic.test", lambda known: replace(known, erased=True))
    (states,) = store.member_states(department, [key(1)]).values()
    assert (states.address, states.consent_state) == ("", replace(THERE, erased=True))


def test_all_that_lies_at_an_address_is_read_together(store: MemberStore, department: str) -> None:
    add(store, department, 1, state=replace(THERE, opt_out=OptOut(NOON, "person", "too many")))
    customers = [Customer(one, "2026-01-01T00:00:00Z", email="a1@clinic.test") for one in ("7", "12")]
    batch = store.batch(department)
    for one in customers:
        arrival = Arrival(one.id, key(2), NOON) if one.id == "12" else None
        batch.put_document(key(1), f"key-of-{one.id}", customer_to_document(one), arrival)
    batch.put_delivery(key(1), "a1@clinic.test", SENT)
    batch.put_move(key(1), key(3))
    batch.flush()
    found = store.state(department, key(1), AUDIENCE)
    assert (found.member.address, found.member.sent, found.member.pushed_status) == (
        "a1@clinic.test",
        "f" * 20,
        "subscribed",
    )
    assert found.member.opt_out == OptOut(NOON, "person", "too many")
    assert found.address_customers is not None
    assert (found.moved_to, found.moved_from) == (key(3), key(2))
    assert [(one.customer_id, one.from_key, one.at) for one in found.arrivals] == [("12", key(2), NOON)]
    batch = store.batch(department)
    for one in customers:
        batch.remove_document(key(1), f"key-of-{one.id}")
    batch.remove_delivery(key(1))
    batch.flush()
    left = store.state(department, key(1), AUDIENCE)
    assert (left.address_customers, left.member.sent, left.member.status) == (None, "", "subscribed")


def test_a_walk_finds_every_address_once_and_goes_on_at_any_part(store: MemberStore, department: str) -> None:
    add(store, department, *range(20))
    add(store, f"{department}-too", 21)
    even, odd = (sorted(k for k in map(key, range(20)) if int(k[0], 16) % 2 == part) for part in (0, 1))
    assert walked(store, department) == [*even, *odd]
    assert walked(store, department, start=1) == odd
    members = [one.address_key for part, _ in store.walk_members(department, AUDIENCE) for one in part]
    assert members == [*even, *odd]
    assert [one.member.address_key for one in store.states(department, [key(3), key(1)], AUDIENCE)] == [key(3), key(1)]


def test_an_address_that_only_customers_have_is_known_by_theirs(store: MemberStore, department: str) -> None:
    customer = Customer("7", "2026-01-01T00:00:00Z", email=" A1@Clinic.test ")
    batch = store.batch(department)
    batch.put_document(key(1), "key-of-7", customer_to_document(customer))
    batch.put_delivery(key(3), "a3@clinic.test", SENT)
    batch.flush()
    found = store.state(department, key(1), AUDIENCE)
    assert (found.member.address, found.moved_to, found.moved_from, found.arrivals) == ("a1@clinic.test", "", "", ())
    assert found.member.status == "absent"
    nobody = store.state(department, key(2), AUDIENCE)
    assert (nobody.member.address, nobody.address_customers) == ("", None)


def test_a_walk_tells_what_is_known_in_the_audience_that_is_asked_about(store: MemberStore, department: str) -> None:
    add(store, department, 1)
    for audience, status in ((AUDIENCE, "subscribed"), ("another", "absent")):
        found = [one.member.status for states, _ in store.walk(department, audience) for one in states]
        members = [one.status for part, _ in store.walk_members(department, audience) for one in part]
        assert found == members == [status]


def test_where_the_last_customers_of_some_addresses_went_is_read_together(store: MemberStore, department: str) -> None:
    add(store, department, 1, 2, 3)
    batch = store.batch(department)
    batch.put_move(key(1), key(2))
    batch.put_move(key(2), key(3))
    batch.put_move(key(9), key(1))
    batch.flush()
    assert store.moves(department, [key(1), key(2), key(3)]) == {key(1): key(2), key(2): key(3)}
    assert store.moves("elsewhere", [key(1)]) == {}


# ------------------------------------------------------------------------------------------------------------ markers


def mark(store: MemberStore, department: str, marks: Sequence[tuple[int, str]]) -> None:
    batch = store.batch(department)
    for number, why in marks:
        batch.mark(key(number), why)
    batch.flush()


def test_markers_are_listed_by_address_and_go_one_by_one(store: MemberStore, department: str) -> None:
    mark(store, department, [(1, "customer"), (1, "consent"), (2, "customer"), (1, "customer")])
    first, second = sorted((key(1), key(2)))
    marked = dict(store.marked(department))
    assert list(marked) == [first, second]
    assert marked[key(1)] == (f"{key(1)}#consent", f"{key(1)}#customer") == store.marks(department, key(1))
    assert [one for one, _ in store.marked(department, after=first)] == [second]
    batch = store.batch(department)
    batch.unmark(f"{key(1)}#consent")
    batch.flush()
    assert store.marks(department, key(1)) == (f"{key(1)}#customer",)
    assert store.marks("elsewhere", key(1)) == ()


def test_who_of_some_has_one_marker_is_read_together(store: MemberStore, department: str) -> None:
    mark(store, department, [(1, "customer"), (2, "consent"), (3, "customer")])
    assert store.with_marker(department, [key(1), key(1), key(2), key(4)], "customer") == {key(1)}
    assert store.with_marker(department, [key(1)], "cust") == set()


# -------------------------------------------------------------------------------------------------- the PracBill outbox


def news(number: int, status: Any, minutes: int) -> OutboxEntry:
    at = NOON + timedelta(minutes=minutes)
    return OutboxEntry(key(number), f"a{number}@clinic.test", status, at, "mailchimp", "said so")


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (("unsubscribed", 0), ("subscribed", 1), "second"),
        (("unsubscribed", 1), ("subscribed", 0), "first"),
        (("unsubscribed", 0), ("subscribed", 0), "first"),
        (("subscribed", 0), ("unsubscribed", 0), "second"),
    ],
    ids=["later", "earlier", "no-then-yes-at-once", "yes-then-no-at-once"],
)
def test_of_two_changes_at_one_address_the_later_one_is_kept_and_the_no_of_one_moment(
    store: MemberStore, department: str, first: tuple[str, int], second: tuple[str, int], kept: str
) -> None:
    entries = {"first": news(1, *first), "second": news(1, *second)}
    for entry in entries.values():
        store.keep_outbox_entry(department, entry)
    assert list(store.outbox(department)) == [entries[kept]]


def test_an_entry_is_dropped_only_while_it_is_the_one_that_was_sent(store: MemberStore, department: str) -> None:
    for entry in (news(1, "unsubscribed", 1), news(2, "unsubscribed", 1)):
        store.keep_outbox_entry(department, entry)
    store.drop_outbox_entry(department, key(1), news(1, "unsubscribed", 0))
    assert store.outbox_count(department) == 2
    store.drop_outbox_entry(department, key(1), news(1, "unsubscribed", 1))
    assert list(store.outbox(department)) == [news(2, "unsubscribed", 1)]
    store.drop_outbox_entry(department, key(2))
    store.drop_outbox_entry(department, key(2))
    assert store.outbox_count(department) == 0
