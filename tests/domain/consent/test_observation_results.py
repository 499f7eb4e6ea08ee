"""What one observation changes: the state, its kind, the ledger's entry, and what PracBill must be sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.consent.members import (
    SPAM_REPORT,
    ConsentState,
    DeliveryState,
    OptOut,
    OptOutRoute,
    Status,
)
from chalicelib.domain.consent.observations import (
    Observation,
    ObservationResult,
    OutboxEntry,
    apply_observation,
    unread,
)
from chalicelib.domain.logs import LedgerEntry

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HERE, ELSEWHERE = "audience-1", "audience-2"
ADDRESS = "ann@clinic.test"


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def seen(status: Status, minutes: float = 0, by: OptOutRoute | None = None, **fields: Any) -> Observation:
    """A state that began some minutes after noon, seen a minute later; `by` says whose no it stands for."""
    no = OptOut(at(minutes), by, "said so") if by else None
    told: dict[str, Any] = {"route": "pull", "rule": "told", "evidence": {"from": "the pull"}} | fields
    return Observation(ADDRESS, status, at(minutes), at(minutes + 1), opt_out=no, **told)


def known(status: Status = "subscribed", minutes: float = -60, **fields: Any) -> ConsentState:
    told: dict[str, Any] = {"status_at": at(minutes), "observed_at": at(minutes + 1), "contact_id": "c1"} | fields
    return ConsentState(HERE, status, **told)


def applied(before: ConsentState, observation: Observation, push: DeliveryState | None = None) -> ObservationResult:
    return apply_observation("key", before, push, HERE, observation)


def pushed(status: Status = "subscribed", minutes: float = -30, audience: str = HERE, **fields: Any) -> DeliveryState:
    return DeliveryState(audience, status, at(minutes), **fields)


def no_of(route: OptOutRoute, minutes: float = -40, **fields: Any) -> OptOut:
    return OptOut(at(minutes), route, **fields)


# -------------------------------------------------------------------------------------------------------- a new no


@pytest.mark.parametrize(
    ("status", "by", "kind", "who"),
    [
        ("unsubscribed", "person", "opted_out", "the person"),
        ("unsubscribed", "admin", "opted_out", "somebody in Mailchimp"),
        ("cleaned", "bounce", "bounced", "a bounce"),
        ("forgotten", "admin", "deleted", "somebody in Mailchimp"),
        ("archived", "person", "opted_out", "the person"),  # unsubscribed, and archived since
    ],
)
def test_a_new_no_is_kept_entered_and_sent_to_pracbill(status: Status, by: OptOutRoute, kind: str, who: str) -> None:
    told = applied(known(), seen(status, by=by))
    no = OptOut(NOON, by, "said so")
    state = ConsentState(
        HERE,
        status,
        status_at=NOON,
        observed_at=at(1),
        opt_out=no,
        no_seen_at=NOON,
        before_archive="subscribed" if status == "archived" else None,
        contact_id="" if status == "forgotten" else "c1",
    )
    entry = LedgerEntry(NOON, at(1), "subscribed", status, who, "pull", "told", {"from": "the pull"})
    outbox = OutboxEntry("key", ADDRESS, "unsubscribed", NOON, "mailchimp", "said so")
    assert told == ObservationResult(state, kind, entry, outbox)  # type: ignore[arg-type]


def test_who_was_erased_is_observed_no_more() -> None:
    before = known(erased=True)
    assert applied(before, seen("unsubscribed", by="person")) == ObservationResult(before)


def test_a_no_that_is_read_again_is_not_new() -> None:
    before = applied(known(), seen("unsubscribed", by="person")).consent_state
    again = applied(before, seen("unsubscribed", by="person"))
    assert again == ObservationResult(before)
    other_way = applied(before, seen("unsubscribed", by="admin"))
    assert (other_way.outbox_entry, other_way.consent_state.opt_out) == (None, before.opt_out)


@pytest.mark.parametrize("by", ["person", "bounce"])
def test_a_no_of_the_persons_own_hidden_behind_pracbills_is_new(by: OptOutRoute) -> None:
    status: Status = "cleaned" if by == "bounce" else "unsubscribed"
    before = known(status, opt_out=no_of("pracbill", customers=("7",)))
    told = applied(before, seen(status, by=by))
    assert told.consent_state.opt_out == OptOut(NOON, by, "said so")
    assert told.outbox_entry is not None


# -------------------------------------------------------------------------------------- our own unsubscribe's echo


def test_our_own_unsubscribes_echo_is_nobodys_word() -> None:
    """Mailchimp gives an admin's reason for what the API does. Nobody said anything that PracBill had to be sent."""
    push = pushed("unsubscribed", -1)
    for before in (known(opt_out=no_of("pracbill")), known()):
        told = applied(before, seen("unsubscribed", by="admin"), push)
        assert (told.consent_state.opt_out, told.outbox_entry) == (before.opt_out, None)


