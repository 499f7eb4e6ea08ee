"""A segment as the API shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.contract.common import DifferenceReason
from chalicelib.contract.segments import SegmentSyncState, SegmentView

if TYPE_CHECKING:
    from chalicelib.domain.segments.segment import Segment

# Why a customer of the segment is no member of its own with the tag, in the order in which it is told.
_LEFT_OUT = {
    "no_address": "Customers without a usable e-mail address.",
    "shared_address": "Customers who share the address of another one in the segment: together they are one member.",
    "opted_out": "People who opted out.",
    "cleaned": "Addresses that bounced.",
    "archived": "Contacts archived in Mailchimp.",
    "forgotten": "Contacts deleted for good in Mailchimp.",
    "not_a_member": "Customers who are not in the audience: no consent, refused by Mailchimp, or not sent yet.",
    "not_taken": "Members that Mailchimp did not tag; the next full sync tries them again.",
    "not_yet": "Changes that the next sync sends to Mailchimp.",
}


def view_of(segment: Segment, *, audience_id: str, is_syncing: bool) -> SegmentView:
    """The segment as the API shows it."""
    return SegmentView(
        id=segment.id,
        name=segment.name,
        rules=segment.rules,
        customer_count=segment.customer_count,
        as_of=segment.as_of,
        mailchimp_segment_id=segment.tag.id if segment.tag and segment.tag.audience_id == audience_id else None,
        sync_state=_state(segment, audience_id, is_syncing),
        version=segment.version,
        tagged_count=segment.tagged_count,
        reachable_count=segment.reachable_count,
        difference=_difference(segment),
        last_synced_at=segment.synced_at,
        message=segment.fault or None,
        code=(segment.fault_code or "other") if segment.fault else None,
    )


def _state(segment: Segment, audience_id: str, is_syncing: bool) -> SegmentSyncState:
    if segment.is_synced(audience_id) and not segment.fault:
        return "synced"
    if is_syncing:
        return "syncing"
    return "error" if segment.fault else "pending"


def _difference(segment: Segment) -> tuple[DifferenceReason, ...]:
    """Customers less members, the whole of it split by reason."""
    if segment.customer_count is None or segment.tagged_count is None:
        return ()
    parts = {code: count for code, count in segment.left_out.items() if code != "not_yet"}
    parts["not_yet"] = segment.customer_count - segment.tagged_count - sum(parts.values())
    return tuple(DifferenceReason(code, parts[code], words) for code, words in _LEFT_OUT.items() if parts.get(code))
