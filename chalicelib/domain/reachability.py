"""Who would really get a campaign: subscribed, and about to stay so; or about to be added as subscribed."""

from __future__ import annotations

from chalicelib.domain.planning import AddressState, Held, Operation


def is_reachable(state: AddressState, decision: Operation | Held) -> bool:
    """Whether campaigns reach an address after its planned `decision`: consent, refusals and status all have a say."""
    if isinstance(decision, Held):
        return state.member.status == "subscribed"
    match decision.action:
        case "update" | "rename":
            return state.member.status == "subscribed" or decision.action == "rename"
        case "add" | "subscribe":
            return decision.status == "subscribed"
        case _:
            return False
