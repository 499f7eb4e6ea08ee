"""What came of the faults that were put into a module."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

# What the tests' end code says, in mutmut's counting. Everything else is a crash or an endless loop: noticed.
_UNNOTICED = {0: "not noticed", 5: "no test reaches it", 33: "no test reaches it"}

_TEXT = re.compile(r"""(["'])(?:(?!\1)[^\\]|\\.)*\1""")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: where, the line before and after, and whether a test failed because of it."""

    name: str
    function: str
    change: tuple[str, ...]
    code: int | None

    @property
    def is_tried(self) -> bool:
        return self.code is not None

    @property
    def is_noticed(self) -> bool:
        return self.code is not None and self.code not in _UNNOTICED

    @property
    def state(self) -> str:
        return "not tried" if self.code is None else _UNNOTICED.get(self.code, "noticed")

    @property
    def is_wording(self) -> bool:
        """Whether only a sentence differs."""
        before, after = ([_without_sentences(line[1:]) for line in self.change if line[0] == sign] for sign in "-+")
        return before == after


def _without_sentences(line: str) -> str:
    """The line without texts that have a space in them: their wording is read by people, not held by tests."""
    return _TEXT.sub(lambda text: '" "' if " " in text[0] else text[0], line)


@dataclass(frozen=True, slots=True)
class Report:
    """The faults of a module, without those that nobody could see."""

    module: str
    faults: Sequence[Fault]
    harmless: Mapping[tuple[str, ...], str]

    @property
    def unnoticed(self) -> list[Fault]:
        return [fault for fault in self._counted if not fault.is_noticed]

    @property
    def share(self) -> float:
        counted = self._counted
        return sum(fault.is_noticed for fault in counted) / len(counted) if counted else 1.0

    def line(self) -> str:
        counted = self._counted
        noticed = sum(fault.is_noticed for fault in counted)
        left_out = len(self.faults) - len(counted)
        return f"{self.module}: {noticed} of {len(counted)} faults noticed, {self.share:.1%} ({left_out} harmless ones)"

    @property
    def _counted(self) -> list[Fault]:
        return [
            fault
            for fault in self.faults
            if fault.is_noticed or not (fault.is_wording or (fault.function, *fault.change) in self.harmless)
        ]


def read_harmless(path: Path, module: str) -> dict[tuple[str, ...], str]:
    """The faults of a module that change nothing anybody could see, each with the reason."""
    rows = tomllib.loads(path.read_text()).get(module, [])
    return {(row["function"], *row["change"]): row["why"] for row in rows}


def read_faults(copy: Path, module: str) -> list[Fault]:
    """What mutmut kept in its copy of the project; empty where it did not get that far."""
    source = copy / "mutants" / module
    kept = source.with_suffix(".py.meta")
    if not kept.is_file():
        return []
    codes: dict[str, int | None] = json.loads(kept.read_text())["exit_code_by_key"]
    spans = json.loads(source.with_suffix(".py.spans").read_text())["spans"]
    lines = source.read_text().splitlines()
    return [_fault(name, code, lines, spans) for name, code in codes.items()]


def _fault(name: str, code: int | None, lines: Sequence[str], spans: Mapping[str, Sequence[int]]) -> Fault:
    mangled = name.rpartition(".")[2]
    stem, _, _ = mangled.partition("__mutmut_")
    before, after = (_body(lines, spans[one], one) for one in (f"{stem}__mutmut_orig", mangled))
    changed = [
        line[0] + line[1:].strip()
        for line in unified_diff(before, after, n=0, lineterm="")
        if line[0] in "+-" and not line.startswith(("+++", "---"))
    ]
    return Fault(name, _function(stem), tuple(changed), code)


def _body(lines: Sequence[str], span: Sequence[int], name: str) -> list[str]:
    first, last = span
    return [line.replace(name, "") for line in lines[first - 1 : last]]


def _function(stem: str) -> str:
    """mutmut writes `x_name` for a function and `xǁClassǁname` for a method."""
    return stem.removeprefix("xǁ").replace("ǁ", ".") if "ǁ" in stem else stem.removeprefix("x_")