def test_an_unsubscribe_that_is_not_ours_is_somebodys_word() -> None:
    pushes = [
        None,
        pushed("subscribed", -1),
        pushed("unsubscribed", -1, ELSEWHERE),
        pushed("unsubscribed", -90),  # and subscribed again since
    ]
    for push in pushes:
        told = applied(known(), seen("unsubscribed", by="admin"), push)
        assert (told.kind, told.outbox_entry is not None) == ("opted_out", True)
    for by in ("person", "bounce"):
        told = applied(known(), seen("unsubscribed", by=by), pushed("unsubscribed", -1))
        assert told.outbox_entry is not None
    other_status = applied(known(), seen("archived", by="admin"), pushed("unsubscribed", -1))
    assert other_status.outbox_entry is not None


def test_an_unsubscribe_that_may_be_ours_stays_pracbills_to_take_back_with_a_yes_given_since() -> None:
    """The function died before it noted the push: which of the two it was is not to be known."""
    before = known(opt_out=no_of("pracbill", sent_to_pracbill=True, customers=("7",)))
    told = applied(before, seen("unsubscribed", by="admin"))
    assert told.consent_state.opt_out == OptOut(NOON, "pracbill", reason="", sent_to_pracbill=True, customers=("7",))
    assert told.outbox_entry is None
    assert told.kind == "status"
    assert told.entry is not None
    assert (told.entry.rule, told.entry.who, told.entry.at) == ("no-carried", "PracBill", NOON)


@pytest.mark.parametrize(("minutes", "route"), [(0, "pracbill"), (1, "admin")])
def test_a_no_of_pracbills_that_came_after_the_unsubscribe_did_not_cause_it(minutes: float, route: str) -> None:
    told = applied(known(opt_out=no_of("pracbill", minutes)), seen("unsubscribed", by="admin"))
    assert told.consent_state.opt_out is not None
    assert told.consent_state.opt_out.route == route
    assert told.consent_state.opt_out.at == at(minutes)


@pytest.mark.parametrize("by", ["person", "admin"])
@pytest.mark.parametrize("before", ["person", "admin", "bounce"])
def test_a_later_no_after_another_ones_is_new_unless_the_status_was_known(before: OptOutRoute, by: OptOutRoute) -> None:
    told = applied(known(opt_out=no_of(before)), seen("unsubscribed", by=by))
    assert told.consent_state.opt_out == OptOut(NOON, by, "said so")
    assert told.outbox_entry is not None


# ------------------------------------------------------------------------------------------------ a yes of their own


def took_back(before: ConsentState, observation: Observation, push: DeliveryState | None = None) -> datetime | None:
    """When the no ended with a yes, by all that is told of it; None where it stands."""
    told = applied(before, observation, push)
    if told.consent_state.opt_out is not None:
        assert told.kind != "resubscribed" and told.outbox_entry is None
        return None
    assert told.kind == "resubscribed" and told.entry is not None and told.outbox_entry is not None
    assert (told.entry.rule, told.entry.who) == ("resubscribed-there", "the person")
    yes = (told.outbox_entry.status, told.outbox_entry.source, told.outbox_entry.reason)
    assert yes == ("subscribed", "mailchimp", "subscribed again in Mailchimp")
    assert told.outbox_entry.address_key == "key" and told.outbox_entry.email == ADDRESS
    assert told.entry.at == told.outbox_entry.occurred_at
    return told.entry.at


