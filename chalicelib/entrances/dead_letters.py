"""Where Lambda enters for the dead-letter queue of steps and chunks."""

from __future__ import annotations

from chalicelib import bootstrap
from chalicelib.entrances.functions import dead_letters

__all__ = ["dead_letters"]

bootstrap.prepare(bootstrap.tables, bootstrap.sync_worker)
