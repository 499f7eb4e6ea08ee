"""The calls on one member and the bulk call on 500."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from . import problems
from .audiences import Audience
from .calls import NO_CONTENT, Answer, Call, Shape, read_projection
from .clock import plain_stamp
from .members import MEMBER_KEYS, Member, member_view
from .problems import FieldError, Problem
from .schema import PATCH_STATUSES, STATUSES, expect_fields, expect_object, member_faults, type_fault
from .writes import Write, Writer, read_write

MAX_BULK_MEMBERS = 500
_MEMBER_SHAPE: Shape = dict.fromkeys(MEMBER_KEYS)


def get_member(call: Call) -> Answer:
    audience = call.audience()
    return Answer(read_projection(call, _MEMBER_SHAPE).of(member_view(audience, _known(call, audience))))


def _known(call: Call, audience: Audience) -> Member:
    member = audience.find(call.path["subscriber_hash"])
    if member is None:
        raise problems.not_found()
    return member


def _read_body(call: Call, statuses: tuple[str, ...] = STATUSES) -> Write:
    body = expect_object(call.body)
    faults = member_faults(body, "", statuses)
    if faults:
        raise problems.not_validated(*faults)
    return read_write(body)


def put_member(call: Call) -> Answer:
    """Update the member with that hash, or else create the address in the body."""
    writer, write = call.writer(), _read_body(call)
    audience = writer.audience
    member = audience.find(call.path["subscriber_hash"])
    if member is None:
        member = _create_by_put(writer, write)
    else:
        _update_one(writer, member, write)
    call.written()
    return Answer(member_view(audience, member))


def _create_by_put(writer: Writer, write: Write) -> Member:
    if write.address is None:
        raise problems.required_missing("email_address")
    if write.address.lower() in writer.audience.by_address:
        raise problems.member_exists(write.address)
    status = write.status or write.status_if_new
    if status is None:
        # The address is judged first, as the bulk call does.
        writer.check_new_address(write.address)
        raise problems.required_missing("status_if_new")
    return writer.create(write, status)


def _update_one(writer: Writer, member: Member, write: Write) -> None:
    """A single update; an address that differs in more than case renames the member."""
    if write.tags is not None and not writer.world.readings.put_tags_on_existing:
        write = replace(write, tags=None)
    renames = write.address is not None and write.address.lower() != member.address.lower()
    writer.update(member, write, rename_to=write.address if renames else None)


def patch_member(call: Call) -> Answer:
    writer, write = call.writer(), _read_body(call, PATCH_STATUSES)
    member = _known(call, writer.audience)
    if not writer.world.readings.patch_renames:
        write = replace(write, address=None)
    _update_one(writer, member, write)
    call.written()
    return Answer(member_view(writer.audience, member))


def post_member(call: Call) -> Answer:
    """Add an address, or bring it back from the archive."""
    writer = call.writer()
    expect_fields(call.body, {}, required=("email_address", "status"))
    write = _read_body(call)
    address, status = write.address or "", write.status or ""
    member = writer.audience.by_address.get(address.lower())
    if member is None:
        member = writer.create(write, status)
    elif member.status == "archived":
        writer.restore(member, write, status)
    else:
        raise problems.member_exists(address)
    return Answer(member_view(writer.audience, member))


def delete_member(call: Call) -> Answer:
    """Archive."""
    writer = call.writer()
    writer.archive(_known(call, writer.audience))
    return NO_CONTENT


def delete_member_permanently(call: Call) -> Answer:
    writer = call.writer()
    writer.delete_permanently(_known(call, writer.audience))
    return NO_CONTENT


# --- tags of a member ---


def get_tags(call: Call) -> Answer:
    audience = call.audience()
    member = _known(call, audience)
    tags = [
        {"id": tag, "name": audience.segments[tag].name, "date_added": plain_stamp(added)}
        for tag, added in member.tags.items()
    ]
    return Answer({"tags": tags[call.page()], "total_items": len(tags), "_links": []})


def post_tags(call: Call) -> Answer:
    """Add and remove tags by name; works for members of every status."""
    writer = call.writer()
    body = expect_fields(call.body, {"tags": "array", "is_syncing": "boolean"}, required=("tags",))
    member = _known(call, writer.audience)
    writer.tag(member, _read_tags(body["tags"]))
    return NO_CONTENT


def _read_tags(tags: Sequence[Any]) -> dict[str, bool]:
    names: dict[str, bool] = {}
    faults: list[FieldError] = []
    for index, tag in enumerate(tags):
        fault = _tag_fault(tag, f"tags.item:{index}")
        if fault:
            faults.append(fault)
        else:
            names[tag["name"]] = tag["status"] == "active"
    if faults:
        raise problems.not_validated(*faults)
    return names


def _tag_fault(tag: Any, where: str) -> FieldError | None:
    if not isinstance(tag, dict):
        return type_fault(tag, "object", where)
    missing = [name for name in ("name", "status") if name not in tag]
    if missing:
        return FieldError(where, f"Required fields were not provided: {', '.join(missing)}")
    if not isinstance(tag["name"], str):
        return type_fault(tag["name"], "string", f"{where}.name")
    if tag["status"] not in ("active", "inactive"):
        return FieldError(f"{where}.status", "Data presented is not one of the accepted values: inactive, active")
    return None if tag["name"].strip() else FieldError(f"{where}.name", "Please enter a value")


# --- POST /lists/{id} ---


def post_members(call: Call) -> Answer:
    """Add or update up to 500 members; what is wrong with one member does not stop the others."""
    writer = call.writer(in_bulk=True)
    options = {"members": "array", "update_existing": "boolean", "sync_tags": "boolean"}
    body = expect_fields(call.body, options, required=("members",))
    members: list[dict[str, Any]] = body["members"]
    update = body.get("update_existing", False)
    clear = update and body.get("sync_tags", False)
    _check_bulk(writer, members, skip_duplicates=call.flag("skip_duplicate_check"), update=update, clear=clear)
    return Answer(_write_all(writer, _first_of_each(members), update=update, clear=clear, written=call.written))


def _check_bulk(writer: Writer, members: Sequence[Any], *, skip_duplicates: bool, update: bool, clear: bool) -> None:
    """Refuse the whole call for its size, its shape or an address that comes twice."""
    if len(members) > MAX_BULK_MEMBERS:
        message = f"Maximum allowed member items exceeded, please provide at most {MAX_BULK_MEMBERS} items"
        raise problems.invalid_resource(f"{message} in members field", FieldError("members", message))
    errors = _shape_errors(members)
    if not errors and not skip_duplicates:
        errors = _duplicate_errors(members)
    if not errors:
        return
    if writer.world.readings.refused_call_writes_part:
        good = members[: int(errors[0].field.partition(":")[2].partition(".")[0])]
        _write_all(writer, good, update=update, clear=clear)
    raise problems.not_validated(*errors)


def _shape_errors(members: Sequence[Any]) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, member in enumerate(members):
        where = f"members.item:{index}"
        if not isinstance(member, dict):
            fault = type_fault(member, "object", where)
            errors.extend([fault] if fault else [])
        elif "email_address" not in member:
            errors.append(FieldError(where, "Required fields were not provided: email_address"))
        else:
            errors.extend(member_faults(member, where + ".", STATUSES))
    return errors


def _duplicate_errors(members: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """One entry for each repeated address; case does not tell two addresses apart."""
    seen: set[str] = set()
    errors: list[FieldError] = []
    for index, member in enumerate(members):
        address = member["email_address"].lower()
        if address in seen:
            field = f"members.item:{index}.email_address"
            errors.append(FieldError(field, f"{member['email_address']} is a duplicate in this request."))
        seen.add(address)
    return errors


def _first_of_each(members: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    first: dict[str, dict[str, Any]] = {}
    for member in members:
        first.setdefault(member["email_address"].lower(), member)
    return list(first.values())


def _write_all(
    writer: Writer,
    members: Sequence[dict[str, Any]],
    *,
    update: bool,
    clear: bool,
    written: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    new: list[Member] = []
    updated: list[Member] = []
    errors: list[dict[str, str]] = []
    for body in members:
        try:
            member, is_new = _write_one(writer, body, update=update, clear=clear)
        except Problem as problem:
            errors.append(_bulk_error(body["email_address"], problem))
        else:
            (new if is_new else updated).append(member)
    written()
    return _bulk_document(writer.audience, new, updated, errors)


def _write_one(writer: Writer, body: dict[str, Any], *, update: bool, clear: bool) -> tuple[Member, bool]:
    """Write one member of the bulk call; the flag tells whether it counts as created."""
    readings = writer.world.readings
    if readings.foreign_keys_refused and ("id" in body or "unique_email_id" in body):
        raise problems.not_validated()
    write = read_write(body)
    address = write.address or ""
    member = writer.audience.by_address.get(address.lower())
    if member is None:
        return _create_in_bulk(writer, write, address), True
    if not update and not (member.status == "archived" and write.status == "subscribed"):
        raise problems.contact_exists(address)
    clear = clear and (write.tags is not None or readings.sync_tags_without_tags_clears)
    return member, writer.update(member, write, clear_tags=clear)


def _create_in_bulk(writer: Writer, write: Write, address: str) -> Member:
    status = write.status or write.status_if_new
    if status is None:
        writer.check_new_address(address)
        raise problems.not_validated()
    return writer.create(write, status)


def _bulk_error(address: str, problem: Problem) -> dict[str, str]:
    """The entry of a refused member; `field` and `field_message` only come with merge field errors."""
    error = {"email_address": address, "error": problem.detail, "error_code": problem.code}
    if problem.detail == problems.INVALID_MERGE_FIELDS:
        error |= {"field": problem.errors[0].field, "field_message": problem.errors[0].message}
    return error


def _bulk_document(
    audience: Audience, new: list[Member], updated: list[Member], errors: list[dict[str, str]]
) -> dict[str, Any]:
    step = -1 if audience.readings.answer_order == "reversed" else 1
    return {
        "new_members": [member_view(audience, member) for member in new[::step]],
        "updated_members": [member_view(audience, member) for member in updated[::step]],
        "errors": errors[::step],
        "total_created": len(new),
        "total_updated": len(updated),
        "error_count": len(errors),
        "_links": [],
    }
