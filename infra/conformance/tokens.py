"""What PracBill's front end needs to call the integration: the key set and a user's token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jwt
import requests

from infra.conformance.requirements import Finding, judge, not_checked

AUDIENCE = "pracbill-mailchimp"
_ALGORITHMS = {"RSA": "RS256", "EC": "ES256"}
_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "k"}


def check_tokens(jwks_url: str, *, user_token: str | None, issuer: str | None) -> list[Finding]:
    try:
        answer = requests.get(jwks_url, timeout=30)
        document = answer.json()
    except (requests.RequestException, ValueError) as error:
        fault = [f"no key set was read ({type(error).__name__})"]
        return [judge("key-set", fault, otherwise=""), not_checked("user-token", "there is no key set")]
    keys = document.get("keys") if isinstance(document, dict) else None
    readable = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
    faults = list(_key_faults(readable)) if readable else ["there is no list of keys"]
    found = judge("key-set", faults, otherwise=f"{len(readable)} keys")
    if user_token is None or issuer is None:
        return [found, not_checked("user-token", "give --user-token and --issuer to have a token looked at")]
    return [found, judge("user-token", list(_token_faults(user_token, readable, issuer)), otherwise="verified")]


def _key_faults(keys: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    kids = [key.get("kid") for key in keys]
    if not all(isinstance(kid, str) and kid for kid in kids) or len(set(kids)) < len(kids):
        yield "not every key has a kid of its own"
    for place, key in enumerate(keys):
        if private := _PRIVATE & key.keys():
            yield f"key {place} shows its private part: {', '.join(sorted(private))}"
        if key.get("kty") not in _ALGORITHMS or key.get("alg", _ALGORITHMS[key["kty"]]) != _ALGORITHMS[key["kty"]]:
            yield f"key {place} is not for RS256 or ES256"


def _token_faults(token: str, keys: Sequence[Mapping[str, Any]], issuer: str) -> Iterator[str]:
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = next((key for key in keys if key.get("kid") == kid), None)
        if key is None:
            yield "no key of the set has the token's kid"
            return
        claims = jwt.decode(
            token,
            jwt.PyJWK(dict(key)),
            algorithms=list(_ALGORITHMS.values()),
            audience=AUDIENCE,
            issuer=issuer,
            options={"require": ["exp", "iss", "aud"]},
        )
    except jwt.PyJWTError as error:
        yield f"it does not verify: {error}"
        return
    access = claims.get("mailchimp_access")
    if not isinstance(access, dict) or not set(access.values()) <= {"read", "write"}:
        yield 'mailchimp_access is not an object of department id to "read" or "write"'
