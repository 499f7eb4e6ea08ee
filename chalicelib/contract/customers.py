"""One customer, who was found by a search, and the reconciliation, as they cross the HTTP edge."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from chalicelib.contract.common import DifferenceReason, Explained, Params
from chalicelib.domain.consent.members import Status
from chalicelib.domain.segments.rules import RuleValue


@dataclass(frozen=True, slots=True)
class LastPush:
    """What was last sent for a customer's address; `status` is what that left the member as, whatever came since."""

    at: datetime
    status: Status


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """One rule of a segment held against one customer: `description` tells the rule, `found` what the customer has.

    Texts are shown as rules compare them, in small letters. Names and e-mail addresses are not repeated.
    """

    field: str
    operator: str
    value: RuleValue
    passes: bool
    description: str
    found: str


@dataclass(frozen=True, slots=True)
class SegmentVerdict:
    """Whether a customer belongs to a segment, and whether the member carries its tag in Mailchimp already."""

    id: str
    name: str
    matches: bool
    tagged: bool
    rules: tuple[RuleVerdict, ...]


@dataclass(frozen=True, slots=True)
class RefusalView(Explained):
    """Mailchimp's last refusal of a customer's address. `retry_at` null: it waits until the customer is edited."""

    at: datetime
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class LedgerEntryView:
    """One change of consent: from which status to which, by whom, by which route and under which rule.

    `at` is when it happened by the clock of who told us, `recorded_at` when we noted it. `evidence` is what came with
    it, such as `reason`, `campaign_id`, `mailchimp_time` or `run`, in the words of who sent it.
    """

    at: datetime
    recorded_at: datetime
    before: str | None
    after: str
    who: str
    route: str
    rule: str
    evidence: dict[str, str]


@dataclass(frozen=True, slots=True)
class CustomerView:
    """Why a customer is, or is not, in the audience; `verdict` says it in plain words, with what would change it.

    `in_audience` counts whoever Mailchimp shows there, unsubscribed people too; `member_status` tells who gets mail.
    `verdict_code` is why the address is held back, `will_` and what the next sync does, or its status in the audience;
    `verdict_params` have `status`, and where they apply `left_out`, the codes of values that Mailchimp does not get,
    and `shared_with`, `shared_more`, `shared_consent`: whose consent counts instead of the customer's own.
    `shared_with` are the ids of other customers with the same address: together they are one member.
    """

    customer_id: str
    in_audience: bool
    verdict: str
    address: str | None
    member_status: Status
    shared_with: tuple[str, ...]
    last_push: LastPush | None
    segments: tuple[SegmentVerdict, ...]
    last_refusal: RefusalView | None
    consent_ledger: tuple[LedgerEntryView, ...]
    verdict_code: str = ""
    verdict_params: Params = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundCustomer:
    """A customer that a search found, and by what: the e-mail address, the id, or a name."""

    customer_id: str
    email: str | None
    company_name: str | None
    first_name: str | None
    last_name: str | None
    match: Literal["address", "id", "name"]


@dataclass(frozen=True, slots=True)
class FoundCustomers:
    """The customers that a search found. Where it is not `complete` there may be more: ask for more letters."""

    items: tuple[FoundCustomer, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """A customer's address was erased here and in Mailchimp; `message` says what remains to be done elsewhere."""

    customer_id: str
    erased_at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """PracBill's count of customers against Mailchimp's count of members.

    `pracbill_count` are PracBill's customers as the last sync read them, but for those who were entered with an erased
    address: nothing of them is stored, and only the records of that sync name them (`erased`).
    `difference` is `pracbill_count - mailchimp_count`, and the reasons' counts add up to it. The counts are as they are
    now, the reasons as of `as_of`: now, or the last run where much has happened since. What they do not know yet is the
    reason `not_counted_yet`.
    """

    pracbill_count: int
    mailchimp_count: int
    difference: int
    reasons: tuple[DifferenceReason, ...]
    as_of: datetime
