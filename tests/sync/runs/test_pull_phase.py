"""The pull: what is read of an audience, how far, and what comes of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.consent.members import OptOut
from chalicelib.domain.runs import RunType
from chalicelib.domain.seen_addresses import SeenAddresses
from chalicelib.errors import RetryLater, StopRun
from chalicelib.mailchimp import members as members_module
from chalicelib.mailchimp.errors import AudienceGone
from chalicelib.sync.runs import pull_phase as pull_module
from chalicelib.sync.runs.progress import ENDED
from chalicelib.sync.runs.pull_phase import PullPhase
from infra.standins.pracbill import PracBillStandIn
from tests.sync.engine import Killed
from tests.sync.observing import Clock, Desk, mailchimp_running
from tests.sync.runs.test_mid_call import die_once

ANN, BOB, CAT = "ann@clinic.test", "bob@clinic.test", "cat@clinic.test"
LISTING = "/lists/{list_id}/members"
LOOK_UP = "/lists/{list_id}/members/{subscriber_hash}"


@pytest.fixture
def desk(aws: str, pracbill: PracBillStandIn) -> Iterator[Desk]:
    clock = Clock()
    with mailchimp_running(clock) as mailchimp:
        yield Desk(aws, mailchimp, pracbill, clock)


def calls(desk: Desk) -> Counter[str]:
    """Mailchimp's calls by path since the journal was reset."""
    return Counter(entry["path"] for entry in desk.mailchimp.control.journal()["entries"])


def queries(desk: Desk) -> list[dict[str, str]]:
    return [e["query"] for e in desk.mailchimp.control.journal()["entries"] if e["path"] == LISTING]


def short_of_time(desk: Desk) -> None:
    """Every step ends at its first chance."""
    desk.remaining = lambda: 30.0


def step(desk: Desk, run: Any) -> Any:
    return desk.pull_phase.step(desk.stored_run(run), desk.department, desk.remaining)


# ------------------------------------------------------------------------------------------------------------ windows


@pytest.mark.fast
def test_an_incremental_pull_hears_what_changed_and_pracbill_knows_before_the_plan(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)

    run = desk.pull()

    assert desk.member(ANN).status == "unsubscribed"
    assert desk.consent_in_pracbill("1") == "unsubscribed"
    assert (run.cursor, run.members_until) == (ENDED, run.started_at)


def test_an_incremental_pull_asks_from_the_watermark_less_an_overlap_up_to_the_runs_start(desk: Desk) -> None:
    watermark = desk.department.members_watermark
    assert watermark is not None
    desk.clock.move(hours=4)
    desk.control.reset_journal()
    run = desk.pull()

    for query in queries(desk):
        # A second less: whether Mailchimp leaves out the very second is not documented.
        assert query["since_last_changed"] == (watermark - timedelta(minutes=5, seconds=1)).isoformat()
        assert query["before_last_changed"] == (run.started_at + timedelta(seconds=2)).isoformat()
    assert [query.get("status") for query in queries(desk)] == [None, "archived"]


def test_what_changed_before_the_watermark_is_not_read_again(desk: Desk) -> None:
    desk.join(ANN)
    desk.clock.move(hours=1)
    desk.change(members_watermark=desk.clock())
    desk.pull()
    assert desk.consent_state(ANN) is None


def test_a_change_in_the_second_in_which_the_run_starts_is_read(desk: Desk) -> None:
    desk.push(ANN)
    run = desk.new_run()
    desk.control.unsubscribe(ANN, audience_id=desk.audience_id)
    assert step(desk, run) is None
    assert desk.member(ANN).status == "unsubscribed"


def test_a_change_while_the_run_is_under_way_belongs_to_the_next_one(desk: Desk) -> None:
    desk.push(ANN)
    run = desk.new_run()
    desk.act("unsubscribe", ANN)
    assert step(desk, run) is None
    assert desk.member(ANN).status == "subscribed"
    desk.change(members_watermark=desk.stored_run(run).members_until)
    desk.pull()
    assert desk.member(ANN).status == "unsubscribed"


