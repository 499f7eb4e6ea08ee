"""A history from its beginning to the oracle's word: steps are taken, runs run, then all comes to rest."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chalicelib.domain.runs import RunType
from infra.standins.pracbill import PracBillStandIn
from tests.soak import actors
from tests.soak.clock import Clock
from tests.soak.oracle import Oracle
from tests.soak.product import RefuseRequest
from tests.soak.script import Step
from tests.soak.world import Stuck, World

# Runs that staff start, by the kind in a script.
_TYPES: Mapping[str, RunType] = {"full": "full", "incremental": "incremental", "segments": "segments"}
_NUMBERS = itertools.count(1)


@dataclass
class Outcome:
    """What the oracle found wrong, and the history as it went."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Now:
    """The clock of the history that is played, for the PracBill that outlives it: making one takes long."""

    def __init__(self) -> None:
        self.clock = Clock()

    def __call__(self):  # type: ignore[no-untyped-def]
        return self.clock()


def play(aws: str, pracbill: PracBillStandIn, now: Now, steps: Sequence[Step], *, seed: int) -> Outcome:
    """Play a script and hear the oracle. The seed decides the order of messages that may come in any order."""
    now.clock = Clock()
    world = World(aws, pracbill, now.clock, f"soak-{os.getpid()}-{next(_NUMBERS)}", seed)
    with world.open():
        oracle = Oracle(world)
        world.take = lambda step: actors.take(world, step)
        try:
            _begin(world)
            _live(world, steps)
            _rest(world, oracle)
        except Stuck as stuck:
            oracle.blame(str(stuck))
        return Outcome(oracle.faults, world.notes)


def _begin(world: World) -> None:
    world.take(Step("staff", "select", ("new",)))
    world.work_to_the_end()


def _live(world: World, steps: Sequence[Step]) -> None:
    during: list[Step] = []
    for step in steps:
        if step.is_during:
            during.append(step)
        elif step.actor == "sync":
            _run(world, step, tuple(during))
            during = []
        else:
            world.clock.move(seconds=20)
            world.take(step)
            if step.actor == "staff":
                world.work_to_the_end()


def _run(world: World, step: Step, during: tuple[Step, ...]) -> None:
    world.clock.move(minutes=5)
    started = run(world, step.act, during)
    world.notes.append(f"{world.clock():%d %H:%M:%S} {step}   [{started}]")


def run(world: World, kind: str, during: tuple[Step, ...] = ()) -> str:
    """A run to its end, as far as it gets there by itself; answers what came of it."""
    culprits = world.tap.culprits
    world.tap.begin(during)
    world.tap.culprits = culprits
    world.control.reset_journal()
    try:
        if kind == "schedule":
            world.product.schedule(f"occasion-{world.clock():%d%H%M%S}")
        else:
            world.product.service.runs.start(world.id, _TYPES[kind], dry_run=False, by="user-1")
    except RefuseRequest as refused:
        world.tap.begin(())
        return f"refused: {refused}"[:100]
    world.tap.is_quiet = False
    _work_and_approve(world)
    world.tap.is_quiet = True
    missed = [str(step) for step in world.tap.waiting]
    world.tap.begin(())
    world.executioner.order(0)
    latest = world.product.service.runs.list(world.id, limit=1, after=None)[0][0]
    return f"{latest.status}: {latest.message}" + (f" (did not come to pass: {missed})" if missed else "")


def _rest(world: World, oracle: Oracle) -> None:
    """No more faults, everything delivered, back-offs over, an incremental and a full sync; then the oracle looks."""
    world.tap.begin(())
    world.executioner.order(0)
    world.notes.append("--- rest")
    world.take(Step("machine", "deliver", ("shuffled",)))
    _work_and_approve(world)
    world.clock.move(days=8)
    for kind in ("incremental", "full"):
        world.clock.move(minutes=10)
        world.notes.append(f"sync {kind}   [{run(world, kind)}]")
        _work_and_approve(world)
        world.take(Step("machine", "deliver", ("all",)))
    oracle.look()
    world.clock.move(minutes=10)
    world.notes.append(f"sync incremental   [{run(world, 'incremental')}]")
    oracle.look_at_a_further_sync()


def _work_and_approve(world: World) -> None:
    """Work until no run is active; staff approve what the brake stopped."""
    world.work_to_the_end()
    for _ in range(3):
        if not world.is_braked():
            return
        world.take(Step("staff", "approve"))
        world.work_to_the_end()
