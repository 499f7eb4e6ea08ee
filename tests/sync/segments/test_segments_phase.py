"""Tags in Mailchimp follow the segments, in every run, with nothing sent but the differences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.domain.runs import RunType
from chalicelib.domain.segments.rules import Rule
from chalicelib.http_client.calls import CallMade
from tests.sync.engine import Engine, Killed, Practice
from tests.sync.segment_office import NEW_IN_30_DAYS, VICTORIA, SegmentOffice

pytest_plugins = ("tests.sync.engine_fixtures",)


@pytest.fixture
def office(engine: Engine, practice: Practice) -> SegmentOffice:
    return SegmentOffice(engine, practice)


@pytest.fixture
def synced(office: SegmentOffice) -> SegmentOffice:
    """Ann and Ben live in Victoria, Cem in Tasmania; all are members."""
    for name, state in (("ann", "VIC"), ("ben", "vic "), ("cem", "TAS")):
        office.customer(name, state=state)
    office.sync("full")
    return office


@pytest.mark.fast
def test_a_new_segment_is_in_mailchimp_as_soon_as_its_run_is_over(synced: SegmentOffice) -> None:
    created = synced.create()
    run = synced.run()
    view = synced.view(created)
    assert (run.type, run.status, run.counts["segment_added"]) == ("segments", "success", 2)
    assert synced.tagged() == ["ann", "ben"] == synced.marked(created)
    assert view.mailchimp_segment_id == synced.tags_there()["Victoria"]
    assert (view.sync_state, view.customer_count, view.tagged_count, view.difference) == ("synced", 2, 2, ())
    assert view.last_synced_at is not None


def test_a_segment_is_being_synced_from_the_start_of_its_own_run(synced: SegmentOffice) -> None:
    created = synced.create()
    assert (created.sync_state, synced.view(created).sync_state) == ("syncing", "syncing")
    synced.run()
    assert synced.view(created).sync_state == "synced"


def test_a_sync_need_not_wait_for_the_run_of_a_new_segment_and_does_its_work(synced: SegmentOffice) -> None:
    synced.create()
    own = synced.practice.latest()
    run = synced.sync()
    assert (own.type, synced.practice.run(own.id).status) == ("segments", "cancelled")
    assert (run.type, run.status, run.counts["segment_added"]) == ("incremental", "success", 2)
    assert synced.tagged() == ["ann", "ben"]
    assert synced.practice.latest().id == run.id


def test_a_dry_run_in_the_place_of_a_new_segments_run_only_puts_it_off(synced: SegmentOffice) -> None:
    synced.create()
    dry = synced.engine.staff.start(synced.id, "incremental", dry_run=True, by="user-1")
    run = synced.run()
    assert synced.practice.run(dry.id).status in ("success", "skipped")
    assert (run.type, run.status) == ("segments", "success")
    assert synced.tagged() == ["ann", "ben"]


@pytest.mark.fast
def test_who_starts_or_stops_to_match_follows_with_the_next_run(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.run()
    synced.move("ann", "NSW")
    synced.move("cem", "VIC")
    run = synced.sync()
    assert synced.tagged() == ["ben", "cem"] == synced.marked(created)
    assert (run.counts["segment_added"], run.counts["segment_removed"]) == (1, 1)
    assert synced.segment_calls() == 1


def test_a_run_without_differences_writes_nothing(synced: SegmentOffice) -> None:
    synced.create()
    synced.run()
    synced.sync()
    for run_type in ("incremental", "full"):
        assert synced.sync(run_type).status == "skipped"
        assert synced.practice.writes() == []


def test_new_rules_take_effect_at_once(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.run()
    synced.edit(created, Rule("state", "equals", "TAS"))
    assert synced.view(created).sync_state == "syncing"  # the run that the edit started
    synced.run()
    assert synced.tagged() == ["cem"] == synced.marked(created)
    assert synced.view(created).sync_state == "synced"


def test_rules_with_dates_change_by_the_clock_alone(office: SegmentOffice) -> None:
    office.customer("new", created_at="2026-02-20T10:00:00Z")
    office.customer("old", created_at="2025-02-20T10:00:00Z")
    office.sync("full")
    office.create("New", NEW_IN_30_DAYS)
    office.run()
    assert office.tagged("New") == ["new"]
    office.engine.clock.move(days=30)
    office.sync()
    assert office.tagged("New") == []


def test_an_edit_during_a_run_is_not_lost(synced: SegmentOffice) -> None:
    """The active run's segments phase takes it, or a run right after its end."""
    synced.practice.start("incremental")
    created = synced.create()
    assert synced.view(created).sync_state == "pending"
    synced.engine.work()
    assert synced.tagged() == ["ann", "ben"]


