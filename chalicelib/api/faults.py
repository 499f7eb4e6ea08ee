"""What is wrong with a request, said to people: from pydantic's errors to field paths and plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from chalicelib.errors import FieldError

# A body of rubbish could hold thousands of faults; nobody mends more than a screenful at a time.
_MOST_FAULTS = 50
_LONGEST_NAME = 100

COUNTRY_FORM = r"^[A-Za-z]{2}$"
LANGUAGE_FORM = r"^[a-z]{2,3}(_[A-Z]{2})?$"
IDENTIFIER_FORM = r"^[A-Za-z0-9_-]{1,64}$"
CODE_FORM = r"^[A-Za-z0-9_.-]{1,64}$"
CUSTOMER_ID_FORM = r"^[^\x00-\x1f\x7f-\x9f]{1,200}$"
IDENTIFIER_WORDS = "Use 1 to 64 letters, digits, hyphens or underscores."
CUSTOMER_ID_WORDS = "Use 1 to 200 characters, without line breaks or other control characters."
_FORM_WORDS = {
    COUNTRY_FORM: "Use two letters, for example AU.",
    LANGUAGE_FORM: "Use a language code, for example en or pt_BR.",
    IDENTIFIER_FORM: IDENTIFIER_WORDS,
    CODE_FORM: "Use 1 to 64 letters, digits, points, hyphens or underscores.",
    CUSTOMER_ID_FORM: CUSTOMER_ID_WORDS,
}

# pydantic's error types -> code, and which of its own figures go along: their names there -> their names here.
_CODES: dict[str, tuple[str, dict[str, str]]] = {
    "missing": ("required", {}),
    "extra_forbidden": ("unknown_field", {}),
    "string_type": ("not_text", {}),
    "string_unicode": ("not_text", {}),
    "string_too_short": ("empty", {}),
    "string_too_long": ("too_long", {"max_length": "most"}),
    "string_pattern_mismatch": ("bad_form", {}),
    "int_type": ("not_a_whole_number", {}),
    "bool_type": ("not_true_or_false", {}),
    "list_type": ("not_a_list", {}),
    "too_short": ("too_few", {"min_length": "least"}),
    "too_long": ("too_many", {"max_length": "most"}),
    "greater_than_equal": ("too_small", {"ge": "least"}),
    "less_than_equal": ("too_large", {"le": "most"}),
    "literal_error": ("not_a_choice", {"expected": "choices"}),
    "model_type": ("not_an_object", {}),
}


class Fault(ValueError):
    """What a check of ours finds wrong with a value, in words and as a code."""

    def __init__(self, words: str, code: str, **params: str | int) -> None:
        super().__init__(words)
        self.code = code
        self.params = params


# pydantic's error types -> words. https://docs.pydantic.dev/latest/errors/validation_errors/ lists them.
_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "Give a value.",
    "extra_forbidden": lambda _: "There is no such field.",
    "string_type": lambda _: "Give a text.",
    "string_unicode": lambda _: "Give a text of whole characters.",
    "string_too_short": lambda _: "Give a value.",
    "string_too_long": lambda c: f"Use at most {c['max_length']} characters.",
    "string_pattern_mismatch": lambda c: _FORM_WORDS[c["pattern"]],
    "int_type": lambda _: "Give a whole number.",
    "bool_type": lambda _: "Give true or false.",
    "list_type": lambda _: "Give a list.",
    "too_short": lambda c: f"Give at least {c['min_length']} entry.",
    "too_long": lambda c: f"Give at most {c['max_length']} entries.",
    "greater_than_equal": lambda c: f"Give a number of at least {c['ge']}.",
    "less_than_equal": lambda c: f"Give a number of at most {c['le']}.",
    "literal_error": lambda c: f"Give {_or(c['expected'])}.",
    "model_type": lambda _: "Give an object.",
    "value_error": lambda c: str(c["error"]),
}


def field_errors(error: ValidationError, *, whole: str) -> tuple[FieldError, ...]:
    """One entry for each fault; `whole` names the thing itself where no field is at fault.

    What was sent is never repeated, but for the names of unknown fields.
    """
    faults = error.errors(include_url=False, include_input=False)[:_MOST_FAULTS]
    return tuple(FieldError(_path(fault["loc"]) or whole, _words(fault), *_code(fault)) for fault in faults)


def _words(fault: Any) -> str:
    words = _WORDS.get(fault["type"])
    return words(fault.get("ctx", {})) if words else "This value is not valid."


def _code(fault: Any) -> tuple[str, dict[str, str | int]]:
    context = fault.get("ctx", {})
    if isinstance(context.get("error"), Fault):
        return context["error"].code, dict(context["error"].params)
    code, names = _CODES.get(fault["type"], ("invalid", {}))
    return code, {ours: _param(context[theirs]) for theirs, ours in names.items() if theirs in context}


def _param(value: object) -> str | int:
    return value if isinstance(value, int) else str(value).replace("'", "")


def _path(location: tuple[int | str, ...]) -> str:
    """`rules[0].value`, as a reader of the JSON would write it."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f"{'.' if path else ''}{part[:_LONGEST_NAME]}"
    return path


def _or(expected: str) -> str:
    return expected.replace("'", "`")
