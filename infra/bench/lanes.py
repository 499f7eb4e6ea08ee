"""What eight lanes can do at best, given how long Mailchimp's calls take."""

from __future__ import annotations

from chalicelib.domain.planning import MAX_CHUNK_OPERATIONS
from chalicelib.store.queue import LANES
from infra.standins.mailchimp.traffic import Latency


def best_seconds(operations: int, chunks: int, latency: Latency) -> float:
    """Seconds until the busiest lane is through, if a lane did nothing but wait for its calls.

    Chunks go to the lanes in turn; all are full but the last, which has the rest.
    """
    sizes = [MAX_CHUNK_OPERATIONS] * (chunks - 1) + [operations - MAX_CHUNK_OPERATIONS * (chunks - 1)]
    lanes = [0.0] * LANES
    for number, size in enumerate(sizes):
        lanes[number % LANES] += latency.seconds(bulk=True, members=size)
    return max(lanes)
