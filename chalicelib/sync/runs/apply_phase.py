"""Applying one chunk: at most 500 addresses in one call to Mailchimp, each answer kept where it belongs.

A chunk may be delivered twice, late, or after a crash at any line. Before the call each operation is held against what
is known by now; after it the outcomes are written by address (the same again when repeated), and last the chunk is
counted in its run, in a transaction that happens once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.consent.members import ConsentState, Member, Push
from chalicelib.domain.departments import Department
from chalicelib.domain.fieldmap import WANTED_FIELDS
from chalicelib.domain.logs import LogEntry
from chalicelib.domain.partly_sent import PARTLY_SENT
from chalicelib.domain.planning import Operation, without_unusable, without_value
from chalicelib.domain.push_results import (
    CONSENT_REFUSALS,
    PushResult,
    already_done,
    consent_news,
    consent_state_after,
    counted_as,
    is_newer,
    ledger_entry,
    left_archived,
    new_members,
    next_refusal,
    pushed_prints,
    record_of,
    refused_already,
    refused_value,
    refused_values,
    renamed,
    status_foreseen,
    still_right,
)
from chalicelib.domain.runs import Run
from chalicelib.errors import RetryLater
from chalicelib.iteration import map_concurrently
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.store.departments import DepartmentStore
from chalicelib.store.logs import LedgerStore, LogStore
from chalicelib.store.member_batch import MemberBatch
from chalicelib.store.members import MemberStates, MemberStore
from chalicelib.store.pushed_members import PushedMemberStore
from chalicelib.store.runs import RunStore
from chalicelib.sync.consent.address_changes import AddressChanges
from chalicelib.sync.consent.erasure import erased_among
from chalicelib.sync.ports import Clock, ConsentObservations, FieldKeeper, Meter, Remaining
from chalicelib.sync.runs.chunk_calls import SECONDS_FOR_A_BULK_CALL, ChunkCalls, Known, Sending
from chalicelib.sync.runs.pull_phase import pull_message
from chalicelib.sync.runs.single_calls import REST_FOLLOWS

# The change marker of an address that the next run takes up by itself.
RETRY_MARK = "retry"


class ApplyPhase:
    def __init__(
        self,
        *,
        departments: DepartmentStore,
        members: MemberStore,
        runs: RunStore,
        logs: LogStore,
        ledger: LedgerStore,
        pushed_members: PushedMemberStore,
        observations: ConsentObservations,
        fields: FieldKeeper,
        clock: Clock,
        meter: Meter,
    ) -> None:
        self._departments = departments
        self._members = members
        self._runs = runs
        self._logs = logs
        self._ledger = ledger
        self._pushed_members = pushed_members
        self._observations = observations
        self._calls = ChunkCalls(AddressChanges(members, observations), clock)
        self._fields = fields
        self._clock = clock
        self._meter = meter

    def apply(
        self, run: Run, department: Department, number: int, mailchimp: MailchimpClient, remaining: Remaining
    ) -> Run:
        """Carry out a chunk and count it. A chunk that is closed already is left alone; answers the run as stored."""
        operations = self._runs.chunk(run, number)
        run = self._begin(run, number) if operations is not None else run
        if operations is None or not run.is_open:
            return run
        assert department.audience is not None
        fields = department.audience.fields
        operations = tuple(without_unusable(operation, fields) for operation in operations)
        member_states = self._members.member_states(department.id, [*_keys(operations), *_old_keys(operations)])
        known = Known(department.audience_id, member_states)
        # The clock is read before the call: a change observed while it runs is newer than its answer.
        sending = Sending(department, mailchimp, remaining, known, run.started_at, self._clock())
        fresh, results = _sort_out(operations, known, since=run.apply_started_at)
        sent, interruption = self._calls.send(sending, fresh)
        if interruption is None:
            sent, interruption = self._send_in_part(run, sending, sent)
        results += sent
        # Who was erased while the call ran may be there by it: the erasure came too early to find them.
        erased = self._erased(department, results)
        results = [PushResult(o, "held") if (o := one.operation).address_key in erased else one for one in results]
        self._apply_observations(run, number, sending, results)
        self._keep(run, department, results, known.member_states, sending.asked_at)
        for address in {one.operation.address for one in results if one.operation.address_key in erased}:
            mailchimp.delete_permanently(sending.audience_id, address)
        self._remember_pushed(run, number, sending, results)
        if interruption is not None:
            raise interruption
        return self._count(run, number, results)

    def _remember_pushed(self, run: Run, number: int, sending: Sending, results: Sequence[PushResult]) -> None:
        """Spare the next pull to read what this chunk wrote. Last of all: whoever dies before is read as ever."""
        prints = pushed_prints(results)
        self._pushed_members.add(run.department_id, sending.audience_id, f"{run.id}-{number}", prints, sending.asked_at)

    def _begin(self, run: Run, number: int) -> Run:
        """Note the chunk as in flight: should the run be cancelled now, it is counted when these calls have ended."""

        def begun(stored: Run) -> Run:
            if not stored.is_open or number in stored.in_flight:
                return stored
            return replace(stored, in_flight=(*stored.in_flight, number))

        return self._runs.change(run.department_id, run.id, begun)

    def _apply_observations(self, run: Run, number: int, sending: Sending, results: Sequence[PushResult]) -> None:
        """Take what Mailchimp's answers show and we did not ask for as the pull does: it is somebody else's word."""
        for one in results:
            if one.shown is not None and one.operation.action == "ask" and one.result == "held":
                # The person was asked all the same, and has answered already.
                asked = replace(one, result="done", status="pending")
                self._keep_consent(run, sending.department, asked, sending.known.member_states, sending.asked_at)
        counts = self._observations.apply(sending.department, [one.shown for one in results if one.shown is not None])
        told = {name: count for name, count in counts.items() if name != "status"}
        if not told:
            return
        self._meter.count("OptOutsHeard", counts["opted_out"] + counts["bounced"] + counts["deleted"])
        entry = LogEntry(
            date=sending.asked_at,
            direction="pull",
            type=run.log_type,
            trigger=run.log_trigger,
            status="success",
            message=pull_message(told),
            run_id=run.id,
            counts=told,
        )
        self._logs.add(run.department_id, entry, key=f"{run.id}:heard-{number}")

    def _erased(self, department: Department, results: Sequence[PushResult]) -> frozenset[str]:
        """Whose data were erased by now, of those to whom more was to be done than archiving."""
        now = self._departments.get(department.id)
        if now is None or not now.has_erasures:
            return frozenset()
        keys = [one.operation.address_key for one in results if one.operation.action != "archive"]
        return erased_among(self._members, department.id, keys)

    def fail(self, run: Run, department: Department, number: int) -> Run:
        """Close a chunk that could not be delivered to its end; whom it left out goes with a later run."""
        operations = self._runs.chunk(run, number)
        if operations is None:
            return run
        known = Known(department.audience_id, self._members.member_states(department.id, _keys(operations)))
        fresh, results = _sort_out(operations, known, since=run.apply_started_at)
        results += [PushResult(operation, "unsettled") for operation in fresh]
        later = [one for one in results if one.result in ("held", "unsettled")]
        self._logs.add_records(run.department_id, run.id, [record_of(one, self._clock()) for one in later])
        batch = self._members.batch(run.department_id)
        for one in later:
            _mark(batch, one)
        batch.flush()
        return self._count(run, number, results, is_failed=True)

    def _send_in_part(
        self, run: Run, sending: Sending, sent: list[PushResult]
    ) -> tuple[list[PushResult], RetryLater | None]:
        """Send again, without the value, whom Mailchimp refused for a field of ours: one value costs nobody the rest.

        The audience is looked at before that, since its fields may have changed after the plan. Whom an interruption
        leaves out goes with the repeat.
        """
        interruption: RetryLater | None = None
        audience = sending.department.audience
        for number in range(len(WANTED_FIELDS)):
            refused = [one for one in sent if refused_value(one)]
            if not refused or interruption is not None:
                break
            sent = [one for one in sent if not refused_value(one)]
            if sending.remaining() < SECONDS_FOR_A_BULK_CALL:
                return sent, RetryLater(REST_FOLLOWS)
            if number == 0:
                try:
                    audience = self._fields.look_again(run, sending.department, sending.mailchimp).audience
                except RetryLater as later:
                    return sent, later
            assert audience is not None
            again = [without_value(one.operation, refused_value(one), _words(one), audience.fields) for one in refused]
            more, interruption = self._calls.send(sending, again)
            sent += more
        return sent, interruption

    # ------------------------------------------------------------------------------------------------ keeping

    def _keep(
        self,
        run: Run,
        department: Department,
        results: Sequence[PushResult],
        known: dict[str, MemberStates],
        now: datetime,
    ) -> None:
        """Write what became of each address: consent first, then records, then what was sent, marks last."""
        audience_id = department.audience_id
        new = [one for one in results if not one.is_kept]
        moved = [left for one in new if (left := left_archived(one))]
        self._note_new_members(run, department, new_members(new), known, now)
        map_concurrently(lambda one: self._keep_consent(run, department, one, known, now), consent_news(new + moved))
        map_concurrently(lambda one: self._keep_leaving(department, one.operation, now), renamed(new))
        self._logs.add_records(run.department_id, run.id, [record_of(one, now) for one in new])
        batch = self._members.batch(department.id)
        for one in new + moved:
            _put_delivery(batch, audience_id, one, known, now)
        batch.flush()
        for one in results:
            _mark(batch, one)
        batch.flush()

    def _keep_consent(
        self, run: Run, department: Department, one: PushResult, known: dict[str, MemberStates], now: datetime
    ) -> None:
        """What an outcome means for the consent state and the ledger."""
        operation = one.operation
        if one.refusal is not None and one.refusal.code in CONSENT_REFUSALS:
            self._observations.refused(department, operation, one.refusal.code, now)
            return
        audience_id = department.audience_id
        member_states = known.get(operation.address_key)
        was = member_states.member(audience_id).status if member_states else "absent"
        if was != one.status:
            # Before the facet, by which a repeat would take the change for known. The time is the same in a repeat.
            self._ledger.append(department.id, operation.address_key, ledger_entry(run, one, was, now))

        def consent_state(state: ConsentState) -> ConsentState:
            return consent_state_after(state, operation, one.status, audience_id, now)

        self._members.change_consent_state(department.id, operation.address_key, operation.address, consent_state)

    def _note_new_members(
        self,
        run: Run,
        department: Department,
        added: Sequence[PushResult],
        known: dict[str, MemberStates],
        now: datetime,
    ) -> None:
        """The ledger's entries for those who were not in the audience: subscribed now, or non-subscribed."""
        entries = []
        for one in added:
            states = known.get(one.operation.address_key)
            was = states.member(department.audience_id).status if states else "absent"
            if was != one.status:
                entries.append((one.operation.address_key, ledger_entry(run, one, was, now)))
        self._ledger.append_all(department.id, entries)

    def _keep_leaving(self, department: Department, operation: Operation, now: datetime) -> None:
        """A member was renamed: its old address is in the audience no longer, and nobody opted out."""

        def left(state: ConsentState) -> ConsentState:
            if state.audience_id != department.audience_id or is_newer(state, now):
                return state
            return replace(state, status="absent", observed_at=now, contact_id="")

        self._members.change_consent_state(department.id, operation.old_address_key, operation.old_address, left)

    def _count(self, run: Run, number: int, results: Sequence[PushResult], *, is_failed: bool = False) -> Run:
        now = self._clock()
        counts: dict[str, int] = {}
        for one in results:
            # Of a chunk that failed the run's message says that its customers come again.
            if not (is_failed and one.result == "unsettled"):
                name = counted_as(one)
                counts[name] = counts.get(name, 0) + 1
            if one.result == "done" and one.operation.left_out:
                counts[PARTLY_SENT] = counts.get(PARTLY_SENT, 0) + 1
        done = sum(1 for one in results if one.result in ("done", "held"))
        lost = sum(1 for one in results if one.result == "unsettled")
        refused = counts.get("refused", 0)
        why = next((one.refusal.summary for one in results if one.refusal is not None), "")
        self._meter.count("MembersPushed", done)
        self._meter.count("MembersRefused", refused)
        self._meter.count("RefusalsUnknown", sum(1 for one in results if _is_unknown(one)))

        def counted(stored: Run) -> Run:
            return replace(
                stored,
                chunks_done=stored.chunks_done + (not is_failed),
                chunks_failed=stored.chunks_failed + is_failed,
                done=stored.done + done,
                failed=stored.failed + refused + lost,
                failure=stored.failure or why,
                opt_outs_refused=stored.opt_outs_refused + sum(one.is_owed for one in results),
                counts={n: stored.counts.get(n, 0) + counts.get(n, 0) for n in stored.counts | counts},
                in_flight=tuple(n for n in stored.in_flight if n != number),
                progress_at=now,
                last_chunk_at=now,
            )

        return self._runs.complete_chunk(run, number, "failed" if is_failed else "done", counted)


