"""A no that a call of ours undid.

Mailchimp lets a call subscribe whom an admin unsubscribed, and has no conditional write. A run lists who was
unsubscribed right before it subscribes somebody; for a no said between that list and the end of the call only the
webhook's event is left, and the member shows `subscribed` when it is asked for. Such a no counts. Whether a person took
it back in those same seconds is not to be known, so the choice is the one that mails less.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from chalicelib.domain.consent.observations import Observation

if TYPE_CHECKING:
    from chalicelib.domain.consent.members import ConsentState, DeliveryState, OptOut
    from chalicelib.domain.logs import Route

# Between a run's pull and the end of a chunk that had to be delivered more than once; an older no was listed or pulled.
_LONGEST_BEFORE_PUSH = timedelta(days=1)


def overtaken_no(state: ConsentState | None, delivery: DeliveryState | None, audience_id: str) -> OptOut | None:
    """The no that an event told of and our last `subscribed` undid; None where there is none, or it is known."""
    if state is None or state.told_no is None or not _undid(delivery, audience_id, state.told_no.at):
        return None
    is_known = state.no_seen_at is not None and state.told_no.at <= state.no_seen_at
    return None if is_known else state.told_no


def is_subscribed_through_us(state: ConsentState | None, delivery: DeliveryState | None, audience_id: str) -> bool:
    """Whether a no is known and was carried out in Mailchimp, and our last `subscribed` undid that afterwards.

    Within one second the order is not to be known; unsubscribing once more harms nobody.
    """
    if state is None or state.audience_id != audience_id or state.opt_out is None or state.status_at is None:
        return False
    return state.status == "unsubscribed" and _undid(delivery, audience_id, state.status_at)


def _undid(delivery: DeliveryState | None, audience_id: str, at: datetime) -> bool:
    """Whether our last push there set `subscribed` after that moment; Mailchimp's clock counts whole seconds."""
    if delivery is None or delivery.audience_id != audience_id or delivery.status != "subscribed":
        return False
    if delivery.pushed_at is None or delivery.subscribed_at is None:
        return False
    return delivery.pushed_at - _LONGEST_BEFORE_PUSH <= at <= delivery.subscribed_at


def observation_of_overtaken(address: str, no: OptOut, delivery: DeliveryState, route: Route) -> Observation:
    """What such a no means for the address: the member is subscribed through us, and the no stands."""
    assert delivery.pushed_at is not None
    assert delivery.subscribed_at is not None
    return Observation(
        address, "subscribed", delivery.subscribed_at, delivery.pushed_at, route, "unsubscribed-meanwhile", no
    )
