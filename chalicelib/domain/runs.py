"""A run: one sync of a department. Its states, legal moves, the brake, and the words of its log entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from chalicelib.domain.departments import BrakeLimits
from chalicelib.domain.logs import LogTrigger, LogType

RunType = Literal["incremental", "full", "segments"]
Trigger = Literal["manual", "schedule", "retry", "selection", "segment_edit"]
Phase = Literal["pull", "store", "decide", "approval", "apply", "segments", "close"]
RunStatus = Literal["running", "awaiting_approval", "success", "error", "skipped", "cancelled"]

OPEN_STATUSES: frozenset[RunStatus] = frozenset({"running", "awaiting_approval"})
# A run that shows no progress for this long is closed by the sweeper.
STUCK_AFTER = timedelta(minutes=30)
# After this long the sweeper sends the current step's message once more, in case it was lost.
NUDGE_AFTER = timedelta(minutes=6)

_ACTION_WORDS = {
    "add": "added",
    "update": "updated",
    "subscribe": "subscribed",
    "unsubscribe": "unsubscribed",
    "ask": "asked to confirm",
    "archive": "archived",
    "rename": "renamed",
    "refused": "refused by Mailchimp",
    "lost": "not sent (the next sync sends them again)",
    "invalid_email": "not sent (Invalid email)",
    "segment_added": "added to segments",
    "segment_removed": "removed from segments",
}
WRITES = ("add", "update", "subscribe", "unsubscribe", "ask", "archive", "rename")


@dataclass(frozen=True, slots=True)
class Run:
    """One sync. `counts` hold what was done per action, `planned_counts` what the plan wants."""

    department_id: str
    id: str
    type: RunType
    trigger: Trigger
    started_at: datetime
    dry_run: bool = False
    started_by: str = ""
    phase: Phase = "pull"
    step_number: int = 0  # counts the messages of the run's own steps: an older one is a repeat
    status: RunStatus = "running"
    progress_at: datetime | None = None
    apply_started_at: datetime | None = None
    last_chunk_at: datetime | None = None  # when a chunk was closed the last time
    finished_at: datetime | None = None
    cursor: dict[str, str] = field(default_factory=dict)  # where the current phase continues
    chunks_total: int = 0
    chunks_done: int = 0
    chunks_failed: int = 0
    planned: int = 0
    done: int = 0
    failed: int = 0
    planned_counts: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    customers_read: int = 0
    next_watermark: str = ""
    members_until: datetime | None = None  # Mailchimp's changes are known up to here, once the run has come to its end
    points: str = ""  # split points of a full run's customers so far (key_ranges.SplitPoints as text)
    message: str = ""
    brake: str = ""  # why the run waits for approval
    approved_by: str = ""

    @property
    def log_type(self) -> LogType:
        """Its type in the Sync Logs: only a run that reads everything is full."""
        return "full" if self.type == "full" else "incremental"

    @property
    def log_trigger(self) -> LogTrigger:
        """What started it, for the Sync Logs: whoever selects an audience or tries again is staff."""
        return self.trigger if self.trigger in ("schedule", "segment_edit") else "staff"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    @property
    def last_sign_of_life(self) -> datetime:
        return self.progress_at or self.started_at


def rate_and_finish(run: Run, now: datetime) -> tuple[float | None, datetime | None]:
    """Operations a second in the apply phase so far, and when it will be through; None while unknown.

    Once all are through, the rate stays what it was then, whatever time the segments take.
    """
    if run.apply_started_at is None or run.done + run.failed == 0:
        return None, None
    rest = run.planned - run.done - run.failed
    end = (run.last_chunk_at if rest <= 0 else None) or run.finished_at or now
    seconds = (end - run.apply_started_at).total_seconds()
    if seconds <= 0:
        return None, None
    rate = (run.done + run.failed) / seconds
    if rest <= 0 or not run.is_open:
        return rate, None
    return rate, now + timedelta(seconds=rest / rate)


def planned_removals(run: Run) -> int:
    return run.planned_counts.get("unsubscribe", 0) + run.planned_counts.get("archive", 0)


def planned_additions(run: Run) -> int:
    """People whom campaigns, or Mailchimp's request to confirm, would newly reach."""
    return sum(run.planned_counts.get(action, 0) for action in ("add", "subscribe", "ask"))


def brake_reason(run: Run, audience_size: int, member_count: int, limits: BrakeLimits) -> str:
    """Why a plan must be approved before it is applied, in plain words; empty when it need not.

    `member_count` are the members who are customers of the department, `audience_size` are all of the audience.
    Removals brake every run, additions only what nobody is watching: scheduled runs.
    """
    if run.approved_by:
        return ""
    removals = planned_removals(run)
    if 3 * removals > member_count and removals:
        share = "all" if removals >= member_count else "more than a third"
        return (
            f"The plan would unsubscribe or archive {removals} of the department's {max(member_count, removals)} "
            f"members, {share} of them. Check that PracBill sends all customers, look at the records, then approve or "
            "cancel the run."
        )
    most_removals = max(limits.removals, audience_size * limits.removals_percent // 100)
    if removals > most_removals:
        return (
            f"The plan would unsubscribe or archive {removals} of {audience_size} members, more than the limit of "
            f"{most_removals}. Look at the records, then approve or cancel the run."
        )
    additions = planned_additions(run)
    most_additions = max(limits.additions, audience_size * limits.additions_percent // 100)
    if run.trigger == "schedule" and additions > most_additions:
        return (
            f"The scheduled run would add or subscribe {additions} members to {audience_size}, more than the limit of "
            f"{most_additions}. Look at the records, then approve or cancel the run."
        )
    return ""


def closing_status(run: Run) -> RunStatus:
    """Success, Error or Skipped for a run that came to its end by itself.

    Single refused addresses are outcomes of their records, not errors of the run; a run in which chunks were lost or
    nothing at all went through is an error.
    """
    if run.chunks_failed or (run.failed and not run.done):
        return "error"
    if run.dry_run:
        return "success"
    return "success" if run.done or run.failed or _segment_changes(run) else "skipped"


def closing_message(run: Run) -> str:
    """The log entry's message for a run that came to its end by itself."""
    if run.dry_run:
        return f"Dry run, nothing was sent. The plan: {_told(run.planned_counts) or 'no changes'}."
    if run.chunks_failed:
        lost = (
            f"{run.chunks_failed} of {run.chunks_total} chunks failed; their customers are sent again by the next sync."
        )
        return f"{lost} Done: {_told(run.counts) or 'nothing'}."
    told = _told(run.counts)
    # Invalid addresses are told of in every full sync, also in one without changes.
    parts = ["No changes to sync."] if closing_status(run) == "skipped" or not told else []
    if told:
        parts.append(f"{told[0].upper()}{told[1:]}.")
    if held := run.counts.get("held", 0):
        stuck = run.counts.get("compliance_state", 0)
        why = f", {stuck} of them for their Compliance state" if stuck else ""
        parts.append(f"{held} customer{' is' if held == 1 else 's are'} held back{why}; the records say why.")
    return " ".join(parts)


def _segment_changes(run: Run) -> int:
    return run.counts.get("segment_added", 0) + run.counts.get("segment_removed", 0)


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{counts[key]} {word}" for key, word in _ACTION_WORDS.items() if counts.get(key))
