"""The plan's second phase: decide for every address concerned, write chunks. Nothing is sent.

The pure core is asked for each address: for all of them in a full run, for the marked ones otherwise. The phase may be
stopped and taken up again after any part of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from chalicelib.domain.address_status import address_status, address_status_after
from chalicelib.domain.consent.members import TAGGABLE, Member, OptOut
from chalicelib.domain.consent.opt_outs import pracbill_opt_out
from chalicelib.domain.planning import (
    RENAMED,
    WAITING,
    AddressState,
    ChunkWriter,
    Held,
    Operation,
    plan_address,
    plan_move,
)
from chalicelib.domain.push_results import partly_sent_record
from chalicelib.domain.runs import PARTLY_UNCHANGED, Run
from chalicelib.iteration import prefetch
from chalicelib.store.member_batch import MemberBatch
from chalicelib.sync.runs.phase_progress import PhaseReporter
from chalicelib.sync.runs.plan_opt_outs import PlannedOptOuts
from chalicelib.sync.runs.plan_records import held_record, planned_record, unchanged_record
from chalicelib.sync.runs.progress import ENDED, ENOUGH_SECONDS, Tally, has_ended, summed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from chalicelib.domain.brake import BrakeReason
    from chalicelib.domain.departments import Department
    from chalicelib.store.logs import LedgerStore, LogStore
    from chalicelib.store.members import MemberStore
    from chalicelib.store.runs import RunStore
    from chalicelib.sync.consent.pracbill_outbox import PracBillOutbox
    from chalicelib.sync.ports import Clock, Remaining
    from chalicelib.sync.runs.brake import Brake

_SHOWN = "shown"  # in the cursor of a plan that is complete: how many of its chunks have their records
_STATES_AT_ONCE = 200
_RECORDS_AT_ONCE = 500
_WRITES_AT_ONCE = 25  # what one write of DynamoDB takes


@dataclass(slots=True)
class PlanTally(Tally):
    """What a step has decided and not stored yet."""

    statuses: MemberBatch = field(kw_only=True)  # where addresses stand
    opt_outs: list[tuple[Member, OptOut]] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)  # change markers of addresses with which nothing is to be done


class PlanPhase:
    def __init__(
        self,
        *,
        members: MemberStore,
        runs: RunStore,
        logs: LogStore,
        ledger: LedgerStore,
        outbox: PracBillOutbox,
        brake: Brake,
        clock: Clock,
    ) -> None:
        self._members = members
        self._runs = runs
        self._logs = logs
        self._opt_outs = PlannedOptOuts(members=members, ledger=ledger, clock=clock)
        self._outbox = outbox
        self._brake = brake
        self._clock = clock

    def step(self, run: Run, department: Department, remaining: Remaining) -> Run | None:
        """Decide until every address concerned is decided or time is over. At the end the brake may stop the run."""
        if not has_ended(run.cursor):
            run = self._decide(run, department, remaining)
        return self._conclude(run, department, remaining) if has_ended(run.cursor) else run

    def _conclude(self, run: Run, department: Department, remaining: Remaining) -> Run | None:
        """The plan is complete: shown where it is not carried out at once, and held where the brake says so."""
        reason = None if run.dry_run else self._brake.reason(run, department, remaining)
        if reason is None and not run.dry_run:
            return None
        unfinished = self._show_plan(run, remaining)
        if unfinished is None and reason is not None:
            self._hold(run, reason)
        return unfinished

    def _hold(self, run: Run, reason: BrakeReason) -> None:
        def held(stored: Run) -> Run:
            if stored.status != "running":
                return stored
            return replace(
                stored,
                phase="approval",
                status="awaiting_approval",
                brake=reason.message,
                brake_code=reason.code,
                brake_params=reason.params,
                progress_at=self._clock(),
            )

        self._runs.change(run.department_id, run.id, held)

    def _decide(self, run: Run, department: Department, remaining: Remaining) -> Run:
        """The run with what was decided.

        A step keeps chunks open in memory only until it ends: the cursor is saved together with the full ones.
        """
        everything = _decides_all(run, department)
        parts = self._every_state(run, department) if everything else prefetch(self._marked_states(run, department))
        writer, number = ChunkWriter(), run.chunks_total
        tally = PlanTally(statuses=self._members.batch(department.id))
        progress = PhaseReporter(self._runs, run, "plan", self._clock)
        if not run.cursor:
            # About one address a customer; where every address is decided after a change of some, nobody knows.
            progress.expect_more(
                run.customers_read if run.type == "full" or not everything else department.customer_count
            )
        cursor = ENDED
        for batch, where in parts:
            for operation in self._decide_batch(run, department, batch, tally):
                for chunk in writer.add(operation):
                    number = self._put_chunk(run, number, chunk)
            progress.add(len(batch))
            if len(tally.records) + len(tally.opt_outs) >= _RECORDS_AT_ONCE or len(tally.statuses) >= _WRITES_AT_ONCE:
                self._flush(run, department, tally)
            if remaining() < ENOUGH_SECONDS:
                cursor = where
                break
        for chunk in writer.rest():
            number = self._put_chunk(run, number, chunk)
        self._flush(run, department, tally)
        if everything and cursor == ENDED:
            tally.statuses.put_end_of_plan(department.audience_id, run.id, self._clock())
            tally.statuses.flush()
        progress.tell()
        saved = self._save_decisions(run, cursor, number, tally)
        # Only now is everything kept that was decided about them; marks that stay behind are decided once more.
        cleared = self._members.batch(department.id)
        for marker in tally.cleared:
            cleared.unmark(marker)
        cleared.flush()
        return saved

    def _show_plan(self, run: Run, remaining: Remaining) -> Run | None:
        """Record every planned operation, for those who look at a dry run or are asked to approve a run.

        Answers the run to go on with when time is over, chunk by chunk.
        """
        now, first = self._clock(), int(run.cursor.get(_SHOWN, "0"))
        for number in range(first, run.chunks_total):
            if number > first and remaining() < ENOUGH_SECONDS:
                return self._save_shown(run, number)
            operations = self._runs.chunk(run, number) or ()
            self._logs.add_records(run.department_id, run.id, [planned_record(o, now) for o in operations])
        return None

    def _save_shown(self, run: Run, chunks: int) -> Run:
        cursor = {**ENDED, _SHOWN: str(chunks)}
        return self._runs.change(
            run.department_id, run.id, lambda stored: replace(stored, cursor=cursor, progress_at=self._clock())
        )

    def _every_state(self, run: Run, department: Department) -> Iterator[tuple[list[AddressState], dict[str, str]]]:
        """Every address, part by part."""
        start = int(run.cursor.get("shard", "0"))
        for states, next_part in self._members.walk(department.id, department.audience_id, start=start):
            yield states, {"shard": str(next_part)}

    def _marked_states(self, run: Run, department: Department) -> Iterator[tuple[list[AddressState], dict[str, str]]]:
        """The marked addresses, some hundred at a time."""
        waiting: dict[str, tuple[str, ...]] = {}
        for key, marks in self._members.marked(department.id, after=run.cursor.get("marked", "")):
            waiting[key] = marks
            if len(waiting) == _STATES_AT_ONCE:
                yield self._marked(department, waiting), {"marked": key}
                waiting = {}
        if waiting:
            yield self._marked(department, waiting), {"marked": next(reversed(waiting))}

    def _marked(self, department: Department, waiting: dict[str, tuple[str, ...]]) -> list[AddressState]:
        states = self._members.states(department.id, list(waiting), department.audience_id)
        return [replace(state, marks=waiting[state.member.address_key]) for state in states]

    def _decide_batch(
        self, run: Run, department: Department, batch: Sequence[AddressState], tally: PlanTally
    ) -> list[Operation]:
        now = self._clock()
        batch = [self._opt_outs.with_no_of_a_move(run, department, state, now) for state in batch]
        decisions = [self._decide_one(run, department, state, now) for state in batch]
        operations = [decision for decision in decisions if isinstance(decision, Operation)]
        for operation in operations:
            tally.add(operation.action)
        held = [decision for decision in decisions if isinstance(decision, Held)]
        zone = ZoneInfo(department.timezone)
        for state, one in zip(batch, decisions, strict=True):
            if isinstance(one, Held) and one.code and not (one.waits and one.marks):
                tally.hold(one.code)
                tally.records.append(held_record(one, now, no=state.member.opt_out, zone=zone))
            elif isinstance(one, Held) and one.left_out and run.type == "full":
                # Unchanged, and still not whole: a full sync tells of everybody with whom something is to be done.
                tally.held[PARTLY_UNCHANGED] = tally.held.get(PARTLY_UNCHANGED, 0) + 1
                tally.records.append(partly_sent_record(unchanged_record(one, now), one.left_out))
        self._note_address_statuses(run, department, batch, decisions, tally)
        if not run.dry_run:
            self._outbox.add_opt_outs(department, batch)
            tally.opt_outs += [(s.member, said) for s in batch if (said := pracbill_opt_out(s, now))]
            tally.cleared += [mark for one in held if not one.waits for mark in one.marks]
            self._members.mark(department.id, [one.address_key for one in held if one.rule == RENAMED], WAITING)
        return operations

    def _note_address_statuses(
        self,
        run: Run,
        department: Department,
        batch: Sequence[AddressState],
        decisions: Sequence[Operation | Held],
        tally: PlanTally,
    ) -> None:
        """Note where addresses stand, for previews, segments and the reconciliation.

        All of a shard at once where every address is decided, as they are now and as they will be. Touched ones are
        looked at when they were applied, and so are those that moved, and who may have left the audience, unless a
        full run reads back who carries the tags.
        """
        pairs = list(zip(batch, decisions, strict=True))
        everything = _decides_all(run, department)
        if everything and batch:
            now = {s.member.address_key: address_status(s, decision) for s, decision in pairs}
            planned = None
            if not run.dry_run:
                planned = {(key := s.member.address_key): address_status_after(now[key], s, d) for s, d in pairs}
            tally.statuses.put_statuses(department.audience_id, run.id, now, planned)
        if run.dry_run:
            return
        rechecks = self._members.batch(department.id)
        for s, decision in pairs:
            if not everything or s.moved_to or s.moved_from or (run.type != "full" and may_leave(s, decision)):
                rechecks.recheck(s.member.address_key)
        rechecks.flush()

    def _decide_one(self, run: Run, department: Department, state: AddressState, now: datetime) -> Operation | Held:
        """One address; a customer's move from one address to another is decided once for both."""
        assert department.audience is not None
        policy, fields = department.settings.consent, department.audience.fields
        other_key = state.moved_to if state.address_customers is None else state.moved_from
        decision = plan_address(state, policy=policy, fields=fields, now=now)
        # A move matters to members that may be renamed, and to new addresses.
        is_concerned = (
            state.member.status == "subscribed" if state.address_customers is None else _is_addition(decision)
        )
        if not other_key or not is_concerned:
            return decision
        other = self._members.state(department.id, other_key, department.audience.id)
        other = replace(other, marks=self._members.marks(department.id, other_key))
        is_other_decided = _decides_all(run, department) or bool(other.marks)
        return plan_move(state, other, is_other_decided=is_other_decided, policy=policy, fields=fields, now=now)

    def _put_chunk(self, run: Run, number: int, chunk: tuple[Operation, ...]) -> int:
        self._runs.put_chunk(run, number, chunk)
        return number + 1

    def _flush(self, run: Run, department: Department, tally: PlanTally) -> None:
        self._opt_outs.remember(department, tally.opt_outs)
        tally.opt_outs.clear()
        self._logs.add_records(run.department_id, run.id, tally.records)
        tally.statuses.flush()
        tally.records.clear()

    def _save_decisions(self, run: Run, cursor: dict[str, str], chunks_total: int, tally: PlanTally) -> Run:
        def saved(stored: Run) -> Run:
            return replace(
                stored,
                cursor=cursor,
                chunks_total=chunks_total,
                planned=stored.planned + sum(tally.counts.values()),
                planned_counts=summed(stored.planned_counts, tally.counts),
                counts=summed(stored.counts, tally.held),
                progress_at=self._clock(),
            )

        return self._runs.change(run.department_id, run.id, saved)


def _decides_all(run: Run, department: Department) -> bool:
    """Whether the plan decides every address, not only the marked ones."""
    return run.type == "full" or department.replan_all


def _is_addition(decision: Operation | Held) -> bool:
    return isinstance(decision, Operation) and decision.action == "add"


def may_leave(state: AddressState, decision: Operation | Held) -> bool:
    """Whether an address that carried tags may carry none after the decision: it left the audience, or does so now."""
    if state.address_customers is None or not (state.member.has_consent_state or state.member.pushed_at):
        return False
    return state.member.status not in TAGGABLE or (isinstance(decision, Operation) and decision.action == "unsubscribe")