def left(status: Status = "unsubscribed", route: OptOutRoute = "person", **fields: Any) -> ConsentState:
    """A no of 40 minutes ago, which was seen when it was said."""
    return known(status, -40, opt_out=no_of(route), no_seen_at=at(-40), **fields)


def test_who_unsubscribed_by_themselves_and_is_subscribed_came_back_by_themselves() -> None:
    assert took_back(left(), seen("subscribed")) == NOON
    assert took_back(left(), seen("subscribed", subscribed_at=at(-5))) == at(-5)
    assert took_back(left(), seen("subscribed", subscribed_at=at(-40))) == NOON  # of before the no: says nothing
    assert took_back(left("archived", before_archive="unsubscribed"), seen("subscribed")) == NOON
    assert took_back(left("archived", before_archive="pending"), seen("subscribed")) == NOON
    assert took_back(left("pending"), seen("subscribed")) == NOON
    assert took_back(left("forgotten", "admin"), seen("subscribed")) == NOON


@pytest.mark.parametrize(
    "before",
    [
        left(route="admin"),
        left(route="pracbill"),
        left("cleaned", "bounce"),
        left("transactional"),
        left("archived", before_archive="subscribed"),
        left("archived"),
        left("forgotten", successor_key="elsewhere"),
        replace(left(), audience_id=ELSEWHERE),
        replace(left(), status_at=None),
        replace(left(), status_at=at(-41)),  # the no may have come after the state that was seen, and after the yes
    ],
)
def test_whom_somebody_else_may_have_subscribed_has_said_no_yes(before: ConsentState) -> None:
    assert took_back(before, seen("subscribed")) is None


def test_only_subscribed_is_a_yes() -> None:
    for status in ("pending", "transactional", "archived"):
        assert took_back(left(), seen(status)) is None


def test_whom_we_had_unsubscribed_others_may_subscribe() -> None:
    assert took_back(left(), seen("subscribed"), pushed("unsubscribed")) is None
    assert took_back(left(), seen("subscribed"), pushed("subscribed", -50)) == NOON
    assert took_back(left(), seen("subscribed"), pushed("unsubscribed", -30, ELSEWHERE)) == NOON


def test_the_yes_must_be_later_than_the_no() -> None:
    assert took_back(left(), seen("subscribed", -40)) is None
    assert took_back(left(), seen("subscribed", -39)) == at(-39)


@pytest.mark.parametrize("route", ["person", "admin", "pracbill"])
def test_a_confirmation_that_mailchimp_asked_for_after_the_no_is_the_persons_yes(route: OptOutRoute) -> None:
    asked = left("pending", route, asked_at=at(-20))
    assert took_back(asked, seen("subscribed")) == NOON
    assert took_back(replace(asked, asked_at=at(-40)), seen("subscribed")) == NOON
    seen_before_the_no = replace(asked, status_at=at(-50))
    assert took_back(seen_before_the_no, seen("subscribed")) == NOON
    assert took_back(replace(asked, status_at=None), seen("subscribed", -40)) is None
    pushed_pending = pushed("pending", -20)
    assert took_back(replace(asked, status="unsubscribed"), seen("subscribed"), pushed_pending) == NOON


@pytest.mark.parametrize("route", ["admin", "pracbill"])
def test_a_question_of_before_the_no_or_an_answer_to_none_is_no_confirmation(route: OptOutRoute) -> None:
    assert took_back(left("pending", route), seen("subscribed")) is None
    assert took_back(left("pending", route, asked_at=at(-41)), seen("subscribed")) is None
    assert took_back(left("unsubscribed", route, asked_at=at(-20)), seen("subscribed")) is None


def test_who_is_subscribed_against_a_known_no_is_told_and_the_no_stands() -> None:
    told = applied(left(route="admin"), seen("subscribed"))
    assert (told.kind, told.consent_state.status, told.outbox_entry) == ("not_accepted", "subscribed", None)
    assert told.entry is not None
    assert (told.entry.rule, told.entry.who) == ("subscribed-not-accepted", "somebody in Mailchimp")
    assert told.entry.at == NOON


