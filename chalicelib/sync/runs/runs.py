"""Runs as staff handle them: start, watch, approve, cancel, try again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.errors import conflict, not_found
from chalicelib.sync.runs.retries import FAILED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.contract.runs import RunView
    from chalicelib.domain.departments import Department
    from chalicelib.domain.runs import Run, RunStatus, RunType
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.store.logs import LogStore
    from chalicelib.store.runs import RunStore
    from chalicelib.sync.ports import Clock
    from chalicelib.sync.runs.lifecycle import Lifecycle
    from chalicelib.sync.runs.views import RunViews

# Among so many a sync that ended is found, unless nothing but first plans and segments were run for a while.
_RUNS_LOOKED_AT = 10


class Runs:
    def __init__(
        self,
        *,
        departments: DepartmentStore,
        runs: RunStore,
        logs: LogStore,
        lifecycle: Lifecycle,
        views: RunViews,
        clock: Clock,
    ) -> None:
        self._departments = departments
        self._runs = runs
        self._logs = logs
        self._lifecycle = lifecycle
        self._views = views
        self._clock = clock

    # ------------------------------------------------------------------------------------------------- asking

    def list(self, department_id: str, *, limit: int, after: str | None) -> tuple[Sequence[RunView], str | None]:
        runs, next_key = self._runs.page(department_id, limit=limit, after=after)
        return [self._views.of(run) for run in runs], next_key

    def get(self, department_id: str, run_id: str) -> RunView:
        """The run; one that shows its end has its log entry, and has given the department free."""
        run = self._run(department_id, run_id)
        if not run.is_open:
            self._lifecycle.finalise(run)
        return self._views.of(run)

    def view(self, run: Run) -> RunView:
        """The run as staff see it."""
        return self._views.of(run)

    def active(self, department: Department) -> Run | None:
        """The run that holds the department, if it is still open."""
        run = self._runs.get(department.id, department.active_run_id) if department.active_run_id else None
        return run if run is not None and run.is_open else None

    def last_failed(self, department: Department) -> Run | None:
        """The last sync if it ended in an error; None when one has come to a good end since.

        A dry run that went well says nothing about syncs, nor does a cancelled one, and a good end of a run for
        segments nothing about customers.
        """
        runs, _ = self._runs.page(department.id, limit=_RUNS_LOOKED_AT, after=None)
        for run in runs:
            if run.status == "error":
                return run
            if run.status in ("success", "skipped") and not run.dry_run and run.type != "segments":
                return None
        return None

    # ------------------------------------------------------------------------------------------------- acting

    def start(self, department_id: str, run_type: RunType, *, dry_run: bool, by: str) -> RunView:
        """Start a run by hand. Refused with 409 while one is active, or while there is nothing to sync with."""
        return self._views.of(
            self._lifecycle.begin(self._ready(department_id), run_type, trigger="manual", dry_run=dry_run, by=by)
        )

    def start_segments(self, department_id: str, *, by: str) -> None:
        """Have changed segments brought to Mailchimp, as soon as may be."""
        self._lifecycle.start_segments(department_id, by=by)

    def approve(self, department_id: str, run_id: str, *, by: str) -> RunView:
        """Let a run go on that the brake stopped."""

        def approved(run: Run) -> Run:
            if run.status != "awaiting_approval":
                raise conflict(f"This run is {_told(run)}; only a run that waits for approval can be approved.")
            return replace(
                run,
                status="running",
                phase="approval",
                cursor={},
                step_number=run.step_number + 1,
                approved_by=by or "unknown",
                brake="",
                progress_at=self._clock(),
            )

        self._run(department_id, run_id)
        run = self._runs.change(department_id, run_id, approved)
        self._lifecycle.send_step(run, self._known(department_id))
        return self._views.of(run)

    def cancel(self, department_id: str, run_id: str, *, by: str) -> RunView:
        """Stop a run; what is done stays done, the rest goes with the next one."""
        run = self._run(department_id, run_id)
        if not run.is_open:
            raise conflict(f"This run is {_told(run)}; there is nothing to cancel.")
        message = f"Cancelled by {by or 'staff'}."
        return self._views.of(self._lifecycle.finish(run, "cancelled", message, code="cancelled", params={"by": by}))

    def retry(self, department_id: str, run_id: str, *, by: str) -> RunView:
        """Start a run of what failed or was refused in an earlier one, whatever its back-off says."""
        department = self._ready(department_id)
        run = self._run(department_id, run_id)
        if run.is_open:
            raise conflict("This run is still active. Wait for its end, or cancel it.")
        failed, after = self._logs.records(department_id, run_id, limit=1, after=None, outcomes=FAILED)
        if not failed and after is None:
            raise conflict("Nothing failed in this run, so there is nothing to try again.")
        return self._views.of(self._lifecycle.begin(department, "incremental", trigger="retry", by=by, retry_of=run_id))

    # ------------------------------------------------------------------------------------------------- inside

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


def _told(run: Run) -> str:
    words: dict[RunStatus, str] = {
        "running": "still running",
        "awaiting_approval": "waiting for approval",
        "success": "finished",
        "skipped": "finished",
        "error": "ended with an error",
    }
    return words.get(run.status, run.status)
