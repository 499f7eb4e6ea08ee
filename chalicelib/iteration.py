"""Going through many things: in parts, a few side by side, the next one fetched ahead."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Thing = TypeVar("Thing")
Result = TypeVar("Result")

# DynamoDB answers a batch in some ten milliseconds; four side by side keep one function busy without crowding it.
_PARALLEL_CALLS = 4


def slices(things: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    """The things in lists of `size`, the last one shorter."""
    iterator = iter(things)
    while part := list(islice(iterator, size)):
        yield part


def map_concurrently(work: Callable[[Thing], Result], things: Iterable[Thing]) -> list[Result]:
    """Do `work` for every thing, a few at a time, results in order; the first error is raised."""
    waiting = list(things)
    if len(waiting) < 2:
        return [work(thing) for thing in waiting]
    with ThreadPoolExecutor(min(_PARALLEL_CALLS, len(waiting))) as pool:
        return list(pool.map(work, waiting))


def map_ahead(work: Callable[[Thing], Result], things: Iterable[Thing], *, ahead: int) -> Iterator[Result]:
    """The results in order; while one is used, `work` is under way for the next `ahead` things."""
    with ThreadPoolExecutor(ahead) as pool:
        iterator = iter(things)
        coming: deque[Future[Result]] = deque(pool.submit(work, thing) for thing in islice(iterator, ahead))
        while coming:
            result = coming.popleft().result()
            coming.extend(pool.submit(work, thing) for thing in islice(iterator, 1))
            yield result


def prefetch(things: Iterator[Thing]) -> Iterator[Thing]:
    """The same things, none of which is None; the next one is fetched while the last one is worked on."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, things, None)
        while (thing := coming.result()) is not None:
            coming = pool.submit(next, things, None)
            yield thing
