"""Noes that a call of ours undid: the webhook's event and the call's answer may come in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from chalicelib.domain.consent.members import OptOut
from chalicelib.domain.consent.observations import Observation
from chalicelib.domain.consent.overtaken import observation_of_overtaken, overtaken_no
from chalicelib.domain.customers import address_key
from chalicelib.domain.departments import Department
from chalicelib.domain.logs import Route
from chalicelib.store.members import MemberStore
from chalicelib.sync.consent.observations import Observations


class OvertakenNoes:
    def __init__(self, members: MemberStore, observations: Observations) -> None:
        self._members = members
        self._observations = observations

    def note(self, department: Department, address: str, no: OptOut) -> Counter[str]:
        """Keep the no of an event whose member is subscribed; it counts as soon as a call of ours explains that."""
        key = address_key(department.salt, address)
        self._members.change_consent_state(department.id, key, address, lambda known: replace(known, told_no=no))
        return self.apply(department, [key], "webhook")

    def apply(self, department: Department, address_keys: Iterable[str], route: Route) -> Counter[str]:
        """Apply the noes among these addresses that our last call undid.

        Whoever comes second sees both: an event notes its no before it looks for the call, and a call's result is kept
        before it looks for the no.
        """
        observed: list[Observation] = []
        for states in self._members.member_states(department.id, address_keys).values():
            no = overtaken_no(states.consent_state, states.delivery, department.audience_id)
            if no is not None and states.delivery is not None:
                observed.append(observation_of_overtaken(states.address, no, states.delivery, route))
        return self._observations.apply(department, observed)
