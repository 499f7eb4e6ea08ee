"""The command line of the suite; see --help."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from infra.conformance import report
from infra.conformance.probe import Probe
from infra.conformance.requirements import Outcome
from infra.conformance.suite import Options, run_suite


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything that was checked and must be is met, else 1; 2 for a wrong command line."""
    given = _parse(arguments)
    options = Options(
        write=given.write or given.test_address is not None,
        test_address=given.test_address,
        removed=tuple(given.removed),
        jwks_url=given.jwks_url,
        user_token=given.user_token,
        issuer=given.issuer,
    )
    findings = run_suite(Probe(given.url, given.token, given.department), options)
    print(report.as_json(findings) if given.json else report.as_text(findings))
    failing = {Outcome.NOT_MET, Outcome.NOT_CHECKED} if given.strict else {Outcome.NOT_MET}
    return 1 if any(finding.outcome in failing for finding in findings) else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.conformance",
        description="Checks a PracBill server against docs/pracbill-api.yaml. Reads only, unless told to write.",
    )
    for name, meaning in _NEEDED.items():
        default = os.environ.get(name.upper())
        parser.add_argument(f"--{name}", default=default, required=not default, help=f"{meaning}; or ${name.upper()}")
    parser.add_argument("--write", action="store_true", help="also write consent: only such as is so already")
    parser.add_argument("--test-address", help="also turn round, and put back, the consent of this test customer")
    parser.add_argument("--removed", action="append", default=[], metavar="ID", help="a customer that was removed")
    parser.add_argument("--jwks-url", help="also check the key set for users' tokens")
    parser.add_argument("--user-token", help="a user's token to verify against the key set")
    parser.add_argument("--issuer", help="the iss that the user's token must have")
    parser.add_argument("--strict", action="store_true", help="count what could not be checked as not met")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(arguments)


_NEEDED = {
    "url": "base of the API, without a slash at the end",
    "token": "the integration's bearer token",
    "department": "id of a department",
}

if __name__ == "__main__":
    sys.exit(main())
