"""Notes what every AWS call of a function would be charged, when CALL_METER names a file; for infra.bench.costs.

Python imports this by itself in each process whose path holds this folder. Sizes follow DynamoDB's rule: names and
values in UTF-8 (DynamoDB Developer Guide, "Item sizes and formats").
"""

import functools
import importlib.machinery
import json
import math
import os
import sys

_FILE = os.environ.get("CALL_METER")


def _size(value):
    if isinstance(value, dict):
        return sum(len(str(key).encode()) + _size(one) for key, one in value.items())
    if isinstance(value, (list, tuple, set)):
        return sum(_size(one) for one in value)
    if isinstance(value, (bytes, bytearray)):
        return len(value)
    return len(str(value).encode())


def _item_size(item):
    """Of {"name": {"S": "text"}}: the letter of the type is not stored."""
    return sum(len(name.encode()) + sum(_size(value) for value in typed.values()) for name, typed in item.items())


def _writes(item):
    return max(1, math.ceil(_item_size(item) / 1024))


def _charges(operation, given, answer):
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
        yield given["TableName"], 0, [_item_size(answer.get("Item", {}))], consistent, projected
    elif operation == "BatchGetItem":
        for table, wanted in given["RequestItems"].items():
            sizes = [_item_size(item) for item in answer["Responses"].get(table, [])]
            sizes += [0] * (len(wanted["Keys"]) - len(sizes))  # an item that is not there is read, too
            yield table, 0, sizes, bool(wanted.get("ConsistentRead")), "ProjectionExpression" in wanted
    elif operation in {"Query", "Scan"}:
        sizes = [_item_size(item) for item in answer.get("Items", [])]
        yield given["TableName"], 0, sizes, consistent, projected


def _note(client, operation, given, answer):
    service = client.meta.service_model.service_name
    if service == "dynamodb":
        entries = [
            {
                "table": table,
                "written": written,
                "sizes": sizes,
                "page": operation in {"Query", "Scan"},  # its items are rounded up together
                "consistent": consistent,
                "projected": projected,
            }
            for table, written, sizes, consistent, projected in _charges(operation, given, answer)
        ]
    else:
        entries = [{"service": service, "operation": operation, "entries": len(given.get("Entries", [1]))}]
    with open(_FILE, "a", encoding="utf-8") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in entries)


class _Watch:
    def find_spec(self, name, path=None, target=None):
        if name != "botocore.client":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        load = spec.loader.exec_module

        def load_and_wrap(module):
            load(module)
            module.BaseClient._make_api_call = _metered(module.BaseClient._make_api_call)

        spec.loader.exec_module = load_and_wrap
        return spec


def _metered(call):
    @functools.wraps(call)
    def metered(self, operation_name, api_params):
        answer = call(self, operation_name, api_params)
        _note(self, operation_name, api_params, answer)
        return answer

    return metered


if _FILE:
    sys.meta_path.insert(0, _Watch())
