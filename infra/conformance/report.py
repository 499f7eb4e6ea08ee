"""Findings as text for people and as JSON for machines."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Sequence

from infra.conformance.requirements import Finding, Outcome

_WIDTH = 100
_MARKS = {Outcome.OK: "ok", Outcome.NOT_MET: "NOT MET", Outcome.ADVICE: "advice", Outcome.NOT_CHECKED: "not checked"}


def as_text(findings: Sequence[Finding]) -> str:
    lines = [line for finding in findings for line in _told(finding)]
    counts = Counter(finding.outcome for finding in findings)
    total = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome)
    return "\n".join([*lines, "", f"{len(findings)} requirements: {total}"])


def _told(finding: Finding) -> list[str]:
    head = f"{_MARKS[finding.outcome]:<12} {finding.name}"
    if finding.outcome in (Outcome.OK, Outcome.NOT_CHECKED):
        return [f"{head} ({finding.seen})"]
    requirement = finding.requirement
    return [
        head,
        *_paragraph("required:", requirement.statement),
        *_paragraph("seen:", finding.seen),
        *_paragraph("fix:", requirement.fix),
    ]


def _paragraph(label: str, text: str) -> list[str]:
    indent = " " * 13
    return textwrap.wrap(text, _WIDTH, initial_indent=f"{indent}{label:<10}", subsequent_indent=indent + " " * 10)


def as_json(findings: Sequence[Finding]) -> str:
    entries = [
        {
            "requirement": finding.name,
            "outcome": finding.outcome.value,
            "statement": finding.requirement.statement,
            "seen": finding.seen,
            "fix": finding.requirement.fix,
        }
        for finding in findings
    ]
    return json.dumps(entries, indent=2, ensure_ascii=False)
