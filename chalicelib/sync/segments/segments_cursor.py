"""Where the segments phase stands, from step to step."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from chalicelib.domain.segments.segment import Segment

_SHARED, _FAILED = "out", "failed"


@dataclass(frozen=True, slots=True)
class SegmentsCursor:
    """Where the phase stands.

    Addresses up to the check `looked_to` were looked at. Segments are dealt with in batches: those up to `after` are
    done; of the present batch those up to `ready` have their tag and true marks, and `start` members of `healing` were
    read back. When all are ready, customers are held against the batch as on `day`: those up to `at` are done, with the
    segments in the `versions` that they had; those behind it are `shared` out among the lanes, or a lane failed. Then
    only the counts are missing (`is_passed`).
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
    shared: str = ""
    is_passed: bool = False

    @property
    def is_shared(self) -> bool:
        """Whether nobody behind the place is left to the run's own steps."""
        return self.shared == _SHARED

    @property
    def was_shared(self) -> bool:
        return bool(self.shared)

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
            shared=cursor.get("shared", ""),
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
            "shared": self.shared,
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

    def without(self, segment_ids: Collection[str]) -> SegmentsCursor:
        """Segments that cannot be brought to Mailchimp are left out of the rest of the pass."""
        if not segment_ids:
            return self
        versions = {key: version for key, version in json.loads(self.versions).items() if key not in segment_ids}
        return replace(self, versions=json.dumps(versions))

    def shared_out(self) -> SegmentsCursor:
        return replace(self, shared=_SHARED)

    def share_failed(self) -> SegmentsCursor:
        """One lane could not do its share: the next step holds everybody behind the place against the segments."""
        return replace(self, shared=_FAILED)
