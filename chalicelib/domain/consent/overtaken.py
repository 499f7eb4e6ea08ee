"""A no that a call of ours undid.

Mailchimp lets a call subscribe whom an admin unsubscribed, and has no conditional write. A run lists who was
unsubscribed right before it subscribes somebody; for a no said between that list and the end of the call only the
webhook's event is left, and the member shows `subscribed` when it is asked for. Such a no counts. Whether a person took
it back in those same seconds is not to be known, so the choice is the one that mails less.
"""

from __future__ import annotations

from datetime import timedelta

from chalicelib.domain.consent.members import ConsentState, DeliveryState, OptOut
from chalicelib.domain.consent.observations import Observation
from chalicelib.domain.logs import Route

# Between a run's pull and the end of a chunk that had to be delivered more than once; an older no was listed or pulled.
_LONGEST_BEFORE_PUSH = timedelta(days=1)


def overtaken_no(state: ConsentState | None, delivery: DeliveryState | None, audience_id: str) -> OptOut | None:
    """The no that an event told of and our last `subscribed` undid; None where there is none, or it is known."""
    if state is None or state.told_no is None or delivery is None or delivery.audience_id != audience_id:
        return None
    no, pushed_at, subscribed_at = state.told_no, delivery.pushed_at, delivery.subscribed_at
    if pushed_at is None or subscribed_at is None or (state.no_seen_at is not None and no.at <= state.no_seen_at):
        return None
    # Mailchimp counts whole seconds, and within one the no counts.
    return no if pushed_at - _LONGEST_BEFORE_PUSH <= no.at <= subscribed_at else None


def observation_of_overtaken(address: str, no: OptOut, delivery: DeliveryState, route: Route) -> Observation:
    """What such a no means for the address: the member is subscribed through us, and the no stands."""
    assert delivery.pushed_at is not None
    assert delivery.subscribed_at is not None
    return Observation(
        address, "subscribed", delivery.subscribed_at, delivery.pushed_at, route, "unsubscribed-meanwhile", no
    )
