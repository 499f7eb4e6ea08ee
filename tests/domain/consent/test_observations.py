"""Rules of hearing that need no storage: order, repetition, ties."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from chalicelib.domain.consent.members import ConsentState, DeliveryState, OptOut, Status
from chalicelib.domain.consent.observations import Observation, apply_observation

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HERE, ELSEWHERE = "audience-1", "audience-2"
_NOS = {"unsubscribed": "person", "cleaned": "bounce", "forgotten": "admin"}


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def observation(status: Status, minutes: float, *, by: str = "", rule: str = "told", **fields: object) -> Observation:
    """News of a state that began some minutes after noon; `by` says whose no it is."""
    route = by or _NOS.get(status, "")
    no = OptOut(at(minutes), route, "said so") if route else None  # type: ignore[arg-type]
    told = Observation("ann@clinic.test", status, at(minutes), at(minutes + 1), "pull", rule, no)
    return replace(told, **fields)  # type: ignore[arg-type]


def observe(known: ConsentState, *told: Observation, push: DeliveryState | None = None) -> ConsentState:
    for one in told:
        known = apply_observation("key", known, push, HERE, one).consent_state
    return known


states = st.builds(
    observation,
    st.sampled_from(["subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived", "forgotten"]),
    st.integers(0, 20),
)
histories = st.lists(states, min_size=1, max_size=8)


@given(histories)
def test_the_latest_state_counts_whatever_was_heard_before_it(told: list[Observation]) -> None:
    last = max(told, key=lambda one: one.rank)
    assert observe(ConsentState(), *told, last).status == last.status


@given(histories, st.data())
def test_news_that_is_heard_again_changes_nothing(told: list[Observation], data: st.DataObject) -> None:
    known = observe(ConsentState(), *sorted(told, key=lambda one: one.rank))
    assert observe(known, *data.draw(st.permutations(told))) == known


@given(histories)
@example([observation("unsubscribed", 0), observation("unsubscribed", 1), observation("subscribed", 1)])
def test_a_no_that_is_mailchimps_last_word_is_known_in_whatever_order_it_is_heard(told: list[Observation]) -> None:
    assume(max(told, key=lambda one: one.rank).opt_out is not None)
    assert observe(ConsentState(), *told).opt_out is not None


# Every state that Mailchimp shows, and whose no it may be.
_STATES: tuple[tuple[Status, str], ...] = (
    ("subscribed", ""),
    ("pending", ""),
    ("transactional", ""),
    ("archived", ""),
    ("archived", "person"),  # as the webhook tells an unsubscribe of somebody who was archived since
    ("unsubscribed", "person"),
    ("unsubscribed", "admin"),
    ("cleaned", "bounce"),
    ("forgotten", "admin"),
)
_MAILABLE: tuple[Status, ...] = ("subscribed", "transactional")
Shown = tuple[tuple[Status, str], int]


def every_hearing(length: int) -> Iterator[tuple[Shown, ...]]:
    """Every row of so many states at every order of their times, equal ones too."""
    for states_shown in product(_STATES, repeat=length):
        for minutes in product(range(length), repeat=length):
            yield tuple(zip(states_shown, minutes, strict=True))


def told_as(shown: Iterable[Shown]) -> list[Observation]:
    return [_news_of(one) for one in shown]


@cache
def _news_of(shown: Shown) -> Observation:
    (status, by), minutes = shown
    return observation(status, minutes, by=by)


@cache
def known_as_heard(shown: tuple[Shown, ...]) -> ConsentState:
    """What is known when all is heard in this row; rows that begin alike are heard once up to there."""
    return observe(known_as_heard(shown[:-1]), _news_of(shown[-1])) if shown else ConsentState()


@cache
def known_in_order(shown: frozenset[Shown]) -> ConsentState:
    """What is known when all is heard as it happened; of two noes in one second the person's own was first."""
    by_time = sorted(
        told_as(shown), key=lambda one: (one.rank, one.opt_out is not None and one.opt_out.route == "admin")
    )
    return observe(ConsentState(), *by_time)


@pytest.mark.parametrize("length", [2, 3])
def test_no_order_of_hearing_loses_a_no(length: int) -> None:
    """A no may end only where what was heard by then ends it in its own order."""
    lost = []
    for shown in every_hearing(length):
        counted = without_older_noes(shown)
        heard_by_then = [frozenset(counted[: index + 1]) for index in range(len(counted))]
        with_no = [part for part in heard_by_then if any(by for (_, by), _ in part)]
        is_due = with_no and all(known_in_order(part).opt_out for part in with_no)
        if is_due and known_as_heard(shown).opt_out is None:
            lost.append(shown)
    assert lost == []


def without_older_noes(shown: Sequence[Shown]) -> list[Shown]:
    """A no that is older than one heard before it adds nothing to that."""
    counted: list[Shown] = []
    for (status, by), minutes in shown:
        if not by or all(minutes >= earlier for (_, also_by), earlier in counted if also_by):
            counted.append(((status, by), minutes))
    return counted


@pytest.mark.parametrize("length", [2, 3])
def test_every_order_of_hearing_ends_at_mailchimps_latest_state(length: int) -> None:
    """Only `subscribed` and `transactional` are not noted again when they are seen again: a push of data does that."""
    wrong = []
    for shown in every_hearing(length):
        statuses = [status for (status, _), _ in shown]
        if any(statuses.count(status) > 1 for status in _MAILABLE):
            continue
        if known_as_heard(shown).status != known_in_order(frozenset(shown)).status:
            wrong.append(shown)
    assert wrong == []


