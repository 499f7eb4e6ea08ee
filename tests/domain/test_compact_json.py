"""JSON as it is stored."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.compact_json import from_json, to_json

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=8)


@given(VALUES)
def test_it_is_what_pythons_own_writer_writes(value: object) -> None:
    """Fingerprints are taken of it: another text of the same value would make every customer look changed."""
    text = to_json(value)
    assert text == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert from_json(text) == value


def test_half_characters_become_question_marks() -> None:
    assert from_json(to_json(["a\ud800b", {"c": "\udfff"}])) == ["a?b", {"c": "?"}]
