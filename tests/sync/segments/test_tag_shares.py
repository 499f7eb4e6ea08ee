"""Many tags go out over all lanes of the account, each of which takes a share of the customers."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.domain.runs import Run, TagShare
from chalicelib.domain.segments.rules import Rule
from chalicelib.errors import RetryLater
from chalicelib.handlers.queue_worker import MAX_DELIVERIES
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.store.customer_keys import BUCKET_COUNT
from chalicelib.store.queue import LANES
from chalicelib.sync.segments import membership_diff, segment_work, segments_phase
from chalicelib.sync.segments.tag_shares import TagShares, is_worth_sharing, shares_behind
from tests.sync.engine import Engine, Killed, Practice, as_event
from tests.sync.runs.test_crashes import executioner_at, run_to_its_end
from tests.sync.segment_office import SegmentOffice

pytest_plugins = ("tests.sync.engine_fixtures",)

NAMES = sorted(f"c{number}" for number in range(1, 49))
# So many writes and calls a run makes; before every sixth of them the function is killed once.
POINTS = 116


@pytest.fixture
def office(engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch) -> SegmentOffice:
    """Forty-eight members in Victoria; a call tags two of them, and after the first one the rest is shared out."""
    monkeypatch.setattr(segment_work, "MOST_MEMBERS_A_CALL", 2)
    monkeypatch.setattr(membership_diff, "_CUSTOMERS_AT_ONCE", 2)
    monkeypatch.setattr(segments_phase, "_CALLS_ALONE", 1)
    office = SegmentOffice(engine, practice)
    for name in NAMES:
        office.customer(name)
    office.sync("full")
    return office


def until_shared(office: SegmentOffice) -> Run:
    """Deliver messages until the run has shares out."""
    office.control.reset_journal()
    office.engine.deliver_until(lambda: bool(office.practice.latest().tag_shares))
    return office.practice.latest()


def lanes_used(engine: Engine) -> Counter[str]:
    return Counter(group for group, body in engine.handled if body["kind"] == "chunk")


def members_sent(office: SegmentOffice) -> int:
    """Members in calls that changed tags since the journal was reset."""
    calls = office.control.journal(writes_only=True)["entries"]
    return sum(call["members"] for call in calls if "/segments/" in call["path"])


def test_the_rest_is_shared_out_to_all_lanes_and_nobody_is_sent_twice(office: SegmentOffice) -> None:
    created = office.create()
    office.engine.handled.clear()
    run = until_shared(office)
    assert office.segment_calls() <= 2
    assert [share.lane for share in run.tag_shares] == list(range(LANES))
    run = office.run()
    assert len(lanes_used(office.engine)) == LANES
    assert (run.status, run.counts["segment_added"], run.tag_shares) == ("success", len(NAMES), ())
    assert office.tagged() == NAMES == office.marked(created)
    assert members_sent(office) == len(NAMES)
    assert run.phases["segments"].done == len(NAMES)
    view = office.view(created)
    assert (view.sync_state, view.tagged_count, view.difference) == ("synced", len(NAMES), ())
    office.sync()
    assert office.segment_calls() == 0


def test_lanes_call_at_once_and_never_more_than_there_are(office: SegmentOffice) -> None:
    created = office.create()
    until_shared(office)
    office.control.reset_journal()
    office.control.set_latency(single=0.2, bulk_base=0.2)

    def lane() -> None:
        while office.practice.latest().is_open:
            if message := office.engine.receive():
                office.engine.deliver(message)
            else:
                time.sleep(0.01)  # the other lanes have it

    with ThreadPoolExecutor(LANES + 2) as lanes:
        for done in [lanes.submit(lane) for _ in range(LANES + 2)]:
            done.result()
    peaks = office.control.journal()["peak_by_user"]
    assert 1 < max(peaks.values()) <= LANES
    assert office.tagged() == NAMES == office.marked(created)
    assert members_sent(office) + 2 <= len(NAMES)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_lane_that_dies_begins_its_share_again(
    office: SegmentOffice, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Each of the lanes dies once over its second call, before it is made or before its answer is kept."""
    created = office.create()
    until_shared(office)
    change = MailchimpClient.change_segment_members
    calls: Counter[str] = Counter()

    def deadly(self: MailchimpClient, *arguments: Any, **options: Any) -> Any:
        lane = office.engine.handled[-1][0]
        calls[lane] += 1
        if calls[lane] == 2 and moment == "before":
            raise Killed
        answer = change(self, *arguments, **options)
        if calls[lane] == 2:
            raise Killed
        return answer

    monkeypatch.setattr(MailchimpClient, "change_segment_members", deadly)
    run = office.run()
    assert sum(count >= 2 for count in calls.values()) >= LANES - 1
    assert (run.status, run.in_flight, run.tag_shares) == ("success", (), ())
    assert office.tagged() == NAMES == office.marked(created)
    assert office.practice.department.active_run_id == ""


