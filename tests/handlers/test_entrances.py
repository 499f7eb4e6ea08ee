"""What a function imports when it starts: no more than it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.server

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


def test_the_webhook_imports_neither_the_api_nor_what_only_others_need() -> None:
    loaded = loaded_by("chalicelib.entrances.webhook")
    others = {"app", "chalice", "pydantic", "msgspec", "pynamodb", "requests", "jwt", "boto3", "aws_lambda_powertools"}
    assert not loaded & others
    assert "botocore.client" in loaded, "what the first call needs is there before it"


def test_queues_and_schedules_do_not_import_the_api() -> None:
    loaded = loaded_by("chalicelib.entrances.functions")
    assert not loaded & {"app", "chalice", "jwt", "boto3", "pydantic"}
    assert not {name for name in loaded if name.startswith("chalicelib.api")}
    assert {"chalicelib.container", "botocore.client"} <= loaded


@pytest.mark.parametrize("module", ["app", "chalicelib.entrances.functions", "chalicelib.entrances.webhook"])
def test_a_setting_that_is_missing_does_not_keep_a_function_from_starting(module: str) -> None:
    """It is named by the first call that needs it, in that call's own words."""
    assert loaded_by(module, EVENT_QUEUE_URL="", SYNC_QUEUE_URL="", PRACBILL_API_URL="")
