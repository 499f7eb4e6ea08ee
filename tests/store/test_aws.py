"""Clients of AWS, and what it costs to make them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from botocore.loaders import JSONFileLoader

from chalicelib.store.aws import _descriptions, dynamodb, secretsmanager, sqs
from chalicelib.store.models import DepartmentItem, RunItem


def test_a_service_s_description_is_read_once_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    _descriptions.cache_clear()
    read, load = Counter[str](), JSONFileLoader.load_file

    def load_and_note(loader: JSONFileLoader, path: str) -> Any:
        found = load(loader, path)
        read.update([path] if found else [])
        return found

    monkeypatch.setattr(JSONFileLoader, "load_file", load_and_note)
    for model in (DepartmentItem, RunItem):
        monkeypatch.setattr(model, "_connection", None)
        assert model._get_connection().connection.client.meta.service_model.service_name == "dynamodb"
    assert [client().meta.service_model.service_name for client in (dynamodb, sqs, secretsmanager)] == [
        "dynamodb",
        "sqs",
        "secretsmanager",
    ]
    assert {path: count for path, count in read.items() if count > 1} == {}
    assert sum("dynamodb" in path and "service-2" in path for path in read) == 1


def test_all_tables_of_pynamodb_share_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would take time to make, and its own connections to open."""
    for model in (DepartmentItem, RunItem):
        monkeypatch.setattr(model, "_connection", None)
    clients: list[object] = [model._get_connection().connection.client for model in (DepartmentItem, RunItem)]
    assert clients[0] is clients[1]
    assert clients[0] is not dynamodb(), "that one takes items in the wire form, which PynamoDB does not know"
