"""JSON as we store it: compact, in UTF-8, in the order of the values. It is ours alone, so nothing of it is checked.

A run writes and reads several small documents for each customer; msgspec takes a fraction of the time of Python's own.
Importing it takes long, so the first call does: the webhook's function, which must start at once, makes none.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType


def to_json(value: object) -> str:
    """The JSON of texts in lists and objects. Half characters (lone surrogates), which UTF-8 lacks, become `?`."""
    try:
        written: bytes = library().encode(value)
    except UnicodeEncodeError:
        written = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return written.decode()


def from_json(text: str) -> Any:
    """What `to_json` wrote."""
    return library().decode(text)


@lru_cache(maxsize=1)
def library() -> ModuleType:
    import msgspec

    return msgspec.json
