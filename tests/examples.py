"""How many random examples a property has that wants more, or fewer, than the profile says."""

from __future__ import annotations

from hypothesis import settings

_EVERYWHERE = 100  # what Hypothesis has as its own number


def examples(count: int) -> settings:
    """So many in `make test`; in the fast tier the share of them that its profile has of all."""
    return settings(max_examples=max(1, count * settings().max_examples // _EVERYWHERE))
