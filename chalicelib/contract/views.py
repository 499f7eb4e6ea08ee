"""The values that cross the HTTP edge: what workflows answer, and the few they are asked with.

Field names are those of the API's documents, so the edge only writes them out: times as RFC 3339 in UTC, tuples as
lists, decimals as text. Every time is an aware datetime. Nothing here carries a key; addresses appear masked unless
a field says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Generic, Literal, TypeVar

from chalicelib.domain.consent.members import Status
from chalicelib.domain.consent.rules import OnRemoved, UnknownConsent
from chalicelib.domain.departments import BrakeLimits, ConnectionState, Finding
from chalicelib.domain.logs import Direction, LogStatus, LogTrigger, LogType, Outcome
from chalicelib.domain.runs import ProgressPhase, RunStatus, RunType, Trigger

Item = TypeVar("Item")
# A run's phases as staff see them: `ingest` reads PracBill's customers, `plan` decides about them.
RunPhase = Literal["pull", "ingest", "plan", "approval", "apply", "segments", "close"]
PhaseState = Literal["waiting", "running", "done"]
ProgressUnit = Literal["members", "customers", "addresses", "changes"]
SegmentSyncState = Literal["pending", "syncing", "synced", "error"]
Access = Literal["read", "write"]
# The figures and names of a sentence, beside the code of what it says.
Params = dict[str, str | int]
RuleValue = str | int | Decimal | None


@dataclass(frozen=True, slots=True)
class Health:
    """Liveness."""

    status: Literal["ok"]
    version: str


# ---------------------------------------------------------------------------------------------------------- lists


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list. `next_cursor` fetches the next one with the same filters; null at the end."""

    items: tuple[Item, ...]
    next_cursor: str | None


# ----------------------------------------------------------------------------------------------------------- runs


@dataclass(frozen=True, slots=True)
class PhaseProgress:
    """How far one phase of a run is. `planned` is null while nobody knows how many of the `unit` there are."""

    phase: ProgressPhase
    unit: ProgressUnit
    state: PhaseState
    planned: int | None
    estimated: bool
    done: int
    failed: int


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is: in `phase`, which is the one it is in, and `apply`, the changes sent, once it has ended.

    `planned` is null while nobody knows how many of the `unit` there are, and a guess where `estimated`. `rate` is how
    many a second; it and `eta` are null until the first are through. `phases` tell the same of each phase the run has.
    """

    planned: int | None
    done: int
    failed: int
    rate: float | None
    eta: datetime | None
    phase: ProgressPhase = "apply"
    unit: ProgressUnit = "changes"
    estimated: bool = False
    phases: tuple[PhaseProgress, ...] = ()


@dataclass(frozen=True, slots=True)
class BrakeStop:
    """Why a run waits for approval, and the counts per action that its plan holds."""

    reason: str
    planned_counts: dict[str, int]
    code: str = ""
    params: Params = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunView:
    """One sync. `counts` holds what was done per action; of a dry run, what would be done. `record_counts` are the
    numbers of its records by outcome.

    Each customer is in one bucket of `counts` at the most, so they may be added up; who needed nothing is in none.
    Keys: `add`, `update`, `subscribe`, `unsubscribe`, `ask` (to confirm), `archive`, `rename` (a new address): done.
    `refused`: by Mailchimp in this run; later runs count them as `held` until they are edited or tried again. `lost`:
    a call failed, the next sync sends them. `held`: held back by us; `held_by_reason` splits it by the records' codes
    and adds up to it. Beside the buckets: `partly_sent`, in Mailchimp but for values that were left out or cut;
    `segment_added`, `segment_removed`, tags, one for each member and segment.

    `brake` is null unless the run was stopped for approval; `approved_by` is who then let it go on.
    """

    id: str
    type: RunType
    dry_run: bool
    trigger: Trigger
    started_by: str | None
    approved_by: str | None
    phase: RunPhase
    status: RunStatus
    started_at: datetime
    finished_at: datetime | None
    progress: RunProgress
    counts: dict[str, int]
    held_by_reason: dict[str, int]
    message: str
    brake: BrakeStop | None
    record_counts: dict[Outcome, int] = field(default_factory=dict)
    code: str = ""
    params: Params = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordView:
    """What a run did, or did not do, for one customer. `code` names the case, `cause` and `fix` tell it in plain words.

    `address` is the customer's; masked where the customer has another one by now, or is not known any more.
    `outcome`: `done`; `partly_sent`, in Mailchimp but for values that were left out or cut; `held` back by us;
    `refused` by Mailchimp; `failed`, which a retry may mend; `planned`.
    """

    customer_id: str
    address: str | None
    action: str
    outcome: Outcome
    code: str
    cause: str
    fix: str | None
    at: datetime
    params: Params = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogEntryView:
    """One line of the Sync Logs. `run_id` is null for entries that no run wrote, such as a webhook's.

    `type` is `full` for runs that read all customers, `incremental` for all others and for single events. `trigger` is
    what started it: the schedule, staff, an event of Mailchimp's webhook, an edited segment, an erasure.
    `cancelled`: the run was stopped before its end, by staff or for another one. `customer_ids` are the first ten
    customers whom an entry of direction pull is about; empty for other entries, and where PracBill has no customer.
    `counts` of a push are those of its run. Keys of a pull: `opted_out`, `bounced`, `deleted`, `resubscribed`,
    `not_accepted` (subscribed in Mailchimp against an opt-out, which stands), `address_changed`: contacts; `told`:
    updates that PracBill has by now; `waiting`: updates that it has not yet.
    """

    date: datetime
    direction: Direction
    type: LogType
    trigger: LogTrigger
    status: LogStatus
    message: str
    run_id: str | None
    counts: dict[str, int]
    held_by_reason: dict[str, int]
    cancelled: bool
    customer_ids: tuple[str, ...]
    code: str = ""
    params: Params = field(default_factory=dict)


# ------------------------------------------------------------------------------------------ connection and audience


@dataclass(frozen=True, slots=True)
class AudienceSummary:
    """An audience of the connected account.

    `member_count` counts subscribed members, as of `counted_at`; without that time it is Mailchimp's own figure, which
    may be some minutes old.
    """

    id: str
    name: str
    member_count: int | None
    counted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AudienceList:
    """The account's audiences, and whether its plan allows another; `reason` says why not."""

    items: tuple[AudienceSummary, ...]
    may_create: bool
    reason: str | None
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class AudienceOverview:
    """The department's primary audience. `segments` is their number; `active_run` the run under way, if any.

    `member_count` counts subscribed members, as of `counted_at`; null until Mailchimp has been asked.
    """

    id: str
    name: str
    member_count: int | None
    counted_at: datetime | None
    segments: int
    last_synced_at: datetime | None
    active_run: RunView | None
    health: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """The status panel. Everything about the account is null while the department is not connected.

    `key_hint` is the last four characters of the API key, which itself is never answered. `access` is what the caller
    may do in this department.

    `next_sync_at` is when the schedule starts the department's next sync; one that is still running then takes its
    place. Null while scheduled syncs are paused or stopped, and where the time cannot be told: a new schedule of the
    form `rate(...)` counts from a moment that is known only once it has fired.
    """

    state: ConnectionState
    account_name: str | None
    server_prefix: str | None
    key_hint: str | None
    audience: AudienceSummary | None
    last_synced_at: datetime | None
    active_run: RunView | None
    health: tuple[Finding, ...]
    next_sync_at: datetime | None = None
    access: Access = "read"


