"""PracBill as an issuer of tokens, for tests: keys, tokens good and bad, and a key set."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.portless import PortlessServer

ISSUER = "https://pracbill.example"
AUDIENCE = "pracbill-mailchimp"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public_jwk(key: PrivateKey, kid: str | None, **more: object) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        jwk = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    named = {} if kid is None else {"kid": kid}
    return {"kty": jwk["kty"], **{n: jwk[n] for n in ("n", "e", "crv", "x", "y") if n in jwk}, **named, **more}


def claims(access: Any = None, **changes: Any) -> dict[str, Any]:
    """The claims of a good token; a change to None leaves a claim out."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "user-7",
        "iat": now,
        "exp": now + 600,
        "mailchimp_access": access if access is not None else {"d1": "write"},
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def hand_made(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    """A token put together without the library, which would refuse to make it."""
    return f"{_segment(header)}.{_segment(payload)}.{_encoded(signature)}"


def signed_with_public_key_as_secret(key: rsa.RSAPrivateKey, kid: str) -> str:
    """HS256 with PracBill's public key as the shared secret: anybody can make it."""
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head = {"alg": "HS256", "typ": "JWT", "kid": kid}
    body = f"{_segment(head)}.{_segment(claims())}"
    return f"{body}.{_encoded(hmac.digest(pem, body.encode(), hashlib.sha256))}"


def _segment(document: dict[str, Any]) -> str:
    return _encoded(json.dumps(document).encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class KeySetServer:
    """Serves a key set; `status`, `body` and `keys` may be changed at any time."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.status = 200
        self.body: bytes | None = None
        self.elsewhere = ""
        self.requests = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                raw = server.body if server.body is not None else json.dumps({"keys": server.keys}).encode()
                self.send_response(server.status)
                if 300 <= server.status < 400:
                    self.send_header("Location", server.elsewhere)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                pass

        self._http = PortlessServer(Handler)
        self.url = f"{self._http.url}/jwks.json"

    def stop(self) -> None:
        self._http.close()
