"""The table of calls that the stand-in answers, and finding the one for a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from . import problems
from .calls import Answer, Call
from .list_calls import (
    delete_list,
    delete_merge_field,
    get_list,
    get_lists,
    get_merge_field,
    get_merge_fields,
    get_ping,
    get_root,
    patch_merge_field,
    post_list,
    post_merge_field,
)
from .listing import list_members
from .member_calls import (
    delete_member,
    delete_member_permanently,
    get_member,
    get_tags,
    patch_member,
    post_member,
    post_members,
    post_tags,
    put_member,
)
from .segment_calls import (
    delete_segment,
    delete_segment_member,
    get_segment,
    get_segment_members,
    get_segments,
    get_tag_search,
    patch_segment,
    post_segment,
    post_segment_batch,
    post_segment_member,
)
from .webhook_calls import delete_webhook, get_webhook, get_webhooks, patch_webhook, post_webhook

MAX_DEPTH = 8


@dataclass(frozen=True)
class Route:
    """One call. `bulk` ones take longer with the number of members; unlocked ones take the lock themselves."""

    method: str
    template: str
    handle: Callable[[Call], Answer]
    bulk: bool = False
    locked: bool = True

    @property
    def parts(self) -> tuple[str, ...]:
        return split(self.template)


def split(path: str) -> tuple[str, ...]:
    """The parts of a path, percent signs decoded."""
    return tuple(unquote(part) for part in path.split("/") if part)


_LIST = "/lists/{list_id}"
_MEMBER = f"{_LIST}/members/{{subscriber_hash}}"
_SEGMENT = f"{_LIST}/segments/{{segment_id}}"
_FIELD = f"{_LIST}/merge-fields/{{merge_id}}"
_HOOK = f"{_LIST}/webhooks/{{webhook_id}}"

ROUTES = (
    Route("GET", "/", get_root),
    Route("GET", "/ping", get_ping),
    Route("GET", "/lists", get_lists),
    Route("POST", "/lists", post_list),
    Route("GET", _LIST, get_list),
    Route("POST", _LIST, post_members, bulk=True),
    Route("DELETE", _LIST, delete_list),
    Route("GET", f"{_LIST}/members", list_members),
    Route("POST", f"{_LIST}/members", post_member),
    Route("GET", _MEMBER, get_member),
    Route("PUT", _MEMBER, put_member),
    Route("PATCH", _MEMBER, patch_member),
    Route("DELETE", _MEMBER, delete_member),
    Route("POST", f"{_MEMBER}/actions/delete-permanent", delete_member_permanently),
    Route("GET", f"{_MEMBER}/tags", get_tags),
    Route("POST", f"{_MEMBER}/tags", post_tags),
    Route("GET", f"{_LIST}/tag-search", get_tag_search),
    Route("GET", f"{_LIST}/merge-fields", get_merge_fields),
    Route("POST", f"{_LIST}/merge-fields", post_merge_field),
    Route("GET", _FIELD, get_merge_field),
    Route("PATCH", _FIELD, patch_merge_field),
    Route("DELETE", _FIELD, delete_merge_field),
    Route("GET", f"{_LIST}/segments", get_segments),
    Route("POST", f"{_LIST}/segments", post_segment),
    Route("GET", _SEGMENT, get_segment),
    Route("POST", _SEGMENT, post_segment_batch, bulk=True),
    Route("PATCH", _SEGMENT, patch_segment),
    Route("DELETE", _SEGMENT, delete_segment),
    Route("GET", f"{_SEGMENT}/members", get_segment_members),
    Route("POST", f"{_SEGMENT}/members", post_segment_member),
    Route("DELETE", f"{_SEGMENT}/members/{{subscriber_hash}}", delete_segment_member),
    Route("GET", f"{_LIST}/webhooks", get_webhooks),
    Route("POST", f"{_LIST}/webhooks", post_webhook, locked=False),
    Route("GET", _HOOK, get_webhook),
    Route("PATCH", _HOOK, patch_webhook, locked=False),
    Route("DELETE", _HOOK, delete_webhook),
)
_BY_TEMPLATE: dict[tuple[str, ...], dict[str, Route]] = {}
for _route in ROUTES:
    _BY_TEMPLATE.setdefault(_route.parts, {})[_route.method] = _route


def find_route(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route of a request and its path parameters; raises 404, 405 (with Allow) or 414."""
    parts = split(path)
    if len(parts) > MAX_DEPTH:
        raise problems.TRIGGERED["ResourceNestingTooDeep"]()
    for template, by_method in _BY_TEMPLATE.items():
        values = match(template, parts)
        if values is not None:
            if method not in by_method:
                raise problems.method_not_allowed(sorted(by_method))
            return by_method[method], values
    raise problems.not_found()


def match(template: tuple[str, ...], parts: tuple[str, ...]) -> dict[str, str] | None:
    """The values of the template's `{names}` in the path; None if it does not fit."""
    if len(template) != len(parts):
        return None
    values: dict[str, str] = {}
    for expected, part in zip(template, parts, strict=True):
        if expected.startswith("{"):
            values[expected[1:-1]] = part
        elif expected != part:
            return None
    return values


def member_count(body: object) -> int:
    """How many members or addresses a bulk body names."""
    if not isinstance(body, Mapping):
        return 0
    names = ("members", "members_to_add", "members_to_remove")
    return sum(len(body[name]) for name in names if isinstance(body.get(name), list))
