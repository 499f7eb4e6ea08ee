"""Counts of segments: of all customers at once, and by what changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.segments.membership_counts import MembershipCounts
from chalicelib.domain.segments.segment import SegmentCounts

SEGMENTS = ("s1", "s2")


@dataclass(frozen=True)
class Stored:
    """A customer with what is stored; addresses are shared freely."""

    address: str | None
    in_segments: frozenset[str]
    left_out: tuple[tuple[str, str], ...]


_addresses = st.none() | st.sampled_from(["a", "b", "c"])
_left_out = st.dictionaries(st.sampled_from(["s1", "s2", "other"]), st.sampled_from(["opted_out", "not_yet"]))
_customers = st.builds(
    Stored,
    _addresses,
    st.frozensets(st.sampled_from(["s1", "s2", "other"])),
    _left_out.map(lambda found: tuple(found.items())),
)


def counted(customers: list[Stored], reached: frozenset[str]) -> MembershipCounts:
    counts = MembershipCounts(SEGMENTS)
    for one in customers:
        counts.add(one.address, one.in_segments, dict(one.left_out), is_reached=one.address in reached)
    return counts


@given(st.lists(_customers, max_size=8), st.frozensets(st.sampled_from(["a", "b", "c"])))
def test_counts_are_what_a_plain_look_at_everybody_finds(customers: list[Stored], reached: frozenset[str]) -> None:
    counts = counted(customers, reached)
    for segment_id in SEGMENTS:
        tagged = [one for one in customers if segment_id in one.in_segments]
        without = [one for one in customers if segment_id not in one.in_segments and segment_id in dict(one.left_out)]
        addresses = {one.address for one in tagged if one.address is not None}
        nowhere = sum(one.address is None for one in tagged)
        reasons = Counter(dict(one.left_out)[segment_id] for one in without)
        reasons["shared_address"] = len(tagged) - len(addresses) - nowhere
        assert counts.of(segment_id) == SegmentCounts(
            len(tagged) + len(without),
            len(addresses) + nowhere,
            sum(one.address in reached for one in tagged),
            dict(+reasons),
        )


_everybody = st.lists(_customers, max_size=8)
_reached = st.frozensets(st.sampled_from("abc"))
_touched = st.frozensets(st.sampled_from(["a", "b", "c", None]))


@given(st.data())
def test_what_changed_leads_to_the_counts_of_everybody(data: st.DataObject) -> None:
    """Customers of other addresses stay as they are; all who have an address are looked at together."""
    reached_before, reached_after = (data.draw(_reached) for _ in range(2))
    customers = data.draw(_everybody)
    touched = data.draw(_touched)
    rest = [one for one in customers if one.address not in touched]
    before = [one for one in customers if one.address in touched]
    after = [one for one in data.draw(_everybody) if one.address in touched]
    # Whether the others are reached has not changed.
    reached_after = frozenset(a for a in "abc" if (a in reached_after if a in touched else a in reached_before))
    changed = counted(after, reached_after)
    for segment_id in SEGMENTS:
        known = counted(customers, reached_before).of(segment_id)
        found = changed.change_since(counted(before, reached_before), segment_id, known)
        assert found == counted(rest + after, reached_after).of(segment_id)


def test_who_has_an_address_alone_need_not_be_remembered() -> None:
    counts = MembershipCounts(SEGMENTS)
    for number in range(3):
        counts.add(f"address-{number}", ("s1",), {}, is_reached=True, is_alone=True)
    assert counts.of("s1") == SegmentCounts(3, 3, 3, {})
    assert counts._shared == {}
