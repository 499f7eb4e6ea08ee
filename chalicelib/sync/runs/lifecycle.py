"""Runs as staff handle them: start, watch, approve, cancel, retry; and the one way in which a run ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.contract.runs import BrakeStop, LogEntryView, RunView
from chalicelib.domain.departments import Department, RefusedOptOuts
from chalicelib.domain.logs import LogEntry, LogStatus, Moment
from chalicelib.domain.runs import (
    Run,
    RunStatus,
    RunType,
    Trigger,
    buckets,
    cancelled_message,
    held_by_reason,
    is_counted,
)
from chalicelib.errors import RefuseRequest, conflict, not_found
from chalicelib.store.departments import DepartmentStore
from chalicelib.store.logs import LogStore
from chalicelib.store.members import MemberStore
from chalicelib.store.queue import Step, SyncQueue, lane_group
from chalicelib.store.runs import RunStore, run_id
from chalicelib.sync.ports import Clock, Meter
from chalicelib.sync.runs.apply_phase import RETRY_MARK
from chalicelib.sync.runs.phase_progress import SHOWN_PHASES, progress_of
from chalicelib.sync.runs.records import record_counts

# In these phases a run speaks to Mailchimp, so its steps queue up in the account's lanes.
_MAILCHIMP_PHASES = frozenset({"pull", "segments"})
_RECORDS_A_PAGE = 100
# Among so many a sync that ended is found, unless nothing but first plans and segments were run for a while.
_RUNS_LOOKED_AT = 10
_MOST_TRIES = 5


class Runs:
    def __init__(
        self,
        *,
        departments: DepartmentStore,
        runs: RunStore,
        logs: LogStore,
        members: MemberStore,
        queue: SyncQueue,
        clock: Clock,
        entropy: Callable[[], str],
        meter: Meter,
    ) -> None:
        self._departments = departments
        self._runs = runs
        self._logs = logs
        self._members = members
        self._queue = queue
        self._clock = clock
        self._entropy = entropy
        self._meter = meter

    # ------------------------------------------------------------------------------------------------- asking

    def list(self, department_id: str, *, limit: int, after: str | None) -> tuple[Sequence[RunView], str | None]:
        runs, next_key = self._runs.page(department_id, limit=limit, after=after)
        return [self.view(run) for run in runs], next_key

    def get(self, department_id: str, run_id: str) -> RunView:
        """The run; one that shows its end has its log entry, and has given the department free."""
        run = self._run(department_id, run_id)
        if not run.is_open:
            self.finalise(run)
        return self.view(run)

    def active(self, department: Department) -> RunView | None:
        """The run that holds the department, if it is still open."""
        run = self._runs.get(department.id, department.active_run_id) if department.active_run_id else None
        return self.view(run) if run is not None and run.is_open else None

    def last_failed(self, department: Department) -> RunView | None:
        """The last sync if it ended in an error; None when one has come to a good end since.

        A dry run that went well says nothing about syncs, nor does a cancelled one, and a good end of a run for
        segments nothing about customers.
        """
        runs, _ = self._runs.page(department.id, limit=_RUNS_LOOKED_AT, after=None)
        for run in runs:
            if run.status == "error":
                return self.view(run)
            if run.status in ("success", "skipped") and not run.dry_run and run.type != "segments":
                return None
        return None

    def view(self, run: Run) -> RunView:
        phases = self._runs.phases(run) if run.is_open else run.phases
        return RunView(
            id=run.id,
            type=run.type,
            dry_run=run.dry_run,
            trigger=run.trigger,
            started_by=run.started_by or None,
            approved_by=run.approved_by or None,
            phase=SHOWN_PHASES[run.phase],
            status=run.status,
            started_at=run.started_at,
            finished_at=run.finished_at,
            progress=progress_of(run, phases, self._clock()),
            counts=run.planned_counts if run.dry_run else buckets(run.counts),
            held_by_reason=held_by_reason(run.counts),
            record_counts=record_counts(run),
            message=run.message,
            code=run.code or run.status,
            params=dict(run.params),
            brake=_brake_view(run),
        )

    # ------------------------------------------------------------------------------------------------- acting

    def start(self, department_id: str, run_type: RunType, *, dry_run: bool, by: str) -> RunView:
        """Start a run by hand. Refused with 409 while one is active, or while there is nothing to sync with."""
        return self.view(self.begin(self._ready(department_id), run_type, trigger="manual", dry_run=dry_run, by=by))

    def begin(
        self, department: Department, run_type: RunType, *, trigger: Trigger, dry_run: bool = False, by: str = ""
    ) -> Run:
        """Open a run and queue its first step. Raises RefuseRequest (409) while another one is active.

        The department is claimed first, then the run is stored, then the message is sent. Dying in between leaves a
        claim without a run, or a run without a message: the sweeper ends the first and nudges the second.
        """
        now = self._clock()
        # The first sync of an audience has no watermark to start from: everything is read.
        if run_type == "incremental" and not department.customers_watermark:
            run_type = "full"
        run = Run(
            department_id=department.id,
            id=run_id(now, self._entropy()),
            type=run_type,
            trigger=trigger,
            started_at=now,
            dry_run=dry_run,
            started_by=by,
            phase="segments" if run_type == "segments" else "pull",
        )
        self._claim(department.id, run)
        self._runs.add(run)
        self.send_step(run, department)
        return run

    def first_plan(self, department_id: str, by: str) -> None:
        """Plan, without sending anything, what a full sync to a newly selected audience would do."""
        department = self._known(department_id)
        if not department.active_run_id:
            self.begin(department, "full", trigger="selection", dry_run=True, by=by)

    def start_segments(self, department_id: str, *, by: str) -> None:
        """Have changed segments brought to Mailchimp at once; while a run is active, by it or right after it.

        Without a connection nothing happens: the first run after it is made brings them.
        """
        for _ in range(_MOST_TRIES):
            department = self._departments.get(department_id)
            if department is None or not department.is_connected or department.audience is None:
                return
            if self._is_free(department):
                try:
                    self.begin(department, "segments", trigger="segment_edit", by=by)
                except RefuseRequest:
                    continue  # somebody else was faster
                return
            if self._departments.change(department_id, _with_segments_waiting).segments_waiting:
                return

    def _is_free(self, department: Department) -> bool:
        """Whether a run may begin; a first plan is not interrupted for segments, which nobody carries yet."""
        if not department.active_run_id:
            return True
        active = self._runs.get(department.id, department.active_run_id)
        return active is not None and not active.is_open

    def approve(self, department_id: str, run_id: str, *, by: str) -> RunView:
        """Let a run go on that the brake stopped."""

        def approved(run: Run) -> Run:
            if run.status != "awaiting_approval":
                raise conflict(f"This run is {_told(run)}; only a run that waits for approval can be approved.")
            return replace(
                run,
                status="running",
                phase="apply",
                step_number=run.step_number + 1,
                approved_by=by or "unknown",
                brake="",
                progress_at=self._clock(),
            )

        self._run(department_id, run_id)
        run = self._runs.change(department_id, run_id, approved)
        self.send_step(run, self._known(department_id))
        return self.view(run)

    def cancel(self, department_id: str, run_id: str, *, by: str) -> RunView:
        """Stop a run; what is done stays done, the rest goes with the next one."""
        run = self._run(department_id, run_id)
        if not run.is_open:
            raise conflict(f"This run is {_told(run)}; there is nothing to cancel.")
        message = f"Cancelled by {by or 'staff'}."
        return self.view(self.finish(run, "cancelled", message, code="cancelled", params={"by": by}))

    def retry(self, department_id: str, run_id: str, *, by: str) -> RunView:
        """Start a run of what failed or was refused in an earlier one, whatever its back-off says."""
        department = self._ready(department_id)
        run = self._run(department_id, run_id)
        if run.is_open:
            raise conflict("This run is still active. Wait for its end, or cancel it.")
        found = self._mark_failed(department, run)
        if not found:
            raise conflict("Nothing failed in this run, so there is nothing to try again.")
        return self.view(self.begin(department, "incremental", trigger="retry", by=by))

    def stop_active(self, department_id: str, reason: str) -> None:
        """End the department's active run, if any: it is being disconnected."""
        department = self._departments.get(department_id)
        active = department.active_run_id if department else ""
        run = self._runs.get(department_id, active) if active else None
        if run is not None:
            self.finish(run, "cancelled", reason, code="disconnected", follow=False)

    # ------------------------------------------------------------------------------------------------- ending

    def finish(
        self,
        run: Run,
        status: RunStatus,
        message: str,
        *,
        code: str = "",
        params: Mapping[str, str | int] | None = None,
        follow: bool = True,
    ) -> Run:
        """End a run, once; then write its log entry and give the department free. Repeating it is harmless.

        What was cancelled while chunks were in flight is counted, logged and given free when they have ended. `code`
        and `params` say what `message` says. `follow` False leaves it to the caller what comes next, even when segments
        are waiting.
        """
        now, phases = self._clock(), self._runs.phases(run)

        def finished(stored: Run) -> Run:
            if not stored.is_open:
                return stored
            approval = f"Approved by {stored.approved_by}." if stored.approved_by else ""
            words = f"{message} {approval}".strip()
            return replace(
                stored,
                status=status,
                message=words,
                reason=words if status == "cancelled" else "",
                code=code,
                params=dict(params or {}),
                finished_at=now,
                progress_at=now,
                phases=phases,
            )

        return self.finalise(self._runs.change(run.department_id, run.id, finished), follow=follow)

    def finalise(self, run: Run, *, follow: bool = True) -> Run:
        """What follows from a run's end. Safe to repeat: a step that comes again for an ended run calls it again."""
        department = self._departments.get(run.department_id)
        if department is None or department.active_run_id != run.id or run.is_open:
            return run
        if not is_counted(run, self._clock()):
            return run
        if run.status == "cancelled":
            run = self._runs.change(run.department_id, run.id, _counted)
        self._logs.add(run.department_id, _log_entry(run), key=run.id)
        if not run.dry_run and run.type != "segments":
            self._logs.add_to_history(run.department_id, _moment(run, department), key=run.id)
        self._meter.count("RunsFailed" if run.status == "error" else "RunsSucceeded")
        if run.finished_at is not None:
            seconds = (run.finished_at - run.started_at).total_seconds()
            self._meter.count("RunDuration", seconds, "Seconds")
        department = self._departments.change(run.department_id, lambda d: after_run(d, run))
        if follow and department.segments_waiting and not department.active_run_id:
            self.start_segments(department.id, by="")
        return run

    def send_step(self, run: Run, department: Department, *, nudge: int = 0) -> None:
        """Queue the message that the run waits for."""
        step = Step("step", run.department_id, run.id, run.step_number, nudge)
        self._queue.send(step, group=step_group(run, department))

    # ------------------------------------------------------------------------------------------------- inside

    def _claim(self, department_id: str, run: Run) -> None:
        replaced_segments = False
        for _ in range(3):
            holder = self._departments.claim(department_id, run.id).active_run_id
            if holder == run.id:
                if replaced_segments:
                    # This run brings them, unless it is a dry one or ends before: then another follows it.
                    self._departments.change(department_id, _with_segments_waiting)
                return
            active = self._runs.get(department_id, holder)
            if active is None:
                # Claimed by a start that died before it stored its run; a moment's grace, since it may be happening.
                raise conflict("Another sync is just starting. Try again in a few minutes.", code="run-active")
            if not active.is_open:
                self.finalise(active, follow=False)
            elif _gives_way(active, run):
                self.finish(active, "cancelled", "Replaced by a newer sync.", code="replaced", follow=False)
                replaced_segments = replaced_segments or active.type == "segments"
            else:
                raise _already_running(self.view(active))
        raise conflict("Another sync is just ending. Try again in a moment.", code="run-active")

    def _mark_failed(self, department: Department, run: Run) -> int:
        found, after = 0, None
        while True:
            records, after = self._logs.records(
                department.id, run.id, limit=_RECORDS_A_PAGE, after=after, outcomes=("failed", "refused")
            )
            keys = [record.key for record in records]
            self._release_refusals(department, keys)
            batch = self._members.batch(department.id)
            for key in keys:
                batch.mark(key, RETRY_MARK)
            batch.flush()
            found += len(keys)
            if after is None:
                return found

    def _release_refusals(self, department: Department, keys: Sequence[str]) -> None:
        """Let refused addresses be tried again at once."""
        member_states = self._members.member_states(department.id, keys)
        batch = self._members.batch(department.id)
        for key, known in member_states.items():
            if known.push is not None and known.push.refusal is not None:
                batch.put_delivery(key, known.address, replace(known.push, refusal=None))
        batch.flush()

    def _ready(self, department_id: str) -> Department:
        """The department, if it can be synced now."""
        department = self._departments.get(department_id)
        if department is None or department.connection is None:
            raise conflict("This department is not connected to Mailchimp. Connect it first.", code="not-connected")
        if not department.is_connected:
            raise conflict(department.connection.message or "The API key must be replaced.", code="key-rejected")
        if department.audience is None:
            raise conflict("No audience is selected. Select or create one first.", code="no-audience")
        return department

    def _known(self, department_id: str) -> Department:
        department = self._departments.get(department_id)
        if department is None:
            raise not_found("This department was never connected.")
        return department

    def _run(self, department_id: str, run_id: str) -> Run:
        run = self._runs.get(department_id, run_id)
        if run is None:
            raise not_found("There is no such run in this department.")
        return run


