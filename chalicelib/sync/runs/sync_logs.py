"""The Sync Logs as staff read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from chalicelib.contract.runs import LogEntryView
from chalicelib.store.logs import LogStore
from chalicelib.sync.runs.views import entry_view


class Logs:
    """The Sync Logs."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def list(  # noqa: PLR0913 - each is a filter of the list
        self,
        department_id: str,
        *,
        direction: str | None,
        type: str | None,
        status: str | None,
        trigger: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int,
        after: str | None,
    ) -> tuple[Sequence[LogEntryView], str | None]:
        entries, next_key = self._store.entries(
            department_id,
            limit=limit,
            after=after,
            direction=direction or "",
            type=type or "",
            status=status or "",
            trigger=trigger or "",
            since=since,
            until=until,
        )
        return [entry_view(entry) for entry in entries], next_key
