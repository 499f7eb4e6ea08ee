"""The customers who changed since the segments were last brought to Mailchimp: as they were counted, and as they are.

They are told by their addresses (store/tag_rechecks.py). What such customers add to the counts of segments is taken
before anything is done for them and after, so that the counts of all need not be taken anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chalicelib.domain.customers import customer_key
from chalicelib.domain.planning import AddressState
from chalicelib.domain.segments.membership_counts import MembershipCounts
from chalicelib.store.customer_reading import CustomerRow
from chalicelib.store.tag_rechecks import NO_ADDRESS, TagRecheck

if TYPE_CHECKING:
    from chalicelib.domain.address_status import AddressStatus

# The keys of customers begin with one of these; checks of segments' failed calls have the segment in their place.
_KINDS_OF_KEYS = ("0", "1")


@dataclass(slots=True)
class ChangedCustomers:
    """What a step has read of them; all of it by address key, or by customer key."""

    checks: Sequence[TagRecheck]
    states: dict[str, AddressState] = field(default_factory=dict)
    rows: dict[str, CustomerRow] = field(default_factory=dict)
    was_reached: set[str] = field(default_factory=set)
    is_reached: set[str] = field(default_factory=set)

    def take(self, states: Iterable[AddressState], before: dict[str, bool], now: dict[str, AddressStatus]) -> None:
        """Addresses that were read, whether campaigns reached them when they were counted, and where they stand now."""
        # An address that is noted several times was counted as it stood the first time.
        self.was_reached |= {key for key, reached in before.items() if reached and key not in self.states}
        self.states.update({state.member.address_key: state for state in states})
        self.is_reached |= {key for key, status in now.items() if status.is_reached}

    def keys_of(self, states: Iterable[AddressState], checks: Iterable[TagRecheck]) -> list[str]:
        """The customers of some addresses, and those of some checks who have none."""
        found = [key for state in states for key in _customer_keys(state)]
        return [*found, *(check.customer_key for check in checks if check.address_key == NO_ADDRESS)]

    def counts_before(self, segment_ids: Sequence[str]) -> MembershipCounts:
        """What they added to the counts: those who are there with what is stored, those who left as they are noted."""
        counts, by_address = self._count(segment_ids, self.rows, self.was_reached), self._by_address()
        for check in self.checks:
            if not check.customer_key.startswith(_KINDS_OF_KEYS):
                continue
            if check.is_gone or check.customer_key not in by_address.get(check.address_key, [check.customer_key]):
                left_out = dict(text.split(":", 1) for text in check.left_out)
                key = check.address_key if check.address_key != NO_ADDRESS else None
                counts.add(key, check.segments, left_out, is_reached=check.address_key in self.was_reached)
        return counts

    def counts_after(self, segment_ids: Sequence[str], rows: dict[str, CustomerRow]) -> MembershipCounts:
        """What they add, as they are stored by now."""
        return self._count(segment_ids, rows, self.is_reached)

    def _count(self, segment_ids: Sequence[str], rows: dict[str, CustomerRow], reached: set[str]) -> MembershipCounts:
        counts = MembershipCounts(segment_ids)
        for row in rows.values():
            key = row.address_key
            counts.add(key, row.in_segments, row.left_out, is_reached=key in reached)
        return counts

    def _by_address(self) -> dict[str, list[str]]:
        return {key: _customer_keys(state) for key, state in self.states.items()}


def _customer_keys(state: AddressState) -> list[str]:
    return [customer_key(one.id) for one in state.address_customers.customers] if state.address_customers else []
