"""Reading the changed members of an audience while it goes on changing.

Mailchimp's listing has three traps (Marketing API, "List members", and recorded answers): `last_changed` counts whole
seconds, so that a bulk write leaves hundreds of rows of one value; a row that changes moves to the end, so that later
offsets skip rows; `since_last_changed` leaves out, as far as anybody has seen, the rows of that very second.

So the window is started anew at the last second that was seen, less one, instead of growing the offset. Only inside a
block of one second that fills a page the offset grows, overlapping by one row: when that row is not where it was, rows
have left the block, and the place is found again by stepping back. In what order rows of one second come is not
documented either, not even that it is the same in every call: a block is read again until as many members were met as
rows were passed.

While nothing changes in the window, its pages may as well be read by their offsets, and then some of them side by side.
Such a stretch of pages holds as long as each one tells the same total, begins with the very row that the last one ended
with, and as many members were met as rows were passed: then no row has left the window, and none was skipped. The first
page of which that is not true is put aside, and the window starts anew where the pages before it are sure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from chalicelib.mailchimp.answers import RemoteMember
from chalicelib.mailchimp.errors import UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECOND = timedelta(seconds=1)
# Re-reading a block of one second brings nothing new for as many pages as the block is long.
_MOST_PAGES_WITHOUT_NEWS = 300
_MOST_REPEATS = 2
# Should rows be dealt anew at every call, a sweep finds a missing one with odds of about two to one.
_SWEEPS_WITHOUT_NEWS = 10
# Where stretches break one after the other, rows come in no steady order or change all the time.
_MOST_BROKEN_STRETCHES = 3
_PAGES_OF_A_GOOD_STRETCH = 8
# Two states of one member within one second are told apart as well.
_State = tuple[str, str, str, datetime | None]


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Rows by ascending `last_changed`; `total` counts the whole window when the server says so."""

    members: tuple[RemoteMember, ...]
    total: int | None
    asked_at: datetime | None = None  # the asker's clock before the call, where it matters


_Fetch = Callable[[datetime | None, int], FeedPage]


def changed_members(fetch: _Fetch, *, since: datetime | None, page_size: int) -> Iterator[tuple[RemoteMember, ...]]:
    """Every member that changed at `since` or later (None: every member), in pages without repeats.

    `fetch(after, offset)` reads one page of the rows that changed later than `after`. A member that changes while it
    is read comes again in its new state. Raises UnexpectedAnswer when the server goes in circles.
    """
    return (page.members for page in changed_pages(fetch, since=since, page_size=page_size))


def changed_pages(
    fetch: _Fetch, *, since: datetime | None, page_size: int, at_once: Callable[[], int] | None = None
) -> Iterator[FeedPage]:
    """The pages of `changed_members`.

    With `at_once` a window that stands still is read by offsets, in as many calls at once as it says before each page.
    That is for windows with an end: a row that changes must leave. One that still gets into rows of the very second of
    its change, where they were read already, may be left out.
    """
    reading = _Reading(page_size, since - _SECOND if since else None, by_offsets=at_once is not None)
    with _PagesAhead(fetch, at_once or _one) as pages:
        while not reading.is_over:
            page = pages.get(reading.after, reading.offset, reading.offsets_to_come())
            if fresh := reading.take(page):
                yield replace(page, members=fresh)


def _one() -> int:
    return 1


class _PagesAhead:
    """Fetches pages, and beside each one those that will come after it."""

    def __init__(self, fetch: _Fetch, at_once: Callable[[], int]) -> None:
        self._fetch = fetch
        self._at_once = at_once
        self._pool: ThreadPoolExecutor | None = None
        self._after: datetime | None = None
        self._coming: deque[tuple[int, Future[FeedPage]]] = deque()

    def __enter__(self) -> _PagesAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()
        if self._pool is not None:
            self._pool.shutdown()

    def get(self, after: datetime | None, offset: int, to_come: Sequence[int]) -> FeedPage:
        """The page; `to_come` are the offsets of the same window that will be asked for next."""
        if not self._coming or (self._after, self._coming[0][0]) != (after, offset):
            self._drop()
        self._after = after
        self._submit(self._missing(offset, to_come))
        return self._coming.popleft()[1].result() if self._coming else self._fetch(after, offset)

    def _missing(self, offset: int, to_come: Sequence[int]) -> list[int]:
        """What is to be fetched now and is not on its way."""
        most = self._at_once() if to_come else 1
        known = {one for one, _ in self._coming}
        return [one for one in (offset, *to_come[: max(0, most - 1)]) if one not in known]

    def _submit(self, offsets: Sequence[int]) -> None:
        # One page alone needs no thread.
        if not self._coming and len(offsets) < 2:
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor()
        self._coming.extend((one, self._pool.submit(self._fetch, self._after, one)) for one in offsets)

    def _drop(self) -> None:
        """Forget what is not wanted any more. A call under way still has its connection, so its end is waited for."""
        futures = [future for _, future in self._coming if not future.cancel()]
        wait(futures)
        self._coming.clear()


