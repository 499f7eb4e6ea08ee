"""Previews: who would be in a segment now, without storing or sending anything.

The database counts what the last run stored. What PracBill changed since then is read first, if it is little: each
changed customer is taken out of the counts as it is stored and put in as it is now. If it is more, the answer says how
old it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import islice
from zoneinfo import ZoneInfo

from chalicelib.contract.segments import MembershipChange, PreviewCustomer, RuleCount, SegmentPreview
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
from chalicelib.domain.departments import Department
from chalicelib.domain.moments import parse_moment
from chalicelib.domain.planning import AddressState, plan_address
from chalicelib.domain.reachability import is_reachable
from chalicelib.domain.segments.calendar import today_in
from chalicelib.domain.segments.filterable import Filterable, Sample, filterable, sample_of
from chalicelib.domain.segments.rules import Rule, Selection, matches, matching, only_first
from chalicelib.domain.segments.rules import reachable as with_address
from chalicelib.errors import ServiceError
from chalicelib.pracbill.client import BadRecord, ChangePage
from chalicelib.store.address_status import AddressStatuses, AddressStatusStore
from chalicelib.store.customers import CustomerStore
from chalicelib.store.filterable_attributes import from_attributes
from chalicelib.store.members import MemberStore
from chalicelib.store.runs import RunStore
from chalicelib.store.segment_query import SegmentQuery
from chalicelib.sync.ports import Clock, PracBillFor
from chalicelib.sync.runs.progress import OVERLAP
from chalicelib.sync.segments.membership_diff import QueryFor

SAMPLE_SIZE = 10
# PracBill's changes are read only as far as somebody who waits for a preview would not notice.
_MOST_PAGES = 2
_SECONDS_FOR_CHANGES = 7.0
_RUNS_LOOKED_AT = 20

Belongs = Callable[[Filterable], bool]


@dataclass(frozen=True, slots=True)
class Changed:
    """A customer that PracBill changed since the last run; None where it is not stored yet, or gone."""

    key: str
    before: Filterable | None
    after: Filterable | None
    sample: Sample
    was_reached: bool
    is_reached: bool


@dataclass(frozen=True, slots=True)
class Fresh:
    """What the database does not know yet, and up to when an answer with it is true."""

    as_of: datetime
    changed: tuple[Changed, ...] = ()

    def delta(self, belongs: Belongs) -> int:
        """What the changes add to a count of those who belong."""
        return sum(_is(belongs, one.after) - _is(belongs, one.before) for one in self.changed)

    def reach_delta(self, belongs: Belongs) -> int:
        return sum(
            (one.is_reached and _is(belongs, one.after)) - (one.was_reached and _is(belongs, one.before))
            for one in self.changed
        )


class Previews:
    def __init__(
        self,
        *,
        customers: CustomerStore,
        members: MemberStore,
        address_statuses: AddressStatusStore,
        runs: RunStore,
        query_for: QueryFor,
        pracbill_for: PracBillFor,
        clock: Clock,
    ) -> None:
        self._customers = customers
        self._members = members
        self._address_statuses = address_statuses
        self._runs = runs
        self._query_for = query_for
        self._pracbill_for = pracbill_for
        self._clock = clock

    def preview(
        self, department: Department, rules: tuple[Rule, ...], *, instead_of: tuple[Rule, ...] | None, per_rule: bool
    ) -> SegmentPreview:
        """Who matches the rules; with `instead_of`, a segment's present rules, also who enters and who leaves it."""
        today = today_in(ZoneInfo(department.timezone), self._clock())
        address_statuses = self._address_statuses.load(department.id, department.audience_id)
        fresh = self._fresh(department, address_statuses)
        answers = Answers(self._query_for(department), fresh, today)
        total, count, *each = answers.counts([rules, *((rule,) for rule in rules if per_rule)])
        enter, leave = None, None
        if instead_of is not None:
            enter, leave = answers.change(rules, instead_of), answers.change(instead_of, rules)
        return SegmentPreview(
            count=count,
            reachable_count=answers.reachable_count(rules, address_statuses),
            total=total,
            as_of=fresh.as_of,
            sample=answers.sample(matching(rules, today), lambda one: matches(rules, one, today)),
            per_rule=tuple(_rule_count(rule, n) for rule, n in zip(rules, each, strict=True)) if per_rule else None,
            entering=enter,
            leaving=leave,
        )

    def count(self, department: Department, rules: tuple[Rule, ...]) -> int:
        """Who matches, as far as the last run knows."""
        today = today_in(ZoneInfo(department.timezone), self._clock())
        return self._query_for(department).count(matching(rules, today))

    # ------------------------------------------------------------------------------------------ changes since the run

    def _fresh(self, department: Department, address_statuses: AddressStatuses) -> Fresh:
        page_as_of, records = self._changes(department)
        if page_as_of is None:
            return Fresh(self._last_read(department))
        latest: dict[str, Customer | RemovedCustomer] = {customer_key(record.id): record for record in records}
        return Fresh(min(page_as_of, self._clock()), tuple(self._compare(department, latest, address_statuses)))

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

    def _compare(
        self, department: Department, latest: dict[str, Customer | RemovedCustomer], address_statuses: AddressStatuses
    ) -> Iterable[Changed]:
        known = self._customers.get(department.id, list(latest))
        changed = {
            key: record
            for key, record in latest.items()
            if _differs(record, known[key].fingerprint if key in known else "", department.timezone)
        }
        items = self._customers.items(department.id, list(changed))
        reached = self._reached(department, [r for r in changed.values() if isinstance(r, Customer)])
        for key, record in changed.items():
            item = items.get(key)
            address = known[key].address_key if key in known else ""
            yield Changed(
                key=key,
                before=from_attributes(item) if item is not None else None,
                after=filterable(record, ZoneInfo(department.timezone)) if isinstance(record, Customer) else None,
                sample=sample_of(record) if isinstance(record, Customer) else Sample(record.id),
                was_reached=bool(address) and address_statuses.is_reached(address),
                is_reached=record.id in reached,
            )

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