@pytest.mark.parametrize("in_listing", [False, True])
def test_archived_members_are_heard_whether_or_not_the_listing_has_them(
    aws: str, pracbill: PracBillStandIn, in_listing: bool
) -> None:
    clock = Clock()
    with mailchimp_running(clock, archived_in_listing=in_listing) as mailchimp:
        desk = Desk(aws, mailchimp, pracbill, clock)
        desk.push(ANN)
        desk.act("admin_archive", ANN)
        desk.pull()
        assert (desk.member(ANN).status, desk.member(ANN).before_archive) == ("archived", "subscribed")


@pytest.fixture
def long_listing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Thirteen members in pages of three, in an account of this department's own; each call takes a moment."""
    addresses = [f"c{number:02}@clinic.test" for number in range(13)]
    for address in addresses:
        desk.join(address)
        desk.clock.move(seconds=5)
    monkeypatch.setattr(members_module, "PAGE_SIZE", 3)
    in_account(desk, desk.department_id, f"account-of-{desk.department_id}")
    desk.control.set_latency(single=0.2)
    desk.control.reset_journal()
    return addresses


def in_account(desk: Desk, department_id: str, account_id: str, **fields: Any) -> None:
    connection = desk.department.connection
    assert connection is not None
    ours = replace(connection, account_id=account_id)
    desk.departments.change(department_id, lambda department: replace(department, connection=ours, **fields))


@pytest.mark.parametrize("run_type", ["incremental", "full"])
def test_a_long_listing_is_read_by_some_calls_at_once(desk: Desk, long_listing: list[str], run_type: RunType) -> None:
    desk.pull(run_type)
    assert {desk.member(address).status for address in long_listing} == {"subscribed"}
    listed = [query for query in queries(desk) if "status" not in query]
    assert sorted(int(query["offset"]) for query in listed) == [0, 2, 4, 6, 8, 10]
    assert desk.mailchimp.control.journal()["peak_connections"] in (2, 3)


def test_while_another_department_of_the_account_syncs_there_is_one_call_at_a_time(
    desk: Desk, long_listing: list[str]
) -> None:
    other = replace(desk.department, id=f"{desk.department_id}-other", active_run_id="run-1")
    desk.departments.add(other)
    desk.pull()
    assert {desk.member(address).status for address in long_listing} == {"subscribed"}
    assert desk.mailchimp.control.journal()["peak_connections"] == 1