@dataclass(slots=True)
class _Stretch:
    """Pages of one window, read by their offsets while it stands still."""

    total: int
    last: _State  # the next page must begin with it
    sure_until: datetime  # everything up to here was read
    pages: int = 1

    def goes_on(self, page: FeedPage, states: Sequence[_State]) -> bool:
        """Whether the page is the next one of the same rows in the same order."""
        return page.total == self.total and states[:1] == [self.last] and _are_in_order(page.members)


class _Reading:
    """Where the reading stands: the window's start, the offset in it, and the rows that may come again."""

    def __init__(self, page_size: int, after: datetime | None, *, by_offsets: bool = False) -> None:
        self.after = after
        self.offset = 0
        self.is_over = False
        self._page_size = page_size
        self._seen: dict[_State, datetime | None] = {}
        self._met: dict[str, datetime | None] = {}  # who was met since the window's start was last moved
        self._sure = 0  # those of them that need not be remembered any more: as many as rows were passed
        self._stretch: _Stretch | None = None
        self._broken_left = _MOST_BROKEN_STRETCHES if by_offsets else 0
        self._last: tuple[datetime | None, list[_State]] | None = None
        self._repeats = 0
        self._idle_sweeps = 0
        self._without_news = 0
        self._met_the_end = False
        self._end_is_sure = False

    def take(self, page: FeedPage) -> tuple[RemoteMember, ...]:
        """The rows of this page that are new; moves on to what is to be read next."""
        states = [_state(member) for member in page.members]
        if self._stretch is not None and not self._stretch.goes_on(page, states):
            self._break_off(self._stretch)
            return ()
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

    def offsets_to_come(self) -> Sequence[int]:
        """The offsets of the pages behind the next one, as far as they are known."""
        if self._stretch is None:
            return ()
        step = self._page_size - 1
        return range(self.offset + step, self._stretch.total - 1, step)

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
        # A page that is not full, or of a stretch, is the end where the total says so; else reading on tells.
        count = len(page.members)
        may_be_last = count < self._page_size or self._stretch is not None
        at_end = not count or (may_be_last and page.total == self.offset + count)
        start = None if at_end else _next_start(page.members)
        if not at_end and (start is None or (self.after is not None and start <= self.after)):
            self._grow_offset(page)
        elif self._somebody_is_missing(page.members, start) and self._idle_sweeps < _SWEEPS_WITHOUT_NEWS:
            self._read_again()
        elif at_end:
            self.is_over = True
        elif self._is_in_stretch(page):
            self._go_on_in_stretch(page, start)
        else:
            self._move_to(start)

    def _grow_offset(self, page: FeedPage) -> None:
        self.offset += max(1, len(page.members) - 1)
        if self._stretch is not None:
            self._stretch.last = _state(page.members[-1])
            self._stretch.pages += 1

    def _read_again(self) -> None:
        if self._stretch is not None:
            self._break_off(self._stretch)
            return
        self.offset = 0
        self._idle_sweeps += 1
        self._without_news = 0

    def _is_in_stretch(self, page: FeedPage) -> bool:
        """Whether the window is to be read on by offsets: a stretch begins where some full pages are still to come."""
        if page.total is None or len(page.members) < self._page_size:
            return False
        to_come = page.total - self.offset - len(page.members)
        return self._stretch is not None or (to_come > self._page_size and self._broken_left > 0)

    def _go_on_in_stretch(self, page: FeedPage, start: datetime | None) -> None:
        assert page.total is not None and start is not None
        self._sure = self._passed(page.members, start)
        self._met = {member: at for member, at in self._met.items() if not _is_left_behind(at, start)}
        self._forget_before(start)
        if self._stretch is None:
            self._stretch = _Stretch(page.total, _state(page.members[-1]), start, pages=0)
        self._stretch.sure_until = start
        self._grow_offset(page)
        if self._stretch.pages >= _PAGES_OF_A_GOOD_STRETCH:
            self._broken_left = _MOST_BROKEN_STRETCHES

    def _break_off(self, stretch: _Stretch) -> None:
        """Start the window anew behind what is sure."""
        self._broken_left -= 1
        self._last = None
        self._met_the_end = self._end_is_sure = False
        self._move_to(stretch.sure_until)

    def _somebody_is_missing(self, members: tuple[RemoteMember, ...], start: datetime | None) -> bool:
        """Whether fewer members were met than rows were passed; with `start` only of those that are left behind."""
        met = self._sure + sum(1 for at in self._met.values() if _is_left_behind(at, start))
        return met < self._passed(members, start)

    def _passed(self, members: tuple[RemoteMember, ...], start: datetime | None) -> int:
        return self.offset + sum(1 for member in members if _is_left_behind(member.last_changed, start))

    def _move_to(self, start: datetime | None) -> None:
        self.after, self.offset, self._idle_sweeps = start, 0, 0
        self._met.clear()
        self._sure, self._stretch = 0, None
        self._forget_before(start)

    def _forget_before(self, start: datetime | None) -> None:
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
    if not members or not _are_in_order(members):
        return None
    first, last = members[0].last_changed, members[-1].last_changed
    return last - _SECOND if first is not None and last is not None and first < last else None


def _are_in_order(members: tuple[RemoteMember, ...]) -> bool:
    """Whether all rows tell their times, and none an earlier one than the row before it."""
    times = [member.last_changed for member in members if member.last_changed is not None]
    return len(times) == len(members) and all(one <= other for one, other in pairwise(times))


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
