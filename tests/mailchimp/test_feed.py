"""Reading a listing that changes under the reader: simulated, since the order of events is what matters."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.consent.members import Status
from chalicelib.errors import RetryLater
from chalicelib.mailchimp.answers import RemoteMember
from chalicelib.mailchimp.errors import UnexpectedAnswer
from chalicelib.mailchimp.feed import FeedPage, changed_members, changed_pages
from tests.examples import examples

START = datetime(2026, 1, 5, 10, 0, 0, tzinfo=UTC)
PAGE = 4


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def row(name: str, second: int, status: Status = "subscribed") -> RemoteMember:
    return RemoteMember(id=name, contact_id=name, address=f"{name}@x.test", status=status, last_changed=at(second))


@dataclass
class Audience:
    """Mailchimp's listing: whole seconds, changed rows move to the end. Within a second rows come in the order of
    their changes, by name, or dealt anew at every call."""

    rows: list[RemoteMember]
    inclusive: bool = False
    before: datetime | None = None
    page: int = PAGE
    tells_total: bool = True
    ties: Literal["changes", "names", "dealt"] = "changes"
    dealer: Random = field(default_factory=lambda: Random(1))
    fetches: list[tuple[datetime | None, int]] = field(default_factory=list)
    between: Callable[[Audience], None] = lambda audience: None

    def fetch(self, after: datetime | None, offset: int) -> FeedPage:
        self.fetches.append((after, offset))
        found = [r for r in self.rows if self._is_in(r, after)]
        if self.ties == "dealt":
            self.dealer.shuffle(found)
        found.sort(key=lambda r: (r.last_changed or START, r.id if self.ties == "names" else ""))
        page = FeedPage(tuple(found[offset : offset + self.page]), len(found) if self.tells_total else None)
        self.between(self)
        return page

    def _is_in(self, member: RemoteMember, after: datetime | None) -> bool:
        changed = member.last_changed
        assert changed is not None
        if self.before is not None and changed >= self.before:
            return False
        return after is None or changed > after or (self.inclusive and changed == after)

    def touch(self, name: str, second: int, status: Status = "unsubscribed") -> None:
        """A member changes: it gets a later time, and among equals it comes last."""
        (old,) = [r for r in self.rows if r.id == name]
        self.rows.remove(old)
        self.rows.append(replace(old, last_changed=at(second), status=status))


def read(audience: Audience, since: datetime | None = None, page_size: int = PAGE) -> list[RemoteMember]:
    pages = list(changed_members(audience.fetch, since=since, page_size=page_size))
    assert all(pages)
    return [member for page in pages for member in page]


def names(members: list[RemoteMember]) -> list[str]:
    return [member.id for member in members]


def test_an_empty_audience_is_read_with_one_call() -> None:
    audience = Audience([])
    assert read(audience) == []
    assert audience.fetches == [(None, 0)]


def test_pages_go_on_from_the_last_second_instead_of_an_offset() -> None:
    audience = Audience([row(f"m{n}", n) for n in range(10)])
    assert names(read(audience)) == [f"m{n}" for n in range(10)]
    assert {offset for _, offset in audience.fetches} == {0}


def test_rows_of_the_very_second_of_the_start_are_part_of_it() -> None:
    audience = Audience([row("early", -1), row("exact", 0), row("late", 1)])
    assert names(read(audience, since=at(0))) == ["exact", "late"]


@pytest.mark.parametrize("inclusive", [False, True])
def test_a_bulk_write_of_one_second_that_fills_many_pages_is_read_whole(inclusive: bool) -> None:
    rows = [row("first", 0), *(row(f"b{n}", 1) for n in range(50)), row("last", 2)]
    audience = Audience(rows, inclusive=inclusive)
    assert sorted(names(read(audience))) == sorted(member.id for member in rows)


def test_a_row_that_changes_while_pages_are_read_hides_no_other_and_comes_again() -> None:
    audience = Audience([row(f"m{n}", n) for n in range(12)])
    audience.between = lambda a: a.touch("m0", 100) if len(a.fetches) == 1 else None
    found = read(audience)
    assert set(names(found)) == {f"m{n}" for n in range(12)}
    assert [m.status for m in found if m.id == "m0"] == ["subscribed", "unsubscribed"]


def test_rows_that_leave_a_block_of_one_second_hide_no_other() -> None:
    audience = Audience([row(f"b{n}", 0) for n in range(20)], before=at(50))

    def leave(a: Audience) -> None:
        if len(a.fetches) in (1, 2, 3):
            a.touch(f"b{len(a.fetches)}", 100)
            a.touch(f"b{len(a.fetches) + 4}", 100)

    audience.between = leave
    untouched = {f"b{n}" for n in range(20)} - {f"b{n}" for n in (1, 2, 3, 5, 6, 7)}
    assert untouched <= set(names(read(audience)))


def test_a_block_that_almost_dissolves_is_still_read_to_its_end() -> None:
    audience = Audience([row(f"b{n:02}", 0) for n in range(9)], before=at(50))

    def dissolve(a: Audience) -> None:
        if len(a.fetches) == 1:
            for n in range(6):
                a.touch(f"b{n:02}", 100)

    audience.between = dissolve
    assert {"b06", "b07", "b08"} <= set(names(read(audience)))


def test_a_place_that_is_lost_twice_in_a_row_is_not_taken_for_the_end() -> None:
    """While the reader looks for its place, so many rows leave that it stands behind the end."""
    audience = Audience([row(f"b{n:02}", 0) for n in range(20)], before=at(50))

    def leave(a: Audience) -> None:
        gone = {4: range(6), 5: range(6, 12)}.get(len(a.fetches), range(0))
        for n in gone:
            a.touch(f"b{n:02}", 100)

    audience.between = leave
    found = set(names(read(audience)))
    assert audience.fetches[4:6] == [(None, 12), (None, 9)]
    assert {f"b{n:02}" for n in range(12, 20)} <= found


@pytest.mark.parametrize("total", [None, 10**6])
@pytest.mark.parametrize("count", range(1, 12))
def test_a_block_of_one_second_ends_whatever_its_length_and_the_total(count: int, total: int | None) -> None:
    audience = Audience([row(f"b{n:02}", 0) for n in range(count)])

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        return replace(audience.fetch(after, offset), total=total)

    found = [member for page in changed_members(fetch, since=None, page_size=PAGE) for member in page]
    assert names(found) == [f"b{n:02}" for n in range(count)]


def test_members_without_contact_ids_are_told_apart_by_their_ids() -> None:
    audience = Audience([replace(row(f"m{n}", 0), contact_id="", address="") for n in range(9)])
    assert len(read(audience)) == 9
    assert len(audience.fetches) == 3  # nobody passes for somebody who was met before


def test_a_row_that_slips_into_the_part_of_a_block_that_was_read_is_found() -> None:
    audience = Audience([row("old", 0), *(row(f"b{n:02}", 1) for n in range(10))], ties="names")
    audience.rows.append(row("a-late", -5))
    audience.between = lambda a: a.touch("a-late", 1) if len(a.fetches) == 3 else None
    found = read(audience)
    assert [m.status for m in found if m.id == "a-late"] == ["subscribed", "unsubscribed"]


@pytest.mark.parametrize("seed", range(20))
def test_a_block_that_is_dealt_anew_at_every_call_is_still_read_whole(seed: int) -> None:
    rows = [row("first", 0), *(row(f"b{n}", 1) for n in range(30)), *(row(f"c{n}", 2) for n in range(3))]
    audience = Audience(rows, ties="dealt", dealer=Random(seed))
    found = names(read(audience))
    assert sorted(found) == sorted(member.id for member in rows)
    assert len(audience.fetches) < 300


def test_two_states_within_one_second_are_both_told() -> None:
    audience = Audience([row(f"m{n}", n) for n in range(4)])
    audience.between = lambda a: a.touch("m3", 3) if len(a.fetches) == 1 else None
    found = read(audience)
    assert [m.status for m in found if m.id == "m3"] == ["subscribed", "unsubscribed"]


@pytest.mark.parametrize("page", [2, PAGE])
def test_a_server_that_ignores_offsets_is_not_taken_at_its_word(page: int) -> None:
    rows = [row(f"b{n}", 0) for n in range(9)]
    audience = Audience(rows, page=page)
    with pytest.raises(UnexpectedAnswer, match="the same members again and again"):
        list(changed_members(lambda after, offset: audience.fetch(after, 0), since=None, page_size=page))
    assert len(audience.fetches) == 4  # twice it may be a page out of a cache


def test_a_server_that_grows_for_ever_without_news_is_left() -> None:
    turn = [0]

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        turn[0] += 1
        block = [row("a", 0), row("b", 0), row("c", 0), row("d", 0)]
        return FeedPage(tuple(block[turn[0] % 2 :] + block[: turn[0] % 2]), 10**9)

    with pytest.raises(UnexpectedAnswer, match="the same members again and again"):
        list(changed_members(fetch, since=None, page_size=PAGE))
    assert turn[0] == 1 + 300 + 1  # as many pages without news as the longest block may need


def test_a_total_that_is_too_high_does_not_keep_the_reader() -> None:
    audience = Audience([row(f"m{n}", n) for n in range(6)])

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        return replace(audience.fetch(after, offset), total=10**6)

    assert names([m for page in changed_members(fetch, since=None, page_size=PAGE) for m in page]) == [
        f"m{n}" for n in range(6)
    ]
    assert len(audience.fetches) < 12


def test_a_server_with_smaller_pages_than_asked_for_is_read_whole() -> None:
    audience = Audience([row(f"m{n}", n // 5) for n in range(23)], page=3)
    assert set(names(read(audience, page_size=PAGE))) == {f"m{n}" for n in range(23)}


@pytest.mark.parametrize("total", [None, 0, 1])
def test_a_total_that_is_missing_or_too_low_ends_nothing_early(total: int | None) -> None:
    """Pages may be smaller than asked for, so a page that is not full is no proof of the end either."""
    audience = Audience([row(f"m{n}", n // 3) for n in range(20)], page=PAGE - 1)

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        return replace(audience.fetch(after, offset), total=total)

    found = [member for page in changed_members(fetch, since=None, page_size=PAGE) for member in page]
    assert sorted(names(found)) == sorted(f"m{n}" for n in range(20))


@pytest.mark.parametrize("repeated", range(1, 8))
def test_a_page_that_comes_once_more_hides_no_other(repeated: int) -> None:
    audience = Audience([row(f"m{n}", n // 9) for n in range(20)])
    pages: list[FeedPage] = []

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        pages.append(pages[-1] if len(pages) == repeated else audience.fetch(after, offset))
        return pages[-1]

    found = [member for page in changed_members(fetch, since=None, page_size=PAGE) for member in page]
    assert sorted(names(found)) == sorted(f"m{n}" for n in range(20))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_page_may_come_out_of_a_cache_twice(count: int) -> None:
    audience = Audience([row(f"b{n}", 0) for n in range(12)])
    pages: list[FeedPage] = []

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        is_cached = 2 <= len(pages) < 2 + count
        pages.append(pages[-1] if is_cached else audience.fetch(after, offset))
        return pages[-1]

    if count > 2:
        with pytest.raises(UnexpectedAnswer):
            list(changed_members(fetch, since=None, page_size=PAGE))
        return
    found = [member for page in changed_members(fetch, since=None, page_size=PAGE) for member in page]
    assert sorted(names(found)) == sorted(f"b{n}" for n in range(12))


def test_a_block_of_one_second_is_left_without_being_read_again() -> None:
    audience = Audience([*(row(f"b{n}", 1) for n in range(6)), row("c", 2)])
    assert names(read(audience)) == [*(f"b{n}" for n in range(6)), "c"]
    assert audience.fetches == [(None, 0), (None, 3), (at(1), 0)]


def test_somebody_who_never_turns_up_is_looked_for_ten_times() -> None:
    """A listing that shows one member twice has a row more than it has members."""
    block = [row("a", 0), row("b", 0), row("a", 0)]
    fetches = []

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        fetches.append((after, offset))
        return FeedPage(tuple(block[offset : offset + PAGE]), len(block))

    found = [member for page in changed_members(fetch, since=None, page_size=PAGE) for member in page]
    assert names(found) == ["a", "b"]
    assert fetches == [(None, 0)] * 11


@pytest.mark.parametrize(
    "seconds",
    [
        (0, 5, 3, 4, 1, 2, 6, 7),
        (5, 0, 3, 4, 1, 2, 6, 7),
        (0, None, 5, 6, None, 7, 8, 9),
        (None, 0, 5, 6, None, 7, 8, 9),
    ],
)
def test_after_rows_out_of_order_or_without_a_time_the_window_stays(seconds: tuple[int | None, ...]) -> None:
    """Started anew, it would leave out the rows that come later with an earlier time, or with none."""
    rows = [
        replace(row(f"m{n}", 0), last_changed=None if second is None else at(second))
        for n, second in enumerate(seconds)
    ]

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        found = [r for r in rows if after is None or (r.last_changed is not None and r.last_changed > after)]
        return FeedPage(tuple(found[offset : offset + PAGE]), len(found))

    found = [member for page in changed_members(fetch, since=None, page_size=PAGE) for member in page]
    assert names(found) == [f"m{n}" for n in range(8)]


def test_rows_without_a_readable_time_are_read_by_offset() -> None:
    rows = [replace(row(f"m{n}", n), last_changed=None) for n in range(9)]

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        return FeedPage(tuple(rows[offset : offset + PAGE]), len(rows))

    assert len([m for page in changed_members(fetch, since=None, page_size=PAGE) for m in page]) == 9


def test_memory_does_not_grow_with_the_audience() -> None:
    """What is remembered for telling repeats apart is one page, not the audience."""
    total = 20_000

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        first = 0 if after is None else int((after - START).total_seconds()) * 10 + 10
        return FeedPage(tuple(row(f"m{n}", n // 10) for n in range(first, min(first + 1000, total))), total - first)

    tracemalloc.start()
    count, peaks = 0, []
    for page in changed_members(fetch, since=None, page_size=1000):
        count += len(page)
        peaks.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert count == total
    assert peaks[-1] < peaks[3] * 1.5


# --------------------------------------------------------------------------------------------------- pages side by side


class SideBySide:
    """An audience that is asked by several threads; notes how many were inside at once, and how far it may go."""

    def __init__(self, audience: Audience, *, at_once: int = 3) -> None:
        self.audience = audience
        self.at_once = at_once
        self.most_inside = 0
        self._inside = 0
        self._lock = threading.Lock()

    def fetch(self, after: datetime | None, offset: int) -> FeedPage:
        with self._lock:
            self._inside += 1
            self.most_inside = max(self.most_inside, self._inside)
        try:
            with self._lock:
                page = self.audience.fetch(after, offset)
            return self.wait(page, offset)
        finally:
            with self._lock:
                self._inside -= 1

    def wait(self, page: FeedPage, offset: int) -> FeedPage:
        return page

    def read(self) -> list[RemoteMember]:
        pages = list(changed_pages(self.fetch, since=None, page_size=PAGE, at_once=lambda: self.at_once))
        assert all(page.members for page in pages)
        return [member for page in pages for member in page.members]


class Meeting(SideBySide):
    """Pages behind the first one are only answered when as many others as expected were asked for as well."""

    def __init__(self, audience: Audience, *, at_once: int) -> None:
        super().__init__(audience, at_once=at_once)
        self._barrier = threading.Barrier(at_once)

    def wait(self, page: FeedPage, offset: int) -> FeedPage:
        if offset:
            self._barrier.wait(timeout=20)
        return page


def frozen(count: int, *, in_a_second: int = 1, **options: object) -> Audience:
    rows = [row(f"m{n:03}", n // in_a_second) for n in range(count)]
    return replace(Audience(rows, before=at(1000)), **options)  # type: ignore[arg-type]


def test_a_window_that_stands_still_is_read_by_several_calls_at_once() -> None:
    meeting = Meeting(frozen(1 + 3 * 7), at_once=3)
    assert names(meeting.read()) == [f"m{n:03}" for n in range(22)]
    assert meeting.most_inside == 3
    # Every page begins with the last row of the one before it; nothing is read twice but that row.
    assert sorted(meeting.audience.fetches, key=lambda one: one[1]) == [(None, 3 * n) for n in range(7)]


@pytest.mark.parametrize("at_once", [0, 1])
def test_one_call_at_a_time_reads_by_offsets_too(at_once: int) -> None:
    reader = SideBySide(frozen(22), at_once=at_once)
    assert names(reader.read()) == [f"m{n:03}" for n in range(22)]
    assert reader.audience.fetches == [(None, 3 * n) for n in range(7)]


def test_how_many_calls_there_may_be_is_asked_before_each_page_and_not_for_short_listings() -> None:
    asked: list[int] = []

    def at_once() -> int:
        asked.append(len(asked))
        return 3 if len(asked) < 3 else 1

    for count in (0, 4, 8):
        list(changed_pages(frozen(count).fetch, since=None, page_size=PAGE, at_once=at_once))
    assert asked == []
    reader = SideBySide(frozen(40))
    list(changed_pages(reader.fetch, since=None, page_size=PAGE, at_once=at_once))
    assert len(asked) > 8
    assert len(reader.audience.fetches) == 13


@pytest.mark.parametrize("when", range(1, 8))
@pytest.mark.parametrize("who", [0, 4, 11, 29])
@pytest.mark.parametrize("at_once", [1, 3])
def test_somebody_who_leaves_a_window_that_is_read_by_offsets_hides_nobody(at_once: int, who: int, when: int) -> None:
    audience = frozen(30, in_a_second=2)
    audience.between = lambda a: a.touch(f"m{who:03}", 2000) if len(a.fetches) == when else None
    found = names(SideBySide(audience, at_once=at_once).read())
    assert [name for name in found if name != f"m{who:03}"] == [f"m{n:03}" for n in range(30) if n != who]
    assert len(audience.fetches) < 20


def test_pages_that_were_answered_before_the_one_in_front_of_them_are_noticed() -> None:
    """A page ahead may show the window as it was before somebody left it, and the page before it as it was after."""
    audience = frozen(30)
    whole = [replace(audience).fetch(None, 3 * n) for n in range(10)]
    audience.touch("m001", 2000)

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        return whole[offset // 3] if after is None and offset in (0, 6, 9) else audience.fetch(after, offset)

    pages = list(changed_pages(fetch, since=None, page_size=PAGE, at_once=lambda: 3))
    found = [member.id for page in pages for member in page.members]
    assert found == [f"m{n:03}" for n in range(30)]


def test_a_row_too_few_in_a_page_of_equal_times_is_looked_for() -> None:
    """Neither total nor the pages' ends show it; that fewer members were met than rows were passed does."""
    audience = Audience([*(row(f"b{n:02}", 1) for n in range(12)), row("last", 5), row("end", 6)], before=at(50))
    lies = [True]

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        page = audience.fetch(after, offset)
        if offset == 3 and lies:
            lies.clear()
            first, _, *others = page.members
            return replace(page, members=(first, page.members[2], *others[0:1], page.members[3]))
        return page

    pages = list(changed_pages(fetch, since=None, page_size=PAGE, at_once=lambda: 1))
    found = [member.id for page in pages for member in page.members]
    assert sorted(found) == sorted(member.id for member in audience.rows)


