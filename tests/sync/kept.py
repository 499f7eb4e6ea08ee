"""What is kept of addresses, in memory: each write is noted in its order, so that a test can say what comes first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from chalicelib.domain.consent.members import AddressCustomers, ConsentState, DeliveryState
from chalicelib.domain.consent.observations import OutboxEntry
from chalicelib.domain.customers import Customer
from chalicelib.domain.logs import LedgerEntry
from chalicelib.domain.planning import AddressState
from chalicelib.store.members import MemberStates

Write = tuple[Any, ...]


class KeptBatch:
    """Nothing of it is noted before `flush`."""

    def __init__(self, kept: KeptMembers) -> None:
        self._kept = kept
        self._waiting: list[tuple[Write, Callable[[], None]]] = []

    def mark(self, address_key: str, why: str) -> None:
        self._later(("mark", address_key, why))

    def unmark(self, marker_key: str) -> None:
        self._later(("unmark", marker_key))

    def recheck(self, address_key: str) -> None:
        self._later(("recheck", address_key))

    def put_delivery(self, address_key: str, address: str, delivery: DeliveryState) -> None:
        def put() -> None:
            states = self._kept.states.get(address_key, MemberStates(address_key, address))
            self._kept.states[address_key] = replace(states, address=address, delivery=delivery)

        self._later(("delivery", address_key), put)

    def remove_delivery(self, address_key: str) -> None:
        def remove() -> None:
            self._kept.states[address_key] = replace(self._kept.states[address_key], delivery=None)

        self._later(("no delivery", address_key), remove)

    def flush(self) -> None:
        for write, carry_out in self._waiting:
            carry_out()
            self._kept.writes.append(write)
        self._waiting.clear()

    def _later(self, write: Write, carry_out: Callable[[], None] = lambda: None) -> None:
        self._waiting.append((write, carry_out))


class KeptMembers:
    """Stands for the store of members and, in one row with it, for the ledger. It knows one department, `d1`."""

    def __init__(self, *states: MemberStates) -> None:
        self.states = {one.address_key: one for one in states}
        self.writes: list[Write] = []
        self.reads: list[list[str]] = []
        self.asked_to_change: list[str] = []  # each costs a read, too
        self.entries: list[LedgerEntry] = []
        self.outbox: list[OutboxEntry] = []
        self.customers: dict[str, Customer] = {}
        self.moved: dict[str, str] = {}  # to which address the last customer of one moved
        self._department_id = "d1"

    def written(self, *kinds: str) -> list[Write]:
        return [write for write in self.writes if write[0] in kinds]

    # the store of members

    def member_states(self, department_id: str, address_keys: Iterable[str]) -> dict[str, MemberStates]:
        keys = list(address_keys)
        assert department_id == self._department_id
        self.reads.append(keys)
        return {key: self.states[key] for key in keys if key in self.states}

    def moves(self, department_id: str, address_keys: Iterable[str]) -> dict[str, str]:
        assert department_id == self._department_id
        return {key: self.moved[key] for key in address_keys if key in self.moved}

    def state(self, department_id: str, address_key: str, audience_id: str) -> AddressState:
        assert department_id == self._department_id
        states = self.states.get(address_key, MemberStates(address_key, ""))
        customers = AddressCustomers((self.customers[address_key],)) if address_key in self.customers else None
        return AddressState(states.member(audience_id), customers, moved_to=self.moved.get(address_key, ""))

    def mark(self, department_id: str, address_keys: Iterable[str], why: str) -> None:
        batch = self.batch(department_id)
        for key in address_keys:
            batch.mark(key, why)
        batch.flush()

    def batch(self, department_id: str) -> KeptBatch:
        assert department_id == self._department_id
        return KeptBatch(self)

    def keep_outbox_entry(self, department_id: str, entry: OutboxEntry) -> None:
        assert department_id == self._department_id
        self.outbox.append(entry)
        self.writes.append(("outbox", entry.address_key, entry.status))

    def change_consent_state(
        self, department_id: str, address_key: str, address: str, change: Callable[[ConsentState], ConsentState]
    ) -> tuple[ConsentState, ConsentState]:
        assert department_id == self._department_id
        self.asked_to_change.append(address_key)
        states = self.states.get(address_key, MemberStates(address_key, address))
        before = states.consent_state or ConsentState()
        after = change(before)
        if after != before:
            self.states[address_key] = replace(states, address=address, consent_state=after)
            self.writes.append(("state", address_key, after.status))
        return before, after

    def add_consent_states(self, department_id: str, member_states: Sequence[tuple[str, str, ConsentState]]) -> bool:
        assert department_id == self._department_id
        known = (self.states.get(key) for key, _, _ in member_states)
        if any(one is not None and one.consent_state is not None for one in known):
            return False
        for key, address, state in member_states:
            states = self.states.get(key, MemberStates(key, address))
            self.states[key] = replace(states, consent_state=state)
        self.writes.append(("new states", len(member_states)))
        return True

    # the ledger

    def append(self, department_id: str, address_key: str, entry: LedgerEntry) -> None:
        self.append_all(department_id, [(address_key, entry)])

    def append_all(self, department_id: str, entries: Iterable[tuple[str, LedgerEntry]]) -> None:
        assert department_id == self._department_id
        for address_key, entry in entries:
            self.entries.append(entry)
            self.writes.append(("ledger", address_key, entry.rule))
