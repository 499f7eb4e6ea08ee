"""Values as JSON documents: frozen dataclasses in, frozen dataclasses out.

By msgspec and not pydantic, which only the routes need: it is imported in a fraction of the time, and needs no schema
built for each class.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

Value = TypeVar("Value")

_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}


def to_document(value: Any) -> str:
    """Compact JSON of a frozen dataclass."""
    return msgspec.json.encode(value).decode()


def from_document(kind: type[Value], document: str) -> Value:
    """The value a document holds; fields added since it was written take their defaults."""
    value: Value = _decoder(kind).decode(document)
    return value


def to_short_list(values: Sequence[Any]) -> bytes:
    """Compact JSON of many values of one class, without the fields that have their defaults."""
    fields = dataclasses.fields(values[0]) if values else ()
    return msgspec.json.encode(
        [
            {field.name: held for field in fields if (held := getattr(value, field.name)) != field.default}
            for value in values
        ]
    )


def from_list(kind: type[Value], documents: bytes) -> tuple[Value, ...]:
    """The values of a list that `to_short_list` wrote."""
    values: tuple[Value, ...] = _decoder(tuple[kind, ...]).decode(documents)  # type: ignore[valid-type]
    return values


def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    if kind not in _DECODERS:
        _DECODERS[kind] = msgspec.json.Decoder(kind)
    return _DECODERS[kind]
