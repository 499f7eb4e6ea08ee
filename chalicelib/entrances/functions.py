"""What the functions for queues and schedules do: each translates in and calls one thing.

Lambda enters by the modules beside this one, one for each function, which make what its first call needs.
"""

from __future__ import annotations

from typing import Any

from chalicelib import bootstrap
from chalicelib.observability import logger

Event = dict[str, Any]

logger()  # gives all loggers of the service one form: JSON lines


def sync_worker(event: Event, context: Any) -> Event:
    """One step of a run, or one chunk of it."""
    return bootstrap.sync_worker().handle(event, bootstrap.time_left(context))


def event_worker(event: Event, context: Any) -> Event:
    """One event that Mailchimp's webhook brought."""
    return bootstrap.event_worker().handle(event, bootstrap.time_left(context))


def dead_letters(event: Event, context: Any) -> Event:
    """A step that failed too often: close its chunk, or its run."""
    return bootstrap.sync_worker().handle_dead(event)


def dispatcher(event: Event, context: Any) -> None:
    """Queue an incremental run for every department that is due."""
    bootstrap.sweeper().dispatch(event["time"])


def sweeper(event: Event, context: Any) -> None:
    """Nudge runs that lost their message, close those without progress."""
    bootstrap.sweeper().sweep()
