"""Fixtures of test modules that name this one in `pytest_plugins`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib.store import members
from chalicelib.sync import plan, pull, why
from infra.local.mailchimp import Latency, MailchimpStandIn, Readings
from infra.local.pracbill import PracBillStandIn
from tests.sync.engine import Clock, Engine, Practice

_SHARDS = ("0", "1")


@pytest.fixture
def few_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses in two partitions a department instead of 256: each is a call, which most tests are not about."""
    for module in (members, plan, pull, why):
        monkeypatch.setattr(module, "SHARDS", _SHARDS)
    monkeypatch.setattr(members, "_shard", lambda department_id, key: {"S": f"{department_id}#{int(key[0], 16) % 2}"})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(aws: str, clock: Clock, few_shards: None) -> Iterator[Engine]:
    readings = Readings(stats_cached_seconds=0)
    with (
        MailchimpStandIn(latency=Latency.none(), now=clock.seconds, readings=readings) as mailchimp,
        PracBillStandIn(customers=0, now=clock) as pracbill,
    ):
        mailchimp.control.set_plan(-1)
        yield Engine(aws, mailchimp, pracbill, clock)


@pytest.fixture
def practice(engine: Engine) -> Practice:
    return engine.add_practice()
