"""The plan's second phase: decide for every address concerned, write chunks. Nothing is sent.

The pure core is asked for each address: for all of them in a full run, for the marked ones otherwise. The phase may be
stopped and taken up again after any part of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from chalicelib.domain.address_status import address_status, address_status_after
from chalicelib.domain.addresses import mask_address
from chalicelib.domain.consent.members import ConsentState, Member, OptOut
from chalicelib.domain.consent.observations import SPEAKERS
from chalicelib.domain.consent.opt_outs import newest_opt_out, no_along_a_move, no_of_a_contact, pracbill_opt_out
from chalicelib.domain.departments import Department
from chalicelib.domain.hold_reasons import Explanation, explanation
from chalicelib.domain.logs import LedgerEntry, Record
from chalicelib.domain.partly_sent import explain_partly_sent
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
from chalicelib.domain.runs import PARTLY_UNCHANGED, BrakeReason, Run
from chalicelib.domain.segments.segment import TAGGABLE
from chalicelib.iteration import map_concurrently, prefetch, slices
from chalicelib.store.logs import LedgerStore, LogStore
from chalicelib.store.member_batch import MemberBatch
from chalicelib.store.members import MemberStore
from chalicelib.store.runs import RunStore
from chalicelib.sync.consent.pracbill_outbox import PracBillOutbox
from chalicelib.sync.ports import Clock, Remaining
from chalicelib.sync.runs.brake import Brake
from chalicelib.sync.runs.phase_progress import PhaseReporter
from chalicelib.sync.runs.progress import ENDED, ENOUGH_SECONDS, Tally, has_ended, summed

_SHOWN = "shown"  # in the cursor of a plan that is complete: how many of its chunks have their records
_STATES_AT_ONCE = 200
_RECORDS_AT_ONCE = 500
_WRITES_AT_ONCE = 25  # what one write of DynamoDB takes
_OPT_OUTS_AT_ONCE = 100  # what one transaction of DynamoDB takes


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
        self._ledger = ledger
        self._outbox = outbox
        self._brake = brake
        self._clock = clock

    def step(self, run: Run, department: Department, remaining: Remaining) -> Run | None:
        """Decide until every address concerned is decided or time is over. At the end the brake may stop the run."""
        unfinished = self._decide(run, department, remaining) if not has_ended(run.cursor) else None
        if unfinished is not None:
            return unfinished
        return self._conclude(self._runs.get(run.department_id, run.id) or run, department, remaining)

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

    def _decide(self, run: Run, department: Department, remaining: Remaining) -> Run | None:
        """A step keeps chunks open in memory only until it ends: the cursor is saved together with the full ones."""
        everything = _decides_all(run, department)
        states = self._every_state if everything else self._marked_states
        writer, number = ChunkWriter.empty(), run.chunks_total
        tally = PlanTally(statuses=self._members.batch(department.id))
        progress = PhaseReporter(self._runs, run, "plan", self._clock)
        if not run.cursor:
            # About one address a customer; where every address is decided after a change of some, nobody knows.
            progress.expect_more(
                run.customers_read if run.type == "full" or not everything else department.customer_count
            )
        cursor = ENDED
        for batch, where in prefetch(states(run, department)):
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
        return None if cursor == ENDED else saved

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
            yield list(states), {"shard": str(next_part)}

    def _marked_states(self, run: Run, department: Department) -> Iterator[tuple[list[AddressState], dict[str, str]]]:
        """The marked addresses, some hundred at a time."""
        waiting: dict[str, tuple[str, ...]] = {}
        for key, marks in self._members.marked(department.id, after=run.cursor.get("touched", "")):
            waiting[key] = marks
            if len(waiting) == _STATES_AT_ONCE:
                yield self._marked(department, waiting), {"touched": key}
                waiting = {}
        if waiting:
            yield self._marked(department, waiting), {"touched": next(reversed(waiting))}

    def _marked(self, department: Department, waiting: dict[str, tuple[str, ...]]) -> list[AddressState]:
        states = self._members.states(department.id, list(waiting), department.audience_id)
        return [replace(state, marks=waiting[state.member.address_key]) for state in states]

    def _decide_batch(
        self, run: Run, department: Department, batch: Sequence[AddressState], tally: PlanTally
    ) -> list[Operation]:
        now = self._clock()
        batch = [self._with_no_of_a_move(run, department, state, now) for state in batch]
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
            waiting = self._members.batch(department.id)
            for one in held:
                if one.rule == RENAMED:
                    waiting.mark(one.address_key, WAITING)
            waiting.flush()
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

    def _with_no_of_a_move(self, run: Run, department: Department, state: AddressState, now: datetime) -> AddressState:
        """The state with an opt-out that a customer said at the address before, or says at the one after."""
        others = {arrival.from_key for arrival in state.arrivals} | ({state.moved_to} - {""})
        for other_key in sorted(others):
            other = self._members.state(department.id, other_key, department.audience_id)
            no = no_along_a_move(state, other, now)
            if no is None:
                continue
            member = state.member
            if not run.dry_run:
                self._ledger.append(department.id, member.address_key, _moved_along_entry(member, no, now))
                self._remember(department, member, no)
            state = replace(state, member=replace(member, opt_out=no))
        return state

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

    def _remember_opt_outs(self, department: Department, tally: PlanTally) -> None:
        """Remember PracBill's own opt-outs: they must stand when the customer is removed, or comes back silent."""
        now, told = self._clock(), tally.opt_outs
        for member, said in told:
            self._follow(department, member, said, now)
        for part in slices(told, _OPT_OUTS_AT_ONCE):
            # Before the facet, by which a repeat would take the opt-out for known.
            self._ledger.append_all(department.id, [(m.address_key, _pracbill_entry(m, said, now)) for m, said in part])
            unheard = [
                (m.address_key, m.address, ConsentState(opt_out=said)) for m, said in part if not m.has_consent_state
            ]
            if not unheard or not self._members.add_consent_states(department.id, unheard):
                unheard = []
            added = {key for key, _, _ in unheard}
            rest = [(m, said) for m, said in part if m.address_key not in added]
            map_concurrently(lambda one: self._remember(department, *one), rest)
        tally.opt_outs.clear()

    def _remember(self, department: Department, member: Member, opt_out: OptOut) -> None:
        def consent_state(known: ConsentState) -> ConsentState:
            return replace(known, opt_out=newest_opt_out(known.opt_out, opt_out))

        self._members.change_consent_state(department.id, member.address_key, member.address, consent_state)

    def _follow(self, department: Department, member: Member, said: OptOut, now: datetime) -> None:
        """A no said to PracBill by who left the address in Mailchimp holds for the address they moved to.

        No customer has that one, so nothing else would bring the no there.
        """
        followed, audience_id = {member.address_key}, department.audience_id
        while member.successor_key and member.successor_key not in followed:
            left, there = self._members.states(department.id, [member.address_key, member.successor_key], audience_id)
            if not there.member.address or no_of_a_contact(said, left, there) is None:
                return
            member = there.member
            followed.add(member.address_key)
            self._ledger.append(department.id, member.address_key, _moved_along_entry(member, said, now))
            self._remember(department, member, said)
            batch = self._members.batch(department.id)
            batch.mark(member.address_key, "no-moved-along")
            batch.flush()

    def _put_chunk(self, run: Run, number: int, chunk: tuple[Operation, ...]) -> int:
        self._runs.put_chunk(run, number, chunk)
        return number + 1

    def _flush(self, run: Run, department: Department, tally: PlanTally) -> None:
        self._remember_opt_outs(department, tally)
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


