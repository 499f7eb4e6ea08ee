"""How values become JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType

import pytest

from chalicelib.api.answers import answer, plain
from chalicelib.api.cursors import Listing
from chalicelib.contract.account import AudienceSummary
from chalicelib.contract.common import Page
from chalicelib.errors import RefuseRequest


def test_times_are_written_in_utc_with_their_fractions() -> None:
    sydney = timezone(timedelta(hours=11))
    assert plain(datetime(2026, 1, 1, 0, 30, tzinfo=sydney)) == "2025-12-31T13:30:00Z"
    assert plain(datetime(2026, 1, 1, 0, 30, 1, 500_000, tzinfo=UTC)) == "2026-01-01T00:30:01.500000Z"


def test_a_time_without_a_zone_is_refused_and_not_guessed() -> None:
    with pytest.raises(ValueError, match="zone"):
        plain(datetime(2026, 1, 1))


def test_decimals_are_written_as_text_without_an_exponent() -> None:
    assert plain([Decimal("1E+3"), Decimal("0.10"), Decimal("1E-7")]) == ["1000", "0.10", "0.0000001"]


def test_values_are_written_with_all_they_hold() -> None:
    page = Page((AudienceSummary("a1", "Ä", None),), None)
    item = {"id": "a1", "name": "Ä", "member_count": None, "counted_at": None}
    assert plain(page) == {"items": [item], "next_cursor": None}
    assert plain(MappingProxyType({"a": (1, True, 0.5)})) == {"a": [1, True, 0.5]}


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", AudienceSummary])
def test_a_foreign_type_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        plain(value)


def test_a_number_that_json_lacks_is_refused() -> None:
    with pytest.raises(ValueError):
        answer({"rate": float("nan")}, status=200)


LISTING = Listing("segments", "d1", ("a", None))
ITEMS = [AudienceSummary(str(number), "", None) for number in range(5)]


def page(limit: int, cursor: str | None, items: list[AudienceSummary] = ITEMS) -> Page[AudienceSummary]:
    return LISTING.page_of_all(items, key=lambda item: item.id, limit=limit, cursor=cursor)


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 100])
def test_a_whole_list_is_cut_into_pages_that_join(limit: int) -> None:
    seen: list[AudienceSummary] = []
    cursor: str | None = None
    pages = 0
    while pages == 0 or cursor is not None:
        part = page(limit, cursor)
        seen, cursor, pages = [*seen, *part.items], part.next_cursor, pages + 1
    assert seen == ITEMS
    assert pages == -(-len(ITEMS) // limit)


def test_a_page_after_an_item_that_is_gone_loses_none_of_the_others() -> None:
    cursor = page(2, None).next_cursor
    assert page(2, cursor, [ITEMS[0], *ITEMS[2:]]).items == tuple(ITEMS[2:4])
    assert page(2, cursor, ITEMS[:1]) == Page((), None)


def test_a_page_after_an_item_that_moved_goes_on_behind_it() -> None:
    cursor = page(2, None).next_cursor
    assert page(2, cursor, [AudienceSummary("new", "", None), *ITEMS]).items == tuple(ITEMS[2:4])


@pytest.mark.parametrize("key", ["", "x:y", "-1:y", "9999999999999:y", "١:y"])
def test_a_key_that_names_no_place_is_refused(key: str) -> None:
    with pytest.raises(RefuseRequest):
        page(2, LISTING.page(((), key)).next_cursor)


def test_an_empty_list_is_one_empty_page() -> None:
    assert page(10, None, []) == Page((), None)


@pytest.mark.parametrize("key", ["7", "x" * 200, '"]', "2026-01-01T00:00:00Z#run"])
def test_a_cursor_brings_its_key_back(key: str) -> None:
    cursor = LISTING.page(((), key)).next_cursor
    assert cursor is not None and cursor.isascii()
    assert LISTING.key_after(cursor) == key


@pytest.mark.parametrize("key", ["", "ä", "a b", "a\x00", "\ud800", "x" * 201])
def test_a_key_that_no_table_of_ours_has_is_refused_before_a_table_is_asked(key: str) -> None:
    with pytest.raises(RefuseRequest) as refusal:
        LISTING.key_after(LISTING.page(((), key)).next_cursor)
    assert [error.field for error in refusal.value.errors] == ["cursor"]


@pytest.mark.parametrize(
    "other",
    [
        Listing("runs", "d1", ("a", None)),
        Listing("segments", "d2", ("a", None)),
        Listing("segments", "d1", ("a",)),
        Listing("segments", "d1", (None, "a")),
        Listing("segments", "d1", ("a", "None")),
    ],
)
def test_a_cursor_of_another_list_is_refused(other: Listing) -> None:
    cursor = other.page(((), "k")).next_cursor
    with pytest.raises(RefuseRequest) as refusal:
        LISTING.key_after(cursor)
    assert [error.field for error in refusal.value.errors] == ["cursor"]
