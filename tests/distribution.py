"""Which tests go to which worker of pytest-xdist, and in what order (`pytest -n 2`).

Tests that share a server stay together, so that a run starts one of each; other files go where there is room. The
longest come first: whoever is left over at the end is short.
"""

from __future__ import annotations

from collections.abc import Iterable

from xdist.scheduler.loadscope import LoadScopeScheduling

# Folders with a server of their own, then the longest files; the rest follows in the order of its names.
_TOGETHER = ("tests/page/", "tests/stack/", "tests/conformance/", "tests/store/")
_EARLY = ("tests/sync/runs/test_crashes", "tests/soak/", "tests/sync/runs/", "tests/sync/segments/", "tests/sync/")


class OneServerAWorker(LoadScopeScheduling):  # type: ignore[misc] # the library has no types
    """Hands out whole folders or whole files."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in _TOGETHER if file.startswith(folder)), file)


def by_length(paths: Iterable[str]) -> dict[str, int]:
    """For each path its place in the order."""
    first = (*_TOGETHER, *_EARLY)
    return {
        path: next((place for place, start in enumerate(first) if path.startswith(start)), len(first)) for path in paths
    }
