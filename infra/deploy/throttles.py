"""How many requests a second the gateway lets through, method by method.

API Gateway counts each method of a stage by itself: the limits of the template's `/*` are what every method has of its
own, not what all of them share. Methods that need less are given less here, so that strangers cannot use up the
account's functions on preflights, wrong paths or the webhook.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ANY_OTHER_PATH = "/{proxy+}"
WEBHOOK_PREFIX = "/webhooks/"


@dataclass(frozen=True, slots=True)
class Limit:
    """Requests a second, and how many may come at once."""

    rate: int
    burst: int


# Browsers keep an answer for two hours, and ask for each address once.
PREFLIGHTS = Limit(20, 40)
# Nothing of ours calls what is not there.
NO_ROUTE = Limit(5, 10)
# An event is some milliseconds of work. What is refused is delivered again for 75 minutes, and the pull brings it too.
EVENTS = Limit(50, 100)
# Mailchimp asks once when a webhook is made.
PROBES = Limit(5, 10)


def method_settings(paths: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The stage's settings of all methods that need less than the others."""
    return [
        {
            # A method with settings of its own takes nothing from those of all.
            "HttpMethod": method.upper(),
            "ResourcePath": "/" + path.replace("/", "~1"),
            "LoggingLevel": "OFF",
            "DataTraceEnabled": False,
            "ThrottlingRateLimit": limit.rate,
            "ThrottlingBurstLimit": limit.burst,
        }
        for path, method, limit in _limited(paths)
    ]


def _limited(paths: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, Limit]]:
    for path, operations in sorted(paths.items()):
        for method in sorted(operations):
            limit = _limit(path, method.upper())
            if limit is not None:
                yield path, method, limit


def _limit(path: str, method: str) -> Limit | None:
    if path == ANY_OTHER_PATH:
        return NO_ROUTE
    if path.startswith(WEBHOOK_PREFIX):
        return EVENTS if method == "POST" else PROBES
    return PREFLIGHTS if method == "OPTIONS" else None
