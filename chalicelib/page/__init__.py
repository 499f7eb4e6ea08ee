"""The built page, as it is served. `make page` puts the bundle beside this file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

BUNDLE = Path(__file__).resolve().parent / "pracbill-mailchimp.js"


@lru_cache(maxsize=1)
def bundle() -> str:
    """The page's script. Raises FileNotFoundError where the page was not built."""
    return BUNDLE.read_text(encoding="utf-8")
