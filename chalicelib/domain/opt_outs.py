"""Opt-outs that a plan comes across, and which one is remembered when several are known."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from chalicelib.domain.members import OptOut
from chalicelib.domain.planning import AddressState


def newest_opt_out(known: OptOut | None, told: OptOut) -> OptOut:
    """The opt-out to remember: the latest time, and the person's own word rather than anybody else's.

    Who said no first in Mailchimp stays: PracBill may take back only a no of its own.
    """
    if known is None:
        return told
    later, earlier = (told, known) if told.at > known.at else (known, told)
    if later.route == "pracbill" and earlier.route != "pracbill":
        return replace(earlier, at=later.at)
    return later


def pracbill_opt_out(state: AddressState, now: datetime) -> OptOut | None:
    """PracBill's no for an address, when it is not known yet."""
    if state.sharers is None or state.sharers.consent != "unsubscribed" or state.member.erased:
        return None
    at = state.sharers.consent_at
    known = state.member.opt_out
    if known is not None and (at is None or at <= known.at):
        return None
    # A no dated in the future would outlive every yes until then.
    return OptOut(at=min(at, now) if at else now, route="pracbill", told_pracbill=True)


def no_along_a_move(state: AddressState, other: AddressState, now: datetime) -> OptOut | None:
    """The no that goes along when a customer moves between two addresses, where it is not known at `state` yet.

    A bounce belongs to the address alone.
    """
    no = other.member.opt_out or pracbill_opt_out(other, now)
    if no is None or no.route == "bounce" or state.member.erased:
        return None
    merged = newest_opt_out(state.member.opt_out, no)
    return merged if merged != state.member.opt_out else None
