"""Looking again at addresses of which something changed: where they stand, and whose tags are gone with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.address_status import AddressStatus, address_status
from chalicelib.domain.consent.members import TAGGABLE
from chalicelib.domain.customers import customer_key
from chalicelib.domain.planning import AddressState, plan_address
from chalicelib.store.tag_rechecks import NO_ADDRESS, TagRecheck
from chalicelib.sync.runs.progress import ENOUGH_SECONDS
from chalicelib.sync.segments.membership_diff import (
    MOST_STATES_KEPT,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from chalicelib.domain.departments import Department
    from chalicelib.store.stores import Stores
    from chalicelib.sync.ports import Clock, Remaining
    from chalicelib.sync.segments.changed_customers import ChangedCustomers

_CHECKS_AT_ONCE = 200


class AddressLooks:
    def __init__(self, stores: Stores, clock: Clock) -> None:
        self._customers, self._members, self._tags = stores.customers, stores.members, stores.tags
        self._address_statuses = stores.address_statuses
        self._clock = clock

    def look_at(
        self,
        department: Department,
        checks: Sequence[TagRecheck],
        changed: ChangedCustomers,
        looked_to: str,
        remaining: Remaining,
    ) -> str | None:
        """Note where addresses stand by now, and unmark customers whose member has left.

        None at the end; where to go on when time was over. What was read is added to `changed`: the same addresses are
        those that enter and leave segments.
        """
        ahead = [check for check in checks if check.key > looked_to]
        statuses, stopped_at = self._address_statuses.changes(department.id, department.audience_id), None
        for start in range(0, len(ahead), _CHECKS_AT_ONCE):
            if start and remaining() < ENOUGH_SECONDS:
                stopped_at = ahead[start - 1].key
                break
            part = ahead[start : start + _CHECKS_AT_ONCE]
            keys = list(dict.fromkeys(check.address_key for check in part if check.address_key != NO_ADDRESS))
            read = self._members.states(department.id, keys, department.audience_id)
            found = {state.member.address_key: address_status_of(department, state, self._clock()) for state in read}
            before = statuses.note(found)
            if len(changed.states) < MOST_STATES_KEPT:
                changed.take(read, {key: before.is_reached(key) for key in found}, found)
            if changed.checks:
                changed.rows.update(self._customers.rows(department.id, changed.keys_of(read, part)))
            self._unmark(department.id, [state for state in read if state.member.status not in TAGGABLE])
        # A shard is written once, however many of its addresses were looked at.
        statuses.flush()
        return stopped_at

    def _unmark(self, department_id: str, states: Sequence[AddressState]) -> None:
        keys = [
            customer_key(c.id) for state in states if state.address_customers for c in state.address_customers.customers
        ]
        stored = self._customers.get(department_id, keys).values()
        self._tags.clear(department_id, [one.customer_key for one in stored if one.in_segments])


def address_status_of(department: Department, state: AddressState, now: datetime) -> AddressStatus:
    """Where an address of a department with an audience stands, and what its next plan makes of it."""
    assert department.audience is not None
    policy, fields = department.settings.consent, department.audience.fields
    return address_status(state, plan_address(state, policy=policy, fields=fields, now=now))
