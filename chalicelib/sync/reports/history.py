"""The trend: members, customers, additions and opt-outs, day by day."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from chalicelib.contract.runs import History, HistoryDay

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.domain.logs import Moment
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.store.logs import LogStore
    from chalicelib.sync.ports import Clock


class Histories:
    """From what each run and each opt-out left behind; a department without any has no days."""

    def __init__(self, *, departments: DepartmentStore, logs: LogStore, clock: Clock) -> None:
        self._departments = departments
        self._logs = logs
        self._clock = clock

    def get(self, department_id: str, *, days: int) -> History:
        """The last `days` days, today among them."""
        department = self._departments.get(department_id)
        if department is None:
            return History((), timezone="UTC")
        zone = ZoneInfo(department.timezone)
        first = self._clock().astimezone(zone).date() - timedelta(days=days - 1)
        since = datetime.combine(first, time(), tzinfo=zone)
        return History(by_day(self._logs.history(department_id, since), zone), timezone=department.timezone)


def by_day(moments: Iterable[Moment], zone: ZoneInfo) -> tuple[HistoryDay, ...]:
    """Moments in order of time, put together by day: the last counts of a day stand, what was new adds up."""
    days: dict[str, HistoryDay] = {}
    for moment in moments:
        date = moment.at.astimezone(zone).date().isoformat()
        day = days.get(date) or HistoryDay(date, None, None, 0, 0)
        days[date] = replace(
            day,
            members=day.members if moment.members is None else moment.members,
            customers=day.customers if moment.customers is None else moment.customers,
            added=day.added + moment.added,
            opted_out=day.opted_out + moment.opted_out,
        )
    return tuple(days.values())
