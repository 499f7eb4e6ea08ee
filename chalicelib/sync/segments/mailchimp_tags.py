"""Keeps a segment's tag in Mailchimp: made, named as the segment is, made again when it was deleted there, deleted.

Creating is not idempotent, and Mailchimp may accept a name twice. So the wish is noted first, and an empty tag of that
name that turns up after a lost answer is taken for ours. Every other tag is somebody else's and is never touched.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain.segments.segment import Segment, Tag, twin_of
from chalicelib.domain.segments.validation import name_key
from chalicelib.errors import RefuseRequest, conflict
from chalicelib.mailchimp.errors import SegmentGone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.mailchimp.answers import Segment as RemoteTag
    from chalicelib.mailchimp.client import MailchimpClient
    from chalicelib.store.segments import SegmentStore


class TagKeeper:
    """The tags of one audience. `there` are all its tags as Mailchimp lists them, `ours` the ids of our segments'."""

    def __init__(
        self, store: SegmentStore, mailchimp: MailchimpClient, audience_id: str, segments: Sequence[Segment]
    ) -> None:
        self._store = store
        self._mailchimp = mailchimp
        self._audience_id = audience_id
        self._there = {tag.id: tag for tag in mailchimp.static_segments(audience_id)}
        self._ours = ids_of_ours(segments, audience_id)

    def is_gone(self, segment: Segment) -> bool:
        """Whether the segment's tag was deleted in Mailchimp. A listing may lag behind, so the tag itself is asked."""
        if segment.tag is None or segment.tag.id in self._there:
            return False
        try:
            next(self._mailchimp.segment_members(self._audience_id, segment.tag.id), None)
        except SegmentGone:
            return True
        return False

    def ensure(self, segment: Segment) -> Segment:
        """The segment with its tag, which has the segment's name. Raises RefuseRequest where Mailchimp forbids it."""
        if segment.tag is None:
            left = segment.tag_left_in(self._audience_id)
            if left is None or left.id not in self._there:
                return self._create(segment)
            segment = self._change(segment, lambda known: known.tagged(left, is_unread=True))
        assert segment.tag is not None
        there = self._there.get(segment.tag.id)
        renamed_there = there is not None and name_key(there.name) != name_key(segment.name)
        if segment.tag.name == segment.name and not renamed_there:
            return segment
        self._refuse_foreign(segment)
        made = self._mailchimp.rename_segment(self._audience_id, segment.tag.id, segment.name)
        return self._keep(segment, replace(made, id=segment.tag.id))

    def delete(self, segment: Segment) -> None:
        """Delete the tag in Mailchimp, if it is in this audience. One that is gone is fine."""
        if segment.tag is not None and segment.tag.audience_id == self._audience_id:
            self._mailchimp.delete_segment(self._audience_id, segment.tag.id)
            self._ours.discard(segment.tag.id)
            self._there.pop(segment.tag.id, None)
            return
        orphan = self._unanswered(segment)
        if orphan is not None:
            self._mailchimp.delete_segment(self._audience_id, orphan.id)

    def _create(self, segment: Segment) -> Segment:
        orphan = self._unanswered(segment)
        if orphan is not None:
            return self._keep(segment, orphan)
        self._refuse_foreign(segment)
        segment = self._change(segment, lambda known: replace(known, asked_in=self._audience_id))
        return self._keep(segment, self._mailchimp.create_static_segment(self._audience_id, segment.name))

    def _keep(self, segment: Segment, made: RemoteTag) -> Segment:
        tag = Tag(self._audience_id, made.id, segment.name)
        self._there[made.id] = replace(made, name=segment.name)
        self._ours.add(made.id)
        return self._change(segment, lambda known: known.tagged(tag))

    def _unanswered(self, segment: Segment) -> RemoteTag | None:
        """The tag that was made although its answer never came."""
        if segment.asked_in != self._audience_id:
            return None
        twin = self._there.get(self._twin(segment) or 0)
        return twin if twin is not None and twin.member_count == 0 else None

    def _refuse_foreign(self, segment: Segment) -> None:
        if self._twin(segment) is not None:
            raise foreign_tag(segment.name)

    def _twin(self, segment: Segment) -> int | None:
        names = ((tag.id, tag.name) for tag in self._there.values())
        return twin_of(segment.name, names, self._ours)

    def _change(self, segment: Segment, change: Callable[[Segment], Segment]) -> Segment:
        return self._store.change(segment.department_id, segment.id, change)


def ids_of_ours(segments: Sequence[Segment], audience_id: str) -> set[int]:
    """The ids of our segments' tags in an audience, those that are being deleted or were left there among them."""
    tags = [tag for segment in segments for tag in (segment.tag, *segment.left_tags) if tag is not None]
    return {tag.id for tag in tags if tag.audience_id == audience_id}


def foreign_tag(name: str) -> RefuseRequest:
    return conflict(
        f'Mailchimp already has a tag named "{name}" that does not belong to PracBill. Choose another name for the '
        "segment, or rename or delete the tag in Mailchimp.",
        code="tag-exists",
        field="name",
    )
