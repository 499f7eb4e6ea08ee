"""The emulator of the local stack within this process, for tests of what speaks to AWS: no server, no port.

The SDK asks its `before-call` handlers before it makes a request. Ours hands calls of the emulator's addresses to the
services that the emulator serves over HTTP. That takes a tenth of the time of a call to its process; the process, with
HTTP, signatures, functions and the template, is what the tests of the stack are about.

Two thirds of what is left is the SDK finding out where to call, writing by its model of the service and reading by it.
For DynamoDB and SQS both ends are the same JSON, so at a `quick` address the calls of which a sync is made pass by all
that. It is for workflows; what the stores and the SDK's client make of each other is tested at the other addresses.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import itertools
import json
import os
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import lru_cache
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.config import Config
from botocore.handlers import BUILTIN_HANDLERS, REGISTER_LAST
from botocore.model import OperationModel
from botocore.parsers import create_parser

from chalicelib.store.wire import pass_items_through

# Read when the emulator is imported.
os.environ.setdefault("PERSIST_STATE", "0")

from ministack.core.responses import request_scope
from ministack.services import dynamodb

_ADDRESS = re.compile(r"http://(\d{12})\.(?:quick\.)?aws\.test/")
_QUICK_ADDRESS = re.compile(r"http://(\d{12})\.quick\.aws\.test$")
_QUICK = {
    "dynamodb": (
        "DynamoDB_20120810",
        "GetItem PutItem UpdateItem DeleteItem Query Scan BatchGetItem BatchWriteItem TransactWriteItems".split(),
    ),
    "sqs": ("AmazonSQS", "SendMessageBatch ReceiveMessage DeleteMessage ChangeMessageVisibility".split()),
}
# It counts all items of a table at each write; nobody here asks how many there are.
dynamodb._update_counts = lambda table: None
_REGION = os.environ.get("AWS_DEFAULT_REGION", "eu-central-1")
_accounts = itertools.count(1)
# The emulator's process handles one call after the other; here threads ask at the same time.
_one_at_a_time = threading.RLock()


@lru_cache
def client(service: Any, address: str) -> Any:
    """A client of one service as the product makes its own; made once, since that takes longer than most tests."""
    config = Config(parameter_validation=False, max_pool_connections=16, user_agent="pracbill-mailchimp")
    made = boto3.client(service, region_name=_REGION, endpoint_url=address, config=config)
    if service == "dynamodb":
        pass_items_through(made)
    return made


@contextmanager
def emulator_running(*, quick: bool = False) -> Iterator[str]:
    """AWS as the local stack has it, empty: an account of the caller's own. Yields its address."""
    yield f"http://{next(_accounts):012d}.{'quick.' if quick else ''}aws.test"


def _answer(model: OperationModel, params: dict[str, Any], request_signer: Any, **_: Any) -> Any:
    """The emulator's answer and what the SDK reads in it; None for another's address: the SDK sends the request."""
    address = _ADDRESS.match(params["url"])
    if address is None:
        return None
    service = importlib.import_module(f"ministack.services.{model.service_model.service_name}")
    headers = {name.lower(): value for name, value in params["headers"].items()} | {"host": f"{address[1]}.aws.test"}
    call: tuple[Any, ...] = (
        service.handle_request,
        params["method"],
        params["url_path"],
        headers,
        _bytes(params["body"]),
        {},
    )
    with request_scope(address[1], _REGION):
        status, answered, body = (_outcome_later if b'"WaitTimeSeconds"' in call[4] else _outcome)(*call)
    response = AWSResponse(params["url"], status, answered, None)
    return response, _read(model, response, _bytes(body), request_signer._event_emitter)


_call_by_the_sdk = BaseClient._make_api_call  # type: ignore[attr-defined]


def _call(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
    """In place of what every method of a client calls."""
    address = _QUICK_ADDRESS.match(self.meta.endpoint_url)
    service = self.meta.service_model.service_name
    if address is None or operation not in _QUICK.get(service, ("", []))[1] or "WaitTimeSeconds" in parameters:
        return _call_by_the_sdk(self, operation, parameters)
    headers = {"x-amz-target": f"{_QUICK[service][0]}.{operation}", "host": f"{address[1]}.aws.test"}
    handle = importlib.import_module(f"ministack.services.{service}").handle_request
    body = json.dumps(parameters, default=_binary, separators=(",", ":")).encode()
    with request_scope(address[1], _REGION):
        status, answered, body = _outcome(handle, "POST", "/", headers, body, {})
    body = _bytes(body)
    if status == 200 and b'"B"' not in body and b'"BS"' not in body:
        return {**json.loads(body or b"{}"), "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}}}
    model = self.meta.service_model.operation_model(operation)
    found = _read(model, AWSResponse(self.meta.endpoint_url, status, answered, None), body, None)
    if status >= 300:
        raise self.exceptions.from_code(found["Error"]["Code"])(found, operation)
    return found


def _binary(value: object) -> str:
    if not isinstance(value, bytes | bytearray):
        raise TypeError(f"{type(value).__name__} cannot be sent to AWS")
    return base64.b64encode(value).decode()


def _read(model: OperationModel, response: AWSResponse, body: bytes, events: Any) -> dict[str, Any]:
    """What the SDK reads in an answer, as `botocore.endpoint` does it."""
    answer = {
        "headers": response.headers,
        "status_code": response.status_code,
        "context": {"operation_name": model.name},
        "body": body,
    }
    service, read = model.service_model, dict[str, Any]()
    if events is not None:
        name = f"before-parse.{service.service_id.hyphenize()}.{model.name}"
        events.emit(name, operation_model=model, response_dict=answer, customized_response_dict=read)
    parser = create_parser(service.resolved_protocol)
    found: dict[str, Any] = parser.parse(answer, model.output_shape)  # type: ignore[arg-type] # None is nothing to read
    found.update(read)
    if response.status_code >= 300 and (error := service.shape_for_error_code(found["Error"]["Code"])):
        found.update(parser.parse(answer, error))
    return found


def _outcome(handle: Any, *call: Any) -> Any:
    """What a coroutine returns that never waits; so it needs no loop, which would take longer than the call."""
    with _one_at_a_time:
        try:
            handle(*call).send(None)
        except StopIteration as end:
            return end.value
    raise RuntimeError("the emulator waits for something that this module does not know of")


def _outcome_later(handle: Any, *call: Any) -> Any:
    """For a call that waits for messages: meanwhile others may send some.

    In a thread of its own: in this one the tests' browser may have left its loop running.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, asyncio.run, handle(*call)).result()


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""


def create_hook_records(endpoint: str, *, stage: str) -> None:
    """The table of the webhooks' records, and the key that seals them."""
    table, dynamodb = f"pracbill-mailchimp-{stage}-hooks", client("dynamodb", endpoint)
    if table in dynamodb.list_tables()["TableNames"]:
        return
    dynamodb.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "department_id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "department_id", "KeyType": "HASH"}],
    )
    keys = client("kms", endpoint)
    key_id = keys.create_key()["KeyMetadata"]["KeyId"]
    keys.create_alias(AliasName=f"alias/pracbill-mailchimp-{stage}-webhook", TargetKeyId=key_id)


BaseClient._make_api_call = _call  # type: ignore[attr-defined]
# For all sessions of the SDK that are made from now on; tests/conftest.py imports this module before any is made. Last:
# the product's own handlers of this event write the body.
BUILTIN_HANDLERS.append(("before-call", _answer, REGISTER_LAST))
