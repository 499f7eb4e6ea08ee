"""Texts that came from outside."""

from __future__ import annotations


def text_of(value: object) -> str:
    """A text that can be stored; anything else is empty.

    Half characters (lone surrogates, which JSON can bring and no table holds) become `?`.
    """
    if not isinstance(value, str):
        return ""
    return value if value.isascii() else value.encode(errors="replace").decode()
