"""The table that the benchmark prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One result. `is_met` is None where there is no target, or nothing was measured."""

    name: str
    value: str
    target: str = ""
    is_met: bool | None = None

    @property
    def verdict(self) -> str:
        return "" if self.is_met is None else "ok" if self.is_met else "missed"


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    rows: Sequence[Row]


def at_least(name: str, value: float, limit: float, unit: str) -> Row:
    return Row(name, f"{value:,.0f} {unit}", f">= {limit:,.0f} {unit}", value >= limit)


def at_most(name: str, value: int, limit: int, unit: str = "") -> Row:
    return Row(name, f"{value:,} {unit}".rstrip(), f"{limit:,}" if limit == 0 else f"<= {limit:,}", value <= limit)


def note(name: str, value: str) -> Row:
    return Row(name, value)


def unmeasured(name: str, target: str) -> Row:
    return Row(name, "not measured on this system", target)


def to_text(sections: Sequence[Section]) -> str:
    rows = [row for section in sections for row in section.rows]
    widths = [max(len(cell) for cell in column) for column in zip(*map(_cells, rows), strict=True)]
    lines = []
    for section in sections:
        lines += ["", section.title]
        lines += [_line(row, widths) for row in section.rows]
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, str, str, str]:
    return row.name, row.value, row.target, row.verdict


def _line(row: Row, widths: Sequence[int]) -> str:
    return "  " + "  ".join(cell.ljust(width) for cell, width in zip(_cells(row), widths, strict=True)).rstrip()
