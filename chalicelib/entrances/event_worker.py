"""Where Lambda enters for the queue of webhook events."""

from __future__ import annotations

from chalicelib import bootstrap
from chalicelib.entrances.functions import event_worker

__all__ = ["event_worker"]

bootstrap.prepare(bootstrap.tables, bootstrap.large_tables, bootstrap.event_worker)
