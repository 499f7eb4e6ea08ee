"""Holds what the functions called against what their roles allow.

The emulator enforces no permissions, so a right that a function lacks would show on AWS only. Each function's calls
are noted by infra/local/call_notes while the stack runs; `denied_calls` says which of them AWS would refuse.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

# Operations whose permission has another name.
_ACTIONS = {
    "SendMessageBatch": "SendMessage",
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
}
# A transaction needs the permissions of its parts.
_TRANSACTION_ACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}
# A secret's ARN ends in six characters after its name.
_ANY_SUFFIX = "-aB3xYz"


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """One permission that a call needs: `dynamodb:PutItem` on the table `...-runs`."""

    function: str
    action: str
    resource: str


def read_calls(trace: Path) -> set[Call]:
    """The calls of a trace, each kind once."""
    if not trace.exists():
        return set()
    return {call for line in trace.read_text().splitlines() for call in _calls(json.loads(line))}


def _calls(entry: Mapping[str, Any]) -> Iterator[Call]:
    function, service, parameters = entry["function"], entry["service"], entry["parameters"]
    action = _ACTIONS.get(entry["operation"], entry["operation"])
    for kind, table in parameters.get("TransactItems", []):
        yield Call(function, f"{service}:{_TRANSACTION_ACTIONS[kind]}", table)
    if "TransactItems" not in parameters:
        for resource in _resources(parameters):
            yield Call(function, f"{service}:{action}", resource)


def _resources(parameters: Mapping[str, Any]) -> list[str]:
    if "RequestItems" in parameters:
        return list(parameters["RequestItems"])
    if "QueueUrl" in parameters:
        return [parameters["QueueUrl"].rpartition("/")[2]]
    names = [parameters[key] for key in ("TableName", "SecretId", "KeyId", "Name") if key in parameters]
    return names[:1] or ["*"]


def denied_calls(template: Mapping[str, Any], calls: Iterable[Call], *, stage: str) -> list[Call]:
    """The calls that no statement of their function's role allows, in order."""
    policies = _policies(template, stage)
    return sorted(call for call in calls if not _is_allowed(call, policies.get(call.function, [])))


def _is_allowed(call: Call, statements: list[tuple[set[str], list[str]]]) -> bool:
    name = call.resource + (_ANY_SUFFIX if call.action.startswith("secretsmanager:") else "")
    return any(
        call.action in actions and any(fnmatchcase(name, pattern) for pattern in patterns)
        for actions, patterns in statements
    )


def _policies(template: Mapping[str, Any], stage: str) -> dict[str, list[tuple[set[str], list[str]]]]:
    """Actions and patterns of resource names that each function's role allows."""
    resources = template["Resources"]
    policies = {}
    for resource in resources.values():
        if resource["Type"] == "AWS::Serverless::Function":
            role = resources[resource["Properties"]["Role"]["Fn::GetAtt"][0]]
            name = _text(resource["Properties"]["FunctionName"], stage)
            policies[name] = [
                (set(_listed(statement["Action"])), list(_patterns(statement["Resource"], resources, stage)))
                for policy in role["Properties"]["Policies"]
                if "Fn::If" not in policy  # what tracing needs; it is off here
                for statement in policy["PolicyDocument"]["Statement"]
            ]
    return policies


def _patterns(resource: Any, resources: Mapping[str, Any], stage: str) -> Iterator[str]:
    for entry in _listed(resource):
        if "Fn::If" in entry:
            yield from _patterns(entry["Fn::If"][2], resources, stage)  # locally no such parameter is set
        elif "Fn::GetAtt" in entry:
            yield _name(entry["Fn::GetAtt"][0], resources, stage)
        else:
            yield _text(entry, stage).rpartition(":secret:")[2]


def _name(logical_name: str, resources: Mapping[str, Any], stage: str) -> str:
    """What a resource is called by; a key is called by its alias."""
    alias_of = {"Ref": logical_name}
    properties = next(
        (r["Properties"] for r in resources.values() if r.get("Properties", {}).get("TargetKeyId") == alias_of),
        resources[logical_name]["Properties"],
    )
    kinds = ("TableName", "QueueName", "LogGroupName", "AliasName")
    return _text(next(properties[kind] for kind in kinds if kind in properties), stage)


def _text(value: Any, stage: str) -> str:
    text = value["Fn::Sub"] if isinstance(value, Mapping) else value
    return str(text).replace("${Stage}", stage)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