def test_of_two_states_in_one_second_the_one_that_mails_less_counts() -> None:
    by_strictness: tuple[Status, ...] = (
        *("subscribed", "pending", "transactional", "archived"),
        *("unsubscribed", "cleaned", "forgotten"),
    )
    for stricter, other in ((1, 0), (2, 1), (3, 2), (4, 3), (5, 4), (6, 5), (6, 0)):
        first, second = by_strictness[stricter], by_strictness[other]
        assert seen(first).rank > seen(second).rank
        assert applied(known(first, 0), seen(second)).consent_state.status == first
        assert applied(known(second, 0), seen(first)).consent_state.status == first


# ----------------------------------------------------------------------------------------- late, or said once before


def test_a_late_no_counts_once_and_leaves_the_later_state() -> None:
    before = known("subscribed", 10)
    told = applied(before, seen("unsubscribed", by="person"))
    assert told.consent_state == replace(before, opt_out=OptOut(NOON, "person", "said so"), no_seen_at=NOON)
    assert told.kind == "opted_out"
    assert told.entry is not None and (told.entry.at, told.entry.became) == (NOON, "unsubscribed")
    assert told.outbox_entry == OutboxEntry("key", ADDRESS, "unsubscribed", NOON, "mailchimp", "said so")
    assert applied(told.consent_state, seen("unsubscribed", by="person")) == ObservationResult(told.consent_state)
    ended = replace(told.consent_state, opt_out=None)
    assert applied(ended, seen("unsubscribed", by="person")) == ObservationResult(ended)
    assert applied(ended, seen("unsubscribed", 1, by="person")).kind == "opted_out"


def test_a_late_no_that_is_older_than_the_known_one_does_not_take_its_place() -> None:
    before = known("subscribed", 10, opt_out=no_of("admin", 5))
    told = applied(before, seen("unsubscribed", by="person"))
    assert told.consent_state.opt_out == no_of("admin", 5)
    assert told.entry is not None and told.entry.who == "the person"


@pytest.mark.parametrize("known_until", [-60, 10])
def test_the_ledger_tells_when_the_no_was_said_and_not_when_the_member_last_changed(known_until: float) -> None:
    no = OptOut(at(-7), "person", "said so")
    told = applied(known("subscribed", known_until), replace(seen("unsubscribed"), opt_out=no))
    assert told.entry is not None and told.entry.at == at(-7)
    assert told.outbox_entry is not None and told.outbox_entry.occurred_at == at(-7)


def test_a_late_state_without_a_no_says_nothing() -> None:
    before = known("subscribed", 10)
    assert applied(before, seen("archived")) == ObservationResult(before)


def test_the_last_no_seen_never_moves_back() -> None:
    before = known("subscribed", -60, no_seen_at=at(5))
    assert applied(before, seen("unsubscribed", by="person")).consent_state.no_seen_at == at(5)
    assert applied(known(), seen("archived")).consent_state.no_seen_at is None


@pytest.mark.parametrize("status", ["pending", "archived", "unsubscribed", "cleaned", "forgotten"])
def test_the_same_state_seen_at_a_later_time_is_noted_without_news(status: Status) -> None:
    """What was between must not pass for what came after both."""
    before = known(status, opt_out=no_of("person"))
    told = applied(before, seen(status))
    assert told.kind is None and told.entry is None and told.outbox_entry is None
    assert (told.consent_state.status_at, told.consent_state.opt_out) == (NOON, before.opt_out)
    undated = applied(replace(before, status_at=None), seen(status))
    assert undated.consent_state.status_at == NOON
    assert applied(before, seen(status, route="sync")).consent_state == before
    assert applied(before, seen(status, -60)).consent_state == before


@pytest.mark.parametrize("status", ["subscribed", "transactional"])
def test_a_state_that_changes_with_every_push_is_not_noted_again(status: Status) -> None:
    before = known(status)
    assert applied(before, seen(status)) == ObservationResult(before)


@pytest.mark.parametrize(("contact", "expected"), [("c2", "c2"), ("c1", "c1"), ("", "c1")])
def test_another_contact_of_the_same_status_is_who_is_there_now(contact: str, expected: str) -> None:
    told = applied(known(), seen("subscribed", contact_id=contact))
    assert told == ObservationResult(known(contact_id=expected))