def _sort_out(
    operations: Iterable[Operation], known: Known, *, since: datetime | None
) -> tuple[list[Operation], list[PushResult]]:
    """The operations to carry out, and those that are finalised without a call."""
    fresh: list[Operation] = []
    results: list[PushResult] = []
    for operation in operations:
        member = known.member(operation.address_key, operation.address)
        if not still_right(operation, member):
            results.append(PushResult(operation, "held"))
        elif already_done(operation, member):
            results.append(PushResult(operation, "done", status=member.status))
        elif refused := refused_already(operation, member, since):
            results.append(PushResult(operation, "refused", refusal=refused, is_kept=True))
        else:
            fresh.append(operation)
    return fresh, results


def _is_unknown(one: PushResult) -> bool:
    """Refused in words that this service does not know: somebody should look at them, and teach it."""
    return one.refusal is not None and one.refusal.code == "unknown"


def _words(one: PushResult) -> str:
    return one.refusal.words if one.refusal is not None else ""


def _mark(batch: MemberBatch, one: PushResult) -> None:
    """Finalised addresses lose their change markers; what is to be tried again by itself keeps one."""
    if one.is_owed or one.result in ("held", "unsettled") or (one.refusal is not None and one.refusal.retry.delays):
        batch.mark(one.operation.address_key, RETRY_MARK)
        return
    for marker in one.operation.marks:
        batch.unmark(marker)


