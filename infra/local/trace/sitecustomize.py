"""Notes every AWS call of a function, when CALL_TRACE names a file: which function, which operation, on what.

Python imports this by itself in each process whose path holds this folder. The emulator enforces no permissions, so
what functions really call is noted here and held against their policies by infra.local.permissions.
"""

import functools
import importlib.machinery
import json
import os
import sys

_TRACE = os.environ.get("CALL_TRACE")
_FUNCTION = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")


def _note(client, operation, parameters):
    line = json.dumps(
        {
            "function": _FUNCTION,
            "service": client.meta.service_model.service_name,
            "operation": operation,
            "parameters": _names(parameters),
        }
    )
    with open(_TRACE, "a", encoding="utf-8") as file:  # one short write: lines of several processes do not mix
        file.write(line + "\n")


def _names(parameters):
    """The part of the parameters that says on what; no contents."""
    kept = {key: parameters[key] for key in ("TableName", "QueueUrl", "SecretId", "Name") if key in parameters}
    if "RequestItems" in parameters:
        kept["RequestItems"] = sorted(parameters["RequestItems"])
    if "TransactItems" in parameters:
        kept["TransactItems"] = [
            [kind, item["TableName"]] for entry in parameters["TransactItems"] for kind, item in entry.items()
        ]
    return kept


class _Watch:
    """Wraps botocore's one way out when somebody imports it; importing it here would slow every process."""

    def find_spec(self, name, path=None, target=None):
        if name != "botocore.client":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        load = spec.loader.exec_module

        def load_and_wrap(module):
            load(module)
            module.BaseClient._make_api_call = _traced(module.BaseClient._make_api_call)

        spec.loader.exec_module = load_and_wrap
        return spec


def _traced(call):
    @functools.wraps(call)
    def traced(self, operation_name, api_params):
        _note(self, operation_name, api_params)
        return call(self, operation_name, api_params)

    return traced


if _TRACE and _FUNCTION:
    sys.meta_path.insert(0, _Watch())
