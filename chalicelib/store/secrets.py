"""Secrets: a department's API key, the record of its webhook, our token towards PracBill.

Read values are kept in memory for at most a minute, so that a rotated or removed key is soon obeyed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

MAX_AGE_SECONDS = 60.0


class CachedSecrets:
    def __init__(self, client: SecretsManagerClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._known: dict[str, tuple[float, str | None]] = {}

    def text(self, name: str) -> str | None:
        """The secret's text, at most a minute old; None when there is no such secret."""
        read_at, value = self._known.get(name, (float("-inf"), None))
        # An absent secret is asked for each time: it may be stored by another process at any moment.
        if value is not None and self._clock() - read_at < MAX_AGE_SECONDS:
            return value
        value = self._fetch(name)
        self._known[name] = (self._clock(), value)
        return value

    def fields(self, name: str) -> dict[str, str]:
        """A secret that holds a JSON object of texts; empty when there is no such secret."""
        text = self.text(name)
        return dict(json.loads(text)) if text else {}

    def put(self, name: str, fields: dict[str, str]) -> None:
        """Store an object, new or in place of the old one."""
        text = json.dumps(fields)
        try:
            self._client.put_secret_value(SecretId=name, SecretString=text)
        except self._client.exceptions.ResourceNotFoundException:
            self._client.create_secret(Name=name, SecretString=text)
        self._known[name] = (self._clock(), text)

    def remove(self, name: str) -> None:
        """Remove a secret at once, without the recovery window: reconnecting right after must work."""
        self._known.pop(name, None)
        try:
            self._client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
        except self._client.exceptions.ResourceNotFoundException:
            return

    def _fetch(self, name: str) -> str | None:
        try:
            return self._client.get_secret_value(SecretId=name)["SecretString"]
        except self._client.exceptions.ResourceNotFoundException:
            return None
        except ClientError as error:
            if is_being_removed(error):
                return None
            raise


def is_being_removed(error: ClientError) -> bool:
    """Whether AWS refuses because the secret is on its way out.

    AWS removes it in the background, mostly within seconds; until then it can be neither read nor written, and its name
    is taken (Secrets Manager API Reference, DeleteSecret).
    """
    said = error.response.get("Error", {})
    return said.get("Code") == "InvalidRequestException" and "deletion" in said.get("Message", "").lower()
