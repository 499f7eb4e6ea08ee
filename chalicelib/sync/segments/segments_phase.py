"""The segments phase of every run: Mailchimp's tags follow the segments.

A rule without dates changes its mind only about a customer who changed, one with dates only at the department's
midnight. So all customers are read by the first run of a local day, after an edit of a segment and by full syncs, in
one reading for all segments; every other run looks at those who changed. A full run also reads back who carries the
tags, and so heals what somebody changed there by hand. A step does what fits into its time and keeps its place; a step
that died is followed by a reading of all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from chalicelib.domain.address_status import AddressStatus, address_status
from chalicelib.domain.customers import customer_key
from chalicelib.domain.departments import Department
from chalicelib.domain.logs import LogEntry, LogStatus
from chalicelib.domain.planning import AddressState, plan_address
from chalicelib.domain.runs import Run
from chalicelib.domain.seen_addresses import SeenAddresses
from chalicelib.domain.segments.calendar import today_in
from chalicelib.domain.segments.membership_counts import MembershipCounts
from chalicelib.domain.segments.segment import TAGGABLE, Segment, SegmentCounts, Tag
from chalicelib.errors import RefuseRequest, ServiceError
from chalicelib.mailchimp.errors import SegmentGone, WholeCallRefused
from chalicelib.store.address_status import AddressStatuses
from chalicelib.store.customer_reading import place_of
from chalicelib.store.stores import Stores
from chalicelib.store.tag_rechecks import NO_ADDRESS, TagRecheck
from chalicelib.sync.ports import Clock, MailchimpFor, ReaderFor, Remaining
from chalicelib.sync.runs.phase_progress import PhaseReporter
from chalicelib.sync.runs.progress import ENDED, ENOUGH_SECONDS
from chalicelib.sync.segments.changed_customers import ChangedCustomers
from chalicelib.sync.segments.mailchimp_tags import TagKeeper
from chalicelib.sync.segments.membership_diff import (
    MOST_STATES_KEPT,
    Differences,
    Passed,
    Work,
    tagged_in,
)

_CHECKS_AT_ONCE = 200
# Where more addresses are noted, all customers are read: that costs no more and needs less memory.
_MOST_CHANGED = 2_000
# Who carries a tag takes 2 MB a segment.
_READ_BACK_AT_ONCE = 16
# A segment that is edited again and again must not hold up the run: the run after this one takes the rest.
_MOST_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class SegmentsCursor:
    """Where the phase stands.

    Addresses up to the check `looked_to` were looked at. Segments are dealt with in batches: those up to `after` are
    done; of the present batch those up to `ready` have their tag and true marks, and `start` members of `healing` were
    read back. When all are ready, customers are held against the batch as on `day`: those up to `at` are done, with the
    segments in the `versions` that they had. Then only the counts are missing (`is_passed`).
    """

    looked_to: str = ""
    is_looked: bool = False
    after: str = ""
    ready: str = ""
    healing: str = ""
    start: int = 0
    is_read: bool = False
    day: str = ""
    at: str = ""
    versions: str = ""
    is_passed: bool = False

    @classmethod
    def of(cls, cursor: dict[str, str]) -> SegmentsCursor:
        return cls(
            looked_to=cursor.get("looked_to", ""),
            is_looked=cursor.get("looked") == "yes",
            after=cursor.get("after", ""),
            ready=cursor.get("ready", ""),
            healing=cursor.get("healing", ""),
            start=int(cursor.get("start", "0")),
            is_read=cursor.get("read") == "yes",
            day=cursor.get("day", ""),
            at=cursor.get("at", ""),
            versions=cursor.get("versions", ""),
            is_passed=cursor.get("passed") == "yes",
        )

    def cursor(self) -> dict[str, str]:
        return {
            "looked_to": self.looked_to,
            "looked": "yes" if self.is_looked else "no",
            "after": self.after,
            "ready": self.ready,
            "healing": self.healing,
            "start": str(self.start),
            "read": "yes" if self.is_read else "no",
            "day": self.day,
            "at": self.at,
            "versions": self.versions,
            "passed": "yes" if self.is_passed else "no",
        }

    def behind(self, batch: Sequence[Segment]) -> SegmentsCursor:
        """After a batch that is done."""
        return SegmentsCursor(self.looked_to, is_looked=True, after=batch[-1].id)

    def with_ready(self, segment: Segment) -> SegmentsCursor:
        return replace(self, ready=segment.id, healing="", start=0, is_read=False)

    def with_pass(self, day: str, segments: Sequence[Segment]) -> SegmentsCursor:
        """All segments of the batch are ready: customers can be held against them."""
        return replace(self, day=day, versions=json.dumps({segment.id: segment.version for segment in segments}))

    def of_pass(self, segments: Sequence[Segment]) -> list[Segment]:
        """Those that the customers before the place were held against, as they were then."""
        versions = json.loads(self.versions)
        return [segment for segment in segments if versions.get(segment.id) == segment.version]


class SegmentsPhase:
    """The phase as sync/ports.py wants it."""

    def __init__(self, *, stores: Stores, reader_for: ReaderFor, mailchimp_for: MailchimpFor, clock: Clock) -> None:
        self._departments, self._segments, self._customers = stores.departments, stores.segments, stores.customers
        self._members, self._tags, self._checks = stores.members, stores.tags, stores.rechecks
        self._address_statuses, self._seen_addresses = stores.address_statuses, stores.seen_addresses
        self._runs, self._logs = stores.runs, stores.logs
        self._reader_for = reader_for
        self._mailchimp_for = mailchimp_for
        self._clock = clock
        self._differences = Differences(members=stores.members, tags=stores.tags, note=self._note)

    def step(self, run: Run, department: Department, remaining: Remaining) -> Run | None:
        """Bring segments to Mailchimp as long as there is time. Answers the run to continue with, or None at the end.

        A segment that cannot be brought there keeps the reason and does not hold up the others. Raises KeyRejected,
        StopRun, and RetryLater with everything noted that was done.
        """
        if run.cursor == ENDED or department.audience is None:
            return None
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
            looked_to = self._look_at(department, checks, changed, place.looked_to, remaining)
            if looked_to is not None:
                return self._save(run, replace(place, looked_to=looked_to))
            if run.type != "segments":
                self._address_statuses.looked_at(department.id, department.audience_id, looked_at)
        work = self._work(run, department, checks, changed, progress, remaining)
        work.leaves_some = not is_all
        is_known = is_first and is_all and len(checks) <= _MOST_CHANGED
        unfinished = self._bring_all(work, replace(place, is_looked=True), changed if is_known else None)
        progress.tell()
        if unfinished is not None:
            return unfinished
        self._differences.keep_unsettled(work)
        self._remove_done(work, checks)
        self._runs.change(run.department_id, run.id, lambda stored: replace(stored, cursor=ENDED))
        return None

    def _due(self, run: Run, department: Department) -> tuple[list[TagRecheck], bool]:
        """The addresses to look at, and whether these are all.

        Where removed customers stay members, who is gone loses the tags by a sync, whose brake may stop it; a run for
        segments alone has no brake.
        """
        checks = self._checks.all(department.id)
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
            and not any(check.address_key in work.not_settled.get(key, ()) for key in check.segments)
        ]
        self._checks.remove(work.department.id, done)

    # ------------------------------------------------------------------------------------------ addresses to look at

    def _look_at(
        self,
        department: Department,
        checks: Sequence[TagRecheck],
        changed: ChangedCustomers,
        looked_to: str,
        remaining: Remaining,
    ) -> str | None:
        """Note where addresses stand by now, and unmark customers whose member has left.

        None at the end; where to go on when time was over. What was read is added to `changed`: the same addresses are
        those that enter and leave segments.
        """
        ahead = [check for check in checks if check.key > looked_to]
        statuses, stopped_at = self._address_statuses.changes(department.id, department.audience_id), None
        for start in range(0, len(ahead), _CHECKS_AT_ONCE):
            if start and remaining() < ENOUGH_SECONDS:
                stopped_at = ahead[start - 1].key
                break
            part = ahead[start : start + _CHECKS_AT_ONCE]
            keys = list(dict.fromkeys(check.address_key for check in part if check.address_key != NO_ADDRESS))
            read = self._members.states(department.id, keys, department.audience_id)
            found = {state.member.address_key: address_status_of(department, state, self._clock()) for state in read}
            before = statuses.note(found)
            if len(changed.states) < MOST_STATES_KEPT:
                changed.take(read, {key: before.is_reached(key) for key in found}, found)
            if changed.checks:
                changed.rows.update(self._customers.rows(department.id, changed.keys_of(read, part)))
            self._unmark(department.id, [state for state in read if state.member.status not in TAGGABLE])
        # A shard is written once, however many of its addresses were looked at.
        statuses.flush()
        return stopped_at

    def _unmark(self, department_id: str, states: Sequence[AddressState]) -> None:
        keys = [
            customer_key(c.id) for state in states if state.address_customers for c in state.address_customers.customers
        ]
        stored = self._customers.get(department_id, keys).values()
        self._tags.clear(department_id, [one.customer_key for one in stored if one.in_segments])

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
            if segment.deleting and self._make_ready(work, keeper, segment, place) is not None:
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
                return self._with_seen(work, place)
            ready = self._ready(work, batch)
            if not ready:
                return None
            if changed is not None and self._knows_the_rest(work, ready):
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
            stopped = self._make_ready(work, keeper, segment, place)
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
        return [segment for segment in known if _is_ready(segment, work.audience_id, work.made_ready)]

    def _knows_the_rest(self, work: Work, ready: Sequence[Segment]) -> bool:
        """Whether customers who did not change are where they should be: held against these rules on this day."""
        if work.run.type == "full" or work.department.replan_all:
            return False
        day = work.today.isoformat()
        return all(segment.read_on == day and segment.counts is not None for segment in ready)

    def _bring_changed(self, work: Work, ready: Sequence[Segment], changed: ChangedCustomers) -> bool:
        """Hold those who changed against the segments; False when time was over, so that all are read next."""
        ids = [segment.id for segment in ready]
        before = changed.counts_before(ids)
        keys = list(changed.rows)
        rows = self._customers.rows(work.department.id, keys) if keys else {}
        passed = self._differences.carry_out(work, ready, [rows[key] for key in sorted(rows, key=place_of)])
        troubled = self._note_troubles(work, ready, passed)
        if passed.stopped_at is not None:
            return False
        after = changed.counts_after(ids, self._customers.rows(work.department.id, keys) if keys else {})
        at = self._clock()
        for segment in ready:
            if segment.id not in troubled and segment.counts is not None:
                counts = after.change_since(before, segment.id, segment.counts)
                self._note_counts(segment, counts, at, read_on=segment.read_on)
        return True

    def _bring_everybody(self, work: Work, segments: Sequence[Segment], place: SegmentsCursor) -> SegmentsCursor | None:
        """Hold all customers against segments and count; None at the end, else where to go on."""
        is_counting = place.is_passed
        if not place.is_passed:
            self._load_seen(work, segments)
            passed = self._differences.carry_out(work, segments, work.reader.walk(after=place.at), after=place.at)
            troubled = self._note_troubles(work, segments, passed)
            segments = [segment for segment in segments if segment.id not in troubled]
            if passed.stopped_at is not None:
                return self._with_seen(work, replace(place, at=passed.stopped_at))
            place = replace(place, is_passed=True)
        # Counting is one reading that cannot be cut: it gets the time of a new step.
        if segments and work.is_short_of_time and not is_counting:
            return place
        counts, at = self._differences.count(work, segments) if segments else MembershipCounts(()), self._clock()
        for segment in segments:
            # Who is gone and still to be looked at is not counted any more: only a reading of all counts right then.
            self._note_counts(segment, counts.of(segment.id), at, read_on="" if work.leaves_some else place.day)
        return None

    def _note_troubles(self, work: Work, segments: Sequence[Segment], passed: Passed) -> set[str]:
        for segment in segments:
            trouble = passed.troubles.get(segment.id)
            if isinstance(trouble, SegmentGone):
                # Deleted there at this very moment: made again by the next round.
                self._change(segment, Segment.without_tag)
            elif trouble is not None:
                self._note_fault(work, segment, trouble)
        return set(passed.troubles)

    # -------------------------------------------------------------------------------------------- tags read back

    def _with_seen(self, work: Work, place: SegmentsCursor) -> SegmentsCursor:
        """The place, with what was read back kept for the step that goes on there."""
        for segment_id, seen in work.seen.items():
            if segment_id == place.healing or segment_id not in work.stored_seen:
                self._seen_addresses.save(work.department.id, f"{work.run.id}#{segment_id}", seen, self._clock())
                work.stored_seen.add(segment_id)
        return place

    def _load_seen(self, work: Work, segments: Sequence[Segment]) -> None:
        if work.run.type != "full":
            return
        for segment in segments:
            if segment.id in work.seen:
                continue
            seen = self._seen_addresses.load(work.department.id, f"{work.run.id}#{segment.id}")
            if seen is not None:
                work.seen[segment.id] = seen
                work.stored_seen.add(segment.id)

    def _work(
        self,
        run: Run,
        department: Department,
        checks: Sequence[TagRecheck],
        changed: ChangedCustomers,
        progress: PhaseReporter,
        remaining: Remaining,
    ) -> Work:
        return Work(
            run=run,
            department=department,
            audience_id=department.audience_id,
            today=today_in(ZoneInfo(department.timezone), self._clock()),
            reader=self._reader_for(department),
            mailchimp=self._mailchimp_for(department, remaining),
            remaining=remaining,
            rechecks=_rechecks_by_segment(checks),
            load_statuses=lambda: self._known_address_statuses(run, department),
            progress=progress,
            looked_at=frozenset(check.address_key for check in checks),
            states=changed.states,
            goes_on=lambda: self._goes_on(run),
        )

    def _known_address_statuses(self, run: Run, department: Department) -> AddressStatuses:
        """Where addresses stand; nothing is known for sure while a plan of all of them is only partly carried out."""
        if run.type == "segments" and department.replan_all:
            return AddressStatuses({})
        return self._address_statuses.load(department.id, department.audience_id)

    def _make_ready(
        self, work: Work, keeper: TagKeeper, segment: Segment, place: SegmentsCursor
    ) -> SegmentsCursor | None:
        """Have the segment's tag and marks as they should be; None when they are, else where to go on."""
        try:
            stopped = self._make_ready_or_raise(work, keeper, segment, place)
        except SegmentGone:
            # Deleted there at this very moment: made again by the next step, unless it was us who deleted it.
            return None if self._change(segment, Segment.without_tag) is None else place
        except (RefuseRequest, WholeCallRefused) as refused:
            self._note_fault(work, segment, refused)
            return None
        except KeyError:
            return None  # it was removed meanwhile, by a step that runs beside this one
        if stopped is None:
            work.made_ready.add(segment.id)
        return stopped

    def _make_ready_or_raise(
        self, work: Work, keeper: TagKeeper, segment: Segment, place: SegmentsCursor
    ) -> SegmentsCursor | None:
        if segment.deleting:
            return None if self._delete(work, keeper, segment) else place
        segment = self._without_lost_tag(work, keeper, segment)
        if segment.stale_marks:
            if not self._differences.forget_marks(work, segment):
                return place
            segment = self._known(segment, lambda known: replace(known, stale_marks=False))
        is_new = segment.tag is None
        segment = keeper.ensure(segment)
        assert segment.tag is not None
        if work.run.type == "full" and not is_new:
            return self._read_back(work, segment, segment.tag, place)
        return None

    def _without_lost_tag(self, work: Work, keeper: TagKeeper, segment: Segment) -> Segment:
        """The segment, its tag forgotten where the selected audience does not have it."""
        if segment.tag is None:
            return segment
        if segment.tag.audience_id != work.audience_id:
            return self._known(segment, Segment.without_tag)
        if not keeper.is_gone(segment):
            return segment
        message = f'The tag of the segment "{segment.name}" was deleted in Mailchimp. This sync creates it again.'
        self._log(work.run, segment, "success", message, code="segment_made_again")
        return self._known(segment, Segment.without_tag)

    def _read_back(self, work: Work, segment: Segment, tag: Tag, place: SegmentsCursor) -> SegmentsCursor | None:
        """Full runs: who carries the tag in Mailchimp is what counts. None when they are read, else where to go on."""
        name = f"{work.run.id}#{segment.id}"
        seen = self._seen_addresses.load(segment.department_id, name) if place.healing == segment.id else None
        if seen is None:
            place, seen = replace(place, healing=segment.id, start=0, is_read=False), SeenAddresses()
        work.seen[segment.id] = seen
        if place.is_read:
            return None
        start = tagged_in(work, tag, seen, start=place.start)
        if start is None and not work.is_short_of_time:
            return None
        return replace(place, start=start or 0, is_read=start is None)

    def _delete(self, work: Work, keeper: TagKeeper, segment: Segment) -> bool:
        """Delete the tag, then the marks, then the definition; False when time was over before that."""
        keeper.delete(segment)
        if not self._differences.forget_marks(work, segment):
            return False
        self._segments.remove(segment.department_id, segment.id)
        return True

    # ------------------------------------------------------------------------------------------------------ keeping

    def _note_counts(self, segment: Segment, counts: SegmentCounts, at: datetime, *, read_on: str) -> None:
        """A segment counts as synced when its counts are noted; until then the next step does it again."""
        self._change(segment, lambda known: known.synced(segment.version, counts, at, read_on=read_on))

    def _note_fault(self, work: Work, segment: Segment, trouble: ServiceError) -> None:
        message = trouble.message
        code = trouble.code.replace("-", "_") if isinstance(trouble, RefuseRequest) else "refused_by_mailchimp"
        if segment.fault != message:
            told = f'The segment "{segment.name}" could not be synced to Mailchimp: {message}'
            self._log(work.run, segment, "error", told, code="segment_failed", cause=code)
        self._change(segment, lambda known: known.failed(message, code))

    def _log(
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

    def _note(self, run: Run, added: int, removed: int) -> bool:
        """Count what a call did; answers whether the run is still to go on."""

        def noted(stored: Run) -> Run:
            counts = dict(stored.counts)
            for name, count in (("segment_added", added), ("segment_removed", removed)):
                if count:
                    counts[name] = counts.get(name, 0) + count
            return replace(stored, counts=counts, progress_at=self._clock())

        return self._runs.change(run.department_id, run.id, noted).is_open

    def _goes_on(self, run: Run) -> bool:
        stored = self._runs.get(run.department_id, run.id)
        return stored is not None and stored.is_open

    def _save(self, run: Run, place: SegmentsCursor) -> Run:
        cursor = place.cursor()
        return self._runs.change(
            run.department_id, run.id, lambda stored: replace(stored, cursor=cursor, progress_at=self._clock())
        )

    def _change(self, segment: Segment, change: Callable[[Segment], Segment]) -> Segment | None:
        """The changed segment; None when it was removed meanwhile."""
        try:
            return self._known(segment, change)
        except KeyError:
            return None

    def _known(self, segment: Segment, change: Callable[[Segment], Segment]) -> Segment:
        return self._segments.change(segment.department_id, segment.id, change)


def address_status_of(department: Department, state: AddressState, now: datetime) -> AddressStatus:
    """Where an address of a department with an audience stands, and what its next plan makes of it."""
    assert department.audience is not None
    policy, fields = department.settings.consent, department.audience.fields
    return address_status(state, plan_address(state, policy=policy, fields=fields, now=now))


def _is_ready(segment: Segment, audience_id: str, made_ready: set[str]) -> bool:
    """Whether the differences can be sent. An old fault is over only for a segment that this step has made ready."""
    tag = segment.tag
    if segment.deleting or segment.stale_marks or tag is None or (segment.fault and segment.id not in made_ready):
        return False
    return tag.audience_id == audience_id and tag.name == segment.name


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
    return ahead[:_READ_BACK_AT_ONCE] if run.type == "full" else ahead


def _rechecks_by_segment(checks: Sequence[TagRecheck]) -> dict[str, set[str]]:
    """Addresses that may carry a tag without a marked customer, by segment."""
    rechecks: dict[str, set[str]] = {}
    for check in checks:
        for segment_id in check.segments:
            rechecks.setdefault(segment_id, set()).add(check.address_key)
    return rechecks
