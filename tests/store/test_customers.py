"""The stored customers of a department: spread over buckets, walked in PracBill's order."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.customers import customer_key
from chalicelib.domain.segments.filterable import Filterable
from chalicelib.store.customer_keys import BUCKET_COUNT, buckets_of, item_key
from chalicelib.store.customers import CustomerStore
from tests.store.customers_table import TABLE, CustomersTable, Stored


def department_of(table: CustomersTable, ids: list[str]) -> str:
    return table.new_department([Stored(one, Filterable()) for one in ids])


MIXED = [*(str(number) for number in range(1, 120)), "007", "b", "B-7", "ä", *(f"c{number}" for number in range(60))]


@pytest.fixture(scope="module")
def mixed(table: CustomersTable) -> str:
    """A department with all of `MIXED`; one for all tests, since moto sorts its whole table for each page."""
    return department_of(table, MIXED)


def test_all_buckets_together_are_walked_in_pracbills_order(table: CustomersTable, mixed: str) -> None:
    walked = [stored.customer_id for stored in CustomerStore(table.client, TABLE).ascending(mixed)]
    assert walked == sorted(MIXED, key=lambda one: customer_key(one).encode())


@pytest.mark.parametrize("after", ["1", "64", "64.5", "007", "119", "c30", "ä", "z"])
def test_a_walk_goes_on_behind_any_key(table: CustomersTable, mixed: str, after: str) -> None:
    store = CustomerStore(table.client, TABLE)
    walked = [stored.customer_key for stored in store.ascending(mixed, after=customer_key(after))]
    assert walked == sorted(key for one in MIXED if (key := customer_key(one)) > customer_key(after))


@pytest.mark.bulk
def test_a_walk_reads_every_page_of_a_bucket(
    table: CustomersTable, mixed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CustomerStore(table.client, TABLE)
    query = table.client.query
    monkeypatch.setattr(table.client, "query", lambda **asked: query(**{**asked, "Limit": 2}))
    assert len(list(store.ascending(mixed))) == len(MIXED)


@pytest.mark.bulk
def test_a_department_is_empty_until_one_customer_is_stored(table: CustomersTable) -> None:
    store = CustomerStore(table.client, TABLE)
    assert store.is_empty("nobody-here")
    for one in ("1", "2", "x"):
        assert not store.is_empty(department_of(table, [one]))


def test_customers_are_looked_up_in_their_buckets(table: CustomersTable, mixed: str) -> None:
    store = CustomerStore(table.client, TABLE)
    keys = [customer_key(one) for one in MIXED]
    assert set(store.get(mixed, [*keys, customer_key("unknown")])) == set(keys)
    assert store.get("elsewhere", keys) == {}


def test_buckets_take_about_the_same_number_of_customers() -> None:
    buckets = Counter(
        item_key("d", customer_key(str(number)))["department_bucket"]["S"] for number in range(100_000, 132_000)
    )
    assert set(buckets) == set(buckets_of("d"))
    assert max(buckets.values()) < 1.1 * 32_000 / BUCKET_COUNT


@given(st.text(min_size=1, max_size=20))
def test_a_customers_bucket_is_one_of_the_departments_and_stays(customer_id: str) -> None:
    key = item_key("north", customer_key(customer_id))
    assert key["department_bucket"]["S"] in buckets_of("north")
    assert key == item_key("north", customer_key(customer_id))


def test_the_bucket_of_a_key_is_the_same_for_ever() -> None:
    """Another hash would lose every stored customer."""
    assert [item_key("d", customer_key(one))["department_bucket"]["S"] for one in ("1", "42", "abc")] == [
        "d#2",
        "d#0",
        "d#8",
    ]
