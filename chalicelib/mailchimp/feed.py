"""Reading the changed members of an audience while it goes on changing.

Mailchimp's listing has three traps (Marketing API, "List members", and recorded answers): `last_changed` counts whole
seconds, so that a bulk write leaves hundreds of rows of one value; a row that changes moves to the end, so that later
offsets skip rows; `since_last_changed` leaves out, as far as anybody has seen, the rows of that very second.

So the window is started anew at the last second that was seen, less one, instead of growing the offset. Only inside a
block of one second that fills a page the offset grows, overlapping by one row: when that row is not where it was, rows
have left the block, and the place is found again by stepping back. In what order rows of one second come is not
documented either, not even that it is the same in every call: a block is read again until as many members were met as
rows were passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from chalicelib.mailchimp.answers import RemoteMember
from chalicelib.mailchimp.errors import UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SECOND = timedelta(seconds=1)
# Re-reading a block of one second brings nothing new for as many pages as the block is long.
_MOST_PAGES_WITHOUT_NEWS = 300
_MOST_REPEATS = 2
# Should rows be dealt anew at every call, a sweep finds a missing one with odds of about two to one.
_SWEEPS_WITHOUT_NEWS = 10
# Two states of one member within one second are told apart as well.
_State = tuple[str, str, str, datetime | None]


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Rows by ascending `last_changed`; `total` counts the whole window when the server says so."""

    members: tuple[RemoteMember, ...]
    total: int | None


def changed_members(
    fetch: Callable[[datetime | None, int], FeedPage], *, since: datetime | None, page_size: int
) -> Iterator[tuple[RemoteMember, ...]]:
    """Every member that changed at `since` or later (None: every member), in pages without repeats.

    `fetch(after, offset)` reads one page of the rows that changed later than `after`. A member that changes while it
    is read comes again in its new state. Raises UnexpectedAnswer when the server goes in circles.
    """
    reading = _Reading(page_size, since - _SECOND if since else None)
    while not reading.is_over:
        fresh = reading.take(fetch(reading.after, reading.offset))
        if fresh:
            yield fresh


class _Reading:
    """Where the reading stands: the window's start, the offset in it, and the rows that may come again."""

    def __init__(self, page_size: int, after: datetime | None) -> None:
        self.after = after
        self.offset = 0
        self.is_over = False
        self._page_size = page_size
        self._seen: dict[_State, datetime | None] = {}
        self._met: dict[str, datetime | None] = {}  # who was met since the window's start was last moved
        self._last: tuple[datetime | None, list[_State]] | None = None
        self._repeats = 0
        self._idle_sweeps = 0
        self._without_news = 0
        self._met_the_end = False
        self._end_is_sure = False

    def take(self, page: FeedPage) -> tuple[RemoteMember, ...]:
        """The rows of this page that are new; moves on to what is to be read next."""
        states = [_state(member) for member in page.members]
        if self.offset and (not states or states[0] not in self._seen):
            self._step_back(at_end=not states)
            return ()
        self._guard_against_circles(states)
        fresh = self._remember(page.members, states)
        # The end is sure when rows that were known before are all that stands in front of it.
        self._met_the_end = self._met_the_end and not fresh
        self._end_is_sure = self._met_the_end
        self._move_on(page)
        return fresh

    def _step_back(self, *, at_end: bool) -> None:
        if at_end and self._end_is_sure:
            # It is the end, whatever total the server claims.
            self.is_over = True
            return
        self._met_the_end = self._met_the_end or at_end
        self._end_is_sure = False
        self._last = None
        self._count_without_news()
        self.offset = max(0, self.offset - (self._page_size - 1))

    def _remember(self, members: tuple[RemoteMember, ...], states: list[_State]) -> tuple[RemoteMember, ...]:
        fresh = []
        for member, state in zip(members, states, strict=True):
            if state not in self._seen:
                self._seen[state] = member.last_changed
                fresh.append(member)
        self._met.update((state[0], state[3]) for state in states)
        if fresh:
            self._without_news = self._idle_sweeps = 0
        else:
            self._count_without_news()
        return tuple(fresh)

    def _move_on(self, page: FeedPage) -> None:
        # A page that is not full is the end where the total says so; any other total is checked by reading on.
        count = len(page.members)
        at_end = not count or (count < self._page_size and page.total == self.offset + count)
        start = None if at_end else _next_start(page.members)
        if not at_end and (start is None or (self.after is not None and start <= self.after)):
            self.offset += max(1, count - 1)
        elif self._somebody_is_missing(page.members, start) and self._idle_sweeps < _SWEEPS_WITHOUT_NEWS:
            self.offset = 0
            self._idle_sweeps += 1
            self._without_news = 0
        elif at_end:
            self.is_over = True
        else:
            self._move_to(start)

    def _somebody_is_missing(self, members: tuple[RemoteMember, ...], start: datetime | None) -> bool:
        """Whether fewer members were met than rows were passed; with `start` only of those that are left behind."""
        passed = self.offset + sum(1 for member in members if _is_left_behind(member.last_changed, start))
        return sum(1 for at in self._met.values() if _is_left_behind(at, start)) < passed

    def _move_to(self, start: datetime | None) -> None:
        self.after, self.offset, self._idle_sweeps = start, 0, 0
        self._met.clear()
        self._seen = {state: at for state, at in self._seen.items() if not _is_left_behind(at, start) or at == start}

    def _guard_against_circles(self, states: list[_State]) -> None:
        """In one window later offsets must bring other rows; a server that ignores offsets would hide the rest.

        Once it may be a page that was served from a cache, or rows in front of it that left: the overlap tells.
        """
        repeated = self._last == (self.after, states) and self.offset > 0 and len(states) > 1
        self._repeats = self._repeats + 1 if repeated else 0
        self._last = (self.after, states)
        if self._repeats > _MOST_REPEATS:
            raise _circles()

    def _count_without_news(self) -> None:
        self._without_news += 1
        if self._without_news > _MOST_PAGES_WITHOUT_NEWS:
            raise _circles()


def _next_start(members: tuple[RemoteMember, ...]) -> datetime | None:
    """Where the window may start anew after these rows; None while they are of one second, or not in order."""
    times = [member.last_changed for member in members if member.last_changed is not None]
    if not times or len(times) < len(members) or times[0] >= times[-1] or times != sorted(times):
        return None
    return times[-1] - _SECOND


def _is_left_behind(at: datetime | None, start: datetime | None) -> bool:
    """Whether a window that starts after `start` no longer holds this time; without a start nothing is to come."""
    return start is None or (at is not None and at <= start)


def _state(member: RemoteMember) -> _State:
    return (member.contact_id or member.id or member.address, member.address, member.status, member.last_changed)


def _circles() -> UnexpectedAnswer:
    return UnexpectedAnswer(
        "Mailchimp sent the same members again and again. Nothing was changed; if it happens again, report it to "
        "the developers of this integration."
    )
