"""Items go to DynamoDB and come back as they are, without the SDK rebuilding every value of them.

Our items are in DynamoDB's wire form already ({"name": {"S": "text"}}). The SDK would still walk through each value by
its model of the service, both ways: a quarter of what a plan computes. Its events let the calls that carry many items
pass by that walk; signing, retries, checksums and errors stay the SDK's.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from chalicelib.domain.compact_json import library

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_OPERATIONS = ("BatchGetItem", "BatchWriteItem", "Query", "TransactWriteItems")
_OURS = "pracbill_wire_form"  # under which a call's parameters wait in its context


def pass_items_through(client: DynamoDBClient) -> None:
    """Let the client take and give items in the wire form, bytes as bytes; its methods stay what they are.

    The client must be one that does not check parameters.
    """
    for operation in _OPERATIONS:
        events = client.meta.events
        events.register(f"provide-client-params.dynamodb.{operation}", _keep_parameters)  # type: ignore[arg-type] # answers
        events.register(f"before-call.dynamodb.{operation}", _write_body)
        events.register(f"before-parse.dynamodb.{operation}", _read_body)


def _keep_parameters(params: dict[str, Any], context: dict[str, Any], **_: Any) -> dict[str, Any]:
    if "TransactItems" in params:
        # A try that the SDK repeats counts once by this; it would give such a token only to what it gets to see.
        context[_OURS] = {"ClientRequestToken": str(uuid4()), **params}
        return {"TransactItems": []}
    context[_OURS] = params
    # Nothing is left for the SDK to write; it looks for the names of tables, which could be addresses of their own.
    return {"RequestItems": {}} if "RequestItems" in params else {}


def _write_body(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    params["body"] = _written(context.pop(_OURS))


def _read_body(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Take the answer out of the SDK's hands, unless it is an error or may hold binary values."""
    body: bytes = response_dict["body"]
    if response_dict["status_code"] == 200 and b'"B"' not in body:
        customized_response_dict.update(library().decode(body))
        response_dict["body"] = b"{}"


def _written(parameters: dict[str, Any]) -> bytes:
    """The call's body; msgspec writes bytes in base64, as the wire form has them."""
    try:
        written: bytes = library().encode(parameters)
    except UnicodeEncodeError:
        # Half characters in a key that somebody asks for: the database says that nothing can have it.
        written = json.dumps(parameters).encode()
    return written
