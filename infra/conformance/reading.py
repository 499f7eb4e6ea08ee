"""Lists read page by page, with the places where they went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from infra.conformance.probe import Probe, Reply
from infra.conformance.rules import Customer, is_usable

LONG_AGO = "1970-01-01T00:00:00Z"
LARGEST_PAGE = 500
_MOST_PAGES = 10_000


@dataclass(frozen=True)
class Page:
    """`entries` is whatever stood in the list; `shape_faults` what is wrong with the page around them."""

    number: int
    entries: list[Any]
    following: str | None
    as_of: str | None
    reply: Reply
    shape_faults: tuple[str, ...]

    @cached_property
    def customers(self) -> list[Customer]:
        return [entry for entry in self.entries if is_usable(entry)]


@dataclass(frozen=True)
class Reading:
    """One list, read to its end or as far as that went; `loop` tells of a place that came a second time."""

    pages: tuple[Page, ...]
    limit: int
    loop: str = ""

    @property
    def is_whole(self) -> bool:
        return not self.loop and not self.shape_faults and self.pages[-1].following is None

    @cached_property
    def shape_faults(self) -> list[str]:
        return [f"page {page.number}: {fault}" for page in self.pages for fault in page.shape_faults]

    @cached_property
    def customers(self) -> list[Customer]:
        return [customer for page in self.pages for customer in page.customers]

    @cached_property
    def live(self) -> dict[str, Customer]:
        """Customers by id, without removed ones; of one that came twice the latter."""
        return {c["id"]: c for c in self.customers if c.get("deleted") is not True}

    @cached_property
    def removed(self) -> dict[str, Customer]:
        return {c["id"]: c for c in self.customers if c.get("deleted") is True}

    def neighbours(self) -> Iterator[tuple[int, Customer, Customer]]:
        """Each customer and the next, over page ends too, with the page of the latter."""
        placed = [(page.number, customer) for page in self.pages for customer in page.customers]
        return ((number, first, second) for (_, first), (number, second) in pairwise(placed))

    def __str__(self) -> str:
        return f"{len(self.customers):,} customers in {len(self.pages)} pages of at most {self.limit}"


def read_list(probe: Probe, *, limit: int, since: str | None = None, most_pages: int = _MOST_PAGES) -> Reading:
    """All customers, or with `since` the changes. Stops at the first fault and at the first place met twice."""
    pages: list[Page] = []
    met: set[str] = set()
    place: str | None = ""
    while place is not None and len(pages) < most_pages:
        page = read_page(probe, limit=limit, since=since, place=place, number=len(pages) + 1)
        pages.append(page)
        if page.following in met or (page.following is not None and page.following == place):
            member = "next_after" if since is None else "next_cursor"
            return Reading(tuple(pages), limit, loop=f"page {page.number} gives a {member} that was given before")
        place = None if page.shape_faults else page.following
        met.add(place or "")
    return Reading(tuple(pages), limit)


def read_page(probe: Probe, *, limit: int, since: str | None, place: str = "", number: int = 1) -> Page:
    """One page of either list, at `place`."""
    query = {"limit": str(limit)} | ({} if since is None else {"updated_since": since})
    if place:
        query["after" if since is None else "cursor"] = place
    reply = probe.get("/customers", query)
    value = reply.value if isinstance(reply.value, dict) else {}
    entries = value.get("customers")
    following = value.get("next_after" if since is None else "next_cursor")
    return Page(
        number,
        entries if isinstance(entries, list) else [],
        following if isinstance(following, str) and following else None,
        value.get("as_of") if isinstance(value.get("as_of"), str) else None,
        reply,
        tuple(_shape_faults(reply, has_as_of=since is not None)),
    )


def _shape_faults(reply: Reply, *, has_as_of: bool) -> Iterator[str]:
    if reply.status != 200:
        yield f"the answer is {reply}"
    elif not isinstance(reply.value, dict):
        yield "the answer is not a JSON object"
    else:
        if not isinstance(reply.value.get("customers"), list):
            yield "customers is not a list"
        following = "next_cursor" if has_as_of else "next_after"
        if following not in reply.value:
            yield f"there is no {following}"
        elif not (
            reply.value[following] is None or (isinstance(reply.value[following], str) and reply.value[following])
        ):
            yield f"{following} is neither text nor null"
        if has_as_of and not isinstance(reply.value.get("as_of"), str):
            yield "there is no as_of"
