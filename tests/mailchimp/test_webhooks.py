from __future__ import annotations

import pytest

from chalicelib.errors import RefuseRequest
from chalicelib.http_client.calls import UncertainCreation
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.errors import WebhookRefused
from tests.http_client.scripted import Reply, ScriptedServer

URL = "https://app.clinic.test/hook/3f0a"


def test_a_webhook_is_created_with_every_switch_and_without_our_own_writes(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    answer = {"id": "h1", "url": URL, "events": {"subscribe": True}, "sources": {"api": False}, "signing_secret": "s3"}
    server.will(Reply(200, answer))
    hook = client.create_webhook("list1", URL, events=["subscribe", "unsubscribe", "cleaned"])
    assert server.asked[0].json() == {
        "url": URL,
        "events": {
            "subscribe": True,
            "unsubscribe": True,
            "profile": False,
            "cleaned": True,
            "upemail": False,
            "campaign": False,
        },
        "sources": {"user": True, "admin": True, "api": False},
    }
    assert (hook.id, hook.url, hook.signing_secret) == ("h1", URL, "s3")
    assert "s3" not in repr(hook) and "3f0a" not in repr(hook)


def test_webhooks_are_listed_without_secrets(client: MailchimpClient, server: ScriptedServer) -> None:
    hooks = [
        {"id": "h1", "url": URL, "events": {"subscribe": True, "odd": None}, "sources": {"api": True}},
        {"id": "h2"},
    ]
    server.will(Reply(200, {"webhooks": hooks, "total_items": 2}))
    first, second = client.webhooks("list1")
    assert (first.signing_secret, first.events, first.sources) == (
        None,
        {"subscribe": True, "odd": False},
        {"api": True},
    )
    assert (second.id, second.url) == ("h2", "")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("We couldn't verify the URL is working. Please double check and try again. HTTP Code: 403", "unreachable"),
        ("Invalid URL", "invalid_url"),
        ("Sorry, you can't set up multiple WebHooks for one URL", "exists"),
        ("Something new", "other"),
    ],
)
def test_what_is_wrong_with_a_webhook_is_told(
    client: MailchimpClient, server: ScriptedServer, message: str, reason: str
) -> None:
    errors = [{"field": "url", "message": message}]
    server.will(Reply(400, {"title": "Invalid Resource", "detail": "see errors", "errors": errors}))
    with pytest.raises(WebhookRefused) as raised:
        client.create_webhook("list1", URL, events=["subscribe"])
    assert raised.value.reason == reason
    assert isinstance(raised.value, RefuseRequest)
    assert "3f0a" not in raised.value.message


def test_a_webhook_is_not_created_twice(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(503))
    with pytest.raises(UncertainCreation):
        client.create_webhook("list1", URL, events=["subscribe"])
    with pytest.raises(ValueError, match="event"):
        client.create_webhook("list1", URL, events=["subscribed"])
    assert len(server.asked) == 1


def test_deleting_a_webhook_that_is_gone_is_fine(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(204), Reply(404, {"title": "Resource Not Found"}))
    client.delete_webhook("list1", "h1")
    client.delete_webhook("list1", "h1")
    assert {(one.method, one.path) for one in server.asked} == {("DELETE", "/3.0/lists/list1/webhooks/h1")}
