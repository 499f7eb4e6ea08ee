"""Applying a plan: one message a chunk, at most 500 addresses in one call to Mailchimp, each answer kept.

A chunk may be delivered twice, late, or after a crash at any line. Before the call each operation is held against what
is known by now; after it the outcomes are written by address (the same again when repeated), and last the chunk is
counted in its run, in a transaction that happens once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain.partly_sent import PARTLY_SENT
from chalicelib.domain.planning import Operation, sendable
from chalicelib.domain.push_results import PushResult, already_done, counted_as, refused_already, still_right
from chalicelib.sync.runs.approval_phase import changed_since_plan
from chalicelib.sync.runs.lanes import lane_messages
from chalicelib.sync.runs.sending import Known, Sending

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from chalicelib.domain.departments import Department
    from chalicelib.domain.runs import Run
    from chalicelib.store.members import MemberStore
    from chalicelib.store.queue import SyncQueue
    from chalicelib.store.runs import RunStore
    from chalicelib.sync.ports import Clock, MailchimpFor, Meter, Remaining
    from chalicelib.sync.runs.chunk_calls import ChunkCalls
    from chalicelib.sync.runs.chunk_results import ChunkResults


class ApplyPhase:
    """`step` hands out the chunks, `apply` carries one out."""

    def __init__(
        self,
        *,
        members: MemberStore,
        runs: RunStore,
        queue: SyncQueue,
        calls: ChunkCalls,
        results: ChunkResults,
        mailchimp_for: MailchimpFor,
        clock: Clock,
        meter: Meter,
    ) -> None:
        self._members = members
        self._runs = runs
        self._queue = queue
        self._calls = calls
        self._results = results
        self._mailchimp_for = mailchimp_for
        self._clock = clock
        self._meter = meter

    def step(self, run: Run, department: Department, remaining: Remaining) -> Run | None:
        """Queue one message a chunk, spread over the account's lanes. From then on the run waits for its chunks."""
        if run.chunks_total == 0:
            return None
        now = self._clock()
        run = self._runs.change(
            run.department_id,
            run.id,
            lambda stored: replace(stored, apply_started_at=stored.apply_started_at or now, progress_at=now),
        )
        self._queue.send_all(lane_messages(run, department))
        return run

    def apply(self, run: Run, department: Department, number: int, remaining: Remaining) -> Run:
        """Carry out a chunk and count it. A chunk that is closed already is left alone; answers the run as stored."""
        mailchimp = self._mailchimp_for(department, remaining)
        operations = self._runs.chunk(run, number)
        run = self._begin(run, number) if operations is not None else run
        if operations is None or not run.is_open:
            return run
        assert department.audience is not None
        audience, now = department.audience, self._clock()
        operations = tuple(sendable(operation, audience, now) for operation in operations)
        known = self._known(department, [*_keys(operations), *_old_keys(operations)])
        # The clock is read before the call: a change observed while it runs is newer than its answer.
        sending = Sending(department, mailchimp, remaining, known, run.started_at, self._clock())
        changed = changed_since_plan(self._members, run, [*_keys(operations), *_old_keys(operations)])
        fresh, results = _sort_out(operations, known, since=run.apply_started_at, changed=changed)
        self._results.note_begun(sending, fresh)
        sent, interruption = self._calls.send(run, sending, fresh)
        results += sent
        results = self._results.keep(run, number, sending, results)
        if interruption is not None:
            raise interruption
        return self._count(run, number, results)

    def fail(self, run: Run, department: Department, number: int) -> Run:
        """Close a chunk that could not be delivered to its end; whom it left out goes with a later run."""
        operations = self._runs.chunk(run, number)
        if operations is None:
            return run
        fresh, results = _sort_out(operations, self._known(department, _keys(operations)), since=run.apply_started_at)
        results += [PushResult(operation, "unsettled") for operation in fresh]
        self._results.keep_undelivered(run, results, self._clock())
        return self._count(run, number, results, is_failed=True)

    def _known(self, department: Department, address_keys: Sequence[str]) -> Known:
        return Known(department.audience_id, self._members.member_states(department.id, address_keys))

    def _begin(self, run: Run, number: int) -> Run:
        """Note the chunk as in flight: should the run be cancelled now, it is counted when these calls have ended."""

        def begun(stored: Run) -> Run:
            if not stored.is_open or number in stored.in_flight:
                return stored
            return replace(stored, in_flight=(*stored.in_flight, number))

        return self._runs.change(run.department_id, run.id, begun)

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
    operations: Iterable[Operation], known: Known, *, since: datetime | None, changed: frozenset[str] = frozenset()
) -> tuple[list[Operation], list[PushResult]]:
    """The operations to carry out, and those that are finalised without a call.

    Addresses that are `changed` since the plan wait for the next one; only a no does not.
    """
    fresh: list[Operation] = []
    results: list[PushResult] = []
    for operation in operations:
        member = known.member(operation.address_key, operation.address)
        is_changed = operation.address_key in changed or operation.old_address_key in changed
        if not still_right(operation, member) or (is_changed and operation.action != "unsubscribe"):
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


def _keys(operations: Iterable[Operation]) -> list[str]:
    return [operation.address_key for operation in operations]


def _old_keys(operations: Iterable[Operation]) -> list[str]:
    return [operation.old_address_key for operation in operations if operation.old_address_key]
