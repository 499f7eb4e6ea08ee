"""When the schedule fires next: what a rate and a cron expression say, and when nobody can tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.schedule import Firing, next_firing

RATE = "rate(4 hours)"
FIRED = datetime(2026, 3, 2, 8, 7, 30, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("minutes_later", "hours_from_firing"),
    # EventBridge is some seconds late at times, and a firing may be lost.
    [(0, 4), (1, 4), (239, 4), (240, 8), (241, 8), (600, 12)],
)
def test_a_rate_goes_on_from_its_last_firing(minutes_later: int, hours_from_firing: int) -> None:
    now = FIRED + timedelta(minutes=minutes_later)
    assert next_firing(RATE, Firing(RATE, FIRED), now) == FIRED + timedelta(hours=hours_from_firing)


def test_nothing_is_foretold_of_a_rate_that_has_not_fired_yet_was_changed_or_stands_still() -> None:
    assert next_firing(RATE, None, FIRED) is None
    assert next_firing("rate(1 hour)", Firing(RATE, FIRED), FIRED) is None
    assert next_firing(RATE, Firing(RATE, FIRED), FIRED + timedelta(hours=12)) is None


@pytest.mark.parametrize(("expression", "step"), [("rate(1 minute)", 60), ("rate(2 days)", 172_800)])
def test_rates_are_read_in_each_unit(expression: str, step: int) -> None:
    assert next_firing(expression, Firing(expression, FIRED), FIRED) == FIRED + timedelta(seconds=step)


@pytest.mark.parametrize(
    ("expression", "now", "expected"),
    [
        ("cron(0 6 * * ? *)", "2026-03-02T05:59", "2026-03-02T06:00"),
        ("cron(0 6 * * ? *)", "2026-03-02T06:00", "2026-03-03T06:00"),
        ("cron(0/20 8-9 * * ? *)", "2026-03-02T08:21", "2026-03-02T08:40"),
        ("cron(0/20 8-9 * * ? *)", "2026-03-02T09:41", "2026-03-03T08:00"),
        ("cron(30 22 ? * MON-FRI *)", "2026-03-06T23:00", "2026-03-09T22:30"),  # a Friday
        ("cron(30 22 ? * 1 *)", "2026-03-06T23:00", "2026-03-08T22:30"),
        ("cron(0 0 1 jan,jul ? *)", "2026-03-02T00:00", "2026-07-01T00:00"),
        ("cron(0 0 29 2 ? *)", "2026-03-02T00:00", "2028-02-29T00:00"),
        ("cron(0 * * * ? *)", "2026-03-02T22:30", "2026-03-02T23:00"),
        ("cron(0 * * * ? *)", "2026-03-02T23:00", "2026-03-03T00:00"),
        ("cron(* 6 * * ? *)", "2026-03-02T06:58", "2026-03-02T06:59"),
        ("cron(* 6 * * ? *)", "2026-03-02T06:59", "2026-03-03T06:00"),
        ("cron(0 12 * * ? 2027)", "2026-03-02T00:00", "2027-01-01T12:00"),
    ],
)
def test_a_cron_expression_stands_for_itself(expression: str, now: str, expected: str) -> None:
    assert next_firing(expression, None, at(now)) == at(expected)


@pytest.mark.parametrize(
    "expression",
    [
        "cron(0 6 L * ? *)",
        "cron(0 6 ? * 6#3 *)",
        "cron(0 6 31 2 ? *)",
        "cron(0 6 * * ? 2020)",
        "cron(0 6 * *)",
        "cron(0 25 * * ? *)",
        "cron(0/0 6 * * ? *)",
        "at(2026-03-02)",
        "",
    ],
)
def test_what_cannot_be_told_is_left_open(expression: str) -> None:
    assert next_firing(expression, None, FIRED) is None
