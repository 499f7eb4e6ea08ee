"""Segments: a static one is a tag with the same id and name; a saved one is computed from its conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import problems
from .audiences import Audience, Segment
from .calls import NO_CONTENT, Answer, Call, Shape, read_projection
from .clock import stamp
from .listing import LISTING_SHAPE
from .members import Member, member_view
from .problems import FieldError
from .schema import ANY_OF, choice_fault, expect_fields, type_fault

MAX_ITEMS = 500
# Left out of segment listings unless the query asks for them.
_ON_REQUEST = ("cleaned", "transactional", "unsubscribed")
_SEGMENT_KEYS = frozenset("id name member_count type created_at updated_at options list_id _links".split())
_SEGMENTS_SHAPE: Shape = {"segments": _SEGMENT_KEYS, "list_id": None, "total_items": None, "_links": None}
_BODY: Mapping[str, str] = {"name": "string", "static_segment": "array", "options": "object"}
_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "is": lambda value, wanted: value == wanted,
    "not": lambda value, wanted: value != wanted,
    "contains": lambda value, wanted: wanted in value,
    "notcontain": lambda value, wanted: wanted not in value,
    "starts": lambda value, wanted: value.startswith(wanted),
    "ends": lambda value, wanted: value.endswith(wanted),
    "blank": lambda value, _: value == "",
    "blank_not": lambda value, _: value != "",
}


def get_segments(call: Call) -> Answer:
    audience = call.audience()
    page, projection = call.page(), read_projection(call, _SEGMENTS_SHAPE)
    segments = _select_segments(call, audience)
    document = {
        "segments": [_segment_view(call, audience, segment) for segment in segments[page]],
        "list_id": audience.id,
        "total_items": len(segments),
        "_links": [],
    }
    return Answer(projection.of(document))


def _select_segments(call: Call, audience: Audience) -> list[Segment]:
    wanted = call.choice("type", ("saved", "static", "fuzzy"))
    segments = [segment for segment in audience.segments.values() if wanted in (None, _type(segment))]
    for name, attribute, sign in (
        ("since_created_at", "created", 1),
        ("before_created_at", "created", -1),
        ("since_updated_at", "updated", 1),
        ("before_updated_at", "updated", -1),
    ):
        bound = call.instant(name)
        if bound is not None:
            segments = [item for item in segments if (getattr(item, attribute) - bound) * sign > 0]
    return segments


def _type(segment: Segment) -> str:
    return "static" if segment.is_static else "saved"


def get_segment(call: Call) -> Answer:
    audience = call.audience()
    view = _segment_view(call, audience, _segment(call, audience))
    return Answer(read_projection(call, dict.fromkeys(_SEGMENT_KEYS)).of(view))


def _segment(call: Call, audience: Audience) -> Segment:
    text = call.path["segment_id"]
    segment = audience.segments.get(int(text)) if text.isascii() and text.isdigit() else None
    if segment is None:
        raise problems.not_found()
    return segment


def _segment_view(call: Call, audience: Audience, segment: Segment) -> dict[str, Any]:
    options = segment.options or {"match": "any", "conditions": []}
    return {
        "id": segment.id,
        "name": segment.name,
        "member_count": len(_members(call, audience, segment)),
        "type": _type(segment),
        "created_at": stamp(segment.created),
        "updated_at": stamp(segment.updated),
        "options": options,
        "list_id": audience.id,
        "_links": [],
    }


def _members(call: Call, audience: Audience, segment: Segment) -> list[Member]:
    """Who is in the segment, as listings show it: never archived ones, some statuses only when asked for."""
    hidden = {"archived"} if audience.readings.segment_listing_shows_pending else {"archived", "pending"}
    hidden |= {status for status in _ON_REQUEST if not call.flag(f"include_{status}")}
    members = audience.tagged[segment.id].values() if segment.is_static else _computed(audience, segment)
    return [member for member in members if member.status not in hidden]


def _computed(audience: Audience, segment: Segment) -> list[Member]:
    options = segment.options or {}
    joined = any if options.get("match") == "any" else all
    return [
        member
        for member in audience.members.values()
        if joined(_holds(condition, member) for condition in options["conditions"])
    ]


def _holds(condition: Mapping[str, Any], member: Member) -> bool:
    value = member.address if condition["field"] == "EMAIL" else member.merges.get(condition["field"], "")
    return _OPERATORS[condition["op"]](str(value).lower(), str(condition.get("value", "")).lower())


def post_segment(call: Call) -> Answer:
    """Make a static segment with the given addresses (unknown ones are ignored) or a saved one."""
    writer = call.writer()
    audience = writer.audience
    body = expect_fields(call.body, _BODY, required=("name",))
    if "static_segment" not in body and "options" not in body:
        raise problems.invalid_resource('Must provide either an "options" field or a "static_segment" field')
    _check_addresses(body.get("static_segment", []), "static_segment")
    if not audience.readings.duplicate_segment_names and audience.segment_named(body["name"]):
        raise problems.invalid_resource("A segment with that name already exists for this list.")
    options = None if "static_segment" in body else _read_options(body["options"])
    segment = audience.add_segment(body["name"], call.now, options)
    for member in _on_list(audience, body.get("static_segment", [])):
        audience.add_tag(member, segment, call.now)
        audience.touch(member, call.now)
    return Answer(_segment_view(call, audience, segment))


def _read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The conditions of a saved segment; the stand-in knows those on text merge fields and on the address."""
    shape = expect_fields(options, {"match": "string", "conditions": "array"})
    for index, condition in enumerate(shape.get("conditions", [])):
        _check_condition(condition, f"options.conditions.item:{index}")
    return {"match": shape.get("match", "any"), "conditions": list(shape.get("conditions", []))}


