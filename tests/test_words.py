"""What staff and operators read is plain English, and identifiers are the words of docs/glossary.md.

Walks the string literals of the product that are sentences or parts of them, f-strings included; docstrings, keys and
patterns are not shown to anybody.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

_PRODUCT = Path(__file__).parents[1] / "chalicelib"
_FILES = sorted(_PRODUCT.rglob("*.py"))

# Words of the builders, and turns of phrase that make a reader think twice.
BANNED_PHRASES = (
    *("hear", "hears", "heard", "hearing", "heeds?", "heeded", "untold", "told", "tells?", "whom"),
    *("standings?", "sightings?", "settl(?:e|es|ed|ing)", "enrol(?:ment|led)?", "facets?", "sharers?"),
    *("chunks?", "lanes?", "leases?", "shards?", "cursor is stale", "vault", "outbox", "watermark"),
    *("anew", "mended", "stays so", "in several tries", "by itself at", "goes on by itself", "by themselves"),
    *("the other side", "taken at its word", "passed over", "a fault", "brought to Mailchimp"),
    *("is not in the expected form", "Set '", "at their wish"),
)
_BANNED_PHRASE = re.compile(rf"\b(?:{'|'.join(BANNED_PHRASES)})(?!\w)", re.IGNORECASE)
_SENTENCE = re.compile(r"\w\w+[.,;:]? \w")
_EXPRESSION = re.compile(r" = :\w")  # of DynamoDB

BANNED_IDENTIFIERS = (
    *("heard", "heeded", "heed", "untold", "sighting", "sightings", "standing", "standings", "settle", "settled"),
    *("settling", "hearing", "listen", "enrolment", "suspicion", "suspicions", "luck", "patience", "surroundings"),
    *("vault", "nonsense", "gets_mail", "left_for", "decide_all", "side_by_side", "in_good_order"),
)


def _docstrings(tree: ast.AST) -> set[int]:
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def _literal(node: ast.AST) -> str | None:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _shown(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and text of every literal that reads as words: at least two, parted by a space."""
    left_out = _docstrings(tree)
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if id(node) in left_out:
            continue
        text = _literal(node)
        if text is None:
            waiting.extend(ast.iter_child_nodes(node))
        elif isinstance(node, ast.JoinedStr):
            waiting.extend(part for part in node.values if isinstance(part, ast.FormattedValue))
        if text is not None and _SENTENCE.search(text) and not _EXPRESSION.search(text):
            yield getattr(node, "lineno", 0), text


def _identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield line, name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield line, name
            case ast.keyword(arg=str(name)):
                yield line, name


@cache
def _is_banned(identifier: str) -> bool:
    """Whether one of the banned words is in it, written `AddressStatus` or `_address_status`."""
    parts = f"_{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', identifier).strip('_').lower()}_"
    return any(f"_{word}_" in parts for word in BANNED_IDENTIFIERS)


@cache
def _parsed(source: str) -> ast.Module:
    """Once for all tests: parsing takes longer than looking."""
    return ast.parse(source)


def banned_phrases(source: str) -> list[str]:
    tree = _parsed(source)
    return [
        f"{line}: {found[0]!r} in {text!r}" for line, text in _shown(tree) if (found := _BANNED_PHRASE.search(text))
    ]


def banned_identifiers(source: str) -> list[str]:
    return [f"{line}: {name}" for line, name in _identifiers(_parsed(source)) if _is_banned(name)]


@pytest.mark.parametrize("file", _FILES, ids=lambda file: str(file.relative_to(_PRODUCT)))
def test_what_is_shown_is_plain_english(file: Path) -> None:
    assert banned_phrases(file.read_text()) == []


@pytest.mark.parametrize("file", _FILES, ids=lambda file: str(file.relative_to(_PRODUCT)))
def test_identifiers_are_words_of_the_glossary(file: Path) -> None:
    assert banned_identifiers(file.read_text()) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('raise Error("PracBill was told of it.")', 1),
        ('message = f"{lost} of {total} chunks failed."', 1),
        ("message = f\"{count} waits and hears. {'it is told' if it else 1}\"", 2),
        ('def f():\n    """PracBill hears of it."""', 0),
        ('row["told"] = {"heard": 1}', 0),
        ('message = "The sync was stopped."', 0),
    ],
)
def test_the_check_sees_messages_and_no_keys(source: str, found: int) -> None:
    assert len(banned_phrases(source)) == found


@pytest.mark.parametrize(("source", "found"), [("self._heardFacet = 1", 1), ("def settle(run): ...", 1), ("x.told", 0)])
def test_the_check_sees_identifiers(source: str, found: int) -> None:
    assert len(banned_identifiers(source)) == found


_TEXTS = sorted((_PRODUCT.parent / "web" / "src" / "text" / "en").glob("*.ts"))
_TS_LITERAL = re.compile(r"'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`")


@pytest.mark.parametrize("file", _TEXTS, ids=lambda file: file.stem)
def test_the_page_speaks_plainly_as_well(file: Path) -> None:
    lines = [
        line
        for line in file.read_text(encoding="utf-8").splitlines()
        if not line.lstrip().startswith(("//", "*", "/*"))
    ]
    found = []
    for number, line in enumerate(lines, 1):
        for literal in _TS_LITERAL.finditer(line):
            text = re.sub(r"\$\{[^}]*\}", "…", literal[1] or literal[2] or "")
            if _SENTENCE.search(text) and _BANNED_PHRASE.search(text):
                found.append(f"{number}: {text}")
    assert found == []
