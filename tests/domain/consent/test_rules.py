"""The rows of docs/consent.md, one by one, and what must hold for every combination there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest

from chalicelib.domain.consent.members import Member, OptOut, OptOutRoute, Status
from chalicelib.domain.consent.rules import (
    Act,
    ConsentPolicy,
    OnRemoved,
    PracBillConsent,
    UnknownConsent,
    Verdict,
    decide,
    decide_removed,
)
from chalicelib.domain.customers import ConsentWord
from chalicelib.domain.hold_reasons import HELD

DOCUMENT = Path(__file__).parents[3] / "docs" / "consent.md"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
EARLIER, LATER, LATEST = NOON - timedelta(days=1), NOON + timedelta(days=1), NOON + timedelta(days=2)

DATED_AHEAD = PracBillConsent("subscribed", is_in_future=True)
YES, NO, SILENCE = PracBillConsent("subscribed", NOON), PracBillConsent("unsubscribed", NOON), PracBillConsent(None)
POLICY = ConsentPolicy()
ASKING = ConsentPolicy(ask_again=True)
SKIP, SUBSCRIBE = ConsentPolicy(unknown_consent="skip"), ConsentPolicy(unknown_consent="subscribe")
KEEP = ConsentPolicy(on_removed="keep")


def member(status: Status = "absent", **known: Any) -> Member:
    return Member("0" * 32, "a@clinic.test", status=status, **known)


def said(route: OptOutRoute = "person", at: datetime = NOON) -> OptOut:
    return OptOut(at, route)


def yes(at: datetime | None) -> PracBillConsent:
    return PracBillConsent("subscribed", at)


def ours(status: Status, **known: Any) -> Member:
    return member(status, pushed_at=EARLIER, **known)


# ------------------------------------------------------------------------------------------------------ first of all


@pytest.mark.parametrize("consent", [YES, NO, SILENCE])
@pytest.mark.parametrize("status", get_args(Status))
def test_erased_people_are_left_alone_whatever_is_known(consent: PracBillConsent, status: Status) -> None:
    assert decide(consent, member(status, erased=True), POLICY) == Verdict(Act.LEAVE, "erased", report="erased")


@pytest.mark.parametrize("consent", [YES, yes(LATEST), NO, SILENCE])
def test_forgotten_people_are_never_added_again(consent: PracBillConsent) -> None:
    for no in (None, said("admin"), said("pracbill")):
        verdict = decide(consent, member("forgotten", opt_out=no), ASKING)
        assert verdict == Verdict(Act.LEAVE, "forgotten", report="forgotten")


@pytest.mark.parametrize("consent", [YES, yes(LATEST), NO, SILENCE])
def test_cleaned_addresses_are_reported_and_left(consent: PracBillConsent) -> None:
    verdict = decide(consent, member("cleaned", opt_out=said("bounce")), ASKING)
    assert verdict == Verdict(Act.LEAVE, "cleaned", report="cleaned")


# ------------------------------------------------------------------------------------------------- PracBill says no


def test_no_subscribed_becomes_unsubscribed_in_mailchimp() -> None:
    for status_at in (None, EARLIER, LATER):
        verdict = decide(NO, member("subscribed", status_at=status_at), POLICY)
        assert verdict == Verdict(Act.UNSUBSCRIBE, "no-subscribed", "unsubscribed")


def test_no_pending_is_unsubscribed_before_the_person_can_confirm() -> None:
    assert decide(NO, member("pending"), POLICY) == Verdict(Act.UNSUBSCRIBE, "no-pending", "unsubscribed")


def test_no_transactional_becomes_unsubscribed() -> None:
    assert decide(NO, ours("transactional"), POLICY) == Verdict(Act.UNSUBSCRIBE, "no-transactional", "unsubscribed")


def test_no_absent_is_not_added_not_even_as_unsubscribed() -> None:
    assert decide(NO, member(), SUBSCRIBE) == Verdict(Act.LEAVE, "no-absent", report="opted_out")


def test_no_unsubscribed_needs_nothing() -> None:
    verdict = decide(NO, member("unsubscribed", opt_out=said("person")), ASKING)
    assert verdict == Verdict(Act.LEAVE, "no-unsubscribed", report="opted_out")


def test_no_archived_stays_archived() -> None:
    away = member("archived", archived_by_us=True, before_archive="subscribed")
    assert decide(NO, away, POLICY) == Verdict(Act.LEAVE, "no-archived", report="opted_out")


# ------------------------------------------------------------------------------------------- a no, and no later yes


@pytest.mark.parametrize(
    ("route", "status"),
    [(r, s) for r in get_args(OptOutRoute) for s in ("subscribed", "pending") if (r, s) != ("person", "pending")],
)
def test_opt_out_carried_to_an_audience_that_does_not_know_it(route: OptOutRoute, status: Status) -> None:
    for consent in (SILENCE, yes(EARLIER), yes(NOON), yes(None)):
        verdict = decide(consent, member(status, opt_out=said(route)), ASKING)
        assert verdict == Verdict(Act.UNSUBSCRIBE, "opt-out-carried", "unsubscribed")


def test_opt_out_pending_leaves_the_person_time_to_confirm_a_new_sign_up() -> None:
    for consent in (SILENCE, yes(EARLIER), yes(None)):
        verdict = decide(consent, member("pending", opt_out=said("person")), ASKING)
        assert verdict == Verdict(Act.LEAVE, "opt-out-pending", report="not_confirmed")


@pytest.mark.parametrize(
    ("route", "report"),
    [("person", "compliance_state"), ("admin", "compliance_state"), ("bounce", "cleaned"), ("pracbill", "opted_out")],
)
def test_opt_out_stands_and_is_reported_by_who_said_it(route: OptOutRoute, report: str) -> None:
    statuses: tuple[Status, ...] = ("absent", "unsubscribed", "transactional", "archived")
    for status, consent in product(statuses, (SILENCE, yes(EARLIER))):
        verdict = decide(consent, member(status, opt_out=said(route)), SUBSCRIBE)
        assert verdict == Verdict(Act.LEAVE, "opt-out-stands", report=report)


def test_opt_out_stands_against_a_yes_without_a_time_even_where_the_no_was_pracbills() -> None:
    """The yes may be another sharer's and older: the customer who had said no may be gone."""
    assert decide(yes(None), member("unsubscribed", opt_out=said("pracbill")), POLICY).rule == "opt-out-stands"