def test_a_late_yes_between_two_deletions_for_good_ends_nothing() -> None:
    known = observe(
        ConsentState(), observation("forgotten", 0), observation("forgotten", 10), observation("subscribed", 5)
    )
    assert (known.status, known.opt_out is not None) == ("forgotten", True)
    assert apply_observation("key", known, None, HERE, observation("subscribed", 5)).outbox_entry is None


@pytest.mark.parametrize("later", ["archived", "transactional", "pending", "subscribed"])
@pytest.mark.parametrize("no", ["unsubscribed", "cleaned", "forgotten"])
def test_a_no_that_is_heard_late_counts_and_pracbill_hears_of_it(no: Status, later: Status) -> None:
    applied = apply_observation("key", observe(ConsentState(), observation(later, 10)), None, HERE, observation(no, 0))
    assert applied.consent_state.status == later
    assert applied.consent_state.opt_out == observation(no, 0).opt_out
    assert applied.outbox_entry is not None
    assert applied.outbox_entry.occurred_at == at(0)
    assert applied.entry is not None


def test_a_no_that_ended_with_the_persons_yes_is_none_when_it_is_heard_again() -> None:
    known = observe(
        ConsentState(), observation("unsubscribed", 0), observation("unsubscribed", 3), observation("subscribed", 5)
    )
    assert known.opt_out is None
    assert observe(known, observation("unsubscribed", 0), observation("unsubscribed", 3)) == known
    assert observe(known, observation("unsubscribed", 4)).opt_out is not None


def test_who_moved_away_and_is_missed_at_the_old_address_later_is_still_known_as_moved() -> None:
    known = observe(
        ConsentState(), observation("forgotten", 0, successor_key="elsewhere"), observation("forgotten", 10)
    )
    assert (known.successor_key, known.status_at) == ("elsewhere", at(10))
    assert observe(known, observation("subscribed", 11)).opt_out is not None


def test_a_yes_between_two_noes_of_which_the_later_was_heard_first_is_none() -> None:
    known = observe(
        ConsentState(), observation("unsubscribed", 0), observation("unsubscribed", 10), observation("subscribed", 5)
    )
    assert known.status == "unsubscribed"
    assert known.opt_out is not None
    assert observe(known, observation("subscribed", 11)).opt_out is None


@given(histories)
def test_a_bounce_stays_known_whatever_is_done_to_the_member_in_mailchimp(told: list[Observation]) -> None:
    bounced = observe(ConsentState(), observation("cleaned", -10))
    known = observe(bounced, *[one for one in told if one.status in ("subscribed", "transactional", "archived")])
    assert known.opt_out == bounced.opt_out


@pytest.mark.parametrize(
    ("first", "second"), [("subscribed", "unsubscribed"), ("unsubscribed", "subscribed"), ("pending", "cleaned")]
)
def test_of_two_states_in_one_second_the_stricter_counts(first: Status, second: Status) -> None:
    strict = {"unsubscribed", "cleaned"} & {first, second}
    assert {observe(ConsentState(), observation(first, 0), observation(second, 0)).status} == strict


def test_a_state_of_ours_within_a_second_does_not_hide_mailchimps_state_of_that_second() -> None:
    known = ConsentState(HERE, "subscribed", status_at=NOON + timedelta(milliseconds=700))
    assert observe(known, observation("unsubscribed", 0)).status == "unsubscribed"


def test_a_state_of_another_audience_is_no_measure_of_what_is_newer() -> None:
    known = ConsentState(ELSEWHERE, "subscribed", status_at=at(60))
    assert observe(known, observation("unsubscribed", 0)).status == "unsubscribed"


def test_a_second_no_of_the_same_state_does_not_move_the_time_of_the_first() -> None:
    """Editing an unsubscribed member moves last_changed; a yes given in between must stay later than the no."""
    once = observe(ConsentState(), observation("unsubscribed", 0))
    again = observe(once, observation("unsubscribed", 30))
    assert (again.opt_out, again.status_at) == (once.opt_out, at(30))


def test_mailchimps_later_no_is_told_with_its_own_time_though_pracbills_is_later_still() -> None:
    known = ConsentState(HERE, "subscribed", opt_out=OptOut(at(60), "pracbill"))
    applied = apply_observation("key", known, None, HERE, observation("unsubscribed", 30))
    assert applied.consent_state.opt_out == OptOut(at(60), "person", "said so")
    assert applied.outbox_entry is not None
    assert applied.outbox_entry.occurred_at == at(30)


def test_an_admins_no_in_a_new_audience_takes_the_place_of_a_persons_no_in_another() -> None:
    """Otherwise an admin could take back in the new audience what the person said in the old one."""
    known = ConsentState(ELSEWHERE, "unsubscribed", opt_out=OptOut(at(60), "person"))
    there = observe(known, observation("unsubscribed", 30, by="admin"))
    assert there.opt_out == OptOut(at(60), "admin")
    assert observe(there, observation("subscribed", 90)).opt_out == OptOut(at(60), "admin")


def test_news_says_nothing_of_an_address_when_it_is_printed() -> None:
    told = apply_observation("key", ConsentState(), None, HERE, observation("unsubscribed", 0))
    assert "ann" not in f"{observation('subscribed', 0)} {told}"
