"""Opt-outs that a plan meets: those said to PracBill, and those that go along with a person to another address."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain.consent.members import ConsentState, Member, OptOut
from chalicelib.domain.consent.opt_outs import no_along_a_move, no_of_a_contact
from chalicelib.iteration import map_concurrently, slices
from chalicelib.sync.consent.moved_noes import opt_out_entry, remember

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from chalicelib.domain.departments import Department
    from chalicelib.domain.planning import AddressState
    from chalicelib.domain.runs import Run
    from chalicelib.store.logs import LedgerStore
    from chalicelib.store.members import MemberStore
    from chalicelib.sync.ports import Clock

_OPT_OUTS_AT_ONCE = 100  # what one transaction of DynamoDB takes


class PlannedOptOuts:
    def __init__(self, *, members: MemberStore, ledger: LedgerStore, clock: Clock) -> None:
        self._members = members
        self._ledger = ledger
        self._clock = clock

    def with_no_of_a_move(self, run: Run, department: Department, state: AddressState, now: datetime) -> AddressState:
        """The state with an opt-out that a customer said at the address before, or says at the one after."""
        others = {arrival.from_key for arrival in state.arrivals} | ({state.moved_to} - {""})
        for other_key in sorted(others):
            other = self._members.state(department.id, other_key, department.audience_id)
            no = no_along_a_move(state, other, now)
            if no is None:
                continue
            member = state.member
            if not run.dry_run:
                entry = opt_out_entry(member, no, now, rule="no-moved-along")
                self._ledger.append(department.id, member.address_key, entry)
                remember(self._members, department, member, no)
            state = replace(state, member=replace(member, opt_out=no))
        return state

    def remember(self, department: Department, told: Sequence[tuple[Member, OptOut]]) -> None:
        """Remember PracBill's own opt-outs: they must stand when the customer is removed, or comes back silent."""
        now = self._clock()
        for member, said in told:
            self._follow(department, member, said, now)
        for part in slices(told, _OPT_OUTS_AT_ONCE):
            # Before the consent state, by which a repeat would take the opt-out for known.
            entries = [(m.address_key, opt_out_entry(m, said, now, rule="no-recorded")) for m, said in part]
            self._ledger.append_all(department.id, entries)
            new = [
                (m.address_key, m.address, ConsentState(opt_out=said)) for m, said in part if not m.has_consent_state
            ]
            if not new or not self._members.add_consent_states(department.id, new):
                new = []
            added = {key for key, _, _ in new}
            rest = [(m, said) for m, said in part if m.address_key not in added]
            map_concurrently(lambda one: remember(self._members, department, *one), rest)

    def _follow(self, department: Department, member: Member, said: OptOut, now: datetime) -> None:
        """A no said to PracBill by who left the address in Mailchimp holds for the address they moved to.

        No customer has that one, so nothing else would bring the no there.
        """
        followed, audience_id = {member.address_key}, department.audience_id
        while member.successor_key and member.successor_key not in followed:
            left, there = self._members.states(department.id, [member.address_key, member.successor_key], audience_id)
            if not there.member.address or no_of_a_contact(said, left, there) is None:
                return
            member = there.member
            followed.add(member.address_key)
            entry = opt_out_entry(member, said, now, rule="no-moved-along")
            self._ledger.append(department.id, member.address_key, entry)
            remember(self._members, department, member, said)
            self._members.mark(department.id, [member.address_key], "no-moved-along")
