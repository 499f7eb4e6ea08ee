"""PracBill's key set: which keys count, when it is read again, what happens while PracBill is away."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from socketserver import BaseRequestHandler
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec

from chalicelib.api import access
from chalicelib.api.access import (
    FETCH_PAUSE_SECONDS,
    FETCHES_AT_ONCE,
    FRESH_SECONDS,
    USABLE_SECONDS,
    KeySetUnreadable,
    PublishedKeys,
    TokenVerifier,
    fetch_key_set,
)
from chalicelib.errors import RefuseRequest, RetryLater
from tests.api.pracbill_keys import ISSUER, KeySetServer, claims, ec_key, public_jwk, rsa_key
from tests.portless import PortlessServer

RSA, OTHER_RSA, EC = rsa_key(), rsa_key(), ec_key()


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[KeySetServer]:
    server = KeySetServer()
    server.keys = [public_jwk(RSA, "one"), public_jwk(EC, "two")]
    yield server
    server.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(server: KeySetServer, clock: Clock) -> PublishedKeys:
    return PublishedKeys(server.url, clock=clock)


def test_the_key_set_is_read_once_and_kept(keys: PublishedKeys, server: KeySetServer, clock: Clock) -> None:
    for _ in range(100):
        assert keys.find("one", "RS256") and keys.find("two", "ES256")
    clock.now += FRESH_SECONDS - 1
    assert keys.find("one", "RS256")
    assert server.requests == 1
    clock.now += 1
    assert keys.find("one", "RS256")
    assert server.requests == 2


def test_a_key_is_found_only_for_the_algorithm_of_its_type(keys: PublishedKeys) -> None:
    assert keys.find("one", "ES256") is None
    assert keys.find("two", "RS256") is None


def test_an_unknown_key_is_looked_for_at_once_so_that_a_new_one_works(
    keys: PublishedKeys, server: KeySetServer, clock: Clock
) -> None:
    assert keys.find("one", "RS256")
    server.keys.append(public_jwk(OTHER_RSA, "new"))
    assert keys.find("new", "RS256")
    assert server.requests == 2


def test_a_few_made_up_key_ids_do_not_keep_a_new_key_out(keys: PublishedKeys, server: KeySetServer) -> None:
    assert keys.find("one", "RS256")
    assert keys.find("made-up", "RS256") is None
    server.keys.append(public_jwk(OTHER_RSA, "new"))
    assert keys.find("new", "RS256")


def test_made_up_key_ids_do_not_hammer_pracbill(keys: PublishedKeys, server: KeySetServer, clock: Clock) -> None:
    for second in range(3 * FETCH_PAUSE_SECONDS):
        for number in range(20):
            assert keys.find(f"made-up-{second}-{number}", "RS256") is None
        clock.now += 1
    assert server.requests == FETCHES_AT_ONCE


def test_tries_are_forgotten_so_that_a_new_key_is_found_in_a_process_that_has_run_for_long(
    keys: PublishedKeys, server: KeySetServer, clock: Clock
) -> None:
    """Otherwise a warm process would lock everybody out for good, once it had looked four times."""
    for number in range(FETCHES_AT_ONCE):
        assert keys.find(f"made-up-{number}", "RS256") is None
    server.keys.append(public_jwk(OTHER_RSA, "new"))
    clock.now += FETCHES_AT_ONCE * FETCH_PAUSE_SECONDS - 1
    assert keys.find("new", "RS256") is None
    clock.now += 1
    assert keys.find("new", "RS256")
    assert server.requests == FETCHES_AT_ONCE + 1


def test_a_withdrawn_key_stops_working_when_the_set_is_read_again(
    keys: PublishedKeys, server: KeySetServer, clock: Clock
) -> None:
    assert keys.find("one", "RS256")
    server.keys = server.keys[1:]
    clock.now += FRESH_SECONDS
    assert keys.find("one", "RS256") is None


@pytest.mark.parametrize(
    "status, body", [(500, None), (302, None), (200, b"<html>"), (200, b'{"keys": 7}'), (200, b"[]")]
)
def test_while_pracbill_is_away_the_last_keys_serve_but_not_for_ever(
    status: int, body: bytes | None, keys: PublishedKeys, server: KeySetServer, clock: Clock
) -> None:
    assert keys.find("one", "RS256")
    server.status, server.body = status, body
    clock.now += USABLE_SECONDS - 1
    assert keys.find("one", "RS256")
    clock.now += 1
    with pytest.raises(RetryLater):
        keys.find("one", "RS256")


def test_pracbill_away_is_asked_at_most_every_half_minute_and_found_again(
    keys: PublishedKeys, server: KeySetServer, clock: Clock
) -> None:
    server.status = 503
    for _ in range(50):
        with pytest.raises(RetryLater) as refusal:
            keys.find("one", "RS256")
    assert refusal.value.after_seconds == FETCH_PAUSE_SECONDS
    assert server.requests == 1
    server.status = 200
    clock.now += FETCH_PAUSE_SECONDS
    assert keys.find("one", "RS256")


def test_pracbill_is_left_alone_for_half_a_minute_after_each_try(
    keys: PublishedKeys, server: KeySetServer, clock: Clock
) -> None:
    server.status = 503
    for wait, asked in ((0, 1), (FETCH_PAUSE_SECONDS, 2), (1, 2), (FETCH_PAUSE_SECONDS - 2, 2), (1, 3)):
        clock.now += wait
        with pytest.raises(RetryLater):
            keys.find("one", "RS256")
        assert server.requests == asked


def test_a_withdrawn_key_is_trusted_for_an_hour_at_most_and_a_set_read_again_after_ten_minutes() -> None:
    assert (FRESH_SECONDS, USABLE_SECONDS) == (10 * 60, 60 * 60)
    assert (FETCH_PAUSE_SECONDS, FETCHES_AT_ONCE) == (30, 4)


def test_an_unknown_key_while_pracbill_is_away_is_neither_good_nor_bad(
    keys: PublishedKeys, server: KeySetServer, clock: Clock
) -> None:
    assert keys.find("one", "RS256")
    server.status = 500
    clock.now += FETCH_PAUSE_SECONDS
    with pytest.raises(RetryLater):
        keys.find("perhaps-new", "RS256")
    assert keys.find("one", "RS256")


def test_a_clock_that_is_set_back_does_not_keep_old_keys(
    keys: PublishedKeys, server: KeySetServer, clock: Clock
) -> None:
    assert keys.find("one", "RS256")
    clock.now -= 10 * USABLE_SECONDS
    assert keys.find("one", "RS256")
    assert server.requests == 2


def test_nobody_listens() -> None:
    server = KeySetServer()
    server.stop()
    with pytest.raises(KeySetUnreadable, match="ConnectionError"):
        fetch_key_set(server.url)


@pytest.mark.parametrize(
    "url",
    ["http://pracbill.example/jwks", "ftp://127.0.0.1/jwks", "file:///etc/passwd", "http://127.0.0.1.evil/jwks", ""],
)
def test_keys_come_over_https_or_from_this_machine_only(url: str) -> None:
    with pytest.raises(KeySetUnreadable, match="https"):
        fetch_key_set(url)


def test_keys_over_https_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are wherever the service runs in earnest; on this machine it is plain http."""
    asked: list[str] = []

    def get(url: str, **options: Any) -> Any:
        asked.append(url)
        return _Answered(json.dumps({"keys": [public_jwk(RSA, "one")]}).encode())

    monkeypatch.setattr(requests, "get", get)
    assert [key.kid for key in fetch_key_set("https://pracbill.example/jwks.json")] == ["one"]
    assert asked == ["https://pracbill.example/jwks.json"]