class Logs:
    """The Sync Logs."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def list(
        self,
        department_id: str,
        *,
        direction: str | None,
        type: str | None,
        status: str | None,
        trigger: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int,
        after: str | None,
    ) -> tuple[Sequence[LogEntryView], str | None]:
        entries, next_key = self._store.entries(
            department_id,
            limit=limit,
            after=after,
            direction=direction or "",
            type=type or "",
            status=status or "",
            trigger=trigger or "",
            since=since,
            until=until,
        )
        return [entry_view(entry) for entry in entries], next_key


def _counted(run: Run) -> Run:
    """A cancelled run with what came of it."""
    params = {**run.params, "done": run.done, "planned": run.planned}
    return replace(run, message=cancelled_message(run), params=params)


def _brake_view(run: Run) -> BrakeStop | None:
    if not run.brake:
        return None
    return BrakeStop(run.brake, run.planned_counts, code=run.brake_code, params=dict(run.brake_params))


def after_run(department: Department, run: Run) -> Department:
    """The department after a run: free again, and after a good end with its watermarks moved."""
    if department.active_run_id != run.id:
        return department
    department = _with_refused_opt_outs(replace(department, active_run_id=""), run)
    if run.status not in ("success", "skipped") or run.dry_run:
        return department
    if run.type == "segments":
        return department
    department = replace(
        department,
        customers_watermark=run.next_watermark or department.customers_watermark,
        members_watermark=run.members_until or department.members_watermark,
        replan_all=department.replan_all_next,
        replan_all_next=False,
        last_synced_at=run.finished_at,
    )
    if department.values_unsure_since is not None and department.values_unsure_since <= run.started_at:
        department = replace(department, values_unsure_since=None)
    if run.members_until is not None and department.audience is not None:
        department = replace(department, audience=replace(department.audience, first_contact_done=True))
    if run.type != "full":
        return department
    return replace(department, customer_count=run.customers_read)


def _with_refused_opt_outs(department: Department, run: Run) -> Department:
    """Each sync that comes to its end has tried every opt-out that Mailchimp did not take before."""
    if run.phase != "close" or run.dry_run or run.type == "segments":
        return department
    before = department.refused_opt_outs
    since = before.since if before is not None else run.started_at
    now = RefusedOptOuts(run.opt_outs_refused, since) if run.opt_outs_refused else None
    return replace(department, refused_opt_outs=now)


def _gives_way(active: Run, run: Run) -> bool:
    """Whether a run that nobody asked for in so many words makes room for another.

    The first plan of a new audience is for information. What a run for changed segments does is part of every run.
    """
    if active.type == "segments":
        return run.type != "segments"
    return active.trigger == "selection" and run.trigger != "selection"


def _with_segments_waiting(department: Department) -> Department:
    """Noted only while a run is active: its end starts another one for them."""
    return replace(department, segments_waiting=True) if department.active_run_id else department


def step_group(run: Run, department: Department) -> str:
    """The message group of a run's own steps: one of the account's lanes where it speaks to Mailchimp."""
    if run.phase in _MAILCHIMP_PHASES and department.connection is not None:
        return lane_group(department.connection.account_id, sum(department.id.encode()))
    return f"{department.id}#plan"


def _already_running(active: RunView) -> RefuseRequest:
    return conflict(
        "A sync of this department is running. Wait for its end, or cancel it.",
        code="run-active",
        extra={"run": active},
    )


def _told(run: Run) -> str:
    words: dict[RunStatus, str] = {
        "running": "still running",
        "awaiting_approval": "waiting for approval",
        "success": "finished",
        "skipped": "finished",
        "error": "ended with an error",
    }
    return words.get(run.status, run.status)


def _moment(run: Run, department: Department) -> Moment:
    """What the history keeps of a run. What the pull read is kept by its own log entry."""
    status = department.audience.status if department.audience else None
    is_counted = status is not None and status.counted_at is not None and status.counted_at >= run.started_at
    return Moment(
        at=run.finished_at or run.started_at,
        members=status.member_count if status is not None and is_counted else None,
        customers=run.customers_read if run.type == "full" and run.next_watermark else department.customer_count,
        added=run.counts.get("add", 0),
        opted_out=run.counts.get("unsubscribe", 0),
    )


def _log_entry(run: Run) -> LogEntry:
    status: dict[RunStatus, LogStatus] = {
        "success": "success",
        "skipped": "skipped",
        "cancelled": "error" if run.has_sent else "skipped",
    }
    return LogEntry(
        date=run.finished_at or run.started_at,
        direction="push",
        type=run.log_type,
        trigger=run.log_trigger,
        status=status.get(run.status, "error"),
        message=run.message,
        run_id=run.id,
        counts=run.planned_counts if run.dry_run else run.counts,
        cancelled=run.status == "cancelled",
        code=run.code,
        params=dict(run.params),
    )


def entry_view(entry: LogEntry) -> LogEntryView:
    return LogEntryView(
        date=entry.date,
        direction=entry.direction,
        type=entry.type,
        trigger=entry.trigger,
        status=entry.status,
        message=entry.message,
        code=entry.code or "other",
        params=dict(entry.params),
        run_id=entry.run_id or None,
        counts=buckets(entry.counts) if entry.direction == "push" else entry.counts,
        held_by_reason=held_by_reason(entry.counts) if entry.direction == "push" else {},
        cancelled=entry.cancelled,
        customer_ids=entry.customer_ids,
    )
