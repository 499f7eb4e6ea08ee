"""What is wrong with a request, said to people: from pydantic's errors to field paths and plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from chalicelib.errors import FieldError

# A body of rubbish could hold thousands of faults; nobody mends more than a screenful at a time.
_MOST_FAULTS = 50
_LONGEST_NAME = 100

# pydantic's error types -> words. https://docs.pydantic.dev/latest/errors/validation_errors/ lists them.
_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "is required",
    "extra_forbidden": lambda _: "is not known here",
    "string_type": lambda _: "must be text",
    "string_unicode": lambda _: "must be valid text",
    "string_too_short": lambda _: "must not be empty",
    "string_too_long": lambda c: f"must have at most {c['max_length']} characters",
    "string_pattern_mismatch": lambda _: "is not in the expected form",
    "int_type": lambda _: "must be a whole number",
    "bool_type": lambda _: "must be true or false",
    "list_type": lambda _: "must be a list",
    "too_short": lambda c: f"must have at least {c['min_length']} entry",
    "too_long": lambda c: f"must have at most {c['max_length']} entries",
    "greater_than_equal": lambda c: f"must be at least {c['ge']}",
    "less_than_equal": lambda c: f"must be at most {c['le']}",
    "literal_error": lambda c: f"must be {_or(c['expected'])}",
    "model_type": lambda _: "must be an object",
    "value_error": lambda c: str(c["error"]),
}


def field_errors(error: ValidationError, *, whole: str) -> tuple[FieldError, ...]:
    """One entry for each fault; `whole` names the thing itself where no field is at fault.

    What was sent is never repeated, but for the names of unknown fields.
    """
    faults = error.errors(include_url=False, include_input=False)[:_MOST_FAULTS]
    return tuple(FieldError(_path(fault["loc"]) or whole, _words(fault)) for fault in faults)


def _words(fault: Any) -> str:
    words = _WORDS.get(fault["type"])
    return words(fault.get("ctx", {})) if words else "cannot be used"


def _path(location: tuple[int | str, ...]) -> str:
    """`rules[0].value`, as a reader of the JSON would write it."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f"{'.' if path else ''}{part[:_LONGEST_NAME]}"
    return path


def _or(expected: str) -> str:
    return expected.replace("'", "`")
