"""Why a customer is where it is, and why two counts differ: told from what the sync itself knows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.contract.customers import CustomerView, Reconciliation
from chalicelib.domain.logs import LedgerEntry
from chalicelib.domain.segments.rules import Rule
from chalicelib.domain.segments.segment import Segment
from chalicelib.errors import RefuseRequest
from chalicelib.sync.reports import customer_report as why
from chalicelib.sync.reports.customer_report import Customers, Reconciliations
from tests.sync.engine import NOON, Engine, Practice
from tests.sync.segment_office import SegmentOffice

pytest_plugins = ("tests.sync.engine_fixtures",)


def anns(*rules: Rule) -> Segment:
    wanted = rules or (Rule("company_name", "contains", "ann"), Rule("inactive", "equals", "0"))
    return Segment("d1", "seg-1", "Anns", wanted, created_at=NOON, created_by="user-1")


class NobodyErases:
    def erase(self, department_id: str, customer_id: str, *, by: str) -> None:
        raise AssertionError("nobody asked for it")


def explain(practice: Practice, customer_id: str, *segments: Segment) -> CustomerView:
    engine = practice.engine
    customers = Customers(
        departments=engine.departments,
        customers=engine.customers,
        members=engine.members,
        ledger=engine.ledger,
        segments=lambda department_id: segments,
        eraser=NobodyErases(),  # type: ignore[arg-type]
        clock=engine.clock,
    )
    return customers.explain(practice.id, customer_id)


@pytest.fixture
def office(engine: Engine, practice: Practice) -> SegmentOffice:
    """A practice whose runs have a segments phase: it keeps where addresses stand."""
    return SegmentOffice(engine, practice)


def reconcile(office: SegmentOffice) -> Reconciliation:
    engine, practice = office.engine, office.practice
    return Reconciliations(
        departments=engine.departments,
        members=engine.members,
        checks=office.checks,
        address_statuses=office.address_statuses,
        reader_for=office.reader_for,
        mailchimp_for=engine.mailchimp_for,
        clock=engine.clock,
    ).get(practice.id)


@pytest.mark.fast
def test_a_synced_customer_is_explained_with_its_last_push(practice: Practice) -> None:
    practice.customers(1)
    run = practice.sync("full")
    view = explain(practice, "1")
    assert (view.in_audience, view.member_status, view.address) == (True, "subscribed", "c1@clinic.test")
    assert view.verdict == "In the audience and subscribed."
    assert view.last_push is not None and view.last_push.at is not None
    assert run.started_at < view.last_push.at < practice.engine.clock()
    assert (view.last_refusal, view.shared_with) == (None, ())
    assert [(entry.after, entry.who, entry.rule) for entry in view.consent_ledger] == [
        ("subscribed", "this service", "yes-absent")
    ]


@pytest.mark.parametrize(
    ("case", "there", "words"),
    [
        ("silent", True, "no consent is recorded"),
        ("opted out", False, "Opted out"),
        ("no address", False, "No e-mail address: the customer has none in PracBill."),
        ("bad address", False, "Invalid email: the customer has an invalid e-mail format in PracBill."),
        ("fake", False, "Invalid email: Mailchimp considers the e-mail address fake or mistyped."),
        ("unsubscribed", True, "Compliance state: the person unsubscribed in Mailchimp on 2026-"),
        ("unsubscribed by a colleague", True, "Compliance state: a user unsubscribed this contact in Mailchimp on"),
        ("bounced", False, "Bounced"),
        ("archived there", False, "Archived in Mailchimp"),
        ("changed", True, "The next sync will update its data."),
        ("gone from mailchimp", False, "No longer in Mailchimp"),
    ],
)
def test_each_case_says_why_in_plain_words(practice: Practice, case: str, there: bool, words: str) -> None:
    consent = {"silent": None, "opted out": "unsubscribed"}.get(case, "subscribed")
    special = {"no address": " ", "bad address": "nothing", "fake": "foo@example.com"}
    address = special.get(case, "c1@clinic.test")
    practice.customer("1", address, consent)
    practice.sync("full")
    acts = {
        "unsubscribed": "unsubscribe",
        "unsubscribed by a colleague": "admin_unsubscribe",
        "bounced": "bounce",
        "archived there": "admin_archive",
        "gone from mailchimp": "admin_delete",
    }
    if case in acts:
        practice.act(acts[case], address)
    if case == "changed":
        practice.edit("1", first_name="Changed")
    practice.sync("full", dry_run=True)
    view = explain(practice, "1")
    assert words in view.verdict
    assert view.in_audience is there
    assert "@clinic" not in view.verdict


def test_a_yes_dated_in_the_future_is_said_not_to_be_believed(office: SegmentOffice) -> None:
    practice = office.practice
    practice.customer("1", "c1@clinic.test", "unsubscribed")
    office.sync("full")
    consent = {"status": "subscribed", "changed_at": "9999-01-01T00:00:00Z"}
    practice.edit("1", marketing_consent=consent)
    run = office.sync()
    view = explain(practice, "1")
    assert (view.in_audience, view.verdict_code) == (False, "consent_in_future")
    assert "the time of the consent in PracBill has not come yet" in view.verdict
    assert practice.codes(run, "held") == [("1", "consent_in_future")]
    assert counts(reconcile(office)) == {"opted_out": 1}
    practice.edit("1", marketing_consent=consent | {"changed_at": "2026-03-02T11:30:00Z"})
    office.sync()
    assert practice.audience() == {"c1@clinic.test": "subscribed"}


def test_an_address_that_the_person_changed_is_told_apart_from_a_deleted_one(practice: Practice) -> None:
    practice.customers(1)
    practice.sync("full")
    practice.act("admin_delete", "c1@clinic.test")
    practice.sync("full")
    practice.engine.clock.move(minutes=1)
    now = practice.engine.clock()
    entry = LedgerEntry(now, now, "subscribed", "forgotten", "the person", "webhook", "address-changed")
    practice.engine.ledger.append(practice.id, practice.key("c1@clinic.test"), entry)
    verdict = explain(practice, "1").verdict
    assert verdict.startswith("Address changed: the person changed the e-mail address in Mailchimp")


def test_after_pracbill_heard_of_it_verdict_and_record_still_say_who_unsubscribed(practice: Practice) -> None:
    # PracBill's own word is a no by now, but only the person can take this one back.
    practice.customers(1)
    practice.sync("full")
    practice.act("unsubscribe", "c1@clinic.test")
    practice.sync("full")
    practice.customer("1", "c1@clinic.test", "unsubscribed")
    (record,) = practice.records(practice.sync("full"))
    verdict = explain(practice, "1").verdict
    assert verdict == f"{record.cause} {record.fix}"
    assert verdict.startswith("Compliance state: the person unsubscribed in Mailchimp on ")
    assert "sign up through a Mailchimp form" in verdict


def test_the_last_push_is_what_was_sent_whatever_came_since(practice: Practice) -> None:
    practice.customers(1)
    practice.sync("full")
    practice.act("unsubscribe", "c1@clinic.test")
    practice.sync("full")
    view = explain(practice, "1")
    assert view.last_push is not None
    assert (view.member_status, view.last_push.status) == ("unsubscribed", "subscribed")


def test_the_ledger_tells_what_came_with_a_change(practice: Practice) -> None:
    practice.customers(1)
    practice.sync("full")
    practice.act("unsubscribe", "c1@clinic.test", reason="NO_SIGNUP")
    practice.sync("full")
    entry, added = explain(practice, "1").consent_ledger
    assert added.rule == "yes-absent"
    assert (entry.who, entry.route, entry.rule) == ("the person", "pull", "unsubscribed-there")
    assert "mailchimp_time" in entry.evidence
    assert entry.at <= entry.recorded_at <= practice.engine.clock()


def test_an_address_in_a_persons_own_reason_is_masked(practice: Practice) -> None:
    practice.customers(1)
    practice.sync("full")
    practice.engine.clock.move(minutes=1)
    now = practice.engine.clock()
    evidence = {"reason": "Write to me@home.test instead", "campaign_id": "cb398d21d2"}
    entry = LedgerEntry(now, now, "subscribed", "unsubscribed", "the person", "webhook", "unsubscribed-there", evidence)
    practice.engine.ledger.append(practice.id, practice.key("c1@clinic.test"), entry)
    told, _ = explain(practice, "1").consent_ledger
    assert told.evidence == {"reason": "Write to (address) instead", "campaign_id": "cb398d21d2"}


def test_what_this_service_did_is_in_the_ledger_under_its_name(practice: Practice) -> None:
    practice.customers(1)
    practice.sync("full")
    practice.engine.clock.move(minutes=10)
    practice.customer("1", "c1@clinic.test", "unsubscribed")
    run = practice.sync()
    entry = next(e for e in explain(practice, "1").consent_ledger if e.after == "unsubscribed" and e.route == "sync")
    assert (entry.who, entry.evidence) == ("this service", {"run": run.id})


@pytest.mark.parametrize(("other", "said"), [("unsubscribed", "who opted out"), (None, "who has no consent recorded")])
def test_where_another_customers_consent_counts_that_customer_is_named(
    practice: Practice, other: str | None, said: str
) -> None:
    practice.customer("1", "both@clinic.test")
    practice.customer("2", "both@clinic.test", other)
    practice.sync("full")
    told = explain(practice, "1")
    verdict = told.verdict
    assert (told.verdict_params["shared_with"], told.verdict_params["shared_more"]) == ("2", 0)
    assert (told.verdict_params["shared_consent"] == "unsubscribed") == (other == "unsubscribed")
    assert f"The customer shares this address with 2, {said}" in verdict
    assert "shares" not in explain(practice, "2").verdict


def test_a_customer_without_a_usable_address_has_its_rules_explained_too(practice: Practice) -> None:
    practice.customer("1", "front desk@clinic.test", company_name="Ann & Sons", inactive="0")
    practice.sync("full")
    view = explain(practice, "1", anns())
    assert view.address == "front desk@clinic.test"
    assert [(s.name, s.matches, s.tagged) for s in view.segments] == [("Anns", True, False)]


def test_the_customers_page_says_for_each_rule_what_was_found(practice: Practice) -> None:
    practice.customer("1", "a@clinic.test", company_name="Ann & Sons", address={"postcode": "2300"})
    practice.sync("full")
    asked = anns(Rule("postcode", "starts_with", "3"), Rule("inactive", "equals", "0"))
    (segment,) = explain(practice, "1", asked).segments
    assert not segment.matches
    assert [(rule.passes, rule.description, rule.found) for rule in segment.rules] == [
        (False, 'Postcode starts with "3"', 'The postcode is "2300".'),
        (True, 'Active/Inactive equals "0"', "The active/inactive mark is empty, which counts as 0."),
    ]


def test_a_refused_address_is_told_in_mailchimps_words_also_by_later_runs(practice: Practice) -> None:
    practice.control.throttle("c1@clinic.test", audience_id=practice.audience_id)
    practice.customers(1)
    refused = practice.sync("full")
    held = practice.sync("full", minutes=1)
    (first,), (later,) = practice.records(refused), practice.records(held)
    assert (first.outcome, later.outcome) == ("refused", "held")
    assert later.cause == first.cause
    assert later.cause.startswith("Too many sign-ups: ")
    assert "Mailchimp says: " in later.cause
    view = explain(practice, "1")
    assert view.last_refusal is not None
    assert view.last_refusal.cause == first.cause
    assert view.verdict == f"{first.cause} {first.fix}"


def test_a_refusal_is_told_with_its_fix(practice: Practice) -> None:
    practice.control.throttle("c1@clinic.test", audience_id=practice.audience_id)
    practice.customers(2)
    practice.sync("full")
    refusal = explain(practice, "1").last_refusal
    assert refusal is not None
    assert (refusal.code, refusal.retry_at is not None) == ("signup_throttle", True)
    assert refusal.cause.startswith("Too many sign-ups: ")
    assert refusal.fix


@pytest.mark.fast
def test_sharers_segments_and_the_ledger_are_told(practice: Practice) -> None:
    practice.customer("1", "both@clinic.test", company_name="Ann & Sons", inactive="0")
    practice.customer("2", "both@clinic.test", company_name="Annex", inactive="1")
    practice.sync("full")
    practice.engine.clock.move(minutes=10)
    practice.customer("1", "both@clinic.test", "unsubscribed")
    practice.sync()
    first, second = explain(practice, "1", anns()), explain(practice, "2", anns())
    assert (first.shared_with, second.shared_with) == (("2",), ("1",))
    assert [(s.name, s.matches, [rule.passes for rule in s.rules]) for s in first.segments + second.segments] == [
        ("Anns", True, [True, True]),
        ("Anns", False, [True, False]),
    ]
    assert {(entry.after, entry.rule) for entry in first.consent_ledger} >= {("unsubscribed", "no-subscribed")}


def test_a_customer_nobody_has_read_is_not_found(practice: Practice) -> None:
    with pytest.raises(RefuseRequest) as refused:
        explain(practice, "1")
    assert refused.value.status == 404
    practice.change(audience=None)
    with pytest.raises(RefuseRequest) as refused:
        explain(practice, "1")
    assert refused.value.status == 409


@pytest.mark.fast
def test_the_whole_difference_between_the_counts_is_split_by_reason(office: SegmentOffice) -> None:
    practice = office.practice
    practice.join("foreign@clinic.test", "bounces@clinic.test")
    practice.customers(4)
    practice.customer("5", "c1@clinic.test")
    practice.customer("6", None)
    practice.customer("7", "silent@clinic.test", None)
    practice.customer("8", "no@clinic.test", "unsubscribed")
    practice.customer("9", "foo@example.com")
    practice.customer("10", "bounces@clinic.test")
    practice.sync("full")
    practice.act("unsubscribe", "c2@clinic.test")
    practice.act("bounce", "bounces@clinic.test")
    practice.sync()
    told = reconcile(office)
    assert (told.pracbill_count, told.mailchimp_count, told.difference) == (10, 4, 6)
    assert {reason.code: reason.count for reason in told.reasons} == {
        "no_address": 1,
        "shared_address": 1,
        "transactional": 1,
        "opted_out": 2,
        "cleaned": 1,
        "refused": 1,
        "foreign": -1,
    }


def test_customers_that_were_not_sent_yet_and_what_mailchimp_did_since_are_told_apart(office: SegmentOffice) -> None:
    practice = office.practice
    practice.customers(2)
    practice.sync("full")
    practice.customers(2, start=10)
    practice.sync(dry_run=True)
    practice.act("resubscribe", "stranger@clinic.test")
    told = reconcile(office)
    assert {reason.code: reason.count for reason in told.reasons} == {"not_yet": 2, "not_counted_yet": -1}


def counts(told: Reconciliation) -> dict[str, int]:
    assert sum(reason.count for reason in told.reasons) == told.difference
    return {reason.code: reason.count for reason in told.reasons}


def test_the_counts_are_split_without_reading_the_members(
    office: SegmentOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.practice.customers(3)
    office.practice.customer("silent", "silent@clinic.test", None)
    office.sync("full")

    def too_many(*arguments: object) -> None:
        raise AssertionError("every member was read")

    monkeypatch.setattr(office.engine.members, "walk", too_many)
    monkeypatch.setattr(office.engine.members, "state", too_many)
    monkeypatch.setattr(office.engine.customers, "ascending", too_many)
    assert counts(reconcile(office)) == {"transactional": 1}


def test_news_since_the_last_run_is_in_the_split(office: SegmentOffice) -> None:
    office.practice.customers(3)
    office.sync("full")
    office.practice.customer("4", "c4@clinic.test", None)
    office.practice.sync(dry_run=True)
    asked_at = office.engine.clock()
    told = reconcile(office)
    assert counts(told) == {"not_yet": 1}
    assert told.as_of >= asked_at


def test_too_much_news_to_read_now_makes_the_answer_older(
    office: SegmentOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.practice.customers(3)
    run = office.sync("full")
    monkeypatch.setattr(why, "_MOST_NEWS", 1)
    office.practice.customer("4", "c4@clinic.test", None)
    office.practice.customer("5", "c5@clinic.test", None)
    office.practice.sync(dry_run=True)
    told = reconcile(office)
    assert counts(told) == {"not_counted_yet": 2}
    assert run.finished_at is not None and run.started_at < told.as_of < run.finished_at


def test_a_full_sync_that_was_cancelled_foresees_nothing(office: SegmentOffice) -> None:
    office.practice.customers(3)
    office.practice.customer("silent", "silent@clinic.test", None)
    office.practice.start("full")
    office.engine.deliver_until(lambda: office.practice.latest().phase == "apply")
    assert counts(reconcile(office)) == {"not_yet": 4}
    office.engine.staff.cancel(office.id, office.practice.latest().id, by="user-1")
    office.engine.work()
    assert counts(reconcile(office)) == {"not_yet": 4}
    office.sync()
    assert counts(reconcile(office)) == {"transactional": 1}


def test_a_full_sync_that_moves_an_address_counts_the_new_one(office: SegmentOffice) -> None:
    office.practice.customers(2)
    office.sync("full")
    office.practice.edit("1", email="moved@clinic.test")
    office.sync("full")
    told = reconcile(office)
    assert (told.pracbill_count, told.mailchimp_count, counts(told)) == (2, 2, {})
    assert office.preview(Rule("inactive", "does_not_equal", "1")).reachable_count == 2


def test_a_customer_who_went_with_a_full_sync_is_counted_no_more(office: SegmentOffice) -> None:
    office.practice.customer("1", "c1@clinic.test", "unsubscribed")
    office.practice.customers(1, start=2)
    office.sync("full")
    assert counts(reconcile(office)) == {"opted_out": 1}
    office.practice.remove("1")
    office.sync("full")
    assert counts(reconcile(office)) == {}
    office.practice.remove("2")
    office.sync("full")
    assert counts(reconcile(office)) == {}


def test_another_audience_is_split_anew(office: SegmentOffice) -> None:
    office.practice.customers(2)
    office.sync("full")
    audience = office.practice.department.audience
    assert audience is not None
    other = str(office.control.create_audience("Second")["audience_id"])
    office.practice.change(audience=replace(audience, id=other, first_contact_done=False), replan_all=True)
    assert counts(reconcile(office)) == {"not_counted_yet": 2}
    office.sync("full")
    assert counts(reconcile(office)) == {}
