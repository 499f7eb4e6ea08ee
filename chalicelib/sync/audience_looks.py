"""What Mailchimp says of a department's audience right now, for the panels that show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.departments import Audience, Connection, Department, Finding
from chalicelib.domain.health import AUDIENCE_GONE, MAILCHIMP_AWAY
from chalicelib.errors import KeyRejected, ServiceError
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.errors import AudienceGone
from chalicelib.sync.accounts import LinkedAccounts, OpenMailchimp

# The status panel is drawn again and again while a sync runs, and syncs need the account's connections themselves.
REMEMBERED_FOR = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class AudienceLook:
    """The audience's name and subscribed members; `findings` say why the count is missing."""

    name: str
    member_count: int | None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Remembered:
    connection: Connection
    audience_id: str
    at: datetime
    look: AudienceLook


class AudienceLooks:
    """A look never fails: without an answer the count is missing.

    A key that turns out to be refused is stored as the connection's state, so read the department again after a look
    without a count. `open_quickly` makes a client that gives up soon.
    """

    def __init__(self, accounts: LinkedAccounts, *, open_quickly: OpenMailchimp, clock: Callable[[], datetime]) -> None:
        self._accounts = accounts
        self._open_quickly = open_quickly
        self._clock = clock
        self._remembered: dict[str, _Remembered] = {}

    def fresh(self, department: Department) -> AudienceLook | None:
        """A look now, with all the patience that a request has; None without an audience."""
        return self._look(department, None)

    def recent(self, department: Department) -> AudienceLook | None:
        """A look that may be a minute old, and that nobody waits long for; None without an audience."""
        known = self._remembered.get(department.id)
        if (
            known is not None
            and (known.connection, known.audience_id) == (department.connection, department.audience_id)
            and self._clock() - known.at < REMEMBERED_FOR
        ):
            return known.look
        return self._look(department, self._open_quickly)

    def _look(self, department: Department, open_mailchimp: OpenMailchimp | None) -> AudienceLook | None:
        audience, connection = department.audience, department.connection
        if audience is None:
            return None
        if connection is None or not department.is_connected:
            return AudienceLook(audience.name, None)
        look = self._ask(department.id, audience, open_mailchimp)
        self._remembered[department.id] = _Remembered(connection, audience.id, self._clock(), look)
        return look

    def _ask(self, department_id: str, audience: Audience, open_mailchimp: OpenMailchimp | None) -> AudienceLook:
        try:
            with self._accounts.open(department_id) as linked:
                return _answer(open_mailchimp(linked.key) if open_mailchimp else linked.client, audience)
        except KeyRejected:
            return AudienceLook(audience.name, None)  # the connection's state says it by now
        except AudienceGone:
            return AudienceLook(audience.name, None, (AUDIENCE_GONE,))
        except ServiceError:
            return AudienceLook(audience.name, None, (MAILCHIMP_AWAY,))


def _answer(client: MailchimpClient, audience: Audience) -> AudienceLook:
    # The audience's own count is some minutes old, and zero right after a first sync: so the members are counted.
    return AudienceLook(client.audience(audience.id).name, client.subscribed_count(audience.id))
