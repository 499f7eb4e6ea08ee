"""The segments phase of every run: Mailchimp's tags follow the segments.

Every run looks at every segment, because rules with dates change by the clock. A full run also reads back who carries
the tags, and so heals what somebody changed there by hand. A step does what fits into its time; what it did not
finish is found again by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from chalicelib.domain.address_status import AddressStatus, address_status
from chalicelib.domain.customers import customer_key
from chalicelib.domain.departments import Department
from chalicelib.domain.logs import LogEntry, LogStatus
from chalicelib.domain.planning import AddressState, plan_address
from chalicelib.domain.runs import Run
from chalicelib.domain.seen_addresses import SeenAddresses
from chalicelib.domain.segments.calendar import today_in
from chalicelib.domain.segments.segment import TAGGABLE, Segment, Tag
from chalicelib.errors import RefuseRequest, ServiceError
from chalicelib.mailchimp.errors import SegmentGone, WholeCallRefused
from chalicelib.store.address_status import AddressStatuses
from chalicelib.store.stores import Stores
from chalicelib.store.tag_rechecks import TagRecheck
from chalicelib.sync.ports import Clock, MailchimpFor, ReaderFor, Remaining
from chalicelib.sync.runs.phase_progress import PhaseReporter
from chalicelib.sync.runs.progress import ENDED, ENOUGH_SECONDS
from chalicelib.sync.segments.mailchimp_tags import TagKeeper
from chalicelib.sync.segments.membership_diff import (
    MOST_STATES_KEPT,
    Differences,
    Work,
    tagged_in,
)

_CHECKS_AT_ONCE = 200
# A segment that is edited again and again must not hold up the run: the run after this one takes the rest.
_MOST_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class SegmentsCursor:
    """Where the phase stands: segments up to `after` are ready, and `start` members of `healing` are read.

    A segment is ready when its tag is there and its marks are true: only its differences are to be sent.
    """

    is_looked: bool = False
    after: str = ""
    healing: str = ""
    start: int = 0
    is_read: bool = False

    @classmethod
    def of(cls, cursor: dict[str, str]) -> SegmentsCursor:
        return cls(
            is_looked=cursor.get("looked") == "yes",
            after=cursor.get("after", ""),
            healing=cursor.get("healing", ""),
            start=int(cursor.get("start", "0")),
            is_read=cursor.get("read") == "yes",
        )

    def cursor(self) -> dict[str, str]:
        return {
            "looked": "yes" if self.is_looked else "no",
            "after": self.after,
            "healing": self.healing,
            "start": str(self.start),
            "read": "yes" if self.is_read else "no",
        }

    def behind(self, segment: Segment) -> SegmentsCursor:
        """After a segment; those that are being deleted are taken first, out of order."""
        return SegmentsCursor(is_looked=True, after=self.after if segment.deleting else max(self.after, segment.id))

    def before(self, segment: Segment) -> bool:
        """Whether the segment is still to be made ready."""
        return segment.deleting or segment.id > self.after


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
        if not run.cursor:
            # From here on an edit may be too late for this run: it asks for another one by setting the mark again.
            department = self._departments.change(department.id, lambda d: replace(d, segments_waiting=False))
        progress = PhaseReporter(self._runs, run, "segments", self._clock)
        if not run.cursor:
            progress.expect_more(_work_ahead(self._segments.all(department.id), run, department.audience_id))
        place, checks = SegmentsCursor.of(run.cursor), self._checks.all(department.id)
        states: dict[str, AddressState] = {}
        if not place.is_looked:
            if not run.cursor and run.type != "segments" and (run.type == "full" or department.replan_all):
                self._address_statuses.put_in_force(department.id, department.audience_id, run.id)
            looked_at = self._clock()
            if not self._look_at(department, checks, states, remaining):
                return self._save(run, place)
            if run.type != "segments":
                self._address_statuses.looked_at(department.id, department.audience_id, looked_at)
        work = self._work(run, department, checks, states, progress, remaining)
        unfinished = self._bring_all(work, replace(place, is_looked=True))
        progress.tell()
        if unfinished is not None:
            return unfinished
        self._differences.keep_failed(work)
        self._checks.remove(department.id, [check for check in checks if not _is_kept(check, work)])
        self._runs.change(run.department_id, run.id, lambda stored: replace(stored, cursor=ENDED))
        return None

    # ------------------------------------------------------------------------------------------ addresses to look at

    def _look_at(
        self,
        department: Department,
        checks: Sequence[TagRecheck],
        states: dict[str, AddressState],
        remaining: Remaining,
    ) -> bool:
        """Note where addresses stand by now, and unmark customers whose member has left; False when time was over.

        What only changed its status is done with then. Suspects are kept until the tags were dealt with. What was read
        is added to `states`: the same addresses are those that enter and leave segments.
        """
        statuses, done = self._address_statuses.changes(department.id, department.audience_id), list[TagRecheck]()
        is_through = True
        for start in range(0, len(checks), _CHECKS_AT_ONCE):
            if start and remaining() < ENOUGH_SECONDS:
                is_through = False
                break
            part = checks[start : start + _CHECKS_AT_ONCE]
            keys = list(dict.fromkeys(check.address_key for check in part))
            read = self._members.states(department.id, keys, department.audience_id)
            found = {state.member.address_key: address_status_of(department, state, self._clock()) for state in read}
            statuses.note(found)
            self._unmark(department.id, [state for state in read if state.member.status not in TAGGABLE])
            if len(states) < MOST_STATES_KEPT:
                states.update({state.member.address_key: state for state in read})
            done += [check for check in part if not check.segments]
        # A shard is written once, however many of its addresses were looked at; until then the checks stay.
        statuses.flush()
        self._checks.remove(department.id, done)
        return is_through

    def _unmark(self, department_id: str, states: Sequence[AddressState]) -> None:
        keys = [
            customer_key(c.id) for state in states if state.address_customers for c in state.address_customers.customers
        ]
        stored = self._customers.get(department_id, keys).values()
        self._tags.clear(department_id, [one.customer_key for one in stored if one.in_segments])

    # ----------------------------------------------------------------------------------------------------- segments

    def _bring_all(self, work: Work, place: SegmentsCursor) -> Run | None:
        """Bring every segment to Mailchimp, and once more those that were edited meanwhile."""
        run, department_id, audience_id = work.run, work.department.id, work.audience_id
        segments = self._segments.all(department_id)
        if not segments:
            return None
        keeper = TagKeeper(self._segments, work.mailchimp, audience_id, segments)
        try:
            for _ in range(_MOST_ROUNDS):
                # Those that are being deleted come first: their names may be wanted.
                for segment in sorted(filter(place.before, segments), key=lambda s: not s.deleting):
                    stopped = self._make_ready(work, keeper, segment, place)
                    place = stopped or place.behind(segment)
                    if stopped is not None or work.is_short_of_time or not self._goes_on(run):
                        self._differences.keep_rechecks(work)
                        return self._save(run, place)
                concerned = {segment.id for segment in segments}
                known = (s for s in self._segments.all(department_id) if s.id in concerned)
                if not self._carry_out(work, [s for s in known if _is_ready(s, audience_id, work.made_ready)]):
                    self._differences.keep_rechecks(work)
                    return self._save(run, place)
                segments = [s for s in self._segments.all(department_id) if not (s.is_synced(audience_id) or s.fault)]
                if not segments:
                    break
                place = SegmentsCursor(is_looked=True)
        finally:
            # What Mailchimp has answered is kept, whatever stops us.
            self._differences.keep_marks(work)
        return None

    def _carry_out(self, work: Work, ready: Sequence[Segment]) -> bool:
        """Send the differences of segments that are ready, and count; False when time was over before the end."""
        if not ready:
            return True
        troubles = self._differences.carry_out(work, ready)
        if troubles is None:
            return False
        self._note_tallies(work)
        for segment in ready:
            trouble = troubles.get(segment.id)
            if isinstance(trouble, SegmentGone):
                # Deleted there at this very moment: made again by the next round.
                self._change(segment, Segment.without_tag)
            elif isinstance(trouble, ServiceError):
                self._note_fault(work, segment, trouble)
        return True

    def _work(
        self,
        run: Run,
        department: Department,
        checks: Sequence[TagRecheck],
        states: dict[str, AddressState],
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
            address_statuses=self._known_address_statuses(run, department),
            progress=progress,
            looked_at=frozenset(check.address_key for check in checks),
            states=states,
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
            return self._heal(work, segment, segment.tag, place)
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

    def _heal(self, work: Work, segment: Segment, tag: Tag, place: SegmentsCursor) -> SegmentsCursor | None:
        """Full runs: who carries the tag in Mailchimp is what counts. None when done, else where to go on."""
        name = f"{work.run.id}#{segment.id}"
        known = self._seen_addresses.load(segment.department_id, name) if place.healing == segment.id else None
        if known is None:
            place, known = replace(place, healing=segment.id, start=0, is_read=False), SeenAddresses()
        if not place.is_read:
            start = tagged_in(work, tag, known, start=place.start)
            place = replace(place, start=start or 0, is_read=start is None)
            if start is not None or work.is_short_of_time:
                self._seen_addresses.save(segment.department_id, name, known, self._clock())
                return place
        self._differences.heal(work, segment, known)
        return None

    def _delete(self, work: Work, keeper: TagKeeper, segment: Segment) -> bool:
        """Delete the tag, then the marks, then the definition; False when time was over before that."""
        keeper.delete(segment)
        if not self._differences.forget_marks(work, segment):
            return False
        self._segments.remove(segment.department_id, segment.id)
        return True

    # ------------------------------------------------------------------------------------------------------ keeping

    def _note_tallies(self, work: Work) -> None:
        """A segment counts as synced when its counts are noted; until then the next step does it again."""
        at = self._clock()
        for segment, tally in self._differences.tallies(work):
            self._change(segment, lambda known, s=segment, t=tally: known.synced(s.version, t, at))  # type: ignore[misc]

    def _note_fault(self, work: Work, segment: Segment, trouble: ServiceError) -> None:
        message = trouble.message
        code = trouble.code.replace("-", "_") if isinstance(trouble, RefuseRequest) else "refused_by_mailchimp"
        if segment.fault != message:
            told = f'The segment "{segment.name}" could not be synced to Mailchimp: {message}'
            self._log(work.run, segment, "error", told, code="segment_failed", cause=code)
        self._change(segment, lambda known: replace(known, fault=message, fault_code=code))

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


def _is_kept(check: TagRecheck, work: Work) -> bool:
    """Whether the next run looks at the address again, since the call to take a tag from it failed."""
    return any(check.address_key in work.not_untagged.get(segment_id, ()) for segment_id in check.segments)


def _rechecks_by_segment(checks: Sequence[TagRecheck]) -> dict[str, set[str]]:
    """Addresses that may carry a tag without a marked customer, by segment."""
    rechecks: dict[str, set[str]] = {}
    for check in checks:
        for segment_id in check.segments:
            rechecks.setdefault(segment_id, set()).add(check.address_key)
    return rechecks
