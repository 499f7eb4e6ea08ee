"""How many calls to the database a sync makes: their number decides what it computes and how long it takes."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import pytest
from botocore.client import BaseClient

from tests.sync.engine import Practice

pytest_plugins = ("tests.sync.engine_fixtures",)

CUSTOMER_TABLE, MEMBER_TABLE = "pracbill-mailchimp-test-customers", "pracbill-mailchimp-test-members"
FULL, CUSTOMERS = 25, 110
IN_FULL_BATCHES = [FULL] * 4 + [10]


class Asked(NamedTuple):
    operation: str
    parameters: dict[str, Any]

    def written(self, table: str, part: str = "") -> int:
        """How many items it puts into a table, of those whose sort key has this part in it."""
        requests = self.parameters["RequestItems"].get(table, ()) if self.operation == "BatchWriteItem" else ()
        items = [request["PutRequest"]["Item"] for request in requests if "PutRequest" in request]
        return sum(not part or part in item["sk"]["S"] for item in items)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """The calls to the database, as they are made."""
    calls: list[Asked] = []
    make = BaseClient._make_api_call  # type: ignore[attr-defined]

    def noted(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if client.meta.service_model.service_name == "dynamodb":
            calls.append(Asked(operation, parameters))
        return make(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    return calls


def batches(asked: list[Asked], table: str, part: str = "") -> list[int]:
    """The sizes of the batches, the largest first."""
    return sorted(filter(None, (one.written(table, part) for one in asked)), reverse=True)


def test_a_new_customer_is_written_twice_in_full_batches(practice: Practice, asked: list[Asked]) -> None:
    practice.customers(CUSTOMERS)
    practice.sync("full")
    assert batches(asked, CUSTOMER_TABLE) == IN_FULL_BATCHES
    assert batches(asked, MEMBER_TABLE, "#c#") == IN_FULL_BATCHES
    assert batches(asked, MEMBER_TABLE, "#p") == IN_FULL_BATCHES, "what was sent to the members"


def test_a_full_sync_in_which_nothing_changed_asks_no_more_for_many_than_for_few(
    practice: Practice, asked: list[Asked]
) -> None:
    counts = []
    for first, count in ((1, 10), (11, CUSTOMERS - 10)):
        practice.customers(count, start=first)
        practice.sync("full", hours=1)
        asked.clear()
        practice.sync("full", hours=1)
        counts.append(Counter(one.operation for one in asked))
    few, many = counts
    # Both states of each member are read, a hundred items a call.
    assert many.pop("BatchGetItem") - few.pop("BatchGetItem") <= 2 * CUSTOMERS // 100
    assert many == few
    assert batches(asked, CUSTOMER_TABLE) == batches(asked, MEMBER_TABLE, "#") == []
