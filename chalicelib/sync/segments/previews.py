"""Previews: who would be in a segment now, without storing or sending anything.

One reading of what the last run stored answers everything, however many rules there are. What PracBill changed since
then is read first, if it is little: each changed customer counts as it is now. If it is more, the answer says how old
it is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from chalicelib.contract.segments import MembershipChange, PreviewCustomer, RuleCount, SegmentPreview
from chalicelib.domain.address_status import is_reachable
from chalicelib.domain.addresses import usable_address
from chalicelib.domain.consent.members import AddressCustomers
from chalicelib.domain.customers import (
    Customer,
    RemovedCustomer,
    address_key,
    customer_key,
    customer_to_document,
    fingerprint,
)
from chalicelib.domain.moments import parse_moment
from chalicelib.domain.planning import AddressState, plan_address
from chalicelib.domain.segments.calendar import today_in
from chalicelib.domain.segments.evaluation import Group, PreviewCounts, RuleSet
from chalicelib.domain.segments.filterable import Filterable, Sample, filterable, sample_of
from chalicelib.errors import ServiceError
from chalicelib.pracbill.answers import BadRecord, ChangePage
from chalicelib.sync.runs.progress import OVERLAP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.departments import Department
    from chalicelib.domain.segments.rules import Rule
    from chalicelib.store.address_status import AddressStatuses, AddressStatusStore
    from chalicelib.store.customers import CustomerStore
    from chalicelib.store.members import MemberStore
    from chalicelib.store.runs import RunStore
    from chalicelib.sync.ports import Clock, PracBillFor, ReaderFor

SAMPLE_SIZE = 10
# PracBill's changes are read only as far as somebody who waits for a preview would not notice.
_MOST_PAGES = 2
_SECONDS_FOR_CHANGES = 7.0
_RUNS_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class ChangedCustomer:
    """A customer that PracBill changed since the last run, as it is now."""

    customer_key: str
    filterable: Filterable
    sample: Sample
    is_reached: bool


@dataclass(frozen=True, slots=True)
class Fresh:
    """What is not stored yet, and up to when an answer with it is true.

    `changed` are the customers by their keys, None for those who are gone.
    """

    as_of: datetime
    changed: dict[str, ChangedCustomer | None] = field(default_factory=dict)


class Previews:
    def __init__(
        self,
        *,
        customers: CustomerStore,
        members: MemberStore,
        address_statuses: AddressStatusStore,
        runs: RunStore,
        reader_for: ReaderFor,
        pracbill_for: PracBillFor,
        clock: Clock,
    ) -> None:
        self._customers = customers
        self._members = members
        self._address_statuses = address_statuses
        self._runs = runs
        self._reader_for = reader_for
        self._pracbill_for = pracbill_for
        self._clock = clock

    def preview(
        self, department: Department, rules: tuple[Rule, ...], *, instead_of: tuple[Rule, ...] | None, per_rule: bool
    ) -> SegmentPreview:
        """Who matches the rules; with `instead_of`, a segment's present rules, also who enters and who leaves it."""
        address_statuses = self._address_statuses.load(department.id, department.audience_id, consistent=False)
        fresh = self._fresh(department)
        counts = PreviewCounts(
            rules, self._today(department), instead_of=instead_of, per_rule=per_rule, sample_size=SAMPLE_SIZE
        )
        for row in self._reader_for(department).rows():
            if row.customer_key not in fresh.changed:
                counts.add(row, lambda row=row: _is_reached(address_statuses, row.address_key))  # type: ignore[misc]
        for one in fresh.changed.values():
            if one is not None:
                counts.add(one, lambda one=one: one.is_reached)  # type: ignore[misc]
        return SegmentPreview(
            count=counts.matching.count,
            reachable_count=counts.reachable,
            total=counts.total,
            as_of=fresh.as_of,
            sample=_shown(counts.matching),
            per_rule=tuple(map(_rule_count, rules, counts.alone)) if per_rule else None,
            entering=_change(counts.entering) if instead_of is not None else None,
            leaving=_change(counts.leaving) if instead_of is not None else None,
        )

    def count(self, department: Department, rules: tuple[Rule, ...]) -> int:
        """Who matches, as far as the last run knows."""
        wanted = RuleSet.of(rules, self._today(department))
        return sum(wanted.matches(row.filterable) for row in self._reader_for(department).rows())

    def _today(self, department: Department) -> date:
        return today_in(ZoneInfo(department.timezone), self._clock())

    # ------------------------------------------------------------------------------------------ changes since the run

    def _fresh(self, department: Department) -> Fresh:
        page_as_of, records = self._changes(department)
        if page_as_of is None:
            return Fresh(self._last_read(department))
        latest: dict[str, Customer | RemovedCustomer] = {customer_key(record.id): record for record in records}
        return Fresh(min(page_as_of, self._clock()), self._changed(department, latest))

    def _changes(self, department: Department) -> tuple[datetime | None, list[Customer | RemovedCustomer]]:
        """All that PracBill changed since the last run, and up to when; None when it is too much or takes too long."""
        if not department.customers_watermark:
            return None, []
        end = time.monotonic() + _SECONDS_FOR_CHANGES
        pages: list[ChangePage] = []
        try:
            pracbill = self._pracbill_for(lambda: end - time.monotonic())
            changes = pracbill.changes(department.id, since=department.customers_watermark)
            pages += islice(changes, _MOST_PAGES)
        except ServiceError:
            return None, []
        if pages[-1].next_cursor is not None:
            return None, []
        records = [record for page in pages for record in page.records if not isinstance(record, BadRecord)]
        return parse_moment(pages[0].as_of), records

    def _changed(
        self, department: Department, latest: dict[str, Customer | RemovedCustomer]
    ) -> dict[str, ChangedCustomer | None]:
        """Those that are not stored as PracBill has them now."""
        known = self._customers.get(department.id, list(latest))
        changed = {
            key: record
            for key, record in latest.items()
            if _differs(record, known[key].fingerprint if key in known else "", department.timezone)
        }
        reached = self._reached(department, [r for r in changed.values() if isinstance(r, Customer)])
        zone = ZoneInfo(department.timezone)
        return {
            key: ChangedCustomer(key, filterable(record, zone), sample_of(record), record.id in reached)
            if isinstance(record, Customer)
            else None
            for key, record in changed.items()
        }

    def _reached(self, department: Department, customers: Sequence[Customer]) -> set[str]:
        """The ids of changed customers whom campaigns will reach, once a sync has seen the change."""
        audience = department.audience
        if audience is None:
            return set()
        placed = [(one, address) for one in customers if (address := usable_address(one.email)) is not None]
        keys = [address_key(department.salt, address) for _, address in placed]
        states = self._members.states(department.id, keys, audience.id)
        policy, fields, now = department.settings.consent, audience.fields, self._clock()
        found = set()
        for (customer, address), known in zip(placed, states, strict=True):
            state = _with(known, customer, address)
            if is_reachable(state, plan_address(state, policy=policy, fields=fields, now=now)):
                found.add(customer.id)
        return found

    def _last_read(self, department: Department) -> datetime:
        """Up to when PracBill's customers were read. Runs that sent nothing, such as a first plan, count as well."""
        runs, _ = self._runs.page(department.id, limit=_RUNS_LOOKED_AT, after=None)
        marks = [department.customers_watermark, *(run.next_watermark for run in runs)]
        times = [moment for mark in marks if (moment := parse_moment(mark)) is not None]
        now = self._clock()
        return min(max(times) + OVERLAP, now) if times else now


