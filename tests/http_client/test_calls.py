from __future__ import annotations

import socket

import pytest

from chalicelib.errors import RetryLater, StopRun
from chalicelib.http_client.calls import Call, CallMade, FailedAlike, HttpCalls, KeptSession, Server, UncertainCreation
from tests.http_client.scripted import BREAK_OFF, HANG_UP, SILENCE, Reply, ScriptedServer, Waiting

READ = Call("GET", "/things/{thing}", {"thing": "7"})
CREATE = Call("POST", "/things", body={"name": "x"}, creates=True)


def mailchimp_at(url: str, token: str = "t-1") -> Server:
    return Server(
        url=url,
        name="Mailchimp",
        authorization=lambda: f"Bearer {token}",
        explain=lambda transient: f"fault {transient.status}",
    )


def calls_to(url: str, waiting: Waiting, *, token: str = "t-1") -> HttpCalls:
    return HttpCalls(
        mailchimp_at(url, token),
        remaining=waiting.remaining,
        sleep=waiting.sleep,
        random=waiting.random,
        on_call=waiting.calls.append,
        clock=lambda: 0.0,
    )


@pytest.fixture
def calls(server: ScriptedServer, waiting: Waiting) -> HttpCalls:
    return calls_to(server.url, waiting)


def test_a_call_carries_authorization_query_and_json(calls: HttpCalls, server: ScriptedServer) -> None:
    server.will(Reply(200, {"ok": True}))
    answer = calls.send(Call("POST", "/a/{b}", {"b": "c d"}, {"limit": "5"}, body={"name": "Zoë"}))
    assert answer.document == {"ok": True}
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.query) == ("POST", "/a/c d", {"limit": "5"})
    assert asked.headers["Authorization"] == "Bearer t-1"
    assert asked.headers["Content-Type"] == "application/json"
    assert "gzip" in asked.headers["Accept-Encoding"]
    assert asked.json() == {"name": "Zoë"}


def test_the_connection_is_kept_between_calls(calls: HttpCalls, server: ScriptedServer) -> None:
    server.will(Reply(), Reply(), Reply())
    for _ in range(3):
        calls.send(READ)
    assert server.connections == 1


def test_a_connection_that_rested_too_long_is_not_used_again(server: ScriptedServer) -> None:
    now = [0.0]
    session = KeptSession(clock=lambda: now[0])
    server.will(Reply(), Reply(), Reply())
    for moment in (10.0, 20.0, 60.0):
        now[0] = moment
        session.get(server.url)
    assert server.connections == 2


def test_no_cookie_of_one_account_is_shown_to_another(server: ScriptedServer) -> None:
    session = KeptSession()
    server.will(Reply(headers={"Set-Cookie": "who=ann; Path=/"}), Reply())
    session.get(server.url)
    session.get(server.url)
    assert "Cookie" not in server.asked[1].headers


def test_an_id_cannot_change_the_path(calls: HttpCalls, server: ScriptedServer) -> None:
    server.will(Reply())
    calls.send(Call("GET", "/things/{thing}/parts", {"thing": "../a?b#c/%2e"}))
    assert server.asked[0].target == "/things/..%2Fa%3Fb%23c%2F%252e/parts"
    for hostile in ("", ".", ".."):
        with pytest.raises(ValueError):
            calls.send(Call("GET", "/things/{thing}/parts", {"thing": hostile}))
    assert len(server.asked) == 1


def test_a_redirect_is_not_followed(calls: HttpCalls, server: ScriptedServer) -> None:
    server.will(Reply(302, headers={"Location": server.url + "/elsewhere"}))
    assert calls.send(READ).status == 302
    assert len(server.asked) == 1