# Mailchimp wants an audience to carry the sender's postal address: anti-spam laws require it in every mail.
@dataclass(frozen=True, slots=True)
class PostalAddress:
    """The sender's postal address, `country` as ISO 3166 two letters."""

    line1: str
    line2: str
    city: str
    state: str
    postcode: str
    country: str


@dataclass(frozen=True, slots=True)
class NewAudience:
    """What is needed to create an audience."""

    name: str
    from_name: str
    from_email: str
    company: str
    address: PostalAddress
    language: str
    permission_reminder: str


# ------------------------------------------------------------------------------------------------------- settings


@dataclass(frozen=True, slots=True)
class SettingsView:
    """What a department may choose about its sync."""

    unknown_consent: UnknownConsent
    on_removed: OnRemoved
    ask_again: bool
    brake: BrakeLimits
    paused: bool


@dataclass(frozen=True, slots=True)
class BrakeChanges:
    """New brake limits; None leaves a limit as it is."""

    removals: int | None = None
    removals_percent: int | None = None
    additions: int | None = None
    additions_percent: int | None = None


@dataclass(frozen=True, slots=True)
class SettingsChanges:
    """New settings; None leaves a setting as it is."""

    unknown_consent: UnknownConsent | None = None
    on_removed: OnRemoved | None = None
    ask_again: bool | None = None
    brake: BrakeChanges = BrakeChanges()
    paused: bool | None = None


# ------------------------------------------------------------------------------------------------------- segments


@dataclass(frozen=True, slots=True)
class SegmentRule:
    """One filter rule; `value` is null for operators that take none."""

    field: str
    operator: str
    value: RuleValue