def test_opt_out_stands_against_a_yes_dated_in_the_future_which_is_what_staff_can_mend() -> None:
    reports = dict.fromkeys(get_args(OptOutRoute), "consent_in_future") | {"bounce": "cleaned"}
    for route, report in reports.items():
        verdict = decide(DATED_AHEAD, member("unsubscribed", opt_out=said(route)), ASKING)
        assert verdict == Verdict(Act.LEAVE, "opt-out-stands", report=report)


def test_unsubscribed_unknown_and_foreign_members_too_are_reported_with_the_future_date() -> None:
    assert decide(DATED_AHEAD, member("unsubscribed"), POLICY).report == "consent_in_future"
    assert decide(DATED_AHEAD, member("transactional", pre_existing=True), POLICY).report == "consent_in_future"


def test_unsubscribed_unknown_is_taken_as_the_persons_own_word() -> None:
    for consent in (SILENCE, YES, yes(None)):
        verdict = decide(consent, member("unsubscribed"), ASKING)
        assert verdict == Verdict(Act.LEAVE, "unsubscribed-unknown", report="compliance_state")
    assert decide(YES, member("unsubscribed", status_at=LATER), ASKING).rule == "unsubscribed-unknown"


def test_unsubscribed_unknown_ends_as_the_persons_no_does() -> None:
    gone = member("unsubscribed", status_at=NOON)
    assert decide(yes(LATER), gone, ASKING).rule == "ask-again"
    assert decide(yes(LATER), gone, POLICY).rule == "opt-out-later-consent"


# --------------------------------------------------------------------------------------------------- and a later yes


@pytest.mark.parametrize("route", get_args(OptOutRoute))
def test_consent_renewed_there_changes_no_status_and_creates_nobody(route: OptOutRoute) -> None:
    verdict = decide(yes(LATER), member("subscribed", opt_out=said(route)), POLICY)
    assert verdict == Verdict(Act.UPDATE, "consent-renewed-there", "unsubscribed")
    waiting = decide(yes(LATER), member("pending", opt_out=said(route)), POLICY)
    assert waiting == replace(verdict, report="not_confirmed")


def test_consent_given_again_takes_back_pracbills_own_no() -> None:
    no = said("pracbill")
    assert decide(yes(LATER), member(opt_out=no), POLICY) == Verdict(Act.ADD, "consent-given-again", "subscribed")
    again = Verdict(Act.SUBSCRIBE, "consent-given-again", "subscribed")
    assert decide(yes(LATER), ours("unsubscribed", opt_out=no), POLICY) == again
    assert decide(yes(LATER), ours("transactional", opt_out=no), POLICY) == again


