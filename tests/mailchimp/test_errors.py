"""What each of Mailchimp's answers becomes. Titles and texts are those documented or recorded."""

from __future__ import annotations

import pytest

from chalicelib.errors import KeyRejected, RetryLater, StopRun
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.errors import BLOCKED, AudienceGone, NotPermitted, UnexpectedAnswer
from tests.http_client.scripted import HANG_UP, Reply, ScriptedServer, Waiting
from tests.mailchimp.conftest import KEY, client_of

PERSON = "ann@clinic.test"


def problem(status: int, title: str, detail: str) -> Reply:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "instance": ""}
    return Reply(status, body, {"Content-Type": "application/problem+json; charset=utf-8"})


INVALID = problem(
    401, "API Key Invalid", "Your API key may be invalid, or you've attempted to access the wrong datacenter."
)
MISSING = problem(401, "API Key Missing", "Your request did not include an API key.")
DISABLED = problem(403, "User Disabled", "This account has been deactivated.")
ELSEWHERE = problem(403, "Forbidden", "The API key provided is linked to datacenter 'us6'")
FORBIDDEN = problem(403, "User action not permitted", "User does not have access to the requested operation")


@pytest.mark.parametrize(
    ("reply", "code", "start"),
    [
        (INVALID, "key_rejected", "Invalid API key"),
        (MISSING, "key_rejected", "Invalid API key"),
        (Reply(401, b""), "key_rejected", "Invalid API key"),
        (DISABLED, "account_deactivated", "Mailchimp has deactivated the account"),
        (ELSEWHERE, "wrong_data_centre", "Invalid API key: its server prefix is not the server"),
        (
            problem(403, "WrongDatacenter", ""),
            "wrong_data_centre",
            "Invalid API key: its server prefix is not the server",
        ),
    ],
)
def test_a_key_that_is_no_good_is_told_from_an_account_that_is_none(
    client: MailchimpClient, server: ScriptedServer, waiting: Waiting, reply: Reply, code: str, start: str
) -> None:
    server.will(reply)
    with pytest.raises(KeyRejected) as raised:
        client.account()
    assert raised.value.code == code
    assert raised.value.message.startswith(start)
    assert waiting.slept == []


@pytest.mark.parametrize("reply", [FORBIDDEN, Reply(403, {"title": "Forbidden"}), Reply(403, {})])
def test_a_403_with_json_is_a_missing_right(client: MailchimpClient, server: ScriptedServer, reply: Reply) -> None:
    server.will(reply)
    with pytest.raises(NotPermitted, match="role Admin or Owner"):
        client.account()


@pytest.mark.parametrize("reply", [Reply(403, b""), Reply(429, b""), Reply(429, b"<html>Slow down</html>")])
def test_a_bare_403_or_429_is_the_rate_limit_and_is_waited_for(
    client: MailchimpClient, server: ScriptedServer, waiting: Waiting, reply: Reply
) -> None:
    server.will(reply, Reply(200, {"account_id": "a1"}))
    assert client.account().account_id == "a1"
    assert waiting.slept == [0.5]
    server.will(*[reply] * 5)
    with pytest.raises(RetryLater, match=r"^Rate limit exceeded"):
        client.account()


def test_a_403_with_a_web_page_is_waited_for_and_where_it_lasts_no_limit_but_a_closed_door(
    client: MailchimpClient, server: ScriptedServer, waiting: Waiting
) -> None:
    page = Reply(403, b"\n<HTML><TITLE>Access Denied</TITLE> Reference #18.2d</HTML>", {"Content-Type": "text/html"})
    server.will(page, Reply(200, {"account_id": "a1"}))
    assert client.account().account_id == "a1"
    assert waiting.slept == [0.5]
    server.will(*[page] * 5)
    with pytest.raises(RetryLater) as raised:
        client.account()
    assert raised.value.message == BLOCKED
    assert "Rate limit" not in BLOCKED and "network address" in BLOCKED and "ask Mailchimp's support" in BLOCKED


def test_a_fault_of_mailchimp_is_named_with_its_status(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(*[Reply(502, b"<html>Bad gateway</html>", {"Content-Type": "text/html"})] * 5)
    with pytest.raises(RetryLater, match=r"HTTP 502"):
        client.account()


def test_a_server_that_does_not_answer_cannot_be_reached(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(*[HANG_UP] * 5)
    with pytest.raises(RetryLater, match=r"^Mailchimp cannot be reached"):
        client.account()


def test_a_server_that_does_not_exist_cannot_be_reached(waiting: Waiting) -> None:
    client = client_of("http://127.0.0.1:9/3.0", waiting)
    with pytest.raises(RetryLater, match="server prefix"):
        client.account()


def test_a_success_that_cannot_be_read_may_pass(client: MailchimpClient, server: ScriptedServer) -> None:
    for body in (b"<html>sign in to the hotel's network</html>", b"[]", b"null", b""):
        server.otherwise = lambda asked, body=body: Reply(200, body)  # type: ignore[misc]
        with pytest.raises(RetryLater, match="could not be read"):
            client.account()


def test_a_success_that_was_cut_short_is_asked_for_again(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(200, b'{"account_id": "a1", "acc'), Reply(200, {"account_id": "a1"}))
    assert client.account().account_id == "a1"


@pytest.mark.parametrize("status", [301, 400, 405, 414, 418, 422, 426])
def test_anything_else_stops_the_run(client: MailchimpClient, server: ScriptedServer, status: int) -> None:
    server.will(problem(status, "Odd", f"{PERSON} is odd"))
    with pytest.raises(UnexpectedAnswer, match=str(status)) as raised:
        client.account()
    assert isinstance(raised.value, StopRun)


def test_a_missing_audience_says_what_to_do(client: MailchimpClient, server: ScriptedServer) -> None:
    for _ in range(3):
        server.will(problem(404, "Resource Not Found", "The requested resource could not be found."))
    with pytest.raises(AudienceGone, match="Select another audience"):
        client.audience("abc")
    with pytest.raises(AudienceGone):
        client.merge_fields("abc")
    with pytest.raises(AudienceGone):
        list(client.members_changed("abc", since=None))


def test_no_message_holds_an_address_or_the_key(client: MailchimpClient, server: ScriptedServer) -> None:
    for status in (400, 401, 403, 404, 405, 418):
        server.will(problem(status, "Odd", f"{PERSON} and {KEY}"))
        with pytest.raises(StopRun) as raised:
            client.account()
        assert PERSON not in str(raised.value)
        assert KEY[:8] not in str(raised.value)


def test_the_key_goes_into_the_header_and_its_server_into_the_address(server: ScriptedServer, waiting: Waiting) -> None:
    server.will(Reply(200, {"account_id": "a1"}))
    client_of(server.url + "/{dc}/3.0", waiting).account()
    (asked,) = server.asked
    assert asked.path == "/us21/3.0/"
    assert asked.headers["Authorization"].startswith("Basic ")
    assert KEY not in asked.target