def _check_condition(condition: Any, where: str) -> None:
    known = isinstance(condition, dict) and condition.get("condition_type") in ("TextMerge", "EmailAddress")
    if not known or not isinstance(condition.get("field"), str):
        raise problems.not_validated(FieldError(where, ANY_OF))
    fault = choice_fault(condition.get("op", ""), tuple(_OPERATORS), f"{where}.op")
    if fault:
        raise problems.not_validated(fault)


def patch_segment(call: Call) -> Answer:
    """Rename; `static_segment` replaces the members, `options` the conditions."""
    audience = call.audience()
    segment = _segment(call, audience)
    body = expect_fields(call.body, _BODY, required=("name",))
    if "static_segment" in body and segment.is_static:
        _check_addresses(body["static_segment"], "static_segment")
        _replace_members(audience, segment, body["static_segment"], call.now)
    elif "options" in body and not segment.is_static:
        segment.options = _read_options(body["options"])
    segment.name, segment.updated = body["name"], call.now
    audience.settings_unsaved = True
    return Answer(_segment_view(call, audience, segment))


def _replace_members(audience: Audience, segment: Segment, addresses: Sequence[str], now: int) -> None:
    wanted = {member.contact_id: member for member in _on_list(audience, addresses)}
    for member in list(audience.tagged[segment.id].values()):
        if member.contact_id not in wanted:
            audience.remove_tag(member, segment)
            audience.touch(member, now)
    for member in wanted.values():
        if audience.add_tag(member, segment, now):
            audience.touch(member, now)


def delete_segment(call: Call) -> Answer:
    """Delete the segment, which is deleting the tag; members stay."""
    audience = call.audience()
    audience.remove_segment(_segment(call, audience))
    return NO_CONTENT


# --- members of a segment ---


def get_segment_members(call: Call) -> Answer:
    audience = call.audience()
    segment = _segment(call, audience)
    page, projection = call.page(), read_projection(call, LISTING_SHAPE)
    members = _members(call, audience, segment)
    document = {
        "members": [member_view(audience, member) for member in members[page]],
        "list_id": audience.id,
        "total_items": len(members),
        "_links": [],
    }
    return Answer(projection.of(document))


def post_segment_member(call: Call) -> Answer:
    audience = call.audience()
    segment = _static_segment(call, audience)
    body = expect_fields(call.body, {"email_address": "string"}, required=("email_address",))
    members = _on_list(audience, [body["email_address"]])
    if not members:
        raise problems.not_found()
    if audience.add_tag(members[0], segment, call.now):
        audience.touch(members[0], call.now)
    return Answer(member_view(audience, members[0]))


