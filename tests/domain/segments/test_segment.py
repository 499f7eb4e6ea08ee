"""What becomes of a segment as staff edit it, syncs carry it out, and its tag comes and goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

import pytest

from chalicelib.domain.consent.members import TAGGABLE, Status
from chalicelib.domain.segments.rules import Rule
from chalicelib.domain.segments.segment import Segment, SegmentCounts, Tag, reason_of, twin_of

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
RULES = (Rule("city", "is", "Oslo"),)
OTHER_RULES = (Rule("city", "is", "Rome"),)
TAG = Tag("a1", 7, "Oslo")
NEW = Segment("north", "s1", "Oslo", RULES, AT, "Ann")
# After a good sync of its third version.
SYNCED = replace(
    NEW,
    version=3,
    synced_version=3,
    tag=TAG,
    customer_count=9,
    as_of=AT,
    tagged_count=6,
    reachable_count=5,
    left_out={"opted_out": 3},
    synced_at=AT,
    read_on="2026-03-02",
)
FAILED = replace(SYNCED, fault="Mailchimp refused the name.", fault_code="name_taken", synced_version=2)


def test_a_new_segment_is_the_first_version_and_has_reached_nothing() -> None:
    assert (NEW.version, NEW.synced_version, NEW.tag, NEW.counts) == (1, 0, None, None)
    assert not NEW.is_synced("a1")


def test_counts_are_told_as_the_last_sync_found_them() -> None:
    assert SYNCED.counts == SegmentCounts(customers=9, tagged=6, reachable=5, left_out={"opted_out": 3})


@pytest.mark.parametrize(
    "segment",
    [
        replace(SYNCED, customer_count=None),
        replace(SYNCED, tagged_count=None),
        replace(SYNCED, reachable_count=None),
    ],
)
def test_counts_are_told_together_or_not_at_all(segment: Segment) -> None:
    assert segment.counts is None


def test_counts_of_zero_are_counts() -> None:
    empty = replace(SYNCED, customer_count=0, tagged_count=0, reachable_count=0, left_out={})
    assert empty.counts == SegmentCounts(0, 0, 0, {})


def test_a_segment_is_synced_when_the_audience_has_its_version_under_its_name() -> None:
    assert SYNCED.is_synced("a1")


@pytest.mark.parametrize(
    ("segment", "audience_id"),
    [
        (SYNCED, "another"),
        (replace(SYNCED, deleting=True), "a1"),
        (replace(SYNCED, stale_marks=True), "a1"),
        (replace(SYNCED, tag=None), "a1"),
        (replace(SYNCED, version=4), "a1"),
        (replace(SYNCED, synced_version=2), "a1"),
        (replace(SYNCED, name="Oslo and around"), "a1"),
    ],
)
def test_a_segment_that_differs_in_anything_is_not_synced(segment: Segment, audience_id: str) -> None:
    assert not segment.is_synced(audience_id)


def test_a_definition_that_says_nothing_new_changes_nothing() -> None:
    assert FAILED.defined("Oslo", RULES) is FAILED


@pytest.mark.parametrize(("name", "rules"), [("Rome", RULES), ("Oslo", OTHER_RULES), ("Rome", OTHER_RULES)])
def test_a_new_definition_is_one_version_later_and_is_held_against_everybody(
    name: str, rules: tuple[Rule, ...]
) -> None:
    """The fault was of the old definition; what the last sync found stays to be seen."""
    expected = replace(FAILED, name=name, rules=rules, version=4, fault="", fault_code="", read_on="")
    assert FAILED.defined(name, rules) == expected


def test_a_lost_tag_leaves_marks_to_clear_and_customers_to_read_again() -> None:
    assert SYNCED.without_tag() == replace(SYNCED, tag=None, stale_marks=True, read_on="")


def test_a_tag_that_came_is_no_longer_asked_for() -> None:
    asked = replace(NEW, asked_in="a1")
    assert asked.tagged(TAG) == replace(NEW, tag=TAG, asked_in="")


def test_a_failure_is_kept_for_staff_and_has_customers_read_again() -> None:
    expected = replace(SYNCED, fault="Mailchimp has no room.", fault_code="full", read_on="")
    assert SYNCED.failed("Mailchimp has no room.", "full") == expected


LATER = datetime(2026, 3, 3, 10, tzinfo=UTC)
TALLY = SegmentCounts(customers=20, tagged=12, reachable=11, left_out={"cleaned": 8})


def test_a_sync_of_the_latest_version_settles_everything() -> None:
    assert FAILED.synced(3, TALLY, LATER, read_on="2026-03-03") == replace(
        FAILED,
        synced_version=3,
        synced_at=LATER,
        customer_count=20,
        as_of=LATER,
        tagged_count=12,
        reachable_count=11,
        left_out={"cleaned": 8},
        fault="",
        fault_code="",
        read_on="2026-03-03",
    )


def test_a_sync_of_an_older_version_tells_what_the_tag_has_and_leaves_the_rest_to_the_next() -> None:
    """Staff edited the rules in between: how many match them now is not known from this sync."""
    edited = replace(FAILED, version=4, read_on="")
    assert edited.synced(3, TALLY, LATER, read_on="2026-03-03") == replace(
        edited, synced_version=3, synced_at=LATER, tagged_count=12, reachable_count=11, left_out={"cleaned": 8}
    )


def test_each_status_that_carries_no_tag_has_its_reason() -> None:
    reasons = {status: reason_of(status) for status in get_args(Status) if status not in TAGGABLE}
    assert reasons == {
        "absent": "not_a_member",
        "unsubscribed": "opted_out",
        "cleaned": "cleaned",
        "archived": "archived",
        "forgotten": "forgotten",
    }


TAGS = [(1, "Rome"), (2, "Oslo"), (3, "Bern"), (4, " OSLO ")]


@pytest.mark.parametrize(
    ("name", "ours", "twin"),
    [
        ("Oslo", [], 2),
        ("oslo", [], 2),
        ("Oslo", [2], 4),
        ("Oslo", [2, 4], None),
        ("Oslo", [1, 3], 2),
        ("Bern", [3], None),
        ("Wien", [], None),
        ("Wien", [1], None),
    ],
)
def test_a_twin_is_a_tag_that_staff_would_take_for_ours_and_is_not(
    name: str, ours: list[int], twin: int | None
) -> None:
    assert twin_of(name, iter(TAGS), iter(ours)) == twin