class _Answered:
    status_code = 200

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __enter__(self) -> _Answered:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def iter_content(self, size: int) -> Iterator[bytes]:
        yield self._body


def test_a_redirection_is_not_followed(server: KeySetServer) -> None:
    other = KeySetServer()
    other.keys = server.keys
    server.status, server.elsewhere = 302, other.url
    with pytest.raises(KeySetUnreadable, match="302"):
        fetch_key_set(server.url)
    other.stop()
    assert other.requests == 0


def test_a_key_set_without_end_is_not_read_to_its_end(server: KeySetServer) -> None:
    server.body = b'{"keys": [' + b" " * 1_000_000 + b"]}"
    with pytest.raises(KeySetUnreadable, match="too large"):
        fetch_key_set(server.url)


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_a_server_that_answers_drop_by_drop_is_not_waited_for(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_LONGEST_FETCH_SECONDS", 0.5)
    over = threading.Event()

    class Drip(BaseRequestHandler):
        """No drop is ever late. Whoever waits for a hundred sees the connection break off, which is another fault."""

        def handle(self) -> None:
            with contextlib.suppress(OSError):
                self.request.sendall(start)
                for _ in range(100):
                    if over.wait(0.05):
                        break
                    self.request.sendall(b" ")

    with PortlessServer(Drip) as server:
        with pytest.raises(KeySetUnreadable, match="too slow"):
            fetch_key_set(f"{server.url}/jwks")
        waiting = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
        assert all(thread.daemon for thread in waiting), "nor by a process that wants to end"
        over.set()


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"keys": 7}', b'{"keys"', b"\xff\xfe", b"[" * 100_000]
)
def test_rubbish_is_no_key_set(body: bytes, server: KeySetServer) -> None:
    server.body = body
    with pytest.raises(KeySetUnreadable):
        fetch_key_set(server.url)


