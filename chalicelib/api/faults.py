"""What is wrong with a request, said to people: from pydantic's errors to field paths and plain words."""

from __future__ import annotations

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

# pydantic's error types (https://docs.pydantic.dev/latest/errors/validation_errors/ lists them) -> our code, the words,
# and which of pydantic's figures go along: their names there -> their names here.
_KINDS: dict[str, tuple[str, str, dict[str, str]]] = {
    "missing": ("required", "Give a value.", {}),
    "extra_forbidden": ("unknown_field", "There is no such field.", {}),
    "string_type": ("not_text", "Give a text.", {}),
    "string_unicode": ("not_text", "Give a text of whole characters.", {}),
    "string_too_short": ("too_short", "Give at least {min_length} characters.", {"min_length": "least"}),
    "string_too_long": ("too_long", "Use at most {max_length} characters.", {"max_length": "most"}),
    "string_pattern_mismatch": ("bad_form", "", {}),  # the words are those of the form
    "int_type": ("not_a_whole_number", "Give a whole number.", {}),
    "bool_type": ("not_true_or_false", "Give true or false.", {}),
    "list_type": ("not_a_list", "Give a list.", {}),
    "too_short": ("too_few", "Give at least {min_length} entry.", {"min_length": "least"}),
    "too_long": ("too_many", "Give at most {max_length} entries.", {"max_length": "most"}),
    "greater_than_equal": ("too_small", "Give a number of at least {ge}.", {"ge": "least"}),
    "less_than_equal": ("too_large", "Give a number of at most {le}.", {"le": "most"}),
    "literal_error": ("not_a_choice", "Give {expected}.", {"expected": "choices"}),
    "model_type": ("not_an_object", "Give an object.", {}),
}
_EMPTY: tuple[str, str, dict[str, str]] = ("empty", "Give a value.", {})
_ANY_OTHER: tuple[str, str, dict[str, str]] = ("invalid", "This value is not valid.", {})


class Fault(ValueError):
    """What a check of ours finds wrong with a value, in words and as a code."""

    def __init__(self, words: str, code: str, **params: str | int) -> None:
        super().__init__(words)
        self.code = code
        self.params = params


def field_errors(error: ValidationError, *, whole: str) -> tuple[FieldError, ...]:
    """One entry for each fault; `whole` names the thing itself where no field is at fault.

    What was sent is never repeated, but for the names of unknown fields.
    """
    faults = error.errors(include_url=False, include_input=False)[:_MOST_FAULTS]
    return tuple(FieldError(_path(fault["loc"]) or whole, *_told(fault)) for fault in faults)


def _told(fault: Any) -> tuple[str, str, dict[str, str | int]]:
    """The words for a fault, its code, and the figures in it."""
    context = fault.get("ctx", {})
    if isinstance(context.get("error"), Fault):
        return str(context["error"]), context["error"].code, dict(context["error"].params)
    code, words, names = _KINDS.get(fault["type"], _ANY_OTHER)
    if code == "too_short" and context["min_length"] == 1:
        code, words, names = _EMPTY
    # pydantic quotes choices; in words they stand as code does.
    words = _FORM_WORDS.get(context.get("pattern"), words).format_map(
        {name: str(value).replace("'", "`") for name, value in context.items()}
    )
    return words, code, {ours: _param(context[theirs]) for theirs, ours in names.items() if theirs in context}


def _param(value: object) -> str | int:
    return value if isinstance(value, int) else str(value).replace("'", "")


def _path(location: tuple[int | str, ...]) -> str:
    """`rules[0].value`, as a reader of the JSON would write it."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f"{'.' if path else ''}{part[:_LONGEST_NAME]}"
    return path
