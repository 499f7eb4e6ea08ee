"""The shape of request bodies, checked with Mailchimp's own words (type names are those of PHP)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from .clock import parse_instant
from .problems import FieldError, not_validated, required_missing

ANY_OF = "Data did not match any of the schemas described in anyOf."
STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional")
PATCH_STATUSES = STATUSES[:-1]

_NAMES: Mapping[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "double",
    dict: "object",
    list: "array",
    type(None): "NULL",
}
_MEMBER_TYPES: Mapping[str, str] = {
    "email_address": "string",
    "status": "string",
    "status_if_new": "string",
    "email_type": "string",
    "language": "string",
    "vip": "boolean",
    "merge_fields": "object",
    "interests": "object",
    "tags": "array",
    "location": "object",
    "marketing_permissions": "array",
    "ip_signup": "string",
    "ip_opt": "string",
    "timestamp_signup": "string",
    "timestamp_opt": "string",
}


def type_fault(value: object, wanted: str, field: str) -> FieldError | None:
    """The fault of a value that is not of the wanted type; an integer is a number too."""
    found = _NAMES[type(value)]
    if found == wanted or (wanted == "number" and found in ("integer", "double")):
        return None
    return FieldError(field, f"Schema describes {wanted}, {found} found instead")


def choice_fault(value: str, choices: tuple[str, ...], field: str) -> FieldError | None:
    if value in choices:
        return None
    return FieldError(field, f"Data presented is not one of the accepted values: {', '.join(choices)}")


def expect_object(body: object) -> dict[str, Any]:
    """The body as an object; anything else is refused."""
    if not isinstance(body, dict):
        fault = type_fault(body, "object", "")
        raise not_validated(*([fault] if fault else []))
    return body


def expect_fields(body: object, types: Mapping[str, str], *, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """Check the named fields' types and that the required ones are there; unknown fields are let pass."""
    document = expect_object(body)
    missing = [name for name in required if name not in document]
    if missing:
        raise required_missing(*missing)
    faults = [fault for name in document if name in types if (fault := type_fault(document[name], types[name], name))]
    if faults:
        raise not_validated(*faults)
    return document


def member_faults(member: Mapping[str, Any], where: str, statuses: tuple[str, ...]) -> list[FieldError]:
    """Everything wrong with the shape of one member object; `where` is the path up to it."""
    faults: list[FieldError] = []
    for name, value in member.items():
        wanted = _MEMBER_TYPES.get(name)
        if wanted is None:
            continue
        fault = type_fault(value, wanted, where + name)
        if fault is None and name in _DEEPER:
            faults.extend(_DEEPER[name](value, where + name, statuses))
        elif fault:
            faults.append(fault)
    return faults


def _status_faults(value: str, field: str, statuses: tuple[str, ...]) -> list[FieldError]:
    fault = choice_fault(value, statuses, field)
    return [fault] if fault else []


def _email_type_faults(value: str, field: str, _: tuple[str, ...]) -> list[FieldError]:
    fault = choice_fault(value, ("html", "text", ""), field)
    return [fault] if fault else []


def _merge_faults(values: Mapping[str, Any], field: str, _: tuple[str, ...]) -> list[FieldError]:
    """A merge value is a string, a number or an object of strings."""
    return [FieldError(f"{field}.{tag}", ANY_OF) for tag, value in values.items() if not _is_merge_value(value)]


def _is_merge_value(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(part, str) for part in value.values())
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _tag_faults(tags: list[Any], field: str, _: tuple[str, ...]) -> list[FieldError]:
    faults = (type_fault(tag, "string", f"{field}.item:{index}") for index, tag in enumerate(tags))
    return [fault for fault in faults if fault]


def _interest_faults(interests: Mapping[str, Any], field: str, _: tuple[str, ...]) -> list[FieldError]:
    faults = (type_fault(value, "boolean", f"{field}.{key}") for key, value in interests.items())
    return [fault for fault in faults if fault]


def _location_faults(location: Mapping[str, Any], field: str, _: tuple[str, ...]) -> list[FieldError]:
    given = [name for name in ("latitude", "longitude") if name in location]
    faults = (type_fault(location[name], "number", f"{field}.{name}") for name in given)
    return [fault for fault in faults if fault]


def _ip_faults(value: str, field: str, _: tuple[str, ...]) -> list[FieldError]:
    if not value:
        return []
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return [FieldError(field, "Please enter a valid IP address.")]
    return []


def _instant_faults(value: str, field: str, _: tuple[str, ...]) -> list[FieldError]:
    if not value:
        return []
    try:
        parse_instant(value)
    except ValueError:
        return [FieldError(field, ANY_OF)]
    return []


_DEEPER: Mapping[str, Callable[[Any, str, tuple[str, ...]], list[FieldError]]] = {
    "status": _status_faults,
    "status_if_new": _status_faults,
    "email_type": _email_type_faults,
    "merge_fields": _merge_faults,
    "tags": _tag_faults,
    "interests": _interest_faults,
    "location": _location_faults,
    "ip_signup": _ip_faults,
    "ip_opt": _ip_faults,
    "timestamp_signup": _instant_faults,
    "timestamp_opt": _instant_faults,
}
