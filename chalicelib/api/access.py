"""Who is calling, and what they may do: PracBill's tokens, verified here and nowhere else.

A token is a JWT (RFC 7519) signed with RS256 or ES256 by a key of PracBill's key set (RFC 7517). The algorithm is
that of the key, never what the token says of itself (RFC 8725, 3.1): a token without a signature, or one "signed" with
a public key as a shared secret, finds no key that fits.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from chalicelib.config import settings
from chalicelib.errors import RefuseRequest, RetryLater
from chalicelib.http_client.addresses import is_protected

if TYPE_CHECKING:
    from chalicelib.contract.common import Access

AUDIENCE = "pracbill-mailchimp"
ACCESS_CLAIM = "mailchimp_access"
EVERY_DEPARTMENT = "*"
LEEWAY_SECONDS = 30

# Key type -> the one algorithm we accept from it.
_ALGORITHMS = {"RSA": "RS256", "EC": "ES256"}
_SMALLEST_RSA_BITS = 2048
_LONGEST_TOKEN = 8192
_LONGEST_SUBJECT = 200

# A key set is asked for again after ten minutes, or when a token names a key it does not hold: PracBill may have begun
# to sign with a new one a moment ago. A stranger can make up key names, so only a few fetches may follow each other at
# once, and one every half minute in the long run. When PracBill is away it is left alone for half a minute, and the
# last set serves for an hour more at most: after that a withdrawn key might still be trusted.
FRESH_SECONDS = 600
USABLE_SECONDS = 3600
FETCH_PAUSE_SECONDS = 30
FETCHES_AT_ONCE = 4
_FETCH_TIMEOUT = (3.05, 5)
_LONGEST_FETCH_SECONDS = 8.0
_LARGEST_KEY_SET = 256 * 1024

# What a token of a stranger can make the JWT library raise: it decodes JSON that anybody may have written.
_BAD_TOKEN = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)

logger = logging.getLogger("pracbill-mailchimp.access")


@dataclass(frozen=True, slots=True)
class Caller:
    """The bearer of a verified token. `grants` is the access claim as it came."""

    subject: str = ""
    grants: Mapping[str, object] = field(default_factory=dict)

    def access(self, department_id: str) -> Access | None:
        """What the caller may do in a department.

        The department's own entry wins over the entry for all, in both directions: it may allow more, or less. An
        entry we do not understand allows nothing.
        """
        word = self.grants.get(department_id, self.grants.get(EVERY_DEPARTMENT))
        return word if word in ("read", "write") else None


# The caller of the request under way, set by the gate. A view that runs without the gate finds none and fails.
current_caller: ContextVar[Caller] = ContextVar("current_caller")


def unauthorized(detail: str) -> RefuseRequest:
    """401: no token, or one that cannot be trusted."""
    return RefuseRequest(detail, status=401, title="Not signed in", code="unauthorized")


def forbidden(detail: str) -> RefuseRequest:
    """403: a good token that does not allow this."""
    return RefuseRequest(detail, status=403, title="Not allowed", code="forbidden")


# ---------------------------------------------------------------------------------------------------- PracBill's keys


class KeySetUnreadable(Exception):
    """PracBill's key set cannot be had right now; the message says why and carries nothing secret."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The public half of a key of PracBill, with the one algorithm it may be used for."""

    kid: str | None
    algorithm: str
    jwk: jwt.PyJWK


def fetch_key_set(url: str) -> tuple[SigningKey, ...]:
    """Read PracBill's key set (RFC 7517, 5); keys that we cannot or must not use are left out.

    Raises KeySetUnreadable.
    """
    # Who can change the keys can sign tokens. Plain http is for a PracBill on this very machine.
    if not is_protected(url):
        raise KeySetUnreadable("PRACBILL_JWKS_URL must be an https address")
    document = _in_time(lambda: _fetch(url))
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise KeySetUnreadable("not a key set")
    return tuple(key for entry in keys if (key := _signing_key(entry)) is not None)


def _fetch(url: str) -> object:
    try:
        with requests.get(url, timeout=_FETCH_TIMEOUT, allow_redirects=False, stream=True) as response:
            if response.status_code != 200:
                raise KeySetUnreadable(f"status {response.status_code}")
            return json.loads(_read_limited(response))
    except (requests.RequestException, ValueError, RecursionError) as error:
        raise KeySetUnreadable(type(error).__name__) from error


def _in_time(fetch: Callable[[], object]) -> object:
    """What `fetch` answers. A server that sends a byte now and then never runs into a time-out of the connection."""
    answered: list[object] = []
    failed: list[KeySetUnreadable] = []

    def run() -> None:
        try:
            answered.append(fetch())
        except KeySetUnreadable as error:
            failed.append(error)
        except Exception as error:  # noqa: BLE001 - nobody else would notice it in this thread
            failed.append(KeySetUnreadable(type(error).__name__))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_LONGEST_FETCH_SECONDS)
    if failed:
        raise failed[0]
    if not answered:
        raise KeySetUnreadable("too slow")
    return answered[0]


def _read_limited(response: requests.Response) -> bytes:
    body = bytearray()
    for part in response.iter_content(16 * 1024):
        body += part
        if len(body) > _LARGEST_KEY_SET:
            raise KeySetUnreadable("too large")
    return bytes(body)


