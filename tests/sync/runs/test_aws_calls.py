"""How often a sync asks AWS: each call is time of the run, money, and time of nearly every test here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.sync.engine import Engine, Practice

pytest_plugins = ("tests.sync.engine_fixtures",)


@pytest.fixture
def calls(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """The calls that the worker makes, by operation."""
    counts: Counter[str] = Counter()
    call, handle = BaseClient._make_api_call, engine.worker.handle  # type: ignore[attr-defined]
    is_working = False

    def counted(self: Any, operation: str, arguments: Any) -> Any:
        counts[operation] += is_working
        return call(self, operation, arguments)

    def handled(*arguments: Any) -> Any:
        nonlocal is_working
        is_working = True
        try:
            return handle(*arguments)
        finally:
            is_working = False

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    monkeypatch.setattr(engine.worker, "handle", handled)
    yield counts


def test_a_sync_of_one_change_makes_few_calls(practice: Practice, calls: Counter[str]) -> None:
    practice.customers(5)
    practice.sync("full")
    practice.edit("1", first_name="Changed")
    calls.clear()
    assert practice.sync().done == 1
    # Each of its seven messages reads its department and its run, holds its message back and sends the next one.
    assert calls["GetItem"] <= 21
    assert sum(calls.values()) <= 75