def test_a_contact_is_no_other_where_none_was_known_or_in_another_audience() -> None:
    nobody = known(contact_id="")
    assert applied(nobody, seen("subscribed", contact_id="c2")) == ObservationResult(nobody)
    pushed_to = pushed(contact_id="c2")
    assert applied(nobody, seen("subscribed", contact_id="c3"), pushed_to).consent_state.contact_id == "c3"
    there = replace(known("absent"), audience_id=ELSEWHERE)
    met = applied(there, seen("absent", contact_id="c2"), pushed("absent", contact_id="c9"))
    assert met.consent_state == there


# ------------------------------------------------------------------------------------------------ the state after it


def test_the_first_meeting_in_an_audience_keeps_of_another_one_the_persons_no_alone() -> None:
    no = no_of("person")
    there = ConsentState(ELSEWHERE, "cleaned", at(9), at(9), no, "pending", True, contact_id="c9", no_seen_at=at(9))
    told = applied(there, seen("transactional", contact_id="c1", spelling="ann@Clinic.test"))
    assert told.consent_state == ConsentState(
        HERE,
        "transactional",
        NOON,
        at(1),
        no,
        pre_existing=True,
        contact_id="c1",
        spelling="ann@Clinic.test",
    )


@pytest.mark.parametrize(
    ("push", "says", "is_pre_existing"),
    [
        (None, None, True),
        (pushed(), None, False),
        (pushed(audience=ELSEWHERE), None, True),
        (None, False, False),
        (pushed(), True, True),
    ],
)
def test_who_was_here_before_any_push_of_ours_is_never_archived_by_us(
    push: DeliveryState | None, says: bool | None, is_pre_existing: bool
) -> None:
    told = applied(ConsentState(), seen("pending", pre_existing=says), push)
    assert told.consent_state.pre_existing is is_pre_existing


def test_a_state_of_this_audience_keeps_whether_the_member_was_there_before() -> None:
    for was in (True, False):
        assert applied(known(pre_existing=was), seen("pending")).consent_state.pre_existing is was


@pytest.mark.parametrize(
    ("status", "told", "expected"),
    [("pending", "c2", "c2"), ("pending", "", "c1"), ("forgotten", "", ""), ("forgotten", "c2", "c2")],
)
def test_who_is_gone_has_no_contact_any_more(status: Status, told: str, expected: str) -> None:
    assert applied(known(), seen(status, contact_id=told)).consent_state.contact_id == expected


def test_where_the_person_went_is_known_until_somebody_is_there_again() -> None:
    gone = applied(known(), seen("forgotten", successor_key="next", rule="address-changed")).consent_state
    assert gone.successor_key == "next"
    missed = applied(gone, seen("forgotten", 5)).consent_state
    assert missed.successor_key == "next"
    assert applied(missed, seen("subscribed", 9)).consent_state.successor_key == ""
    assert applied(known(successor_key="next"), seen("forgotten")).consent_state.successor_key == ""


def test_mailchimps_spelling_is_the_one_seen_last() -> None:
    assert applied(known(spelling="x@y.test"), seen("pending")).consent_state.spelling == ""
    assert applied(known(), seen("pending", spelling="x@y.test")).consent_state.spelling == "x@y.test"


@pytest.mark.parametrize(
    ("before", "push", "expected"),
    [
        (known("transactional"), None, (False, "transactional")),
        (known("transactional"), pushed("subscribed"), (False, "subscribed")),
        (known("pending", archived_by_us=True, before_archive="subscribed"), None, (True, "subscribed")),
        (known("pending", before_archive="subscribed"), pushed("archived"), (False, "subscribed")),
        (ConsentState(), None, (False, None)),
    ],
)
def test_who_is_archived_was_something_before(
    before: ConsentState, push: DeliveryState | None, expected: tuple[bool, Status | None]
) -> None:
    state = applied(before, seen("archived", by="person"), push).consent_state
    assert (state.status, state.archived_by_us, state.before_archive) == ("archived", *expected)


def test_who_is_seen_in_the_audience_again_is_archived_by_nobody() -> None:
    away = known("archived", archived_by_us=True, before_archive="subscribed")
    state = applied(away, seen("transactional")).consent_state
    assert (state.archived_by_us, state.before_archive) == (False, None)


