"""The Chalice application: routes are registered here, event handlers live here.

Event handlers stay in this file because Lambda imports `app` for them, and with it middleware and logging. Each
translates in, calls one thing, translates out.
"""

from __future__ import annotations

from typing import Any

from chalice.app import Chalice

from chalicelib import __version__

app = Chalice(app_name="pracbill-mailchimp")


@app.route("/health", methods=["GET"])
def health() -> dict[str, str]:
    return {"status": "ok", "version": __version__}


@app.on_sqs_message(queue_arn="arn:aws:sqs:eu-central-1:000000000000:placeholder-sync.fifo", batch_size=1)
def sync_worker(event: Any) -> dict[str, Any]:
    """One step of a run, or one chunk of it."""
    return {"batchItemFailures": []}


@app.on_sqs_message(queue_arn="arn:aws:sqs:eu-central-1:000000000000:placeholder-events.fifo", batch_size=1)
def event_worker(event: Any) -> dict[str, Any]:
    """One event that Mailchimp's webhook brought."""
    return {"batchItemFailures": []}


@app.on_sqs_message(queue_arn="arn:aws:sqs:eu-central-1:000000000000:placeholder-sync-dlq.fifo", batch_size=1)
def dead_letters(event: Any) -> dict[str, Any]:
    """A step that failed too often: close its chunk, or its run."""
    return {"batchItemFailures": []}


@app.schedule("rate(4 hours)")
def dispatcher(event: Any) -> None:
    """Start an incremental run for every department that is due."""


@app.schedule("rate(5 minutes)")
def sweeper(event: Any) -> None:
    """Nudge runs that lost their message, close those without progress."""


@app.lambda_function(name="webhook")
def webhook(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Mailchimp's webhook, behind the same REST API but a function of its own."""
    return {"statusCode": 404, "body": ""}
