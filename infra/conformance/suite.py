"""Runs the checks and puts the findings in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from infra.conformance.access import check_access, check_department
from infra.conformance.changes import check_changes
from infra.conformance.consent import check_test_address, check_writing
from infra.conformance.evidence import gather
from infra.conformance.listing import check_customers, check_listing
from infra.conformance.probe import Probe
from infra.conformance.requirements import REQUIREMENTS, Finding, Outcome, not_checked
from infra.conformance.tokens import check_tokens


@dataclass(frozen=True, slots=True)
class Options:
    """What to look at besides what is always looked at.

    `write`: repeat consents that are so already. `test_address`: an address whose consent may be changed.
    `removed`: ids of customers that were removed.
    """

    write: bool = False
    test_address: str | None = None
    removed: tuple[str, ...] = ()
    jwks_url: str | None = None
    user_token: str | None = None
    issuer: str | None = None


def run_suite(probe: Probe, options: Options | None = None) -> list[Finding]:
    """One finding for every requirement, in the order of the catalogue."""
    found = {finding.name: finding for finding in _findings(probe, options or Options())}
    return [found.get(name) or not_checked(name, _why_not(name, found)) for name in REQUIREMENTS]


def _findings(probe: Probe, options: Options) -> Iterator[Finding]:
    department = check_department(probe)
    yield department
    if options.jwks_url:
        yield from check_tokens(options.jwks_url, user_token=options.user_token, issuer=options.issuer)
    if department.outcome is Outcome.NOT_MET and probe.get().status != 200:
        return
    yield from check_access(probe)
    evidence = gather(probe)
    yield from check_listing(probe, evidence)
    yield from check_customers(evidence)
    yield from check_changes(probe, evidence, removed=options.removed)
    # Last, so that nothing that is written can be taken for something that was read.
    if options.write:
        yield from check_writing(probe, evidence)
    if options.test_address:
        yield from check_test_address(probe, evidence, options.test_address)


def _why_not(name: str, found: dict[str, Finding]) -> str:
    if name in ("key-set", "user-token"):
        return "give --jwks-url"
    if "token-required" not in found:
        return "the department could not be read"
    if name in ("consent-changes-customers", "consent-moves-updated-at", "consent-old-news-ignored"):
        return "give --test-address, of a customer made for tests"
    return "give --write"
