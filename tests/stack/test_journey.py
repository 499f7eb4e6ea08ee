"""A newcomer's journey through the whole stack, checked from outside."""

from __future__ import annotations

import pytest

from infra.local.demonstration import Demonstration
from infra.local.stack import LocalStack

pytestmark = pytest.mark.stack


def test_the_first_sync_and_an_opt_out_leave_the_audience_as_it_should_be(stack: LocalStack) -> None:
    told: list[str] = []
    assert Demonstration(stack, say=told.append, patience=60).give() == []
    assert any(line.startswith("Sync Logs") for line in told)
    assert any(line.startswith("PracBill knows it") for line in told)
