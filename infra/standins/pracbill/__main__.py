"""Serve the stand-in until SIGTERM or SIGINT; see --help. The first line of output, JSON, says where it is."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence

from infra.standins.pracbill.seeding import PER
from infra.standins.pracbill.standin import PracBillStandIn
from infra.standins.pracbill.state import UnusableState

_TOKEN_LIFE_SECONDS = 30 * 24 * 3600


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    # Watched for before anything is announced: whoever reads the line may stop us at once.
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        standin = PracBillStandIn(
            customers=options.customers, seed=options.seed, state=options.state, port=options.port, token=options.token
        )
    except (UnusableState, OSError) as error:
        print(f"pracbill stand-in: {error}", file=sys.stderr)
        return 1
    with standin:
        announcement = json.dumps(_announcement(standin))
        # What others are told must hold after a crash too: the tokens' keys are on disk before anybody has a token.
        standin.save()
        print(announcement, flush=True)
        stopped.wait()
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.standins.pracbill", description="A stand-in for PracBill.")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--state", help="file to start from and to keep; without it nothing outlives the process")
    parser.add_argument("--customers", type=int, default=PER, help="size of a newly seeded department")
    parser.add_argument("--seed", type=int, default=1, help="another seed gives other customers")
    parser.add_argument("--token", help="the token callers must bear; by default a random one, kept in the state")
    return parser.parse_args(arguments)


def _announcement(standin: PracBillStandIn) -> dict[str, object]:
    return {
        "url": standin.url,
        "control_url": standin.control_url,
        "token": standin.token,
        "jwks_url": standin.jwks_url,
        "issuer": standin.issuer,
        "department_id": standin.department_id,
        "second_department_id": standin.second_department_id,
        "tokens": {
            need: standin.mint(f"{need}-user", need, expires_in=_TOKEN_LIFE_SECONDS) for need in ("read", "write")
        },
    }


if __name__ == "__main__":
    sys.exit(main())