@dataclass(frozen=True, slots=True)
class SegmentView:
    """A segment. `customer_count` is who matched at `as_of`; null before the first evaluation.

    `version` grows with every edit: sent back with a change, it keeps two editors from overwriting each other.
    `tagged_count` are the members who carry the segment's tag as of `last_synced_at`, whatever their status; the
    counts of `difference` add up to `customer_count` less `tagged_count`. `reachable_count` are the customers whom a
    campaign to the segment reaches, counted as a preview counts them. `message` says why the segment could not be
    brought to Mailchimp; null when it could.
    """

    id: str
    name: str
    rules: tuple[SegmentRule, ...]
    customer_count: int | None
    as_of: datetime | None
    mailchimp_segment_id: int | None
    sync_state: SegmentSyncState
    version: int
    tagged_count: int | None = None
    reachable_count: int | None = None
    difference: tuple[DifferenceReason, ...] = ()
    last_synced_at: datetime | None = None
    message: str | None = None
    code: str | None = None
    params: Params = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PreviewCustomer:
    """A customer of a preview's sample, as PracBill has it. The address is in full: staff check their own customers."""

    id: str
    email: str | None
    company_name: str | None
    first_name: str | None
    last_name: str | None


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How many customers one rule alone matches."""

    field: str
    operator: str
    value: RuleValue
    count: int


@dataclass(frozen=True, slots=True)
class MembershipChange:
    """How many customers would enter or leave a segment, and who, for example."""

    count: int
    sample: tuple[PreviewCustomer, ...]


@dataclass(frozen=True, slots=True)
class SegmentPreview:
    """Who matches some rules at `as_of`: `count` of `total` customers, `reachable_count` of whom campaigns would reach.

    Reached is who is subscribed, or will be by the next sync: consent, opt-outs and refusals are all counted in.
    `per_rule` is null unless asked for, `entering` and `leaving` unless a segment was named to compare with.
    """

    count: int
    reachable_count: int
    total: int
    as_of: datetime
    sample: tuple[PreviewCustomer, ...]
    per_rule: tuple[RuleCount, ...] | None
    entering: MembershipChange | None
    leaving: MembershipChange | None


@dataclass(frozen=True, slots=True)
class FieldOperator:
    """An operator a field allows; `value_type` says what goes with it."""

    operator: str
    label: str
    value_type: Literal["text", "number", "whole_number", "decimal", "none"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A value worth offering for a field, with the words to show for it."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class SegmentField:
    """A field that rules can ask about. `choices` are offers, not a limit; `hint` is shown beside the input."""

    field: str
    label: str
    hint: str
    computed: bool
    operators: tuple[FieldOperator, ...]
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class SegmentFields:
    """What a segment builder needs to draw itself; every segment has 1 to `max_rules` rules."""

    fields: tuple[SegmentField, ...]
    max_rules: int


@dataclass(frozen=True, slots=True)
class SegmentTemplate:
    """A ready-made segment to start from."""

    id: str
    name: str
    description: str
    rules: tuple[SegmentRule, ...]


# ------------------------------------------------------------------------------------------------------ the page


@dataclass(frozen=True, slots=True)
class Panel:
    """All that the page shows at first, in one answer and from what is stored: neither Mailchimp nor PracBill is asked.

    `audience` is null while none is selected or the department is not connected; `newest_run` before the first one.
    `segments` are all of them, `logs` the newest entries.
    """

    access: Access
    as_of: datetime
    connection: ConnectionStatus
    audience: AudienceOverview | None
    settings: SettingsView
    newest_run: RunView | None
    segments: tuple[SegmentView, ...]
    logs: tuple[LogEntryView, ...]


@dataclass(frozen=True, slots=True)
class HistoryDay:
    """One day: `members` subscribed and `customers` in PracBill at its last sync that knows, and what was new."""

    date: str
    members: int | None
    customers: int | None
    added: int
    opted_out: int


@dataclass(frozen=True, slots=True)
class History:
    """The days on which something was synced or received, oldest first, as days of the department's time zone."""

    items: tuple[HistoryDay, ...]
    timezone: str


# ------------------------------------------------------------------------------------ one customer, reconciliation


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
class RefusalView:
    """Mailchimp's last refusal of a customer's address. `retry_at` null: it waits until the customer is edited."""

    at: datetime
    code: str
    cause: str
    fix: str | None
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
class DifferenceReason:
    """A part of the difference: `count` is signed, positive for customers that are not members."""

    code: str
    count: int
    explanation: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """PracBill's count of customers against Mailchimp's count of members.

    `difference` is `pracbill_count - mailchimp_count`, and the reasons' counts add up to it. The counts are as they are
    now, the reasons as of `as_of`: now, or the last run where much has happened since. What they do not know yet is the
    reason `not_counted_yet`.
    """

    pracbill_count: int
    mailchimp_count: int
    difference: int
    reasons: tuple[DifferenceReason, ...]
    as_of: datetime
