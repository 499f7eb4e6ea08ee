"""Where Lambda enters for the queue of steps and chunks."""

from __future__ import annotations

from chalicelib import bootstrap
from chalicelib.entrances.functions import sync_worker

__all__ = ["sync_worker"]

bootstrap.prepare(bootstrap.tables, bootstrap.large_tables, bootstrap.sync_worker)
