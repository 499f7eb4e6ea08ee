"""A no that a call of ours undid.

Mailchimp lets a call subscribe whom an admin unsubscribed, and has no conditional write. A run lists who was
unsubscribed right before it subscribes somebody; for a no said between that list and the end of the call only the
webhook's event is left, and the member shows the status that the call set. Such a no counts. Whether a person took it
back in those same seconds is not to be known, so the choice is the one that mails less. A call whose answer was never
kept counts as carried out.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from chalicelib.domain.consent.members import CallBefore, Status, UndoingCall
from chalicelib.domain.consent.observations import Observation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from chalicelib.domain.consent.members import ConsentState, DeliveryState, OptOut
    from chalicelib.domain.logs import Route

# What a call of ours may make of somebody who was unsubscribed.
RAISED: Final[frozenset[Status]] = frozenset({"subscribed", "transactional"})
# Between a run's pull and the end of a chunk that had to be delivered more than once; an older no was listed or pulled.
_LONGEST_BEFORE_PUSH = timedelta(days=1)


def overtaken_no(state: ConsentState | None, delivery: DeliveryState | None, audience_id: str) -> OptOut | None:
    """The no that an event told of and a call of ours undid; None where there is none, or it is known."""
    if state is None or state.told_no is None or undoing_call(delivery, audience_id, state.told_no.at) is None:
        return None
    is_known = state.no_seen_at is not None and state.told_no.at <= state.no_seen_at
    return None if is_known else state.told_no


def undone_again(state: ConsentState | None, delivery: DeliveryState | None, audience_id: str) -> UndoingCall | None:
    """The call that undid a no which is known and was carried out in Mailchimp; None where there was none.

    Within one second the order is not to be known; unsubscribing once more harms nobody.
    """
    if state is None or state.audience_id != audience_id or state.opt_out is None or state.status_at is None:
        return None
    return undoing_call(delivery, audience_id, state.status_at) if state.status == "unsubscribed" else None


def undoing_call(delivery: DeliveryState | None, audience_id: str, at: datetime) -> UndoingCall | None:
    """Our call there that raised the status after that moment, or may have; Mailchimp's clock counts whole seconds."""
    if delivery is None:
        return None
    calls = _raising_calls(delivery, audience_id)
    return next((call for call in calls if call.until - _LONGEST_BEFORE_PUSH <= at <= call.until), None)


def call_before(delivery: DeliveryState | None) -> CallBefore | None:
    """What is kept of an audience's delivery state once another audience's takes its place."""
    if delivery is None:
        return None
    last = max(_raising_calls(delivery, delivery.audience_id), key=lambda call: call.until, default=None)
    return CallBefore(delivery.audience_id, last) if last is not None else delivery.call_before


def _raising_calls(delivery: DeliveryState, audience_id: str) -> Iterator[UndoingCall]:
    before = delivery.call_before
    if before is not None and before.audience_id == audience_id:
        yield before.call
    if delivery.audience_id != audience_id:
        return
    if delivery.status in RAISED and delivery.pushed_at is not None and delivery.subscribed_at is not None:
        yield UndoingCall(delivery.status, delivery.pushed_at, delivery.subscribed_at, delivery.subscribed_at)
    begun = delivery.begun
    if begun is not None and begun.status in RAISED:
        yield UndoingCall(begun.status, begun.at, begun.at, begun.until)


def observation_of_overtaken(address: str, no: OptOut, call: UndoingCall, route: Route) -> Observation:
    """What such a no means for the address: the member is raised through us, and the no stands."""
    return Observation(address, call.status, call.status_at, call.asked_at, route, "unsubscribed-meanwhile", no)
