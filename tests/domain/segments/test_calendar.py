"""Days and months of the department's calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from chalicelib.domain.segments.calendar import day_of, start_of_last_days, start_of_last_months, today_in

MELBOURNE = ZoneInfo("Australia/Melbourne")
NEW_YORK = ZoneInfo("America/New_York")


def test_today_is_the_day_of_the_department_not_of_the_server() -> None:
    noon_in_utc = datetime(2026, 1, 5, 12, tzinfo=UTC)
    assert today_in(ZoneInfo("Pacific/Kiritimati"), noon_in_utc) == date(2026, 1, 6)
    assert today_in(NEW_YORK, noon_in_utc) == date(2026, 1, 5)


def test_today_changes_at_midnight_of_the_department() -> None:
    assert today_in(MELBOURNE, datetime(2026, 1, 5, 12, 59, 59, tzinfo=UTC)) == date(2026, 1, 5)
    assert today_in(MELBOURNE, datetime(2026, 1, 5, 13, 0, 0, tzinfo=UTC)) == date(2026, 1, 6)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2025-03-09T04:59:59Z", "2025-03-08"),  # still winter time: five hours behind
        ("2025-03-09T05:00:00Z", "2025-03-09"),
        ("2025-03-10T03:59:59Z", "2025-03-09"),  # a day of 23 hours ends after 23 hours
        ("2025-03-10T04:00:00Z", "2025-03-10"),
        ("2025-11-02T04:00:00Z", "2025-11-02"),
        ("2025-11-03T04:59:59Z", "2025-11-02"),  # and one of 25 hours after 25
        ("2025-11-03T05:00:00Z", "2025-11-03"),
    ],
)
def test_days_follow_daylight_saving(moment: str, day: str) -> None:
    assert day_of(moment, NEW_YORK) == day


def test_a_country_may_skip_a_day() -> None:
    apia = ZoneInfo("Pacific/Apia")
    assert day_of("2011-12-30T09:59:59Z", apia) == "2011-12-29"
    assert day_of("2011-12-30T10:00:00Z", apia) == "2011-12-31"


@pytest.mark.parametrize(
    ("today", "days", "start"),
    [
        (date(2026, 1, 15), 1, date(2026, 1, 15)),
        (date(2026, 1, 15), 2, date(2026, 1, 14)),
        (date(2026, 1, 30), 30, date(2026, 1, 1)),
        (date(2024, 3, 1), 2, date(2024, 2, 29)),
        (date(2025, 3, 1), 2, date(2025, 2, 28)),
        (date(2026, 1, 1), 36_500, date(1926, 1, 27)),
    ],
)
def test_the_last_days_end_with_today(today: date, days: int, start: date) -> None:
    assert start_of_last_days(today, days) == start


@pytest.mark.parametrize(
    ("today", "months", "start"),
    [
        (date(2026, 7, 15), 6, date(2026, 1, 15)),
        (date(2026, 7, 15), 7, date(2025, 12, 15)),
        (date(2026, 7, 15), 12, date(2025, 7, 15)),
        (date(2026, 1, 15), 1, date(2025, 12, 15)),
        (date(2025, 8, 31), 6, date(2025, 2, 28)),
        (date(2024, 8, 31), 6, date(2024, 2, 29)),
        (date(2026, 5, 31), 1, date(2026, 4, 30)),
        (date(2024, 2, 29), 12, date(2023, 2, 28)),
        (date(2024, 2, 29), 48, date(2020, 2, 29)),
        (date(2025, 2, 28), 12, date(2024, 2, 28)),
        (date(2026, 1, 1), 1_200, date(1926, 1, 1)),
    ],
)
def test_the_last_months_start_on_the_same_day_or_the_months_last(today: date, months: int, start: date) -> None:
    assert start_of_last_months(today, months) == start
