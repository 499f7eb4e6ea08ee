from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from chalicelib.domain.moments import moment_text, parse_exact_moment, parse_moment


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-05T10:00:00Z",
        "2026-01-05T10:00:00z",
        "2026-01-05t10:00:00z",
        "2026-01-05T10:00:00-00:00",
        "2026-01-05T20:30:00.000+10:30",
        "2026-01-05T10:00:00.000000123Z",
    ],
)
def test_every_form_that_rfc_3339_allows_names_its_instant(text: str) -> None:
    assert parse_moment(text) == datetime(2026, 1, 5, 10, tzinfo=UTC)


def test_a_leap_second_counts_as_the_second_before_it() -> None:
    assert parse_moment("2016-12-31T23:59:60z") == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert parse_moment("2017-01-01T10:29:60.25+10:30") == datetime(2016, 12, 31, 23, 59, 59, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-05T10:61:00Z", "0001-01-01T00:00:00+10:00"]
)
def test_what_names_no_instant_is_none(text: str) -> None:
    assert parse_moment(text) is None


def test_a_time_without_an_offset_is_read_as_utc_but_is_no_exact_one() -> None:
    """Where hours decide, as between a yes and a no, it is none."""
    assert parse_moment("2026-01-05T10:00:00") == datetime(2026, 1, 5, 10, tzinfo=UTC)
    assert parse_exact_moment("2026-01-05T10:00:00") is None


def test_a_time_with_its_offset_is_exact() -> None:
    assert parse_exact_moment("2026-01-05T20:30:00+10:30") == datetime(2026, 1, 5, 10, tzinfo=UTC)
    assert parse_exact_moment("2026-01-05T10:00:00Z") == datetime(2026, 1, 5, 10, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T10:00:00Z"])
def test_what_is_no_time_is_no_exact_one(text: str) -> None:
    assert parse_exact_moment(text) is None


def test_a_moment_is_written_in_utc_with_microseconds_so_that_texts_sort() -> None:
    there = datetime(2026, 1, 5, 20, 30, 0, 250, tzinfo=timezone(timedelta(hours=10, minutes=30)))
    assert moment_text(there) == "2026-01-05T10:00:00.000250Z"
    assert parse_exact_moment(moment_text(there)) == there
