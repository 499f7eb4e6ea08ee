"""Between two readings of all customers only those who changed are looked at, and everything stays exact."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain.segments.membership_counts import MembershipCounts
from chalicelib.domain.segments.rules import Rule
from chalicelib.domain.segments.segment import SegmentCounts
from chalicelib.store.customer_reading import CustomerReader
from infra.standins.mailchimp import Readings
from tests.sync.engine import Engine, Practice
from tests.sync.segment_office import NEW_IN_30_DAYS, VICTORIA, SegmentOffice

pytest_plugins = ("tests.sync.engine_fixtures",)

TASMANIA = Rule("state", "equals", "TAS")
EVERYBODY = Rule("inactive", "equals", "0")


@pytest.fixture
def office(engine: Engine, practice: Practice) -> SegmentOffice:
    return SegmentOffice(engine, practice)


@pytest.fixture
def readings_of_all(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often all customers were read."""
    counted: Counter[str] = Counter()
    walk = CustomerReader.walk

    def noted(reader: CustomerReader, **place: Any) -> Any:
        counted["walks"] += 1
        return walk(reader, **place)

    monkeypatch.setattr(CustomerReader, "walk", noted)
    return counted


def counted_anew(office: SegmentOffice, view: Any) -> SegmentCounts:
    """What all customers have, whatever the segment says of itself."""
    department = office.practice.department
    statuses = office.address_statuses.load(department.id, department.audience_id)
    counts = MembershipCounts([view.id])
    for row in office.reader_for(department).walk():
        key = row.address_key
        is_reached = key is not None and statuses.is_reached(key)
        counts.add(key, row.in_segments, row.left_out, is_reached=is_reached)
    return counts.of(view.id)


def test_a_run_in_which_nothing_changed_reads_no_customer(office: SegmentOffice, readings_of_all: Counter[str]) -> None:
    for name in ("ann", "ben"):
        office.customer(name)
    office.sync("full")
    created = office.create()
    office.create("Tasmania", TASMANIA)
    office.run()
    readings_of_all.clear()
    assert office.sync().status == "skipped"
    assert readings_of_all["walks"] == 0
    assert office.view(created).sync_state == "synced"


def test_a_run_looks_at_those_who_changed(office: SegmentOffice, readings_of_all: Counter[str]) -> None:
    for name in ("ann", "ben", "cem"):
        office.customer(name, state="TAS" if name == "cem" else "VIC")
    office.sync("full")
    first, second = office.create(), office.create("Tasmania", TASMANIA)
    office.run()
    readings_of_all.clear()
    office.move("ann", "TAS")
    office.sync()
    assert readings_of_all["walks"] == 0
    assert (office.tagged("Victoria"), office.tagged("Tasmania")) == (["ben"], ["ann", "cem"])
    assert (office.view(first).customer_count, office.view(second).customer_count) == (1, 2)
    assert (office.view(first).reachable_count, office.view(second).tagged_count) == (1, 2)


def test_the_first_run_of_a_day_of_the_department_holds_everybody_against_the_rules(
    office: SegmentOffice, readings_of_all: Counter[str]
) -> None:
    office.customer("new", created_at="2026-02-20T10:00:00Z")
    office.sync("full")
    office.create("New", NEW_IN_30_DAYS)
    office.run()
    office.engine.clock.move(days=30)
    readings_of_all.clear()
    office.sync()
    assert office.tagged("New") == []
    assert readings_of_all["walks"] == 2  # the rules, then the counts
    readings_of_all.clear()
    office.sync()
    assert readings_of_all["walks"] == 0


def test_everybody_is_read_after_an_edit_and_once_for_all_segments(
    office: SegmentOffice, readings_of_all: Counter[str]
) -> None:
    office.customer("ann")
    office.sync("full")
    created = office.create()
    for number in range(5):
        office.create(f"Segment {number}", TASMANIA)
    office.run()
    readings_of_all.clear()
    office.edit(created, TASMANIA)
    office.run()
    assert readings_of_all["walks"] == 2
    assert office.tagged() == []


