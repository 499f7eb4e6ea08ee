"""Connection, audience and settings of a department, and the page's panel, as they cross the HTTP edge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chalicelib.contract.common import Access
from chalicelib.contract.runs import LogEntryView, RunView
from chalicelib.contract.segments import SegmentView
from chalicelib.domain.consent.rules import OnRemoved, UnknownConsent
from chalicelib.domain.departments import BrakeLimits, ConnectionState, Finding


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
