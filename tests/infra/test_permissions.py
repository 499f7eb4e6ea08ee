"""Calls held against the template's policies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.local.permissions import Call, denied_calls, read_calls


def prefixed(function: str) -> str:
    return f"pracbill-mailchimp-dev-{function}"


ALLOWED = [
    ("webhook", "dynamodb:GetItem", "pracbill-mailchimp-dev-hooks"),
    ("webhook", "kms:Decrypt", "alias/pracbill-mailchimp-dev-webhook"),
    ("sync_worker", "kms:Encrypt", "alias/pracbill-mailchimp-dev-webhook"),
    ("webhook", "sqs:SendMessage", "pracbill-mailchimp-dev-events.fifo"),
    ("sync_worker", "dynamodb:PutItem", "pracbill-mailchimp-dev-ledger"),
    ("sync_worker", "secretsmanager:GetSecretValue", "pracbill-mailchimp/dev/pracbill-token"),
    ("sync_worker", "sqs:ReceiveMessage", "pracbill-mailchimp-dev-sync.fifo"),
    ("sync_worker", "sqs:ChangeMessageVisibility", "pracbill-mailchimp-dev-sync.fifo"),
    ("event_worker", "sqs:ChangeMessageVisibility", "pracbill-mailchimp-dev-events.fifo"),
    ("api_handler", "secretsmanager:CreateSecret", "pracbill-mailchimp/dev/departments/melbourne"),
    ("dispatcher", "dynamodb:Scan", "pracbill-mailchimp-dev-departments"),
    ("event_worker", "dynamodb:PutItem", "pracbill-mailchimp-dev-departments"),
]
DENIED = [
    ("webhook", "secretsmanager:GetSecretValue", "pracbill-mailchimp/dev/departments/melbourne"),
    ("webhook", "dynamodb:GetItem", "pracbill-mailchimp-prod-hooks"),
    ("webhook", "dynamodb:PutItem", "pracbill-mailchimp-dev-hooks"),
    ("webhook", "kms:Encrypt", "alias/pracbill-mailchimp-dev-webhook"),
    ("webhook", "kms:Decrypt", "alias/pracbill-mailchimp-prod-webhook"),
    ("api_handler", "kms:Decrypt", "alias/pracbill-mailchimp-dev-webhook"),
    ("sync_worker", "kms:Decrypt", "alias/pracbill-mailchimp-dev-webhook"),
    ("event_worker", "dynamodb:GetItem", "pracbill-mailchimp-dev-hooks"),
    ("webhook", "sqs:SendMessage", "pracbill-mailchimp-dev-sync.fifo"),
    ("webhook", "dynamodb:GetItem", "pracbill-mailchimp-dev-departments"),
    ("sync_worker", "dynamodb:UpdateItem", "pracbill-mailchimp-dev-ledger"),
    ("sync_worker", "secretsmanager:GetSecretValue", "pracbill-mailchimp/dev/pracbill-token-of-another"),
    ("sync_worker", "sqs:SendMessage", "pracbill-mailchimp-dev-events.fifo"),
    ("event_worker", "dynamodb:Scan", "pracbill-mailchimp-dev-departments"),
    ("another_function", "dynamodb:GetItem", "pracbill-mailchimp-dev-departments"),
]


@pytest.mark.parametrize(("function", "action", "resource"), ALLOWED)
def test_what_a_role_allows_passes(template: dict[str, Any], function: str, action: str, resource: str) -> None:
    assert denied_calls(template, [Call(prefixed(function), action, resource)], stage="dev") == []


@pytest.mark.parametrize(("function", "action", "resource"), DENIED)
def test_what_no_statement_allows_is_told(template: dict[str, Any], function: str, action: str, resource: str) -> None:
    call = Call(prefixed(function), action, resource)
    assert denied_calls(template, [call], stage="dev") == [call]


def test_a_trace_is_read_as_the_permissions_it_needs(tmp_path: Path) -> None:
    entries = [
        ("sqs", "SendMessageBatch", {"QueueUrl": "http://127.0.0.1/000000000000/q.fifo"}),
        ("dynamodb", "BatchGetItem", {"RequestItems": ["a", "b"]}),
        ("dynamodb", "TransactWriteItems", {"TransactItems": [["Put", "a"], ["ConditionCheck", "b"]]}),
        ("secretsmanager", "CreateSecret", {"Name": "s"}),
        ("sts", "GetCallerIdentity", {}),
    ]
    trace = tmp_path / "calls.jsonl"
    lines = [
        json.dumps({"function": "f", "service": service, "operation": operation, "parameters": parameters})
        for service, operation, parameters in entries
    ]
    trace.write_text("\n".join(lines + lines))
    assert read_calls(trace) == {
        Call("f", "sqs:SendMessage", "q.fifo"),
        Call("f", "dynamodb:BatchGetItem", "a"),
        Call("f", "dynamodb:BatchGetItem", "b"),
        Call("f", "dynamodb:PutItem", "a"),
        Call("f", "dynamodb:ConditionCheckItem", "b"),
        Call("f", "secretsmanager:CreateSecret", "s"),
        Call("f", "sts:GetCallerIdentity", "*"),
    }


def test_no_trace_means_no_calls(tmp_path: Path) -> None:
    assert read_calls(tmp_path / "calls.jsonl") == set()
