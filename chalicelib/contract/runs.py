"""Runs, their records and the Sync Logs, as they cross the HTTP edge."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from chalicelib.contract.common import Explained, Params
from chalicelib.domain.logs import Direction, LogStatus, LogTrigger, LogType, Outcome
from chalicelib.domain.runs import PhaseName, ProgressPhase, RunStatus, RunType, Trigger

PhaseState = Literal["waiting", "running", "done"]
ProgressUnit = Literal["members", "customers", "addresses", "changes"]


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
    phase: PhaseName
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
class RecordView(Explained):
    """What a run did, or did not do, for one customer.

    `address` is the customer's; masked where the customer has another one by now, or is not known any more.
    `params` of a refusal: `field`, Mailchimp's name of the field it is about, and `said`, Mailchimp's own words.
    `outcome`: `done`; `partly_sent`, in Mailchimp but for values that were left out or cut; `held` back by us;
    `refused` by Mailchimp; `failed`, which a retry may mend; `planned`.
    """

    customer_id: str
    address: str | None
    action: str
    outcome: Outcome
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
