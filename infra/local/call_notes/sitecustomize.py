"""Notes every AWS call of a process: what it is made on (CALL_TRACE names a file), what it is charged (CALL_METER).

Python imports this by itself in each process whose path holds this folder. The emulator enforces no permissions and
charges nothing: infra.local.permissions holds the calls against the functions' policies, infra.bench.costs reckons
with the charges. Sizes follow DynamoDB's rule: names and values in UTF-8 (DynamoDB Developer Guide, "Item sizes and
formats").
"""

from __future__ import annotations

import functools
import importlib.machinery
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

_TRACE = os.environ.get("CALL_TRACE")
_METER = os.environ.get("CALL_METER")
_FUNCTION = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")

Charge = tuple[str, int, list[int], bool, bool]


def named(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a call's parameters that says on what it is made; no contents."""
    kept = {key: parameters[key] for key in ("TableName", "QueueUrl", "SecretId", "KeyId", "Name") if key in parameters}
    if "RequestItems" in parameters:
        kept["RequestItems"] = sorted(parameters["RequestItems"])
    if "TransactItems" in parameters:
        kept["TransactItems"] = [
            [kind, item["TableName"]] for entry in parameters["TransactItems"] for kind, item in entry.items()
        ]
    return kept


def item_size(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Bytes of {"name": {"S": "text"}}: the letter of the type is not stored."""
    return sum(len(name.encode()) + sum(_size(value) for value in typed.values()) for name, typed in item.items())


def charges(operation: str, given: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[Charge]:
    """(table, units written, sizes of the items read, strongly consistent, projected) of one call, table by table."""
    projected = "ProjectionExpression" in given
    consistent = bool(given.get("ConsistentRead"))
    if operation == "PutItem":
        yield given["TableName"], _writes(given["Item"]), [], consistent, False
    elif operation in {"UpdateItem", "DeleteItem"}:
        yield given["TableName"], 1, [], consistent, False
    elif operation == "BatchWriteItem":
        for table, requests in given["RequestItems"].items():
            units = sum(_writes(r["PutRequest"]["Item"]) if "PutRequest" in r else 1 for r in requests)
            yield table, units, [], consistent, False
    elif operation == "TransactWriteItems":
        for entry in given["TransactItems"]:
            for kind, part in entry.items():
                yield part["TableName"], 2 * (_writes(part["Item"]) if kind == "Put" else 1), [], consistent, False
    elif operation == "GetItem":
        yield given["TableName"], 0, [item_size(answer.get("Item", {}))], consistent, projected
    elif operation == "BatchGetItem":
        for table, wanted in given["RequestItems"].items():
            sizes = [item_size(item) for item in answer["Responses"].get(table, [])]
            sizes += [0] * (len(wanted["Keys"]) - len(sizes))  # an item that is not there is read, too
            yield table, 0, sizes, bool(wanted.get("ConsistentRead")), "ProjectionExpression" in wanted
    elif operation in {"Query", "Scan"}:
        sizes = [item_size(item) for item in answer.get("Items", [])]
        yield given["TableName"], 0, sizes, consistent, projected


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return sum(len(str(key).encode()) + _size(one) for key, one in value.items())
    if isinstance(value, (list, tuple, set)):
        return sum(_size(one) for one in value)
    if isinstance(value, (bytes, bytearray)):
        return len(value)
    return len(str(value).encode())


def _writes(item: Mapping[str, Mapping[str, Any]]) -> int:
    return max(1, math.ceil(item_size(item) / 1024))


def _trace_lines(service: str, operation: str, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"function": _FUNCTION, "service": service, "operation": operation, "parameters": named(given)}]


def _meter_lines(
    service: str, operation: str, given: Mapping[str, Any], answer: Mapping[str, Any]
) -> list[dict[str, Any]]:
    if service != "dynamodb":
        return [{"service": service, "operation": operation, "entries": len(given.get("Entries", [1]))}]
    return [
        {
            "table": table,
            "written": written,
            "sizes": sizes,
            "page": operation in {"Query", "Scan"},  # its items are rounded up together
            "consistent": consistent,
            "projected": projected,
        }
        for table, written, sizes, consistent, projected in charges(operation, given, answer)
    ]


def _append(path: str, lines: Sequence[Mapping[str, Any]]) -> None:
    with open(path, "a", encoding="utf-8") as file:  # one short write: lines of several processes do not mix
        file.write("".join(json.dumps(line) + "\n" for line in lines))


def _noted(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def noted(self: Any, operation_name: str, api_params: Mapping[str, Any]) -> Any:
        service = self.meta.service_model.service_name
        if _TRACE and _FUNCTION:  # before the call: a refused one needs its right, too
            _append(_TRACE, _trace_lines(service, operation_name, api_params))
        answer = call(self, operation_name, api_params)
        if _METER:
            _append(_METER, _meter_lines(service, operation_name, api_params, answer))
        return answer

    return noted


class _Watch:
    """Wraps botocore's one way out when somebody imports it; importing it here would slow every process."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "botocore.client":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        assert spec is not None and spec.loader is not None
        load = spec.loader.exec_module

        def load_and_wrap(module: ModuleType) -> None:
            load(module)
            vars(module)["BaseClient"]._make_api_call = _noted(vars(module)["BaseClient"]._make_api_call)

        spec.loader.exec_module = load_and_wrap  # type: ignore[method-assign]
        return spec


if (_TRACE and _FUNCTION) or _METER:
    sys.meta_path.insert(0, _Watch())
