"""Pollers against a real FIFO queue of the emulator: what becomes of a message."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.local import emulator, processes
from infra.local.stack import LocalStack
from infra.package import PROJECT

pytestmark = pytest.mark.stack

VISIBILITY_SECONDS = 1


@dataclass
class PolledQueue:
    """A queue with a dead-letter queue behind it, and workers on it."""

    sqs: Any
    url: str
    arn: str
    dead_letters_url: str
    folder: Path
    log: Path

    def send(self, do: str, *, group: str = "g", always: bool = False) -> Path:
        """Send a message; returns the file in which each of its deliveries leaves a line."""
        trace = self.folder / f"{uuid.uuid4()}.jsonl"
        body = json.dumps({"do": do, "trace": str(trace), "always": always})
        self.sqs.send_message(
            QueueUrl=self.url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=str(uuid.uuid4())
        )
        return trace

    def left(self, url: str = "") -> int:
        """Messages that are waiting or in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)


def deliveries(trace: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in trace.read_text().splitlines()] if trace.exists() else []


def wait_until(holds: Callable[[], bool], *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def queue(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PolledQueue]:
    folder = tmp_path_factory.mktemp("pollers")
    sqs = stack.client("sqs")
    dead = sqs.create_queue(QueueName="polled-dlq.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    dead_arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    attributes = {
        "FifoQueue": "true",
        "VisibilityTimeout": str(VISIBILITY_SECONDS),
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 3}),
    }
    url = sqs.create_queue(QueueName="polled.fifo", Attributes=attributes)["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": attributes["RedrivePolicy"]})
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    configuration = {
        "function": "polled",
        "handler": "tests.stack.handlers.work",
        "queue_url": url,
        "queue_arn": arn,
        "reports_failures": True,
        "workers": 2,
        "timeout": 1,
        "memory": 256,
        "code": str(PROJECT),
    }
    (folder / "configuration.json").write_text(json.dumps(configuration))
    log = folder / "pollers.log"
    environment = {
        **emulator.bare_environment(),
        **emulator.CREDENTIALS,
        "AWS_ENDPOINT_URL": stack.about["emulator_url"],
        "PYTHONPATH": str(PROJECT),
    }
    command = [sys.executable, "-m", "infra.local.pollers", str(folder / "configuration.json")]
    pid = processes.spawn(command, environment=environment, log=log, directory=folder)
    yield PolledQueue(sqs, url, arn, dead, folder, log)
    assert processes.stop([pid], seconds=15) == []


def test_a_handled_message_is_gone(queue: PolledQueue) -> None:
    trace = queue.send("succeed")
    wait_until(lambda: bool(deliveries(trace)) and queue.left() == 0)
    assert len(deliveries(trace)) == 1


def test_the_event_is_that_of_a_fifo_queue(queue: PolledQueue) -> None:
    trace = queue.send("succeed", group="account#3")
    wait_until(lambda: bool(deliveries(trace)))
    (delivery,) = deliveries(trace)
    (record,) = delivery["event"]["Records"]
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"] == queue.arn
    assert record["attributes"]["MessageGroupId"] == "account#3"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert {"MessageDeduplicationId", "SequenceNumber", "SentTimestamp"} <= record["attributes"].keys()
    assert 0 < delivery["left"] <= 1000


@pytest.mark.parametrize("failure", ["report", "raise", "crash", "hang"])
def test_a_failed_message_comes_back_and_its_worker_is_there_again(queue: PolledQueue, failure: str) -> None:
    trace = queue.send(failure)
    wait_until(lambda: len(deliveries(trace)) == 2 and queue.left() == 0)
    first, second = (delivery["event"]["Records"][0]["attributes"] for delivery in deliveries(trace))
    assert (first["ApproximateReceiveCount"], second["ApproximateReceiveCount"]) == ("1", "2")


def test_the_next_message_of_a_group_waits_for_a_failed_one(queue: PolledQueue) -> None:
    failing, waiting = queue.send("report", group="ordered"), queue.send("succeed", group="ordered")
    wait_until(lambda: len(deliveries(failing)) == 2 and bool(deliveries(waiting)))
    assert waiting.stat().st_mtime >= failing.stat().st_mtime


def test_what_always_fails_ends_with_the_dead_letters(queue: PolledQueue) -> None:
    trace = queue.send("report", always=True)
    wait_until(lambda: queue.left(queue.dead_letters_url) == 1)
    assert len(deliveries(trace)) == 3
