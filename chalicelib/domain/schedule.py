"""When an EventBridge schedule fires next, from its expression: `rate(4 hours)` or `cron(0 6 * * ? *)`, in UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_RATE = re.compile(r"rate\(\s*(\d+)\s+(minute|hour|day)s?\s*\)")
_CRON = re.compile(r"cron\(\s*(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*\)")
_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
# The rarest day there is comes every four years (eight, around 2100).
_LOOK_AHEAD = timedelta(days=8 * 366)


@dataclass(frozen=True, slots=True)
class Firing:
    """The schedule fired at `at`, by the expression it had then."""

    expression: str
    at: datetime


def next_firing(expression: str, last: Firing | None, now: datetime) -> datetime | None:
    """The first time after `now`; None where it cannot be told.

    A rate counts from a moment that only EventBridge knows, so the last firing is needed for it, by the same rate: a
    new expression begins to count anew. A rate that has missed two of its times does not fire any more, and nothing is
    foretold of it. Cron expressions stand for themselves; those with L, W or # are not read.
    """
    rate = _RATE.fullmatch(expression.strip())
    if rate is not None:
        return _next_by_rate(int(rate[1]) * _UNITS[rate[2]], expression, last, now)
    cron = _CRON.fullmatch(expression.strip())
    if cron is None:
        return None
    try:
        return next(_times_after(now, *cron.groups()), None)
    except ValueError:
        return None


def _next_by_rate(interval: timedelta, expression: str, last: Firing | None, now: datetime) -> datetime | None:
    if last is None or last.expression != expression or not interval:
        return None
    passed = max(now - last.at, timedelta()) // interval
    return last.at + (passed + 1) * interval if passed <= 2 else None


def _times_after(
    now: datetime, minutes: str, hours: str, days: str, months: str, weekdays: str, years: str
) -> Iterator[datetime]:
    times = sorted(time(hour, minute) for hour in _values(hours, 0, 23) for minute in _values(minutes, 0, 59))
    in_days, in_months = _values(days, 1, 31), _values(months, 1, 12, _MONTHS)
    in_weekdays, in_years = _values(weekdays, 1, 7, _WEEKDAYS), _values(years, 1970, 2199)
    for day in _days_from(now.date()):
        if day.year not in in_years or day.month not in in_months or day.day not in in_days:
            continue
        if day.isoweekday() % 7 + 1 in in_weekdays:  # 1 is Sunday
            moments = (datetime.combine(day, at, tzinfo=now.tzinfo) for at in times)
            yield from (moment for moment in moments if moment > now)


def _days_from(first: date) -> Iterator[date]:
    return (first + timedelta(days=ahead) for ahead in range(_LOOK_AHEAD.days))


def _values(text: str, least: int, most: int, names: tuple[str, ...] = ()) -> frozenset[int]:
    """The values of a field such as `*`, `1,3`, `MON-FRI`, `0/15`. Raises ValueError for any other form."""
    found: set[int] = set()
    for part in text.upper().split(","):
        span, _, step = part.partition("/")
        if span in ("*", "?"):
            first, last = least, most
        else:
            begin, _, end = span.partition("-")
            first = _value(begin, least, names)
            last = _value(end, least, names) if end else (most if step else first)
        if not least <= first <= last <= most or step == "0":
            raise ValueError(text)
        found.update(range(first, last + 1, int(step or 1)))
    return frozenset(found)


def _value(text: str, least: int, names: tuple[str, ...]) -> int:
    return names.index(text) + least if text in names else int(text)
