"""Where Lambda enters for queues and schedules: they need nothing of the API, so they do not import it.

Each translates in and calls one thing. What the first call needs is made while the function starts, where AWS counts no
time-out and gives more of a processor.
"""

from __future__ import annotations

import os
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


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    bootstrap.prepare()
