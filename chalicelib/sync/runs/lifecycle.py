"""The life of a run: the one way in which it begins, and the one in which it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain.runs import Run, RunStatus, RunType, Trigger, is_counted
from chalicelib.errors import RefuseRequest, conflict, not_found
from chalicelib.store.queue import Step, SyncQueue, lane_group
from chalicelib.store.runs import RunStore, run_id
from chalicelib.sync.runs.closing import after_run, log_entry_of, moment_of, with_result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.contract.runs import RunView
    from chalicelib.domain.departments import Department
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.store.logs import LogStore
    from chalicelib.sync.ports import Clock, Meter

# In these phases a run speaks to Mailchimp, so its steps queue up in the account's lanes.
_MAILCHIMP_PHASES = frozenset({"pull", "segments"})
_MOST_TRIES = 5


class Lifecycle:
    def __init__(
        self,
        *,
        departments: DepartmentStore,
        runs: RunStore,
        logs: LogStore,
        queue: SyncQueue,
        view_of: Callable[[Run], RunView],
        clock: Clock,
        entropy: Callable[[], str],
        meter: Meter,
    ) -> None:
        self._departments = departments
        self._runs = runs
        self._logs = logs
        self._queue = queue
        self._view_of = view_of
        self._clock = clock
        self._entropy = entropy
        self._meter = meter

    # ---------------------------------------------------------------------------------------------- beginning

    def begin(
        self,
        department: Department,
        run_type: RunType,
        *,
        trigger: Trigger,
        dry_run: bool = False,
        by: str = "",
        retry_of: str = "",
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
            retry_of=retry_of,
            phase="segments" if run_type == "segments" else "pull",
        )
        self._claim(department.id, run)
        self._runs.add(run)
        self.send_step(run, department)
        return run

    def first_plan(self, department_id: str, by: str) -> None:
        """Plan, without sending anything, what a full sync to a newly selected audience would do."""
        department = self._departments.get(department_id)
        if department is None:
            raise not_found("This department was never connected.")
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
                raise _already_running(self._view_of(active))
        raise conflict("Another sync is just ending. Try again in a moment.", code="run-active")

    # ------------------------------------------------------------------------------------------------- ending

    def stop_active(self, department_id: str, reason: str) -> None:
        """End the department's active run, if any: it is being disconnected."""
        department = self._departments.get(department_id)
        active = department.active_run_id if department else ""
        run = self._runs.get(department_id, active) if active else None
        if run is not None:
            self.finish(run, "cancelled", reason, code="disconnected", follow=False)

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
            run = self._runs.change(run.department_id, run.id, with_result)
        self._logs.add(run.department_id, log_entry_of(run), key=run.id)
        if not run.dry_run and run.type != "segments":
            self._logs.add_to_history(run.department_id, moment_of(run, department), key=run.id)
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
