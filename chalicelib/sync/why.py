"""Why is this customer (not) there? And: why do the two counts differ?

Both answers ask the same pure functions as the plan does, so they cannot tell another story than the sync.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Protocol
from zoneinfo import ZoneInfo

from chalicelib.domain.addresses import mask_address
from chalicelib.domain.calendar import today_in
from chalicelib.domain.customers import customer_key
from chalicelib.domain.departments import Audience, Department
from chalicelib.domain.filterable import filterable
from chalicelib.domain.logs import LedgerEntry
from chalicelib.domain.members import Member, Status
from chalicelib.domain.outcomes import HELD
from chalicelib.domain.planning import AddressState, Held, plan_address
from chalicelib.domain.refusals import refusal
from chalicelib.domain.segments import Rule, Selection, explain
from chalicelib.domain.standing import REASONS
from chalicelib.domain.views import (
    CustomerView,
    DifferenceReason,
    ErasureReceipt,
    LastPush,
    LedgerEntryView,
    Reconciliation,
    RefusalView,
    RuleVerdict,
    SegmentVerdict,
)
from chalicelib.errors import conflict, not_found
from chalicelib.store.customers import CustomerStore
from chalicelib.store.departments import DepartmentStore
from chalicelib.store.logs import LedgerStore
from chalicelib.store.members import MemberStore
from chalicelib.store.segment_query import SegmentQuery
from chalicelib.store.standings import Standings, StandingStore
from chalicelib.store.tag_checks import TagCheckStore
from chalicelib.sync.ports import Clock, MailchimpFor
from chalicelib.sync.segment_sync import standing_of

_API_SECONDS = 25.0

_MEMBER_WORDS: dict[Status, str] = {
    "subscribed": "In the audience and subscribed.",
    "transactional": "In the audience as non-subscribed: no consent is recorded, so no campaign reaches this person.",
    "pending": "In the audience, waiting for the person to confirm by e-mail.",
    "unsubscribed": "In the audience as unsubscribed: this person is never mailed.",
}
# Addresses of which there was news since the last run are read, if they are few enough for somebody who waits.
_MOST_NEWS = 500


class DefinedSegment(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def rules(self) -> tuple[Rule, ...]: ...


class CustomerEraser(Protocol):
    def erase(self, department_id: str, customer_id: str, *, by: str) -> ErasureReceipt: ...


class Customers:
    """One customer: why it is where it is."""

    def __init__(
        self,
        *,
        departments: DepartmentStore,
        customers: CustomerStore,
        members: MemberStore,
        ledger: LedgerStore,
        segments: Callable[[str], Sequence[DefinedSegment]],
        eraser: CustomerEraser,
        clock: Clock,
    ) -> None:
        self._departments = departments
        self._customers = customers
        self._members = members
        self._ledger = ledger
        self._segments = segments
        self._eraser = eraser
        self._clock = clock

    def erase(self, department_id: str, customer_id: str, *, by: str) -> ErasureReceipt:
        return self._eraser.erase(department_id, customer_id, by=by)

    def explain(self, department_id: str, customer_id: str) -> CustomerView:
        """Why this customer is, or is not, in the audience. Raises RefuseRequest (404) for one we never saw."""
        department = _selected(self._departments, department_id)
        stored = self._customers.get(department_id, [customer_key(customer_id)]).get(customer_key(customer_id))
        if stored is None:
            raise not_found(
                "No customer with this id is kept here. A new one comes with the next sync, an erased one does not."
            )
        if not stored.address_key:
            return _without_address(customer_id)
        state = self._members.state(department_id, stored.address_key, _audience(department).id)
        in_audience, verdict = verdict_of(department, state, self._clock())
        ledger = self._ledger.entries(department_id, stored.address_key)
        return CustomerView(
            customer_id=customer_id,
            in_audience=in_audience,
            verdict=verdict,
            address=mask_address(state.member.address) if state.member.address else None,
            member_status=state.member.status,
            shared_with=_others(state, customer_id),
            last_push=_last_push(state.member),
            segments=tuple(self._segment_verdicts(department, state, customer_id, stored.in_segments)),
            last_refusal=_refusal_view(state.member),
            consent_ledger=tuple(_ledger_view(entry) for entry in ledger),
        )

    def _segment_verdicts(
        self, department: Department, state: AddressState, customer_id: str, tagged: Sequence[str]
    ) -> Iterable[SegmentVerdict]:
        customers = state.sharers.customers if state.sharers else ()
        customer = next((c for c in customers if c.id == customer_id), None)
        if customer is None:
            return
        zone = ZoneInfo(department.timezone)
        fields, today = filterable(customer, zone), self._clock().astimezone(zone).date()
        for segment in self._segments(department.id):
            rules = tuple(
                RuleVerdict(rule.field, rule.operator, rule.value, verdict.passes)
                for rule, verdict in zip(segment.rules, explain(segment.rules, fields, today), strict=True)
            )
            matches = all(rule.passes for rule in rules)
            yield SegmentVerdict(segment.id, segment.name, matches, segment.id in tagged, rules)


class Reconciliations:
    """PracBill's count against Mailchimp's, the whole difference split by reason."""

    def __init__(
        self,
        *,
        departments: DepartmentStore,
        members: MemberStore,
        checks: TagCheckStore,
        standings: StandingStore,
        query_for: Callable[[Department], SegmentQuery],
        mailchimp_for: MailchimpFor,
        clock: Clock,
    ) -> None:
        self._departments = departments
        self._members = members
        self._checks = checks
        self._standings = standings
        self._query_for = query_for
        self._mailchimp_for = mailchimp_for
        self._clock = clock

    def get(self, department_id: str) -> Reconciliation:
        """Both counts as they are now; the reasons as of the last run, or of now where little happened since.

        Whatever the reasons cannot know yet is told as such, so they add up to the difference at any time.
        """
        department = _selected(self._departments, department_id)
        audience, now = _audience(department), self._clock()
        theirs = self._mailchimp_for(department, lambda: _API_SECONDS).subscribed_count(audience.id)
        everybody = Selection(today_in(ZoneInfo(department.timezone), now), with_address=True)
        ours, (with_address,) = self._query_for(department).counts_of_all([everybody])
        standings, as_of = self._up_to_date(department, now)
        reasons = standings.reasons
        # Foreign members count on Mailchimp's side alone.
        reasons["foreign"] = -reasons["foreign"]
        reasons["shared_address"] = standings.shared
        reasons["no_address"] = ours - with_address
        reasons["not_counted_yet"] = ours - theirs - reasons.total()
        return Reconciliation(
            pracbill_count=ours,
            mailchimp_count=theirs,
            difference=ours - theirs,
            reasons=tuple(
                DifferenceReason(code, reasons[code], text) for code, text in REASONS.items() if reasons[code]
            ),
            as_of=as_of,
        )

    def _up_to_date(self, department: Department, now: datetime) -> tuple[Standings, datetime]:
        """Where addresses stand, and as of when."""
        known = self._standings.load(department.id, department.audience_id)
        news = self._news(department)
        if news is None:
            return known, known.as_of or now
        states = self._members.states(department.id, news, department.audience_id)
        changes = {state.member.address_key: standing_of(department, state, now) for state in states}
        return known.with_changes(changes), now

    def _news(self, department: Department) -> list[str] | None:
        """The addresses of which there was news since they were looked at; None when they cannot be told or read now.

        A full run leaves no marks: until its plan is carried out, there may be news of any address.
        """
        if department.decide_all:
            return None
        marked = (key for key, _ in self._members.touched(department.id))
        checked = (check.address_key for check in self._checks.ascending(department.id))
        keys = dict.fromkeys(islice(chain(marked, checked), 2 * _MOST_NEWS))
        return list(keys) if len(keys) <= _MOST_NEWS else None


def verdict_of(department: Department, state: AddressState, now: datetime) -> tuple[bool, str]:
    """Whether the address is a member that counts, and one sentence that says why."""
    audience = _audience(department)
    decision = plan_address(state, policy=department.settings.consent, fields=audience.fields, now=now)
    if isinstance(decision, Held) and decision.code:
        words = HELD.get(decision.code) or refusal(decision.code)
        return state.member.status in _MEMBER_WORDS, f"{words.cause} {words.fix}"
    there = _MEMBER_WORDS.get(state.member.status)
    if isinstance(decision, Held):
        return there is not None, there or "Not in the audience, and nothing is planned for this address."
    if decision.action in ("add", "rename"):
        return False, "Not in the audience yet: the next sync adds this customer."
    return there is not None, f"{there or 'Not in the audience.'} The next sync will {_planned(decision.action)}."


def _planned(action: str) -> str:
    return {
        "update": "update its data",
        "subscribe": "subscribe it",
        "unsubscribe": "unsubscribe it",
        "ask": "have Mailchimp ask the person to confirm",
        "archive": "archive it",
    }[action]


def _without_address(customer_id: str) -> CustomerView:
    words = HELD["no_email"]
    return CustomerView(
        customer_id=customer_id,
        in_audience=False,
        verdict="The customer has no usable e-mail address: it is missing, or its format is invalid. " + words.fix,
        address=None,
        member_status="absent",
        shared_with=(),
        last_push=None,
        segments=(),
        last_refusal=None,
        consent_ledger=(),
    )


def _others(state: AddressState, customer_id: str) -> tuple[str, ...]:
    customers = state.sharers.customers if state.sharers else ()
    return tuple(customer.id for customer in customers if customer.id != customer_id)


def _last_push(member: Member) -> LastPush | None:
    return LastPush(at=member.pushed_at, status=member.status) if member.pushed_at else None


def _refusal_view(member: Member) -> RefusalView | None:
    kept = member.refusal
    if kept is None:
        return None
    words = refusal(kept.code, words=kept.text)
    return RefusalView(
        at=kept.at, code=kept.code, cause=f"{words.title}: {words.cause}", fix=words.fix, retry_at=kept.retry_at
    )


def _ledger_view(entry: LedgerEntry) -> LedgerEntryView:
    return LedgerEntryView(
        at=entry.at, before=entry.was or None, after=entry.became, who=entry.who, route=entry.route, rule=entry.rule
    )


def _selected(departments: DepartmentStore, department_id: str) -> Department:
    department = departments.get(department_id)
    if department is None or department.audience is None:
        raise conflict("No audience is selected for this department. Connect and select one first.", code="no-audience")
    return department


def _audience(department: Department) -> Audience:
    assert department.audience is not None
    return department.audience
