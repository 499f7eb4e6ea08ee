"""Segments as staff handle them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.contract.segments import SegmentView
from chalicelib.domain.segments.rules import Rule
from chalicelib.domain.segments.segment import MOST_SEGMENTS
from chalicelib.errors import RefuseRequest
from tests.sync.engine import Engine, Practice
from tests.sync.segment_office import VICTORIA, SegmentOffice

pytest_plugins = ("tests.sync.engine_fixtures",)

TASMANIA = Rule("state", "equals", "TAS")


@pytest.fixture
def office(engine: Engine, practice: Practice) -> SegmentOffice:
    return SegmentOffice(engine, practice)


@pytest.fixture
def synced(office: SegmentOffice) -> SegmentOffice:
    """Ann and Ben live in Victoria, Cem in Tasmania; all are members."""
    for name, state in (("ann", "VIC"), ("ben", "vic "), ("cem", "TAS")):
        office.customer(name, state=state, customer_type="Business", status="Active", first_name=name.title())
    office.sync("full")
    return office


def named(refusal: RefuseRequest) -> list[str]:
    """The fields that the refusal is about."""
    return [error.field for error in refusal.errors]


def refused(office: SegmentOffice, name: str, *rules: Rule) -> RefuseRequest:
    with pytest.raises(RefuseRequest) as refusal:
        office.create(name, *rules)
    return refusal.value


# ------------------------------------------------------------------------------------------------ what a builder needs


def test_fields_offer_what_the_customers_have(synced: SegmentOffice) -> None:
    synced.customer("dan", state="South Australia", status="On hold")
    synced.sync()
    choices = {f.field: [c.value for c in f.choices] for f in synced.service.fields(synced.id).fields}
    assert choices["state"] == ["VIC", "TAS", "South Australia"]
    assert choices["status"] == ["Active", "On hold"]
    assert choices["customer_type"] == ["Business"]
    assert choices["inactive"] == ["0", "1"]
    assert choices["email"] == []


def test_fields_are_told_without_a_department_too(office: SegmentOffice) -> None:
    fields = office.service.fields(None)
    assert fields.max_rules == 20
    assert len(fields.fields) == 13


def test_templates_have_one_for_each_state_and_can_all_be_used(synced: SegmentOffice) -> None:
    templates = synced.service.templates(synced.id)
    assert [t.name for t in templates][-2:] == ["Customers in VIC", "Customers in TAS"]
    counts = {t.name: synced.preview(*t.rules).count for t in templates}
    assert counts["Customers in VIC"] == 2
    assert counts["Active customers"] == 3
    assert len(synced.service.templates(None)) == 4


# -------------------------------------------------------------------------------------------------------------- create


@pytest.mark.fast
def test_a_segment_is_kept_and_listed_newest_first(synced: SegmentOffice) -> None:
    first, second = synced.create("Victoria"), synced.create("Tasmania", TASMANIA)
    assert [view.id for view in synced.service.list(synced.id)] == [second.id, first.id]
    assert (first.rules, first.customer_count, first.version) == ((VICTORIA,), 2, 1)
    assert (first.mailchimp_segment_id, first.sync_state) == (None, "syncing")
    assert [segment.name for segment in synced.service.defined(synced.id)] == ["Victoria", "Tasmania"]


def test_every_fault_of_name_and_rules_is_told_at_once(office: SegmentOffice) -> None:
    refusal = refused(office, "x" * 101, Rule("state", "equals", None), Rule("balance", "is", "x"))
    assert refusal.status == 400
    assert [error.field for error in refusal.errors] == ["name", "rules[0].value", "rules[1].field"]


def test_a_name_is_unique_in_its_department_whatever_its_case(synced: SegmentOffice) -> None:
    synced.create("Victoria")
    refusal = refused(synced, " VICTORIA ")
    assert (refusal.status, refusal.code, named(refusal)) == (409, "name-taken", ["name"])
    assert len(synced.service.list(synced.id)) == 1


def test_two_who_create_the_same_segment_at_once_get_one(synced: SegmentOffice) -> None:
    def create(_: int) -> SegmentView | RefuseRequest:
        try:
            return synced.create("Victoria")
        except RefuseRequest as refusal:
            return refusal

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(create, range(4)))
    assert [answer.status for answer in answers if isinstance(answer, RefuseRequest)] == [409] * 3
    synced.run()
    assert list(synced.tags_there()) == ["Victoria"]


@pytest.mark.parametrize("name", ["VIP", "vip"])
def test_a_tag_of_that_name_that_is_not_ours_is_refused(synced: SegmentOffice, name: str) -> None:
    synced.practice.act("admin_tag", "ann@clinic.test", "VIP")
    refusal = refused(synced, name)
    assert (refusal.status, refusal.code, named(refusal)) == (409, "tag-exists", ["name"])
    assert synced.service.list(synced.id) == []


def test_a_department_has_a_limited_number_of_segments(synced: SegmentOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_SEGMENTS == 100
    monkeypatch.setattr("chalicelib.sync.segments.management.MOST_SEGMENTS", 1)
    synced.create("One")
    assert refused(synced, "Two").code == "too-many-segments"


def test_a_segment_is_kept_while_mailchimp_is_away(synced: SegmentOffice) -> None:
    synced.practice.fail(times=2, path="/segments", method="GET", status=503)
    created = synced.create()
    assert synced.view(created).sync_state == "syncing"
    synced.run()
    assert synced.view(created).sync_state == "synced"


def test_a_segment_whose_run_waits_for_mailchimp_is_not_said_to_be_synced(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.control.inject_fault(path="/**", times=1000, status=503)
    run_id = synced.practice.department.active_run_id
    synced.engine.deliver_until(lambda: synced.practice.run(run_id).code == "waiting")
    assert synced.view(created).sync_state == "pending"
    synced.control.clear_faults()
    synced.run()
    assert synced.view(created).sync_state == "synced"


def test_a_segment_may_be_defined_before_there_is_a_connection(office: SegmentOffice) -> None:
    connection = office.practice.department.connection
    office.practice.change(connection=None)
    office.customer("ann")
    created = office.create()
    assert office.practice.department.active_run_id == ""
    assert office.view(created).sync_state == "pending"
    office.practice.change(connection=connection)
    office.sync("full")
    assert office.tagged() == ["ann"]


def test_a_first_plan_is_not_interrupted_by_a_segment(office: SegmentOffice) -> None:
    office.customer("ann")
    office.engine.lifecycle.first_plan(office.id, "user-1")
    created = office.create()
    assert office.practice.latest().type == "full"
    assert office.run().type == "segments"
    assert office.view(created).mailchimp_segment_id is not None


# ---------------------------------------------------------------------------------------------------------------- edit


@pytest.mark.fast
def test_an_edit_of_something_older_than_the_latest_is_refused_with_the_latest(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.edit(created, TASMANIA, version=1)
    with pytest.raises(RefuseRequest) as refusal:
        synced.edit(created, name="Mine", version=1)
    assert (refusal.value.status, refusal.value.code) == (409, "changed-meanwhile")
    assert named(refusal.value) == ["version"]
    latest = refusal.value.extra["segment"]
    assert isinstance(latest, SegmentView)
    assert (latest.version, latest.rules) == (2, (TASMANIA,))


def test_an_edit_that_changes_nothing_starts_nothing(synced: SegmentOffice) -> None:
    created = synced.create()
    run = synced.run()
    synced.edit(created)
    assert synced.view(created).version == 1
    assert synced.run().id == run.id


def test_a_renamed_segment_cannot_take_a_name_that_somebody_has(synced: SegmentOffice) -> None:
    created = synced.create("Victoria")
    synced.create("Tasmania", TASMANIA)
    synced.practice.act("admin_tag", "ann@clinic.test", "VIP")
    for name, code in (("tasmania", "name-taken"), ("VIP", "tag-exists")):
        with pytest.raises(RefuseRequest) as refusal:
            synced.edit(created, name=name)
        assert refusal.value.code == code
    assert synced.view(created).name == "Victoria"


def test_two_segments_may_change_their_names_one_after_the_other(synced: SegmentOffice) -> None:
    older, newer = synced.create("A", VICTORIA), synced.create("B", TASMANIA)
    synced.run()
    synced.edit(newer, name="C")
    synced.edit(older, name="B")
    synced.run()
    assert (synced.tagged("B"), synced.tagged("C")) == (["ann", "ben"], ["cem"])
    assert sorted(synced.tags_there()) == ["B", "C"]


def test_what_is_not_there_cannot_be_read_edited_or_deleted(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.run()
    synced.delete(created)
    for act in (synced.view, synced.edit, synced.delete):
        with pytest.raises(RefuseRequest) as refusal:
            act(created)
        assert refusal.value.status == 404
    with pytest.raises(RefuseRequest):
        synced.service.get(synced.id, "name#1")
    with pytest.raises(RefuseRequest):
        synced.service.get("another-department", created.id)


# -------------------------------------------------------------------------------------------------------------- delete


def test_the_name_of_a_deleted_segment_is_free_at_once(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.run()
    synced.practice.fail(times=2, path="/segments/**", method="DELETE", status=503)
    synced.delete(created)
    again = synced.create("Victoria", TASMANIA)
    synced.run()
    assert synced.tagged() == ["cem"]
    assert synced.view(again).mailchimp_segment_id == synced.tags_there()["Victoria"]
    assert len(synced.tags_there()) == 1


def test_a_segment_that_mailchimp_never_heard_of_is_simply_gone(office: SegmentOffice) -> None:
    office.practice.change(connection=None)
    created = office.create()
    office.delete(created)
    assert office.store.all(office.id) == []


def test_deleting_while_its_run_is_under_way_leaves_no_tag(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.delete(created)
    synced.run()
    assert synced.tags_there() == {}
    assert synced.store.all(synced.id) == []


# ------------------------------------------------------------------------------------------------------------- preview


def test_a_preview_counts_and_shows_the_first_ten(office: SegmentOffice) -> None:
    for number in range(1, 13):
        office.customer(str(number), first_name=f"N{number}")
    office.customer("13", state="TAS")
    office.sync("full")
    preview = office.preview()
    assert (preview.count, preview.total, preview.reachable_count) == (12, 13, 12)
    assert [one.id for one in preview.sample] == [str(number) for number in range(1, 11)]
    assert preview.sample[0].email == "1@clinic.test"
    assert (preview.per_rule, preview.entering, preview.leaving) == (None, None, None)


def test_each_rule_alone_is_counted_when_asked_for(synced: SegmentOffice) -> None:
    preview = synced.preview(VICTORIA, Rule("email", "contains", "ann"), per_rule=True)
    assert preview.count == 1
    assert preview.per_rule is not None
    assert [rule.count for rule in preview.per_rule] == [2, 1]


def test_reachable_are_those_whom_a_campaign_would_reach(office: SegmentOffice) -> None:
    office.customer("yes")
    office.customer("no", consent="unsubscribed")
    office.customer("silent", consent=None)
    office.customer("later")
    office.customer("none", email="")
    office.customer("wrong", email="not an address")
    office.customer("throttled")
    office.control.throttle("throttled@clinic.test", audience_id=office.practice.audience_id)
    office.sync("full")
    office.practice.act("unsubscribe", "later@clinic.test")
    office.sync()
    preview = office.preview()
    assert (preview.count, preview.reachable_count) == (7, 1)


def test_a_first_plan_is_enough_to_know_who_will_be_reached(office: SegmentOffice) -> None:
    office.customer("yes")
    office.customer("no", consent="unsubscribed")
    office.engine.lifecycle.first_plan(office.id, "user-1")
    office.engine.work()
    preview = office.preview()
    assert (preview.count, preview.reachable_count) == (2, 1)


@pytest.mark.fast
def test_what_pracbill_changed_since_the_last_run_is_in_the_answer(synced: SegmentOffice) -> None:
    created = synced.create()
    synced.run()
    synced.engine.clock.move(minutes=30)
    synced.move("ann", "TAS")
    synced.customer("abe")
    synced.customer("out", consent="unsubscribed")
    synced.practice.remove("cem")
    asked_at = synced.engine.clock()
    preview = synced.preview(VICTORIA, segment=created, per_rule=True)
    assert (preview.count, preview.total, preview.reachable_count) == (3, 4, 2)
    assert [one.id for one in preview.sample] == ["abe", "ben", "out"]
    assert preview.per_rule is not None
    assert preview.per_rule[0].count == 3
    assert preview.as_of >= asked_at


def test_an_answer_that_could_not_be_made_fresh_says_how_old_it_is(synced: SegmentOffice) -> None:
    last = synced.practice.latest()
    synced.engine.clock.move(hours=3)
    synced.move("ann", "TAS")
    synced.engine.pracbill.inject("status", status=503, calls=10)
    preview = synced.preview()
    synced.engine.pracbill.faults.clear()
    assert preview.count == 2
    assert abs((preview.as_of - last.started_at).total_seconds()) < 1


def test_more_changes_than_somebody_would_wait_for_are_left_to_the_next_run(synced: SegmentOffice) -> None:
    synced.engine.clock.move(hours=3)
    for number in range(1, 1002):
        synced.customer(str(number))
    preview = synced.preview()
    assert preview.total == 3
    assert preview.as_of < synced.engine.clock.moment


@pytest.mark.fast
def test_a_preview_of_an_edit_tells_who_would_enter_and_leave(synced: SegmentOffice) -> None:
    """By what the rules say: who cannot carry a tag does not enter each time somebody looks."""
    synced.customer("out", consent="unsubscribed")
    synced.sync()
    created = synced.create()
    synced.run()
    same = synced.preview(VICTORIA, segment=created)
    assert same.entering is not None
    assert same.leaving is not None
    assert (same.count, same.entering.count, same.leaving.count) == (3, 0, 0)
    other = synced.preview(Rule("email", "does_not_contain", "ann"), segment=created)
    assert other.entering is not None
    assert other.leaving is not None
    assert [one.id for one in other.entering.sample] == ["cem"]
    assert [one.id for one in other.leaving.sample] == ["ann"]


def test_a_preview_with_an_unknown_segment_or_meaningless_rules_is_refused(synced: SegmentOffice) -> None:
    with pytest.raises(RefuseRequest) as unknown:
        synced.service.preview(synced.id, (VICTORIA,), segment_id="s-nothing", per_rule=False)
    assert unknown.value.status == 404
    with pytest.raises(RefuseRequest) as meaningless:
        synced.preview(Rule("state", "greater_than", "many"))
    assert [error.field for error in meaningless.value.errors] == ["rules[0].value"]


def test_a_preview_changes_nothing(synced: SegmentOffice) -> None:
    synced.engine.clock.move(minutes=30)
    synced.move("ann", "TAS")
    before = list(synced.engine.customers.ascending(synced.id))
    synced.control.reset_journal()
    synced.preview()
    assert list(synced.engine.customers.ascending(synced.id)) == before
    assert synced.practice.marks() == {}
    assert synced.practice.writes() == []
