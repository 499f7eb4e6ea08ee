"""Values worth offering for a field: those that the department's customers have, the most frequent first."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from chalicelib.domain.segments.fields import Choice
from chalicelib.store.customer_reading import CustomerReader

CHOICE_FIELDS = ("state", "country", "status", "customer_type")
# Typing errors are values too; the most useful list is a short one.
_MOST_CHOICES = 30
_LONGEST_CHOICE = 60
_CODES = ("state", "country")
_LONGEST_CODE = 3


def texts_of(
    reader: CustomerReader, fields: Sequence[str], *, seconds: float, clock: Callable[[], float] = time.monotonic
) -> dict[str, Counter[str]]:
    """How often which text occurs in each of the fields, of as many customers as can be read in that time."""
    found: dict[str, Counter[str]] = {field: Counter() for field in fields}
    end = clock() + seconds
    for page in reader.pages():
        for row in page:
            filterable = row.filterable
            for field in fields:
                if text := getattr(filterable, field):
                    found[field][text] += 1
        if clock() > end:
            break
    return found


def choices_of(field: str, texts: Counter[str]) -> tuple[Choice, ...]:
    """The choices for a field of whose stored, case-folded `texts` it is known how often each occurs."""
    usable = [text for text, _ in texts.most_common() if len(text) <= _LONGEST_CHOICE and text.isprintable()]
    return tuple(Choice(_shown(field, text), _shown(field, text)) for text in usable[:_MOST_CHOICES])


def _shown(field: str, text: str) -> str:
    """As somebody would write it: "vic" was "VIC", "on hold" was "On hold". Rules do not mind the case."""
    if field in _CODES:
        return text.upper() if len(text) <= _LONGEST_CODE else text.title()
    return text[:1].upper() + text[1:]
