"""Requests and answers without sockets, and the problem documents of RFC 9457."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """`segments` is the path split at "/" and decoded; header names are lower case."""

    method: str
    path: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @classmethod
    def from_target(cls, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
        parts = urlsplit(target)
        segments = tuple(unquote(part) for part in parts.path.strip("/").split("/"))
        return cls(method, parts.path, segments, dict(parse_qsl(parts.query, keep_blank_values=True)), headers, body)

    def json(self) -> Any:
        """Raises Refusal (400) for a body that is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise Refusal(400, "The body is not JSON.") from None


@dataclass(frozen=True, slots=True)
class Answer:
    """`cut_after`: send only so many bytes of the body and then break the connection."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None

    def json(self) -> Any:
        return json.loads(self.body)


class Refusal(Exception):
    """Ends a request with a problem document; `errors` are (field, message) pairs."""

    def __init__(self, status: int, detail: str, *, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors

    def answer(self) -> Answer:
        return problem(self.status, self.detail, errors=self.errors)


_TITLES = {
    400: "Bad request",
    401: "Not authorised",
    404: "Not found",
    405: "Method not allowed",
    413: "Too large",
    429: "Too many requests",
    500: "Internal error",
    503: "Unavailable",
}


def encode(value: object) -> bytes:
    """Raises UnicodeEncodeError for half a surrogate pair, which no JSON text can carry."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def ok(value: object, status: int = 200) -> Answer:
    return Answer(status, encode(value))


def problem(
    status: int, detail: str, *, errors: Sequence[tuple[str, str]] = (), headers: Mapping[str, str] | None = None
) -> Answer:
    document: dict[str, object] = {
        "type": "about:blank",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
    }
    if errors:
        document["errors"] = [{"field": name, "message": message} for name, message in errors]
    return Answer(status, encode(document), "application/problem+json", headers or {})
