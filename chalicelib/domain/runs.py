"""A run: one sync of a department. Its states, legal moves, the brake, and the words of its log entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.logs import LogTrigger, LogType

RunType = Literal["incremental", "full", "segments"]
Trigger = Literal["manual", "schedule", "retry", "selection", "segment_edit"]
PhaseName = Literal["pull", "ingest", "plan", "approval", "apply", "segments", "close"]
# The phases that count. `ingest` reads PracBill's customers, `plan` decides about them.
ProgressPhase = Literal["pull", "ingest", "plan", "apply", "segments"]
RunStatus = Literal["running", "awaiting_approval", "success", "error", "skipped", "cancelled"]

OPEN_STATUSES: frozenset[RunStatus] = frozenset({"running", "awaiting_approval"})
# A run that shows no progress for this long is closed by the sweeper.
STUCK_AFTER = timedelta(minutes=30)
# A chunk's calls have come to an end after this long, in whatever way: no function may run longer.
LONGEST_FLIGHT = timedelta(minutes=15)
# Among a run's chunks in flight: a step that brings segments to Mailchimp.
SEGMENTS_STEP = -1
# After this long the sweeper sends the current step's message once more, in case it was lost.
NUDGE_AFTER = timedelta(minutes=6)

# The buckets of a run's counts: each customer or address is in one of them at the most, so they may be added up.
# Addresses with which nothing was to be done are in none. The last two count tags.
BUCKETS = {
    "add": "added to the audience",
    "update": "data updated",
    "subscribe": "subscribed",
    "unsubscribe": "unsubscribed",
    "ask": "asked by Mailchimp to confirm",
    "archive": "archived",
    "rename": "e-mail address changed",
    "refused": "refused by Mailchimp in this run; later runs hold them until they are edited or tried again",
    "lost": "not sent because a call failed; the next sync sends them again",
    "held": "held back, split by reason in `held_by_reason`",
    "partly_sent": "in Mailchimp, with values left out or cut; counted in another group as well",
    "segment_added": "tags given, one for each member and segment",
    "segment_removed": "tags taken away, one for each member and segment",
}
# Counted apart, since those are no customers to whom something was done.
PARTLY_UNCHANGED = "partly_unchanged"
_HELD_LATE = "changed_meanwhile"
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
    "segment_added": "segment tags added",
    "segment_removed": "segment tags removed",
}
# What the guide calls the reasons that staff can work off.
_HELD_WORDS = {"invalid_email": "Invalid email", "compliance_state": "Compliance state"}
# Reasons that say themselves what has to be done; with others it is to check that the other side works.
_SAYS_WHAT_TO_DO = ("Rate limit exceeded", "Access blocked")


@dataclass(frozen=True, slots=True)
class PhaseCount:
    """How far a phase is that began at `since`: `planned` is None while nobody knows how many there are."""

    done: int = 0
    planned: int | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class TagShare:
    """A lane's share of the customers whose tags are to be sent: those behind the place `at`, to the bucket `until`.

    Its message tells the `number`; a share that goes on has another one.
    """

    number: int
    lane: int
    at: str
    until: int


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
    retry_of: str = ""  # the run whose failures are still to be marked, and up to where they are
    retry_after: str = ""
    phase: PhaseName = "pull"
    step_number: int = 0  # counts the messages of the run's own steps: an older one is a repeat
    status: RunStatus = "running"
    progress_at: datetime | None = None
    apply_started_at: datetime | None = None
    last_chunk_at: datetime | None = None  # when a chunk was closed the last time
    finished_at: datetime | None = None
    in_flight: tuple[int, ...] = ()  # chunks whose calls have begun, until they are counted
    reason: str = ""  # why the run was cancelled; the counts are told once the chunks in flight have ended
    cursor: dict[str, str] = field(default_factory=dict)  # where the current phase continues
    chunks_total: int = 0
    chunks_done: int = 0
    chunks_failed: int = 0
    tag_shares: tuple[TagShare, ...] = ()  # those that lanes have still to do
    tag_shares_made: int = 0  # their numbers follow those of the chunks
    planned: int = 0
    done: int = 0
    failed: int = 0
    opt_outs_refused: int = 0  # of the failed ones: unsubscribes that Mailchimp did not take
    planned_counts: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    customers_read: int = 0
    next_watermark: str = ""
    members_until: datetime | None = None  # Mailchimp's changes are known up to here, once the run has come to its end
    message: str = ""  # the log entry's words; of an open run, for whom it waits
    code: str = ""  # what the message says, and with `params` its figures and names
    params: dict[str, str | int] = field(default_factory=dict)
    failure: str = ""  # why a chunk failed, the last time that one did; else why the first address was refused
    brake: str = ""  # why the run waits for approval
    brake_code: str = ""
    brake_params: dict[str, str | int] = field(default_factory=dict)
    approved_by: str = ""
    phases: dict[str, PhaseCount] = field(default_factory=dict)  # how far each came, once the run has ended

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
    def has_sent(self) -> bool:
        """Whether something was sent to Mailchimp, or tried."""
        return bool(self.done or self.failed or _segment_changes(self))

    @property
    def waits_for_chunks(self) -> bool:
        """Whether chunks or shares are out: then they are what the run waits for, not a step of its own."""
        return bool(self.tag_shares) or (self.phase == "apply" and self.apply_started_at is not None)

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


def closing_status(run: Run) -> RunStatus:
    """Success, Error or Skipped for a run that came to its end by itself.

    Single refused addresses are outcomes of their records, not errors of the run; a run in which chunks were lost or
    nothing at all went through is an error.
    """
    if run.chunks_failed or _is_all_in_vain(run):
        return "error"
    if run.dry_run:
        return "success"
    return "success" if run.done or run.failed or _segment_changes(run) else "skipped"


def is_counted(run: Run, now: datetime) -> bool:
    """Whether an ended run's counts are final: no chunk is in flight any more."""
    return not run.in_flight or run.finished_at is None or now - run.finished_at > LONGEST_FLIGHT