@pytest.mark.parametrize("place", [12, 15, 21, 24, 30])
def test_a_row_too_few_anywhere_in_a_stretch_is_looked_for(place: int) -> None:
    """Those who were met before the stretch came so far count once."""
    audience = frozen(40, in_a_second=10)
    lies = [place]

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        page = audience.fetch(after, offset)
        if offset in lies and after is None:
            lies.clear()
            first, _, third, last = page.members
            return replace(page, members=(first, third, third, last))
        return page

    pages = list(changed_pages(fetch, since=None, page_size=PAGE, at_once=lambda: 1))
    assert lies == []
    assert sorted(member.id for page in pages for member in page.members) == [f"m{n:03}" for n in range(40)]


@pytest.mark.parametrize("seed", range(10))
def test_rows_that_are_dealt_anew_at_every_call_are_soon_read_as_before(seed: int) -> None:
    audience = frozen(60, in_a_second=6, ties="dealt", dealer=Random(seed))
    plain = frozen(60, in_a_second=6, ties="dealt", dealer=Random(seed))
    found = names(SideBySide(audience).read())
    assert sorted(found) == [f"m{n:03}" for n in range(60)]
    read(plain)
    assert len(audience.fetches) < 3 * len(plain.fetches) + 60


def test_a_total_that_is_not_told_or_does_not_hold_is_never_read_by_offsets() -> None:
    untold = frozen(30, tells_total=False)
    assert len(SideBySide(untold).read()) == 30
    assert max(offset for _, offset in untold.fetches) < PAGE - 1
    turn, audience = [0], frozen(30)

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        turn[0] += 1
        return replace(audience.fetch(after, offset), total=1000 + turn[0])

    pages = list(changed_pages(fetch, since=None, page_size=PAGE, at_once=lambda: 1))
    assert sum(len(page.members) for page in pages) == 30
    assert sum(1 for _, offset in audience.fetches if offset) <= 8


