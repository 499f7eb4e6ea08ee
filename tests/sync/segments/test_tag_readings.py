"""What a sync of segments reads, and what it does where Mailchimp tags subscribed members only.

Whether the batch call of segments takes members who are not subscribed is not known: mailchimp-api facts call it
uncertain. Everything has to come right either way, and nothing may be sent again by every run.
"""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.segments.rules import Rule
from infra.standins.mailchimp import Readings
from tests.sync.engine import Engine, Practice
from tests.sync.segment_office import VICTORIA, SegmentOffice

pytest_plugins = ("tests.sync.engine_fixtures",)


@pytest.fixture
def readings() -> Readings:
    return Readings(stats_cached_seconds=0, segment_statuses=("subscribed",))


@pytest.fixture
def office(engine: Engine, practice: Practice) -> SegmentOffice:
    return SegmentOffice(engine, practice)


def left_out(office: SegmentOffice, view: Any) -> dict[str, int]:
    return {reason.code: reason.count for reason in office.view(view).difference}


@pytest.mark.fast
def test_who_is_passed_over_is_told_and_not_sent_again(office: SegmentOffice) -> None:
    office.customer("ann")
    office.customer("silent", consent=None)
    office.sync("full")
    created = office.create()
    office.run()
    assert office.tagged() == ["ann"] == office.marked(created)
    assert left_out(office, created) == {"not_taken": 1}
    for run_type in ("incremental", "full", "incremental"):
        assert office.sync(run_type).status == "skipped"
        assert office.practice.writes() == []
    assert left_out(office, created) == {"not_taken": 1}


def test_where_nobody_of_a_segment_is_taken_nothing_is_sent_twice_either(office: SegmentOffice) -> None:
    """The whole call is refused then."""
    office.customer("silent", consent=None)
    office.sync("full")
    created = office.create()
    office.run()
    assert office.view(created).sync_state == "synced"
    office.sync()
    assert office.practice.writes() == []


def test_who_was_passed_over_is_tagged_once_subscribed(office: SegmentOffice) -> None:
    office.customer("silent", consent=None)
    office.sync("full")
    created = office.create()
    office.run()
    office.practice.act("resubscribe", "silent@clinic.test")
    office.sync()
    assert office.practice.audience()["silent@clinic.test"] == "subscribed"
    assert office.tagged() == ["silent"] == office.marked(created)
    assert left_out(office, created) == {}


def test_who_was_passed_over_is_tried_again_after_an_edit(office: SegmentOffice) -> None:
    office.customer("silent", consent=None)
    office.sync("full")
    office.create()
    office.run()
    office.practice.edit("silent", first_name="Other")
    office.sync()
    assert office.segment_calls() == 1
    office.sync()
    assert office.segment_calls() == 0


def test_sharers_of_an_address_are_passed_over_together(office: SegmentOffice) -> None:
    for number in ("1", "2"):
        office.customer(number, email="family@clinic.test", consent=None)
    office.sync("full")
    created = office.create()
    office.run()
    assert left_out(office, created) == {"not_taken": 2}
    office.sync()
    assert office.practice.writes() == []


def test_who_can_carry_no_tag_is_known_without_reading_the_address(
    office: SegmentOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.customer("ann")
    for number in range(5):
        office.customer(str(number), consent="unsubscribed")
    office.sync("full")
    created = office.create()
    asked: list[str] = []
    member_states = office.engine.members.member_states

    def noted(department_id: str, keys: Any) -> Any:
        asked.extend(keys)
        return member_states(department_id, keys)

    monkeypatch.setattr(office.engine.members, "member_states", noted)
    office.run()
    assert asked == [office.practice.key("ann@clinic.test")]
    assert left_out(office, created) == {"not_a_member": 5}


def test_a_segment_in_trouble_holds_up_no_other(office: SegmentOffice) -> None:
    for number in range(4):
        office.customer(str(number), state="VIC" if number < 2 else "TAS")
    office.sync("full")
    first = office.create("Victoria", VICTORIA)
    second = office.create("Tasmania", Rule("state", "equals", "TAS"))
    office.run()
    for name in ("0", "2"):
        office.move(name, "TAS" if name == "0" else "VIC")
    path = f"/segments/{office.tags_there()['Victoria']}"
    office.practice.fail(path=path, method="POST", status=400, title="Bad Request", detail="Something new.")
    office.sync()
    assert office.view(first).sync_state == "error"
    assert office.view(second).sync_state == "synced"
    assert office.tagged("Tasmania") == ["0", "3"]
    office.practice.control.clear_faults()
    office.sync()
    assert office.view(first).sync_state == "synced"
    assert office.tagged("Victoria") == ["1", "2"]


def test_a_tag_that_vanishes_while_members_are_sent_is_made_again_by_the_same_run(office: SegmentOffice) -> None:
    office.customer("ann")
    office.customer("ben", state="TAS")
    office.sync("full")
    created = office.create()
    office.run()
    office.move("ben", "VIC")
    first = office.tags_there()["Victoria"]
    office.practice.fail(times=1, path=f"/segments/{first}", method="POST", status=404)
    run = office.sync()
    assert run.status == "success"
    assert office.view(created).mailchimp_segment_id != first
    assert office.marked(created) == ["ann", "ben"]


def test_a_tag_given_by_hand_is_taken_back_however_short_the_steps_are(office: SegmentOffice) -> None:
    office.customer("ann")
    for name in ("ben", "cem"):
        office.customer(name, state="TAS")
    office.sync("full")
    created = office.create()
    second = office.create("Everybody", Rule("email", "is_not_empty", None))
    office.run()
    office.practice.act("admin_tag", "ben@clinic.test", "Victoria")
    office.be_short_of_time()
    office.sync("full")
    assert office.tagged() == ["ann"] == office.marked(created)
    assert office.marked(second) == ["ann", "ben", "cem"]
    office.be_short_of_time(short=False)
    office.sync()
    assert office.practice.writes() == []


def test_an_address_that_one_of_two_sharers_left_keeps_the_tag_for_the_other(
    office: SegmentOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though what was read about the address is not remembered any more."""
    monkeypatch.setattr("chalicelib.sync.segments.membership_diff.MOST_STATES_KEPT", 0)
    for number in ("1", "2"):
        office.customer(number, email="family@clinic.test")
    office.sync("full")
    created = office.create()
    office.run()
    office.practice.remove("1")
    office.sync()
    assert office.tagged() == ["family"]
    assert office.marked(created) == ["2"]


@pytest.mark.parametrize(
    "readings",
    [
        Readings(stats_cached_seconds=0, segment_listing_shows_pending=shown, segment_statuses=statuses)
        for shown in (True, False)
        for statuses in (("subscribed",), ("subscribed", "pending"))
    ],
)
def test_a_full_sync_sends_nobody_again_who_waits_for_a_confirmation(office: SegmentOffice) -> None:
    office.practice.join("ann@clinic.test", status="pending")
    office.customer("ann")
    office.customer("bob")
    office.sync("full")
    office.create()
    office.run()
    for _ in range(2):
        assert office.sync("full").status == "skipped"
        assert office.practice.writes() == []
