"""Segments: groups of customers by filter rules, each a tag in Mailchimp."""

from __future__ import annotations

from chalicelib.api.access import forbidden
from chalicelib.api.bodies import NoBody, PreviewBody, SegmentBody, SegmentEditBody
from chalicelib.api.cursors import Listing
from chalicelib.api.queries import DepartmentQuery, NoQuery, PageQuery
from chalicelib.api.routing import Call, Need, PlainCall, Routes, checked_department
from chalicelib.contract.common import Page
from chalicelib.contract.segments import SegmentFields, SegmentPreview, SegmentTemplate, SegmentView
from chalicelib.domain.limits import PREVIEWS

routes = Routes("Segments")
# Eight kilobytes that change with a release, and choices that change with the customers.
_FIELDS_KEPT_SECONDS = 300


@routes.get("/segment-fields", needs=Need.TOKEN, cache_seconds=_FIELDS_KEPT_SECONDS)
def list_segment_fields(call: Call[NoBody, DepartmentQuery]) -> SegmentFields:
    """List what a segment builder needs to draw itself: fields, operators, value types, choices."""
    return call.services.segments.fields(_department_asked_about(call))


@routes.get("/segment-templates", needs=Need.TOKEN)
def list_segment_templates(call: Call[NoBody, DepartmentQuery]) -> Page[SegmentTemplate]:
    """List ready-made segments to start from."""
    templates = call.services.segments.templates(_department_asked_about(call))
    return Page(items=tuple(templates), next_cursor=None)


@routes.get("/departments/{department_id}/segments", needs=Need.READ)
def list_segments(call: Call[NoBody, PageQuery]) -> Page[SegmentView]:
    """List the department's segments."""
    return Listing("segments", call.department_id).page_of_all(
        call.services.segments.list(call.department_id),
        key=lambda segment: segment.id,
        limit=call.query.limit,
        cursor=call.query.cursor,
    )


@routes.post("/departments/{department_id}/segments", needs=Need.WRITE, status=201, allowance=PREVIEWS)
def create_segment(call: Call[SegmentBody, NoQuery]) -> SegmentView:
    """Create a segment.

    Its members are tagged in Mailchimp by the next run. A tag of the same name that is not ours is refused with 409.
    """
    return call.services.segments.create(call.department_id, call.body.to_definition(), by=call.by)


@routes.post("/departments/{department_id}/segments/preview", needs=Need.READ, allowance=PREVIEWS)
def preview_segment(call: Call[PreviewBody, NoQuery]) -> SegmentPreview:
    """Count and show who would match some rules now. Nothing is stored or sent."""
    return call.services.segments.preview(
        call.department_id, call.body.to_rules(), segment_id=call.body.segment_id, per_rule=call.body.per_rule
    )


@routes.get("/departments/{department_id}/segments/{segment_id}", needs=Need.READ)
def read_segment(call: PlainCall) -> SegmentView:
    """Show a segment."""
    return call.services.segments.get(call.department_id, call.path["segment_id"])


@routes.put("/departments/{department_id}/segments/{segment_id}", needs=Need.WRITE, allowance=PREVIEWS)
def change_segment(call: Call[SegmentEditBody, NoQuery]) -> SegmentView:
    """Replace a segment's name and rules."""
    return call.services.segments.update(
        call.department_id,
        call.path["segment_id"],
        call.body.to_definition(),
        version=call.body.version,
        by=call.by,
    )


@routes.delete("/departments/{department_id}/segments/{segment_id}", needs=Need.WRITE)
def delete_segment(call: PlainCall) -> None:
    """Delete a segment, here and in Mailchimp. Its customers and members stay."""
    call.services.segments.delete(call.department_id, call.path["segment_id"], by=call.by)


def _department_asked_about(call: Call[NoBody, DepartmentQuery]) -> str | None:
    """The department of the query, if the caller may read there: its customers' values are its own."""
    department_id = call.query.department_id
    if department_id is None:
        return None
    if call.caller.access(checked_department(department_id)) is None:
        raise forbidden("You have no access to Mailchimp in this department.")
    return department_id
