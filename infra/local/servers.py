"""Servers to use instead of our stand-ins, named in the environment: all of a side, or nothing of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# What each variable says, in the order in which a missing one is named.
MAILCHIMP_VARIABLES = {
    "MAILCHIMP_API_URL": "Mailchimp's address, such as https://{dc}.api.mailchimp.com/3.0",
    "MAILCHIMP_API_KEY": "the API key to connect with",
}
PRACBILL_VARIABLES = {
    "PRACBILL_API_URL": "PracBill's address",
    "PRACBILL_TOKEN": "our token towards PracBill",
    "PRACBILL_JWKS_URL": "where PracBill publishes its keys",
    "PRACBILL_ISSUER": "the issuer of its users' tokens",
    "ACCESS_TOKEN": "a user's token with write access",
    "DEPARTMENT_ID": "the department to work with",
}


class IncompleteServers(Exception):
    """Some variables of a side are set and others are not; the message names those that are missing."""


@dataclass(frozen=True, slots=True)
class ExternalServers:
    """Addresses and keys of servers that are not ours; empty where a stand-in is used."""

    mailchimp_api_url: str = ""
    mailchimp_api_key: str = ""
    pracbill_api_url: str = ""
    pracbill_token: str = ""
    pracbill_jwks_url: str = ""
    pracbill_issuer: str = ""
    access_token: str = ""
    department_id: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ExternalServers:
        """Raises IncompleteServers."""
        given: dict[str, str] = {}
        for side, variables in (("Mailchimp", MAILCHIMP_VARIABLES), ("PracBill", PRACBILL_VARIABLES)):
            present = {name: environment[name].strip() for name in variables if environment.get(name, "").strip()}
            missing = [f"{name} ({meaning})" for name, meaning in variables.items() if name not in present]
            if present and missing:
                raise IncompleteServers(
                    f"{', '.join(present)} would replace the {side} stand-in, but these are missing: "
                    f"{', '.join(missing)}. Set them too, or none of them."
                )
            given |= {name.lower(): value for name, value in present.items()}
        return cls(**given)

    @property
    def has_mailchimp(self) -> bool:
        return bool(self.mailchimp_api_url)

    @property
    def has_pracbill(self) -> bool:
        return bool(self.pracbill_api_url)
