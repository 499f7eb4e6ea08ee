"""What the segments phase notes of segments and of the run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain.logs import LogEntry, LogStatus
from chalicelib.domain.segments.segment import Segment, SegmentCounts
from chalicelib.errors import RefuseRequest, ServiceError
from chalicelib.mailchimp.errors import SegmentGone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from chalicelib.domain.runs import Run
    from chalicelib.store.logs import LogStore
    from chalicelib.store.runs import RunStore
    from chalicelib.store.segments import SegmentStore
    from chalicelib.sync.ports import Clock
    from chalicelib.sync.segments.segment_work import Passed, Work


class SegmentNotes:
    def __init__(self, segments: SegmentStore, runs: RunStore, logs: LogStore, clock: Clock) -> None:
        self._segments, self._runs, self._logs = segments, runs, logs
        self._clock = clock

    def note_counts(self, segment: Segment, counts: SegmentCounts, at: datetime, *, read_on: str) -> None:
        """A segment counts as synced when its counts are noted; until then the next step does it again."""
        self.change(segment, lambda known: known.synced(segment.version, counts, at, read_on=read_on))

    def note_fault(self, work: Work, segment: Segment, trouble: ServiceError) -> None:
        message = trouble.message
        code = trouble.code.replace("-", "_") if isinstance(trouble, RefuseRequest) else "refused_by_mailchimp"
        if segment.fault != message:
            said = f'The segment "{segment.name}" could not be synced to Mailchimp: {message}'
            self.log(work.run, segment, "error", said, code="segment_failed", cause=code)
        self.change(segment, lambda known: known.failed(message, code))

    def note_troubles(self, work: Work, segments: Sequence[Segment], passed: Passed) -> set[str]:
        for segment in segments:
            trouble = passed.troubles.get(segment.id)
            if isinstance(trouble, SegmentGone):
                # Deleted there at this very moment: made again by the next round.
                self.change(segment, Segment.without_tag)
            elif trouble is not None:
                self.note_fault(work, segment, trouble)
        return set(passed.troubles)

    def log(
        self, run: Run, segment: Segment, status: LogStatus, message: str, *, code: str, **params: str | int
    ) -> None:
        entry = LogEntry(
            run.started_at,
            "push",
            run.log_type,
            run.log_trigger,
            status,
            message,
            run.id,
            code=code,
            params={"segment": segment.id, "name": segment.name, **params},
        )
        self._logs.add(run.department_id, entry, key=f"{run.id}:{segment.id}:{status}")

    def count(self, run: Run, added: int, removed: int) -> bool:
        """Count what a call did; answers whether the run is still to go on."""

        def noted(stored: Run) -> Run:
            counts = dict(stored.counts)
            for name, count in (("segment_added", added), ("segment_removed", removed)):
                if count:
                    counts[name] = counts.get(name, 0) + count
            return replace(stored, counts=counts, progress_at=self._clock())

        return self._runs.change(run.department_id, run.id, noted).is_open

    def goes_on(self, run: Run) -> bool:
        stored = self._runs.get(run.department_id, run.id)
        return stored is not None and stored.is_open

    def change(self, segment: Segment, change: Callable[[Segment], Segment]) -> Segment | None:
        """The changed segment; None when it was removed meanwhile."""
        try:
            return self.known(segment, change)
        except KeyError:
            return None

    def known(self, segment: Segment, change: Callable[[Segment], Segment]) -> Segment:
        return self._segments.change(segment.department_id, segment.id, change)
