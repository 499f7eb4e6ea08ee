"""Users' tokens and the key set."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import requests

from infra.standins.pracbill import PracBillStandIn

AUDIENCE = "pracbill-mailchimp"


@pytest.fixture
def issuing() -> Iterator[PracBillStandIn]:
    """On the real clock, which is what verifiers go by."""
    with PracBillStandIn(customers=0) as standin:
        yield standin


def verify(pracbill: PracBillStandIn, token: str) -> dict[str, Any]:
    """As a service does that knows nothing but the key set's address and the issuer."""
    key = jwt.PyJWKClient(pracbill.jwks_url).get_signing_key_from_jwt(token)
    return jwt.decode(
        token,
        key,
        algorithms=["RS256", "ES256"],
        audience=AUDIENCE,
        issuer=pracbill.issuer,
        options={"require": ["exp"]},
    )


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_token_verifies_against_the_key_set(issuing: PracBillStandIn, alg: str) -> None:
    claims = verify(issuing, issuing.mint("user-7", {"melbourne-north": "read", "*": "write"}, alg=alg))
    assert claims["sub"] == "user-7"
    assert claims["mailchimp_access"] == {"melbourne-north": "read", "*": "write"}
    assert claims["exp"] - claims["iat"] == 3600


def test_the_key_set_shows_public_halves_only(issuing: PracBillStandIn) -> None:
    answer = requests.get(issuing.jwks_url, timeout=60)
    keys = answer.json()["keys"]
    assert [(key["kty"], key["alg"], key["use"]) for key in keys] == [("RSA", "RS256", "sig"), ("EC", "ES256", "sig")]
    assert not {"d", "p", "q", "k"} & {name for key in keys for name in key}
    assert len({key["kid"] for key in keys}) == 2
    assert "max-age" in answer.headers["Cache-Control"]


def test_the_issuer_does_not_depend_on_the_port(issuing: PracBillStandIn) -> None:
    assert issuing.issuer == "https://pracbill.local"


def test_a_token_may_be_expired(issuing: PracBillStandIn) -> None:
    with pytest.raises(jwt.ExpiredSignatureError):
        verify(issuing, issuing.mint(expires_in=-1))


def test_claims_may_be_changed_or_left_out(issuing: PracBillStandIn) -> None:
    with pytest.raises(jwt.InvalidAudienceError):
        verify(issuing, issuing.mint(claims={"aud": "another"}))
    with pytest.raises(jwt.MissingRequiredClaimError):
        verify(issuing, issuing.mint(claims={"exp": None}))


def test_a_token_of_an_unpublished_key_does_not_verify(issuing: PracBillStandIn) -> None:
    with pytest.raises(jwt.PyJWKClientError):
        verify(issuing, issuing.mint(published_key=False))


def test_after_a_rotation_old_and_new_tokens_verify(issuing: PracBillStandIn) -> None:
    old = issuing.mint()
    new_kids = issuing.issuer_keys.rotate()
    new = issuing.mint()
    assert jwt.get_unverified_header(new)["kid"] in new_kids
    assert verify(issuing, old)["sub"] == verify(issuing, new)["sub"]


def test_retired_keys_are_believed_no_more(issuing: PracBillStandIn) -> None:
    old = issuing.mint()
    issuing.issuer_keys.rotate()
    issuing.issuer_keys.retire_old_keys()
    with pytest.raises(jwt.PyJWKClientError):
        verify(issuing, old)
    assert verify(issuing, issuing.mint())


def test_keys_may_vanish_at_once(issuing: PracBillStandIn) -> None:
    old = issuing.mint()
    issuing.issuer_keys.rotate(keep_old=False)
    with pytest.raises(jwt.PyJWKClientError):
        verify(issuing, old)


def test_tokens_are_minted_over_http(issuing: PracBillStandIn) -> None:
    body = {"subject": "u", "mailchimp_access": {"*": "read"}, "expires_in": 60, "alg": "RS256"}
    answer = requests.post(f"{issuing.control_url}/tokens", json=body, timeout=60)
    claims = verify(issuing, answer.json()["token"])
    assert claims["mailchimp_access"] == {"*": "read"}
    assert abs(claims["exp"] - time.time() - 60) < 10


def test_an_unknown_algorithm_is_refused(issuing: PracBillStandIn) -> None:
    body = {"subject": "u", "mailchimp_access": {}, "alg": "none"}
    assert requests.post(f"{issuing.control_url}/tokens", json=body, timeout=60).status_code == 400


def test_keys_rotate_over_http(issuing: PracBillStandIn) -> None:
    old = issuing.mint()
    kids = requests.post(f"{issuing.control_url}/keys/rotate", json={}, timeout=60).json()["kids"]
    gone = requests.post(f"{issuing.control_url}/keys/retire", timeout=60).json()["kids"]
    assert jwt.get_unverified_header(old)["kid"] in gone
    assert {key["kid"] for key in requests.get(issuing.jwks_url, timeout=60).json()["keys"]} == set(kids)
