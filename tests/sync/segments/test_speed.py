"""What a sync of segments costs: calls of Mailchimp, and of AWS with the tables spread as in production."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from botocore.client import BaseClient

from chalicelib.store.member_keys import SHARDS
from tests.sync.engine import Engine, Practice
from tests.sync.segment_office import VICTORIA, SegmentOffice

pytest_plugins = ("tests.sync.engine_fixtures",)


@pytest.fixture
def few_shards() -> None:
    """As many shards as in production."""


@pytest.fixture
def office(engine: Engine, practice: Practice) -> SegmentOffice:
    return SegmentOffice(engine, practice)


def count_calls_of_aws(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each operation is asked from now on."""
    calls, call = Counter[str](), BaseClient._make_api_call  # type: ignore[attr-defined]

    def counted(self: Any, operation: str, arguments: Any) -> Any:
        calls[operation] += 1
        return call(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    return calls


def test_a_call_carries_five_hundred_each_way(office: SegmentOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 1025):
        office.customer(str(number), state="VIC" if number <= 512 else "TAS")
    office.sync("full")
    created = office.create("Victoria", VICTORIA)
    office.control.reset_journal()
    office.run()
    assert office.segment_calls() == 2
    for number in range(1, 1025):
        office.move(str(number), "TAS" if number <= 512 else "VIC")
    calls = count_calls_of_aws(monkeypatch)
    office.sync()
    # Eight walks of all shards of members, few of whom changed; customers and members are written 25 at a time.
    assert calls["Query"] < 9 * len(SHARDS), calls
    assert calls.total() < 2_700, calls
    assert office.segment_calls() <= 2 + 2
    assert office.tagged() == office.marked(created)
    assert len(office.tagged()) == 512
