"""The segments phase of every run: Mailchimp's tags follow the segments.

A rule without dates changes its mind only about a customer who changed, one with dates only at the department's
midnight. So all customers are read by the first run of a local day, after an edit of a segment and by full syncs, in
one reading for all segments; every other run looks at those who changed. A full run also reads back who carries the
tags, and so heals what somebody changed there by hand. Many tags go out over all lanes (tag_shares.py). A step does
what fits into its time and keeps its place; a step that died is followed by a reading of all.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from chalicelib.domain.segments.membership_counts import MembershipCounts
from chalicelib.store.customer_reading import place_of
from chalicelib.sync.runs.phase_progress import PhaseReporter
from chalicelib.sync.runs.progress import ENDED
from chalicelib.sync.segments.address_looks import AddressLooks
from chalicelib.sync.segments.changed_customers import ChangedCustomers
from chalicelib.sync.segments.mailchimp_tags import TagKeeper
from chalicelib.sync.segments.membership_diff import Differences
from chalicelib.sync.segments.segment_notes import SegmentNotes
from chalicelib.sync.segments.segment_work import Work, is_ready
from chalicelib.sync.segments.segments_cursor import SegmentsCursor
from chalicelib.sync.segments.tag_readiness import TagReadiness
from chalicelib.sync.segments.tag_shares import TagShares, is_worth_sharing
from chalicelib.sync.segments.work_opening import WorkOpener

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.departments import Department
    from chalicelib.domain.runs import Run
    from chalicelib.domain.segments.segment import Segment
    from chalicelib.store.stores import Stores
    from chalicelib.store.tag_rechecks import TagRecheck
    from chalicelib.sync.ports import Clock, MailchimpFor, ReaderFor, Remaining

_CHECKS_AT_ONCE = 200
# Where more addresses are noted, all customers are read: that costs no more and needs less memory.
_MOST_CHANGED = 2_000
# Who carries a tag takes 2 MB a segment.
_READ_BACK_AT_ONCE = 16
# Who enters or leaves segments by the thousand is sent over all lanes; fewer are through sooner than shared out.
_CALLS_ALONE = 4
# A segment that is edited again and again must not hold up the run: the run after this one takes the rest.
_MOST_ROUNDS = 3


class SegmentsPhase:
    """The phase as sync/ports.py wants it."""

    def __init__(self, *, stores: Stores, reader_for: ReaderFor, mailchimp_for: MailchimpFor, clock: Clock) -> None:
        self._departments, self._segments, self._customers = stores.departments, stores.segments, stores.customers
        self._checks, self._address_statuses, self._runs = stores.rechecks, stores.address_statuses, stores.runs
        self._clock = clock
        self._notes = SegmentNotes(stores.segments, stores.runs, stores.logs, clock)
        self._looks = AddressLooks(stores, clock)
        self._differences = Differences(members=stores.members, tags=stores.tags, note=self._notes.count)
        self._readiness = TagReadiness(stores, self._differences, self._notes, clock)
        self._opener = WorkOpener(
            stores=stores, reader_for=reader_for, mailchimp_for=mailchimp_for, notes=self._notes, clock=clock
        )
        self.shares = TagShares(
            stores=stores,
            differences=self._differences,
            readiness=self._readiness,
            notes=self._notes,
            opener=self._opener,
            clock=clock,
        )

    def step(self, run: Run, department: Department, remaining: Remaining) -> Run | None:
        """Bring segments to Mailchimp as long as there is time. Answers the run to continue with, or None at the end.

        A segment that cannot be brought there keeps the reason and does not hold up the others. Raises KeyRejected,
        StopRun, and RetryLater with everything noted that was done.
        """
        if run.cursor == ENDED or department.audience is None:
            return None
        if run.tag_shares:
            return self.shares.send(run, department)
        is_first = not run.cursor
        progress = PhaseReporter(self._runs, run, "segments", self._clock)
        checks, is_all = self._due(run, department)
        if is_first:
            department = self._begin(run, department, progress, has_checks=bool(checks))
        place = SegmentsCursor.of(run.cursor)
        # A step that comes after another one cannot know how those who changed were counted.
        changed = ChangedCustomers(checks if is_first and len(checks) <= _MOST_CHANGED else ())
        if not place.is_looked:
            looked_at = self._clock()
            looked_to = self._looks.look_at(department, checks, changed, place.looked_to, remaining)
            if looked_to is not None:
                return self._save(run, replace(place, looked_to=looked_to))
            if run.type != "segments":
                self._address_statuses.looked_at(department.id, department.audience_id, looked_at)
        work = self._opener.open(run, department, progress, remaining, checks=checks, changed=changed)
        work.leaves_some = not is_all
        is_known = is_first and is_all and len(checks) <= _MOST_CHANGED
        unfinished = self._bring_all(work, replace(place, is_looked=True), changed if is_known else None)
        progress.tell()
        self._differences.keep_unsettled(work)
        if unfinished is not None:
            return unfinished
        self._remove_done(work, checks)
        self._runs.change(run.department_id, run.id, lambda stored: replace(stored, cursor=ENDED))
        return None

    def _due(self, run: Run, department: Department) -> tuple[list[TagRecheck], bool]:
        """The addresses to look at, and whether these are all.

        Where removed customers stay members, who is gone loses the tags by a sync, whose brake may stop it; a run for
        segments alone has no brake.
        """
        checks = [check for check in self._checks.ascending(department.id) if not check.is_left_by(run.id)]
        if run.type != "segments" or department.settings.consent.on_removed != "keep":
            return checks, True
        due = [check for check in checks if not check.is_gone]
        return due, len(due) == len(checks)

    def _begin(self, run: Run, department: Department, progress: PhaseReporter, *, has_checks: bool) -> Department:
        # From here on an edit may be too late for this run: it asks for another one by setting the mark again.
        if department.segments_waiting:
            department = self._departments.change(department.id, lambda d: replace(d, segments_waiting=False))
        progress.expect_more(_work_ahead(self._segments.all(department.id), run, department.audience_id))
        if run.type != "segments" and (run.type == "full" or department.replan_all):
            self._address_statuses.put_in_force(department.id, department.audience_id, run.id)
        if has_checks:
            # Should this step die, the next one must not take what it did for what was counted.
            self._save(run, SegmentsCursor())
        return department

    def _remove_done(self, work: Work, checks: Sequence[TagRecheck]) -> None:
        """Take away what was dealt with. What concerns a segment that could not be brought to Mailchimp stays."""
        waiting = {segment.id for segment in self._segments.all(work.department.id) if segment.fault}
        done = [
            check
            for check in checks
            if not (waiting & set(check.segments))
            and not any(check.address_key in work.unfinished.get(key, ()) for key in check.segments)
        ]
        self._checks.remove(work.department.id, done)

    # ----------------------------------------------------------------------------------------------------- segments

    def _bring_all(self, work: Work, place: SegmentsCursor, changed: ChangedCustomers | None) -> Run | None:
        """Bring every segment to Mailchimp, and once more those that were edited meanwhile.

        `changed` are all customers of whom there is news, None where that is not known.
        """
        run, department_id, audience_id = work.run, work.department.id, work.audience_id
        segments = self._segments.all(department_id)
        if not segments:
            return None
        keeper = TagKeeper(self._segments, work.mailchimp, audience_id, segments)
        try:
            for _ in range(_MOST_ROUNDS):
                stopped = self._delete_some(work, keeper, segments, place)
                alive = [segment for segment in segments if not segment.deleting]
                while stopped is None and (batch := _batch(alive, place, run)):
                    stopped = self._bring(work, keeper, batch, place, changed)
                    place = place.behind(batch)
                    work.seen.clear()
                if stopped is not None and stopped.is_shared and not place.is_shared:
                    return self.shares.hand_out(run, work.department, stopped)
                if stopped is not None:
                    return self._save(run, stopped)
                segments = [s for s in self._segments.all(department_id) if not (s.is_synced(audience_id) or s.fault)]
                if not segments:
                    break
                place = replace(place, after="")
        finally:
            # What Mailchimp has answered is kept, whatever stops us.
            self._differences.keep_marks(work)
        return None

    def _delete_some(
        self, work: Work, keeper: TagKeeper, segments: Sequence[Segment], place: SegmentsCursor
    ) -> SegmentsCursor | None:
        """Delete those that staff deleted; they come first, since their names may be wanted."""
        for segment in segments:
            if segment.deleting and self._readiness.make_ready(work, keeper, segment, place) is not None:
                return place
        return None

    def _bring(
        self,
        work: Work,
        keeper: TagKeeper,
        batch: Sequence[Segment],
        place: SegmentsCursor,
        changed: ChangedCustomers | None,
    ) -> SegmentsCursor | None:
        """Bring a batch of segments to Mailchimp; None when they are there, else where to go on."""
        # An earlier step has made them ready, or noted why it could not.
        work.made_ready |= {segment.id for segment in batch if segment.id <= place.ready}
        if not place.day:
            stopped, place = self._make_all_ready(work, keeper, batch, place)
            if stopped:
                return self._readiness.with_seen(work, place)
            ready = self._ready(work, batch)
            if not ready:
                return None
            if changed is not None and _knows_the_rest(work, ready):
                return None if self._bring_changed(work, ready, changed) else place
            place = place.with_pass(work.today.isoformat(), ready)
        work.today = date.fromisoformat(place.day)
        return self._bring_everybody(work, place.of_pass(self._ready(work, batch)), place)

    def _make_all_ready(
        self, work: Work, keeper: TagKeeper, batch: Sequence[Segment], place: SegmentsCursor
    ) -> tuple[bool, SegmentsCursor]:
        """Have the tags and marks of a batch as they should be; whether it stopped before the end, and where."""
        for segment in batch:
            if segment.id <= place.ready:
                continue
            stopped = self._readiness.make_ready(work, keeper, segment, place)
            if stopped is not None:
                return True, stopped
            place = place.with_ready(segment)
            if work.is_short_of_time or not work.goes_on():
                return True, place
        return False, place

    def _ready(self, work: Work, batch: Sequence[Segment]) -> list[Segment]:
        """Those of a batch whose differences can be sent, as they are stored now."""
        ids = {segment.id for segment in batch}
        known = (s for s in self._segments.all(work.department.id) if s.id in ids)
        return [segment for segment in known if is_ready(segment, work.audience_id, work.made_ready)]

    def _bring_changed(self, work: Work, ready: Sequence[Segment], changed: ChangedCustomers) -> bool:
        """Hold those who changed against the segments; False when time was over, so that all are read next."""
        ids = [segment.id for segment in ready]
        before = changed.counts_before(ids)
        keys = list(changed.rows)
        rows = self._customers.rows(work.department.id, keys) if keys else {}
        passed = self._differences.carry_out(work, ready, [rows[key] for key in sorted(rows, key=place_of)])
        troubled = self._notes.note_troubles(work, ready, passed)
        if passed.stopped_at is not None:
            return False
        after = changed.counts_after(ids, self._customers.rows(work.department.id, keys) if keys else {})
        at = self._clock()
        for segment in ready:
            if segment.id not in troubled and segment.counts is not None:
                counts = after.change_since(before, segment.id, segment.counts)
                self._notes.note_counts(segment, counts, at, read_on=segment.read_on)
        return True

    def _bring_everybody(self, work: Work, segments: Sequence[Segment], place: SegmentsCursor) -> SegmentsCursor | None:
        """Hold all customers against segments and count; None at the end, else where to go on."""
        is_counting = place.is_passed
        if not place.is_passed:
            self._readiness.load_seen(work, segments)
            rows = () if place.is_shared else work.reader.walk(after=place.at)
            work.most_calls = None if place.was_shared else _CALLS_ALONE
            passed = self._differences.carry_out(work, segments, rows, after=place.at)
            troubled = self._notes.note_troubles(work, segments, passed)
            segments = [segment for segment in segments if segment.id not in troubled]
            if passed.stopped_at is not None:
                place = replace(place.without(troubled), at=passed.stopped_at)
                is_shared = work.is_to_be_shared and is_worth_sharing(place.at)
                return self._readiness.with_seen(work, place.shared_out() if is_shared else place)
            place = replace(place, is_passed=True)
        # Counting is one reading that cannot be cut: it gets the time of a new step.
        if segments and work.is_short_of_time and not is_counting:
            return place
        counts, at = self._differences.count(work, segments) if segments else MembershipCounts(()), self._clock()
        for segment in segments:
            # Who is gone and still to be looked at is not counted any more: only a reading of all counts right then.
            self._notes.note_counts(segment, counts.of(segment.id), at, read_on="" if work.leaves_some else place.day)
        return None

    # ------------------------------------------------------------------------------------------------------ keeping

    def _save(self, run: Run, place: SegmentsCursor) -> Run:
        cursor = place.cursor()
        return self._runs.change(
            run.department_id, run.id, lambda stored: replace(stored, cursor=cursor, progress_at=self._clock())
        )


def _knows_the_rest(work: Work, ready: Sequence[Segment]) -> bool:
    """Whether customers who did not change are where they should be: held against these rules on this day."""
    if work.run.type == "full" or work.department.replan_all:
        return False
    day = work.today.isoformat()
    return all(segment.read_on == day and segment.counts is not None for segment in ready)


def _work_ahead(segments: Sequence[Segment], run: Run, audience_id: str) -> int | None:
    """About how many members must be read back or get or lose a tag; None when nothing is known of any."""
    expected = 0
    for segment in segments:
        there = segment.tagged_count or 0
        if segment.is_synced(audience_id):
            expected += there if run.type == "full" else 0
        else:
            expected += abs((segment.customer_count or 0) - there) + (there if run.type == "full" else 0)
    return expected or None


def _batch(segments: Sequence[Segment], place: SegmentsCursor, run: Run) -> list[Segment]:
    """The segments that are dealt with next: all at once, unless the members of their tags are held in memory."""
    ahead = sorted((s for s in segments if s.id > place.after), key=lambda segment: segment.id)
    reads_back = run.type == "full" or any(segment.is_unread or segment.left_tags for segment in ahead)
    return ahead[:_READ_BACK_AT_ONCE] if reads_back else ahead
