from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.keys import parse_api_key
from tests.http_client.scripted import ScriptedServer, Waiting, scripted_server

KEY = "0123456789abcdef0123456789abcdef-us21"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as script:
        yield script


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


def client_of(url: str, waiting: Waiting) -> MailchimpClient:
    return MailchimpClient(
        parse_api_key(KEY),
        url_template=url,
        remaining=waiting.remaining,
        sleep=waiting.sleep,
        random=waiting.random,
        on_call=waiting.calls.append,
    )


@pytest.fixture
def client(server: ScriptedServer, waiting: Waiting) -> MailchimpClient:
    return client_of(server.url + "/3.0", waiting)
