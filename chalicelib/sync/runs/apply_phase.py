"""Applying a plan: one message a chunk, at most 500 addresses in one call to Mailchimp, each answer kept.

A chunk may be delivered twice, late, or after a crash at any line. Before the call each operation is held against what
is known by now; after it the outcomes are written by address (the same again when repeated), and last the chunk is
counted in its run, in a transaction that happens once.

A lane's message goes on with the chunks after its own. Their messages come all the same, after it: they are what brings
a chunk back whose function died.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain.partly_sent import PARTLY_SENT
from chalicelib.domain.push_results import PushResult, counted_as
from chalicelib.store.queue import LANES
from chalicelib.sync.runs.lanes import lane_messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.departments import Department
    from chalicelib.domain.runs import Run
    from chalicelib.store.queue import SyncQueue
    from chalicelib.store.runs import RunStore
    from chalicelib.sync.ports import Clock, Meter, Remaining
    from chalicelib.sync.runs.chunk_results import ChunkResults
    from chalicelib.sync.runs.chunk_sender import ChunkSender, SentChunk

# A chunk's call may take two minutes; its results must be kept after it.
SECONDS_FOR_ANOTHER_CHUNK = 150.0


class ApplyPhase:
    """`step` hands out the chunks, `apply` carries out one and those that follow in its lane."""

    def __init__(
        self,
        *,
        runs: RunStore,
        queue: SyncQueue,
        sender: ChunkSender,
        results: ChunkResults,
        clock: Clock,
        meter: Meter,
    ) -> None:
        self._runs = runs
        self._queue = queue
        self._sender = sender
        self._results = results
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
        """Carry out a chunk and count it, then those after it in its lane while there is time.

        The results of a chunk are kept while the next one's calls run, so that the lane does not wait for the database.
        What is closed already is left alone; answers the run as stored.
        """
        run, sent = self._sender.send(run, department, number, remaining)
        if sent is None:
            return run
        with ThreadPoolExecutor(1) as keeper:
            keeping = keeper.submit(self._keep, run, sent)
            for following in range(number + LANES, run.chunks_total, LANES):
                if sent.interruption is not None or remaining() < SECONDS_FOR_ANOTHER_CHUNK:
                    break
                sent = self._sender.send_next(run, following, remaining)
                if sent is None:
                    break
                kept, keeping = keeping, keeper.submit(self._keep, run, sent)
                run = kept.result()
            return keeping.result()

    def _keep(self, run: Run, sent: SentChunk) -> Run:
        """Keep what the calls of a chunk brought, and count the chunk unless it was interrupted."""
        results = self._results.keep(run, sent.number, sent.sending, sent.results)
        if sent.interruption is not None:
            raise sent.interruption
        return self._count(run, sent.number, results)

    def fail(self, run: Run, department: Department, number: int) -> Run:
        """Close a chunk that could not be delivered to its end; whom it left out goes with a later run."""
        operations = self._runs.chunk(run, number)
        if operations is None:
            return run
        fresh, results = self._sender.sorted_out(run, department, operations)
        results += [PushResult(operation, "unsettled") for operation in fresh]
        self._results.keep_undelivered(run, results, self._clock())
        return self._count(run, number, results, is_failed=True)

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


def _is_unknown(one: PushResult) -> bool:
    """Refused in words that this service does not know: somebody should look at them, and teach it."""
    return one.refusal is not None and one.refusal.code == "unknown"
