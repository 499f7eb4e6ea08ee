from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from chalice.app import Chalice
from chalice.test import Client, HTTPResponse

from chalicelib import api
from chalicelib.api.access import PublishedKeys, TokenVerifier
from tests.api.fake_services import FakeServices
from tests.api.pracbill_keys import ISSUER, KeySetServer, PrivateKey, claims, ec_key, public_jwk, rsa_key

ORIGIN = "https://app.pracbill.example"
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Issuer:
    """PracBill's published keys and one that it does not publish."""

    rsa: Any
    ec: Any
    foreign: Any
    server: KeySetServer

    def token(self, access: Any = None, *, alg: str = "RS256", key: PrivateKey | None = None, **changes: Any) -> str:
        kid = {"RS256": "rsa-1", "ES256": "ec-1"}.get(alg, "rsa-1")
        signer = key or (self.ec if alg == "ES256" else self.rsa)
        return jwt.encode(claims(access, **changes), signer, algorithm=alg, headers={"kid": kid})


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    server = KeySetServer()
    made = Issuer(rsa_key(), ec_key(), rsa_key(), server)
    server.keys = [public_jwk(made.rsa, "rsa-1", alg="RS256", use="sig"), public_jwk(made.ec, "ec-1")]
    yield made
    server.stop()


@pytest.fixture(scope="session")
def verifier(issuer: Issuer) -> TokenVerifier:
    return TokenVerifier(PublishedKeys(issuer.server.url), ISSUER)


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def app(services: FakeServices, verifier: TokenVerifier) -> Chalice:
    app = Chalice("api-under-test", configure_logs=False)
    api.register(app, services=lambda: services, verifier=lambda: verifier, origins=lambda: (ORIGIN,))
    return app


class Api:
    """The API as its users meet it: through API Gateway's event and back."""

    def __init__(self, app: Chalice, project: Path) -> None:
        self._http = Client(app, project_dir=str(project)).http

    def __call__(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: Any = None,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> HTTPResponse:
        sent = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        payload = raw if raw is not None else (b"" if body is None else json.dumps(body).encode())
        if payload:
            sent = {"Content-Type": "application/json", **sent}
        return self._http.request(method, path, headers=sent, body=payload)


@pytest.fixture
def call(app: Chalice, tmp_path: Path) -> Api:
    return Api(app, tmp_path)


@pytest.fixture
def writer(issuer: Issuer) -> str:
    return issuer.token({"d1": "write"})


@pytest.fixture
def reader(issuer: Issuer) -> str:
    return issuer.token({"d1": "read"})


def assert_problem(response: HTTPResponse, status: int, *fields: str) -> dict[str, Any]:
    """The answer is a problem of that status, with exactly these fields at fault."""
    assert response.status_code == status, response.body
    assert response.headers["Content-Type"] == PROBLEM
    document: dict[str, Any] = json.loads(response.body)
    assert document["status"] == status
    assert document["type"].startswith("urn:pracbill-mailchimp:problem:")
    assert document["title"] and document["detail"]
    assert [error["field"] for error in document.get("errors", [])] == list(fields)
    assert all(error["message"] for error in document.get("errors", []))
    return document
