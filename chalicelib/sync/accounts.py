"""The Mailchimp account a department is connected to: its key, a client for it, and what a refused key means."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import cast

from chalicelib.domain.departments import Connection, ConnectionState, Department
from chalicelib.errors import KeyRejected, RefuseRequest, RetryLater, conflict
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.keys import ApiKey, parse_api_key
from chalicelib.store.departments import DepartmentStore
from chalicelib.store.vault import Vault

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
    """`secret_name` gives the name of the secret that holds a department's key."""

    def __init__(
        self,
        departments: DepartmentStore,
        vault: Vault,
        open_mailchimp: OpenMailchimp,
        *,
        secret_name: Callable[[str], str],
    ) -> None:
        self._departments = departments
        self._vault = vault
        self._open_mailchimp = open_mailchimp
        self._secret_name = secret_name

    @contextmanager
    def open(self, department_id: str) -> Iterator[LinkedAccount]:
        """The account of a connected department, for as long as the block runs.

        Raises RefuseRequest (409) when there is none, KeyRejected when the key is known to be refused. A KeyRejected
        that the block raises is stored as the connection's state, so that the schedule stops, and goes on its way.
        """
        department = self._departments.get(department_id)
        if department is None or department.connection is None:
            raise not_connected()
        key, connection = self.key_for(department), department.connection
        client = self._open_mailchimp(key)
        try:
            yield LinkedAccount(department, connection, key, client)
        except KeyRejected as error:
            self.note_rejection(department_id, connection, key, error)
            raise
        finally:
            client.close()

    def key_for(self, department: Department) -> ApiKey:
        """The key of a connected department, at most a minute old. Raises as `open` does."""
        connection = department.connection
        if connection is None:
            raise not_connected()
        if connection.state != "connected":
            raise KeyRejected(connection.message, code=connection.state)
        return self._key_of(department.id, connection)

    def key_of(self, department_id: str) -> ApiKey | None:
        """The department's key as it is stored now; None when there is none that can be used."""
        return _read_key(self._vault.fields_now(self._secret_name(department_id)))

    def put_key(self, department_id: str, key: ApiKey, account_id: str) -> None:
        """Store a key and the account it belongs to, which lets `open` notice a key of another account."""
        self._vault.put(self._secret_name(department_id), {"api_key": key.value, "account_id": account_id})

    def remove_key(self, department_id: str) -> None:
        self._vault.remove(self._secret_name(department_id))

    def note_rejection(self, department_id: str, seen: Connection, key: ApiKey, error: KeyRejected) -> None:
        """Store that Mailchimp refuses the key, unless another key has taken its place meanwhile.

        Raises RetryLater in that case: the step may well go on with the new key.
        """

        def reject(department: Department) -> Department:
            if department.connection != seen:
                raise _replaced()
            return replace(
                department,
                connection=replace(seen, state=cast(ConnectionState, error.code), message=error.message),
            )

        if self.key_of(department_id) != key:
            raise _replaced()
        self._departments.change(department_id, reject)
        logger.warning("Mailchimp refuses the key of department %s: %s", department_id, error.code)

    def _key_of(self, department_id: str, connection: Connection) -> ApiKey:
        """The key of this connection. A remembered one may be of the time before a rotation, so it must fit exactly.

        A freshly read one need not have the hint on record: a rotation stores the key first, and may have ended there.
        """
        name = self._secret_name(department_id)
        remembered = _usable_key(self._vault.fields(name), connection)
        if remembered is not None and remembered.hint == connection.key_hint:
            return remembered
        fresh = _usable_key(self._vault.fields_now(name), connection)
        if fresh is None:
            raise conflict(
                "The API key of this department is missing. Connect again with an API key of the same account.",
                code="key-missing",
            )
        return fresh


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