# ------------------------------------------------------------------------------------------- kinds, and the ledger


@pytest.mark.parametrize(
    ("rule", "kind", "who"),
    [("address-changed", "address_changed", "the person"), ("address-arrived", "status", "somebody in Mailchimp")],
)
def test_a_change_of_the_address_is_told_once(rule: str, kind: str, who: str) -> None:
    told = applied(known(), seen("pending", rule=rule))
    assert told.kind == kind
    assert told.entry is not None and (told.entry.who, told.entry.rule) == (who, rule)
    with_no = applied(known(), seen("forgotten", by="admin", rule=rule))
    assert with_no.kind == kind


@pytest.mark.parametrize(
    ("before", "status", "is_entered"),
    [
        (ConsentState(), "pending", False),  # met first
        (known("archived"), "pending", False),
        (known("pending"), "archived", False),
        (known("pending"), "transactional", True),
    ],
)
def test_archiving_and_meeting_somebody_first_are_no_changes_of_consent(
    before: ConsentState, status: Status, is_entered: bool
) -> None:
    told = applied(before, seen(status))
    assert (told.kind, told.entry is not None) == ("status", is_entered)
    assert told.outbox_entry is None
    if told.entry is not None:
        assert (told.entry.at, told.entry.who) == (NOON, "somebody in Mailchimp")
    no = applied(before, seen(status, by="person"))
    assert no.entry is not None and no.entry.who == "the person"


def test_pracbills_own_no_is_entered_under_its_rule_only_where_it_unsubscribed() -> None:
    before = known(opt_out=no_of("pracbill"))
    carried = applied(before, seen("unsubscribed", by="admin"))
    assert carried.entry is not None and carried.entry.rule == "no-carried"
    told = applied(known(), seen("archived", by="pracbill"))
    assert told.entry is not None and (told.entry.rule, told.entry.who) == ("told", "PracBill")
    assert told.outbox_entry is None


def test_an_admins_no_in_another_audience_never_hides_the_persons_own() -> None:
    """Known from here, the person's own no stays the person's; of another audience it is the admin's to take back."""
    theirs = no_of("person", 30)
    for audience, route in ((HERE, "person"), (ELSEWHERE, "admin")):
        before = replace(known("pending", -60, opt_out=theirs), audience_id=audience)
        told = applied(before, seen("unsubscribed", by="admin")).consent_state.opt_out
        assert told is not None and (told.route, told.at) == (route, at(30))


# ---------------------------------------------------------------------- whose no it was, where nobody could read it

UNREAD = OptOut(NOON, "admin", "said so", speaker_unread=True)


def event(minutes: float = 0, route: OptOutRoute = "person", reason: str = "said so") -> Observation:
    """What an event tells of whose member could not be read."""
    return replace(seen("unsubscribed", minutes, route="webhook"), opt_out=unread(OptOut(at(minutes), route, reason)))


@pytest.mark.parametrize(
    ("no", "kept"),
    [
        (OptOut(NOON, "person", "said so"), UNREAD),
        (OptOut(NOON, "person", SPAM_REPORT), OptOut(NOON, "person", SPAM_REPORT)),
        (OptOut(NOON, "bounce", "bounced"), OptOut(NOON, "bounce", "bounced")),
    ],
    ids=["an unsubscribe", "a complaint", "a bounce"],
)
def test_only_an_unsubscribe_does_not_say_itself_whose_it_is(no: OptOut, kept: OptOut) -> None:
    assert unread(no) == kept


def test_a_no_that_nobody_could_read_is_kept_as_an_admins_and_named_as_either() -> None:
    told = applied(known(), event())
    assert told.consent_state.opt_out == UNREAD
    assert told.entry is not None
    assert told.entry.who == "the person or somebody in Mailchimp"
    assert told.outbox_entry is not None


@pytest.mark.parametrize("by", ["person", "admin"])
def test_a_reading_of_the_same_no_says_in_silence_whose_it_is(by: OptOutRoute) -> None:
    before = applied(known(), event()).consent_state
    told = applied(before, seen("unsubscribed", by=by))
    assert told == ObservationResult(replace(before, opt_out=OptOut(NOON, by, "said so")))


