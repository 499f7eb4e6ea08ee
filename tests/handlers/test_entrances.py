"""What a function imports when it starts: no more than it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.server

FUNCTIONS = ["sync_worker", "event_worker", "dead_letters", "dispatcher", "sweeper", "webhook"]
LOADED = "import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
ENVIRONMENT = {
    **os.environ,
    "AWS_LAMBDA_FUNCTION_NAME": "start",
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "STAGE": "start",
    "EVENT_QUEUE_URL": "https://sqs.start.example/events.fifo",
    "SYNC_QUEUE_URL": "https://sqs.start.example/sync.fifo",
}


def loaded_by(module: str, **environment: str) -> set[str]:
    ran = subprocess.run(
        [sys.executable, "-c", LOADED.format(module=module)],
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(ran.stdout))


# What only routes need, and who talks to Mailchimp or PracBill, by what its function need not load.
ROUTES = {"app", "chalice", "jwt", "boto3", "pydantic", "chalicelib.api", "chalicelib.contract.services"}
CALLS = {"requests", "chalicelib.http_client.calls", "chalicelib.mailchimp.client", "chalicelib.pracbill.client"}
PHASES = {f"chalicelib.sync.runs.{phase}_phase" for phase in ("pull", "ingest", "plan", "apply", "close")}
SEGMENTS = {"chalicelib.sync.segments.segments_phase", "chalicelib.domain.segments.rules"}


def test_the_webhook_imports_neither_the_api_nor_what_only_others_need() -> None:
    loaded = loaded_by("chalicelib.entrances.webhook")
    assert not loaded & {*ROUTES, *CALLS, "pynamodb", "msgspec", "aws_lambda_powertools", "chalicelib.container"}
    assert "botocore.client" in loaded, "what the first call needs is there before it"


@pytest.mark.parametrize("function", ["dispatcher", "sweeper", "dead_letters", "sync_worker"])
def test_what_looks_after_runs_imports_neither_routes_nor_phases_nor_who_calls_others(function: str) -> None:
    """A step needs one phase: it is imported when a step of it comes."""
    loaded = loaded_by(f"chalicelib.entrances.{function}")
    assert not loaded & {*ROUTES, *CALLS, *PHASES, *SEGMENTS, "chalicelib.sync.consent.webhook_events"}
    assert {"chalicelib.sync.runs.lifecycle", "botocore.client", "pynamodb.models"} <= loaded


def test_the_event_worker_imports_neither_routes_nor_runs() -> None:
    loaded = loaded_by("chalicelib.entrances.event_worker")
    assert not loaded & {*ROUTES, *PHASES, *SEGMENTS, "chalicelib.sync.runs.orchestrator"}
    assert {"chalicelib.sync.consent.webhook_events", "botocore.client"} <= loaded


def test_the_api_imports_no_worker() -> None:
    loaded = loaded_by("app")
    assert not loaded & {*PHASES, "chalicelib.handlers.queue_worker", "chalicelib.sync.runs.orchestrator", "boto3"}


@pytest.mark.parametrize("module", ["app", *(f"chalicelib.entrances.{function}" for function in FUNCTIONS)])
def test_a_setting_that_is_missing_does_not_keep_a_function_from_starting(module: str) -> None:
    """It is named by the first call that needs it, in that call's own words."""
    assert loaded_by(module, EVENT_QUEUE_URL="", SYNC_QUEUE_URL="", PRACBILL_API_URL="")
