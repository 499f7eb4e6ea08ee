"""A member for whom every tag call fails: that is no answer about the member, so the next sync tries again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sync.engine import Engine, Practice
from tests.sync.segment_office import SegmentOffice

pytest_plugins = ("tests.sync.engine_fixtures",)

FAILURES: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "no answer": {"kind": "drop"},
    "an answer that breaks off": {"kind": "truncate"},
}
always = pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())


@pytest.fixture
def office(engine: Engine, practice: Practice) -> SegmentOffice:
    return SegmentOffice(engine, practice)


def left_out(office: SegmentOffice, view: Any) -> dict[str, int]:
    return {reason.code: reason.count for reason in office.view(view).difference}


@always
@pytest.mark.parametrize("consent", ["subscribed", None], ids=["subscribed", "transactional"])
@pytest.mark.parametrize("others", [(), ("ann", "ben")], ids=["alone", "among others"])
def test_the_tag_comes_with_the_first_sync_after_the_fault(
    office: SegmentOffice, failure: dict[str, Any], consent: str | None, others: tuple[str, ...]
) -> None:
    for name in others:
        office.customer(name)
    office.customer("dan", consent=consent)
    office.sync("full")
    created = office.create()
    office.practice.fail(path="/segments/*", about="dan@clinic.test", **failure)
    office.run()
    assert office.marked(created) == sorted(others)
    assert left_out(office, created) == {"not_yet": 1}
    office.practice.control.clear_faults()
    office.sync()
    assert office.tagged() == sorted([*others, "dan"]) == office.marked(created)
    assert left_out(office, created) == {}
    office.sync()
    assert office.segment_calls() == 0


def test_who_shares_the_address_waits_together(office: SegmentOffice) -> None:
    for number in ("1", "2"):
        office.customer(number, email="family@clinic.test")
    office.customer("ann")
    office.sync("full")
    created = office.create()
    office.practice.fail(path="/segments/*", about="family@clinic.test", status=500)
    office.run()
    assert office.marked(created) == ["ann"]
    assert left_out(office, created) == {"not_yet": 2}
    office.practice.control.clear_faults()
    office.sync()
    assert office.marked(created) == ["1", "2", "ann"]


def test_a_tag_that_nobody_is_marked_with_is_taken_away_after_the_fault(office: SegmentOffice) -> None:
    """The customer has left the address, so no mark tells that its member still carries the tag."""
    office.practice.change_policy(on_removed="keep")
    for name in ("ann", "ben", "cem"):
        office.customer(name)
    office.sync("full")
    office.create()
    office.run()
    office.practice.remove("cem")
    office.practice.fail(path="/segments/*", about="cem@clinic.test", status=500)
    office.sync()
    assert office.tagged() == ["ann", "ben", "cem"]
    office.practice.control.clear_faults()
    office.sync()
    assert office.tagged() == ["ann", "ben"]
