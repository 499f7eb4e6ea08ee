"""One stand-in for all tests, without latency; every test has an account and an audience of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from infra.standins.mailchimp import Latency, MailchimpStandIn
from infra.standins.mailchimp.addresses import subscriber_hash
from infra.standins.mailchimp.control import Control

from .receiver import Receiver


@dataclass
class Clock:
    """A clock that the tests move by hand; it starts in 2026 and never goes back."""

    seconds: float = 1_767_607_200.0  # 2026-01-05T10:00:00+00:00

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Api:
    """A plain client of the API with one key."""

    url: str
    key: str
    session: requests.Session = field(default_factory=requests.Session)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
        return self.session.request(
            method, self.url + path, json=body, params=query, auth=("anybody", self.key), timeout=60
        )

    def get(self, path: str, **query: Any) -> requests.Response:
        return self.call("GET", path, **query)

    def post(self, path: str, body: Any = None, **query: Any) -> requests.Response:
        return self.call("POST", path, body if body is not None else {}, **query)

    def put(self, path: str, body: Any, **query: Any) -> requests.Response:
        return self.call("PUT", path, body, **query)

    def patch(self, path: str, body: Any, **query: Any) -> requests.Response:
        return self.call("PATCH", path, body, **query)

    def delete(self, path: str) -> requests.Response:
        return self.call("DELETE", path)


@dataclass
class Home:
    """An account with one audience, seen by its API client and by the control interface."""

    api: Api
    control: Control
    account_id: str
    id: str

    @property
    def path(self) -> str:
        return f"/lists/{self.id}"

    def member_path(self, email: str) -> str:
        return f"{self.path}/members/{subscriber_hash(email)}"

    def bulk(self, *members: dict[str, Any], query: dict[str, Any] | None = None, **options: Any) -> requests.Response:
        return self.api.post(self.path, {"members": list(members), **options}, **(query or {}))

    def put(self, email: str, **body: Any) -> requests.Response:
        return self.api.put(self.member_path(email), {"email_address": email, **body})

    def add(self, email: str, status: str = "subscribed", **body: Any) -> dict[str, Any]:
        """Add a member by API and answer it."""
        response = self.api.post(f"{self.path}/members", {"email_address": email, "status": status, **body})
        assert response.status_code == 200, response.text
        document: dict[str, Any] = response.json()
        return document

    def member(self, email: str) -> dict[str, Any]:
        document: dict[str, Any] = self.api.get(self.member_path(email)).json()
        return document

    def act(self, action: str, *arguments: Any, **options: Any) -> Any:
        """An act of a person or an admin on this audience."""
        return getattr(self.control, action)(*arguments, audience_id=self.id, **options)

    def listed(self, **query: Any) -> list[str]:
        """The addresses of one page of the listing."""
        return [member["email_address"] for member in self.api.get(f"{self.path}/members", **query).json()["members"]]


def settle(standin: MailchimpStandIn, **account: Any) -> Home:
    """A new account with an audience on the stand-in."""
    made = standin.control.create_account(**account)
    audience = standin.control.create_audience(account_id=made["account_id"])
    api = Api(standin.url, made["api_key"])
    return Home(api, standin.control, made["account_id"], audience["audience_id"])


def wait_until(done: Callable[[], bool]) -> None:
    """Look again and again until it is so; a busy machine is given a minute."""
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def standin(clock: Clock) -> Iterator[MailchimpStandIn]:
    with MailchimpStandIn(latency=Latency.none(), now=clock, retry_after=(0.05, 0.1, 0.2)) as running:
        yield running


@pytest.fixture
def home(standin: MailchimpStandIn) -> Home:
    return settle(standin)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening
