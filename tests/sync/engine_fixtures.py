"""Fixtures of test modules that name this one in `pytest_plugins`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from chalicelib.store import member_keys
from infra.standins.mailchimp import Latency, MailchimpStandIn, Readings
from infra.standins.pracbill import PracBillStandIn
from tests.sync.engine import Clock, Engine, Practice

_SHARDS = ("0", "1")


@pytest.fixture
def few_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses in two partitions a department instead of 256: each is a call, which most tests are not about."""
    monkeypatch.setattr(member_keys, "SHARDS", _SHARDS)
    monkeypatch.setattr(member_keys, "shard_of", lambda address_key: str(int(address_key[0], 16) % 2))


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Now:
    """The clock of the test that is running, for what outlives a test."""

    def __init__(self) -> None:
        self.clock = Clock()

    def __call__(self) -> datetime:
        return self.clock()


@pytest.fixture(scope="session")
def lasting_pracbill() -> Iterator[tuple[PracBillStandIn, Now]]:
    """Making one takes long, for its keys; each test has departments of its own."""
    now = Now()
    with PracBillStandIn(customers=0, now=now) as pracbill:
        yield pracbill, now


@pytest.fixture
def readings() -> Readings:
    """How Mailchimp takes what is not published; a test may parametrize it."""
    return Readings(stats_cached_seconds=0)


@pytest.fixture
def engine(
    aws: str,
    clock: Clock,
    few_shards: None,
    lasting_pracbill: tuple[PracBillStandIn, Now],
    readings: Readings,
) -> Iterator[Engine]:
    pracbill, now = lasting_pracbill
    now.clock = clock
    pracbill.faults.clear()
    with MailchimpStandIn(latency=Latency.none(), now=clock.seconds, readings=readings) as mailchimp:
        mailchimp.control.set_plan(-1)
        yield Engine(aws, mailchimp, pracbill, clock)


@pytest.fixture
def practice(engine: Engine) -> Practice:
    return engine.add_practice()
