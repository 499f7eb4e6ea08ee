"""The status panel of a department's connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.contract.account import AudienceSummary, ConnectionStatus
from chalicelib.contract.runs import RunView
from chalicelib.domain.departments import Audience, Department, Finding
from chalicelib.domain.health import health, worst_first
from chalicelib.domain.runs import Run

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.sync.account.audience_status import AudienceStatusCache
    from chalicelib.sync.account.schedule import Schedule


@dataclass(frozen=True, slots=True)
class RunCalls:
    """What connection and audience need of runs: the department's active one, its last one if that failed, a run as
    staff see it, and `first_plan(department_id, by)`, a full dry run for a newly selected audience, unless a run is
    active."""

    active: Callable[[Department], Run | None]
    last_failed: Callable[[Department], Run | None]
    view: Callable[[Run], RunView]
    first_plan: Callable[[str, str], object]


class ConnectionPanel:
    def __init__(
        self,
        *,
        audience_status: AudienceStatusCache,
        runs: RunCalls,
        schedule: Schedule,
        clock: Callable[[], datetime],
    ) -> None:
        self._audience_status = audience_status
        self._runs = runs
        self._schedule = schedule
        self._clock = clock

    def of(self, department: Department | None, more: tuple[Finding, ...] = ()) -> ConnectionStatus:
        department = self._audience_status.refreshed(department) if department is not None else None
        connected = department if department is not None and department.connection is not None else None
        run = self._runs.active(connected) if connected is not None and connected.active_run_id else None
        failed = self._runs.last_failed(connected) if connected is not None else None
        findings = (*health(department, run=run, failed=failed, now=self._clock()), *more)
        active_run = self._runs.view(run) if run is not None else None
        next_sync_at = self._schedule.next_sync_at(department)
        return status_of(department, active_run=active_run, next_sync_at=next_sync_at, findings=findings)


def status_of(
    department: Department | None,
    *,
    active_run: RunView | None,
    next_sync_at: datetime | None,
    findings: tuple[Finding, ...],
) -> ConnectionStatus:
    """The status panel from what is stored."""
    connection = department.connection if department else None
    return ConnectionStatus(
        state=connection.state if connection else "not_connected",
        account_name=connection.account_name if connection else None,
        server_prefix=connection.server_prefix if connection else None,
        key_hint=connection.key_hint if connection else None,
        audience=_summary(department.audience) if department and department.audience else None,
        last_synced_at=department.last_synced_at if department else None,
        next_sync_at=next_sync_at,
        active_run=active_run,
        health=worst_first(findings),
    )


def _summary(audience: Audience) -> AudienceSummary:
    """The selected audience, which stays selected while the department is disconnected."""
    status = audience.status
    return AudienceSummary(
        audience.id,
        audience.name,
        member_count=status.member_count if status else None,
        counted_at=status.counted_at if status else None,
    )
