"""Going through many things: in order, side by side, and no further ahead than was said."""

from __future__ import annotations

import threading

import pytest

from chalicelib.iteration import map_ahead


def test_results_come_in_the_order_of_the_things() -> None:
    assert list(map_ahead(lambda number: number * 2, range(7), ahead=3)) == [0, 2, 4, 6, 8, 10, 12]
    assert list(map_ahead(lambda number: number, [], ahead=3)) == []


def test_no_more_than_was_said_is_under_way_beside_what_is_used() -> None:
    begun: list[int] = []
    fetched = threading.Semaphore(0)

    def fetch(number: int) -> int:
        begun.append(number)
        fetched.release()
        return number

    results = map_ahead(fetch, range(10), ahead=2)
    for used in range(3):
        assert next(results) == used
        # The two behind it are fetched, without anybody asking for them.
        while len(begun) < used + 3:
            assert fetched.acquire(timeout=30)
        assert sorted(begun) == list(range(used + 3))


def test_what_fails_is_raised_where_its_turn_is() -> None:
    def fetch(number: int) -> int:
        if number == 2:
            raise ValueError(number)
        return number

    results = map_ahead(fetch, range(5), ahead=4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="2"):
        next(results)


def test_who_stops_early_leaves_nothing_under_way() -> None:
    begun: list[int] = []
    results = map_ahead(begun.append, range(100), ahead=2)
    next(results)
    results.close()  # type: ignore[attr-defined]  # a generator
    assert len(begun) <= 3