def test_a_full_sync_heals_all_segments_in_one_reading(office: SegmentOffice, readings_of_all: Counter[str]) -> None:
    office.customer("ann")
    office.customer("cem", state="TAS")
    office.sync("full")
    for number in range(4):
        office.create(f"Segment {number}", VICTORIA)
    office.run()
    for number in range(4):
        office.practice.act("admin_tag", "cem@clinic.test", f"Segment {number}")
        office.practice.act("admin_tag", "ann@clinic.test", f"Segment {number}", active=False)
    readings_of_all.clear()
    office.sync("full")
    assert all(office.tagged(f"Segment {number}") == ["ann"] for number in range(4))
    assert readings_of_all["walks"] <= 3  # the third one counts what cannot be read


def test_counts_stay_exact_whatever_happens_to_customers(office: SegmentOffice) -> None:
    for number in range(6):
        office.customer(str(number), state="VIC" if number % 2 else "TAS")
    office.customer("6", email="0@clinic.test")
    office.customer("7", email="")
    office.customer("8", consent="unsubscribed")
    office.customer("9", consent=None)
    office.sync("full")
    views = [office.create(), office.create("Tasmania", TASMANIA), office.create("Everybody", EVERYBODY)]
    office.run()
    practice, pracbill = office.practice, office.engine.pracbill
    steps: list[tuple[str, Callable[[], Any]]] = [
        ("moves state", lambda: office.move("1", "TAS")),
        ("gets another's address", lambda: practice.edit("3", email="0@clinic.test")),
        ("leaves it again", lambda: practice.edit("3", email="3@clinic.test")),
        ("loses the address", lambda: practice.edit("5", email="")),
        ("gets one", lambda: practice.edit("7", email="7@clinic.test")),
        ("unsubscribes", lambda: practice.act("unsubscribe", "2@clinic.test")),
        ("comes back", lambda: practice.act("resubscribe", "2@clinic.test")),
        ("is removed", lambda: practice.remove("4", "6")),
        ("without an address is removed", lambda: practice.remove("5")),
        ("is new", lambda: office.customer("10")),
        (
            "says no in PracBill",
            lambda: pracbill.set_consent("1", "unsubscribed", department_id=office.id),
        ),
        ("is nobody any more", lambda: practice.edit("0", inactive="1")),
    ]
    for what, happen in steps:
        happen()
        office.sync()
        for view in views:
            stored = office.stored(view)
            assert stored.counts == counted_anew(office, view), (what, view.name)
            left_out = sum(stored.left_out.values())
            assert stored.customer_count == (stored.tagged_count or 0) + left_out, (what, view.name)


@pytest.mark.parametrize("seed", range(3))
def test_counts_and_tags_stay_exact_in_random_histories(office: SegmentOffice, seed: int) -> None:
    chance = random.Random(seed)
    names = [str(number) for number in range(8)]
    addresses = ["", *(f"{name}@clinic.test" for name in names[:5])]
    for name in names:
        office.customer(name, state=chance.choice(["VIC", "TAS"]), email=chance.choice(addresses))
    office.sync("full")
    views = {state: office.create(f"In {state}", Rule("state", "equals", state)) for state in ("VIC", "TAS")}
    office.run()
    alive = set(names)
    for _ in range(4):
        for name in chance.sample(sorted(alive), k=3):
            match chance.randrange(3):
                case 0:
                    office.move(name, chance.choice(["VIC", "TAS", "NSW"]))
                case 1:
                    office.practice.edit(name, email=chance.choice(addresses))
                case 2 if len(alive) > 4:
                    office.practice.remove(name)
                    alive.discard(name)
        office.sync()
        for view in views.values():
            assert office.stored(view).counts == counted_anew(office, view)
    before = {state: office.stored(view).counts for state, view in views.items()}
    marked = {state: office.marked(view) for state, view in views.items()}
    office.sync("full")
    # Who comes back to an audience brings the tags of before along; only a full sync sees that.
    assert "segment_added" not in office.practice.latest().counts
    assert before == {state: office.stored(view).counts for state, view in views.items()}
    assert marked == {state: office.marked(view) for state, view in views.items()}


def test_who_was_erased_is_counted_no_more(office: SegmentOffice) -> None:
    for name in ("ann", "ben", "cem"):
        office.customer(name)
    office.customer("dan", email="")
    office.sync("full")
    created = office.create()
    office.run()
    office.engine.eraser.erase(office.id, "ann", by="user-1")
    office.sync()
    counts = office.stored(created).counts
    assert counts == counted_anew(office, created) == SegmentCounts(3, 2, 2, {"no_address": 1})


