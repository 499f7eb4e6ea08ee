"""Opaque cursors: where a list goes on, bound to the list they came from.

A cursor is base64url of a small JSON list: version, a digest of the list it belongs to, the last key. It keeps honest
callers from going on in another list or with other filters; it is no secret and grants nothing, since whoever can send
it is checked for the department anyway.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from chalicelib.contract.common import Page
from chalicelib.errors import FieldError, RefuseRequest, bad_input

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.contract.services import Slice

Item = TypeVar("Item")
_VERSION = 1
_LONGEST_CURSOR = 2048
# Keys of ours are short and plain. DynamoDB would refuse a longer one, an empty one, or half a character.
_KEY = re.compile(r"[!-~]{1,200}")


@dataclass(frozen=True, slots=True)
class Listing:
    """A list as a caller asked for it: which one, of which department, through which filters."""

    kind: str
    department_id: str
    filters: tuple[str | None, ...] = ()

    def key_after(self, cursor: str | None) -> str | None:
        """The key a cursor of this list continues after; None at the start.

        Raises RefuseRequest (400) for a cursor of another list, and for what is no cursor of ours.
        """
        if cursor is None:
            return None
        version, digest, key = _unpack(cursor)
        if version != _VERSION or digest != self._digest() or not isinstance(key, str) or not _KEY.fullmatch(key):
            raise _refused()
        return key

    def page(self, found: Slice[Item]) -> Page[Item]:
        """The page that holds what was found, with the cursor to its successor."""
        items, next_key = found
        return Page(items=tuple(items), next_cursor=None if next_key is None else self._cursor(next_key))

    def page_of_all(
        self, items: Sequence[Item], *, key: Callable[[Item], str], limit: int, cursor: str | None
    ) -> Page[Item]:
        """One page of a list that is at hand as a whole.

        The cursor holds the last item and its place: if the item is gone by now, what moved into its place is next.
        """
        after = self.key_after(cursor)
        keys = [key(item) for item in items]
        start = 0 if after is None else _start_after(after, keys)
        end = start + limit
        return self.page((items[start:end], f"{end - 1}:{keys[end - 1]}" if end < len(keys) else None))

    def _cursor(self, key: str) -> str:
        text = json.dumps([_VERSION, self._digest(), key], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def _digest(self) -> str:
        text = json.dumps([self.kind, self.department_id, *self.filters])
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _start_after(after: str, keys: Sequence[str]) -> int:
    place, _, last = after.partition(":")
    if last in keys:
        return keys.index(last) + 1
    if not (place.isascii() and place.isdigit() and len(place) < 10):
        raise _refused()
    return int(place)


def _unpack(cursor: str) -> tuple[object, object, object]:
    if len(cursor) > _LONGEST_CURSOR:
        raise _refused()
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        version, digest, key = json.loads(raw)
    except (ValueError, TypeError, RecursionError) as error:
        raise _refused() from error
    return version, digest, key


def _refused() -> RefuseRequest:
    return bad_input(
        FieldError(
            "cursor",
            "This is not a cursor of this list with these filters. Leave it out to start at the beginning.",
            "not_a_cursor",
        )
    )
