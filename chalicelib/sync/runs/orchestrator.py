"""Driving a run: each message of the sync queue does one step of it, and queues the next.

A run goes through these phases, each in a module of its own:

    pull      read what changed in Mailchimp's audience, and send PracBill the opt-outs
    ingest    read PracBill's customers and store what changed
    plan      decide for every address concerned and write chunks; the brake may hold the run here
    approval  after a held run was approved: look whom PracBill changed since the plan
    apply     hand out the chunks, a message each; the run goes on when the last one is closed
    segments  bring the differences of segments to Mailchimp's tags; many of them are shared out to the lanes likewise
    close     the log entry, the watermarks, the department free again

A run for changed segments begins with `segments`. A step that comes again finds out by its number: the run waits for
another one, so that one is queued again (it may be what got lost) and nothing else happens. No step relies on a message
arriving once, in time or in order.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.domain.runs import (
    SEGMENTS_STEP,
    PhaseName,
    Run,
    closing_code,
    closing_message,
    given_up_message,
    may_wait,
    side_of,
    waiting_message,
)
from chalicelib.errors import KeyRejected, RefuseRequest, RetryLater, StopRun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.departments import ConnectionState, Department
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.store.queue import Step
    from chalicelib.store.runs import RunStore
    from chalicelib.sync.ports import Clock, LaneWork, Phase, Remaining
    from chalicelib.sync.runs.lifecycle import Lifecycle

_NEXT: dict[PhaseName, PhaseName] = {
    "pull": "ingest",
    "ingest": "plan",
    "plan": "apply",
    "approval": "apply",
    "apply": "segments",
    "segments": "close",
}


class Orchestrator:
    """`chunks` carry out, by phase, what was handed out to the lanes: chunks of a plan, shares of the tags."""

    def __init__(
        self,
        *,
        departments: DepartmentStore,
        runs: RunStore,
        lifecycle: Lifecycle,
        phases: Mapping[PhaseName, Phase],
        chunks: Mapping[PhaseName, LaneWork],
        clock: Clock,
    ) -> None:
        self._departments = departments
        self._runs = runs
        self._lifecycle = lifecycle
        self._phases = phases
        self._chunks = chunks
        self._clock = clock

    # --------------------------------------------------------------------------------------------- messages

    def handle(self, step: Step, remaining: Remaining) -> None:
        """Carry out one message. Raises RetryLater when it should come back; everything final ends the run."""
        if step.kind == "start":
            self._start_scheduled(step)
            return
        department, run = self._departments.get(step.department_id), self._runs.get(step.department_id, step.run_id)
        if department is None or run is None:
            return
        if not run.is_open:
            self._after_end(step, department, run)
            return
        try:
            self._advance(step, department, run, remaining)
            if run.message:
                self._say(step, "")
        except KeyRejected as rejected:
            self.reject_key(department, rejected)
            self._lifecycle.finish(self._landed(step, run), "error", rejected.message, code=rejected.code)
        except (StopRun, RefuseRequest) as stop:
            code = stop.code.replace("-", "_") if isinstance(stop, RefuseRequest) else "stopped"
            self._lifecycle.finish(self._landed(step, run), "error", stop.message, code=code)

    def _after_end(self, step: Step, department: Department, run: Run) -> None:
        """A message for a run that has ended. A chunk that was in flight and died is closed with what it did."""
        if step.kind == "chunk" and step.number in run.in_flight and (chunks := self._chunks.get(run.phase)):
            run = self._landed(step, chunks.fail(run, department, step.number))
        self._lifecycle.finalise(run)

    def _landed(self, step: Step, run: Run) -> Run:
        """The run without the step's chunk in flight: nothing more comes of it."""
        if step.kind != "chunk":
            return run
        return self._runs.change(
            run.department_id,
            run.id,
            lambda stored: replace(stored, in_flight=tuple(n for n in stored.in_flight if n != step.number)),
        )

    def note_waiting(self, step: Step, reason: str, seconds: float) -> None:
        """A message comes back after so many seconds: until then its run says for whom it waits."""
        until = self._clock() + timedelta(seconds=seconds)
        message = waiting_message(reason, until)
        if message:
            code = "rate_limit_exceeded" if message.startswith("Rate limit") else "waiting"
            self._say(step, message, code, {"side": side_of(reason), "until": until.isoformat(timespec="seconds")})

    def _say(self, step: Step, message: str, code: str = "", params: dict[str, str | int] | None = None) -> None:
        """The run's message while it is open. Of several chunks that wait the last one speaks."""

        def said(stored: Run) -> Run:
            return replace(stored, message=message, code=code, params=params or {}) if stored.is_open else stored

        if step.run_id and self._runs.get(step.department_id, step.run_id) is not None:
            self._runs.change(step.department_id, step.run_id, said)

    def may_wait(self, step: Step, seconds: float) -> bool:
        """Whether the step's run is still open when its message comes back after so many seconds."""
        run = self._runs.get(step.department_id, step.run_id) if step.run_id else None
        return run is None or may_wait(run, seconds, self._clock())

    def give_up(self, step: Step, reason: str, *, asked_seconds: float | None = None) -> None:
        """A message failed for good: its chunk is closed as failed, or its run ends.

        `asked_seconds`: it was not tried again, since the other side asked for a longer wait than the run may make.
        """
        department, run = self._departments.get(step.department_id), self._runs.get(step.department_id, step.run_id)
        if department is None or run is None:
            return
        if not run.is_open:
            self._after_end(step, department, run)
        elif step.kind == "chunk":
            if run.phase == "apply":
                run = self._runs.change(run.department_id, run.id, lambda stored: replace(stored, failure=reason))
            chunks = self._chunks.get(run.phase)
            self._after_chunk(chunks.fail(run, department, step.number) if chunks else run, department)
        elif step.number == run.step_number:
            params: dict[str, str | int] = {"side": side_of(reason), "done": run.done, "planned": run.planned}
            until = None if asked_seconds is None else self._clock() + timedelta(seconds=asked_seconds)
            self._lifecycle.finish(run, "error", given_up_message(run, reason, until), code="gave_up", params=params)

    def reject_key(self, department: Department, rejected: KeyRejected) -> None:
        """Mailchimp refuses the key: the schedule stops until it is replaced, and the connection says why."""

        def refused(known: Department) -> Department:
            if known.connection is None:
                return known
            if known.connection != department.connection:
                raise RetryLater("The API key was replaced a moment ago; the step continues with the new one.")
            connection = replace(known.connection, state=_state(rejected), message=rejected.message)
            return replace(known, connection=connection)

        self._departments.change(department.id, refused)

    # ------------------------------------------------------------------------------------------------ steps

    def _start_scheduled(self, step: Step) -> None:
        department = self._departments.get(step.department_id)
        if department is None or not department.runs_on_schedule:
            return
        try:
            self._lifecycle.begin(department, "incremental", trigger="schedule")
        except RefuseRequest:
            # A run is active already: it, or the next one on schedule, sees the same changes.
            return

    def _advance(self, step: Step, department: Department, run: Run, remaining: Remaining) -> None:
        if step.kind == "chunk":
            self._chunk(step, department, run, remaining)
        elif run.status != "running":
            return
        elif step.number != run.step_number:
            if not run.waits_for_chunks:
                self._lifecycle.send_step(run, department)
        else:
            self._step(run, department, remaining)

    def _step(self, run: Run, department: Department, remaining: Remaining) -> None:
        if run.phase != "segments":
            self._after_step(department, run, self._phases[run.phase].step(run, department, remaining))
            return
        # Should the run be cancelled now, the department is given free when this step has ended.
        run = self._note_in_flight(run, is_flying=True)
        try:
            unfinished = self._phases["segments"].step(run, department, remaining)
        finally:
            run = self._note_in_flight(run, is_flying=False)
        self._after_step(department, run, unfinished)
        if not run.is_open:
            self._lifecycle.finalise(run)

    def _note_in_flight(self, run: Run, *, is_flying: bool) -> Run:
        """Note a step of the segments phase, beside the shares that it hands out."""

        def noted(stored: Run) -> Run:
            others = tuple(number for number in stored.in_flight if number != SEGMENTS_STEP)
            if not is_flying:
                return replace(stored, in_flight=others)
            return replace(stored, in_flight=(SEGMENTS_STEP, *others)) if stored.is_open else stored

        return self._runs.change(run.department_id, run.id, noted)

    def _chunk(self, step: Step, department: Department, run: Run, remaining: Remaining) -> None:
        chunks = self._chunks.get(run.phase)
        if run.status == "running" and chunks is not None:
            run = chunks.apply(run, department, step.number, remaining)
        self._after_chunk(run, department)

    def _after_chunk(self, run: Run, department: Department) -> None:
        """Go on when no chunk is left; a repeat finds the run gone on and queues the step it waits for."""
        if not run.is_open:
            self._lifecycle.finalise(run)
        if run.status != "running" or run.chunks_done + run.chunks_failed < run.chunks_total or run.tag_shares:
            return
        if run.phase == "apply":
            self._move(department, run, "segments")
        elif run.phase in ("segments", "close"):
            self._lifecycle.send_step(run, department)

    # ------------------------------------------------------------------------------------------------ moving

    def _after_step(self, department: Department, run: Run, unfinished: Run | None) -> None:
        """Go on in the same phase when it is unfinished, else in the next one; a dry run ends with its plan."""
        if unfinished is not None and unfinished.waits_for_chunks:
            self._after_chunk(unfinished, department)
        elif unfinished is not None:
            self._move(department, run, run.phase)
        elif run.dry_run and run.phase == "plan":
            planned = self._runs.get(run.department_id, run.id) or run
            self._lifecycle.finish(planned, "success", closing_message(planned), code=closing_code(planned))
        elif run.phase in _NEXT:
            self._move(department, run, _NEXT[run.phase])

    def _move(self, department: Department, run: Run, phase: PhaseName) -> None:
        """Record where the run goes on, then queue the message; dying in between is mended by a repeat of this step.

        A run that was stopped meanwhile, by the brake or by staff, stays where it is.
        """

        def moved(stored: Run) -> Run:
            if stored.step_number != run.step_number or stored.status != "running":
                return stored
            cursor = stored.cursor if phase == stored.phase else {}
            return replace(
                stored, phase=phase, step_number=stored.step_number + 1, cursor=cursor, progress_at=self._clock()
            )

        after = self._runs.change(run.department_id, run.id, moved)
        if after.status == "running":
            self._lifecycle.send_step(after, department)


def _state(rejected: KeyRejected) -> ConnectionState:
    """The connection's state for a rejected key; a code we do not know is a rejected key like any other."""
    match rejected.code:
        case "account_deactivated" | "wrong_data_centre" as code:
            return code
        case _:
            return "key_rejected"