def _is_reached(address_statuses: AddressStatuses, address_key: str | None) -> bool:
    return address_key is not None and address_statuses.is_reached(address_key)


def _differs(record: Customer | RemovedCustomer, known: str, timezone: str) -> bool:
    """Whether the database does not have the customer as PracBill has it; `known` is the stored fingerprint."""
    if isinstance(record, RemovedCustomer):
        return bool(known)
    return fingerprint(customer_to_document(record), timezone) != known


def _with(state: AddressState, customer: Customer, address: str) -> AddressState:
    """The address with the customer as it is now among those who share it."""
    others = (
        tuple(c for c in state.address_customers.customers if c.id != customer.id) if state.address_customers else ()
    )
    return replace(
        state, member=replace(state.member, address=address), address_customers=AddressCustomers.of((*others, customer))
    )


def _rule_count(rule: Rule, count: int) -> RuleCount:
    return RuleCount(rule.field, rule.operator, rule.value, count)


def _change(group: Group) -> MembershipChange:
    return MembershipChange(group.count, _shown(group))


def _shown(group: Group) -> tuple[PreviewCustomer, ...]:
    return tuple(
        PreviewCustomer(
            id=sample.id,
            email=sample.email or None,
            company_name=sample.company_name or None,
            first_name=sample.first_name or None,
            last_name=sample.last_name or None,
        )
        for sample in group.first
    )
