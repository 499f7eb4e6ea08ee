"""How far each phase of a run is, told while its steps go on.

A step takes up to some minutes and saves the run at its end. What staff watch meanwhile is written beside the run, in
an item for each phase, so that it never stands in the way of what changes the run itself.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from chalicelib.contract.runs import PhaseProgress, PhaseState, ProgressUnit, RunProgress
from chalicelib.domain.runs import PhaseCount, ProgressPhase, Run, rate_and_finish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.store.runs import RunStore
    from chalicelib.sync.ports import Clock

# Nobody sees a number change faster.
_TOLD_EVERY = timedelta(seconds=1)

_UNITS: Mapping[ProgressPhase, ProgressUnit] = {
    "pull": "members",
    "ingest": "customers",
    "plan": "addresses",
    "apply": "changes",
    "segments": "members",
}
_ORDER: tuple[ProgressPhase, ...] = ("pull", "ingest", "plan", "apply", "segments")


class PhaseReporter:
    """Tells of one phase during one step. A step that comes again counts what it repeats once more: an estimate.

    Of a phase that several functions work on at once each tells its own `part`; they are added up.
    """

    def __init__(self, runs: RunStore, run: Run, phase: ProgressPhase, clock: Clock, *, part: str = "") -> None:
        self._runs, self._run, self._phase, self._clock, self._part = runs, run, phase, clock, part
        is_first = not (run.cursor or part)  # a phase's first step has no cursor yet
        self._count = (None if is_first else runs.phase(run, phase, part=part)) or PhaseCount(since=clock())
        self._told_at: datetime | None = None

    def expect_more(self, planned: int | None) -> None:
        """So many are still to come; None when nobody knows."""
        total = None if planned is None else self._count.done + planned
        self._count = replace(self._count, planned=total)
        self.tell()

    def add(self, done: int) -> None:
        self._count = replace(self._count, done=self._count.done + done)
        if self._told_at is None or self._clock() - self._told_at >= _TOLD_EVERY:
            self.tell()

    def tell(self) -> None:
        """Write it down now."""
        self._told_at = self._clock()
        self._runs.put_phase(self._run, self._phase, self._count, part=self._part)


def progress_of(run: Run, phases: Mapping[str, PhaseCount], now: datetime) -> RunProgress:
    """A run's progress: of the phase it is in, and of each phase it has."""
    current: ProgressPhase = next((phase for phase in _ORDER if run.is_open and phase == run.phase), "apply")
    own = _phases_of(run)
    counts = {phase: _count(run, phase, phases) for phase in own}
    count = counts.get(current) or _count(run, current, phases)
    rate, eta = rate_and_finish(run, now) if current == "apply" else _rate_and_finish(count, now)
    return RunProgress(
        planned=count.planned,
        done=count.done,
        failed=run.failed if current == "apply" else 0,
        rate=rate,
        eta=eta,
        phase=current,
        unit=_UNITS[current],
        estimated=current != "apply",
        phases=tuple(
            PhaseProgress(
                phase=phase,
                unit=_UNITS[phase],
                state=_state(run, phase),
                planned=counts[phase].planned,
                estimated=phase != "apply",
                done=counts[phase].done,
                failed=run.failed if phase == "apply" else 0,
            )
            for phase in own
        ),
    )


def _phases_of(run: Run) -> tuple[ProgressPhase, ...]:
    if run.type == "segments":
        return ("segments",)
    return _ORDER[:3] if run.dry_run else _ORDER


def _count(run: Run, phase: ProgressPhase, phases: Mapping[str, PhaseCount]) -> PhaseCount:
    known = phases.get(phase) or PhaseCount()
    if phase == "apply":
        # Before the plan is complete nobody knows how many changes there are; then it is exact.
        is_known = run.planned > 0 or _state(run, "plan") == "done"
        return PhaseCount(done=run.done, planned=run.planned if is_known else None)
    if phase == "ingest":
        known = replace(known, done=run.customers_read)  # exact: counted together with the cursor
    if _state(run, phase) == "done":
        return replace(known, planned=known.done)
    # An estimate that was passed is no help, and none at all draws no bar.
    return replace(known, planned=known.planned if known.planned and known.planned > known.done else None)


def _state(run: Run, phase: ProgressPhase) -> PhaseState:
    if run.phase == phase:
        if run.is_open:
            return "running"
        # A plan that was shown, as by a dry run, has come to its end; what was cancelled or failed has not.
        return "done" if run.status in ("success", "skipped") else "waiting"
    order = [*_ORDER[:3], "approval", "apply", "segments", "close"]
    return "done" if order.index(phase) < order.index(run.phase) else "waiting"


def _rate_and_finish(count: PhaseCount, now: datetime) -> tuple[float | None, datetime | None]:
    seconds = (now - count.since).total_seconds() if count.since else 0.0
    if seconds <= 0 or not count.done:
        return None, None
    rate = count.done / seconds
    if count.planned is None:
        return rate, None
    return rate, now + timedelta(seconds=(count.planned - count.done) / rate)