def test_a_page_out_of_order_ends_the_reading_by_offsets() -> None:
    audience = frozen(30)

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        page = audience.fetch(after, offset)
        first, second, *others = page.members
        return replace(page, members=(first, *others, second)) if (after, offset) == (None, 6) else page

    pages = list(changed_pages(fetch, since=None, page_size=PAGE, at_once=lambda: 1))
    assert [member.id for page in pages for member in page.members] == [f"m{n:03}" for n in range(30)]
    # What stood before the page is sure; there the window starts anew.
    assert audience.fetches[2:4] == [(None, 6), (at(5), 0)]


def test_a_window_in_which_somebody_leaves_now_and_then_is_read_by_offsets_to_its_end() -> None:
    audience = frozen(300)
    left: list[str] = []

    def leave(a: Audience) -> None:
        if len(a.fetches) in (15, 30, 45, 60, 75):
            # Somebody of the pages that were just read, and so in the window as it began the last time.
            left.append(f"m{3 * len(a.fetches) - 20:03}")
            a.touch(left[-1], 2000)

    audience.between = leave
    found = names(SideBySide(audience, at_once=1).read())
    assert [name for name in found if name not in left] == [f"m{n:03}" for n in range(300) if f"m{n:03}" not in left]
    # The window began anew once for each of them.
    assert sum(1 for _, offset in audience.fetches if not offset) == 1 + len(left) == 6


