"""Requests that are carried out once, on a real table."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

# First: it names the stage, which the tables' models need.
from tests.sync.conftest import aws as aws
from tests.sync.conftest import lasting_aws as lasting_aws

# isort: split
from chalicelib.store.models import RequestItem
from chalicelib.store.requests import KeptRequest, RequestStore

# In the years to come: what expires by our clock must not have expired by the emulator's.
NOON = datetime(2036, 3, 3, 12, tzinfo=UTC)
DAY = timedelta(days=1)
FIRST = KeptRequest("what it asks for", NOON)


@pytest.fixture
def store(aws: str) -> RequestStore:
    return RequestStore(keep=DAY)


@pytest.fixture
def department() -> str:
    return uuid.uuid4().hex


def test_a_request_that_comes_again_finds_the_first_one(store: RequestStore, department: str) -> None:
    assert store.begin(department, "k", FIRST) is None
    again = KeptRequest("something else", NOON + timedelta(minutes=1))
    assert store.begin(department, "k", again) == FIRST
    assert store.begin(department, "k", again) == FIRST
    assert store.begin(department, "another", again) is None
    assert store.begin(f"{department}-too", "k", again) is None
    assert RequestItem.get(f"{department}#requests", "k").expires_at == NOON + DAY


def test_of_many_at_the_same_moment_one_begins(store: RequestStore, department: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: store.begin(department, "k", FIRST), range(8)))
    assert sorted(one is None for one in found) == [False] * 7 + [True]


def test_what_became_of_it_is_found_when_it_comes_again(store: RequestStore, department: str) -> None:
    store.begin(department, "k", FIRST)
    before = store.about_to_create(department, "k", FIRST, ["a1", "a2"])
    assert store.begin(department, "k", FIRST) == before == replace(FIRST, known=("a1", "a2"))
    made = store.made(department, "k", before, "a3")
    assert store.begin(department, "k", FIRST) == made == replace(before, made="a3")
    store.done(department, "k", made)
    assert store.begin(department, "k", FIRST) == replace(made, is_done=True)


def test_one_of_which_nothing_came_may_come_again(store: RequestStore, department: str) -> None:
    store.begin(department, "k", FIRST)
    store.forget(department, "k")
    store.forget(department, "k")
    assert store.begin(department, "k", FIRST) is None


@pytest.mark.parametrize(("later", "is_new"), [(DAY - timedelta(seconds=1), False), (DAY, True)])
def test_one_that_has_expired_counts_as_new_though_it_is_still_there(
    store: RequestStore, department: str, later: timedelta, is_new: bool
) -> None:
    store.begin(department, "k", FIRST)
    again = KeptRequest("later", NOON + later)
    assert (store.begin(department, "k", again) is None) is is_new
    assert store.begin(department, "k", again) == (again if is_new else FIRST)
