"""What Mailchimp says of a department's audience, kept with the department: every panel shows the same count."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from chalicelib.domain.departments import Audience, AudienceStatus, Department, Finding
from chalicelib.domain.health import AUDIENCE_GONE, MAILCHIMP_AWAY
from chalicelib.errors import KeyRejected, ServiceError
from chalicelib.mailchimp.errors import AudienceGone

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.mailchimp.client import MailchimpClient
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.sync.account.credentials import LinkedAccounts, OpenMailchimp

# Panels are drawn again and again while a sync runs, and syncs need the account's connections themselves.
REMEMBERED_FOR = timedelta(minutes=1)


class AudienceStatusCache:
    """A look never fails: without an answer the last count stays. When the next look fails too, a finding says so.

    A key that turns out to be refused is stored as the connection's state. `open_quickly` makes a client that gives up
    soon. Every method answers the department as it is stored afterwards.
    """

    def __init__(
        self,
        departments: DepartmentStore,
        accounts: LinkedAccounts,
        *,
        open_quickly: OpenMailchimp,
        clock: Callable[[], datetime],
    ) -> None:
        self._departments = departments
        self._accounts = accounts
        self._open_quickly = open_quickly
        self._clock = clock

    def refreshed(self, department: Department) -> Department:
        """Look again if the last look is a minute old, or of another key; nobody waits long for it."""
        audience, connection = department.audience, department.connection
        if audience is None or connection is None or not department.is_connected:
            return department
        asked_at = audience.status.asked_at if audience.status else None
        if asked_at and asked_at >= connection.connected_at and self._clock() - asked_at < REMEMBERED_FOR:
            return department
        return self._look(department, audience, self._open_quickly)

    def fresh(self, department: Department) -> Department:
        """Look now, with all the time that a request has."""
        audience = department.audience
        if audience is None or not department.is_connected:
            return department
        return self._look(department, audience, None)

    def recount(self, department: Department, open_client: Callable[[], MailchimpClient]) -> Department:
        """Count now, as a run does at its end. Without an answer nothing changes."""
        if department.audience is None:
            return department
        try:
            count = open_client().subscribed_count(department.audience.id)
        except ServiceError:
            return department  # what has been synced is synced; the next panel asks again
        now = self._clock()
        return self._note(department, AudienceStatus(now, count, now), name="")

    def _look(self, department: Department, audience: Audience, open_mailchimp: OpenMailchimp | None) -> Department:
        now, name = self._clock(), ""
        try:
            with self._accounts.open(department.id) as linked:
                client = open_mailchimp(linked.key) if open_mailchimp else linked.client
                name = client.audience(audience.id).name
                # The audience's own count is some minutes old, and zero right after a first sync: so they are counted.
                status = AudienceStatus(now, client.subscribed_count(audience.id), now)
        except KeyRejected:
            return self._departments.get(department.id) or department  # the connection's state says it by now
        except AudienceGone:
            status = _unanswered(audience, now, AUDIENCE_GONE, is_gone=True)
        except ServiceError:
            # A look that panels wait for gives up soon, so one alone says little of Mailchimp.
            is_known = open_mailchimp is None or _was_unanswered(audience)
            status = _unanswered(audience, now, MAILCHIMP_AWAY if is_known else None)
        return self._note(department, status, name=name)

    def _note(self, department: Department, status: AudienceStatus, *, name: str) -> Department:
        looked_at = department.audience_id

        def noted(stored: Department) -> Department:
            audience = stored.audience
            if audience is None or audience.id != looked_at:
                return stored
            if audience.status is not None and audience.status.asked_at > status.asked_at:
                return stored
            return replace(stored, audience=replace(audience, name=name or audience.name, status=status))

        return self._departments.change(department.id, noted)


def _was_unanswered(audience: Audience) -> bool:
    """Whether the last look brought no count either, or there was none."""
    known = audience.status
    return known is None or known.counted_at is None or known.asked_at > known.counted_at


def _unanswered(audience: Audience, now: datetime, finding: Finding | None, *, is_gone: bool = False) -> AudienceStatus:
    """The count from before stays, unless there is nothing left to count."""
    known, findings = audience.status, (finding,) if finding is not None else ()
    if known is None or is_gone:
        return AudienceStatus(now, findings=findings)
    return replace(known, asked_at=now, findings=findings)
