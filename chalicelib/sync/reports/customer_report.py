"""Why is this customer (not) there? And: why do the two counts differ?

Both answers ask the same pure functions as the plan does, so they cannot tell another story than the sync.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from chalicelib.config import API_SECONDS
from chalicelib.contract.common import DifferenceReason
from chalicelib.contract.customers import (
    CustomerView,
    ErasureReceipt,
    LastPush,
    LedgerEntryView,
    Reconciliation,
    RefusalView,
    RuleVerdict,
    SegmentVerdict,
)
from chalicelib.domain.address_status import REASONS
from chalicelib.domain.customers import customer_key
from chalicelib.domain.hold_reasons import HELD, Explanation, explanation
from chalicelib.domain.partly_sent import explain_partly_sent
from chalicelib.domain.planning import Action, AddressState, Held, plan_address
from chalicelib.domain.refusals import mask_addresses, refusal
from chalicelib.domain.segments.rules import explain
from chalicelib.errors import conflict, not_found
from chalicelib.sync.segments.address_looks import address_status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from chalicelib.domain.consent.members import AddressCustomers, Member, Status
    from chalicelib.domain.departments import Audience, Department
    from chalicelib.domain.logs import LedgerEntry
    from chalicelib.domain.segments.filterable import Filterable
    from chalicelib.domain.segments.segment import Segment
    from chalicelib.store.address_status import AddressStatuses, AddressStatusStore
    from chalicelib.store.customers import CustomerStore
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.store.logs import LedgerStore
    from chalicelib.store.members import MemberStore
    from chalicelib.store.tag_rechecks import TagRecheckStore
    from chalicelib.sync.consent.erasure import Erasure
    from chalicelib.sync.ports import Clock, MailchimpFor, ReaderFor

_MEMBER_WORDS: dict[Status, str] = {
    "subscribed": "In the audience and subscribed.",
    "transactional": "In the audience as non-subscribed: no consent is recorded, so no campaign reaches this person.",
    "pending": "In the audience, waiting for the person to confirm by e-mail.",
    "unsubscribed": "In the audience as unsubscribed: this person is never mailed.",
}
_ADDRESS_CHANGED = Explanation(
    "Address changed: the person changed the e-mail address in Mailchimp, so this one is no longer there and no sync "
    "adds it again.",
    "Ask the customer for the new address and enter it in PracBill.",
)
_MOST_NAMED = 3
# Addresses of which there was news since the last run are read, if they are few enough for somebody who waits.
_MOST_NEWS = 500


class Customers:
    """One customer: why it is where it is."""

    def __init__(
        self,
        *,
        departments: DepartmentStore,
        customers: CustomerStore,
        members: MemberStore,
        ledger: LedgerStore,
        segments: Callable[[str], Sequence[Segment]],
        eraser: Erasure,
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
        key = customer_key(customer_id)
        found = self._customers.rows(department_id, [key]).get(key)
        if found is None:
            raise not_found(
                "No customer with this id is known here. Check the id. A customer who is new in PracBill appears "
                "with the next sync. A customer who was removed there or erased is no longer stored."
            )
        address_key, email = found.address_key, found.sample.email
        segments = tuple(self._segment_verdicts(department, found.filterable, found.in_segments))
        if address_key is None:
            return _without_address(customer_id, email, segments)
        state = self._members.state(department_id, address_key, _audience(department).id)
        ledger = self._ledger.entries(department_id, address_key)
        verdict = verdict_of(department, state, customer_id, ledger, self._clock())
        return CustomerView(
            customer_id=customer_id,
            in_audience=verdict.in_audience,
            verdict=verdict.words,
            verdict_code=verdict.code,
            verdict_params=verdict.params,
            address=email or None,
            member_status=state.member.status,
            shared_with=_others(state, customer_id),
            last_push=_last_push(state.member),
            segments=segments,
            last_refusal=_refusal_view(state.member),
            consent_ledger=tuple(_ledger_view(entry) for entry in ledger),
        )

    def _segment_verdicts(
        self, department: Department, fields: Filterable, tagged: Sequence[str]
    ) -> Iterable[SegmentVerdict]:
        today = self._clock().astimezone(ZoneInfo(department.timezone)).date()
        for segment in self._segments(department.id):
            rules = tuple(
                RuleVerdict(rule.field, rule.operator, rule.value, verdict.passes, verdict.words, verdict.finding)
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
        checks: TagRecheckStore,
        address_statuses: AddressStatusStore,
        reader_for: ReaderFor,
        mailchimp_for: MailchimpFor,
        clock: Clock,
    ) -> None:
        self._departments = departments
        self._members = members
        self._checks = checks
        self._address_statuses = address_statuses
        self._reader_for = reader_for
        self._mailchimp_for = mailchimp_for
        self._clock = clock

    def get(self, department_id: str) -> Reconciliation:
        """Both counts as they are now; the reasons as of the last run, or of now where little happened since.

        Whatever the reasons cannot know yet is told as such, so they add up to the difference at any time.
        """
        department = _selected(self._departments, department_id)
        audience, now = _audience(department), self._clock()
        theirs = self._mailchimp_for(department, lambda: API_SECONDS).subscribed_count(audience.id)
        ours, without_address = self._count(department)
        address_statuses, as_of = self._up_to_date(department, now)
        reasons = address_statuses.reasons
        # Foreign members count on Mailchimp's side alone.
        reasons["foreign"] = -reasons["foreign"]
        reasons["shared_address"] = address_statuses.shared
        reasons["no_address"] = without_address
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

    def _count(self, department: Department) -> tuple[int, int]:
        """How many customers there are, and how many of them without a usable address."""
        count = without_address = 0
        for row in self._reader_for(department).rows():
            count += 1
            without_address += row.address_key is None
        return count, without_address

    def _up_to_date(self, department: Department, now: datetime) -> tuple[AddressStatuses, datetime]:
        """Where addresses stand, and as of when."""
        known = self._address_statuses.load(department.id, department.audience_id, consistent=False)
        changed = self._news(department)
        if changed is None:
            return known, known.as_of or now
        states = self._members.states(department.id, changed, department.audience_id)
        changes = {state.member.address_key: address_status_of(department, state, now) for state in states}
        statuses = self._address_statuses.changes(department.id, department.audience_id)
        statuses.note(changes)
        return statuses.statuses(known), now

    def _news(self, department: Department) -> list[str] | None:
        """The addresses of which there was news since they were looked at; None when they cannot be told or read now.

        A full run leaves no marks: until its plan is carried out, there may be news of any address.
        """
        if department.replan_all:
            return None
        marked = (key for key, _ in self._members.marked(department.id))
        checked = (check.address_key for check in self._checks.ascending(department.id))
        keys = dict.fromkeys(islice(chain(marked, checked), 2 * _MOST_NEWS))
        return list(keys) if len(keys) <= _MOST_NEWS else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why an address is, or is not, in the audience, and what would change that: in plain words, and as a code.

    `code` is `will_` and an action, why the address is held back, or its status in the audience. `params` tell whose
    consent counts where it is not the customer's own, and which values Mailchimp does not get.
    """

    in_audience: bool
    words: str
    code: str
    params: dict[str, str | int]


