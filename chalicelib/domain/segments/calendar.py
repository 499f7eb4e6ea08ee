"""Calendar days and months in a department's time zone.

PracBill writes moments (RFC 3339), staff think in days: "created in the last 30 days". A moment becomes the day that
the department's own calendar shows at that moment, and everything after that compares days, never hours. So a rule
means the same at nine in the morning and at midnight, and a day of 23 or 25 hours is one day.
"""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from chalicelib.domain.moments import read_time

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

# Longer texts are no times; the longest honest one (nanoseconds, offset) has 35 characters.
_LONGEST_MOMENT = 40
_DATE_LENGTH = len("YYYY-MM-DD")
_EMPTY_DAY = ""


def today_in(zone: ZoneInfo, now: datetime) -> date:
    """The day that the department's calendar shows at `now` (aware)."""
    return now.astimezone(zone).date()


def day_of(moment: str, zone: ZoneInfo) -> str:
    """The day of a moment in `zone` as `YYYY-MM-DD`, empty for what is no moment. Never raises.

    A bare date is that day wherever the department is; a time without an offset is UTC, as everywhere in this service.
    A moment at the very edge of the calendar that has no day in `zone` is none.
    """
    at = _read(moment)
    if at is None:
        return _EMPTY_DAY
    if len(moment) == _DATE_LENGTH:
        return moment
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    try:
        return at.astimezone(zone).date().isoformat()
    except (OverflowError, ValueError):
        return _EMPTY_DAY


def start_of_last_days(today: date, days: int) -> date:
    """First of the last `days` days, today being the last of them: 1 means today alone."""
    return today - timedelta(days=days - 1)


def start_of_last_months(today: date, months: int) -> date:
    """The same day of the month `months` months before today, or that month's last day where it is shorter."""
    year, month = divmod(today.year * 12 + today.month - 1 - months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(today.day, last))


def _read(moment: str) -> datetime | None:
    """The moment, with its offset if it has one. Only `YYYY-MM-DD...` is read: other ISO forms are nothing PracBill
    promises, and which of them Python reads depends on its version."""
    if len(moment) > _LONGEST_MOMENT or moment[4:5] != "-" or moment[7:8] != "-":
        return None
    return read_time(moment)
