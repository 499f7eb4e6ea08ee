"""Runs and their chunks. A chunk is completed together with the run's counters, once."""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pynamodb.exceptions import TransactWriteError
from pynamodb.transactions import TransactWrite

from chalicelib.domain.planning import Operation
from chalicelib.domain.runs import PhaseCount, Run
from chalicelib.store import models
from chalicelib.store.documents import from_document, from_list, to_document, to_short_list
from chalicelib.store.models import ChunkItem, PhaseItem, RunItem
from chalicelib.store.versions import LastRead, change_document, until_written

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_ATTEMPTS = 50
_PHASE = "phase#"


class RunStore:
    """Runs of a department sort by their id, which begins with the time of their start."""

    def __init__(self, *, keep: timedelta) -> None:
        self._keep = keep
        self._last_read = LastRead[RunItem]()

    def add(self, run: Run) -> None:
        item = RunItem(run.department_id, run.id, document=to_document(run))
        item.expires_at = run.started_at + self._keep
        item.save()
        self._last_read.keep(_chunks(run), item)

    def get(self, department_id: str, run_id: str) -> Run | None:
        item = self._item(department_id, run_id)
        self._last_read.keep(_place(department_id, run_id), item)
        return from_document(Run, item.document) if item else None

    def page(self, department_id: str, *, limit: int, after: str | None) -> tuple[list[Run], str | None]:
        """Runs, newest first; `after` is the id of the last one seen."""
        below = RunItem.sk < after if after else None
        items = list(
            RunItem.query(
                department_id,
                below,
                scan_index_forward=False,
                limit=limit + 1,
                page_size=limit + 1,
                consistent_read=True,  # who has just started a run looks for it here
            )
        )
        runs = [from_document(Run, item.document) for item in items]
        return runs[:limit], runs[limit - 1].id if len(runs) > limit else None

    def change(self, department_id: str, run_id: str, change: Callable[[Run], Run]) -> Run:
        """Apply `change` to the stored run against the version it was read at. Raises KeyError for an unknown run."""
        key = _place(department_id, run_id)
        return change_document(
            Run,
            lambda: self._existing(department_id, run_id),
            change,
            at_hand=self._last_read.take(key),
            keep=lambda item: self._last_read.keep(key, item),
            attempts=_MAX_ATTEMPTS,
        )

    def put_chunk(self, run: Run, number: int, operations: tuple[Operation, ...]) -> None:
        """Store a planned chunk. Written again by a repeated plan step before anything is sent, hence a plain put."""
        packed = zlib.compress(to_short_list(operations), 1)
        item = ChunkItem(_chunks(run), _chunk_key(number), state="planned", operations=packed)
        item.expires_at = run.started_at + self._keep
        item.save()

    def chunk(self, run: Run, number: int) -> tuple[Operation, ...] | None:
        """The operations of a chunk that is still to be done; None when it is done, failed or unknown."""
        try:
            item = ChunkItem.get(_chunks(run), _chunk_key(number), consistent_read=True)
        except ChunkItem.DoesNotExist:
            return None
        if item.state != "planned" or item.operations is None:
            return None
        return from_list(Operation, zlib.decompress(item.operations))

    def complete_chunk(self, run: Run, number: int, state: str, change: Callable[[Run], Run]) -> Run:
        """Close a chunk as `done` or `failed` and count it in its run, in one transaction that can happen only once.

        Answers the run as stored. A chunk that is closed already changes nothing.
        """

        def attempt() -> Run | None:
            item = self._existing(run.department_id, run.id)
            after = change(from_document(Run, item.document))
            item.document = to_document(after)
            try:
                with TransactWrite(connection=models.transactions()) as transaction:
                    transaction.update(
                        ChunkItem(_chunks(run), _chunk_key(number)),
                        actions=[ChunkItem.state.set(state), ChunkItem.operations.remove()],
                        condition=ChunkItem.state == "planned",
                    )
                    transaction.save(item)
            except TransactWriteError as error:
                chunk_closed, run_changed = _reasons(error)
                if chunk_closed:
                    return from_document(Run, self._existing(run.department_id, run.id).document)
                if run_changed:
                    return None
                raise
            self._last_read.keep(_chunks(run), item)
            return after

        return until_written(attempt, run.id, attempts=_MAX_ATTEMPTS)

    def put_phase(self, run: Run, phase: str, count: PhaseCount, *, part: str = "") -> None:
        """Note how far a phase, or a part of it, is. The newest word counts; the run itself is left alone."""
        item = PhaseItem(_chunks(run), _phase_key(phase, part), document=to_document(count))
        item.expires_at = run.started_at + self._keep
        item.save()

    def phase(self, run: Run, phase: str, *, part: str = "") -> PhaseCount | None:
        """How far a phase, or a part of it, was when it told of itself."""
        try:
            item = PhaseItem.get(_chunks(run), _phase_key(phase, part), consistent_read=True)
        except PhaseItem.DoesNotExist:
            return None
        return from_document(PhaseCount, item.document)

    def phases(self, run: Run) -> dict[str, PhaseCount]:
        """How far each phase of a run is that has told of itself, with all its parts."""
        phases: dict[str, PhaseCount] = {}
        for item in PhaseItem.query(_chunks(run), PhaseItem.sk.startswith(_PHASE), consistent_read=True):
            name, count = item.sk.removeprefix(_PHASE).partition("#")[0], from_document(PhaseCount, item.document)
            known = phases.get(name)
            phases[name] = replace(known, done=known.done + count.done) if known is not None else count
        return phases

    def _item(self, department_id: str, run_id: str) -> RunItem | None:
        try:
            return RunItem.get(department_id, run_id, consistent_read=True)
        except RunItem.DoesNotExist:
            return None

    def _existing(self, department_id: str, run_id: str) -> RunItem:
        item = self._item(department_id, run_id)
        if item is None:
            raise KeyError(run_id)
        return item


def run_id(started_at: datetime, entropy: str) -> str:
    """Sorts by time, reads as time: `20260105T100000Z-9f3c`."""
    return f"{started_at.strftime('%Y%m%dT%H%M%S')}{started_at.microsecond // 1000:03d}Z-{entropy}"


def _reasons(error: TransactWriteError) -> tuple[bool, bool]:
    """Whether the chunk was closed before, and whether the run changed or was in conflict meanwhile.

    PynamoDB sends puts (the run) before updates (the chunk), whatever order they were added in.
    """
    codes = [reason.code if reason else "" for reason in error.cancellation_reasons]
    run, chunk = codes if len(codes) == 2 else ("", "")
    conflict = "TransactionConflict" in codes or error.cause_response_code == "TransactionInProgressException"
    return chunk == "ConditionalCheckFailed", run == "ConditionalCheckFailed" or conflict


def _place(department_id: str, run_id: str) -> str:
    """What belongs to a run lies under this key."""
    return f"{department_id}#{run_id}"


def _chunks(run: Run) -> str:
    return _place(run.department_id, run.id)


def _chunk_key(number: int) -> str:
    return f"chunk#{number:05d}"


def _phase_key(phase: str, part: str) -> str:
    """A phase sorts before its parts."""
    return f"{_PHASE}{phase}#{part}" if part else f"{_PHASE}{phase}"


def started_at_of(run_id: str) -> datetime | None:
    """The time in a run's id; None when it holds none."""
    try:
        return datetime.strptime(run_id[:18] + "000", "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
    except ValueError:
        return None
