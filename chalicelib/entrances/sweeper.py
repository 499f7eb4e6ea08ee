"""Where Lambda enters for the schedule that looks after runs."""

from __future__ import annotations

from chalicelib import bootstrap
from chalicelib.entrances.functions import sweeper

__all__ = ["sweeper"]

bootstrap.prepare(bootstrap.tables, bootstrap.sweeper)
