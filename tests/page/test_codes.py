"""Every code that the service answers with has words in the page's text file: another language needs no more."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from chalicelib.domain import health
from chalicelib.domain.address_status import REASONS
from chalicelib.domain.consent.members import ConsentState, OptOut, OptOutRoute, Status
from chalicelib.domain.consent.observations import apply_observation
from chalicelib.domain.consent.rules import Act, decide, decide_removed
from chalicelib.domain.hold_reasons import _RULES, HELD
from chalicelib.domain.planning import RENAMED
from chalicelib.domain.push_results import CONSENT_REFUSALS
from chalicelib.domain.refusals import REFUSALS
from chalicelib.mailchimp.answers import RemoteMember
from chalicelib.sync.consent.observations import observation_of
from chalicelib.sync.consent.webhook_events import _MESSAGES
from chalicelib.sync.segments.views import _LEFT_OUT
from infra.deploy.package import PROJECT
from infra.deploy.page import run_node_text
from tests.domain.consent.test_rules import consents, members, policies, rules_of_the_table

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


def rules_of_the_ledgers_table() -> set[str]:
    rows = (PROJECT / "docs" / "consent.md").read_text(encoding="utf-8").partition("| Rule in the ledger |")[2]
    rules = set(re.findall(r"^\| (.+?) \|", rows.partition("\n\n")[0], re.MULTILINE))
    return {rule for row in rules for rule in re.findall(r"`([a-z-]+)`", row)}


def rules_of_observations() -> set[str]:
    """The rules that are written as texts, in the modules that make observations or entries of the ledger."""
    rules: set[str] = set()
    patterns: set[str] = set()
    makers = {"Observation", "LedgerEntry", "opt_out_entry", "observation_of", "gone"}
    for file in sorted((PROJECT / "chalicelib").rglob("*.py")):
        tree = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        calls = [node for node in tree if isinstance(node, ast.Call)]
        if not {ast.unparse(call.func) for call in calls} & makers:
            continue
        given = [keyword for call in calls for keyword in call.keywords]
        others = {id(keyword.value) for keyword in given if keyword.arg == "code"}
        # Why an address is marked for the next plan is no rule.
        marks = [call for call in calls if ast.unparse(call.func).endswith(".mark")]
        others |= {id(argument) for call in marks for argument in call.args}
        rules |= {str(k.value.value) for k in given if k.arg == "rule" and isinstance(k.value, ast.Constant)}
        texts = [str(node.value) for node in tree if isinstance(node, ast.Constant) and id(node) not in others]
        rules |= {text for text in texts if re.fullmatch(r"[a-z_]+(-[a-z_]+)+", text)}
        patterns |= {
            re.sub(r"\{.*\}", "...", ast.unparse(node)[2:-1])
            for node in tree
            if isinstance(node, ast.JoinedStr)
            and re.fullmatch(r"f'(\{[^}]+\}-[a-z]+|[a-z]+-\{[^}]+\})'", ast.unparse(node))
        }
    assert patterns == {"...-there", "refused-..."}, "name the rules of a new pattern here"
    return rules | {f"refused-{code}" for code in CONSENT_REFUSALS} | set(rules_of_statuses())


def rules_of_statuses() -> Iterator[str]:
    """The rules under which a status that Mailchimp shows is entered, whatever was known before."""
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    noes = [None, *(OptOut(noon, route) for route in get_args(OptOutRoute))]
    theirs = set(get_args(Status)) - {"absent", "forgotten"}  # which Mailchimp shows of nobody
    for shown, known, no in product(sorted(theirs), get_args(Status), noes):
        state = ConsentState("list", known, noon, noon, opt_out=no)
        member = RemoteMember("1", "c1", "ann@clinic.test", shown, last_changed=noon + timedelta(days=1))
        observation = observation_of(member, noon + timedelta(days=1), "pull")
        entry = apply_observation("key", state, None, "list", observation).entry
        if entry is not None:
            yield entry.rule


def rules_of_operations() -> Iterator[str]:
    """The rules by which a run changes a status, or adds somebody."""
    yield RENAMED
    for known, policy in product(members(), policies()):
        decided = [decide_removed(known, policy), *(decide(consent, known, policy) for consent in consents())]
        yield from (verdict.rule for verdict in decided if verdict.act not in (Act.LEAVE, Act.UPDATE))


def test_every_rule_that_is_written_to_the_ledger_has_words_and_is_explained(told: dict[str, set[str]]) -> None:
    explained = rules_of_the_ledgers_table()
    assert len(explained) > 8
    written = rules_of_observations() | set(rules_of_operations())
    assert {"subscribed-there", "yes-absent", "erased", "refused-forgotten", RENAMED} <= written
    assert (explained | written) - told["rules"] == set()
    named = {rule for rule in written if not rule.startswith("refused-")}
    assert named - explained - set(rules_of_the_table()) == set()
