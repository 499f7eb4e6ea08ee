"""How many customers and members each of some segments has, counted from what is stored with the customers.

A customer who matches a segment carries its tag (the segment is in `in_segments`) or is left out for a reason. Several
customers with one address are one member: the first of them counts as the member, the others as `shared_address`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from chalicelib.domain.segments.segment import SegmentCounts


@dataclass(slots=True)
class MembershipCounts:
    """Counts of the segments whose ids are given; other segments of the customers are passed over.

    The counts grow with what is added and may be subtracted: both changes of a few customers and all of a department
    are counted with it.
    """

    segment_ids: Iterable[str]
    customers: Counter[str] = field(default_factory=Counter)
    tagged: Counter[str] = field(default_factory=Counter)
    reachable: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, Counter[str]] = field(default_factory=dict)
    # One number an address that several customers have, a bit a segment.
    _shared: dict[str, int] = field(default_factory=dict)
    _bits: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._bits = {segment_id: 1 << place for place, segment_id in enumerate(self.segment_ids)}
        self.left_out = {segment_id: Counter() for segment_id in self._bits}

    def add(
        self,
        address_key: str | None,
        in_segments: Collection[str],
        left_out: Mapping[str, str],
        *,
        is_reached: bool,
        is_alone: bool = False,
    ) -> None:
        """Count one customer. `is_alone`: nobody else has the address, so it need not be remembered."""
        known = self._shared.get(address_key, 0) if address_key is not None and not is_alone else 0
        after = known
        for segment_id in in_segments:
            bit = self._bits.get(segment_id)
            if bit is None:
                continue
            self.customers[segment_id] += 1
            self.reachable[segment_id] += is_reached
            if known & bit:
                self.left_out[segment_id]["shared_address"] += 1
            else:
                self.tagged[segment_id] += 1
                after |= bit
        if after != known and not is_alone and address_key is not None:
            self._shared[address_key] = after
        for segment_id, code in left_out.items():
            if segment_id in self._bits and segment_id not in in_segments:
                self.customers[segment_id] += 1
                # What stands behind the code says whether the customer is tried again.
                self.left_out[segment_id][code.partition(":")[0]] += 1

    def of(self, segment_id: str) -> SegmentCounts:
        return SegmentCounts(
            self.customers[segment_id],
            self.tagged[segment_id],
            self.reachable[segment_id],
            dict(+self.left_out[segment_id]),
        )

    def change_since(self, before: MembershipCounts, segment_id: str, counts: SegmentCounts) -> SegmentCounts:
        """`counts` after some customers, who were counted as `before`, are as counted here."""
        left_out = Counter(counts.left_out)
        left_out.update(self.left_out[segment_id])
        left_out.subtract(before.left_out[segment_id])
        return SegmentCounts(
            counts.customers + self.customers[segment_id] - before.customers[segment_id],
            counts.tagged + self.tagged[segment_id] - before.tagged[segment_id],
            counts.reachable + self.reachable[segment_id] - before.reachable[segment_id],
            dict(+left_out),
        )