def test_an_edit_that_comes_too_late_for_the_active_run_gets_one_of_its_own(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.run()
    synced.practice.start("incremental")
    while synced.practice.latest().phase != "close":
        message = synced.engine.receive()
        assert message is not None
        synced.engine.deliver(message)
    synced.edit(created, Rule("state", "equals", "TAS"))
    assert synced.run().type == "segments"
    assert synced.tagged() == ["cem"]


def test_an_edit_while_a_run_waits_for_approval_waits_with_it(synced: SegmentOffice) -> None:
    synced.practice.change_brake(removals=0, removals_percent=0)
    synced.practice.remove("ann")
    waiting = synced.sync()
    assert waiting.status == "awaiting_approval"
    synced.create()
    synced.engine.work()
    assert synced.tagged() == []
    synced.engine.staff.cancel(synced.id, waiting.id, by="user-1")
    synced.engine.work()
    assert "ben" in synced.tagged()


@pytest.mark.fast
def test_the_union_of_the_sharers_of_an_address_carries_the_tag(office: SegmentOffice) -> None:
    office.customer("1", state="VIC", email="family@clinic.test")
    office.customer("2", state="TAS", email="family@clinic.test")
    office.sync("full")
    created = office.create()
    office.run()
    assert office.tagged() == ["family"]
    office.move("2", "VIC")
    office.sync()
    office.move("1", "TAS")
    run = office.sync()
    assert office.tagged() == ["family"]
    assert "segment_removed" not in run.counts
    assert office.marked(created) == ["2"]
    office.move("2", "TAS")
    office.sync()
    assert office.tagged() == []


def test_a_shared_address_is_explained_in_the_counts(office: SegmentOffice) -> None:
    office.customer("1", email="family@clinic.test")
    office.customer("2", email="family@clinic.test")
    office.customer("3", email="")
    office.customer("4", consent="unsubscribed")
    office.sync("full")
    created = office.create()
    office.run()
    view = office.view(created)
    assert (view.customer_count, view.tagged_count) == (4, 1)
    assert {reason.code: reason.count for reason in view.difference} == {
        "no_address": 1,
        "shared_address": 1,
        "not_a_member": 1,
    }


def test_foreign_members_and_foreign_tags_are_left_alone(synced: SegmentOffice) -> None:
    synced.practice.join("stranger@elsewhere.test")
    created = synced.create()
    synced.run()
    synced.practice.act("admin_tag", "stranger@elsewhere.test", "Victoria")
    synced.practice.act("admin_tag", "cem@clinic.test", "Golf")
    synced.sync("full")
    assert synced.tagged() == ["ann", "ben", "stranger"]
    assert synced.tagged("Golf") == ["cem"]
    synced.delete(created)
    synced.run()
    assert list(synced.tags_there()) == ["Golf"]


@pytest.mark.fast
def test_what_was_changed_by_hand_is_healed_by_a_full_sync(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.run()
    synced.practice.act("admin_tag", "ann@clinic.test", "Victoria", active=False)
    synced.practice.act("admin_tag", "cem@clinic.test", "Victoria")
    assert synced.tagged() == ["ben", "cem"]
    run = synced.sync("full")
    assert synced.tagged() == ["ann", "ben"] == synced.marked(created)
    assert (run.counts["segment_added"], run.counts["segment_removed"]) == (1, 1)


@pytest.mark.fast
def test_a_tag_deleted_in_mailchimp_is_made_again_and_that_is_told(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.run()
    first = synced.tags_there()["Victoria"]
    synced.practice.api("DELETE", f"/segments/{first}")
    synced.sync()
    assert synced.tags_there()["Victoria"] != first
    assert synced.view(created).mailchimp_segment_id == synced.tags_there()["Victoria"]
    assert synced.tagged() == ["ann", "ben"]
    assert any("was deleted in Mailchimp. This sync creates it again" in message for message in synced.messages())


def test_a_tag_renamed_in_mailchimp_gets_its_name_back(synced: SegmentOffice) -> None:
    synced.create()
    synced.run()
    synced.practice.api("PATCH", f"/segments/{synced.tags_there()['Victoria']}", {"name": "Something"})
    synced.sync()
    assert list(synced.tags_there()) == ["Victoria"]


def test_a_new_name_renames_the_tag_and_keeps_its_members(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.run()
    synced.edit(created, name="Garden state")
    synced.control.reset_journal()
    synced.run()
    assert synced.tagged("Garden state") == ["ann", "ben"]
    assert [method for method, _ in synced.practice.writes()] == ["PATCH"]
    assert list(synced.tags_there()) == ["Garden state"]


@pytest.mark.fast
def test_a_deleted_segment_leaves_nothing_behind(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.run()
    synced.delete(created)
    assert synced.tags_there() == {}
    synced.run()
    assert synced.marked(created) == []
    assert synced.store.all(synced.id) == []
    assert set(synced.practice.audience().values()) == {"subscribed"}


@pytest.mark.fast
def test_a_preview_forecasts_the_counts_that_the_segment_then_has(synced: SegmentOffice) -> None:
    synced.customer("silent", consent=None)
    synced.customer("noway", consent="unsubscribed")
    synced.customer("nomail", email=" ")
    synced.customer("twin", email="ann@clinic.test")
    preview = synced.preview()
    created = synced.create()
    synced.run()
    synced.sync()
    view = synced.view(created)
    assert (preview.count, preview.reachable_count) == (view.customer_count, view.reachable_count) == (6, 3)
    # Who has no consent recorded carries the tag and gets no campaign; two customers of one address are one member.
    assert (view.tagged_count, {reason.code: reason.count for reason in view.difference}) == (
        3,
        {"no_address": 1, "shared_address": 1, "not_a_member": 1},
    )


def test_an_edit_while_everybody_is_to_be_planned_anew_counts_who_can_be_mailed_as_known(synced: SegmentOffice) -> None:
    synced.customer("silent", consent=None)
    created = synced.create()
    synced.run()
    synced.sync()
    before = synced.view(created)
    assert (before.tagged_count, before.reachable_count) == (3, 2)
    synced.practice.change(replan_all=True)  # by a change of the settings, or a full plan that did not come to its end
    synced.edit(created, name="Garden state")
    synced.run()
    view = synced.view(created)
    assert (view.sync_state, view.tagged_count, view.reachable_count) == ("synced", 3, 2)


def test_who_unsubscribed_is_not_counted_and_comes_back_with_the_tag(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.run()
    synced.practice.act("unsubscribe", "ann@clinic.test")
    synced.sync()
    assert synced.marked(created) == ["ben"]
    view = synced.view(created)
    assert (view.tagged_count, {r.code: r.count for r in view.difference}) == (1, {"opted_out": 1})
    synced.practice.act("resubscribe", "ann@clinic.test")
    synced.sync()
    assert synced.marked(created) == ["ann", "ben"]


def test_an_opt_out_in_pracbill_ends_the_mark_in_the_same_run(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.run()
    synced.engine.pracbill.set_consent("ann", "unsubscribed", department_id=synced.id)
    synced.sync()
    assert synced.practice.audience()["ann@clinic.test"] == "unsubscribed"
    assert synced.marked(created) == ["ben"]


def test_members_who_may_carry_no_tag_are_not_sent_again_and_again(office: SegmentOffice) -> None:
    office.customer("ann")
    office.customer("out", consent="unsubscribed")
    office.sync("full")
    office.practice.act("unsubscribe", "ann@clinic.test")
    office.sync()
    office.create()
    office.run()
    office.sync()
    assert office.segment_calls() == 0


def test_a_customer_who_was_removed_but_kept_as_member_loses_the_tag(synced: SegmentOffice) -> None:
    synced.practice.change_policy(on_removed="keep")
    synced.create()
    synced.run()
    synced.practice.remove("ann")
    synced.sync()
    assert synced.practice.audience()["ann@clinic.test"] == "subscribed"
    assert synced.tagged() == ["ben"]
    assert synced.checks.all(synced.id) == []


def test_a_removed_sharer_takes_the_tag_along_if_nobody_else_matches(office: SegmentOffice) -> None:
    office.customer("1", state="VIC", email="family@clinic.test")
    office.customer("2", state="TAS", email="family@clinic.test")
    office.customer("3", state="VIC", email="couple@clinic.test")
    office.customer("4", state="VIC", email="couple@clinic.test")
    office.sync("full")
    office.create()
    office.run()
    office.practice.remove("1", "3")
    office.sync()
    assert office.tagged() == ["couple"]


def test_a_changed_address_carries_exactly_the_tags_it_should(synced: SegmentOffice) -> None:
    synced.create()
    synced.run()
    synced.practice.edit("ann", email="ann.new@clinic.test")
    synced.practice.edit("ben", email="ben.new@clinic.test", address={"state": "TAS"})
    synced.sync()
    members = synced.control.members(synced.practice.audience_id)
    live = {m["email_address"] for m in members if m["status"] == "subscribed" and "Victoria" in m["tag_names"]}
    assert live == {"ann.new@clinic.test"}


def select_audience(office: SegmentOffice, audience_id: str) -> None:
    """Select an audience of which nothing is known, or nothing any more."""
    audience = office.practice.department.audience
    assert audience is not None
    office.practice.change(
        audience=replace(audience, id=audience_id, first_contact_done=False),
        customers_watermark="",
        members_watermark=None,
        replan_all=True,
    )
    office.practice.audience_id = audience_id


def test_another_audience_gets_tags_of_its_own(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.run()
    old_audience = synced.practice.audience_id
    select_audience(synced, str(synced.control.create_audience("Second")["audience_id"]))
    assert synced.view(created).mailchimp_segment_id is None
    synced.sync("full")
    assert synced.tagged() == ["ann", "ben"]
    synced.practice.audience_id = old_audience
    assert synced.tagged() == ["ann", "ben"]


@pytest.mark.parametrize("kind", ["full", "incremental"])
def test_the_tag_is_ours_again_when_its_audience_is_selected_again(synced: SegmentOffice, kind: RunType) -> None:
    created = synced.create()
    synced.run()
    first, tag_id = synced.practice.audience_id, synced.view(created).mailchimp_segment_id
    select_audience(synced, str(synced.control.create_audience("Second")["audience_id"]))
    synced.sync("full")
    synced.practice.edit("ann", address={"state": "TAS"})
    synced.practice.edit("cem", address={"state": "VIC"})
    synced.sync()
    select_audience(synced, first)
    synced.sync(kind)
    view = synced.view(created)
    assert (view.sync_state, view.message, view.mailchimp_segment_id) == ("synced", None, tag_id)
    assert synced.tagged() == ["ben", "cem"]
    assert view.tagged_count == 2


def test_a_tag_that_was_left_and_deleted_there_is_made_again(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.run()
    first, tag_id = synced.practice.audience_id, synced.view(created).mailchimp_segment_id
    select_audience(synced, str(synced.control.create_audience("Second")["audience_id"]))
    synced.sync("full")
    synced.practice.audience_id = first
    synced.practice.api("DELETE", f"/segments/{tag_id}")
    select_audience(synced, first)
    synced.sync("full")
    assert synced.view(created).sync_state == "synced"
    assert synced.view(created).mailchimp_segment_id != tag_id
    assert synced.tagged() == ["ann", "ben"]


def test_a_segment_renamed_meanwhile_renames_the_tag_that_was_left(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.run()
    first = synced.practice.audience_id
    select_audience(synced, str(synced.control.create_audience("Second")["audience_id"]))
    synced.sync("full")
    synced.edit(created, name="South")
    synced.run()
    select_audience(synced, first)
    synced.sync("full")
    assert (synced.tagged("South"), synced.tagged()) == (["ann", "ben"], [])


def test_a_foreign_tag_that_takes_the_name_first_is_an_error_and_stops_nothing_else(synced: SegmentOffice) -> None:
    """Mailchimp could not be asked when the segment was made."""
    synced.practice.fail(times=2, path="/segments", method="GET", status=503)
    created = synced.create()
    second = synced.create("Tasmania", Rule("state", "equals", "TAS"))
    synced.practice.api("POST", "/segments", {"name": "VICTORIA", "static_segment": ["cem@clinic.test"]})
    synced.run()
    view = synced.view(created)
    assert view.sync_state == "error"
    assert view.message is not None
    assert "Choose another name" in view.message
    assert synced.tagged("VICTORIA") == ["cem"]
    assert synced.view(second).sync_state == "synced"
    synced.edit(created, name="Victoria 2")
    synced.run()
    assert synced.view(created).sync_state == "synced"
    assert synced.tagged("Victoria 2") == ["ann", "ben"]


def test_a_tag_whose_creation_was_not_answered_is_found_again(synced: SegmentOffice) -> None:
    synced.create()
    synced.practice.fail(times=1, path="/segments", method="POST", status=502, executes=True)
    synced.run()
    assert len(synced.practice.api("GET", "/segments")["segments"]) == 1
    assert synced.tagged() == ["ann", "ben"]


def test_a_function_that_dies_in_the_middle_loses_nothing(
    synced: SegmentOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = synced.create()
    deaths = iter([True, False])
    change = synced.tags.change

    def die_once(*arguments: object, **options: object) -> None:
        if next(deaths, False):
            raise Killed
        change(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(synced.tags, "change", die_once)
    assert synced.run().status in ("success", "skipped")
    assert synced.tagged() == ["ann", "ben"] == synced.marked(created)


@pytest.mark.fast
def test_steps_without_time_come_to_the_end_as_well(office: SegmentOffice) -> None:
    for number in range(1, 6):
        office.customer(str(number), state="VIC" if number % 2 else "TAS")
    office.sync("full")
    office.create("Victoria", VICTORIA)
    office.create("Tasmania", Rule("state", "equals", "TAS"))
    office.be_short_of_time()
    office.run()
    office.practice.act("admin_tag", "1@clinic.test", "Victoria", active=False)
    office.practice.start("full")
    office.run()
    office.be_short_of_time(short=False)
    assert office.tagged("Victoria") == ["1", "3", "5"]
    assert office.tagged("Tasmania") == ["2", "4"]


def test_mailchimp_away_is_waited_for(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.practice.fail(times=4, path="/segments", status=503)
    synced.run()
    assert synced.tagged() == ["ann", "ben"]
    assert synced.view(created).sync_state == "synced"


def test_a_run_that_is_cancelled_while_tags_are_sent_stops_and_then_gives_the_department_free(
    synced: SegmentOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that began meanwhile would send tags beside it."""
    first, second = synced.create(), synced.create("Everybody", Rule("inactive", "equals", "0"))
    active: list[str] = []

    def cancel(call: CallMade) -> None:
        if call.method == "POST" and "/segments/" in call.template and not active:
            synced.engine.staff.cancel(synced.id, synced.practice.department.active_run_id, by="user-2")
            active.append(synced.practice.department.active_run_id)

    with monkeypatch.context() as patch:
        patch.setattr(synced.engine.meter, "mailchimp_call", cancel)
        run = synced.run()
    assert run.status == "cancelled"
    assert active == [run.id]
    assert synced.practice.department.active_run_id == ""
    assert synced.segment_calls() == 1
    synced.sync()
    assert (synced.tagged(), synced.tagged("Everybody")) == (["ann", "ben"], ["ann", "ben", "cem"])
    assert synced.marked(first) == ["ann", "ben"]
    assert synced.marked(second) == ["ann", "ben", "cem"]
