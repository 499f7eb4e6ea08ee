"""Opt-outs that a plan comes across, and which one is remembered when several are known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain.consent.members import OptOut

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from chalicelib.domain.planning import AddressState, Arrival


def newest_opt_out(known: OptOut | None, told: OptOut) -> OptOut:
    """The opt-out to remember: the latest time, and the person's own word rather than anybody else's.

    Who said no first in Mailchimp stays: PracBill may take back only a no of its own.
    """
    if known is None:
        return told
    later, earlier = (told, known) if told.at > known.at else (known, told)
    customers = _whose(known, told)
    if later.route == "pracbill" and earlier.route != "pracbill":
        return replace(earlier, at=later.at, customers=customers)
    return replace(later, customers=customers)


def _whose(one: OptOut, other: OptOut) -> tuple[str, ...]:
    """Whose word two noes are together; nobody is named where one of them is that of whoever reads the mailbox."""
    if any(no.route != "pracbill" and not no.customers for no in (one, other)):
        return ()
    return tuple(sorted({*one.customers, *other.customers}))


def pracbill_opt_out(state: AddressState, now: datetime) -> OptOut | None:
    """PracBill's no for an address, when it, or that it is one of these customers' too, is not known yet."""
    if state.address_customers is None or state.address_customers.consent != "unsubscribed" or state.member.erased:
        return None
    at, refusers = state.address_customers.consent_at, state.address_customers.refusers
    known = state.member.opt_out
    is_known = known is not None and (at is None or at <= known.at)
    if known is not None and is_known and (known.route != "pracbill" or refusers <= {*known.customers}):
        return None
    # A no dated in the future would outlive every yes until then.
    at = min(at, now) if at else known.at if known is not None else now
    return OptOut(at=at, route="pracbill", sent_to_pracbill=True, customers=tuple(sorted(refusers)))


def no_along_a_move(state: AddressState, other: AddressState, now: datetime) -> OptOut | None:
    """The no that goes along when a customer moves between two addresses, where it is not known at `state` yet.

    `other` is the address before or the one after. A no in PracBill goes along with the customer who said it, one said
    in Mailchimp with whoever moves, since nobody knows who of them reads the mailbox. A bounce belongs to the address.
    """
    no = _no_at(other, now)
    if no is None or no.route == "bounce" or state.member.erased:
        return None
    came = [arrival for arrival in state.arrivals if arrival.from_key == other.member.address_key]
    went = [arrival for arrival in other.arrivals if arrival.from_key == state.member.address_key]
    if not came and (state.address_customers is not None or not went):
        return None  # the customers who stay have not said what one of them says elsewhere
    speakers = _speakers(no, came or went, state, other)
    if not speakers:
        return None
    merged = newest_opt_out(state.member.opt_out, replace(no, customers=tuple(sorted(speakers))))
    return merged if merged != state.member.opt_out else None


def _no_at(state: AddressState, now: datetime) -> OptOut | None:
    said = pracbill_opt_out(state, now)
    return newest_opt_out(state.member.opt_out, said) if said is not None else state.member.opt_out


def _speakers(no: OptOut, movers: Sequence[Arrival], state: AddressState, other: AddressState) -> set[str]:
    """Those of the customers who moved whose word the no is, or may be."""
    ids, nobody_stays = {mover.customer_id for mover in movers}, other.address_customers is None
    if no.route != "pracbill" and not no.customers:
        # Said by whoever reads the mailbox: one who had left it by then does not, as long as others have it.
        return {m.customer_id for m in movers if nobody_stays or m.at is None or no.at <= m.at}
    if said_it := ids & {*no.customers}:
        return said_it
    # Whoever said it is no customer of the address any more, or was entered anew. Where nobody else is concerned, the
    # doubt counts against mailing.
    is_alone = nobody_stays and state.address_customers is not None and state.address_customers.ids <= ids
    return ids if is_alone else set()


def no_of_a_contact(no: OptOut | None, old: AddressState, new: AddressState) -> OptOut | None:
    """The part of what is known at one address that goes along when its contact goes by another in Mailchimp.

    The no of a customer stays behind where others have the new address and others than its speaker the old one: who of
    them went along is not to be known. A bounce belongs to the address.
    """
    if no is None or no.route == "bounce":
        return None
    if not no.customers or new.address_customers is None:
        return no
    said_by, before = {*no.customers}, old.address_customers.ids if old.address_customers is not None else frozenset()
    return no if before <= said_by or said_by & new.address_customers.ids else None