def test_whoever_unsubscribes_while_pages_are_read_side_by_side_is_heard_by_this_run_or_the_next(
    desk: Desk, long_listing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    observe, acted = desk.observations.apply, list[bool]()

    def act_and_observe(*given: Any, **options: Any) -> Counter[str]:
        if not acted:
            acted.append(True)
            desk.clock.move(seconds=10)
            for address in (long_listing[0], long_listing[7], long_listing[12]):
                desk.control.unsubscribe(address, audience_id=desk.audience_id)
        return observe(*given, **options)

    monkeypatch.setattr(desk.observations, "apply", act_and_observe)
    desk.pull()
    # Those whom nobody touched were read whatever the others did; who left the window belongs to the next run.
    touched = {long_listing[number] for number in (0, 7, 12)}
    assert {desk.member(address).status for address in long_listing if address not in touched} == {"subscribed"}
    desk.pull()
    assert {desk.member(address).status for address in touched} == {"unsubscribed"}


def test_the_next_page_is_asked_for_while_one_is_heard(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        desk.join(f"c{number}@clinic.test")
        desk.clock.move(seconds=10)
    monkeypatch.setattr(members_module, "PAGE_SIZE", 2)
    observe, was_asked = desk.observations.apply, []

    def hear_and_look(*given: Any, **options: Any) -> Counter[str]:
        deadline = time.monotonic() + 20
        while len(queries(desk)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        was_asked.append(len(queries(desk)) >= 2)
        return observe(*given, **options)

    monkeypatch.setattr(desk.observations, "apply", hear_and_look)
    desk.control.reset_journal()
    desk.pull()
    assert was_asked[0]
    assert [desk.member(f"c{number}@clinic.test").status for number in range(3)] == ["subscribed"] * 3


def test_a_block_of_equal_times_longer_than_a_page_is_read_to_its_end(desk: Desk) -> None:
    addresses = [f"p{number}@clinic.test" for number in range(1_005)]
    desk.join(*addresses, status="transactional")
    desk.pull()
    known = desk.members.member_states(desk.department_id, map(desk.key, addresses))
    assert len(known) == 1_005


def test_our_own_pushes_are_no_news(desk: Desk) -> None:
    for number in range(20):
        desk.push(f"p{number}@clinic.test")
    stored = desk.everything_stored()
    desk.pull()
    assert desk.everything_stored() == stored
    assert (desk.log_entries(), desk.told()) == ([], [])


def test_an_unchanged_audience_costs_two_reads_and_nothing_else(desk: Desk) -> None:
    desk.push(ANN)
    desk.clock.move(hours=4)
    desk.change(members_watermark=desk.clock())
    desk.control.reset_journal()
    desk.pracbill.call_counts.clear()
    desk.pull()
    assert calls(desk) == {LISTING: 2}
    assert desk.pracbill.call_counts == {}


# ----------------------------------------------------------------------------------------------- first contact and full


@pytest.mark.fast
def test_first_contact_learns_every_members_status_and_tells_pracbill_of_the_opt_outs(desk: Desk) -> None:
    desk.select_new_audience()
    desk.customer("1", ANN)
    people = {
        ANN: ("unsubscribed", {"blocked": "person"}),
        BOB: ("cleaned", {"blocked": "bounce"}),
        CAT: ("subscribed", {}),
        "dan@clinic.test": ("transactional", {}),
        "eve@clinic.test": ("pending", {}),
    }
    for address, (status, row) in people.items():
        desk.join(address, status=status, **row)
    desk.act("admin_archive", "dan@clinic.test")

    desk.pull("incremental")

    known = {address: desk.member(address).status for address in people}
    assert known == {address: status for address, (status, _) in people.items()} | {"dan@clinic.test": "archived"}
    assert all(desk.member(address).pre_existing for address in people)
    assert sorted(desk.told()) == [
        (ANN, "unsubscribed", "unsubscribed in Mailchimp"),
        (BOB, "unsubscribed", "bounced"),
    ]
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def test_mailchimps_status_wins_at_first_contact_whatever_pracbill_says(desk: Desk) -> None:
    desk.select_new_audience()
    desk.customer("1", ANN, "subscribed")
    desk.join(ANN, status="transactional")
    desk.pull()
    assert (desk.member(ANN).status, desk.backlog(), desk.told()) == ("transactional", [], [])


def test_before_every_address_is_decided_anyway_no_marks_are_left_for_it(desk: Desk) -> None:
    desk.select_new_audience()
    desk.join(ANN)
    desk.change(replan_all=True)
    desk.pull("full")
    assert not desk.is_marked(ANN)


def test_a_change_heard_by_a_later_pull_is_marked_for_the_plan(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.pull("full")
    assert desk.is_marked(ANN)


def test_a_full_pull_reads_members_whatever_their_age(desk: Desk) -> None:
    desk.join(ANN)
    desk.clock.move(days=400)
    desk.change(members_watermark=desk.clock())
    desk.pull("full")
    assert desk.member(ANN).status == "subscribed"


@pytest.mark.fast
def test_a_full_pull_finds_members_that_were_deleted_for_good(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.push(BOB)
    desk.act("admin_delete", ANN)

    desk.pull("full")

    assert desk.member(ANN).status == "forgotten"
    assert desk.told() == [(ANN, "unsubscribed", "deleted in Mailchimp")]
    assert desk.member(BOB).status == "subscribed"
    (entry,) = desk.log_entries()
    assert entry.counts == {"deleted": 1, "told": 1}


def test_only_those_who_were_not_seen_are_looked_up(desk: Desk) -> None:
    for number in range(50):
        desk.push(f"p{number}@clinic.test")
    desk.act("admin_delete", "p7@clinic.test")
    desk.control.reset_journal()
    desk.pull("full")
    # By the hash, then by the address itself.
    assert calls(desk)[LOOK_UP] == 2


def test_an_address_that_its_person_left_without_our_hearing_is_not_added_again(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("change_address", ANN, BOB)
    desk.pull("full")
    assert (desk.member(ANN).status, desk.member(BOB).status) == ("forgotten", "subscribed")


@pytest.mark.fast
def test_an_address_change_whose_webhook_never_came_is_no_deletion(desk: Desk) -> None:
    """Mailchimp's id of the contact tells: nobody opted out, so PracBill is told nothing."""
    desk.join(ANN)
    desk.pull("full")
    desk.customer("1", ANN)
    desk.act("change_address", ANN, BOB)
    run = desk.pull("full")
    assert (desk.member(ANN).status, desk.member(BOB).status) == ("forgotten", "subscribed")
    assert (desk.member(ANN).opt_out, desk.member(ANN).successor_key) == (None, desk.key(BOB))
    assert (desk.told(), desk.backlog()) == ([], [])
    assert desk.rules_of(ANN) == ["address-changed"]
    log = next(entry for entry in desk.log_entries() if entry.run_id == run.id)
    assert (log.counts, log.message) == (
        {"address_changed": 1},
        "From Mailchimp: 1 changed their address in Mailchimp (customer 1).",
    )


def test_a_no_goes_along_with_an_address_change_that_a_full_pull_finds(desk: Desk) -> None:
    desk.join(ANN)
    desk.pull("full")
    desk.know(ANN, opt_out=OptOut(desk.clock(), "pracbill", sent_to_pracbill=True))
    desk.act("change_address", ANN, BOB)
    desk.pull("full")
    there = desk.at_mailchimp(BOB)
    assert there is not None and there["status"] == "unsubscribed"
    opt_out = desk.member(BOB).opt_out
    assert opt_out is not None and opt_out.route == "pracbill"


@pytest.mark.parametrize("answer", [400, 404, 405])
def test_where_contact_ids_are_not_taken_an_address_change_still_counts_as_a_no(desk: Desk, answer: int) -> None:
    desk.join(ANN)
    desk.pull("full")
    contact_id = desk.member(ANN).contact_id
    desk.customer("1", ANN)
    desk.act("change_address", ANN, BOB)
    desk.control.inject_fault(method="GET", path=f"/lists/*/members/{contact_id}", status=answer)
    desk.pull("full")
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def test_who_was_deleted_for_good_is_not_taken_for_moved(desk: Desk) -> None:
    desk.join(ANN)
    desk.pull("full")
    desk.customer("1", ANN)
    desk.act("admin_delete", ANN)
    desk.join(BOB)
    desk.pull("full")
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def test_an_audience_that_goes_while_missing_ones_are_looked_up_makes_nobody_opted_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.join(ANN)
    desk.pull("full")
    desk.customer("1", ANN)
    monkeypatch.setattr(SeenAddresses, "__contains__", lambda self, key: False)
    desk.control.inject_fault(method="GET", path="/lists/*/members/*", status=404, times=5)
    desk.control.inject_fault(method="GET", path=f"/lists/{desk.audience_id}", status=404, times=5)
    with pytest.raises(StopRun):
        desk.pull("full")
    assert (desk.member(ANN).status, desk.backlog(), desk.consent_in_pracbill("1")) == ("subscribed", [], "subscribed")


def test_a_member_that_changed_too_late_for_the_listing_is_not_taken_for_deleted(desk: Desk) -> None:
    desk.push(ANN)
    run = desk.new_run("full")
    desk.act("edit_profile", ANN, {"FNAME": "Ann"})
    assert step(desk, run) is None
    assert desk.member(ANN).status == "subscribed"


def test_an_incremental_pull_looks_nobody_up(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("admin_delete", ANN)
    desk.control.reset_journal()
    desk.pull()
    assert LOOK_UP not in calls(desk)


def test_members_known_in_another_audience_are_not_missed_in_this_one(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.pull()
    desk.select_new_audience()
    desk.control.reset_journal()
    desk.pull("full")
    assert LOOK_UP not in calls(desk)
    assert desk.member(ANN).opt_out is not None


def test_so_many_missing_that_looking_them_up_would_take_for_ever_wait_for_the_next_full_run(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_module, "MOST_LOOK_UPS", 3)
    addresses = [f"p{number}@clinic.test" for number in range(5)]
    for address in addresses:
        desk.push(address)
        desk.act("admin_delete", address)
    desk.pull("full")
    assert Counter(desk.member(address).status for address in addresses) == {"forgotten": 3, "subscribed": 2}
    desk.pull("full")
    assert {desk.member(address).status for address in addresses} == {"forgotten"}


# --------------------------------------------------------------------------------------------------- steps and failures


def test_a_pull_that_takes_many_steps_hears_the_same(desk: Desk) -> None:
    short_of_time(desk)
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.push(BOB)
    desk.act("unsubscribe", ANN)
    desk.act("admin_delete", BOB)
    desk.push(CAT)
    desk.act("admin_archive", CAT)

    run = desk.pull("full")

    assert run.cursor == ENDED
    statuses = [desk.member(address).status for address in (ANN, BOB, CAT)]
    assert statuses == ["unsubscribed", "forgotten", "archived"]
    assert desk.consent_in_pracbill("1") == "unsubscribed"
    (entry,) = desk.log_entries()
    assert entry.counts == {"opted_out": 1, "deleted": 1, "told": 1}


def test_who_was_seen_is_still_known_in_the_next_step(desk: Desk) -> None:
    for number in range(30):
        desk.push(f"p{number}@clinic.test")
    short_of_time(desk)
    desk.control.reset_journal()
    desk.pull("full")
    assert LOOK_UP not in calls(desk)


def test_where_it_is_lost_who_was_seen_the_listing_begins_anew(desk: Desk) -> None:
    for number in range(30):
        desk.push(f"p{number}@clinic.test")
    run = desk.new_run("full")
    desk.runs.change(
        run.department_id, run.id, lambda stored: replace(stored, cursor={"part": "missing", "shard": "0"})
    )
    desk.control.reset_journal()
    assert step(desk, run) is None
    assert calls(desk) == {LISTING: 2}


def test_a_fault_of_mailchimp_in_the_middle_keeps_the_place(desk: Desk) -> None:
    desk.join(*[f"p{number}@clinic.test" for number in range(1_500)], status="transactional")
    run = desk.new_run()
    desk.control.inject_fault(method="GET", path="/lists/*/members", skip=1, times=1, status=503)
    with pytest.raises(RetryLater):
        step(desk, run)
    assert desk.stored_run(run).cursor["part"] == "live"
    assert "since" in desk.stored_run(run).cursor
    assert step(desk, run) is None
    known = desk.members.member_states(
        desk.department_id, [desk.key(f"p{number}@clinic.test") for number in range(1_500)]
    )
    assert len(known) == 1_500


@pytest.mark.fast
def test_while_pracbill_is_down_the_run_waits_before_the_plan_and_loses_no_opt_out(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    run = desk.new_run()
    desk.pracbill.inject("status", status=503)
    with pytest.raises(RetryLater):
        step(desk, run)
    assert desk.stored_run(run).cursor["part"] == "tell"
    assert desk.stored_run(run).members_until is None
    (waiting,) = desk.log_entries()
    assert (waiting.status, waiting.counts) == ("error", {"opted_out": 1, "waiting": 1})
    assert "1 consent change has been waiting to be sent to PracBill since" in waiting.message

    assert step(desk, run) is None
    assert desk.consent_in_pracbill("1") == "unsubscribed"
    assert desk.department.backlog is None
    (entry,) = desk.log_entries()
    assert entry.counts == {"opted_out": 1, "told": 1}


def test_words_left_over_from_an_earlier_run_are_told_by_the_next(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.observe_now(ANN)
    desk.pull()
    assert desk.consent_in_pracbill("1") == "unsubscribed"


def test_a_pull_that_ended_is_not_begun_anew(desk: Desk) -> None:
    run = desk.pull()
    desk.control.reset_journal()
    assert step(desk, run) is None
    assert calls(desk) == {}


def test_an_audience_that_is_gone_stops_the_run_and_nobody_is_taken_for_deleted(desk: Desk) -> None:
    desk.push(ANN)
    desk.change_audience(id="0123456789")
    with pytest.raises(AudienceGone):
        step(desk, desk.new_run("full"))
    desk.change_audience(id=desk.audience_id)
    assert desk.member(ANN).status == "subscribed"


def test_a_dry_run_hears_but_tells_nobody(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.pull(dry_run=True)
    assert desk.member(ANN).status == "unsubscribed"
    assert (desk.told(), [word.email for word in desk.backlog()]) == ([], [ANN])
    desk.pull()
    assert desk.consent_in_pracbill("1") == "unsubscribed"


# ----------------------------------------------------------------------------------------------------------- log entry


def test_what_was_heard_and_told_is_one_log_entry_of_direction_pull(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.customer("2", BOB)
    for address in (ANN, BOB, CAT):
        desk.push(address)
    desk.act("unsubscribe", ANN)
    desk.act("bounce", BOB)
    desk.act("admin_archive", CAT)

    run = desk.pull()

    (entry,) = desk.log_entries()
    assert (entry.direction, entry.type, entry.status, entry.run_id) == ("pull", "incremental", "success", run.id)
    assert entry.counts == {"opted_out": 1, "bounced": 1, "told": 2}
    assert entry.message.startswith("From Mailchimp: 1 unsubscribed, 1 bounced (customers ")
    assert entry.message.endswith("). 2 updates sent to PracBill.")
    assert sorted(entry.customer_ids) == ["1", "2"]


def test_an_entry_names_the_first_ten_customers(desk: Desk) -> None:
    addresses = [f"person{number}@clinic.test" for number in range(12)]
    for number, address in enumerate(addresses):
        desk.customer(str(number), address)
        desk.push(address)
        desk.act("unsubscribe", address)
    desk.pull()
    (entry,) = desk.log_entries()
    assert entry.counts == {"opted_out": 12, "told": 12}
    assert len(set(entry.customer_ids)) == 10


@pytest.mark.parametrize("run_type", ["incremental", "full"])
def test_a_pull_whose_function_dies_before_its_end_tells_all_the_same_what_it_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, run_type: RunType
) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    run = desk.new_run(run_type)
    die_once(monkeypatch, PullPhase, "_tell")
    with pytest.raises(Killed):
        step(desk, run)
    assert step(desk, run) is None
    (entry,) = desk.log_entries()
    assert entry.counts == {"opted_out": 1, "told": 1}
    assert entry.customer_ids == ("1",)


def test_when_nothing_was_heard_there_is_no_log_entry(desk: Desk) -> None:
    desk.push(ANN)
    desk.act("edit_profile", ANN, {"FNAME": "Ann"})
    desk.pull()
    assert desk.log_entries() == []


def test_an_end_that_is_repeated_writes_the_same_log_entry(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    run = desk.new_run()
    short_of_time(desk)
    while desk.stored_run(run).cursor.get("part") != "tell":
        step(desk, run)
    before_the_end = desk.stored_run(run)
    assert step(desk, run) is None
    assert desk.pull_phase.step(before_the_end, desk.department, desk.remaining) is None
    assert len(desk.log_entries()) == 1
