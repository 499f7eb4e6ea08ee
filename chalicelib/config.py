"""Settings of the service: one frozen object, parsed once from the environment.

No secret is ever in the environment; secrets are named here and fetched where they are used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

# A request of the API must be answered within API Gateway's 29 seconds, its start on a new machine included.
API_SECONDS = 25.0
DEFAULT_MAILCHIMP_API_URL = "https://{dc}.api.mailchimp.com/3.0"


class MissingSetting(Exception):
    """A variable that is needed now is not set; the message names it and says what it is for."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The setting {name} is missing from the environment; docs/deploy.md says what it means.")
        self.name = name


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment, parsed. Names are those of the deployment template; a missing one is named at first use."""

    environment: Mapping[str, str]

    def _required(self, name: str) -> str:
        value = self.environment.get(name, "").strip()
        if not value:
            raise MissingSetting(name)
        return value

    @property
    def stage(self) -> str:
        return self._required("STAGE")

    @property
    def pracbill_api_url(self) -> str:
        return self._required("PRACBILL_API_URL").rstrip("/")

    @property
    def pracbill_token_secret(self) -> str:
        return self._required("PRACBILL_TOKEN_SECRET")

    @property
    def pracbill_jwks_url(self) -> str:
        return self._required("PRACBILL_JWKS_URL")

    @property
    def pracbill_issuer(self) -> str:
        return self._required("PRACBILL_ISSUER")

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """Origins that browsers may call from; empty means none."""
        return tuple(o.strip() for o in self.environment.get("ALLOWED_ORIGINS", "").split(",") if o.strip())

    @property
    def public_url(self) -> str:
        """Address of the deployed API as Mailchimp reaches it, without a trailing slash."""
        return self._required("PUBLIC_URL").rstrip("/")

    @property
    def mailchimp_api_url(self) -> str:
        """Template of Mailchimp's address; `{dc}` is the data centre of a checked key."""
        return (self.environment.get("MAILCHIMP_API_URL") or DEFAULT_MAILCHIMP_API_URL).rstrip("/")

    @property
    def log_retention_days(self) -> int:
        return int(self.environment.get("LOG_RETENTION_DAYS") or 180)

    @property
    def sync_schedule(self) -> str:
        """When incremental runs start, as an expression of EventBridge; empty where nobody said."""
        return self.environment.get("SYNC_SCHEDULE", "").strip()

    @property
    def sync_queue_url(self) -> str:
        return self._required("SYNC_QUEUE_URL")

    @property
    def event_queue_url(self) -> str:
        return self._required("EVENT_QUEUE_URL")

    def table(self, name: str) -> str:
        """The full name of one of our tables: `table("customers")`."""
        return f"pracbill-mailchimp-{self.stage}-{name}"

    @property
    def hook_key(self) -> str:
        """The alias of the key that encrypts what webhooks are signed with."""
        return f"alias/pracbill-mailchimp-{self.stage}-webhook"

    def secret(self, *parts: str) -> str:
        """The full name of one of our secrets: `secret("departments", department_id)`."""
        return "/".join((f"pracbill-mailchimp/{self.stage}", *parts))


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process."""
    return Settings(environment=dict(os.environ))