def test_consent_given_again_reaches_a_member_that_we_archived_when_its_customer_was_removed() -> None:
    away = ours("archived", opt_out=said("pracbill"), archived_by_us=True, before_archive="unsubscribed")
    assert decide(yes(LATER), away, POLICY).act is Act.SUBSCRIBE


def test_consent_given_again_never_overrules_anybody_else() -> None:
    others = [route for route in get_args(OptOutRoute) if route != "pracbill"]
    for route, status, policy in product(others, get_args(Status), policies()):
        verdict = decide(yes(LATER), member(status, opt_out=said(route)), policy)
        assert verdict.act not in (Act.ADD, Act.SUBSCRIBE)


def test_opt_out_bounced_is_not_mended_by_a_yes() -> None:
    verdict = decide(yes(LATER), member(opt_out=said("bounce")), ASKING)
    assert verdict == Verdict(Act.LEAVE, "opt-out-bounced", report="cleaned")


@pytest.mark.parametrize("route", ["person", "admin"])
@pytest.mark.parametrize("status", ["absent", "unsubscribed", "transactional"])
def test_ask_again_has_mailchimp_ask_the_person(route: OptOutRoute, status: Status) -> None:
    verdict = decide(yes(LATER), member(status, opt_out=said(route)), ASKING)
    assert verdict == Verdict(Act.ASK, "ask-again", "pending")


@pytest.mark.parametrize("route", ["person", "admin"])
def test_ask_again_reaches_a_member_that_we_archived_when_its_customer_was_removed(route: OptOutRoute) -> None:
    away = ours("archived", opt_out=said(route), archived_by_us=True, before_archive="unsubscribed")
    assert decide(yes(LATER), away, ASKING).act is Act.ASK


def test_ask_again_waiting_asks_once_for_each_yes() -> None:
    asked = member("unsubscribed", opt_out=said(), asked_at=LATER)
    waiting = Verdict(Act.LEAVE, "ask-again-waiting", report="not_confirmed")
    assert decide(yes(LATER), asked, ASKING) == waiting
    assert decide(yes(LATER), asked, POLICY) == waiting
    assert decide(yes(LATEST), asked, ASKING).rule == "ask-again"


def test_opt_out_later_consent_is_reported_where_nobody_may_be_asked() -> None:
    verdict = decide(yes(LATER), member("unsubscribed", opt_out=said()), POLICY)
    assert verdict == Verdict(Act.LEAVE, "opt-out-later-consent", report="compliance_state")


# ------------------------------------------------------------------------------------------------ PracBill says yes


def test_yes_absent_is_added_as_subscribed() -> None:
    assert decide(yes(None), member(), SKIP) == Verdict(Act.ADD, "yes-absent", "subscribed")


def test_yes_subscribed_gets_data_only() -> None:
    assert decide(YES, member("subscribed"), POLICY) == Verdict(Act.UPDATE, "yes-subscribed", "subscribed")


def test_yes_pending_waits_for_the_person_and_says_so() -> None:
    verdict = decide(YES, member("pending"), POLICY)
    assert verdict == Verdict(Act.UPDATE, "yes-pending", "subscribed", report="not_confirmed")


def test_yes_transactional_is_raised_where_we_made_the_member_or_the_yes_is_newer() -> None:
    raised = Verdict(Act.SUBSCRIBE, "yes-transactional", "subscribed")
    assert decide(yes(None), ours("transactional"), POLICY) == raised
    before_us = member("transactional", status_at=EARLIER, pre_existing=True, pushed_at=EARLIER)
    assert decide(YES, before_us, POLICY) == raised


def test_yes_transactional_foreign_stays_as_mailchimp_had_it_and_is_reported() -> None:
    kept = Verdict(Act.UPDATE, "yes-transactional-foreign", "transactional", report="not_subscribed")
    before_us = member("transactional", status_at=NOON, pre_existing=True, pushed_at=EARLIER)
    assert decide(YES, before_us, POLICY) == kept
    assert decide(yes(None), before_us, POLICY) == kept
    assert decide(YES, replace(before_us, status_at=None), POLICY) == kept


def test_archived_there_is_left_to_who_archived_it() -> None:
    left = Verdict(Act.LEAVE, "archived-there", report="archived")
    away = member("archived", before_archive="subscribed")
    assert decide(YES, away, POLICY) == left
    assert decide(SILENCE, away, SUBSCRIBE) == left
    assert decide(yes(LATER), replace(away, opt_out=said("pracbill")), POLICY) == left


