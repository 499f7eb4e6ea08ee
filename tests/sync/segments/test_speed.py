"""What a sync of segments costs: calls of Mailchimp, and time with the tables spread as in production."""

from __future__ import annotations

import time

import pytest

from tests.sync.engine import Engine, Practice
from tests.sync.segment_office import VICTORIA, SegmentOffice

pytest_plugins = ("tests.sync.engine_fixtures",)


@pytest.fixture
def few_shards() -> None:
    """As many shards as in production."""


@pytest.fixture
def office(engine: Engine, practice: Practice) -> SegmentOffice:
    return SegmentOffice(engine, practice)


def test_a_call_carries_five_hundred_each_way(office: SegmentOffice) -> None:
    for number in range(1, 1025):
        office.customer(str(number), state="VIC" if number <= 512 else "TAS")
    office.sync("full")
    created = office.create("Victoria", VICTORIA)
    office.control.reset_journal()
    office.run()
    assert office.segment_calls() == 2
    for number in range(1, 1025):
        office.move(str(number), "TAS" if number <= 512 else "VIC")
    started = time.monotonic()
    office.sync()
    assert time.monotonic() - started < 60
    assert office.segment_calls() <= 2 + 2
    assert office.tagged() == office.marked(created)
    assert len(office.tagged()) == 512
