"""Accounts, their users and API keys; who a request comes from."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from dataclasses import asdict, dataclass, field
from typing import Any

from . import problems
from .audiences import Audience
from .readings import Readings

READ_ONLY_ROLES = frozenset({"viewer", "author"})
ROLES = READ_ONLY_ROLES | {"owner", "admin", "manager"}
_KEY = re.compile(r"([0-9a-f]{32})-([a-z]{2,3}[0-9]{1,3})")

# The seeded account has the same key on every machine, so that a stack may be thrown away and made anew.
DEFAULT_SECRET = hashlib.md5(b"PracBill stand-in for Mailchimp", usedforsecurity=False).hexdigest()


@dataclass
class ApiKey:
    """A key belongs to a user; all keys of one user share the user's ten connections."""

    secret: str
    user_id: str
    role: str
    revoked: bool = False


@dataclass
class Account:
    """One Mailchimp account. `max_audiences` -1 means unlimited."""

    id: str
    login_id: str
    name: str
    datacenter: str
    created: int
    max_audiences: int = 3
    active: bool = True
    keys: list[ApiKey] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.audiences: dict[str, Audience] = {}

    def new_key(self, *, user_id: str, role: str, secret: str | None = None) -> str:
        """Make a key and return it as a caller would send it."""
        key = ApiKey(secret or secrets.token_hex(16), user_id, role)
        self.keys.append(key)
        return self.full_key(key)

    def full_key(self, key: ApiKey) -> str:
        return f"{key.secret}-{self.datacenter}"

    @property
    def may_create_audience(self) -> bool:
        return self.max_audiences < 0 or len(self.audiences) < self.max_audiences

    def record(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Account:
        return cls(**record | {"keys": [ApiKey(**key) for key in record["keys"]]})


@dataclass(frozen=True)
class Caller:
    """Who calls: the account and the key that was shown."""

    account: Account
    key: ApiKey

    @property
    def user(self) -> str:
        return f"{self.account.id}/{self.key.user_id}"


def new_account(name: str, *, datacenter: str, max_audiences: int, now: int) -> Account:
    login_id = str(secrets.randbelow(90_000_000) + 10_000_000)
    return Account(secrets.token_hex(12), login_id, name, datacenter, now, max_audiences)


def shown_key(authorization: str | None) -> str:
    """The key in an Authorization header (Basic with any user name, Bearer, apikey, OAuth)."""
    scheme, _, value = (authorization or "").strip().partition(" ")
    if not value:
        raise problems.key_missing()
    if scheme.lower() == "basic":
        return _basic_password(value)
    if scheme.lower() in ("bearer", "apikey", "oauth"):
        return value.strip()
    raise problems.key_missing()


def _basic_password(value: str) -> str:
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        raise problems.key_invalid() from None


def authenticate(authorization: str | None, keys: dict[str, Caller], readings: Readings) -> Caller:
    """The caller of a request; raises the 401 or 403 that Mailchimp would answer."""
    match = _KEY.fullmatch(shown_key(authorization))
    caller = keys.get(match[1]) if match else None
    if match is None or caller is None or caller.key.revoked:
        raise problems.key_invalid()
    if match[2] != caller.account.datacenter:
        raise problems.wrong_datacenter(caller.account.datacenter, status=readings.wrong_datacenter_status)
    if not caller.account.active:
        raise problems.user_disabled()
    return caller
