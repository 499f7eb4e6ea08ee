"""When the schedule fired last: one item for all departments, which each firing overwrites.

It lies in the table of webhook events, under a key of its own.
"""

from __future__ import annotations

from datetime import timedelta

from chalicelib.domain.schedule import Firing
from chalicelib.store.documents import from_document, to_document
from chalicelib.store.models import RequestItem

_KEY = ("#schedule", "fired")
_KEEP = timedelta(days=366)


class ScheduleStore:
    def last(self) -> Firing | None:
        try:
            item = RequestItem.get(*_KEY)
        except RequestItem.DoesNotExist:
            return None
        return from_document(Firing, item.document)

    def put(self, firing: Firing) -> None:
        item = RequestItem(*_KEY, document=to_document(firing))
        item.expires_at = firing.at + _KEEP
        item.save()