@dataclass(frozen=True, slots=True)
class Answers:
    """Counts and samples of what is stored, with the fresh changes."""

    query: SegmentQuery
    fresh: Fresh
    today: date

    def counts(self, sets: Sequence[tuple[Rule, ...]]) -> list[int]:
        """How many customers there are, and how many match each set of rules."""
        total, stored = self.query.counts_of_all([matching(rules, self.today) for rules in sets])
        return [
            count + self.fresh.delta(lambda one, rules=rules: matches(rules, one, self.today))  # type: ignore[misc]
            for count, rules in zip((total, *stored), ((), *sets), strict=True)
        ]

    def reachable_count(self, rules: tuple[Rule, ...], address_statuses: AddressStatuses) -> int:
        """How many of those who match campaigns reach."""
        found = self.query.address_keys(with_address(rules, self.today))
        count = sum(1 for address_key in found if address_statuses.is_reached(address_key))
        return count + self.fresh.reach_delta(lambda one: matches(rules, one, self.today))

    def change(self, rules: tuple[Rule, ...], others: tuple[Rule, ...]) -> MembershipChange:
        """Who matches the rules and not the others."""

        def belongs(one: Filterable) -> bool:
            return matches(rules, one, self.today) and not matches(others, one, self.today)

        selection = only_first(rules, others, self.today)
        count = self.query.count(selection) + self.fresh.delta(belongs)
        return MembershipChange(count, self.sample(selection, belongs))

    def sample(self, selection: Selection, belongs: Belongs) -> tuple[PreviewCustomer, ...]:
        """The first ones by their ids."""
        changed = {one.key: one for one in self.fresh.changed}
        gone = sum(1 for one in changed.values() if _is(belongs, one.before))
        stored = {customer_key(s.id): s for s in self.query.first(selection, SAMPLE_SIZE + gone)}
        found = {key: sample for key, sample in stored.items() if key not in changed}
        found |= {key: one.sample for key, one in changed.items() if _is(belongs, one.after)}
        return tuple(_shown(found[key]) for key in sorted(found)[:SAMPLE_SIZE])


def _is(belongs: Belongs, one: Filterable | None) -> bool:
    return one is not None and belongs(one)


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


def _shown(sample: Sample) -> PreviewCustomer:
    return PreviewCustomer(
        id=sample.id,
        email=sample.email or None,
        company_name=sample.company_name or None,
        first_name=sample.first_name or None,
        last_name=sample.last_name or None,
    )
