"""Which tests go to which worker of pytest-xdist, and in what order (`pytest -n 3`).

Tests that share a server stay together, so that a run starts one of each; other files go where there is room. The
longest come first: whoever is left over at the end is short.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from random import Random
from typing import TypeVar

from xdist.scheduler.loadscope import LoadScopeScheduling

Test = TypeVar("Test")

# Those of the page's tests that look at it on the local stack, where the tests of the stack itself have it first; one
# process serves it to the others.
PAGE_ON_THE_STACK = (
    "tests/page/test_embedding.py",
    "tests/page/test_journey.py::test_the_guide_from_key_to_disconnect[mouse]",
)
# What has a server, by the folder whose server it is, then the longest files; the rest follows in the order of its
# names. What breaks stacks has its own, and goes to a worker of its own: it waits for much.
_SERVERS = {
    "tests/stack/test_chaos.py": "tests/stack/test_chaos.py",
    "tests/stack/": "tests/stack/",
    **dict.fromkeys(PAGE_ON_THE_STACK, "tests/stack/"),
    "tests/page/": "tests/page/",
    "tests/conformance/": "tests/conformance/",
    "tests/store/": "tests/store/",
    "tests/infra/test_consumption.py": "tests/store/",
}
_EARLY = ("tests/sync/runs/test_crashes", "tests/soak/", "tests/sync/runs/", "tests/sync/segments/", "tests/sync/")


class OneServerAWorker(LoadScopeScheduling):  # type: ignore[misc] # the library has no types
    """Hands out what has one server, or whole files."""

    def _split_scope(self, nodeid: str) -> str:
        served = (folder for start, folder in _SERVERS.items() if nodeid.startswith(start))
        return next(served, nodeid.partition("::")[0])


def by_length(nodeids: Iterable[str]) -> dict[str, int]:
    """For each test its place in the order."""
    first = (*_SERVERS, *_EARLY)
    return {
        nodeid: next((place for place, start in enumerate(first) if nodeid.startswith(start)), len(first))
        for nodeid in nodeids
    }


def shuffled(tests: Iterable[tuple[str, Test]], seed: int) -> list[Test]:
    """Files in a random order, and the tests of each in one, the same for a seed; given with the file of each."""
    random = Random(seed)
    files = [[test for _, test in group] for _, group in groupby(sorted(tests, key=_file), key=_file)]
    random.shuffle(files)
    for file in files:
        random.shuffle(file)
    return [test for file in files for test in file]


def _file(test: tuple[str, object]) -> str:
    return test[0]