def test_calls_ahead_that_are_not_wanted_any_more_are_waited_for() -> None:
    class Slow(SideBySide):
        inside_at_restart: int | None = None

        def fetch(self, after: datetime | None, offset: int) -> FeedPage:
            if after is not None and self.inside_at_restart is None:
                self.inside_at_restart = self._inside
            return super().fetch(after, offset)

        def wait(self, page: FeedPage, offset: int) -> FeedPage:
            if offset == 9:
                time.sleep(0.3)
            return replace(page, total=1000) if offset == 6 else page

    slow = Slow(frozen(40))
    assert len(slow.read()) == 40
    assert slow.inside_at_restart == 0


def test_a_server_that_ignores_offsets_is_read_as_before() -> None:
    audience = frozen(30)
    fetched = changed_pages(
        lambda after, offset: audience.fetch(after, 0), since=None, page_size=PAGE, at_once=lambda: 1
    )
    assert [member.id for page in fetched for member in page.members] == [f"m{n:03}" for n in range(30)]


def test_an_error_of_a_page_ahead_is_raised_in_its_turn_and_no_call_is_left_under_way() -> None:
    reader = SideBySide(frozen(40))

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        if offset == 6:
            raise RetryLater("Mailchimp is away.")
        return reader.fetch(after, offset)

    found: list[str] = []
    with pytest.raises(RetryLater):
        for page in changed_pages(fetch, since=None, page_size=PAGE, at_once=lambda: 3):
            found += [member.id for member in page.members]
    assert found == [f"m{n:03}" for n in range(7)]
    asked = len(reader.audience.fetches)
    assert threading.active_count() == 1 or not any("ThreadPool" in one.name for one in threading.enumerate())
    assert len(reader.audience.fetches) == asked