def cancelled_message(run: Run) -> str:
    """The words for a cancelled run, told after its chunks in flight have ended."""
    if run.dry_run or run.phase == "pull" or not (run.planned or run.has_sent):
        return run.reason
    if not run.has_sent:
        return f"{run.reason} Nothing was sent to Mailchimp."
    if not run.planned:
        return f"{run.reason} Stopped after {_told(run.counts)}."
    rest = " The next sync makes the remaining changes." if run.done < run.planned else ""
    return f"{run.reason} Stopped after {run.done} of {run.planned} changes.{rest}"


def closing_code(run: Run) -> str:
    """What the log entry of a run says that came to its end by itself."""
    if run.dry_run:
        return "dry_run"
    if run.chunks_failed:
        return "chunks_lost"
    if _is_all_in_vain(run):
        return "nothing_went_through"
    return "nothing_to_do" if closing_status(run) == "skipped" else "synced"


def closing_params(run: Run) -> dict[str, str | int]:
    """The figures of that message which are no counts of the run."""
    if run.chunks_failed:
        return {"chunks": run.chunks_total, "lost": run.chunks_failed}
    return {"failed": run.failed} if _is_all_in_vain(run) else {}


def waiting_message(reason: str, until: datetime) -> str:
    """What an open run says while it waits: for whom, why, and when it goes on; empty when it waits for nobody."""
    goes_on = f"The sync continues automatically at {until.astimezone(UTC):%H:%M:%S} UTC."
    if reason.startswith("Rate limit exceeded"):
        return f"Rate limit exceeded: Mailchimp asks this service to slow down. {goes_on}"
    side = side_of(reason)
    return f"Waiting for {side}. {reason.partition('. ')[0].rstrip('.')}. {goes_on}" if side else ""


def may_wait(run: Run, seconds: float, now: datetime) -> bool:
    """Whether the run may do nothing for so long: it would be closed as stuck before a longer wait is over."""
    return now + timedelta(seconds=seconds) - run.last_sign_of_life < STUCK_AFTER


