"""Some dozen random histories of the whole service, and the named ones that once went wrong.

`make soak` plays many more; when one fails here, `make soak SEED=...` tells it step by step.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.standins.pracbill import PracBillStandIn
from tests.soak.__main__ import Stage
from tests.soak.aws import emulated_aws
from tests.soak.cases import CASES, NOT_YET
from tests.soak.generator import write_history
from tests.soak.history import Now
from tests.soak.script import read_script, write_script

SEEDS = range(1, 13)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    now = Now()
    with emulated_aws() as aws, PracBillStandIn(customers=0, now=now) as pracbill:
        yield Stage(aws, pracbill, now)


def check(stage: Stage, script: str, seed: int) -> None:
    outcome = stage.play(read_script(script), seed)
    told = "\n".join((*outcome.notes, "", *outcome.faults))
    assert not outcome.faults, f"make soak SEED={seed} SHORTEN=1 (or SCRIPT=... with the steps below)\n{told}"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_history_comes_out_right(stage: Stage, seed: int) -> None:
    check(stage, write_script(write_history(seed)), seed)


@pytest.mark.parametrize("name", [name for name in CASES if name not in NOT_YET])
def test_what_once_went_wrong_comes_out_right(stage: Stage, name: str) -> None:
    check(stage, CASES[name], seed=1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_seed_writes_the_same_history_again_and_its_text_is_the_history(seed: int) -> None:
    steps = write_history(seed)
    assert write_history(seed) == steps == read_script(write_script(steps))
