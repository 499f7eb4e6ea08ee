"""Attempts at something that may be tried only so often: one small item each, which expires by itself.

They lie in the table of webhook events, under a key of their own: `{department_id}#attempts`.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from chalicelib.domain.moments import moment_text, parse_moment
from chalicelib.store.models import EventItem

if TYPE_CHECKING:
    from datetime import datetime, timedelta


class AttemptStore:
    def __init__(self, *, keep: timedelta) -> None:
        self._keep = keep

    def add(self, department_id: str, at: datetime) -> str:
        """Note an attempt; answers its key, for `remove`."""
        key = f"{moment_text(at)}#{secrets.token_hex(6)}"
        item = EventItem(_attempts(department_id), key)
        item.expires_at = at + self._keep
        item.save()
        return key

    def times_since(self, department_id: str, since: datetime) -> list[datetime]:
        """When the attempts after `since` were made, the oldest first."""
        found = EventItem.query(_attempts(department_id), EventItem.sk > moment_text(since), consistent_read=True)
        times = (parse_moment(item.sk.partition("#")[0]) for item in found)
        return [time for time in times if time is not None]

    def remove(self, department_id: str, key: str) -> None:
        """Take an attempt back that does not count."""
        EventItem(_attempts(department_id), key).delete()

    def clear(self, department_id: str) -> None:
        """Forget all attempts of a department."""
        for item in EventItem.query(_attempts(department_id), consistent_read=True):
            item.delete()


def _attempts(department_id: str) -> str:
    return f"{department_id}#attempts"