def _put_delivery(
    batch: MemberBatch, audience_id: str, one: PushResult, known: dict[str, MemberStates], now: datetime
) -> None:
    operation = one.operation
    before = known.get(operation.address_key)
    member = before.member(audience_id) if before else Member(operation.address_key, operation.address)
    if one.result == "done":
        push = Push(
            audience_id=audience_id,
            status=one.status,
            pushed_at=now,
            owner=operation.customer_id,
            sent=operation.values_fingerprint if operation.values is not None else member.sent,
            held=one.held if operation.values is not None else member.held,
            left_out=refused_values(operation.left_out) if operation.values is not None else member.left_out,
            rule=operation.rule,
            contact_id=one.contact_id or member.contact_id,
        )
        batch.put_delivery(operation.address_key, operation.address, push)
        if one.old == "absent":
            batch.remove_delivery(operation.old_address_key)
        if one.shown is not None or one.status != status_foreseen(operation, member):
            batch.recheck(operation.address_key)
    elif one.result == "refused" and one.refusal is not None:
        push = Push(
            audience_id=audience_id,
            status=member.status,
            pushed_at=member.pushed_at,
            owner=member.owner or operation.customer_id,
            sent=member.sent,
            held=member.held,
            left_out=member.left_out,
            refusal=next_refusal(member, one.refusal, operation.inputs, now),
            contact_id=member.contact_id,
        )
        batch.put_delivery(operation.address_key, operation.address, push)
        # The plan took it for granted that campaigns would reach this one.
        batch.recheck(operation.address_key)
    elif one.shown is not None:
        batch.recheck(operation.address_key)


def _keys(operations: Iterable[Operation]) -> list[str]:
    return [operation.address_key for operation in operations]


def _old_keys(operations: Iterable[Operation]) -> list[str]:
    return [operation.old_address_key for operation in operations if operation.old_address_key]
