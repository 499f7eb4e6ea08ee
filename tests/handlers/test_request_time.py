"""All calls of one request of the API share its time, so that a slow other side is told and not cut off."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from chalice.test import Client

from chalicelib import bootstrap
from chalicelib.errors import RetryLater
from chalicelib.mailchimp.keys import parse_api_key
from infra.standins.mailchimp import Latency, MailchimpStandIn

# What API Gateway grants, and what a call may still need after the last look at the clock.
GATEWAY_SECONDS = 29.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(bootstrap, "request_time", bootstrap.RequestTime(lambda: clock.now))
    return clock


def test_the_time_of_a_request_runs_out_before_the_gateways(clock: SimpleNamespace) -> None:
    bootstrap.request_time.begin()
    assert 0 < bootstrap.request_time.left() < GATEWAY_SECONDS
    clock.now += 20
    before = bootstrap.request_time.left()
    clock.now += GATEWAY_SECONDS
    assert bootstrap.request_time.left() == before - GATEWAY_SECONDS < 0


def test_each_request_has_its_own(clock: SimpleNamespace) -> None:
    bootstrap.request_time.begin()
    clock.now += 3600
    bootstrap.request_time.begin()
    assert bootstrap.request_time.left() > 20


def test_it_begins_with_every_request(clock: SimpleNamespace) -> None:
    from app import app

    bootstrap.request_time.begin()
    clock.now += 3600
    with Client(app) as client:
        assert client.http.get("/health").status_code == 200
    assert bootstrap.request_time.left() > 20


@pytest.mark.server
def test_a_call_for_which_no_time_is_left_is_not_made(clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    with MailchimpStandIn(latency=Latency.none()) as mailchimp:
        monkeypatch.setenv("MAILCHIMP_API_URL", mailchimp.url)
        bootstrap.request_time.begin()
        client = bootstrap.workflows().mailchimp_of_key(parse_api_key(mailchimp.api_key))
        assert client.account().account_id
        calls = len(mailchimp.control.journal()["entries"])
        clock.now += 22  # the first calls took that long together
        with pytest.raises(RetryLater, match="anything else can be repeated"):
            client.account()
        assert len(mailchimp.control.journal()["entries"]) == calls
