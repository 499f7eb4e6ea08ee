"""The stand-in of PracBill's front end gives tokens to its own page, and to nobody else on this machine or beyond."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from infra.local import host
from infra.local.host import content_security_policy, handed_on, serve
from infra.standins.pracbill.answers import Refusal
from infra.standins.pracbill.server import LoopbackServer

OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    started = serve(port=0, api_url="https://api.test/api", department_id='north"><', mint=lambda access: f"t-{access}")
    yield started
    started.close()


def ask(server: LoopbackServer, method: str, path: str, **options: object) -> requests.Response:
    session = requests.Session()
    session.trust_env = False
    return session.request(method, f"http://127.0.0.1:{server.port}{path}", timeout=10, **options)  # type: ignore[arg-type]


def test_its_own_page_gets_a_token_of_the_access_it_asks_for(server: LoopbackServer) -> None:
    for access in host.ACCESSES:
        answer = ask(server, "POST", "/token", json={"access": access}, headers=OWN)
        assert (answer.status_code, answer.json()) == (200, {"token": f"t-{access}"})
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
        {**OWN, "Host": "evil.example"},
        {**OWN, "Host": "127.0.0.1"},
    ],
)
def test_nobody_else_gets_one(server: LoopbackServer, headers: dict[str, str]) -> None:
    answer = ask(server, "POST", "/token", json={"access": "write"}, headers=headers)
    assert answer.status_code == 403
    assert "t-write" not in answer.text


def test_the_page_is_under_the_closed_policy_and_escapes_what_it_is_given(server: LoopbackServer) -> None:
    answer = ask(server, "GET", "/?access=<script>&theme=x")
    assert answer.headers["Content-Security-Policy"] == content_security_policy("https://api.test/api")
    assert 'department="north&quot;&gt;&lt;"' in answer.text
    assert 'data-chosen="write"' in answer.text
    assert "{" not in answer.text


def test_other_paths_lead_nowhere(server: LoopbackServer) -> None:
    for path in ("/host.py", "/assets/../host.html", "/token", "/host.html"):
        assert ask(server, "GET", path).status_code == 404


def test_a_token_that_is_not_known_any_more_says_so() -> None:
    assert handed_on("abc")("write") == "abc"
    with pytest.raises(Refusal, match="make run"):
        handed_on("")("write")
