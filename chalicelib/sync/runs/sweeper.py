"""The schedule and the sweeper: who is due for a sync, and runs that must not hang.

Nothing stays stuck: a run without progress gets its message again after a few minutes and is closed, saying so, after
thirty. A claim whose run was never stored is given free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.runs import NUDGE_AFTER, STUCK_AFTER, Run
from chalicelib.store.queue import Step, SyncQueue
from chalicelib.store.runs import RunStore, started_at_of
from chalicelib.sync.runs.lanes import lane_messages

if TYPE_CHECKING:
    from chalicelib.domain.departments import Department
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.sync.account.schedule import Schedule
    from chalicelib.sync.ports import Clock, Meter
    from chalicelib.sync.runs.lifecycle import Lifecycle


class Sweeper:
    def __init__(
        self,
        *,
        departments: DepartmentStore,
        runs: RunStore,
        queue: SyncQueue,
        lifecycle: Lifecycle,
        schedule: Schedule,
        clock: Clock,
        meter: Meter,
    ) -> None:
        self._departments = departments
        self._runs = runs
        self._queue = queue
        self._lifecycle = lifecycle
        self._schedule = schedule
        self._clock = clock
        self._meter = meter

    def dispatch(self, occasion: str) -> int:
        """Queue one message for every department that is due; `occasion`, the time of the schedule's event, makes a
        repeated one harmless. That it came is noted last: only the page's *next sync* needs it."""
        due = [department for department in self._departments.each() if department.runs_on_schedule]
        steps = [(Step("start", department.id, occasion), f"{department.id}#plan") for department in due]
        self._queue.send_all(steps)
        self._schedule.note_firing(occasion)
        return len(steps)

    def sweep(self) -> None:
        """Look after every active run. One that makes trouble leaves the others looked after, and is raised last."""
        trouble: list[Exception] = []
        for department in self._departments.each():
            try:
                if department.active_run_id:
                    self._look_after(department)
                elif department.segments_waiting:
                    # The end of the last run was to start this one, and died before it did.
                    self._lifecycle.start_segments(department.id, by="")
            except Exception as error:  # noqa: BLE001 - whatever it is, the next department has its right
                trouble.append(error)
        if trouble:
            raise trouble[0]

    def _look_after(self, department: Department) -> None:
        run = self._runs.get(department.id, department.active_run_id)
        now = self._clock()
        if run is None:
            claimed_at = started_at_of(department.active_run_id)
            if claimed_at is None or now - claimed_at > NUDGE_AFTER:
                self._departments.release(department.id, department.active_run_id)
            return
        if not run.is_open:
            self._lifecycle.finalise(run)
            return
        quiet_for = now - run.last_sign_of_life
        if run.status == "awaiting_approval":
            return
        if quiet_for > STUCK_AFTER:
            self._meter.count("RunsStuck")
            minutes = int(STUCK_AFTER.total_seconds() // 60)
            params: dict[str, str | int] = {"minutes": minutes, "done": run.done, "planned": run.planned}
            self._lifecycle.finish(run, "error", _stuck_message(run), code="stuck", params=params)
        elif quiet_for > NUDGE_AFTER:
            self._nudge(run, department, int(quiet_for.total_seconds() // 60))

    def _nudge(self, run: Run, department: Department, nudge: int) -> None:
        """Send again what the run waits for; doing it twice is harmless."""
        self._lifecycle.send_step(run, department, nudge=nudge)
        self._queue.send_all(lane_messages(run, department, nudge=nudge))


def _stuck_message(run: Run) -> str:
    minutes = int(STUCK_AFTER.total_seconds() // 60)
    done = f"{run.done} of {run.planned} changes were made. " if run.planned else ""
    return (
        f"The sync made no progress for {minutes} minutes and was closed. {done}Nothing is lost: start it again. If "
        "it happens twice, contact PracBill's operators."
    )
