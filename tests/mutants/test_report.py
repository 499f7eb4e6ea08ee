"""The report on faults: which of them count, and how they are told."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.mutants.report import Fault, Report, read_harmless

MODULE = "chalicelib/domain/some.py"
ROOT = Path(__file__).resolve().parents[2]
HARMLESS = Path(__file__).with_name("harmless.toml")


def fault(*change: str, code: int | None = 0, function: str = "decide") -> Fault:
    return Fault("name", function, change, code)


@pytest.mark.parametrize(
    ("before", "after", "is_wording"),
    [
        ('raise ValueError("Fix the address.")', 'raise ValueError("XXFix the address.XX")', True),
        ('fault("value", "Type it again.", "odd")', 'fault("value", "XXType it again.XX", "odd")', True),
        ('fault("value", "Type it again.", "odd")', 'fault("value", "Type it again.", "ODD")', False),
        ("return 'It\\'s not there'", "return 'IT\\'S NOT THERE'", True),
        ('raise ValueError("Fix the address.")', "raise ValueError(None)", False),
        ('return "subscribed"', 'return "XXsubscribedXX"', False),
        ('say("two words", at < 3)', 'say("two words", at <= 3)', False),
    ],
)
def test_a_fault_in_a_sentence_alone_is_wording(before: str, after: str, is_wording: bool) -> None:
    assert fault(f"-{before}", f"+{after}").is_wording is is_wording


def test_what_no_test_noticed_counts_unless_nobody_could_see_it() -> None:
    missed, unreached = fault("-a < b", "+a <= b"), fault("-x", "+y", code=33)
    faults = [missed, unreached, fault("-c", "+d", code=1), fault("-e", "+f", code=-24)]
    harmless = fault("-g", "+h")
    wording = fault('-say("a word")', '+say("XXa wordXX")')
    report = Report(MODULE, [*faults, harmless, wording], {("decide", "-g", "+h"): "no difference"})
    assert report.unnoticed == [missed, unreached]
    assert report.share == 0.5
    assert report.line() == f"{MODULE}: 2 of 4 faults noticed, 50.0% (2 harmless ones)"


def test_a_fault_is_harmless_in_its_own_function_only(tmp_path: Path) -> None:
    rows = tmp_path / "rows.toml"
    rows.write_text(f'[["{MODULE}"]]\nfunction = "decide"\nchange = ["-g", "+h"]\nwhy = "no difference"\n')
    harmless = read_harmless(rows, MODULE)
    report = Report(MODULE, [fault("-g", "+h"), fault("-g", "+h", function="other")], harmless)
    assert [one.function for one in report.unnoticed] == ["other"]
    assert read_harmless(rows, "chalicelib/other.py") == {}


@pytest.mark.parametrize("module", tomllib.loads(HARMLESS.read_text()))
def test_what_is_taken_for_harmless_is_still_in_the_code(module: str) -> None:
    lines = {line.strip() for line in (ROOT / module).read_text().splitlines()}
    before = {line[1:] for row in read_harmless(HARMLESS, module) for line in row[1:] if line.startswith("-")}
    assert before - lines == set()
