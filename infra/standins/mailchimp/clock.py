"""Instants: whole seconds since 1970 inside, ISO 8601 in UTC outside. Mailchimp resolves one second."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=16384)
def stamp(seconds: int) -> str:
    """`2026-01-05T10:00:00+00:00`; an unknown instant (0) reads as the empty string, as in Mailchimp."""
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else ""


@lru_cache(maxsize=4096)
def plain_stamp(seconds: int) -> str:
    """`2026-01-05 10:00:00`: the form without a zone used in tag dates and webhook bodies."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def parse_instant(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 text (`Z`, offsets and fractions allowed); raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
