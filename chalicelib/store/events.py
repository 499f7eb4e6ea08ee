"""Webhook events that were applied, remembered for some days: Mailchimp may deliver one more than once."""

from __future__ import annotations

from datetime import datetime, timedelta

from chalicelib.store.models import EventItem


class EventStore:
    """Mailchimp repeats for 75 minutes; `keep` also covers events that rested among the dead letters."""

    def __init__(self, *, keep: timedelta = timedelta(days=7)) -> None:
        self._keep = keep

    def is_known(self, department_id: str, identity: str, now: datetime) -> bool:
        """Whether the event was applied. DynamoDB removes what has expired days later, so the time is looked at."""
        try:
            item = EventItem.get(department_id, identity, consistent_read=True)
        except EventItem.DoesNotExist:
            return False
        return item.expires_at > now

    def remember(self, department_id: str, identity: str, now: datetime) -> None:
        """Note that an event was applied, to its last write."""
        item = EventItem(department_id, identity)
        item.expires_at = now + self._keep
        item.save()
