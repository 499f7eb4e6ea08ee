"""Random histories of the whole service, one after another.

make soak                                     200 histories, or SOAK_HISTORIES, or as many as SOAK_SECONDS allow
make soak SEED=17                             one history, told step by step
make soak SEED=17 SHORTEN=1                   and the shortest one that goes wrong alike
make soak SCRIPT=history.txt                  one that somebody wrote, or shortened
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import tests.conftest  # noqa: F401 - sets what the product reads when it is imported
from tests.conftest import pytest_configure

from infra.standins.pracbill import PracBillStandIn  # isort: skip
from tests.soak.aws import emulated_aws
from tests.soak.generator import ALL, NOT_YET, write_history
from tests.soak.history import Now, Outcome, play
from tests.soak.script import Step, read_script, write_script
from tests.soak.shrinking import shorten

_HISTORIES = 200


class Stage:
    """Plays histories on one emulator."""

    def __init__(self, aws: str, pracbill: PracBillStandIn, now: Now) -> None:
        self._aws, self._pracbill, self._now = aws, pracbill, now

    def play(self, steps: Sequence[Step], seed: int) -> Outcome:
        return play(self._aws, self._pracbill, self._now, steps, seed=seed)


def main() -> int:
    logging.disable(logging.CRITICAL)  # what the service logs of its own faults is told by the oracle
    pytest_configure()  # nothing leaves this machine
    now = Now()
    with emulated_aws() as aws, PracBillStandIn(customers=0, now=now) as pracbill:
        stage = Stage(aws, pracbill, now)
        if os.environ.get("SCRIPT"):
            return _one(stage, read_script(Path(os.environ["SCRIPT"]).read_text()), seed=1)
        if os.environ.get("SEED"):
            seed = int(os.environ["SEED"])
            return _one(stage, write_history(seed, _without()), seed)
        return _many(stage)


def _without() -> frozenset[str]:
    """SOAK_ALL=1: with what the service is known not to hold yet."""
    return ALL if os.environ.get("SOAK_ALL") else NOT_YET


def _one(stage: Stage, steps: Sequence[Step], seed: int) -> int:
    outcome = stage.play(steps, seed)
    _tell(*outcome.notes, "", *(outcome.faults or ["All is right."]))
    if outcome.faults and os.environ.get("SHORTEN"):
        kinds = {_kind(fault) for fault in outcome.faults}
        short = shorten(steps, lambda some: any(_kind(fault) in kinds for fault in stage.play(some, seed).faults))
        outcome = stage.play(short, seed)
        _tell("", "Shortened:", write_script(short), "", *outcome.notes, "", *outcome.faults)
    return 1 if outcome.faults else 0


def _kind(fault: str) -> str:
    """The fault without its addresses and numbers, by which a shortened history goes wrong alike."""
    return " ".join(word for word in fault.split() if word.isalpha())[:40]


def _many(stage: Stage) -> int:
    first = int(os.environ.get("SOAK_FIRST") or 1)
    histories = int(os.environ.get("SOAK_HISTORIES") or _HISTORIES)
    seconds = float(os.environ.get("SOAK_SECONDS") or "inf")
    end, wrong, played = time.monotonic() + seconds, [], 0
    for seed in range(first, first + histories):
        if time.monotonic() > end:
            break
        outcome = stage.play(write_history(seed, _without()), seed)
        played += 1
        if outcome.faults:
            wrong.append(seed)
            _tell(f"Seed {seed} went wrong (make soak SEED={seed} SHORTEN=1):", *outcome.notes, "", *outcome.faults, "")
    _tell(f"{played} histories, {len(wrong)} went wrong{': ' if wrong else ''}{', '.join(map(str, wrong))}")
    return 1 if wrong else 0


def _tell(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