def test_pages_keep_the_time_at_which_each_was_asked_for() -> None:
    audience = frozen(22)

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        return replace(audience.fetch(after, offset), asked_at=at(offset))

    pages = list(changed_pages(fetch, since=None, page_size=PAGE, at_once=lambda: 3))
    assert [page.asked_at for page in pages] == [at(3 * n) for n in range(7)]


def test_memory_does_not_grow_with_a_window_that_is_read_by_offsets() -> None:
    total = 20_000

    def fetch(after: datetime | None, offset: int) -> FeedPage:
        first = offset + (0 if after is None else int((after - START).total_seconds()) * 10 + 10)
        return FeedPage(tuple(row(f"m{n}", n // 10) for n in range(first, min(first + 1000, total))), total)

    tracemalloc.start()
    count, peaks = 0, []
    for page in changed_pages(fetch, since=None, page_size=1000, at_once=lambda: 1):
        count += len(page.members)
        peaks.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert count == total
    assert peaks[-1] < peaks[3] * 1.5


_seconds = {latest: st.lists(st.integers(0, latest), min_size=5, max_size=30) for latest in (0, 1, 5)}
_changes = st.lists(st.lists(st.tuples(st.integers(0, 29), st.integers(6, 9)), max_size=6), max_size=12)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Audience, list[list[tuple[int, int]]]]:
    """An audience, and what changes in it after each page: (which member, at which second)."""
    seconds = draw(_seconds[draw(st.sampled_from([0, 1, 5]))])
    changes = draw(_changes)
    audience = Audience(
        [row(f"m{n}", second) for n, second in enumerate(seconds)],
        inclusive=draw(st.booleans()),
        before=draw(st.sampled_from([None, at(6), at(8), at(20)])),
        tells_total=draw(st.booleans()),
        ties=draw(st.sampled_from(["changes", "names"])),
    )
    return audience, changes


@examples(400)
@given(histories(), st.sampled_from([None, 1, 3]))
def test_whoever_does_not_change_is_read_exactly_once_whatever_others_do(
    history: tuple[Audience, list[list[tuple[int, int]]]], at_once: int | None
) -> None:
    audience, changes = history
    pending: Iterator[list[tuple[int, int]]] = iter(changes)
    marked: set[str] = set()

    def change(a: Audience) -> None:
        for number, second in next(pending, []):
            name = f"m{number}"
            # Time goes on: a change is never earlier than the last one.
            latest = max([int(((r.last_changed or START) - START).total_seconds()) for r in a.rows] or [0])
            if any(r.id == name for r in a.rows):
                a.touch(name, max(second, latest))
                marked.add(name)

    initial = list(audience.rows)
    audience.between = change
    found = names(read(audience) if at_once is None else SideBySide(audience, at_once=at_once).read())
    for member in initial:
        if member.id not in marked and (audience.before is None or (member.last_changed or START) < audience.before):
            assert found.count(member.id) == 1
