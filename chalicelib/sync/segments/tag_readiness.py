"""Having a segment's tag and marks as they should be, before its differences are sent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain.seen_addresses import SeenAddresses
from chalicelib.domain.segments.segment import Segment, Tag
from chalicelib.errors import RefuseRequest
from chalicelib.mailchimp.errors import SegmentGone, WholeCallRefused
from chalicelib.sync.segments.membership_diff import Differences, tagged_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.store.stores import Stores
    from chalicelib.sync.ports import Clock
    from chalicelib.sync.segments.mailchimp_tags import TagKeeper
    from chalicelib.sync.segments.segment_notes import SegmentNotes
    from chalicelib.sync.segments.segment_work import Work
    from chalicelib.sync.segments.segments_cursor import SegmentsCursor


class TagReadiness:
    def __init__(self, stores: Stores, differences: Differences, notes: SegmentNotes, clock: Clock) -> None:
        self._segments, self._seen_addresses = stores.segments, stores.seen_addresses
        self._differences = differences
        self._notes = notes
        self._clock = clock

    def make_ready(
        self, work: Work, keeper: TagKeeper, segment: Segment, place: SegmentsCursor
    ) -> SegmentsCursor | None:
        """Have the segment's tag and marks as they should be; None when they are, else where to go on."""
        try:
            stopped = self._make_ready_or_raise(work, keeper, segment, place)
        except SegmentGone:
            # Deleted there at this very moment: made again by the next step, unless it was us who deleted it.
            return None if self._notes.change(segment, Segment.without_tag) is None else place
        except (RefuseRequest, WholeCallRefused) as refused:
            self._notes.note_fault(work, segment, refused)
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
            segment = self._notes.known(segment, lambda known: replace(known, stale_marks=False))
        is_new = segment.tag is None
        segment = keeper.ensure(segment)
        assert segment.tag is not None
        if segment.is_unread or (work.run.type == "full" and not is_new):
            return self._read_back(work, segment, segment.tag, place)
        return None

    def _without_lost_tag(self, work: Work, keeper: TagKeeper, segment: Segment) -> Segment:
        """The segment, its tag forgotten where the selected audience does not have it."""
        if segment.tag is None:
            return segment
        if segment.tag.audience_id != work.audience_id:
            return self._notes.known(segment, Segment.with_tag_left)
        if not keeper.is_gone(segment):
            return segment
        message = f'The tag of the segment "{segment.name}" was deleted in Mailchimp. This sync creates it again.'
        self._notes.log(work.run, segment, "success", message, code="segment_made_again")
        return self._notes.known(segment, Segment.without_tag)

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

    def with_seen(self, work: Work, place: SegmentsCursor) -> SegmentsCursor:
        """The place, with what was read back kept for the step that goes on there."""
        for segment_id, seen in work.seen.items():
            if segment_id == place.healing or segment_id not in work.stored_seen:
                self._seen_addresses.save(work.department.id, f"{work.run.id}#{segment_id}", seen, self._clock())
                work.stored_seen.add(segment_id)
        return place

    def load_seen(self, work: Work, segments: Sequence[Segment]) -> None:
        for segment in segments:
            if segment.id in work.seen or not (work.run.type == "full" or segment.is_unread):
                continue
            seen = self._seen_addresses.load(work.department.id, f"{work.run.id}#{segment.id}")
            if seen is not None:
                work.seen[segment.id] = seen
                work.stored_seen.add(segment.id)
