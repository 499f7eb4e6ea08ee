"""Driving a run: each message of the sync queue does one step of it, and queues the next.

A step that comes again finds out by its number: the run waits for another one, so that one is queued again (it may be
what got lost) and nothing else happens. No step relies on a message arriving once, in time or in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from chalicelib.domain.departments import ConnectionState, Department
from chalicelib.domain.runs import (
    BrakeReason,
    Phase,
    Run,
    closing_code,
    closing_message,
    closing_params,
    closing_status,
    given_up_message,
    side_of,
    waiting_message,
)
from chalicelib.errors import KeyRejected, RefuseRequest, RetryLater, StopRun
from chalicelib.pracbill.client import PracBillClient
from chalicelib.store.departments import DepartmentStore
from chalicelib.store.queue import Step, SyncQueue, lane_group
from chalicelib.store.runs import RunStore
from chalicelib.sync import ports
from chalicelib.sync.ports import Clock, MailchimpFor, PracBillFor, Remaining
from chalicelib.sync.runs.apply_phase import ApplyPhase
from chalicelib.sync.runs.brake import Brake
from chalicelib.sync.runs.ingest_phase import IngestPhase
from chalicelib.sync.runs.lifecycle import Runs
from chalicelib.sync.runs.plan_phase import PlanPhase

_NEXT: dict[Phase, Phase] = {
    "pull": "store",
    "store": "decide",
    "decide": "apply",
    "apply": "segments",
    "segments": "close",
}


class Orchestrator:
    def __init__(
        self,
        *,
        departments: DepartmentStore,
        runs: RunStore,
        queue: SyncQueue,
        lifecycle: Runs,
        hooks: ports.WebhookKeeper,
        fields: ports.FieldKeeper,
        observations: ports.ConsentObservations,
        pull_phase: ports.Phase,
        ingest_phase: IngestPhase,
        plan_phase: PlanPhase,
        brake: Brake,
        apply_phase: ApplyPhase,
        segments: ports.Phase,
        audience_status: ports.CountKeeper,
        mailchimp_for: MailchimpFor,
        pracbill_for: PracBillFor,
        clock: Clock,
    ) -> None:
        self._departments = departments
        self._runs = runs
        self._queue = queue
        self._lifecycle = lifecycle
        self._hooks = hooks
        self._fields = fields
        self._observations = observations
        self._pull_phase = pull_phase
        self._ingest_phase = ingest_phase
        self._plan_phase = plan_phase
        self._brake = brake
        self._apply_phase = apply_phase
        self._segments = segments
        self._audience_status = audience_status
        self._mailchimp_for = mailchimp_for
        self._pracbill_for = pracbill_for
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
        if step.kind == "chunk" and step.number in run.in_flight:
            run = self._landed(step, self._apply_phase.fail(run, department, step.number))
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

    def give_up(self, step: Step, reason: str) -> None:
        """A message failed for good: its chunk is closed as failed, or its run ends."""
        department, run = self._departments.get(step.department_id), self._runs.get(step.department_id, step.run_id)
        if department is None or run is None:
            return
        if not run.is_open:
            self._after_end(step, department, run)
        elif step.kind == "chunk":
            run = self._runs.change(run.department_id, run.id, lambda stored: replace(stored, failure=reason))
            self._after_chunk(self._apply_phase.fail(run, department, step.number), department)
        elif step.number == run.step_number:
            params: dict[str, str | int] = {"side": side_of(reason), "done": run.done, "planned": run.planned}
            self._lifecycle.finish(run, "error", given_up_message(run, reason), code="gave_up", params=params)

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
            # Once the chunks are out, they are what the run waits for.
            if run.phase != "apply" or run.apply_started_at is None:
                self._lifecycle.send_step(run, department)
        else:
            self._phase(run)(run, department, remaining)

    def _phase(self, run: Run) -> Callable[[Run, Department, Remaining], None]:
        return {
            "pull": self._pull,
            "store": self._store,
            "decide": self._decide,
            "approval": self._decided,
            "apply": self._apply,
            "segments": self._segment,
            "close": self._close,
        }[run.phase]

    def _pull(self, run: Run, department: Department, remaining: Remaining) -> None:
        if not run.cursor:
            mailchimp = self._mailchimp_for(department, remaining)
            department = self._fields.look(run, department, mailchimp)
            department = self._hooks.repair(department, mailchimp, patient=True)
        self._on(department, run, self._pull_phase.step(run, department, remaining))

    def _store(self, run: Run, department: Department, remaining: Remaining) -> None:
        pracbill = self._pracbill_for(remaining)
        if not run.cursor:
            department = self._refresh(department, pracbill)
        if run.type == "full" and not department.replan_all:
            # From here on fingerprints may be ahead of what was decided: should this run die, the next one decides all.
            department = self._departments.change(department.id, lambda d: replace(d, replan_all=True))
        self._on(department, run, self._ingest_phase.store(run, department, pracbill, remaining))

    def _refresh(self, department: Department, pracbill: PracBillClient) -> Department:
        """The department with PracBill's present name, time zone, country and currency."""
        told = pracbill.department(department.id)
        return self._departments.change(
            department.id,
            lambda d: replace(d, name=told.name, timezone=told.timezone, country=told.country, currency=told.currency),
        )

    def _decide(self, run: Run, department: Department, remaining: Remaining) -> None:
        unfinished = self._plan_phase.decide(run, department, remaining)
        if unfinished is not None:
            self._on(department, run, unfinished)
            return
        self._decided(self._runs.get(run.department_id, run.id) or run, department, remaining)

    def _decided(self, run: Run, department: Department, remaining: Remaining) -> None:
        """The plan is complete: a dry run ends here, the brake may stop here."""
        reason = None if run.dry_run else self._brake.reason(run, department, remaining)
        if reason is None and not run.dry_run:
            self._move(department, run, "apply")
            return
        unfinished = self._plan_phase.show_plan(run, remaining)
        if unfinished is not None:
            self._on(department, run, unfinished)
        elif reason is None:
            self._lifecycle.finish(run, "success", closing_message(run), code=closing_code(run))
        else:
            self._hold(run, reason)

    def _hold(self, run: Run, reason: BrakeReason) -> None:
        """The run waits until staff approve it."""
        self._runs.change(
            run.department_id,
            run.id,
            lambda stored: replace(
                stored,
                phase="approval",
                status="awaiting_approval",
                brake=reason.message,
                brake_code=reason.code,
                brake_params=reason.params,
                progress_at=self._clock(),
            ),
        )

    def _apply(self, run: Run, department: Department, remaining: Remaining) -> None:
        """Fan out: one message a chunk, spread over the account's lanes."""
        if run.chunks_total == 0:
            self._move(department, run, "segments")
            return
        now = self._clock()
        run = self._runs.change(
            run.department_id,
            run.id,
            lambda stored: replace(stored, apply_started_at=stored.apply_started_at or now, progress_at=now),
        )
        assert department.connection is not None
        account = department.connection.account_id
        steps = [(Step("chunk", run.department_id, run.id, n), lane_group(account, n)) for n in range(run.chunks_total)]
        self._queue.send_all(steps)
        self._after_chunk(self._runs.get(run.department_id, run.id) or run, department)

    def _chunk(self, step: Step, department: Department, run: Run, remaining: Remaining) -> None:
        if run.status != "running" or run.phase != "apply":
            self._after_chunk(run, department)
            return
        mailchimp = self._mailchimp_for(department, remaining)
        self._after_chunk(self._apply_phase.apply(run, department, step.number, mailchimp, remaining), department)

    def _after_chunk(self, run: Run, department: Department) -> None:
        """Go on when no chunk is left; a repeat finds the run gone on and queues the step it waits for."""
        if not run.is_open:
            self._lifecycle.finalise(run)
        if run.status != "running" or run.chunks_done + run.chunks_failed < run.chunks_total:
            return
        if run.phase == "apply":
            self._move(department, run, "segments")
        elif run.phase in ("segments", "close"):
            self._lifecycle.send_step(run, department)

    def _segment(self, run: Run, department: Department, remaining: Remaining) -> None:
        self._on(department, run, self._segments.step(run, department, remaining))

    def _close(self, run: Run, department: Department, remaining: Remaining) -> None:
        # Opt-outs that Mailchimp's refusals showed, or that were observed before PracBill had the customer. When
        # PracBill is away the words are kept for the next pull: no sync is held up for that.
        try:
            backlog = self._observations.send_to_pracbill(department, self._pracbill_for(remaining)).backlog
        except (RetryLater, StopRun):
            backlog = self._observations.backlog(department.id)
        if run.type != "segments":
            self._audience_status.recount(department, lambda: self._mailchimp_for(department, remaining))
        message = closing_message(run)
        params = closing_params(run)
        if backlog is not None:
            message, params["waiting"] = f"{message} {backlog.message}", backlog.count
        self._lifecycle.finish(run, closing_status(run), message, code=closing_code(run), params=params)

    # ------------------------------------------------------------------------------------------------ moving

    def _on(self, department: Department, run: Run, unfinished: Run | None) -> None:
        """Go on in the same phase when it is unfinished, else in the next one."""
        self._move(department, run, run.phase if unfinished is not None else _NEXT[run.phase])

    def _move(self, department: Department, run: Run, phase: Phase) -> None:
        """Record where the run goes on, then queue the message; dying in between is mended by a repeat of this step."""

        def moved(stored: Run) -> Run:
            if stored.step_number != run.step_number or not stored.is_open:
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