def _private_jwk() -> dict[str, Any]:
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(RSA, as_dict=True), "kid": "one"}


def _secret_jwk() -> dict[str, Any]:
    return {"kty": "oct", "k": base64.urlsafe_b64encode(b"x" * 32).decode(), "kid": "one", "alg": "HS256"}


@pytest.mark.parametrize(
    "entry",
    [
        public_jwk(rsa_key(1024), "weak"),
        public_jwk(ec.generate_private_key(ec.SECP384R1()), "other-curve"),
        public_jwk(RSA, "for-encryption", use="enc"),
        public_jwk(RSA, "other-algorithm", alg="RS512"),
        public_jwk(RSA, "hmac", alg="HS256"),
        public_jwk(EC, "rsa-alg", alg="RS256"),
        {**public_jwk(RSA, "cut"), "n": "AQAB"},
        {**public_jwk(EC, "off"), "x": "AAAA"},
        {"kty": "RSA"},
        {"kty": ["RSA"], "kid": "x"},
        {},
        "key",
        None,
        7,
        _private_jwk(),
        _secret_jwk(),
    ],
)
def test_keys_that_must_not_be_used_are_left_out_and_the_others_work(entry: object, server: KeySetServer) -> None:
    server.keys = [entry, public_jwk(EC, "good")]  # type: ignore[list-item]
    assert [key.kid for key in fetch_key_set(server.url)] == ["good"]


def test_a_key_without_an_id_serves_tokens_without_one_while_it_is_the_only_key(server: KeySetServer) -> None:
    server.keys = [public_jwk(RSA, None)]
    token = jwt.encode(claims(), RSA, algorithm="RS256")
    assert TokenVerifier(PublishedKeys(server.url), ISSUER).caller(f"Bearer {token}").subject == "user-7"
    server.keys = [public_jwk(RSA, None), public_jwk(EC, "two")]
    with pytest.raises(RefuseRequest) as refusal:
        TokenVerifier(PublishedKeys(server.url), ISSUER).caller(f"Bearer {token}")
    assert refusal.value.status == 401


@pytest.mark.parametrize(("subject", "name"), [(None, "unknown"), ("", "unknown"), ("u" * 300, "u" * 200), ("u", "u")])
def test_a_caller_has_a_name_of_bounded_length(server: KeySetServer, subject: str | None, name: str) -> None:
    token = jwt.encode(claims(sub=subject), RSA, algorithm="RS256", headers={"kid": "one"})
    assert TokenVerifier(PublishedKeys(server.url), ISSUER).caller(f"Bearer {token}").subject == name


def test_tokens_that_cannot_be_good_never_reach_pracbill(server: KeySetServer) -> None:
    verifier = TokenVerifier(PublishedKeys(server.url), ISSUER)
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    for header in (None, "", "Bearer", "Basic x", "Bearer x.y.z", f"Bearer {head}.e30."):
        with pytest.raises(RefuseRequest):
            verifier.caller(header)
    assert server.requests == 0
