"""The stand-in meets every requirement; each broken variant of it fails exactly where it is broken."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.conformance import report
from infra.conformance.__main__ import main
from infra.conformance.probe import Probe
from infra.conformance.requirements import REQUIREMENTS, Finding, Outcome
from infra.conformance.suite import Options, run_suite
from infra.conformance.tokens import check_tokens
from infra.standins.pracbill import PracBillStandIn
from infra.standins.pracbill.answers import Answer, Request, encode
from tests.conformance.variants import VARIANTS, Broken, Proceed, Variant

ROOT = Path(__file__).parents[2]
CUSTOMERS = 40
TEST_ADDRESS = "test.customer@clinic.test"


def prepare(standin: PracBillStandIn) -> Options:
    """A customer to test with and a removed one, as the guide tells developers to make them."""
    standin.upsert("90001", email=TEST_ADDRESS, phone="1", created_at="2024-01-01T00:00:00Z")
    standin.set_consent("90001", "subscribed")
    standin.upsert("90002", email=f" {TEST_ADDRESS.title()}", phone="2")
    standin.upsert("90003", phone="3")
    standin.remove("90003")
    standin.upsert("90004", phone="4")
    standin.generate(8)
    return Options(write=True, test_address=TEST_ADDRESS, removed=("90003",))


def run(standin: PracBillStandIn, options: Options) -> list[Finding]:
    probe = Probe(standin.url, standin.token, standin.department_id)
    probe.session.trust_env = False
    with probe.session:
        return run_suite(probe, options)


def names(findings: list[Finding], outcome: Outcome) -> set[str]:
    return {finding.name for finding in findings if finding.outcome is outcome}


@pytest.fixture(scope="module")
def seeded() -> Iterator[PracBillStandIn]:
    """The department of 2,000, for runs that only read."""
    with PracBillStandIn() as standin:
        yield standin


def test_the_stand_in_meets_every_requirement() -> None:
    with PracBillStandIn(customers=CUSTOMERS) as standin:
        options = prepare(standin)
        tokens = Options(
            **{name: getattr(options, name) for name in ("write", "test_address", "removed")},
            jwks_url=standin.jwks_url,
            user_token=standin.mint(alg="RS256"),
            issuer=standin.issuer,
        )
        findings = run(standin, tokens)
    assert {finding.name: finding.seen for finding in findings if finding.outcome is not Outcome.OK} == {}
    assert [finding.name for finding in findings] == list(REQUIREMENTS)


def test_the_full_department_meets_every_requirement_that_reading_shows(seeded: PracBillStandIn) -> None:
    findings = run(seeded, Options())
    assert names(findings, Outcome.NOT_MET) | names(findings, Outcome.ADVICE) == set()
    unchecked = names(findings, Outcome.NOT_CHECKED)
    assert unchecked == {name for name in REQUIREMENTS if name.startswith("consent-")} | {"key-set", "user-token"}


def test_reading_alone_writes_nothing(seeded: PracBillStandIn) -> None:
    before = seeded.call_counts["POST marketing-consent"]
    run(seeded, Options())
    assert seeded.call_counts["POST marketing-consent"] == before
    assert seeded.consent_changes() == []


def test_writing_without_a_test_address_changes_no_customer() -> None:
    with PracBillStandIn(customers=CUSTOMERS) as standin:
        before = standin.customers()
        findings = run(standin, Options(write=True))
        assert standin.customers() == before
        assert len(standin.consent_changes()) > 3
    assert "consent-repeat-changes-nothing" in names(findings, Outcome.OK)


def test_a_test_address_gets_its_consent_back() -> None:
    with PracBillStandIn(customers=CUSTOMERS) as standin:
        options = prepare(standin)
        run(standin, options)
        run(standin, options)
        stored = standin.customer("90001")
        assert stored is not None and stored["marketing_consent"]["status"] == "subscribed"


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_a_broken_server_fails_where_it_is_broken_and_nowhere_else(variant: Variant) -> None:
    with Broken(variant.alter, customers=CUSTOMERS) as standin:
        options = prepare(standin)
        findings = run(standin, options)
    told = {finding.name: finding.seen for finding in findings if finding.outcome in (Outcome.NOT_MET, Outcome.ADVICE)}
    assert told.keys() == variant.breaks | variant.advice, told
    assert names(findings, Outcome.ADVICE) == variant.advice
    assert all(told.values())


def test_every_requirement_that_can_be_broken_by_an_answer_has_a_variant() -> None:
    elsewhere = {"pages-in-time", "key-set", "user-token"}
    broken = set().union(*(variant.breaks | variant.advice for variant in VARIANTS))
    assert broken == REQUIREMENTS.keys() - elsewhere


def test_a_live_department_that_changes_meanwhile_is_not_blamed() -> None:
    def alive(standin: Broken, request: Request, proceed: Proceed) -> Answer:
        """Something happens in PracBill before every call."""
        turn = standin.memory["turn"] = standin.memory.get("turn", 0) + 1
        customers = standin.customers()
        chosen = customers[turn * 7 % len(customers)]["id"]
        standin.add_invoice(chosen, "10.00")
        if turn % 4 == 0:
            standin.remove(customers[turn * 5 % len(customers)]["id"])
            standin.upsert(f"{50_000 + turn}", phone="new")
        return proceed(request)

    with Broken(alive, customers=200) as standin:
        findings = run(standin, Options())
    assert {f.name: f.seen for f in findings if f.outcome is Outcome.NOT_MET} == {}


def test_an_empty_department_is_fine_but_shows_little() -> None:
    with PracBillStandIn(customers=0) as standin:
        findings = run(standin, Options(write=True, test_address=TEST_ADDRESS))
    assert names(findings, Outcome.NOT_MET) == set()
    assert {"field-types", "changes-ties-kept", "removed-reported"} <= names(findings, Outcome.NOT_CHECKED)


@pytest.mark.parametrize("kind", ["nonsense", "truncated", "status", "drop", "drop_midway"])
def test_a_server_that_is_out_of_order_is_reported_not_suffered(kind: str) -> None:
    with PracBillStandIn(customers=CUSTOMERS) as standin:
        standin.inject(kind, calls=10_000)
        findings = run(standin, Options(write=True, test_address=TEST_ADDRESS))
    assert "department-read" in names(findings, Outcome.NOT_MET)


@pytest.mark.parametrize(
    "page",
    [
        None,
        7,
        [],
        {},
        {"customers": None},
        {"customers": {}, "next_after": None, "next_cursor": None, "as_of": "2026-01-01T00:00:00Z"},
        {"customers": [1, None, "x", [], {}], "next_after": 5, "next_cursor": {}, "as_of": 3},
        {"customers": [{"id": "1", "updated_at": "soon", "deleted": 3, "address": [], "marketing_consent": "yes"}]},
        {
            "customers": [
                {"id": "1", "updated_at": "2026-01-01T00:00:00Z", "email": [], "marketing_consent": {"status": {}}}
            ],
            "next_after": None,
            "next_cursor": None,
            "as_of": "9999-99-99T00:00:00Z",
        },
        {"customers": [], "next_after": "x", "next_cursor": "x", "as_of": "2026-01-01T00:00:00Z"},
    ],
)
def test_pages_of_any_shape_are_reported_not_suffered(page: object) -> None:
    def strange(standin: Broken, request: Request, proceed: Proceed) -> Answer:
        answer = proceed(request)
        is_department = len(request.segments) == 2
        return answer if is_department else Answer(200, encode(page))

    with Broken(strange, customers=0) as standin:
        findings = run(standin, Options(write=True, test_address=TEST_ADDRESS))
    assert names(findings, Outcome.NOT_MET) & {
        "customers-page-shape",
        "id-and-updated-at",
        "customers-next-after",
        "field-types",
    }


def test_no_address_or_name_is_shown() -> None:
    def mistyped(standin: Broken, request: Request, proceed: Proceed) -> Answer:
        answer = proceed(request)
        if request.segments[-1] == "customers" and request.method == "GET":
            page = answer.json()
            for customer in page["customers"]:
                customer["created_at"] = "Secretname"
                customer["balance"] = "Secretname"
                customer["email"] = ["secret@clinic.test"]
            return Answer(200, encode(page))
        return answer

    with Broken(mistyped, customers=CUSTOMERS) as standin:
        options = prepare(standin)
        text = report.as_text(run(standin, options)).lower()
    assert "secret" not in text
    assert "@clinic" not in text


def test_a_slow_page_is_worth_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.conformance.listing._SLOW_SECONDS", 0.0)
    with PracBillStandIn(customers=CUSTOMERS) as standin:
        assert "pages-in-time" in names(run(standin, Options()), Outcome.ADVICE)


def test_a_key_set_that_shows_private_parts_is_not_met() -> None:
    def careless(standin: Broken, request: Request, proceed: Proceed) -> Answer:
        answer = proceed(request)
        if request.segments[-1] != "jwks.json":
            return answer
        keys = answer.json()["keys"]
        return Answer(200, encode({"keys": [{**key, "d": "x"} for key in keys]}))

    with Broken(careless, customers=0) as standin:
        findings = run(standin, Options(jwks_url=standin.jwks_url))
    assert names(findings, Outcome.NOT_MET) == {"key-set"}


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"iss": "https://elsewhere.test"},
        {"exp": None},
        {"exp": 1},
        {"mailchimp_access": None},
        {"mailchimp_access": "write"},
        {"mailchimp_access": {"melbourne-north": "admin"}},
    ],
)
def test_a_token_that_the_integration_would_refuse_is_not_met(seeded: PracBillStandIn, claims: dict[str, Any]) -> None:
    token = seeded.mint(claims=claims)
    findings = check_tokens(seeded.jwks_url, user_token=token, issuer=seeded.issuer)
    assert names(findings, Outcome.NOT_MET) == {"user-token"}


# The command line


def command(standin: PracBillStandIn, *more: str) -> list[str]:
    # In one word: a token may begin with a dash.
    return ["--url", standin.url, f"--token={standin.token}", "--department", standin.department_id, *more]


def test_the_command_reports_and_ends_with_0_when_all_is_met(seeded: PracBillStandIn) -> None:
    arguments = [sys.executable, "-m", "infra.conformance"]
    environment = {"URL": seeded.url, "TOKEN": seeded.token, "DEPARTMENT": seeded.department_id, "PATH": ""}
    result = subprocess.run(
        arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "ok           customers-in-order (2,000 customers" in result.stdout
    assert "45 requirements: " in result.stdout


def test_the_command_says_what_was_seen_and_what_to_fix_and_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    broken = next(variant for variant in VARIANTS if variant.name == "ignores_the_limit_of_all_customers")
    with Broken(broken.alter, customers=CUSTOMERS) as standin:
        assert main(command(standin)) == 1
    told = capsys.readouterr().out
    part = told[told.index("NOT MET") :].split("\nok", 1)[0]
    assert part.splitlines()[0] == "NOT MET      customers-limit-kept"
    assert [line.split()[0] for line in part.splitlines()[1:]] == ["required:", "seen:", "fix:"]
    assert "page 1 holds 40 where 10 was the limit" in part


def test_advice_alone_ends_with_0_and_strict_takes_what_was_not_checked_for_not_met(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with PracBillStandIn(customers=CUSTOMERS) as standin:
        prepare(standin)
        assert main(command(standin)) == 0
        assert main(command(standin, "--strict")) == 1
    assert "not checked  key-set" in capsys.readouterr().out


def test_json_holds_the_same_findings(seeded: PracBillStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    main(command(seeded, "--json"))
    entries = json.loads(capsys.readouterr().out)
    assert [entry["requirement"] for entry in entries] == list(REQUIREMENTS)
    assert Counter(entry["outcome"] for entry in entries)["not met"] == 0


def test_a_removed_customer_that_is_not_reported_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with PracBillStandIn(customers=CUSTOMERS) as standin:
        assert main(command(standin, "--removed", "424242")) == 1
    assert "customer 424242 was removed and is not reported" in capsys.readouterr().out


def test_an_unreachable_server_is_not_met_and_the_rest_not_checked(capsys: pytest.CaptureFixture[str]) -> None:
    with PracBillStandIn(customers=0) as standin:
        arguments = command(standin, "--jwks-url", standin.jwks_url)
    assert main(arguments) == 1
    told = capsys.readouterr().out
    assert "no answer (ConnectionError)" in told
    assert "2 not met" in told


def test_a_wrong_token_is_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    with PracBillStandIn(customers=0) as standin:
        assert main(["--url", standin.url, "--token", "wrong", "--department", standin.department_id]) == 1
    assert "the answer is 401" in capsys.readouterr().out


def test_a_command_line_without_a_url_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("URL", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["--token", "t", "--department", "d"])
    assert ended.value.code == 2
