"""The Mailchimp account a department is connected to: its key, a client for it, and what a refused key means."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from chalicelib.domain.departments import Connection, ConnectionState, Department
from chalicelib.errors import KeyRejected, RefuseRequest, RetryLater, conflict
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.keys import ApiKey, parse_api_key

if TYPE_CHECKING:
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.store.secret_store import SecretStore

logger = logging.getLogger("pracbill-mailchimp.accounts")

OpenMailchimp = Callable[[ApiKey], MailchimpClient]


@dataclass(frozen=True, slots=True)
class LinkedAccount:
    """A connected department and the client of its key, as they were when it was opened."""

    department: Department
    connection: Connection
    key: ApiKey = field(repr=False)
    client: MailchimpClient = field(repr=False)


class LinkedAccounts:
    """`open_mailchimp` makes the client of a key, `secret_name` names the secret that holds a department's key."""

    def __init__(
        self,
        departments: DepartmentStore,
        secret_store: SecretStore,
        open_mailchimp: OpenMailchimp,
        *,
        secret_name: Callable[[str], str],
    ) -> None:
        self._departments = departments
        self._secret_store = secret_store
        self._open_mailchimp = open_mailchimp
        self._secret_name = secret_name

    @contextmanager
    def open(self, department_id: str) -> Iterator[LinkedAccount]:
        """The account of a connected department, for as long as the block runs.

        Raises RefuseRequest (409) when there is none, KeyRejected when the key is known to be refused. A KeyRejected
        that the block raises is stored as the connection's state, so that the schedule stops, and goes on its way.
        """
        department = self._departments.get(department_id)
        connection = department.connection if department else None
        if department is None or connection is None:
            raise not_connected()
        if connection.state != "connected":
            raise KeyRejected(connection.message, code=connection.state)
        key = None
        try:
            key = self.key_for(department)
            yield LinkedAccount(department, connection, key, self._open_mailchimp(key))
        except KeyRejected as error:
            self.note_rejection(department_id, connection, key, error)
            raise

    def key_for(self, department: Department) -> ApiKey:
        """The key of the department's connection. Raises KeyRejected when there is none, or one of another account.

        A remembered key may be of the time before a rotation, so it must fit exactly. A freshly read one need not have
        the hint on record: a rotation stores the key first, and may have ended there.
        """
        if department.connection is None:
            raise not_connected()
        remembered = _usable_key(self._secret_store.fields(self._secret_name(department.id)), department.connection)
        if remembered is not None and remembered.hint == department.connection.key_hint:
            return remembered
        fresh = self._fresh_key(department.id, department.connection)
        if fresh is None:
            raise KeyRejected(
                "The API key of this department is missing. Connect again with an API key of the same account.",
                code="key_rejected",
            )
        return fresh

    def client_of(self, key: ApiKey) -> MailchimpClient:
        return self._open_mailchimp(key)

    def last_key(self, department_id: str) -> ApiKey | None:
        """The key that is stored now, connected or not; None when there is none that can be used."""
        return _read_key(self._secret_store.fields_now(self._secret_name(department_id)))

    def put_key(self, department_id: str, key: ApiKey, account_id: str) -> None:
        """Store a key and the account it belongs to, which lets `key_for` notice a key of another account."""
        self._secret_store.put(self._secret_name(department_id), {"api_key": key.value, "account_id": account_id})

    def remove_key(self, department_id: str) -> None:
        self._secret_store.remove(self._secret_name(department_id))

    def note_rejection(self, department_id: str, seen: Connection, key: ApiKey | None, error: KeyRejected) -> None:
        """Store that Mailchimp refuses the key, or with None that there is none.

        Raises RetryLater when another key has taken its place meanwhile: the step may well go on with that one.
        """

        def reject(department: Department) -> Department:
            if department.connection != seen:
                raise _replaced()
            return replace(
                department,
                connection=replace(seen, state=cast(ConnectionState, error.code), message=error.message),
            )

        if self._fresh_key(department_id, seen) != key:
            raise _replaced()
        self._departments.change(department_id, reject)
        logger.warning("Mailchimp refuses the key of department %s: %s", department_id, error.code)

    def _fresh_key(self, department_id: str, connection: Connection) -> ApiKey | None:
        return _usable_key(self._secret_store.fields_now(self._secret_name(department_id)), connection)


def _usable_key(stored: Mapping[str, str], connection: Connection) -> ApiKey | None:
    """The key, unless it is of another account than the connection: then two people connected at the same moment."""
    if stored.get("account_id", connection.account_id) != connection.account_id:
        return None
    return _read_key(stored)


def _read_key(stored: Mapping[str, str]) -> ApiKey | None:
    try:
        return parse_api_key(stored.get("api_key", ""))
    except KeyRejected:
        return None


def _replaced() -> RetryLater:
    return RetryLater("The API key was replaced a moment ago. Try again.")


def not_connected() -> RefuseRequest:
    """409 for what needs a Mailchimp account while there is none."""
    return conflict(
        "This department is not connected to Mailchimp. Connect it with an API key first.", code="not-connected"
    )