def verdict_of(
    department: Department, state: AddressState, customer_id: str, ledger: Sequence[LedgerEntry], now: datetime
) -> Verdict:
    member, there = state.member, _MEMBER_WORDS.get(state.member.status)
    fields = _audience(department).fields
    decision = plan_address(state, policy=department.settings.consent, fields=fields, now=now)
    params: dict[str, str | int] = {"status": member.status, **_sharing(state.address_customers, customer_id)}
    if not isinstance(decision, Held):
        code, words = f"will_{decision.action}", _planned_words(decision.action, there)
    elif decision.code:
        told = _explanation(department, member, decision, ledger)
        code = "address_changed" if told is _ADDRESS_CHANGED else decision.code
        words, params = f"{told.cause} {told.fix}", params | told.params
    else:
        code, words = member.status, there or "Not in the audience, and nothing is planned for this address."
    if decision.left_out:
        told = explain_partly_sent(decision.left_out)
        words = f"{words} {told.cause} {told.fix}"
        params["left_out"] = ",".join(one.code for one in decision.left_out)
    return Verdict(there is not None, words + _sharing_words(state.address_customers, customer_id), code, params)


def _explanation(department: Department, member: Member, held: Held, ledger: Sequence[LedgerEntry]) -> Explanation:
    """The words of the records, but for what only the ledger knows."""
    if held.code == "forgotten" and ledger and ledger[0].rule == "address-changed":
        return _ADDRESS_CHANGED
    return explanation(held.code, held.words, field=held.field, no=member.opt_out, zone=ZoneInfo(department.timezone))


