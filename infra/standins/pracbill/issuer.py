"""PracBill as the issuer of its users' tokens: signing keys, the key set, and keys that come and go."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from infra.standins.pracbill.answers import Answer, encode

AUDIENCE = "pracbill-mailchimp"
ALGORITHMS = ("RS256", "ES256")

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair of the key set; `kid` is how tokens name it."""

    kid: str
    algorithm: str
    private: PrivateKey

    def public_jwk(self) -> dict[str, Any]:
        if isinstance(self.private, rsa.RSAPrivateKey):
            jwk = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        else:
            jwk = jwt.algorithms.ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        jwk.pop("key_ops", None)
        return {**jwk, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    def pem(self) -> str:
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()


class TokenIssuer:
    """Mints users' tokens. The newest key of an algorithm signs; keys are made when first needed.

    `issuer` is the value of `iss`. It names PracBill, not a port, so tokens outlive a restart.
    """

    def __init__(self, issuer: str, *, now: Callable[[], datetime]) -> None:
        self.issuer = issuer
        self._now = now
        self._keys: list[SigningKey] = []
        self._lock = threading.RLock()
        self.revision = 0

    def mint(
        self,
        subject: str,
        mailchimp_access: Mapping[str, str] | None,
        *,
        expires_in: float = 3600,
        alg: str = "ES256",
        claims: Mapping[str, Any] | None = None,
        published_key: bool = True,
    ) -> str:
        """A token for a user with `mailchimp_access` as department id (or "*") to "read" or "write".

        `claims` overrides claims, None leaves one out; `published_key=False` signs with a key the key set never
        shows. Both make tokens that must be refused. Raises ValueError for an algorithm other than ALGORITHMS.
        """
        if alg not in ALGORITHMS:
            raise ValueError(f"alg must be one of {', '.join(ALGORITHMS)}")
        issued_at = int(self._now().timestamp())
        payload: dict[str, Any] = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": issued_at,
            "exp": issued_at + int(expires_in),
            "mailchimp_access": dict(mailchimp_access) if mailchimp_access is not None else None,
            **(claims or {}),
        }
        key = self._current(alg) if published_key else _new_key(alg)
        payload = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(payload, key.private, algorithm=alg, headers={"kid": key.kid})

    def key_set(self) -> dict[str, Any]:
        """The JSON Web Key Set: public halves only."""
        with self._lock:
            for algorithm in ALGORITHMS:
                self._current(algorithm)
            return {"keys": [key.public_jwk() for key in self._keys]}

    def key_set_answer(self) -> Answer:
        return Answer(200, encode(self.key_set()), headers={"Cache-Control": "public, max-age=300"})

    def rotate(self, *, keep_old: bool = True) -> list[str]:
        """Sign with new keys from now on; the old ones stay published, or vanish at once. The ids of the new keys."""
        with self._lock:
            if not keep_old:
                self._keys.clear()
            fresh = [_new_key(algorithm) for algorithm in ALGORITHMS]
            self._keys.extend(fresh)
            self.revision += 1
            return [key.kid for key in fresh]

    def retire_old_keys(self) -> list[str]:
        """Unpublish every key but the ones that sign now: the second half of a rotation. The ids that are gone."""
        with self._lock:
            current = {self._current(algorithm).kid for algorithm in ALGORITHMS}
            gone = [key.kid for key in self._keys if key.kid not in current]
            self._keys = [key for key in self._keys if key.kid in current]
            self.revision += 1
            return gone

    def to_state(self) -> list[dict[str, Any]]:
        with self._lock:
            return [{"kid": key.kid, "alg": key.algorithm, "pem": key.pem()} for key in self._keys]

    def load_state(self, state: list[dict[str, Any]]) -> None:
        self._keys = [SigningKey(entry["kid"], entry["alg"], _read_pem(entry["pem"])) for entry in state]

    def _current(self, algorithm: str) -> SigningKey:
        with self._lock:
            for key in reversed(self._keys):
                if key.algorithm == algorithm:
                    return key
            self._keys.append(_new_key(algorithm))
            self.revision += 1
            return self._keys[-1]


def _new_key(algorithm: str) -> SigningKey:
    private: PrivateKey
    if algorithm == "RS256":
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        private = ec.generate_private_key(ec.SECP256R1())
    return SigningKey(f"{algorithm.lower()}-{secrets.token_hex(6)}", algorithm, private)


def _read_pem(pem: str) -> PrivateKey:
    private = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise TypeError("the state holds a signing key of an unknown type")
    return private
