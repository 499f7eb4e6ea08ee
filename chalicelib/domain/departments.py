"""A department as this service keeps it: connection, audience, settings, watermarks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from chalicelib.domain.consent.rules import ConsentPolicy
from chalicelib.domain.fieldmap import FieldMap

# `key_rejected` and `account_deactivated` stop the schedule until the key is replaced.
ConnectionState = Literal["not_connected", "connected", "key_rejected", "account_deactivated", "wrong_data_centre"]
Severity = Literal["info", "warning", "error"]

# Nobody says whether Mailchimp wants a state in each postal address; what one refusal taught is tried again after this.
_STATE_REQUIRED_FOR = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a connection or audience that staff should know, and what to do about it."""

    code: str
    severity: Severity
    message: str
    fix: str
    params: dict[str, str | int] = field(default_factory=dict)  # the figures and names in the message


@dataclass(frozen=True, slots=True)
class Connection:
    """The link to one Mailchimp account. The key itself is in Secrets Manager, never here."""

    state: ConnectionState
    account_id: str
    account_name: str
    server_prefix: str
    key_hint: str
    connected_at: datetime
    message: str = ""  # why the state is not `connected`


@dataclass(frozen=True, slots=True)
class AudienceStatus:
    """What Mailchimp said of the audience when it was asked the last time, at `asked_at`.

    `member_count` are the subscribed members as of `counted_at`. Both stay when a later question found no answer;
    `findings` say why.
    """

    asked_at: datetime
    member_count: int | None = None
    counted_at: datetime | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Audience:
    """The department's primary audience as of its last pre-flight."""

    id: str
    name: str
    fields: FieldMap
    selected_at: datetime
    double_optin: bool = False
    hook_id: str = ""
    findings: tuple[Finding, ...] = ()
    first_contact_done: bool = False  # every member's status was read once
    status: AudienceStatus | None = None  # None: Mailchimp was not asked yet
    refused_fields: tuple[str, ...] = ()  # tags that Mailchimp did not let us create, asked for the last time at
    fields_refused_at: datetime | None = None
    field_count: int = 0  # of all merge fields the audience has
    state_required_at: datetime | None = None  # Mailchimp refused a postal address for its missing state, the last time

    def requires_state(self, now: datetime) -> bool:
        """Whether Mailchimp is known to refuse postal addresses without a state. Once in a while one is tried again."""
        return self.state_required_at is not None and now < self.state_required_at + _STATE_REQUIRED_FOR


@dataclass(frozen=True, slots=True)
class BrakeLimits:
    """A plan beyond max(count, share of the audience) waits for approval."""

    removals: int = 100
    removals_percent: int = 10
    additions: int = 500
    additions_percent: int = 20


@dataclass(frozen=True, slots=True)
class DepartmentSettings:
    """What staff may choose."""

    consent: ConsentPolicy = field(default_factory=ConsentPolicy)
    brake: BrakeLimits = field(default_factory=BrakeLimits)
    paused: bool = False


@dataclass(frozen=True, slots=True)
class RefusedOptOuts:
    """Unsubscribes that Mailchimp did not take in the last sync, and since when there are any."""

    count: int
    since: datetime


@dataclass(frozen=True, slots=True)
class OutboxBacklog:
    """Consent changes that could not be sent to PracBill yet; nothing is lost, the next sync or event sends them."""

    count: int
    since: datetime
    why: str  # in words for staff

    @property
    def message(self) -> str:
        what = "1 consent change has" if self.count == 1 else f"{self.count} consent changes have"
        return f"{what} been waiting to be sent to PracBill since {self.since:%Y-%m-%d %H:%M} UTC. {self.why}"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Customers of whom PracBill has a value that cannot be read; `example` is the id of one of them."""

    attribute: str  # of Filterable: balance, created_on, last_invoice_on
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class Department:
    """One department of PracBill and its link to Mailchimp."""

    id: str
    name: str
    timezone: str
    country: str
    currency: str
    address_salt: str  # hexadecimal; never changes, or no address would be known again
    connection: Connection | None = None
    audience: Audience | None = None
    settings: DepartmentSettings = field(default_factory=DepartmentSettings)
    customers_watermark: str = ""  # changes up to here are stored; RFC 3339, given back to PracBill as it came
    members_watermark: datetime | None = None  # Mailchimp's changes up to here are known
    # Every address must be decided anew: what decides changed, or a full run did not come to its end. A wish that comes
    # up while a run is active may be too late for it, so it is kept for the next one.
    replan_all: bool = False
    replan_all_next: bool = False
    # Since when what members hold in our fields may be other than what we sent: the next run reads it of all of them.
    values_unsure_since: datetime | None = None
    customer_count: int | None = None  # how many PracBill had at the last full run
    has_erasures: bool = False  # somebody's data was erased: plans look out for their addresses
    active_run_id: str = ""
    segments_waiting: bool = False  # segments were changed while a run was active, perhaps too late for it
    last_synced_at: datetime | None = None
    backlog: OutboxBacklog | None = None  # noted by whoever could not update PracBill, until everything is sent
    refused_opt_outs: RefusedOptOuts | None = None  # noted by each sync that came to its end
    unreadable: tuple[Unreadable, ...] = ()
    unreadable_may_differ: bool = False  # customers with such values came, went or changed since they were counted

    @property
    def salt(self) -> bytes:
        """The key under which addresses are filed (customers.address_key)."""
        return bytes.fromhex(self.address_salt)

    def to_be_decided_anew(self) -> Department:
        """The department with the wish that the next plan decides every address."""
        return replace(self, replan_all=True, replan_all_next=self.replan_all_next or bool(self.active_run_id))

    def with_values_unsure(self, since: datetime) -> Department:
        """The department with the wish that a run begun at `since` or later reads what every member holds.

        What Mailchimp refused for a missing state is then tried again, too.
        """
        audience = self.audience and replace(self.audience, state_required_at=None)
        return replace(self, audience=audience, values_unsure_since=max(self.values_unsure_since or since, since))

    @property
    def audience_id(self) -> str:
        """The id of the selected audience; empty without one."""
        return self.audience.id if self.audience else ""

    @property
    def is_connected(self) -> bool:
        return self.connection is not None and self.connection.state == "connected"

    @property
    def runs_on_schedule(self) -> bool:
        return self.is_connected and self.audience is not None and not self.settings.paused
