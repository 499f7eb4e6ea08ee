"""Secrets that are removed and stored again under the same name, and read again before something hangs on them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from chalicelib.errors import RetryLater, StopRun
from chalicelib.store.secrets import CachedSecrets, is_being_removed

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

# Until a name that was just given up is free again, see is_being_removed.
_WAITS_SECONDS = (0.5, 1.0, 2.0, 4.0)


class SecretStore(CachedSecrets):
    """A SecretStore for the keys and hook records of departments."""

    def __init__(
        self,
        client: SecretsManagerClient,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(client, clock=clock)
        self._sleep = sleep

    def put(self, name: str, fields: dict[str, str]) -> None:
        """Store an object, also right after one of the same name was removed.

        Raises RetryLater when the name does not become free in some seconds.
        """
        for wait in _WAITS_SECONDS:
            try:
                return super().put(name, fields)
            except ClientError as error:
                if not is_being_removed(error):
                    raise
                self._sleep(wait)
        raise RetryLater("The previous key is still being removed. Try again in a minute.")

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

    def fields_now(self, name: str) -> dict[str, str]:
        """The object as it is stored at this moment, not as it was up to a minute ago."""
        self._known.pop(name, None)
        return self.fields(name)
