"""Countries as practices write them: two or three letters, a name, a usual short form. Mailchimp wants two letters.

The names are in country_names.json, made by infra/deploy/countries.py from ISO 3166-1 and Unicode CLDR; they are read
when the first address needs them, which most functions never do.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from unicodedata import combining, normalize

NAMES_FILE = Path(__file__).with_name("country_names.json")
_NO_LETTERS = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME = 100
_LONGEST_CODE = 3


@lru_cache(maxsize=2000)
def country_code(country: str) -> str:
    """The assigned ISO 3166-1 code of a country; empty for what names none: a wrong country is worse than none."""
    if len(country) <= _LONGEST_CODE and not country.isascii():
        return ""  # a code has no accents: without them it would be another one's
    return _names().get(plain_name(country[:_LONGEST_NAME]), "")


def plain_name(name: str) -> str:
    """A name without what people write now one way, now another: case, accents, dots, "and", "the", "St".

    >>> plain_name("U.S.A."), plain_name("St. Kitts & Nevis"), plain_name("Türkiye")
    ('usa', 'saint kitts nevis', 'turkiye')
    """
    letters = "".join(sign for sign in normalize("NFKD", name.casefold()) if not combining(sign))
    words = _NO_LETTERS.sub(" ", letters.replace("'", "").replace("’", "")).split()
    if all(len(word) == 1 for word in words) or len(words) == 1:
        return "".join(words)  # ST and AND are codes
    return " ".join("saint" if word == "st" else word for word in words if word not in ("the", "and"))


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    names: dict[str, str] = json.loads(NAMES_FILE.read_text(encoding="ascii"))
    return names
