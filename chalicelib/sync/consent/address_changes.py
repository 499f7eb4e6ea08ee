"""A person changed the address in Mailchimp, as the webhook tells, or a full pull or an update finds out.

What is known of the person goes along to the new address, a no as well. The old one is noted as left: it is not added
again although PracBill still has it, and PracBill is told nothing, since nobody opted out; unless the person has by now
unsubscribed under the new address, which PracBill would not know.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from chalicelib.domain.consent.observations import Observation
from chalicelib.domain.consent.opt_outs import no_of_a_contact
from chalicelib.domain.customers import address_key
from chalicelib.domain.logs import Route
from chalicelib.mailchimp.answers import RemoteMember
from chalicelib.sync.consent.observations import Observations, observation_of

if TYPE_CHECKING:
    from collections import Counter

    from chalicelib.domain.consent.members import OptOut
    from chalicelib.domain.departments import Department
    from chalicelib.mailchimp.client import MailchimpClient
    from chalicelib.store.members import MemberStore


@dataclass(frozen=True, slots=True)
class AddressChange:
    """From one address to another; `member` is how Mailchimp shows it now under the new one, None when it does not."""

    old_address: str = field(repr=False)
    new_address: str = field(repr=False)
    member: RemoteMember | None
    moved_at: datetime
    asked_at: datetime  # our clock before Mailchimp was asked
    route: Route


class AddressChanges:
    def __init__(self, members: MemberStore, observations: Observations) -> None:
        self._members = members
        self._observations = observations

    def apply(
        self, department: Department, mailchimp: MailchimpClient, move: AddressChange, *, was_there: bool
    ) -> Counter[str]:
        """Apply an address change; `was_there`: the old address is, or was, a member or a customer."""
        left = Observation(
            move.old_address,
            "forgotten",
            move.moved_at,
            move.asked_at,
            move.route,
            "address-changed",
            opt_out=_own_no(move),
            successor_key=address_key(department.salt, move.new_address),
        )
        departures = [left] if was_there else []
        if move.member is None:
            return self._observations.apply(department, departures)
        arrived = self._arrived(department, move, move.member)
        if arrived.opt_out is not None and move.member.status in ("subscribed", "pending", "transactional"):
            # The plan looks at PracBill's customers, and none has the new address: the no is carried out here.
            mailchimp.set_member_status(department.audience_id, move.member.address, "unsubscribed")
            arrived = replace(arrived, status="unsubscribed")
        # The new address first: once the old one is known as left, a repeat could not read what goes along.
        return self._observations.apply(department, [arrived]) + self._observations.apply(department, departures)

    def _arrived(self, department: Department, move: AddressChange, member: RemoteMember) -> Observation:
        """An observation of the new address, with what is known of the person by the old one."""
        keys = [address_key(department.salt, address) for address in (move.old_address, move.new_address)]
        old, new = (self._members.state(department.id, key, department.audience_id) for key in keys)
        observation = replace(observation_of(member, move.asked_at, move.route), rule="address-arrived")
        if not old.member.has_consent_state and old.member.pushed_at is None:
            return observation
        own, carried = observation.opt_out, no_of_a_contact(old.member.opt_out, old, new)
        # An unsubscribe by API may be ours, from a try that died.
        no = carried if own is None or (own.route == "admin" and carried is not None) else own
        return replace(observation, opt_out=no, pre_existing=not old.member.is_ours)


def _own_no(move: AddressChange) -> OptOut | None:
    """The no that the person said after the move. An admin's may be our own, and a bounce is the new address's."""
    no = observation_of(move.member, move.asked_at, move.route).opt_out if move.member is not None else None
    return no if no is not None and no.route == "person" else None