def given_up_message(run: Run, reason: str, until: datetime | None = None) -> str:
    """The log entry's words for a run whose step failed again and again; `reason` is why it failed the last time.

    `until`: how long the other side asked to be left alone, where no sync waits for that.
    """
    sent = "The changes sent before that stay." if run.done else "Nothing was sent to Mailchimp."
    if until is not None:
        what, when = reason.partition(". ")[0].rstrip("."), f"{until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        side = side_of(reason) or "It"
        return (
            f"{what}. {side} asks this service to wait until {when}, longer than a sync can wait, so "
            f"the sync was stopped. {sent} Start it again after that time, or leave it to the next scheduled sync."
        )
    if reason.startswith(_SAYS_WHAT_TO_DO):
        return f"{reason} Every retry failed for several minutes, so the sync was stopped. {sent}"
    what, side = reason.partition(". ")[0].rstrip("."), side_of(reason)
    check = f"Check that {side} works and can be reached, then start the sync again. " if side else ""
    return f"{what}. Every retry failed for several minutes, so the sync was stopped. {sent} {check}".strip()


def side_of(reason: str) -> str:
    """Which of the two servers a reason is about."""
    what = reason.partition(". ")[0]
    return next((name for name in ("PracBill", "Mailchimp") if name in what), "")


def closing_message(run: Run) -> str:
    """The log entry's message for a run that came to its end by itself."""
    if run.dry_run:
        return f"Dry run, nothing was sent. The plan: {_told(run.planned_counts) or 'no changes'}."
    if run.chunks_failed:
        lost = (
            f"{run.chunks_failed} of {run.chunks_total} parts of the sync could not be sent to Mailchimp. The next "
            "sync sends their customers again."
        )
        cause = f"{run.failure} " if run.failure else ""
        return f"{lost} {cause}Done: {_told(run.counts) or 'nothing'}."
    told = _told(run.counts)
    in_vain = _is_all_in_vain(run)
    parts = ["Nothing went through."] if in_vain else []
    if closing_status(run) == "skipped" or not (told or in_vain):
        parts.append("No changes to sync.")
    if told:
        parts.append(f"{told[0].upper()}{told[1:]}.")
    if in_vain and run.failure:
        parts.append(run.failure)
    if in_vain and (run.failed > 1 or not run.failure):
        parts.append("The records say why for each customer.")
    if held := run.counts.get("held", 0):
        reasons = held_by_reason(run.counts)
        named = [f"{reasons[code]} {words}" for code, words in _HELD_WORDS.items() if reasons.get(code)]
        why = f" ({', '.join(named)})" if named else ""
        parts.append(f"{held} customer{' is' if held == 1 else 's are'} held back{why}; the records say why.")
    if partly := partly_sent(run.counts):
        who = "1 customer is" if partly == 1 else f"{partly} customers are"
        parts.append(f"{who} partly sent; the records say what is left out.")
    return " ".join(parts)


def buckets(counts: Mapping[str, int]) -> dict[str, int]:
    """A run's counts without those that are parts of others."""
    found = {name: count for name, count in counts.items() if name in BUCKETS}
    return found | ({"partly_sent": partly} if (partly := partly_sent(counts)) else {})


def partly_sent(counts: Mapping[str, int]) -> int:
    """Of how many customers Mailchimp has not all: those that the run sent, and those that it found unchanged."""
    return counts.get("partly_sent", 0) + counts.get(PARTLY_UNCHANGED, 0)


def held_by_reason(counts: Mapping[str, int]) -> dict[str, int]:
    """Why customers were held back, by the codes of the records; they add up to the bucket `held`."""
    reasons = {name: count for name, count in counts.items() if name not in BUCKETS and name != PARTLY_UNCHANGED}
    # Whoever changed while the run was under way was held back by a chunk.
    late = counts.get("held", 0) - sum(reasons.values())
    return reasons | ({_HELD_LATE: reasons.get(_HELD_LATE, 0) + late} if late > 0 else {})


def _is_all_in_vain(run: Run) -> bool:
    """Whether something was tried, and nothing at all went through."""
    return bool(run.failed and not run.done and not _segment_changes(run))


def _segment_changes(run: Run) -> int:
    return run.counts.get("segment_added", 0) + run.counts.get("segment_removed", 0)


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{counts[key]} {word}" for key, word in _ACTION_WORDS.items() if counts.get(key))
