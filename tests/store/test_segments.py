"""Segments on a real table: names that belong to one, edits that meet."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

# First: it names the stage, which the tables' models need.
from tests.sync.conftest import aws as aws
from tests.sync.conftest import lasting_aws as lasting_aws

# isort: split
from chalicelib.domain.segments.rules import Rule
from chalicelib.domain.segments.segment import Segment, Tag
from chalicelib.store.models import SegmentItem
from chalicelib.store.segments import NameTaken, SegmentStore

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def store(aws: str) -> SegmentStore:
    return SegmentStore()


@pytest.fixture
def segment() -> Callable[..., Segment]:
    department_id = uuid.uuid4().hex

    def make(segment_id: str, name: str) -> Segment:
        rules = (Rule("state", "equals", "VIC"), Rule("created_in_last_days", "is", 30), Rule("city", "is_empty"))
        return Segment(department_id, segment_id, name, rules, created_at=NOON, created_by="user-1")

    return make


def test_a_segment_is_read_back_as_it_was_stored(store: SegmentStore, segment: Callable[..., Segment]) -> None:
    wanted = replace(segment("s1", "Victoria"), tag=Tag("audience", 7, "Victoria"), left_out={"no_address": 2})
    store.add(wanted)
    assert store.get(wanted.department_id, "s1") == wanted


def test_two_segments_cannot_have_one_name_whatever_its_case(
    store: SegmentStore, segment: Callable[..., Segment]
) -> None:
    first, second = segment("s1", "Straße"), segment("s2", "STRASSE")
    store.add(first)
    with pytest.raises(NameTaken):
        store.add(second)
    assert store.all(first.department_id) == [first]


def test_of_two_who_take_a_name_at_the_same_moment_one_gets_it(
    store: SegmentStore, segment: Callable[..., Segment]
) -> None:
    def add(number: int) -> bool:
        try:
            store.add(segment(f"s{number}", "Victoria"))
        except NameTaken:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(add, range(6))) == 1


def test_a_name_that_was_given_up_may_be_taken(store: SegmentStore, segment: Callable[..., Segment]) -> None:
    first = segment("s1", "Victoria")
    store.add(first)
    store.change(first.department_id, "s1", lambda s: replace(s, name="Tasmania"))
    store.add(segment("s2", "victoria"))
    with pytest.raises(NameTaken):
        store.change(first.department_id, "s1", lambda s: replace(s, name="Victoria"))
    kept = store.get(first.department_id, "s1")
    assert kept is not None
    assert kept.name == "Tasmania"


def test_the_case_of_a_name_may_be_changed(store: SegmentStore, segment: Callable[..., Segment]) -> None:
    first = segment("s1", "victoria")
    store.add(first)
    assert store.change(first.department_id, "s1", lambda s: replace(s, name="Victoria")).name == "Victoria"


def test_a_segment_that_is_being_deleted_gives_its_name_back(
    store: SegmentStore, segment: Callable[..., Segment]
) -> None:
    first = segment("s1", "Victoria")
    store.add(first)
    store.change(first.department_id, "s1", lambda s: replace(s, deleting=True))
    store.add(segment("s2", "Victoria"))
    store.remove(first.department_id, "s1")
    store.remove(first.department_id, "s1")
    assert [s.id for s in store.all(first.department_id)] == ["s2"]


def test_changes_at_the_same_moment_are_all_kept(store: SegmentStore, segment: Callable[..., Segment]) -> None:
    first = segment("s1", "Victoria")
    store.add(first)
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda _: store.change(first.department_id, "s1", lambda s: replace(s, version=s.version + 1)),
                range(8),
            )
        )
    kept = store.get(first.department_id, "s1")
    assert kept is not None
    assert kept.version == first.version + 8


def test_an_unknown_segment_is_told(store: SegmentStore) -> None:
    assert store.get("nowhere", "s1") is None
    assert store.get("nowhere", "name#1") is None
    with pytest.raises(KeyError, match="s1"):
        store.change("nowhere", "s1", lambda segment: segment)


@pytest.mark.parametrize("name", ["Tasmania", "Victoria"])
def test_a_rename_that_meets_another_edit_is_made_on_top_of_it(
    store: SegmentStore, segment: Callable[..., Segment], name: str
) -> None:
    first = segment("s1", "Victoria")
    store.add(first)
    seen: list[int] = []

    def rename(one: Segment) -> Segment:
        seen.append(one.version)
        if len(seen) == 1:
            store.change(first.department_id, "s1", lambda other: replace(other, version=7))
        return replace(one, name=name, tag=Tag("audience", 7, name))

    renamed = store.change(first.department_id, "s1", rename)
    assert seen == [first.version, 7]
    assert (renamed.name, renamed.version) == (name, 7)
    assert store.get(first.department_id, "s1") == renamed


def test_segments_are_read_as_they_are_now(
    store: SegmentStore, segment: Callable[..., Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB shows what was stored a moment ago only to those who ask for it."""
    first = segment("s1", "Victoria")
    store.add(first)
    asked: list[object] = []
    for name in ("get", "query"):
        read = getattr(SegmentItem, name)

        def noted(*key: Any, read: Any = read, **options: Any) -> Any:
            asked.append(options.get("consistent_read"))
            return read(*key, **options)

        monkeypatch.setattr(SegmentItem, name, noted)
    assert store.get(first.department_id, "s1") == first
    assert store.all(first.department_id) == [first]
    assert asked == [True, True]
