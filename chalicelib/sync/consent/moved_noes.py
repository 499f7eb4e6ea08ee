"""A no that is heard late, when the one who said it has another address already.

A plan takes a no along when it decides an address to which a customer came. A no that is observed after that would
stay behind at the old address: so the new one is marked, and the next plan decides it again with what is known by then.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain.consent.observations import speaker_of
from chalicelib.domain.consent.opt_outs import newest_opt_out
from chalicelib.domain.logs import LedgerEntry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from chalicelib.domain.consent.members import ConsentState, Member, OptOut
    from chalicelib.domain.consent.observations import Observation
    from chalicelib.domain.departments import Department
    from chalicelib.store.logs import LedgerStore
    from chalicelib.store.members import MemberStore


class MovedNoes:
    def __init__(self, members: MemberStore, ledger: LedgerStore) -> None:
        self._members = members
        self._ledger = ledger

    def followed(self, department: Department, noes: Mapping[str, Observation]) -> list[str]:
        """The keys of the addresses that a plan must decide because of noes which are new at those given.

        An address that the customers passed through and left again is no longer decided with them: it gets the no here,
        so that it goes on from there.
        """
        concerned: list[str] = []
        for left, key in self._members.moves(department.id, noes).items():
            seen = {left}
            while key and key not in seen:
                seen.add(key)
                concerned.append(key)
                state = self._members.state(department.id, key, department.audience_id)
                if state.address_customers is not None or not state.moved_to:
                    break
                self._leave_on_the_way(department, state.member, noes[left])
                key = state.moved_to
        return concerned

    def _leave_on_the_way(self, department: Department, member: Member, observation: Observation) -> None:
        no = observation.opt_out
        if no is None or no.route == "bounce" or member.erased:
            return
        # Before the consent state, by which a repeat would take the no for known.
        entry = opt_out_entry(member, no, observation.observed_at, rule="no-moved-along")
        self._ledger.append_all(department.id, [(member.address_key, entry)])
        remember(self._members, department, member, no)


def remember(members: MemberStore, department: Department, member: Member, no: OptOut) -> None:
    """Keep an opt-out at an address, beside what is known there."""

    def consent_state(known: ConsentState) -> ConsentState:
        return replace(known, opt_out=newest_opt_out(known.opt_out, no))

    members.change_consent_state(department.id, member.address_key, member.address, consent_state)


def opt_out_entry(member: Member, no: OptOut, now: datetime, *, rule: str) -> LedgerEntry:
    """The ledger's entry for a no that PracBill recorded, or that came along from another address."""
    return LedgerEntry(
        at=no.at,
        recorded_at=now,
        was=member.status,
        became="unsubscribed",
        who=speaker_of(no),
        route="pracbill",
        rule=rule,
        evidence={"customers": ", ".join(no.customers)} if no.customers else {},
    )
