"""Secrets: a department's API key, our token towards PracBill.

Read values are kept in memory for at most a minute, so that a rotated or removed key is soon obeyed.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from chalicelib.errors import RetryLater, StopRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_secretsmanager import SecretsManagerClient

MAX_AGE_SECONDS = 60.0
# Until a name that was just given up is free again, see _is_being_removed.
_WAITS_SECONDS = (0.5, 1.0, 2.0, 4.0)


class SecretStore:
    """Secrets that may be removed and stored again under the same name."""

    def __init__(
        self,
        client: SecretsManagerClient,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._clock = clock
        self._sleep = sleep
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

    def needed_text(self, name: str) -> str:
        """The text of a secret without which nothing works. Raises StopRun naming it when it was never stored."""
        try:
            text = self.text(name)
        except ClientError as error:
            # What a policy names in full does not match a name that has no secret, so AWS refuses to look.
            if error.response.get("Error", {}).get("Code") != "AccessDeniedException":
                raise
            text = None
        if not text:
            raise StopRun(
                f"Secrets Manager has no secret named {name} that this service may read. PracBill's operators store "
                "it as docs/deploy.md says, step 3."
            )
        return text

    def fields(self, name: str) -> dict[str, str]:
        """A secret that holds a JSON object of texts; empty when there is no such secret."""
        text = self.text(name)
        return dict(json.loads(text)) if text else {}

    def fields_now(self, name: str) -> dict[str, str]:
        """The object as it is stored at this moment, not as it was up to a minute ago."""
        self._known.pop(name, None)
        return self.fields(name)

    def put(self, name: str, fields: dict[str, str]) -> None:
        """Store an object, new, in place of the old one, or right after one of the same name was removed.

        Raises RetryLater when the name does not become free in some seconds.
        """
        text = json.dumps(fields)
        for wait in _WAITS_SECONDS:
            try:
                self._write(name, text)
            except ClientError as error:
                if not _is_being_removed(error):
                    raise
                self._sleep(wait)
            else:
                self._known[name] = (self._clock(), text)
                return
        raise RetryLater("The previous key is still being removed. Try again in a minute.")

    def remove(self, name: str) -> None:
        """Remove a secret at once, without the recovery window: reconnecting right after must work."""
        self._known.pop(name, None)
        try:
            self._client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
        except self._client.exceptions.ResourceNotFoundException:
            return

    def _write(self, name: str, text: str) -> None:
        try:
            self._client.put_secret_value(SecretId=name, SecretString=text)
        except self._client.exceptions.ResourceNotFoundException:
            self._client.create_secret(Name=name, SecretString=text)

    def _fetch(self, name: str) -> str | None:
        try:
            return self._client.get_secret_value(SecretId=name)["SecretString"]
        except self._client.exceptions.ResourceNotFoundException:
            return None
        except ClientError as error:
            if _is_being_removed(error):
                return None
            raise


def _is_being_removed(error: ClientError) -> bool:
    """Whether AWS refuses because the secret is on its way out.

    AWS removes it in the background, mostly within seconds; until then it can be neither read nor written, and its name
    is taken (Secrets Manager API Reference, DeleteSecret).
    """
    said = error.response.get("Error", {})
    return said.get("Code") == "InvalidRequestException" and "deletion" in said.get("Message", "").lower()
