"""What a run leaves behind at its end: the department with its watermarks, a log entry, a moment of the history."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.domain.departments import Department, RefusedOptOuts
from chalicelib.domain.logs import LogEntry, LogStatus, Moment
from chalicelib.domain.runs import Run, RunStatus, cancelled_message


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


def with_result(run: Run) -> Run:
    """A cancelled run with what came of it."""
    params = {**run.params, "done": run.done, "planned": run.planned}
    return replace(run, message=cancelled_message(run), params=params)


def moment_of(run: Run, department: Department) -> Moment:
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


def log_entry_of(run: Run) -> LogEntry:
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
