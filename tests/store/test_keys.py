"""Where items lie. Another rule would lose what is stored, so some keys are written out here."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.customers import customer_key
from chalicelib.store import customer_keys, member_keys
from tests.examples import examples

address_keys = st.text("0123456789abcdef", min_size=32, max_size=32)


# ------------------------------------------------------------------------------------------------------------ members


@examples(20)
@given(address_keys, st.sampled_from(["", "#p", "#c#0001"]))
def test_all_of_an_address_lies_side_by_side_in_one_of_256_shards(address_key: str, suffix: str) -> None:
    item = member_keys.address_item("north", address_key, suffix)
    assert item == {"shard": {"S": f"north#{address_key[:2]}"}, "sk": {"S": address_key + suffix}}
    assert member_keys.shard_of(address_key) in member_keys.SHARDS
    assert len(address_key) == member_keys.ADDRESS_KEY_LENGTH
    if not suffix:
        assert member_keys.address_item("north", address_key) == item


def test_the_shards_are_all_pairs_of_digits_in_order() -> None:
    assert (len(member_keys.SHARDS), member_keys.SHARDS[0], member_keys.SHARDS[-1]) == (256, "00", "ff")
    assert sorted(set(member_keys.SHARDS)) == list(member_keys.SHARDS)


def test_an_entry_of_a_list_lies_in_the_lists_own_partition() -> None:
    assert member_keys.list_item("north", "markers", "k#why") == {
        "shard": {"S": "north#markers"},
        "sk": {"S": "k#why"},
    }
    assert member_keys.partition("north", "outbox") == {"S": "north#outbox"}


def test_a_query_asks_for_a_whole_list_for_one_address_or_for_what_lies_behind_a_key() -> None:
    whole = member_keys.entries_in("north", "markers")
    assert whole == {
        "ExpressionAttributeNames": {"#shard": "shard"},
        "KeyConditionExpression": "#shard = :s",
        "ExpressionAttributeValues": {":s": {"S": "north#markers"}},
        "ConsistentRead": True,
    }
    of_one = member_keys.entries_in("north", "markers", of_address="k")
    assert of_one["KeyConditionExpression"] == "#shard = :s AND begins_with(sk, :k)"
    assert of_one["ExpressionAttributeValues"] == {":s": {"S": "north#markers"}, ":k": {"S": "k"}}
    behind = member_keys.entries_in("north", "markers", after="k")
    assert behind["KeyConditionExpression"] == "#shard = :s AND sk > :after"
    assert behind["ExpressionAttributeValues"] == {":s": {"S": "north#markers"}, ":after": {"S": "k"}}


# ---------------------------------------------------------------------------------------------------------- customers


@examples(20)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_a_customer_lies_under_its_key_in_one_of_the_departments_buckets(customer_id: str) -> None:
    key = customer_key(customer_id)
    item = customer_keys.item_key("north", key)
    bucket = customer_keys.buckets_of("north")[customer_keys.bucket_number(key)]
    assert item == {"department_bucket": {"S": bucket}, "customer_key": {"S": key}}


def test_customers_are_spread_over_sixteen_buckets_which_stay_the_same_for_ever() -> None:
    assert customer_keys.buckets_of("d") == tuple(f"d#{digit}" for digit in "0123456789abcdef")
    buckets = [customer_keys.item_key("d", customer_key(one))["department_bucket"]["S"] for one in ("1", "42", "abc")]
    assert buckets == ["d#2", "d#0", "d#8"]
