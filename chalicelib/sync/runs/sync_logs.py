"""The Sync Logs as staff read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.sync.runs.views import entry_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.contract.runs import LogEntryView
    from chalicelib.domain.logs import LogFilter
    from chalicelib.store.logs import LogStore


class Logs:
    """The Sync Logs."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def list(
        self, department_id: str, wanted: LogFilter, *, limit: int, after: str | None
    ) -> tuple[Sequence[LogEntryView], str | None]:
        entries, next_key = self._store.entries(department_id, wanted, limit=limit, after=after)
        return [entry_view(entry) for entry in entries], next_key
