"""Which no was undone by a call of ours: only one of the time before our own `subscribed`, and only a new one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.consent.members import (
    BegunCall,
    CallBefore,
    ConsentState,
    DeliveryState,
    OptOut,
    Status,
    UndoingCall,
)
from chalicelib.domain.consent.observations import Observation
from chalicelib.domain.consent.overtaken import (
    call_before,
    observation_of_overtaken,
    overtaken_no,
    undoing_call,
    undone_again,
)

AUDIENCE = "a1"
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
PUSHED_AT = datetime(2026, 3, 2, 10, 0, 5, tzinfo=UTC)
SUBSCRIBED_AT = PUSHED_AT + 4 * SECOND
DELIVERY = DeliveryState(AUDIENCE, "subscribed", PUSHED_AT, subscribed_at=SUBSCRIBED_AT)
CALL = UndoingCall("subscribed", PUSHED_AT, SUBSCRIBED_AT, SUBSCRIBED_AT)
SAID_AT = PUSHED_AT + SECOND
NO = OptOut(SAID_AT, "person", "Not interested")
TOLD = ConsentState(audience_id=AUDIENCE, status="subscribed", told_no=NO)
KNOWN = ConsentState(audience_id=AUDIENCE, status="unsubscribed", status_at=SAID_AT, opt_out=NO)

# What our call must have been to undo a no that was said at SAID_AT; one that differs in anything undid none.
OTHER_CALLS = [
    None,
    replace(DELIVERY, audience_id="another"),
    replace(DELIVERY, status="unsubscribed"),
    replace(DELIVERY, pushed_at=None),
    replace(DELIVERY, subscribed_at=None),
    replace(DELIVERY, pushed_at=None, subscribed_at=None),
]
# When a no may have been said for the call to have undone it. A call may be delivered again for a day after the pull.
MOMENTS = [
    (SUBSCRIBED_AT - DAY - SECOND, False),
    (SUBSCRIBED_AT - DAY, True),
    (PUSHED_AT, True),
    (SUBSCRIBED_AT, True),
    (SUBSCRIBED_AT + SECOND, False),
]


def test_a_no_that_our_call_undid_is_found_with_all_that_is_known_of_it() -> None:
    assert overtaken_no(TOLD, DELIVERY, AUDIENCE) == NO


@pytest.mark.parametrize("delivery", OTHER_CALLS)
def test_without_a_call_that_subscribed_there_no_told_no_was_undone(delivery: DeliveryState | None) -> None:
    assert overtaken_no(TOLD, delivery, AUDIENCE) is None


@pytest.mark.parametrize("state", [None, ConsentState(), ConsentState(audience_id=AUDIENCE, status="subscribed")])
def test_where_no_event_told_of_a_no_there_is_none_to_find(state: ConsentState | None) -> None:
    assert overtaken_no(state, DELIVERY, AUDIENCE) is None


@pytest.mark.parametrize(("at", "is_undone"), MOMENTS)
def test_a_told_no_counts_when_it_was_said_before_the_end_of_our_call(at: datetime, is_undone: bool) -> None:
    no = replace(NO, at=at)
    assert overtaken_no(replace(TOLD, told_no=no), DELIVERY, AUDIENCE) == (no if is_undone else None)


@pytest.mark.parametrize(
    ("no_seen_at", "is_new"),
    [(None, True), (SAID_AT - SECOND, True), (SAID_AT, False), (SAID_AT + SECOND, False)],
)
def test_a_told_no_that_mailchimp_showed_itself_is_no_news(no_seen_at: datetime | None, is_new: bool) -> None:
    state = replace(TOLD, no_seen_at=no_seen_at)
    assert overtaken_no(state, DELIVERY, AUDIENCE) == (NO if is_new else None)


def test_a_known_no_that_our_call_undid_is_noticed() -> None:
    assert undone_again(KNOWN, DELIVERY, AUDIENCE) == CALL


@pytest.mark.parametrize("delivery", OTHER_CALLS)
def test_without_a_call_that_subscribed_there_no_known_no_was_undone(delivery: DeliveryState | None) -> None:
    assert undone_again(KNOWN, delivery, AUDIENCE) is None


@pytest.mark.parametrize(
    "state",
    [
        None,
        replace(KNOWN, audience_id="another"),
        replace(KNOWN, opt_out=None),
        replace(KNOWN, status_at=None),
        replace(KNOWN, status="subscribed"),
        replace(KNOWN, status="cleaned"),
    ],
)
def test_a_no_that_is_not_known_or_not_carried_out_there_was_not_undone(state: ConsentState | None) -> None:
    assert undone_again(state, DELIVERY, AUDIENCE) is None


@pytest.mark.parametrize(("at", "is_undone"), MOMENTS)
def test_a_known_no_was_undone_when_mailchimp_carried_it_out_before_our_call_ended(
    at: datetime, is_undone: bool
) -> None:
    """The moment is that of the member's status: the no itself may be much older."""
    state = replace(KNOWN, status_at=at, opt_out=replace(NO, at=at - 30 * DAY))
    assert (undone_again(state, DELIVERY, AUDIENCE) is not None) is is_undone


