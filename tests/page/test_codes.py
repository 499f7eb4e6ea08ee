"""Every code that the service answers with has words in the page's text file: another language needs no more."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from chalicelib.domain import health
from chalicelib.domain.address_status import REASONS
from chalicelib.domain.hold_reasons import _RULES, HELD
from chalicelib.domain.refusals import REFUSALS
from chalicelib.sync.consent.webhook_events import _MESSAGES
from chalicelib.sync.segments.views import _LEFT_OUT
from infra.deploy.package import PROJECT
from infra.deploy.page import run_node_text

_PRINT = """
import { en } from './src/text/en.ts';
const codes = (texts) => Object.keys(texts);
console.log(JSON.stringify({
  findings: codes(en.findings), cases: codes(en.cases), reasons: codes(en.run.reasons),
  reconciliation: codes(en.reconciliation.reasons), differences: codes(en.segments.differences),
  messages: codes(en.messages), rules: codes(en.customer.ledger.rules),
}));
"""
# Whose words quote what single customers or servers have: those of the service are shown.
_QUOTING = {"stopped", "gave_up", "chunks_lost", "nothing_went_through", "fields_restored", "segment_failed"}


@pytest.fixture(scope="module")
def told() -> dict[str, set[str]]:
    said = run_node_text("--input-type=module", "-e", _PRINT)
    return {name: set(codes) for name, codes in json.loads(said).items()}


def codes_in(*files: str) -> set[str]:
    """The codes that these modules write beside their sentences."""
    text = "".join((PROJECT / "chalicelib" / file).read_text(encoding="utf-8") for file in files)
    return set(re.findall(r'code="([a-z_]+)"', text))


def test_every_finding_has_words(told: dict[str, set[str]]) -> None:
    files = [Path(health.__file__), PROJECT / "chalicelib" / "domain" / "preflight.py"]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    codes = set(re.findall(r'Finding\(\s*"([a-z_]+)"', text)) | {row[0] for row in health._READABLE.values()}
    assert len(codes) > 15
    assert codes | set(health._STATES) <= told["findings"]


def test_every_case_of_a_record_has_words(told: dict[str, set[str]]) -> None:
    assert set(HELD) | set(REFUSALS) <= told["cases"]
    assert set(_RULES) <= told["reasons"]


def test_every_part_of_a_difference_has_words(told: dict[str, set[str]]) -> None:
    assert set(REASONS) == told["reconciliation"]
    assert set(_LEFT_OUT) == told["differences"]


def test_every_message_of_a_run_and_of_the_sync_logs_has_words(told: dict[str, set[str]]) -> None:
    runs = {"running", "waiting", "rate_limit_exceeded", "dry_run", "nothing_to_do", "synced", "pulled"}
    files = (
        *(f"sync/runs/{name}.py" for name in ("lifecycle", "runs", "sweeper", "orchestrator", "pull_phase")),
        *(f"sync/segments/{name}.py" for name in ("segments_phase", "segment_notes", "tag_readiness")),
        *("sync/consent/webhook_events.py", "sync/consent/erasure.py"),
    )
    said = codes_in(*files)
    assert len(said) > 8
    assert runs | set(_MESSAGES) | set(health._STATES) | said - _QUOTING - {""} <= told["messages"]


def test_every_rule_of_the_ledger_has_words(told: dict[str, set[str]]) -> None:
    rows = (PROJECT / "docs" / "consent.md").read_text(encoding="utf-8").partition("| Rule in the ledger |")[2]
    rules = set(re.findall(r"^\| (.+?) \|", rows.partition("\n\n")[0], re.MULTILINE))
    named = {rule for row in rules for rule in re.findall(r"`([a-z-]+)`", row)}
    assert len(named) > 8
    assert named <= told["rules"]