@pytest.mark.parametrize("kill_before", range(1, POINTS, 6))
def test_a_function_may_die_before_any_write_or_call(office: SegmentOffice, kill_before: int) -> None:
    created = office.create()
    with executioner_at(office.engine, kill_before) as executioner:
        run = run_to_its_end(office.practice, office.practice.latest().id)
    assert executioner.killed_before
    assert (run.status, run.in_flight, run.tag_shares) == ("success", (), ())
    assert office.tagged() == NAMES == office.marked(created)
    assert office.view(created).sync_state == "synced"


def test_messages_that_come_twice_late_or_after_the_end_change_nothing(office: SegmentOffice) -> None:
    created = office.create()
    run = until_shared(office)
    office.engine.deliveries = 2
    message = office.engine.receive()
    assert message is not None
    office.engine.deliver(message)
    late = as_event(message)
    office.run()
    ended = office.practice.run(run.id)
    assert (ended.status, ended.counts["segment_added"]) == ("success", len(NAMES))
    office.control.reset_journal()
    assert office.engine.worker.handle(late, lambda: 290.0) == {"batchItemFailures": []}
    assert office.practice.run(run.id) == ended
    assert office.segment_calls() == 0
    assert office.tagged() == NAMES == office.marked(created)


def test_shares_without_time_go_on_in_new_messages(office: SegmentOffice) -> None:
    created = office.create()
    until_shared(office)
    office.engine.looks_at_time = 1
    run = office.run()
    assert run.tag_shares_made > LANES
    assert (run.status, run.counts["segment_added"]) == ("success", len(NAMES))
    assert office.tagged() == NAMES == office.marked(created)


def test_a_member_for_whom_calls_fail_costs_the_others_of_the_share_nothing(office: SegmentOffice) -> None:
    created = office.create()
    until_shared(office)
    missing = next(name for name in reversed(NAMES) if name not in office.tagged())
    office.practice.fail(path="/segments/*", about=f"{missing}@clinic.test", status=500)
    run = office.run()
    assert (run.status, run.counts["segment_added"]) == ("success", len(NAMES) - 1)
    assert office.tagged() == [name for name in NAMES if name != missing] == office.marked(created)
    assert {reason.code: reason.count for reason in office.view(created).difference} == {"not_yet": 1}
    office.practice.control.clear_faults()
    office.sync()
    assert members_sent(office) == 1
    assert office.tagged() == NAMES == office.marked(created)


def test_a_segment_that_mailchimp_refuses_ends_in_every_share_and_says_so(office: SegmentOffice) -> None:
    created = office.create()
    run = until_shared(office)
    office.practice.fail(path="/segments/*", method="POST", status=400)
    run = office.run()
    assert run.status == "success"
    assert office.view(created).sync_state == "error"
    assert sum("could not be synced" in message for message in office.messages()) == 1
    assert len(office.tagged()) < len(NAMES)
    office.practice.control.clear_faults()
    office.sync()
    assert office.view(created).sync_state == "synced"
    assert office.tagged() == NAMES == office.marked(created)


