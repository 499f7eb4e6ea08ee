"""From our values to HTTP answers."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from chalice.app import Response

if TYPE_CHECKING:
    from chalicelib.contract.common import Page

_QUALITY = re.compile(r"[01](\.\d{0,3})?")


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


# A spreadsheet takes what begins with one of these for a formula, whoever wrote it.
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def wants_csv(accept: str | None) -> bool:
    """Whether an Accept header likes CSV better than JSON; without a word for CSV it does not."""
    liked = {"text/csv": 0.0, "application/json": 0.0}
    for part in (accept or "").split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        if kind in liked:
            liked[kind] = float(quality) if _QUALITY.fullmatch(quality) else 0.0
    return liked["text/csv"] > 0 and liked["text/csv"] >= liked["application/json"]


def csv_answer(page: Page[Any], columns: Sequence[str], *, name: str, with_names: bool) -> Response:
    """A page of a list as CSV (RFC 4180); where it goes on says the header Next-Cursor."""
    text = io.StringIO()
    rows = csv.writer(text)
    if with_names:
        rows.writerow(columns)
    for item in page.items:
        rows.writerow([_cell(plain(getattr(item, column))) for column in columns])
    headers: dict[str, str | list[str]] = {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{name}.csv"',
    }
    if page.next_cursor is not None:
        headers["Next-Cursor"] = page.next_cursor
    return Response(body=text.getvalue(), status_code=200, headers=headers)


def _cell(value: Any) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return f"'{text}" if text.startswith(_FORMULA_SIGNS) else text


def _instant(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a time without a zone names no instant")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