def test_nothing_of_the_environment_redirects_a_call(
    monkeypatch: pytest.MonkeyPatch, calls: HttpCalls, server: ScriptedServer
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    server.will(Reply())
    assert calls.send(READ).status == 200


def test_an_answer_that_is_not_json_has_no_document(calls: HttpCalls, server: ScriptedServer) -> None:
    server.will(Reply(200, b"<html>"), Reply(200, b""), Reply(200, b"[" * 100_000))
    assert [calls.send(READ).document for _ in range(3)] == [None, None, None]


def test_passing_faults_are_repeated_until_the_answer_comes(
    calls: HttpCalls, server: ScriptedServer, waiting: Waiting
) -> None:
    server.will(Reply(429), Reply(503), HANG_UP, BREAK_OFF, Reply(200, {"id": 1}))
    assert calls.send(READ).document == {"id": 1}
    assert waiting.slept == [0.5, 1.0, 2.0, 4.0]
    assert server.is_through


def test_every_try_is_told_for_metrics_without_ids(calls: HttpCalls, server: ScriptedServer, waiting: Waiting) -> None:
    server.will(HANG_UP, Reply(429), Reply(404))
    calls.send(READ)
    assert waiting.calls == [
        CallMade("GET", "/things/{thing}", None, 0.0),
        CallMade("GET", "/things/{thing}", 429, 0.0),
        CallMade("GET", "/things/{thing}", 404, 0.0),
    ]


def test_after_the_last_attempt_it_is_left_to_the_queue(
    calls: HttpCalls, server: ScriptedServer, waiting: Waiting
) -> None:
    server.will(*[Reply(502, b"<html>")] * 5)
    with pytest.raises(RetryLater, match="fault 502") as raised:
        calls.send(READ)
    assert len(server.asked) == 5
    assert not isinstance(raised.value, UncertainCreation)


def test_what_the_server_asks_for_is_passed_on_when_it_does_not_fit(
    calls: HttpCalls, server: ScriptedServer, waiting: Waiting
) -> None:
    server.will(Reply(429, headers={"Retry-After": "900"}))
    with pytest.raises(RetryLater) as raised:
        calls.send(READ)
    assert raised.value.after_seconds == 900.0
    assert waiting.slept == []


def test_a_creation_that_may_have_happened_is_not_made_again(
    calls: HttpCalls, server: ScriptedServer, waiting: Waiting
) -> None:
    for reply in (Reply(502), HANG_UP, BREAK_OFF):
        server.asked.clear()
        server.will(reply)
        with pytest.raises(UncertainCreation):
            calls.send(CREATE)
        assert len(server.asked) == 1
    assert waiting.slept == []


def test_a_creation_that_was_turned_away_is_made_again(calls: HttpCalls, server: ScriptedServer) -> None:
    server.will(Reply(429), Reply(200, {"id": 1}))
    assert calls.send(CREATE).status == 200


def test_a_creation_that_never_found_its_server_is_tried_again(waiting: Waiting) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(RetryLater, match="fault None") as raised:
        calls_to(closed, waiting).send(CREATE)
    assert not isinstance(raised.value, UncertainCreation)
    assert len(waiting.slept) == 4


def test_a_silent_server_is_waited_for_no_longer_than_the_time_left(server: ScriptedServer, waiting: Waiting) -> None:
    waiting.left = 5.2
    server.will(SILENCE)
    with pytest.raises(RetryLater):
        calls_to(server.url, waiting).send(READ)
    # Counted here, not at the server: a busy machine may let the time pass before the request is read there.
    assert len(waiting.calls) == 1
    assert waiting.slept == []


def test_no_call_is_started_without_time_for_it(calls: HttpCalls, server: ScriptedServer, waiting: Waiting) -> None:
    waiting.left = 4.9
    with pytest.raises(RetryLater, match=r"^Mailchimp did not answer in time"):
        calls.send(READ)
    assert server.asked == []


def test_a_token_that_cannot_be_sent_is_not_told_to_anybody(server: ScriptedServer, waiting: Waiting) -> None:
    with pytest.raises(StopRun) as raised:
        calls_to(server.url, waiting, token="secret\nX-Other: 1").send(READ)
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None and raised.value.__suppress_context__


@pytest.mark.parametrize(
    "address", ["http://mailchimp.example", "HTTP://mailchimp.example", "http://127.0.0.1@x.example"]
)
def test_nothing_is_sent_where_anybody_could_listen(waiting: Waiting, address: str) -> None:
    with pytest.raises(StopRun, match="Mailchimp must begin with https://"):
        calls_to(address, waiting).send(READ)
    assert waiting.calls == []


def test_an_address_that_is_none_is_named_as_such(waiting: Waiting) -> None:
    for address in ("", "ftp://127.0.0.1", "http://"):
        with pytest.raises(StopRun, match="not a web address"):
            calls_to(address, waiting).send(READ)


@pytest.mark.parametrize("replies", [[Reply(500)] * 5, [HANG_UP] * 5], ids=["500", "no answer"])
def test_tries_that_all_fail_alike_point_to_what_was_sent(
    calls: HttpCalls, server: ScriptedServer, replies: list[Reply]
) -> None:
    server.will(*replies)
    with pytest.raises(FailedAlike):
        calls.send(READ)


@pytest.mark.parametrize(
    "replies",
    [[Reply(500), Reply(502), HANG_UP, Reply(500), Reply(500)], [Reply(429)] * 5],
    ids=["different faults", "too many calls"],
)
def test_other_faults_say_nothing_about_what_was_sent(
    calls: HttpCalls, server: ScriptedServer, replies: list[Reply]
) -> None:
    server.will(*replies)
    with pytest.raises(RetryLater) as raised:
        calls.send(READ)
    assert not isinstance(raised.value, FailedAlike)


def test_a_call_may_be_limited_to_fewer_tries(calls: HttpCalls, server: ScriptedServer) -> None:
    server.will(Reply(500))
    with pytest.raises(FailedAlike):
        calls.send(Call("GET", "/ping", tries=1))
    assert len(server.asked) == 1


def test_a_slow_call_that_can_be_divided_is_not_repeated_as_it_is(server: ScriptedServer, waiting: Waiting) -> None:
    now = iter(range(0, 10_000, 30))
    calls = HttpCalls(
        mailchimp_at(server.url),
        remaining=waiting.remaining,
        sleep=waiting.sleep,
        random=waiting.random,
        clock=lambda: float(next(now)),
    )
    server.will(Reply(502), Reply(502), Reply(200, {}))
    with pytest.raises(FailedAlike):
        calls.send(Call("POST", "/things", divisible=True))
    assert len(server.asked) == 1
    calls.send(Call("POST", "/things"))
    assert len(server.asked) == 3
