"""Runs and log entries as staff see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.contract.runs import BrakeStop, LogEntryView, RunView
from chalicelib.domain.runs import Run, buckets, held_by_reason
from chalicelib.sync.runs.phase_progress import progress_of
from chalicelib.sync.runs.records import record_counts

if TYPE_CHECKING:
    from chalicelib.domain.logs import LogEntry
    from chalicelib.store.runs import RunStore
    from chalicelib.sync.ports import Clock


class RunViews:
    """How far an open run is stands beside it, so it is looked up."""

    def __init__(self, *, runs: RunStore, clock: Clock) -> None:
        self._runs = runs
        self._clock = clock

    def of(self, run: Run) -> RunView:
        phases = self._runs.phases(run) if run.is_open else run.phases
        return RunView(
            id=run.id,
            type=run.type,
            dry_run=run.dry_run,
            trigger=run.trigger,
            started_by=run.started_by or None,
            approved_by=run.approved_by or None,
            phase=run.phase,
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


def _brake_view(run: Run) -> BrakeStop | None:
    if not run.brake:
        return None
    return BrakeStop(run.brake, run.planned_counts, code=run.brake_code, params=dict(run.brake_params))


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
