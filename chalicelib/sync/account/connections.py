"""Connecting a department to a Mailchimp account, replacing its key, disconnecting it, and its status panel.

The order of writes lets a crash between any two of them do no harm:

- Connecting stores the key first, the connection after it. A key without a connection is used by nobody and is
  overwritten by the next try; a connection without a key would fail every sync.
- Disconnecting takes the connection away first: from then on no run starts and none goes on. The key and the hook
  record follow, Mailchimp is asked last: getting rid of a key must not wait for others. Once more does what is left.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from chalicelib.domain.departments import Connection, Department
from chalicelib.domain.health import HOOK_LEFT_BEHIND
from chalicelib.errors import FieldError, KeyRejected, RefuseRequest, RetryLater, bad_input, conflict
from chalicelib.mailchimp.errors import AudienceGone, NotPermitted
from chalicelib.mailchimp.keys import ApiKey, parse_api_key
from chalicelib.sync.account.webhook_registration import WebhookRegistration, without_hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.contract.account import ConnectionStatus
    from chalicelib.mailchimp.answers import Account
    from chalicelib.mailchimp.client import MailchimpClient
    from chalicelib.store.attempts import AttemptStore
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.sync.account.connection_panel import ConnectionPanel
    from chalicelib.sync.account.credentials import LinkedAccounts
    from chalicelib.sync.account.registration import Registration

logger = logging.getLogger("pracbill-mailchimp.connect")

# A stolen token of PracBill must not serve to try out keys.
MOST_ATTEMPTS = 10
ATTEMPTS_WINDOW = timedelta(minutes=15)
# Mailchimp's user levels that may look at audiences and change nothing ("User levels").
_READ_ONLY_ROLES = frozenset({"viewer", "author"})


class Connections:
    """A department's link to a Mailchimp account. `stop_run(department_id, reason)` ends its active run."""

    def __init__(
        self,
        departments: DepartmentStore,
        accounts: LinkedAccounts,
        hooks: WebhookRegistration,
        *,
        registration: Registration,
        attempts: AttemptStore,
        panel: ConnectionPanel,
        stop_run: Callable[[str, str], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._departments = departments
        self._accounts = accounts
        self._hooks = hooks
        self._registration = registration
        self._attempts = attempts
        self._panel = panel
        self._stop_run = stop_run
        self._clock = clock

    def status(self, department_id: str) -> ConnectionStatus:
        """The status panel. Mailchimp is asked at most once a minute, and never waited for long.

        A department that was never connected is simply not connected, whether PracBill knows it or not.
        """
        return self._panel.of(self._departments.get(department_id))

    def connect(self, department_id: str, api_key: str, *, by: str) -> ConnectionStatus:
        """Verify a key with Mailchimp, then store it. A key of the connected account takes the place of the old one.

        Raises, with nothing stored: RefuseRequest 400 for what is not a key, 404 for a department that PracBill does
        not know, 409 for a key of another account than the connected one, 422 for a key that Mailchimp refuses or that
        has too few rights, 429 after too many failed attempts; RetryLater when Mailchimp or PracBill is away.
        """
        key = _parse(api_key)
        department = self._registration.department(department_id)
        attempt = self._begin_attempt(department_id)
        try:
            department = self._link(department, key, self._accounts.client_of(key))
        except RetryLater:
            self._attempts.remove(department_id, attempt)
            raise
        self._attempts.clear(department_id)
        logger.info("Department %s was connected by %s", department_id, by)
        return self._panel.of(department)

    def disconnect(self, department_id: str, *, by: str) -> ConnectionStatus:
        """Remove the key and our webhook and stop the active run; everything else stays for a reconnection.

        Works with a dead key and without Mailchimp; the answer says when the webhook had to be left behind. Once more
        does no harm.
        """
        if self._departments.get(department_id) is None:
            return self._panel.of(None)
        department = self._departments.change(department_id, _disconnected)
        if department.active_run_id:
            self._stop_run(department_id, "The department was disconnected from Mailchimp.")
        key = self._accounts.last_key(department_id)
        self._accounts.remove_key(department_id)
        all_gone = self._hooks.retire(department, self._accounts.client_of(key) if key else None)
        logger.info("Department %s was disconnected by %s", department_id, by)
        return self._panel.of(self._departments.get(department_id), () if all_gone else (HOOK_LEFT_BEHIND,))

    def _begin_attempt(self, department_id: str) -> str:
        """Count an attempt before it is made, so that attempts side by side are limited, too."""
        now = self._clock()
        attempt = self._attempts.add(department_id, now)
        times = self._attempts.times_since(department_id, now - ATTEMPTS_WINDOW)
        if len(times) > MOST_ATTEMPTS:
            self._attempts.remove(department_id, attempt)
            raise _too_many_attempts(times[0] + ATTEMPTS_WINDOW - now)
        return attempt

    def _link(self, department: Department, key: ApiKey, client: MailchimpClient) -> Department:
        account = _verify(client)
        _refuse_other_account(department, account)
        gone_audience = _gone_audience(department, client)
        self._accounts.put_key(department.id, key, account.account_id)
        connection = Connection(
            state="connected",
            account_id=account.account_id,
            account_name=account.account_name,
            server_prefix=key.server_prefix,
            key_hint=key.hint,
            connected_at=self._clock(),
        )
        linked = self._departments.change(department.id, partial(_connected, connection, account, gone_audience))
        return self._look_at_hook(linked, client)

    def _look_at_hook(self, department: Department, client: MailchimpClient) -> Department:
        """Disconnecting took the webhook away. The connection stands by now, so this can fail only as a finding."""
        try:
            return self._hooks.repair(department, client)
        except (KeyRejected, AudienceGone):
            return department


def for_another_audience(department: Department) -> Department:
    """What was sent and observed so far does not hold for another audience: everything is read and planned again."""
    return replace(department, customers_watermark="", members_watermark=None, replan_all=True, last_synced_at=None)


def _parse(api_key: str) -> ApiKey:
    try:
        return parse_api_key(api_key)
    except KeyRejected as error:
        raise bad_input(FieldError("api_key", error.message, error.code), detail=error.message) from None


def _verify(client: MailchimpClient) -> Account:
    """The account behind the key, if the key is good for what we do."""
    try:
        account = client.account()
    except KeyRejected as error:
        raise _refused_key(error.message, code=error.code.replace("_", "-")) from None
    except NotPermitted as error:
        raise _refused_key(error.message, code="key-not-permitted") from None
    if account.role.lower() in _READ_ONLY_ROLES:
        raise _refused_key(
            f"The user of this API key has the Mailchimp role {account.role} and may change nothing. "
            "Use a key of a user with the role Admin or Owner.",
            code="key-not-permitted",
        )
    if not account.account_id:
        raise RetryLater("Mailchimp did not say which account the key belongs to. Wait a few minutes and try again.")
    return account


def _refused_key(message: str, *, code: str) -> RefuseRequest:
    errors = (FieldError("api_key", message, code.replace("-", "_")),)
    return RefuseRequest(message, status=422, title="Mailchimp refuses the key", code=code, errors=errors)


def _too_many_attempts(wait: timedelta) -> RefuseRequest:
    seconds = max(1, ceil(wait.total_seconds()))
    return RefuseRequest(
        f"Too many API keys were tried for this department. Try again in {ceil(seconds / 60)} minutes.",
        status=429,
        title="Too many attempts",
        code="too-many-attempts",
        extra={"retry_after": seconds},
    )


def _refuse_other_account(department: Department, account: Account) -> None:
    if department.connection is not None and department.connection.account_id != account.account_id:
        raise conflict(
            f"This department is connected to the Mailchimp account {department.connection.account_name}, and the key "
            "belongs to another one. Disconnect first if you mean to change the account.",
            code="another-account",
            field="api_key",
        )


def _gone_audience(department: Department, client: MailchimpClient) -> str:
    """The id of the audience from before the disconnection if the account has no such audience, else nothing.

    Audience ids are unique across Mailchimp, so an account that has it is the same account as before.
    """
    if department.connection is not None or department.audience is None:
        return ""
    try:
        client.audience(department.audience.id)
    except AudienceGone:
        return department.audience.id
    return ""


def _connected(connection: Connection, account: Account, gone_audience: str, department: Department) -> Department:
    _refuse_other_account(department, account)  # somebody else may have connected meanwhile
    linked = replace(department, connection=connection)
    if department.audience is not None and department.audience.id == gone_audience:
        return for_another_audience(replace(linked, audience=None))
    return linked


def _disconnected(department: Department) -> Department:
    audience = without_hook(department.audience) if department.audience else None
    return replace(department, connection=None, audience=audience)