def test_an_undone_no_is_observed_as_a_no_of_a_member_who_is_subscribed_through_us() -> None:
    assert observation_of_overtaken("ann@example.com", NO, CALL, "webhook") == Observation(
        address="ann@example.com",
        status="subscribed",
        status_at=SUBSCRIBED_AT,
        observed_at=PUSHED_AT,
        route="webhook",
        rule="unsubscribed-meanwhile",
        opt_out=NO,
    )


# ------------------------------------------------------------------------------ calls whose answer was never kept


BEGUN = DeliveryState(AUDIENCE, "absent", None, begun=BegunCall("subscribed", PUSHED_AT))
MINUTE = timedelta(minutes=1)


def test_a_call_whose_answer_was_never_kept_counts_as_carried_out() -> None:
    assert overtaken_no(TOLD, BEGUN, AUDIENCE) == NO
    assert undone_again(KNOWN, BEGUN, AUDIENCE) is not None


@pytest.mark.parametrize(
    ("at", "is_undone"),
    [
        (PUSHED_AT + 6 * MINUTE - DAY, True),
        (PUSHED_AT, True),
        (PUSHED_AT + 6 * MINUTE, True),
        (PUSHED_AT + 7 * MINUTE, False),
    ],
)
def test_such_a_call_ends_with_its_step_at_the_latest(at: datetime, is_undone: bool) -> None:
    assert (undoing_call(BEGUN, AUDIENCE, at) is not None) is is_undone


@pytest.mark.parametrize("status", ["archived", "unsubscribed", "pending"])
def test_only_a_call_that_raises_a_status_undoes_a_no(status: Status) -> None:
    assert undoing_call(replace(BEGUN, begun=BegunCall(status, PUSHED_AT)), AUDIENCE, SAID_AT) is None


def test_a_no_is_also_undone_by_a_call_that_makes_somebody_non_subscribed() -> None:
    made = replace(DELIVERY, status="transactional")
    call = undoing_call(made, AUDIENCE, SAID_AT)
    assert call is not None
    assert call.status == "transactional"
    assert overtaken_no(TOLD, made, AUDIENCE) == NO


def test_an_event_that_comes_days_later_finds_the_call_though_data_were_sent_since() -> None:
    since = replace(DELIVERY, pushed_at=PUSHED_AT + 5 * DAY)
    assert overtaken_no(TOLD, since, AUDIENCE) == NO


# ------------------------------------------------------------------------------ once another audience has been selected

ELSEWHERE = DeliveryState("another", "subscribed", PUSHED_AT + DAY, call_before=CallBefore(AUDIENCE, CALL))
BEGUN_AT = SUBSCRIBED_AT + SECOND
BEGUN_LATER = BegunCall("subscribed", BEGUN_AT)


@pytest.mark.parametrize(
    ("delivery", "kept"),
    [
        (None, None),
        (DeliveryState(AUDIENCE, "subscribed", PUSHED_AT), None),
        (DELIVERY, CallBefore(AUDIENCE, CALL)),
        (
            replace(DELIVERY, begun=BEGUN_LATER),
            CallBefore(AUDIENCE, UndoingCall("subscribed", BEGUN_AT, BEGUN_AT, BEGUN_LATER.until)),
        ),
        (ELSEWHERE, CallBefore(AUDIENCE, CALL)),
        (replace(DELIVERY, call_before=CallBefore("another", CALL)), CallBefore(AUDIENCE, CALL)),
    ],
    ids=["nothing sent", "nothing raised", "raised", "begun later", "one before that", "a later one"],
)
def test_the_last_call_that_raised_the_status_is_kept_of_an_audience_before(
    delivery: DeliveryState | None, kept: CallBefore | None
) -> None:
    assert call_before(delivery) == kept


@pytest.mark.parametrize(("at", "is_undone"), MOMENTS)
def test_a_call_in_the_audience_before_explains_a_no_there(at: datetime, is_undone: bool) -> None:
    assert undoing_call(ELSEWHERE, AUDIENCE, at) == (CALL if is_undone else None)


def test_a_call_in_the_audience_before_explains_no_no_of_the_selected_one() -> None:
    assert undoing_call(ELSEWHERE, "another", SAID_AT) is None