@pytest.mark.parametrize(
    "shown",
    [
        replace(seen("unsubscribed", by="person"), observed_at=at(0)),
        seen("unsubscribed", by="person", route="sync"),
        seen("archived"),
        event(),
    ],
    ids=["read before", "an answer or a refusal", "a state without a reason", "the event again"],
)
def test_nothing_else_says_whose_no_it_is(shown: Observation) -> None:
    told = applied(applied(known(), event()).consent_state, shown)
    assert told.consent_state.opt_out == UNREAD


def test_a_reading_in_another_audience_does_not_say_whose_no_it_was() -> None:
    before = replace(applied(known(), event()).consent_state, audience_id=ELSEWHERE)
    told = applied(before, replace(seen("unsubscribed", -1, by="person"), observed_at=at(5)))
    assert told.consent_state.opt_out == UNREAD


@pytest.mark.parametrize("route", ["pracbill", None])
def test_an_event_is_no_echo_of_our_own_call(route: OptOutRoute | None) -> None:
    before = known("unsubscribed", opt_out=no_of(route) if route else None)
    told = applied(before, event(), pushed("unsubscribed"))
    assert told.kind == "opted_out"
    assert told.consent_state.opt_out == UNREAD


# --------------------------------------------------------------------------------- a no of an audience given up since


def elsewhere(minutes: float = 0, by: OptOutRoute = "person", status: Status = "unsubscribed") -> Observation:
    return seen(status, minutes, by=by, elsewhere=ELSEWHERE)


@pytest.mark.parametrize(
    ("by", "kept_as", "who"),
    [("person", "admin", "the person"), ("admin", "admin", "somebody in Mailchimp"), ("bounce", "bounce", "a bounce")],
)
def test_a_no_said_elsewhere_is_kept_beside_what_is_known_here(by: OptOutRoute, kept_as: OptOutRoute, who: str) -> None:
    before = known(asked_at=at(-5))
    told = applied(before, elsewhere(by=by), pushed())
    assert told.consent_state == replace(before, opt_out=OptOut(NOON, kept_as, "said so"))
    kind = "bounced" if by == "bounce" else "opted_out"
    entry = LedgerEntry(NOON, at(1), "subscribed", "unsubscribed", who, "pull", "told", {"from": "the pull"})
    outbox = OutboxEntry("key", ADDRESS, "unsubscribed", NOON, "mailchimp", "said so")
    assert told == ObservationResult(told.consent_state, kind, entry, outbox)  # type: ignore[arg-type]


def test_a_no_said_elsewhere_leaves_the_persons_own_no_here_the_persons() -> None:
    told = applied(known("unsubscribed", opt_out=no_of("person")), elsewhere())
    assert told.consent_state.opt_out == OptOut(NOON, "person", "said so")


def test_a_no_said_elsewhere_before_one_that_is_known_is_not_new() -> None:
    before = known("unsubscribed", opt_out=no_of("admin", 5))
    assert applied(before, elsewhere()) == ObservationResult(before)


def test_a_state_elsewhere_that_is_no_no_changes_nothing() -> None:
    before = known()
    assert applied(before, seen("archived", elsewhere=ELSEWHERE)) == ObservationResult(before)


@pytest.mark.parametrize("audience", [ELSEWHERE, ""])
def test_while_no_other_audience_is_known_what_is_seen_elsewhere_changes_the_state_as_ever(audience: str) -> None:
    before = replace(known(), audience_id=audience)
    there = apply_observation("key", before, None, ELSEWHERE, replace(elsewhere(), elsewhere=""))
    assert applied(before, elsewhere()) == there
    assert (there.consent_state.audience_id, there.consent_state.status) == (ELSEWHERE, "unsubscribed")


def test_what_is_said_in_the_selected_audience_counts_as_ever_whoever_names_it() -> None:
    shown = seen("unsubscribed", by="person")
    assert applied(known(), replace(shown, elsewhere=HERE)) == applied(known(), shown)


def test_nothing_said_elsewhere_is_kept_of_who_was_erased() -> None:
    before = known(erased=True)
    assert applied(before, elsewhere()) == ObservationResult(before)
