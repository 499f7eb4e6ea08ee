"""Pollers against a real FIFO queue of the emulator: what becomes of a message."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.deploy.package import PROJECT
from infra.local import emulator, processes
from infra.local.stack import LocalStack

pytestmark = pytest.mark.stack


@dataclass
class PolledQueue:
    """A queue with a dead-letter queue behind it, and workers on it."""

    sqs: Any
    url: str
    arn: str
    dead_letters_url: str
    folder: Path
    pid: int = 0

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


def wait_until(holds: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def poll(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., PolledQueue]]:
    """Makes a queue and workers on it; the options are fields of QueueMapping."""
    polled: list[PolledQueue] = []

    def start(name: str, *, visibility: int, **options: float) -> PolledQueue:
        folder = tmp_path_factory.mktemp(name)
        queue = make_queue(stack.client("sqs"), name, visibility=visibility, folder=folder)
        queue.pid = start_workers(queue, stack.about["emulator_url"], options)
        polled.append(queue)
        return queue

    yield start
    assert processes.stop([queue.pid for queue in polled], seconds=60) == []


def make_queue(sqs: Any, name: str, *, visibility: int, folder: Path) -> PolledQueue:
    dead = sqs.create_queue(QueueName=f"{name}-dlq.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    policy = json.dumps({"deadLetterTargetArn": arn_of(sqs, dead), "maxReceiveCount": 3})
    attributes = {"FifoQueue": "true", "VisibilityTimeout": str(visibility), "RedrivePolicy": policy}
    url = sqs.create_queue(QueueName=f"{name}.fifo", Attributes=attributes)["QueueUrl"]
    return PolledQueue(sqs, url, arn_of(sqs, url), dead, folder)


def arn_of(sqs: Any, url: str) -> str:
    return str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])


def start_workers(queue: PolledQueue, emulator_url: str, options: dict[str, float]) -> int:
    configuration = {
        "function": "polled",
        "handler": "tests.stack.handlers.work",
        "queue_url": queue.url,
        "queue_arn": queue.arn,
        "reports_failures": True,
        "workers": 2,
        "timeout": 1,
        "memory": 256,
        "code": str(PROJECT),
        **options,
    }
    path = queue.folder / "configuration.json"
    path.write_text(json.dumps(configuration))
    environment = {
        **emulator.bare_environment(),
        **emulator.CREDENTIALS,
        "AWS_ENDPOINT_URL": emulator_url,
        "PYTHONPATH": str(PROJECT),
    }
    command = [sys.executable, "-m", "infra.local.pollers", str(path)]
    return processes.spawn(command, environment=environment, log=queue.folder / "log", directory=queue.folder)


@pytest.fixture(scope="module")
def queue(poll: Callable[..., PolledQueue]) -> PolledQueue:
    """Its messages come back soon: on a busy machine perhaps once more than they should."""
    return poll("polled", visibility=3)


@pytest.fixture(scope="module")
def patient_queue(poll: Callable[..., PolledQueue]) -> PolledQueue:
    return poll("patient", visibility=300, timeout=100)


def test_a_handled_message_is_gone(patient_queue: PolledQueue) -> None:
    trace = patient_queue.send("succeed")
    wait_until(lambda: bool(deliveries(trace)) and patient_queue.left() == 0)
    assert len(deliveries(trace)) == 1


def test_the_event_is_that_of_a_fifo_queue(patient_queue: PolledQueue) -> None:
    trace = patient_queue.send("succeed", group="account#3")
    wait_until(lambda: bool(deliveries(trace)))
    (delivery,) = deliveries(trace)
    (record,) = delivery["event"]["Records"]
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"] == patient_queue.arn
    assert record["attributes"]["MessageGroupId"] == "account#3"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert {"MessageDeduplicationId", "SequenceNumber", "SentTimestamp"} <= record["attributes"].keys()
    assert 0 < delivery["left"] <= 100_000


FAILURES = ("report", "raise", "crash", "hang")


@dataclass(frozen=True)
class Failing:
    """Messages that fail, each in a group of its own; their files are named by what they do."""

    once: dict[str, Path]
    always: Path
    first: Path
    behind_it: Path


@pytest.fixture(scope="module")
def failing(queue: PolledQueue) -> Failing:
    """All at once: each comes back after seconds only."""
    return Failing(
        once={failure: queue.send(failure, group=failure) for failure in FAILURES},
        always=queue.send("report", group="always", always=True),
        first=queue.send("report", group="ordered"),
        behind_it=queue.send("succeed", group="ordered"),
    )


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_message_comes_back_and_its_worker_is_there_again(
    queue: PolledQueue, failing: Failing, failure: str
) -> None:
    trace = failing.once[failure]
    wait_until(lambda: len(deliveries(trace)) >= 2 and queue.left() == 0)
    first, second = (delivery["event"]["Records"][0]["attributes"] for delivery in deliveries(trace)[:2])
    assert (first["ApproximateReceiveCount"], second["ApproximateReceiveCount"]) == ("1", "2")


def test_the_next_message_of_a_group_waits_for_a_failed_one(failing: Failing) -> None:
    wait_until(lambda: len(deliveries(failing.first)) >= 2 and bool(deliveries(failing.behind_it)))
    assert failing.behind_it.stat().st_mtime >= failing.first.stat().st_mtime


def test_what_always_fails_ends_with_the_dead_letters(queue: PolledQueue, failing: Failing) -> None:
    wait_until(lambda: queue.left(queue.dead_letters_url) == 1)
    assert len(deliveries(failing.always)) == 3


def test_a_message_in_hand_is_given_back_when_the_stack_stops(poll: Callable[..., PolledQueue]) -> None:
    # One worker: a second one, still waiting for messages, might be handed what the first gives back.
    queue = poll("stopped", visibility=600, timeout=60, grace=0.2, workers=1)
    trace = queue.send("hang")
    wait_until(lambda: bool(deliveries(trace)))
    assert processes.stop([queue.pid], seconds=60) == []
    (message,) = queue.sqs.receive_message(QueueUrl=queue.url)["Messages"]
    assert json.loads(message["Body"])["trace"] == str(trace)


def test_workers_without_their_parent_end(poll: Callable[..., PolledQueue]) -> None:
    queue = poll("orphaned", visibility=600)
    trace = queue.send("succeed")
    wait_until(lambda: bool(deliveries(trace)))
    worker = deliveries(trace)[0]["pid"]
    assert processes.is_running(worker)
    os.kill(queue.pid, signal.SIGKILL)
    wait_until(lambda: not processes.is_running(worker))