def _planned_words(action: Action, there: str | None) -> str:
    if action in ("add", "rename"):
        return "Not in the audience yet: the next sync adds this customer."
    return f"{there or 'Not in the audience.'} The next sync will {_planned(action)}."


def _sharing_words(address_customers: AddressCustomers | None, customer_id: str) -> str:
    """Why another customer's consent counts, where it is not the customer's own."""
    shared = _sharing(address_customers, customer_id)
    if not shared:
        return ""
    named = f"{shared['shared_with']}{' and others' if shared['shared_more'] else ''}"
    said = "opted out" if shared["shared_consent"] == "unsubscribed" else "has no consent recorded"
    return (
        f" The customer shares this address with {named}, who {said}: together they are one member, and the strictest "
        "consent counts."
    )


def _sharing(address_customers: AddressCustomers | None, customer_id: str) -> dict[str, str | int]:
    """Whose consent counts, where it is not the customer's own; empty where it is."""
    own = next((c for c in address_customers.customers if c.id == customer_id), None) if address_customers else None
    if address_customers is None or own is None or own.consent == address_customers.consent:
        return {}
    others = [c.id for c in address_customers.customers if c.consent == address_customers.consent]
    return {
        "shared_with": ", ".join(others[:_MOST_NAMED]),
        "shared_more": max(0, len(others) - _MOST_NAMED),
        "shared_consent": address_customers.consent or "unknown",
    }


def _planned(action: str) -> str:
    return {
        "update": "update its data",
        "subscribe": "subscribe it",
        "unsubscribe": "unsubscribe it",
        "ask": "have Mailchimp ask the person to confirm",
        "archive": "archive it",
    }[action]


def _without_address(customer_id: str, email: str, segments: tuple[SegmentVerdict, ...]) -> CustomerView:
    words = HELD["invalid_email" if email else "no_email"]
    return CustomerView(
        customer_id=customer_id,
        in_audience=False,
        verdict=f"{words.cause} {words.fix}",
        verdict_code="invalid_email" if email else "no_email",
        address=email or None,
        member_status="absent",
        shared_with=(),
        last_push=None,
        segments=segments,
        last_refusal=None,
        consent_ledger=(),
    )


def _others(state: AddressState, customer_id: str) -> tuple[str, ...]:
    customers = state.address_customers.customers if state.address_customers else ()
    return tuple(customer.id for customer in customers if customer.id != customer_id)


def _last_push(member: Member) -> LastPush | None:
    if member.pushed_at is None or member.pushed_status is None:
        return None
    return LastPush(at=member.pushed_at, status=member.pushed_status)


def _refusal_view(member: Member) -> RefusalView | None:
    kept = member.refusal
    if kept is None:
        return None
    words = refusal(kept.code, field=kept.field, words=kept.text)
    return RefusalView(at=kept.at, code=kept.code, cause=words.told, fix=words.fix, retry_at=kept.retry_at)


def _ledger_view(entry: LedgerEntry) -> LedgerEntryView:
    return LedgerEntryView(
        at=entry.at,
        recorded_at=entry.recorded_at,
        before=entry.was or None,
        after=entry.became,
        who=entry.who,
        route=entry.route,
        rule=entry.rule,
        # A person may have typed anything for a reason, an address as well.
        evidence={name: mask_addresses(text) if name == "reason" else text for name, text in entry.evidence.items()},
    )


def _selected(departments: DepartmentStore, department_id: str) -> Department:
    department = departments.get(department_id)
    if department is None or department.audience is None:
        raise conflict("No audience is selected for this department. Connect and select one first.", code="no-audience")
    return department


def _audience(department: Department) -> Audience:
    assert department.audience is not None
    return department.audience
