"""`python -m infra.standins.mailchimp`: run the stand-in until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import gc
import json
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

from . import Latency, MailchimpStandIn, Readings
from .standin import SAVE_EVERY


def read_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.standins.mailchimp", description="A Mailchimp stand-in.")
    usual = Latency()
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--state", type=Path, help="file that keeps the state over restarts")
    parser.add_argument("--no-latency", action="store_true", help="answer at once")
    parser.add_argument("--bulk-base", type=float, default=usual.bulk_base, metavar="S")
    parser.add_argument("--bulk-per-member", type=float, default=usual.bulk_per_member, metavar="S")
    parser.add_argument("--single", type=float, default=usual.single, metavar="S")
    parser.add_argument("--retry-after", type=_seconds, metavar="S,S,...", help="seconds between tries of a webhook")
    parser.add_argument("--save-every", type=float, default=SAVE_EVERY, metavar="S", help="seconds between saves")
    parser.add_argument("--archived-in-listing", action="store_true", help="unfiltered listings hold archived members")
    parser.add_argument("--reading", action="append", default=[], metavar="NAME=VALUE", help="see readings.py")
    return parser.parse_args(arguments)


def _seconds(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def build(arguments: argparse.Namespace) -> MailchimpStandIn:
    latency = Latency(arguments.bulk_base, arguments.bulk_per_member, arguments.single)
    settings = [*arguments.reading, *(["archived_in_listing=true"] if arguments.archived_in_listing else [])]
    return MailchimpStandIn(
        port=arguments.port,
        state=arguments.state,
        latency=Latency.none() if arguments.no_latency else latency,
        readings=Readings().with_text(settings),
        retry_after=arguments.retry_after,
        save_every=arguments.save_every,
    )


def main() -> None:
    # Members live as long as the process: looking through a hundred thousand of them for garbage at every turn
    # would cost more than the calls themselves.
    gc.set_threshold(100_000, 50, 100)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    standin = build(read_arguments()).start()
    about = {"url": standin.url, "control_url": standin.control_url, "api_key": standin.api_key}
    print(json.dumps(about), flush=True)
    ended.wait()
    standin.stop()


if __name__ == "__main__":
    main()
