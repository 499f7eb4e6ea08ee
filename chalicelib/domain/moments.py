"""Times at the edge of the core: RFC 3339 text to aware datetimes and back."""

from __future__ import annotations

from datetime import UTC, datetime


def parse_moment(text: str) -> datetime | None:
    """The instant an RFC 3339 text names; None for anything else. A time without an offset is read as UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return None


def moment_text(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, so that texts sort as the instants do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