def test_archived_restored_as_what_consent_allows_now() -> None:
    away = ours("archived", archived_by_us=True, before_archive="subscribed")
    assert decide(YES, away, POLICY) == Verdict(Act.SUBSCRIBE, "archived-restored", "subscribed")
    assert decide(SILENCE, away, POLICY) == Verdict(Act.SUBSCRIBE, "archived-restored", "transactional")
    assert decide(SILENCE, away, SUBSCRIBE) == Verdict(Act.SUBSCRIBE, "archived-restored", "subscribed")


def test_archived_restored_never_raises_anybody_by_silence() -> None:
    away = ours("archived", archived_by_us=True, before_archive="transactional")
    assert decide(SILENCE, away, SUBSCRIBE) == Verdict(Act.SUBSCRIBE, "archived-restored", "transactional")
    assert decide(YES, away, SUBSCRIBE) == Verdict(Act.SUBSCRIBE, "archived-restored", "subscribed")


@pytest.mark.parametrize("before", [None, "pending", "unsubscribed", "cleaned", "archived", "forgotten"])
def test_archived_not_restored_when_it_was_not_reachable_before(before: Status | None) -> None:
    away = ours("archived", archived_by_us=True, before_archive=before)
    for consent in (YES, SILENCE):
        assert decide(consent, away, POLICY) == Verdict(Act.LEAVE, "archived-not-restored", report="archived")


# ---------------------------------------------------------------------------------------- PracBill has nothing to say


def test_unknown_skip_leaves_new_customers_out() -> None:
    left = Verdict(Act.LEAVE, "unknown-skip", report="no_consent")
    assert decide(SILENCE, member(), SKIP) == left
    assert decide(SILENCE, ours("archived", archived_by_us=True, before_archive="subscribed"), SKIP) == left


def test_unknown_add_transactional_is_the_default() -> None:
    verdict = decide(SILENCE, member(), ConsentPolicy())
    assert verdict == Verdict(Act.ADD, "unknown-add-transactional", "transactional")


def test_unknown_add_subscribed_only_where_the_department_chose_it() -> None:
    assert decide(SILENCE, member(), SUBSCRIBE) == Verdict(Act.ADD, "unknown-add-subscribed", "subscribed")


@pytest.mark.parametrize("policy", [SKIP, POLICY])
def test_unknown_subscribed_stays_subscribed(policy: ConsentPolicy) -> None:
    verdict = decide(SILENCE, member("subscribed"), policy)
    assert verdict == Verdict(Act.UPDATE, "unknown-subscribed", "transactional")


def test_unknown_pending_stays_pending() -> None:
    assert decide(SILENCE, member("pending"), POLICY) == Verdict(Act.UPDATE, "unknown-pending", "transactional")


def test_unknown_transactional_is_not_raised_by_a_setting_for_new_members() -> None:
    verdict = decide(SILENCE, ours("transactional"), SUBSCRIBE)
    assert verdict == Verdict(Act.UPDATE, "unknown-transactional", "subscribed")


# -------------------------------------------------------------------------------------------------- no customer left


@pytest.mark.parametrize("status", ["absent", "archived", "forgotten", "cleaned", "pending"])
def test_removed_not_there_needs_nothing(status: Status) -> None:
    assert decide_removed(ours(status), POLICY) == Verdict(Act.LEAVE, "removed-not-there")
    assert decide_removed(ours("subscribed", erased=True), POLICY) == Verdict(Act.LEAVE, "removed-not-there")


@pytest.mark.parametrize("status", ["subscribed", "unsubscribed", "transactional"])
def test_removed_archive_takes_away_only_what_we_added(status: Status) -> None:
    assert decide_removed(ours(status), POLICY) == Verdict(Act.ARCHIVE, "removed-archive")


def test_removed_returned_belongs_to_who_brought_it_back() -> None:
    verdict = decide_removed(ours("subscribed", pushed_status="archived"), POLICY)
    assert verdict == Verdict(Act.LEAVE, "removed-returned")


def test_removed_opt_out_carried_where_the_member_stays() -> None:
    carried = Verdict(Act.UNSUBSCRIBE, "removed-opt-out-carried", "unsubscribed")
    assert decide_removed(ours("subscribed", opt_out=said()), KEEP) == carried
    before_us = member("subscribed", pre_existing=True, opt_out=said("pracbill"))
    assert decide_removed(before_us, POLICY) == carried


