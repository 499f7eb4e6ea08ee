"""`GET /lists/{id}/members`: filters, order, pages."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from . import problems
from .addresses import unique_email_id
from .audiences import Audience
from .calls import Answer, Call, Shape, read_projection
from .members import MEMBER_KEYS, Member, member_view
from .problems import FieldError
from .schema import STATUSES

LISTING_SHAPE: Shape = {"members": MEMBER_KEYS, "list_id": None, "total_items": None, "_links": None}
_SORTS = ("timestamp_opt", "timestamp_signup", "last_changed")


@dataclass(frozen=True)
class Selection:
    """The filters of a listing; also the key under which the selected members are kept."""

    status: str | None
    changed_since: float | None
    changed_before: float | None
    opted_since: float | None
    opted_before: float | None
    unsubscribed_since: float | None
    email_type: str | None
    unique_email_id: str | None
    vip_only: bool
    sort_field: str | None
    descending: bool


def list_members(call: Call) -> Answer:
    """One page of members; beyond the end the page is empty and `total_items` still tells them all."""
    audience = call.audience()
    page, projection = call.page(), read_projection(call, LISTING_SHAPE)
    selection = read_selection(call)
    members = audience.listing(selection, lambda: select(audience, selection))
    if audience.readings.tie_order == "shuffled":
        members = _shuffle_ties(members, selection)
    document = {
        "members": [member_view(audience, member) for member in members[page]],
        "list_id": audience.id,
        "total_items": len(members),
        "_links": [],
    }
    return Answer(projection.of(document))


def read_selection(call: Call) -> Selection:
    """The filters of the query; raises 400 for what Mailchimp does not take together."""
    status = call.choice("status", (*STATUSES, "archived"))
    unsubscribed_since = call.instant("unsubscribed_since")
    if unsubscribed_since is not None and status != "unsubscribed":
        _refuse("unsubscribed_since", "unsubscribed_since can only be used with a status of unsubscribed")
    if "since_last_campaign" in call.query and status is None:
        _refuse("since_last_campaign", "since_last_campaign can only be used together with a status")
    _check_interests(call)
    return Selection(
        status=status,
        changed_since=call.instant("since_last_changed"),
        changed_before=call.instant("before_last_changed"),
        opted_since=call.instant("since_timestamp_opt"),
        opted_before=call.instant("before_timestamp_opt"),
        unsubscribed_since=unsubscribed_since,
        email_type=call.query.get("email_type"),
        unique_email_id=call.query.get("unique_email_id"),
        vip_only=call.flag("vip_only"),
        sort_field=call.choice("sort_field", _SORTS),
        descending=call.choice("sort_dir", ("ASC", "DESC")) == "DESC",
    )


def _check_interests(call: Call) -> None:
    """The three interest parameters only work together, and no audience here has interests."""
    names = ("interest_category_id", "interest_ids", "interest_match")
    given = [name for name in names if name in call.query]
    if given and len(given) < len(names):
        _refuse(given[0], "interest_category_id, interest_ids and interest_match must be used together")
    if given:
        raise problems.unknown_interest(call.query["interest_ids"])


def _refuse(field: str, message: str) -> None:
    raise problems.not_validated(FieldError(field, message))


def select(audience: Audience, selection: Selection) -> list[Member]:
    """All members that pass the filters, in order. Both ends of a window are exclusive."""
    members = _of_status(_window(audience, selection), selection.status, audience)
    for test in _tests(selection):
        members = [member for member in members if test(member)]
    return _ordered(members, selection)


def _of_status(members: list[Member], status: str | None, audience: Audience) -> list[Member]:
    if status:
        return [member for member in members if member.status == status]
    if audience.readings.archived_in_listing or not audience.counts["archived"]:
        return members
    return [member for member in members if member.status != "archived"]


def _window(audience: Audience, selection: Selection) -> list[Member]:
    """The members whose `last_changed` lies in the window, found by bisection."""
    if selection.changed_since is None and selection.changed_before is None and selection.sort_field != "last_changed":
        return list(audience.members.values())
    members = audience.by_last_changed()
    start, end = 0, len(members)
    if selection.changed_since is not None:
        start = bisect_right(members, selection.changed_since, key=lambda member: member.last_changed)
    if selection.changed_before is not None:
        end = bisect_left(members, selection.changed_before, key=lambda member: member.last_changed)
    return members[start:end]


def _tests(selection: Selection) -> list[Callable[[Member], bool]]:
    tests: list[Callable[[Member], bool]] = []
    for bound, name, sign in (
        (selection.opted_since, "timestamp_opt", 1),
        (selection.opted_before, "timestamp_opt", -1),
        (selection.unsubscribed_since, "unsubscribed_at", 1),
    ):
        if bound is not None:
            tests.append(_beyond(bound, name, sign))
    if selection.email_type:
        tests.append(lambda member: member.email_type == selection.email_type)
    if selection.unique_email_id:
        tests.append(lambda member: unique_email_id(member.address) == selection.unique_email_id)
    if selection.vip_only:
        tests.append(lambda member: member.vip)
    return tests


def _beyond(bound: float, name: str, sign: int) -> Callable[[Member], bool]:
    return lambda member: (getattr(member, name) - bound) * sign > 0


def _ordered(members: list[Member], selection: Selection) -> list[Member]:
    """By the sort field; without one, `last_changed` windows keep their order and others that of creation."""
    if selection.sort_field in ("timestamp_opt", "timestamp_signup"):
        name = selection.sort_field
        members = sorted(members, key=lambda member: (getattr(member, name), member.contact_id))
    return members[::-1] if selection.descending else members


def _shuffle_ties(members: list[Member], selection: Selection) -> list[Member]:
    """A new order of equal members at every call."""
    name = selection.sort_field or "last_changed"
    mixed = random.sample(members, len(members))
    return sorted(mixed, key=lambda member: getattr(member, name), reverse=selection.descending)