def _signing_key(entry: object) -> SigningKey | None:
    """A key of the set if it is one for signatures of ours: of a known type, public, strong enough."""
    if not isinstance(entry, dict) or "d" in entry or entry.get("use", "sig") != "sig":
        return None
    kty, kid = entry.get("kty"), entry.get("kid")
    algorithm = _ALGORITHMS.get(kty) if isinstance(kty, str) else None
    if algorithm is None or entry.get("alg", algorithm) != algorithm or entry.get("crv", "P-256") != "P-256":
        return None
    try:
        jwk = jwt.PyJWK(entry, algorithm)
    except _BAD_TOKEN:
        return None
    if isinstance(jwk.key, rsa.RSAPublicKey) and jwk.key.key_size < _SMALLEST_RSA_BITS:
        return None
    return SigningKey(kid if isinstance(kid, str) else None, algorithm, jwk)


class PublishedKeys:
    """PracBill's key set as last read, renewed when it is old or lacks a key that a token names."""

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] = time.time,
        fetch: Callable[[str], tuple[SigningKey, ...]] = fetch_key_set,
    ) -> None:
        self._url = url
        self._clock = clock
        self._fetch = fetch
        self._keys: tuple[SigningKey, ...] = ()
        self._fetched_at: float | None = None
        self._tries: tuple[float, ...] = ()
        self._away = False

    def find(self, kid: str | None, algorithm: str) -> SigningKey | None:
        """The key a token names; None if PracBill does not publish it.

        Raises RetryLater when that cannot be said because PracBill cannot be reached.
        """
        if not self._within(self._fetched_at, FRESH_SECONDS):
            self._renew()
        key = self._held(kid, algorithm)
        if key is None:
            self._renew()
            key = self._held(kid, algorithm)
        if key is None and self._away:
            raise RetryLater(
                "PracBill cannot confirm who you are right now. Try again in a minute.",
                after_seconds=FETCH_PAUSE_SECONDS,
            )
        return key

    def _held(self, kid: str | None, algorithm: str) -> SigningKey | None:
        if not self._within(self._fetched_at, USABLE_SECONDS):
            return None
        if kid is None:
            # A token may leave the key unnamed only where there is nothing to choose.
            return self._keys[0] if len(self._keys) == 1 and self._keys[0].algorithm == algorithm else None
        return next((key for key in self._keys if key.kid == kid and key.algorithm == algorithm), None)

    def _renew(self) -> None:
        now = self._clock()
        self._tries = tuple(
            tried for tried in self._tries if self._within(tried, FETCHES_AT_ONCE * FETCH_PAUSE_SECONDS)
        )
        if len(self._tries) >= FETCHES_AT_ONCE or (self._away and self._within(self._last_try, FETCH_PAUSE_SECONDS)):
            return
        self._tries += (now,)
        try:
            self._keys = self._fetch(self._url)
        except KeySetUnreadable as error:
            self._away = True
            logger.error("PracBill's key set cannot be read: %s", error)
            return
        self._fetched_at, self._away = now, False

    @property
    def _last_try(self) -> float | None:
        return self._tries[-1] if self._tries else None

    def _within(self, moment: float | None, seconds: float) -> bool:
        return moment is not None and 0 <= self._clock() - moment < seconds


# ------------------------------------------------------------------------------------------------------------- tokens


@dataclass(frozen=True, slots=True)
class TokenVerifier:
    """Turns an Authorization header into a caller."""

    keys: PublishedKeys
    issuer: str

    def caller(self, authorization: str | None) -> Caller:
        """The caller a header names.

        Raises RefuseRequest (401) for anything but a good token, RetryLater when PracBill's keys cannot be had.
        """
        token = _bearer_token(authorization)
        claims = self._claims(token, self._key_of(token))
        subject, grants = claims.get("sub"), claims.get(ACCESS_CLAIM)
        return Caller(
            subject=subject[:_LONGEST_SUBJECT] if isinstance(subject, str) and subject else "unknown",
            grants=grants if isinstance(grants, dict) else {},
        )

    def _key_of(self, token: str) -> SigningKey:
        try:
            header = jwt.get_unverified_header(token)
        except _BAD_TOKEN as error:
            raise unauthorized("The bearer token is not a JSON Web Token.") from error
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS.values():
            raise unauthorized("The bearer token must be signed with RS256 or ES256.")
        key = self.keys.find(kid if isinstance(kid, str) else None, algorithm)
        if key is None:
            raise unauthorized("The bearer token is signed with a key that PracBill does not publish.")
        return key

    def _claims(self, token: str, key: SigningKey) -> dict[str, object]:
        try:
            return jwt.decode(
                token,
                key.jwk,
                algorithms=[key.algorithm],
                audience=AUDIENCE,
                issuer=self.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise unauthorized("The bearer token has expired.") from error
        except _BAD_TOKEN as error:
            raise unauthorized("The bearer token is not one that PracBill issued for this service.") from error


@lru_cache(maxsize=1)
def token_verifier() -> TokenVerifier:
    """The verifier of this process. Raises MissingSetting."""
    return TokenVerifier(PublishedKeys(settings().pracbill_jwks_url), settings().pracbill_issuer)


def _bearer_token(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise unauthorized("Send PracBill's token as `Authorization: Bearer <token>`.")
    if len(token) > _LONGEST_TOKEN:
        raise unauthorized("The bearer token is too long.")
    return token.strip()
