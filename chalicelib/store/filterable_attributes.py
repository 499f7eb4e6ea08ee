"""A customer's filterable form as DynamoDB attributes and back; segment_conditions.py compiles rules against them.

Attribute names are the field names of `Filterable`; what has no value has no attribute.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from chalicelib.domain.segments.filterable import Filterable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_NAMES: Final = tuple(field.name for field in dataclasses.fields(Filterable))
_all_values = attrgetter(*_NAMES)


def to_attributes(filterable: Filterable) -> dict[str, AttributeValueTypeDef]:
    """In DynamoDB's own form, such as `{"state": {"S": "vic"}}`. Runs for every customer of a sync."""
    return {
        name: {"S": value} if type(value) is str else {"N": f"{value:f}"}
        for name, value in zip(_NAMES, _all_values(filterable), strict=True)
        if value is not None
    }


def from_attributes(item: Mapping[str, AttributeValueTypeDef]) -> Filterable:
    """Reads a stored customer; other attributes of the item are passed over."""
    values: dict[str, Any] = {}
    for name in _NAMES:
        attribute = item.get(name)
        if attribute is not None:
            values[name] = attribute["S"] if "S" in attribute else Decimal(attribute["N"])
    return Filterable(**values)