def test_a_step_that_dies_is_followed_by_a_reading_of_everybody(
    office: SegmentOffice, monkeypatch: pytest.MonkeyPatch, readings_of_all: Counter[str]
) -> None:
    for name in ("ann", "ben"):
        office.customer(name)
    office.sync("full")
    created = office.create()
    office.run()
    office.move("ann", "TAS")
    deaths = iter([True])
    change = office.store.change

    def die_once(*arguments: Any) -> Any:
        if next(deaths, False):
            raise RuntimeError("the function died")
        return change(*arguments)

    monkeypatch.setattr(office.store, "change", die_once)
    readings_of_all.clear()
    office.practice.start("incremental")
    office.run()
    assert readings_of_all["walks"] == 2
    assert office.tagged() == ["ben"]
    assert office.stored(created).counts == counted_anew(office, created) == SegmentCounts(1, 1, 1, {})


def test_what_a_segment_in_fault_missed_is_done_once_the_fault_is_over(office: SegmentOffice) -> None:
    """A customer who was removed while the segment could not be brought to Mailchimp keeps no tag."""
    office.practice.change_policy(on_removed="keep")
    for name in ("ann", "ben", "cem"):
        office.customer(name)
    office.sync("full")
    created = office.create()
    office.run()
    office.practice.remove("ann")
    office.move("ben", "TAS")
    path = f"/segments/{office.tags_there()['Victoria']}"
    office.practice.fail(path=path, method="POST", status=400, title="Bad Request", detail="Something new.")
    office.sync()
    assert office.view(created).sync_state == "error"
    assert office.tagged() == ["ann", "ben", "cem"]
    office.practice.control.clear_faults()
    office.sync()
    assert office.tagged() == ["cem"]
    assert office.view(created).sync_state == "synced"
    assert office.checks.all(office.id) == []


@pytest.mark.parametrize("readings", [Readings(stats_cached_seconds=0, segment_statuses=("subscribed",))])
def test_who_is_passed_over_is_counted_as_such_by_every_run(office: SegmentOffice) -> None:
    office.customer("ann")
    office.customer("silent", consent=None)
    office.sync("full")
    created = office.create()
    office.run()
    office.practice.edit("ann", first_name="Other")
    office.sync()
    assert office.stored(created).left_out == {"not_taken": 1}
    office.practice.edit("silent", first_name="Other")
    office.sync()
    assert office.stored(created).left_out == {"not_taken": 1}
    assert office.stored(created).counts == counted_anew(office, created)


@pytest.mark.parametrize("decision", ["approved", "cancelled"])
def test_a_list_without_customers_does_not_empty_segments_unseen(office: SegmentOffice, decision: str) -> None:
    """Where removed customers stay members nobody is archived, yet everybody would lose the tags."""
    office.practice.change_policy(on_removed="keep")
    for name in ("ann", "ben", "cem"):
        office.customer(name)
    office.sync("full")
    created = office.create()
    office.run()
    office.engine.approves = False
    office.practice.remove("ann", "ben")
    braked = office.sync("full")
    assert braked.status == "awaiting_approval"
    assert (braked.brake_code, braked.brake_params) == ("segments", {"planned": 2, "members": 3})
    if decision == "approved":
        office.engine.staff.approve(office.id, braked.id, by="user-2")
        office.run()
        assert office.tagged() == ["cem"]
        return
    office.engine.staff.cancel(office.id, braked.id, by="user-2")
    # A run for segments has no brake, so it leaves alone who is gone.
    office.edit(created, VICTORIA, name="Garden state")
    office.run()
    assert office.tagged("Garden state") == ["ann", "ben", "cem"]
    assert office.sync().status == "awaiting_approval"
    office.engine.staff.cancel(office.id, office.practice.latest().id, by="user-2")
    for name in ("ann", "ben"):
        office.customer(name)
    office.sync("full")
    assert office.tagged("Garden state") == ["ann", "ben", "cem"] == office.marked(created)
    assert office.stored(created).counts == counted_anew(office, created) == SegmentCounts(3, 3, 3, {})