def test_removed_opt_out_carried_once_only() -> None:
    """Who is subscribed after that, and is no customer, came through a form or by somebody in Mailchimp."""
    back = ours("subscribed", opt_out=said("pracbill"), pushed_status="unsubscribed")
    assert decide_removed(back, KEEP) == Verdict(Act.LEAVE, "removed-keep")


@pytest.mark.parametrize("status", ["subscribed", "unsubscribed", "transactional"])
def test_removed_keep_leaves_the_member(status: Status) -> None:
    assert decide_removed(ours(status), KEEP) == Verdict(Act.LEAVE, "removed-keep")


@pytest.mark.parametrize("policy", [POLICY, KEEP])
def test_removed_foreign_is_not_ours_to_touch(policy: ConsentPolicy) -> None:
    left = Verdict(Act.LEAVE, "removed-foreign")
    assert decide_removed(member("subscribed"), policy) == left
    assert decide_removed(ours("subscribed", pre_existing=True), policy) == left
    assert decide_removed(member("subscribed", opt_out=said("admin")), policy) == left


# -------------------------------------------------------------------------------------------------- all combinations


def policies() -> Iterator[ConsentPolicy]:
    for unknown, removed, ask in product(get_args(UnknownConsent), get_args(OnRemoved), (False, True)):
        yield ConsentPolicy(unknown_consent=unknown, on_removed=removed, ask_again=ask)


def consents() -> Iterator[PracBillConsent]:
    for word, at in product((*get_args(ConsentWord), None), (None, EARLIER, NOON, LATER)):
        yield PracBillConsent(word, at)
    yield DATED_AHEAD


def histories() -> Iterator[dict[str, Any]]:
    """What may be known of a member beside its status, its archiving and its opt-out."""
    for status_at, pre_existing, asked_at in product((None, EARLIER, LATER), (False, True), (None, EARLIER, LATEST)):
        for pushed_status in (None, "subscribed", "unsubscribed", "archived"):
            pushed_at = EARLIER if pushed_status else None
            yield {
                "status_at": status_at,
                "pre_existing": pre_existing,
                "asked_at": asked_at,
                "pushed_at": pushed_at,
                "pushed_status": pushed_status,
            }


def members() -> list[Member]:
    opt_outs = [None, *(OptOut(NOON, route) for route in get_args(OptOutRoute))]
    found = []
    for status, no, history in product(get_args(Status), opt_outs, histories()):
        archives: list[tuple[Status | None, bool]] = [(None, False)]
        if status == "archived":
            archives = list(product((None, *get_args(Status)), (False, True)))
        for before, by_us in archives:
            found.append(member(status, opt_out=no, before_archive=before, archived_by_us=by_us, **history))
    return [*found, *(member(status, erased=True) for status in get_args(Status))]


@pytest.fixture(scope="module")
def every_case() -> list[tuple[PracBillConsent, Member, ConsentPolicy, Verdict]]:
    settings = [policy for policy in policies() if policy.on_removed == "archive"]  # of which `decide` knows nothing
    cases = [(c, m, p, decide(c, m, p)) for c, m, p in product(consents(), members(), settings)]
    # Whoever looks at some of them finds some: each thing that may be done, and people of each kind.
    assert {verdict.act for _, _, _, verdict in cases} == set(Act) - {Act.ARCHIVE}
    # That no policy changes; each case has all of them in a row.
    assert {(known.status, latest_word_is_no(c, known)) for c, known, _, _ in cases[:: len(settings)]} == set(
        product(get_args(Status), (True, False))
    )
    return cases


def test_the_table_has_a_row_for_each_rule_that_can_occur_and_no_other(every_case: list[Any]) -> None:
    possible = {verdict.rule for _, _, _, verdict in every_case}
    possible |= {decide_removed(m, policy).rule for m, policy in product(members(), policies())}
    assert sorted(rules_of_the_table()) == sorted(possible)


def test_each_row_of_the_table_has_a_test_of_its_name() -> None:
    names = {f"test_{rule.replace('-', '_')}_": rule for rule in rules_of_the_table()}
    # A test is that of the longest name it begins with: `ask-again-waiting` is another row than `ask-again`.
    tested = {max((name for name in names if test.startswith(name)), key=len, default="") for test in globals()}
    assert set(names) - tested == set()


