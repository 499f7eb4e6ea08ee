"""Sending many tags over all lanes of an account: each takes a share of the customers.

A step that has made some calls and is not near the end leaves the customers behind its place to the lanes, bucket by
bucket. A share is held against the segments as the step would do it, in a message of its own: it stops after a minute,
so that other departments of the account get the lane, and goes on in a new message. Shares may be delivered twice, late
or after a crash at any line: what Mailchimp has confirmed is marked with the customers and is no difference any more.
A customer is in one share only. An address that customers of two shares have is tagged or untagged by both alike, since
the rules, the day and the customers are the same for all shares. The step after the last share looks at the rest and
counts; a share that failed for good is left to it as well.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from chalicelib.domain.runs import Run, TagShare
from chalicelib.store.customer_keys import BUCKET_COUNT
from chalicelib.store.customer_reading import bucket_at, start_of
from chalicelib.store.queue import LANES
from chalicelib.sync.runs.lanes import lane_messages
from chalicelib.sync.runs.phase_progress import PhaseReporter
from chalicelib.sync.runs.progress import ENOUGH_SECONDS
from chalicelib.sync.segments.segment_work import Passed, Work, is_ready
from chalicelib.sync.segments.segments_cursor import SegmentsCursor

if TYPE_CHECKING:
    from collections.abc import Collection

    from chalicelib.domain.departments import Department
    from chalicelib.store.stores import Stores
    from chalicelib.sync.ports import Clock, Remaining
    from chalicelib.sync.segments.membership_diff import Differences
    from chalicelib.sync.segments.segment_notes import SegmentNotes
    from chalicelib.sync.segments.tag_readiness import TagReadiness
    from chalicelib.sync.segments.work_opening import WorkOpener

# A lane is given back after so long: other departments of the account wait for it.
_LANE_SECONDS = 60.0


class TagShares:
    """`apply` and `fail` are those of chunks: a share is told by its number likewise."""

    def __init__(
        self,
        *,
        stores: Stores,
        differences: Differences,
        readiness: TagReadiness,
        notes: SegmentNotes,
        opener: WorkOpener,
        clock: Clock,
    ) -> None:
        self._stores = stores
        self._differences = differences
        self._readiness = readiness
        self._notes = notes
        self._opener = opener
        self._clock = clock

    def hand_out(self, run: Run, department: Department, place: SegmentsCursor) -> Run:
        """Leave the customers behind the place to the lanes; the run waits for them."""

        def shared(stored: Run) -> Run:
            if not stored.is_open:
                return stored
            shares = shares_behind(place.at, number=stored.chunks_total + stored.tag_shares_made)
            return replace(
                stored,
                cursor=place.cursor(),
                tag_shares=shares,
                tag_shares_made=stored.tag_shares_made + len(shares),
                progress_at=self._clock(),
            )

        return self.send(self._stores.runs.change(run.department_id, run.id, shared), department)

    def send(self, run: Run, department: Department, *, known: Collection[int] = ()) -> Run:
        """Queue the messages of all shares that are still to be done, but for those whose numbers are `known`."""
        messages = lane_messages(run, department)
        self._stores.queue.send_all([(step, group) for step, group in messages if step.number not in known])
        return run

    def apply(self, run: Run, department: Department, number: int, remaining: Remaining) -> Run:
        """Carry out a share, or as much of it as there is time for. One that is done is left alone.

        Answers the run as stored. Raises what a step of the phase raises, with everything noted that was done.
        """
        run = self._begin(run, number)
        share = _share(run, number)
        if share is None or not run.is_open:
            # It may have died before it queued what follows.
            return self.send(run, department) if run.is_open else run
        passed = self._carry_out(run, department, share, remaining)
        known = [one.number for one in run.tag_shares]
        return self.send(self._close(run, share, passed), department, known=known)

    def fail(self, run: Run, department: Department, number: int) -> Run:
        """Leave a share that could not be carried out to the step that follows the others."""

        def failed(stored: Run) -> Run:
            if _share(stored, number) is None:
                return stored
            place = SegmentsCursor.of(stored.cursor).share_failed()
            return _without_share(replace(stored, cursor=place.cursor(), progress_at=self._clock()), number)

        return self._stores.runs.change(run.department_id, run.id, failed)

    def _begin(self, run: Run, number: int) -> Run:
        """Note the share as in flight: should the run be cancelled now, its department is free when this has ended."""

        def begun(stored: Run) -> Run:
            if not stored.is_open or number in stored.in_flight or _share(stored, number) is None:
                return stored
            return replace(stored, in_flight=(*stored.in_flight, number))

        return self._stores.runs.change(run.department_id, run.id, begun)

    def _carry_out(self, run: Run, department: Department, share: TagShare, remaining: Remaining) -> Passed:
        progress = PhaseReporter(self._stores.runs, run, "segments", self._clock, part=f"lane-{share.lane}")
        work = self._opener.open(run, department, progress, remaining)
        work.remaining = _for_a_minute(remaining)
        try:
            return self._hold_against_segments(work, SegmentsCursor.of(run.cursor), share)
        finally:
            # What Mailchimp has answered is kept, whatever stops us.
            self._differences.keep_marks(work)
            self._differences.keep_unsettled(work)
            progress.tell()

    def _hold_against_segments(self, work: Work, place: SegmentsCursor, share: TagShare) -> Passed:
        work.today = date.fromisoformat(place.day)
        known = place.of_pass(self._stores.segments.all(work.department.id))
        # What was ready when the shares were handed out; a fault of before is over for it.
        segments = [one for one in known if is_ready(one, work.audience_id, {one.id})]
        if not segments:
            return Passed({})
        self._readiness.load_seen(work, segments)
        rows = work.reader.walk(after=share.at, until=share.until)
        passed = self._differences.carry_out(work, segments, rows, after=share.at)
        self._notes.note_troubles(work, segments, passed)
        return passed

    def _close(self, run: Run, share: TagShare, passed: Passed) -> Run:
        """The share is done, or goes on behind the place at which it stopped, under another number."""

        def closed(stored: Run) -> Run:
            if _share(stored, share.number) is None:
                return stored
            place = SegmentsCursor.of(stored.cursor).without(passed.troubles)
            stored = replace(stored, cursor=place.cursor(), progress_at=self._clock())
            if passed.stopped_at is None or not stored.is_open:
                return _without_share(stored, share.number)
            rest = replace(share, number=stored.chunks_total + stored.tag_shares_made, at=passed.stopped_at)
            stored = replace(stored, tag_shares=(*stored.tag_shares, rest), tag_shares_made=stored.tag_shares_made + 1)
            return _without_share(stored, share.number)

        return self._stores.runs.change(run.department_id, run.id, closed)


def is_worth_sharing(at: str) -> bool:
    """Whether more than one lane would have something to do behind a place."""
    return len(_buckets_behind(at)) > 1


def shares_behind(at: str, *, number: int) -> tuple[TagShare, ...]:
    """The customers behind a place, divided among the lanes; `number` is the first share's."""
    buckets = _buckets_behind(at)
    count = min(LANES, len(buckets))
    firsts = [buckets[len(buckets) * lane // count] for lane in range(count)]
    lasts = [*(first - 1 for first in firsts[1:]), buckets[-1]]
    places = [at, *map(start_of, firsts[1:])]
    return tuple(TagShare(number + lane, lane, places[lane], lasts[lane]) for lane in range(count))


def _buckets_behind(at: str) -> range:
    return range(bucket_at(at), BUCKET_COUNT)


def _share(run: Run, number: int) -> TagShare | None:
    return next((share for share in run.tag_shares if share.number == number), None)


def _without_share(run: Run, number: int) -> Run:
    """The run without a share; after the last one it waits for its next step."""
    rest = tuple(share for share in run.tag_shares if share.number != number)
    return replace(
        run,
        tag_shares=rest,
        in_flight=tuple(flying for flying in run.in_flight if flying != number),
        step_number=run.step_number + (not rest),
    )


def _for_a_minute(remaining: Remaining) -> Remaining:
    kept = max(0.0, remaining() - _LANE_SECONDS - ENOUGH_SECONDS)
    return lambda: remaining() - kept
