"""Where Lambda enters for the schedule that starts runs."""

from __future__ import annotations

from chalicelib import bootstrap
from chalicelib.entrances.functions import dispatcher

__all__ = ["dispatcher"]

bootstrap.prepare(bootstrap.tables, bootstrap.sweeper)
