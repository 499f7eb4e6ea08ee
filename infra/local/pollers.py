"""Takes messages from one queue and runs one function on them, as AWS's event source mapping does.

    python -m infra.local.pollers CONFIGURATION.json

One process imports the handler once and forks the workers. A worker takes one message at a time, so the queue's own
FIFO rules decide what runs beside what. A worker that crashes, or runs longer than the function may, is replaced; its
message comes back when its visibility ends, as on AWS.

The configuration is that of one deployed function and mapping; the environment of this process is the function's.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import os
import pkgutil
import signal
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

Handler = Callable[[dict[str, Any], Any], Any]
# A long poll. A worker that is told to end finishes it: an abandoned poll may still be handed a message.
_WAIT_SECONDS = 2
_WATCH_SECONDS = 0.25
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True)
class QueueMapping:
    """What a worker must know of the function and its queue. `timeout` in seconds, `memory` in MB.

    `grace` are the seconds that a message in hand has when the stack stops.
    """

    function: str
    handler: str
    queue_url: str
    queue_arn: str
    reports_failures: bool
    workers: int
    timeout: float
    memory: int
    code: str
    grace: float = 5.0


class Interrupted(BaseException):
    """The stack stops while a message is being worked on."""


class LambdaContext:
    """What AWS hands to a handler beside the event."""

    function_version = "$LATEST"
    identity = None
    client_context = None

    def __init__(self, mapping: QueueMapping, *, deadline: float) -> None:
        region = os.environ.get("AWS_REGION", "us-east-1")
        self.function_name = mapping.function
        self.invoked_function_arn = f"arn:aws:lambda:{region}:000000000000:function:{mapping.function}"
        self.memory_limit_in_mb = str(mapping.memory)
        self.aws_request_id = str(uuid.uuid4())
        self.log_group_name = f"/aws/lambda/{mapping.function}"
        self.log_stream_name = f"local/{os.getpid()}"
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - time.monotonic()) * 1000))


def to_event(message: Mapping[str, Any], *, queue_arn: str) -> dict[str, Any]:
    """The event that AWS makes of a received message."""
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {
            name: _to_record_attribute(value) for name, value in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }
    return {"Records": [record]}


def _to_record_attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    if "StringValue" in value:
        record["stringValue"] = value["StringValue"]
    return record


def is_done(answer: Any, *, reports_failures: bool) -> bool:
    """Whether the one message of the batch may be deleted, by AWS's reading of a handler's answer.

    With reports switched on, any entry in `batchItemFailures` keeps the message: one that names it means it, and one
    that names nothing known fails the whole batch.
    """
    if not reports_failures or not isinstance(answer, Mapping):
        return True
    return not answer.get("batchItemFailures")


class Worker:
    """Takes messages until it is told to end. Lives in a process of its own."""

    def __init__(self, mapping: QueueMapping, handler: Handler, sqs: Any, *, busy_until: Any) -> None:
        self._mapping = mapping
        self._handler = handler
        self._busy_until = busy_until  # shared with the watching parent; 0 while idle
        self._stopping = False
        self._parent = os.getppid()
        self._sqs = sqs

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGALRM, self._interrupt)
        with contextlib.suppress(Interrupted):
            while not self._stopping and os.getppid() == self._parent:
                self._take_one()

    def _end(self, *_: object) -> None:
        self._stopping = True
        signal.setitimer(signal.ITIMER_REAL, self._mapping.grace)

    def _interrupt(self, *_: object) -> None:
        raise Interrupted

    def _take_one(self) -> None:
        try:
            messages = self._sqs.receive_message(
                QueueUrl=self._mapping.queue_url,
                MaxNumberOfMessages=1,
                WaitTimeSeconds=_WAIT_SECONDS,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            for message in messages:
                self._work_on(message)
        except (BotoCoreError, ClientError) as error:
            _say(f"the queue does not answer: {type(error).__name__}")
            time.sleep(1)

    def _work_on(self, message: dict[str, Any]) -> None:
        started = time.monotonic()
        context = LambdaContext(self._mapping, deadline=started + self._mapping.timeout)
        self._busy_until.value = started + self._mapping.timeout
        try:
            done = self._is_handled(message, context)
            if done:
                self._sqs.delete_message(QueueUrl=self._mapping.queue_url, ReceiptHandle=message["ReceiptHandle"])
        except Interrupted:
            self._give_back(message)
            raise
        finally:
            self._busy_until.value = 0.0
        spent = (time.monotonic() - started) * 1000
        _say(f"REPORT RequestId: {context.aws_request_id} Duration: {spent:.0f} ms {'done' if done else 'failed'}")

    def _is_handled(self, message: dict[str, Any], context: LambdaContext) -> bool:
        try:
            answer = self._handler(to_event(message, queue_arn=self._mapping.queue_arn), context)
        except Exception:  # noqa: BLE001 - a handler may raise anything; the message comes back
            traceback.print_exc()
            return False
        return is_done(answer, reports_failures=self._mapping.reports_failures)

    def _give_back(self, message: dict[str, Any]) -> None:
        # A killed function's message waits for its visibility to end; nobody wants to wait minutes after a restart.
        with contextlib.suppress(BotoCoreError, ClientError):
            self._sqs.change_message_visibility(
                QueueUrl=self._mapping.queue_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )


class Crew:
    """The workers of one function, watched by the process that forked them."""

    def __init__(self, mapping: QueueMapping, handler: Handler) -> None:
        self._mapping = mapping
        self._handler = handler
        self._stopping = False
        # Made once and inherited, as making one takes long; no call is made before the fork, so no socket is shared.
        self._sqs = boto3.client("sqs", config=Config(retries={"max_attempts": 1}, read_timeout=_WAIT_SECONDS + 30))
        self._busy_until = [_FORK.Value("d", 0.0, lock=False) for _ in range(mapping.workers)]
        self._processes = [self._hire(slot) for slot in range(mapping.workers)]

    def watch(self) -> None:
        """Until SIGTERM or SIGINT; then end the workers."""
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        _say(f"{self._mapping.function}: {self._mapping.workers} workers")
        while not self._stopping:
            for slot, process in enumerate(self._processes):
                self._look_after(slot, process)
            time.sleep(_WATCH_SECONDS)
        self._dismiss()

    def _end(self, *_: object) -> None:
        self._stopping = True

    def _look_after(self, slot: int, process: Any) -> None:
        until = self._busy_until[slot].value
        if until and time.monotonic() > until + 1:
            _say(f"worker {process.pid} ran longer than {self._mapping.timeout:.0f} s")
            process.kill()
            process.join()
        if not process.is_alive():
            _say(f"worker {process.pid} ended ({process.exitcode}); another takes its place")
            self._busy_until[slot].value = 0.0
            self._processes[slot] = self._hire(slot)

    def _hire(self, slot: int) -> Any:
        process = _FORK.Process(target=self._work, args=(slot,), daemon=True)
        process.start()
        return process

    def _work(self, slot: int) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        Worker(self._mapping, self._handler, self._sqs, busy_until=self._busy_until[slot]).run()

    def _dismiss(self) -> None:
        for process in self._processes:
            process.terminate()
        deadline = time.monotonic() + max(self._mapping.grace, _WAIT_SECONDS) + 2
        for process in self._processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()


def load_handler(dotted: str, code: str) -> Handler:
    """The function that a deployed handler string names, imported from the deployed code."""
    sys.path.insert(0, code)
    module, _, name = dotted.rpartition(".")
    handler: Handler = getattr(importlib.import_module(module), name)
    # The workers are forked from this process: what it has imported, none of them has to import at its first message.
    parts = [str(Path(code) / "chalicelib")] if module.split(".")[0] in {"app", "chalicelib"} else []
    for part in pkgutil.walk_packages(parts, "chalicelib."):
        importlib.import_module(part.name)
    return handler


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    mapping = QueueMapping(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    os.chdir(mapping.code)
    Crew(mapping, load_handler(mapping.handler, mapping.code)).watch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