def test_a_share_that_is_given_up_is_left_to_the_next_step(
    office: SegmentOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = office.create()
    given_up = until_shared(office).tag_shares[3].number
    carry_out = TagShares._carry_out

    def fail_one(self: TagShares, run: Run, department: Any, share: TagShare, remaining: Any) -> Any:
        if share.number == given_up:
            raise RetryLater("Mailchimp did not answer in time.")
        return carry_out(self, run, department, share, remaining)

    monkeypatch.setattr(TagShares, "_carry_out", fail_one)
    run = office.run()
    tries = [body for _, body in office.engine.handled if (body["kind"], body["number"]) == ("chunk", given_up)]
    assert len(tries) == MAX_DELIVERIES
    assert (run.status, run.counts["segment_added"], run.failure) == ("success", len(NAMES), "")
    assert office.tagged() == NAMES == office.marked(created)


def test_a_run_that_is_cancelled_while_shares_are_out_sends_no_more(office: SegmentOffice) -> None:
    created = office.create()
    run = until_shared(office)
    office.engine.staff.cancel(office.id, run.id, by="user-2")
    calls = office.segment_calls()
    assert office.run().status == "cancelled"
    assert office.segment_calls() == calls
    assert office.practice.department.active_run_id == ""
    office.sync()
    assert office.tagged() == NAMES == office.marked(created)


def test_shares_whose_messages_are_lost_are_sent_again_by_the_sweeper(office: SegmentOffice) -> None:
    created = office.create()
    until_shared(office)
    for _ in range(LANES):
        office.engine.lose()
    assert office.engine.work() == 0
    office.engine.sweep(minutes=7)
    assert office.run().status == "success"
    assert office.tagged() == NAMES == office.marked(created)


def test_who_lost_or_has_the_tag_by_hand_is_healed_over_all_lanes(office: SegmentOffice) -> None:
    created = office.create()
    office.run()
    for name in NAMES[:20]:
        office.practice.act("admin_tag", f"{name}@clinic.test", "Victoria", active=False)
    for name in NAMES[20:30]:
        office.move(name, "TAS")
    office.engine.clock.move(minutes=10)
    office.practice.start("full")
    until_shared(office)
    office.run()
    assert office.tagged() == sorted(NAMES[:20] + NAMES[30:]) == office.marked(created)


def test_customers_who_share_an_address_agree_whatever_lanes_they_are_in(office: SegmentOffice) -> None:
    """Of each pair one enters and one leaves: the member keeps the tag, and gets it, whoever comes first."""
    pairs = [f"p{number}" for number in range(1, 17)]
    for pair in pairs:
        office.customer(f"{pair}a", email=f"{pair}@clinic.test", state="VIC")
        office.customer(f"{pair}b", email=f"{pair}@clinic.test", state="TAS")
    office.sync("full")
    created = office.create()
    office.run()
    for pair in pairs:
        office.move(f"{pair}a", "TAS")
        office.move(f"{pair}b", "VIC")
    office.engine.clock.move(days=1)  # all are read
    office.practice.start("incremental")
    until_shared(office)
    office.run()
    assert office.tagged() == sorted(NAMES + pairs)
    assert office.marked(created) == sorted(NAMES + [f"{pair}b" for pair in pairs])


@pytest.mark.parametrize("bucket", range(BUCKET_COUNT))
def test_shares_cover_every_bucket_behind_a_place_once(bucket: int) -> None:
    at = f"{bucket:x}1234"
    shares = shares_behind(at, number=7)
    assert [share.number for share in shares] == list(range(7, 7 + len(shares)))
    assert shares[0].at == at
    covered = [number for share in shares for number in range(int(share.at[0], 16), share.until + 1)]
    assert covered == list(range(bucket, BUCKET_COUNT))
    assert is_worth_sharing(at) == (len(shares) > 1)


def test_many_segments_of_many_rules_end_right_however_short_the_steps(office: SegmentOffice) -> None:
    """Every message has next to no time, so the run keeps its place again and again, and never goes back."""
    parts = [NAMES[turn::4] for turn in range(4)]
    for number, part in enumerate(parts):
        for name in part:
            office.practice.edit(name, address={"state": "VIC", "city": f"City {number}"})
    office.sync()
    for_nothing = [Rule("company_name", "does_not_equal", f"nobody {turn}") for turn in range(19)]
    created = [
        office.create(f"City {number}", *for_nothing, Rule("city", "equals", f"City {number}"))
        for number in range(len(parts))
    ]
    office.engine.looks_at_time = 2
    places: list[str] = []
    while office.practice.latest().is_open and (message := office.engine.receive()):
        office.engine.deliver(message)
        run = office.practice.latest()
        # What waits for a call holds the place back, so no share and no step is ever behind where it was.
        places.append(min([share.at for share in run.tag_shares], default=run.cursor.get("at", "")))
    assert len(set(places)) > 3
    assert [place for place in places if place] == sorted(place for place in places if place)
    office.engine.looks_at_time = None
    assert office.run().status == "success"
    for number, (part, view) in enumerate(zip(parts, created, strict=True)):
        assert office.tagged(f"City {number}") == sorted(part) == office.marked(view)
        assert office.view(view).sync_state == "synced"
    office.engine.clock.move(days=1)
    office.engine.looks_at_time = 2
    office.sync()
    assert office.segment_calls() == 0
