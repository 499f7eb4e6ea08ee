"""The circumstances of a chunk's calls: where they go, and what was known before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from chalicelib.domain.consent.members import Member
from chalicelib.domain.departments import Department
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.store.members import MemberStates
from chalicelib.sync.consent.observations import observation_of
from chalicelib.sync.ports import Remaining

if TYPE_CHECKING:
    from chalicelib.domain.consent.observations import Observation
    from chalicelib.mailchimp.answers import RemoteMember


@dataclass(frozen=True, slots=True)
class Known:
    """What was known of a chunk's addresses before its calls."""

    audience_id: str
    member_states: dict[str, MemberStates]

    def member(self, address_key: str, address: str = "") -> Member:
        member_states = self.member_states.get(address_key)
        return member_states.member(self.audience_id) if member_states else Member(address_key, address)


@dataclass(frozen=True, slots=True)
class Sending:
    """The circumstances of a chunk's calls.

    `pulled_at` is up to when Mailchimp's changes are known, `asked_at` our clock before the first of the calls.
    """

    department: Department
    mailchimp: MailchimpClient
    remaining: Remaining
    known: Known
    pulled_at: datetime
    asked_at: datetime

    @property
    def audience_id(self) -> str:
        return self.known.audience_id

    def member(self, address_key: str) -> Member:
        return self.known.member(address_key)

    def observation(self, shown: RemoteMember) -> Observation:
        return observation_of(shown, self.asked_at, "sync")