def test_the_codes_that_the_table_reports_are_those_of_the_verdicts(every_case: list[Any]) -> None:
    told = {code for row in rows_of_the_table() for code in codes_reported(row)}
    assert told == {verdict.report for _, _, _, verdict in every_case if verdict.report}


def test_nobody_whose_latest_word_is_no_is_subscribed_or_stays_subscribed(every_case: list[Any]) -> None:
    for consent, known, policy, verdict in every_case:
        if known.erased or not latest_word_is_no(consent, known):
            continue
        assert verdict.status not in ("subscribed", "pending", "transactional"), (consent, known, policy)
        # A pending member gets no campaigns; one that signed up again after an own no is left to the person.
        if known.status == "subscribed" or (known.status == "pending" and verdict.rule != "opt-out-pending"):
            assert verdict.act is Act.UNSUBSCRIBE, (consent, known, policy)


def test_nobody_is_subscribed_without_a_yes_or_the_departments_choice(every_case: list[Any]) -> None:
    for consent, known, policy, verdict in every_case:
        if verdict.status == "subscribed" and consent.word != "subscribed":
            assert consent.word is None, known
            assert policy.unknown_consent == "subscribe", known
            # And then only new ones; for members that are there already no status is set.
            assert verdict.act is not Act.SUBSCRIBE or known.before_archive == "subscribed"


def test_nobody_is_asked_without_a_later_yes_and_the_departments_choice(every_case: list[Any]) -> None:
    for consent, known, policy, verdict in every_case:
        if verdict.act is Act.ASK:
            assert policy.ask_again
            assert consent.word == "subscribed"
            assert not latest_word_is_no(consent, known)


def test_what_is_deleted_bounced_or_put_away_by_others_is_never_brought_back(every_case: list[Any]) -> None:
    for _, known, _, verdict in every_case:
        put_away = known.status == "archived" and not known.archived_by_us
        if put_away or known.erased or known.status in ("forgotten", "cleaned"):
            assert verdict.act is Act.LEAVE


def test_whoever_agreed_and_gets_no_campaigns_is_reported_in_words(every_case: list[Any]) -> None:
    for consent, known, policy, verdict in every_case:
        reached = verdict.act in (Act.ADD, Act.SUBSCRIBE) or known.status == "subscribed"
        if consent.word == "subscribed" and not reached and verdict.act not in (Act.ASK, Act.UNSUBSCRIBE):
            assert verdict.report, (consent, known, policy)
        assert not verdict.report or verdict.report in HELD


def test_every_opt_out_can_end_by_a_later_yes_or_the_report_names_another_way() -> None:
    """Nobody is stuck for ever in silence: with `ask_again` on, a new yes acts, or the report names the way out."""
    for known in members():
        verdict = decide(yes(LATEST + timedelta(days=9)), known, ASKING)
        acts = verdict.act in (Act.ADD, Act.SUBSCRIBE, Act.ASK) or known.status in ("subscribed", "pending")
        # Without any time the yes cannot be known as later; the next pull brings one.
        undated = known.opt_out is None and known.status_at is None
        assert acts or undated or verdict.report in ("erased", "forgotten", "cleaned", "archived"), (known, verdict)


def test_nobody_without_customers_is_subscribed_and_only_ours_are_archived() -> None:
    decided = [(known, policy, decide_removed(known, policy)) for known, policy in product(members(), policies())]
    assert {verdict.act for *_, verdict in decided} == {Act.LEAVE, Act.ARCHIVE, Act.UNSUBSCRIBE}
    for known, policy, verdict in decided:
        if verdict.act is Act.ARCHIVE:
            assert known.is_ours
            assert policy.on_removed == "archive"
        if verdict.act is Act.UNSUBSCRIBE:
            assert known.opt_out is not None


def latest_word_is_no(consent: PracBillConsent, known: Member) -> bool:
    if consent.word == "unsubscribed":
        return True
    if known.opt_out is None:
        return False
    return consent.word is None or consent.at is None or consent.at <= known.opt_out.at


def rows_of_the_table() -> list[str]:
    table = DOCUMENT.read_text().partition("## The table")[2]
    return [line for line in table.splitlines() if line.startswith("| `")]


def rules_of_the_table() -> list[str]:
    rules = [row.split("`")[1] for row in rows_of_the_table()]
    assert len(rules) == len(set(rules)) > 0
    return rules


def codes_reported(row: str) -> list[str]:
    return [code for part in re.findall(r"reported ([^;|]*)", row) for code in re.findall(r"`(\w+)`", part)]