def _pracbill_entry(member: Member, opt_out: OptOut, now: datetime) -> LedgerEntry:
    return LedgerEntry(
        at=opt_out.at,
        recorded_at=now,
        was=member.status,
        became="unsubscribed",
        who="PracBill",
        route="pracbill",
        rule="no-recorded",
        evidence={"customers": ", ".join(opt_out.customers)} if opt_out.customers else {},
    )


def _moved_along_entry(member: Member, no: OptOut, now: datetime) -> LedgerEntry:
    entry = _pracbill_entry(member, no, now)
    return replace(entry, who=SPEAKERS[no.route], rule="no-moved-along")


def planned_record(operation: Operation, at: datetime) -> Record:
    """The record of an operation that is not carried out yet; applying it replaces the record."""
    words = explain_partly_sent(operation.left_out) if operation.left_out else Explanation("", "")
    return Record(
        key=operation.address_key,
        customer_id=operation.customer_id,
        address=mask_address(operation.address),
        action=operation.action,
        outcome="planned",
        code=operation.rule,
        cause=words.cause,
        fix=words.fix,
        at=at,
    )


def unchanged_record(held: Held, at: datetime) -> Record:
    """The record of an address with which all is well and nothing to do; it is kept only with more to say."""
    return Record(
        key=held.address_key,
        customer_id=held.customer_id,
        address=mask_address(held.address),
        action="none",
        outcome="done",
        code=held.rule,
        cause="",
        fix="",
        at=at,
    )


def held_record(held: Held, at: datetime, *, no: OptOut | None, zone: tzinfo) -> Record:
    """The record of an address for which nothing was sent; `no` is its last known opt-out, `zone` the department's."""
    words = explanation(held.code, held.words, field=held.field, no=no, zone=zone)
    return Record(
        key=held.address_key,
        customer_id=held.customer_id,
        address=mask_address(held.address),
        action="none",
        outcome="held",
        code=held.code,
        cause=words.cause,
        fix=words.fix,
        at=at,
        params=words.params,
    )
