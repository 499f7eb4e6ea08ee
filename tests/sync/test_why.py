"""Why a customer is where it is, and why two counts differ: told from what the sync itself knows."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from chalicelib.domain.segments import Rule
from chalicelib.domain.views import CustomerView, Reconciliation
from chalicelib.errors import RefuseRequest
from chalicelib.sync.why import Customers, Reconciliations
from tests.sync.engine import Engine, Practice
from tests.sync.segment_office import SegmentOffice

pytest_plugins = ("tests.sync.engine_fixtures",)


@dataclass(frozen=True)
class Segment:
    id: str = "seg-1"
    name: str = "Anns"
    rules: tuple[Rule, ...] = field(default=(Rule("company_name", "contains", "ann"), Rule("inactive", "equals", "0")))


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
        standings=office.standings,
        query_for=office.query_for,
        mailchimp_for=engine.mailchimp_for,
        clock=engine.clock,
    ).get(practice.id)


def test_a_synced_customer_is_explained_with_its_last_push(practice: Practice) -> None:
    practice.customers(1)
    run = practice.sync("full")
    view = explain(practice, "1")
    assert (view.in_audience, view.member_status, view.address) == (True, "subscribed", "c***@clinic.test")
    assert view.verdict == "In the audience and subscribed."
    assert view.last_push is not None and view.last_push.at is not None
    assert run.started_at < view.last_push.at < practice.engine.clock()
    assert (view.last_refusal, view.shared_with, view.consent_ledger) == (None, (), ())


@pytest.mark.parametrize(
    ("case", "there", "words"),
    [
        ("silent", True, "no consent is recorded"),
        ("opted out", False, "Opted out"),
        ("no address", False, "no usable e-mail address"),
        ("fake", False, "Check the part after the @"),
        ("unsubscribed", True, "unsubscribed before and cannot be added again"),
        ("changed", True, "The next sync will update its data."),
        ("gone from mailchimp", False, "No longer in Mailchimp"),
    ],
)
def test_each_case_says_why_in_plain_words(practice: Practice, case: str, there: bool, words: str) -> None:
    consent = {"silent": None, "opted out": "unsubscribed"}.get(case, "subscribed")
    address = {"no address": "nothing", "fake": "foo@example.com"}.get(case, "c1@clinic.test")
    practice.customer("1", address, consent)
    practice.sync("full")
    if case == "unsubscribed":
        practice.act("unsubscribe", address)
    if case == "gone from mailchimp":
        practice.act("admin_delete", address)
    if case == "changed":
        practice.edit("1", first_name="Changed")
    practice.sync("full", dry_run=True)
    view = explain(practice, "1")
    assert words in view.verdict
    assert view.in_audience is there
    assert "@clinic" not in view.verdict


def test_a_refusal_is_told_with_its_fix(practice: Practice) -> None:
    practice.control.throttle("c1@clinic.test", audience_id=practice.audience_id)
    practice.customers(2)
    practice.sync("full")
    refusal = explain(practice, "1").last_refusal
    assert refusal is not None
    assert (refusal.code, refusal.retry_at is not None) == ("signup_throttle", True)
    assert refusal.cause.startswith("Too many sign-ups: ")
    assert refusal.fix


def test_sharers_segments_and_the_ledger_are_told(practice: Practice) -> None:
    practice.customer("1", "both@clinic.test", company_name="Ann & Sons", inactive="0")
    practice.customer("2", "both@clinic.test", company_name="Annex", inactive="1")
    practice.sync("full")
    practice.engine.clock.move(minutes=10)
    practice.customer("1", "both@clinic.test", "unsubscribed")
    practice.sync()
    first, second = explain(practice, "1", Segment()), explain(practice, "2", Segment())
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
