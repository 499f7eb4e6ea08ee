"""From our values to HTTP answers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chalice.app import Response


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """What a route answers that serves a file: its text as it stands. Content type and headers are the route's."""

    text: str


def plain(value: Any) -> Any:
    """What JSON can hold of a value of ours.

    Raises ValueError for a time without a zone, which would name no instant, and TypeError for a foreign type.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no place in an answer")


def answer(value: object, *, status: int) -> Response:
    """A JSON answer; None is answered as 204 without a body."""
    if value is None:
        return Response(body="", status_code=204)
    return json_response(plain(value), status=status, content_type="application/json")


def file_response(file: File, *, content_type: str) -> Response:
    return Response(body=file.text, status_code=200, headers={"Content-Type": content_type})


def json_response(document: Any, *, status: int, content_type: str) -> Response:
    # Written here and not by Chalice, so that NaN can never leave as invalid JSON.
    body = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return Response(body=body, status_code=status, headers={"Content-Type": content_type})


def _instant(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a time without a zone names no instant")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
