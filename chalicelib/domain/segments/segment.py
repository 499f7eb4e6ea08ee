"""A segment as this service keeps it: what staff defined, its tag in Mailchimp, and what the last sync found.

Everything that a sync does for a segment can be told from this value and the customers' marks (`in_segments`), so a
sync that dies is simply done again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from chalicelib.domain.segments.rules import Rule
from chalicelib.domain.segments.validation import name_key

if TYPE_CHECKING:
    from chalicelib.domain.consent.members import Status

# Each segment is asked for by every sync; far more than anybody needs.
MOST_SEGMENTS = 100

# Why a customer with a member of this status carries no tag.
_REASON_OF_STATUS: dict[Status, str] = {
    "unsubscribed": "opted_out",
    "cleaned": "cleaned",
    "archived": "archived",
    "forgotten": "forgotten",
}


@dataclass(frozen=True, slots=True)
class Tag:
    """A segment's tag, which Mailchimp calls a static segment. `name` is the one we last gave it."""

    audience_id: str
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class SegmentCounts:
    """What a sync found: customers who match, members who carry the tag, and why these are fewer.

    `reachable` are the customers whom a campaign to the tag reaches.
    """

    customers: int
    tagged: int
    reachable: int
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a department. `version` counts staff's edits, `synced_version` is the one Mailchimp has."""

    department_id: str
    id: str
    name: str
    rules: tuple[Rule, ...]
    created_at: datetime
    created_by: str
    version: int = 1
    synced_version: int = 0
    tag: Tag | None = None
    # The audience in which a tag was asked for and no answer is known: an empty one of our name there is ours.
    asked_in: str = ""
    # Its tags in audiences that the department kept before: ours again when that audience is selected again.
    left_tags: tuple[Tag, ...] = ()
    # The tag is such a one, and who carries it is still to be read from Mailchimp.
    is_unread: bool = False
    # Customers may still be marked as carrying a tag that is gone; to be cleared before there is a new one.
    stale_marks: bool = False
    deleting: bool = False
    fault: str = ""  # why the last sync could not bring it to Mailchimp, for staff
    fault_code: str = ""
    customer_count: int | None = None
    as_of: datetime | None = None
    tagged_count: int | None = None
    reachable_count: int | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    synced_at: datetime | None = None
    # The department's day on which all customers were last held against this version. What changed since then only
    # concerns customers who changed, until the day is over.
    read_on: str = ""

    @property
    def counts(self) -> SegmentCounts | None:
        """As the last sync found them; None before the first."""
        if self.customer_count is None or self.tagged_count is None or self.reachable_count is None:
            return None
        return SegmentCounts(self.customer_count, self.tagged_count, self.reachable_count, self.left_out)

    def is_synced(self, audience_id: str) -> bool:
        """Whether Mailchimp's audience has this version of the segment."""
        tag = self.tag
        if self.deleting or self.stale_marks or tag is None or tag.audience_id != audience_id:
            return False
        return self.synced_version == self.version and tag.name == self.name

    def defined(self, name: str, rules: tuple[Rule, ...]) -> Segment:
        """As staff want it now; the same value when that is nothing new."""
        if name == self.name and rules == self.rules:
            return self
        return replace(self, name=name, rules=rules, version=self.version + 1, fault="", fault_code="", read_on="")

    def without_tag(self) -> Segment:
        """The tag is gone."""
        return replace(self, tag=None, stale_marks=True, is_unread=False, read_on="")

    def with_tag_left(self) -> Segment:
        """Another audience is selected; the tag stays where it is, and stays ours."""
        tag = self.tag
        kept = tuple(left for left in self.left_tags if tag is None or left.audience_id != tag.audience_id)
        return replace(self.without_tag(), left_tags=(*kept, tag) if tag is not None else kept)

    def tag_left_in(self, audience_id: str) -> Tag | None:
        return next((left for left in self.left_tags if left.audience_id == audience_id), None)

    def tagged(self, tag: Tag, *, is_unread: bool = False) -> Segment:
        kept = tuple(left for left in self.left_tags if left.audience_id != tag.audience_id)
        return replace(self, tag=tag, asked_in="", left_tags=kept, is_unread=is_unread or self.is_unread)

    def failed(self, fault: str, code: str) -> Segment:
        """It could not be brought to Mailchimp, so it must be held against all customers once it can."""
        return replace(self, fault=fault, fault_code=code, read_on="")

    def synced(self, version: int, tally: SegmentCounts, at: datetime, *, read_on: str) -> Segment:
        """After a sync carried out `version`, which may not be the latest any more."""
        found = replace(
            self,
            tagged_count=tally.tagged,
            reachable_count=tally.reachable,
            left_out=dict(tally.left_out),
            synced_version=version,
            synced_at=at,
            is_unread=False,
        )
        if version != self.version:
            return found
        return replace(found, customer_count=tally.customers, as_of=at, fault="", fault_code="", read_on=read_on)


def reason_of(status: Status) -> str:
    """Why a customer whose address has this status carries no tag; only for a status that is not in TAGGABLE."""
    return _REASON_OF_STATUS.get(status, "not_a_member")


def twin_of(name: str, names: Iterable[tuple[int, str]], ours: Iterable[int]) -> int | None:
    """The id of a tag of that name that is not ours; `names` are the audience's tags by id."""
    key, known = name_key(name), set(ours)
    return next((tag_id for tag_id, there in names if name_key(there) == key and tag_id not in known), None)
