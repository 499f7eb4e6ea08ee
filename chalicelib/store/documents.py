"""Values as JSON documents: frozen dataclasses in, frozen dataclasses out."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter

Value = TypeVar("Value")


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def to_document(value: Any) -> str:
    """Compact JSON of a frozen dataclass."""
    return _adapter(type(value)).dump_json(value).decode()


def from_document(kind: type[Value], document: str) -> Value:
    """The value a document holds; fields added since it was written take their defaults."""
    value: Value = _adapter(kind).validate_json(document)
    return value
