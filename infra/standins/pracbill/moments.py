"""Times as PracBill's API writes and reads them: RFC 3339, always with a zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def utc_now() -> datetime:
    return datetime.now(UTC)


def format_time(moment: datetime) -> str:
    """Microseconds are always written, so that texts of the same zone sort as the times do."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_time(text: object) -> datetime:
    """Raises ValueError for anything that is not RFC 3339 with a zone; digits past microseconds are dropped."""
    if not isinstance(text, str) or not _RFC_3339.fullmatch(text):
        raise ValueError("not an RFC 3339 time with a zone, such as 2026-03-04T05:06:07Z")
    return datetime.fromisoformat(text.upper()).astimezone(UTC)
