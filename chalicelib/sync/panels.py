"""The page's first answer: everything a department shows, from what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.contract.account import AudienceOverview, ConnectionStatus, Panel
from chalicelib.domain.departments import Department
from chalicelib.domain.departments import DepartmentSettings as Choices
from chalicelib.domain.health import health
from chalicelib.domain.logs import LogFilter
from chalicelib.sync.account.audiences import overview_of
from chalicelib.sync.account.connection_panel import status_of
from chalicelib.sync.account.settings import settings_view

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from chalicelib.contract.segments import SegmentView
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.sync.account.schedule import Schedule
    from chalicelib.sync.runs.runs import Runs
    from chalicelib.sync.runs.sync_logs import Logs

# The rest is one page of the Sync Logs away.
LOG_ENTRIES = 20


class Panels:
    """Nobody is asked but the tables: the page opens as fast when Mailchimp and PracBill are away."""

    def __init__(
        self,
        *,
        departments: DepartmentStore,
        runs: Runs,
        logs: Logs,
        segments: Callable[[str], Sequence[SegmentView]],
        schedule: Schedule,
        clock: Callable[[], datetime],
    ) -> None:
        self._departments = departments
        self._runs = runs
        self._logs = logs
        self._segments = segments
        self._schedule = schedule
        self._clock = clock

    def panel(self, department_id: str) -> Panel:
        """A department that was never connected shows that, with the settings it would start with."""
        department = self._departments.get(department_id)
        now = self._clock()
        segments = tuple(self._segments(department_id))
        entries, _ = self._logs.list(department_id, LogFilter(), limit=LOG_ENTRIES, after=None)
        newest, _ = self._runs.list(department_id, limit=1, after=None)
        connection, audience = self._status(department, len(segments), now)
        return Panel(
            access=connection.access,
            as_of=now,
            connection=connection,
            audience=audience,
            settings=settings_view(department.settings if department else Choices()),
            newest_run=newest[0] if newest else None,
            segments=segments,
            logs=tuple(entries),
        )

    def _status(
        self, department: Department | None, segments: int, now: datetime
    ) -> tuple[ConnectionStatus, AudienceOverview | None]:
        if department is None or department.connection is None:
            return status_of(department, active_run=None, next_sync_at=None, findings=()), None
        run = self._runs.active(department)
        findings = health(department, run=run, failed=self._runs.last_failed(department), now=now)
        view, next_sync_at = self._runs.view(run) if run is not None else None, self._schedule.next_sync_at(department)
        status = status_of(department, active_run=view, next_sync_at=next_sync_at, findings=findings)
        audience = department.audience
        if audience is None:
            return status, None
        return status, overview_of(department, audience, segments=segments, active_run=view, findings=findings)
