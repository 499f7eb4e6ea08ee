"""The Chalice application: routes are registered here, and Chalice learns here which functions there are.

Lambda enters here for the API alone. For queues, schedules and the webhook it enters by chalicelib/entrances, since
they would import all of the API for nothing; the template says so. Outside Lambda nothing but the logger is made at
import: the module is imported on build machines, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalice.app import Chalice, CloudWatchEvent, Request, Response, SQSEvent

from chalicelib import api, bootstrap
from chalicelib.entrances import functions
from chalicelib.observability import MetricsMeter, logger

if TYPE_CHECKING:
    from collections.abc import Callable

logger()  # gives all loggers of the service one form: JSON lines
app = Chalice(app_name="pracbill-mailchimp")


@app.middleware("http")
def watch_over(request: Request, next_handler: Callable[[Request], Response]) -> Response:
    """A request's time begins to count, and what it counted is written before its answer goes."""
    bootstrap.request_time.begin()
    try:
        return next_handler(request)
    finally:
        MetricsMeter().flush()


api.register(app, services=bootstrap.services)  # after the middleware above, whose time the gate's own calls share


# The queues' names are put in their places when the service is packaged; the mappings ask for partial answers.
@app.on_sqs_message(queue_arn="arn:aws:sqs:eu-central-1:000000000000:placeholder-sync.fifo", batch_size=1)
def sync_worker(event: SQSEvent) -> dict[str, Any]:
    """One step of a run, or one chunk of it."""
    return functions.sync_worker(event.to_dict(), event.context)


@app.on_sqs_message(queue_arn="arn:aws:sqs:eu-central-1:000000000000:placeholder-events.fifo", batch_size=1)
def event_worker(event: SQSEvent) -> dict[str, Any]:
    """One event that Mailchimp's webhook brought."""
    return functions.event_worker(event.to_dict(), event.context)


@app.on_sqs_message(queue_arn="arn:aws:sqs:eu-central-1:000000000000:placeholder-sync-dlq.fifo", batch_size=1)
def dead_letters(event: SQSEvent) -> dict[str, Any]:
    """A step that failed too often: close its chunk, or its run."""
    return functions.dead_letters(event.to_dict(), event.context)


@app.schedule("rate(4 hours)")
def dispatcher(event: CloudWatchEvent) -> None:
    """Queue an incremental run for every department that is due."""
    functions.dispatcher(event.to_dict(), event.context)


@app.schedule("rate(5 minutes)")
def sweeper(event: CloudWatchEvent) -> None:
    """Nudge runs that lost their message, close those without progress."""
    functions.sweeper(event.to_dict(), event.context)


@app.lambda_function(name="webhook")
def webhook(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Mailchimp's webhook, behind the same REST API but a function of its own with rights of its own."""
    return bootstrap.webhook(event)


bootstrap.prepare(bootstrap.tables, bootstrap.large_tables)
