"""Times at the edge of the core: RFC 3339 text to aware datetimes and back."""

from __future__ import annotations

from datetime import UTC, datetime


def parse_moment(text: str) -> datetime | None:
    """The instant an RFC 3339 text names; None for anything else. A time without an offset is read as UTC."""
    moment = read_time(text)
    if moment is None:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return None


def parse_exact_moment(text: str) -> datetime | None:
    """Like parse_moment, but None for a time without an offset: it may be hours from what it seems to say."""
    try:
        is_exact = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return None
    return parse_moment(text) if is_exact else None


def moment_text(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, so that texts sort as the instants do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_time(text: str) -> datetime | None:
    """The time as it is written, with its offset if it has one; None for anything that is no time."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return _read_rare(text)


def _read_rare(text: str) -> datetime | None:
    """Two forms that RFC 3339 allows and Python refuses: small letters (`t`, `z`) and a leap second (`23:59:60`)."""
    upper = text.upper()
    seconds = ":59" if upper[16:19] == ":60" else upper[16:19]
    try:
        return datetime.fromisoformat(upper[:16] + seconds + upper[19:])
    except ValueError:
        return None
