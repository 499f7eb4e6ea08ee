"""Noes that a call of ours undid: the webhook's event and the call's answer may come in any order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain.consent.observations import unread
from chalicelib.domain.consent.overtaken import observation_of_overtaken, overtaken_no, undoing_call, undone_again
from chalicelib.domain.customers import address_key

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from chalicelib.domain.consent.members import ConsentState, OptOut
    from chalicelib.domain.consent.observations import Observation
    from chalicelib.domain.departments import Department
    from chalicelib.domain.logs import Route
    from chalicelib.store.members import MemberStates, MemberStore
    from chalicelib.sync.consent.observations import Observations


class OvertakenNoes:
    def __init__(self, members: MemberStore, observations: Observations) -> None:
        self._members = members
        self._observations = observations

    def note(self, department: Department, address: str, no: OptOut) -> Counter[str]:
        """Keep the no of an event whose member has a raised status; it counts once a call of ours explains that."""
        key = address_key(department.salt, address)
        self._members.change_consent_state(department.id, key, address, lambda known: replace(known, told_no=no))
        return self.apply(department, [key], "webhook")

    def undone_elsewhere(
        self, department: Department, address: str, no: OptOut, audience_id: str
    ) -> Observation | None:
        """The no of an event of an audience that was selected before, if a call of ours undid it there."""
        key = address_key(department.salt, address)
        states = self._members.member_states(department.id, [key]).get(key)
        call = undoing_call(states.delivery, audience_id, no.at) if states is not None else None
        return observation_of_overtaken(address, unread(no), call, "webhook") if call is not None else None

    def apply(self, department: Department, address_keys: Iterable[str], route: Route) -> Counter[str]:
        """Apply the noes among these addresses that a call of ours undid.

        Whoever comes second sees both: an event notes its no before it looks for the call, and a call is noted, or its
        result kept, before it looks for the no.
        """
        observed: list[Observation] = []
        for states in self._members.member_states(department.id, address_keys).values():
            no = overtaken_no(states.consent_state, states.delivery, department.audience_id)
            call = undoing_call(states.delivery, department.audience_id, no.at) if no is not None else None
            if no is not None and call is not None:
                observed.append(observation_of_overtaken(states.address, no, call, route))
            elif undone_again(states.consent_state, states.delivery, department.audience_id):
                self._know_as_raised(department, states)
        return self._observations.apply(department, observed)

    def _know_as_raised(self, department: Department, states: MemberStates) -> None:
        """Let the next plan see what our call made of somebody whose no is known: it unsubscribes the contact again."""

        def raised(known: ConsentState) -> ConsentState:
            call = undone_again(known, states.delivery, department.audience_id)
            return known if call is None else replace(known, status=call.status, status_at=call.status_at)

        # Marked before and after, for a plan that reads the address in between.
        self._members.mark(department.id, [states.address_key], "undoing")
        self._members.change_consent_state(department.id, states.address_key, states.address, raised)
        self._members.mark(department.id, [states.address_key], "undone")