def delete_segment_member(call: Call) -> Answer:
    audience = call.audience()
    segment = _static_segment(call, audience)
    member = audience.find(call.path["subscriber_hash"])
    if member is None or not audience.remove_tag(member, segment):
        raise problems.not_found()
    audience.touch(member, call.now)
    return NO_CONTENT


def _static_segment(call: Call, audience: Audience) -> Segment:
    segment = _segment(call, audience)
    if not segment.is_static:
        raise problems.invalid_resource(f'A Static Segment with an id of "{segment.id}" does not exist for this list.')
    return segment


# --- POST /lists/{id}/segments/{segment_id} ---


def post_segment_batch(call: Call) -> Answer:
    """Add and remove up to 500 addresses each. Nothing is done if none of one kind is on the list."""
    audience = call.audience()
    segment = _static_segment(call, audience)
    body = expect_fields(call.body, {"members_to_add": "array", "members_to_remove": "array"})
    to_add = _read_batch(audience, body, "members_to_add")
    to_remove = _read_batch(audience, body, "members_to_remove")
    added, present = _split(to_add, lambda member: audience.add_tag(member, segment, call.now))
    removed, absent = _split(to_remove, lambda member: audience.remove_tag(member, segment))
    for member in (*added, *removed):
        audience.touch(member, call.now)
    if added or removed:
        segment.updated = call.now
        audience.settings_unsaved = True
    call.written()
    errors = [
        *_group(audience, present, "Email addresses already exist in the static segment"),
        *_group(audience, absent, "Email addresses do not exist in the static segment"),
    ]
    return Answer(_batch_document(audience, added, removed, errors))


def _read_batch(audience: Audience, body: Mapping[str, Any], field: str) -> list[Member]:
    """The members named in one of the two fields; raises 400 if there are names but none is on the list."""
    addresses = body.get(field, [])
    if len(addresses) > MAX_ITEMS:
        raise problems.invalid_resource(problems.TOO_MANY_ITEMS)
    _check_addresses(addresses, field)
    members = _on_list(audience, addresses)
    if addresses and not members:
        raise problems.not_validated(FieldError(field, problems.NOT_ON_LIST))
    return members


def _check_addresses(addresses: Sequence[Any], field: str) -> None:
    faults = (type_fault(address, "string", f"{field}.item:{index}") for index, address in enumerate(addresses))
    found = [fault for fault in faults if fault]
    if found:
        raise problems.not_validated(*found)


def _on_list(audience: Audience, addresses: Sequence[str]) -> list[Member]:
    """The members with these addresses, once each; other addresses are passed over in silence."""
    members = (audience.by_address.get(address.lower()) for address in dict.fromkeys(addresses))
    taken = audience.readings.segment_statuses
    found = {member.contact_id: member for member in members if member is not None and member.status in taken}
    return list(found.values())


def _split(members: Sequence[Member], act: Callable[[Member], bool]) -> tuple[list[Member], list[Member]]:
    """Those for whom the act changed something, and the others."""
    done: list[Member] = []
    other: list[Member] = []
    for member in members:
        (done if act(member) else other).append(member)
    return done, other


def _group(audience: Audience, members: Sequence[Member], text: str) -> list[dict[str, Any]]:
    if not members:
        return []
    return [{"email_addresses": [audience.shown_address(member) for member in members], "error": text}]


def _batch_document(
    audience: Audience, added: Sequence[Member], removed: Sequence[Member], errors: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    by_address = audience.readings.segment_error_count == "addresses"
    return {
        "members_added": [member_view(audience, member) for member in added],
        "members_removed": [member_view(audience, member) for member in removed],
        "errors": list(errors),
        "total_added": len(added),
        "total_removed": len(removed),
        "error_count": sum(len(error["email_addresses"]) for error in errors) if by_address else len(errors),
        "_links": [],
    }


def get_tag_search(call: Call) -> Answer:
    """Tags whose name begins with `name`; all of them without it."""
    start = call.query.get("name", "").lower()
    segments = [segment for segment in call.audience().segments.values() if segment.is_static]
    tags = [{"id": item.id, "name": item.name} for item in segments if item.name.lower().startswith(start)]
    return Answer({"tags": tags, "total_items": len(tags), "_links": []})
