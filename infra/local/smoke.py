"""Fails loudly when the started stack promises less than AWS would: checks before anybody works with it.

The emulator accepts much that it then does not do. What the service's safety stands on is therefore looked at on the
running stack: no answer without a token, FIFO queues with dead-letter queues, groups that run beside each other while
one group keeps its order, expiring tables.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

from chalicelib import __version__
from infra.local.deployment import Deployment, QueueConsumer
from infra.local.emulator import Emulator

# The page's script is what its users' browsers load. The last catches every path that no route has, and answers that
# there is nothing.
PUBLIC_PATHS = frozenset({"/health", "/openapi.json", f"/page/pracbill-mailchimp-{__version__}.js", "/{proxy+}"})
_WEBHOOK = "/webhooks/"
# Only a stack that does not keep its promise takes that long; a busy machine is no such stack.
_MEETING_SECONDS = 20.0
_CHECK_SECONDS = 60.0


class SmokeTestFailed(Exception):
    """The stack is not safe to work with; the message says what is wrong."""


def check_stack(deployment: Deployment, emulator: Emulator) -> None:
    """Everything but the groups, which need workers. Raises SmokeTestFailed naming all that is wrong."""
    problems = [
        *_api_problems(deployment),
        *_queue_problems(deployment, emulator.client("sqs")),
        *_table_problems(deployment, emulator.client("dynamodb")),
        *_mapping_problems(emulator.client("lambda")),
    ]
    if problems:
        raise SmokeTestFailed("The local stack does not keep its promises:\n- " + "\n- ".join(problems))


def _api_problems(deployment: Deployment) -> Iterator[str]:
    session = requests.Session()
    session.trust_env = False
    health = session.get(f"{deployment.api_url}/health", timeout=30)
    if health.status_code != 200:
        yield f"GET /health answers {health.status_code}: {health.text[:500]}"
        return
    for method, path in protected_routes(deployment.template):
        url = deployment.api_url + re.sub(r"\{[^}]+\}", "smoke-test", path)
        status = session.request(method, url, timeout=30, headers={"Content-Type": "application/json"}).status_code
        if status not in {401, 403}:
            yield f"{method} {path} answers {status} without a token"


def protected_routes(template: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Method and path of every route that needs a token."""
    paths = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
    return [
        (method.upper(), path)
        for path, operations in paths.items()
        for method in operations
        if path not in PUBLIC_PATHS and not path.startswith(_WEBHOOK) and method != "options"
    ]


def _queue_problems(deployment: Deployment, sqs: Any) -> Iterator[str]:
    urls = deployment.queue_urls()
    for name, properties in deployment.resources("AWS::SQS::Queue"):
        found = sqs.get_queue_attributes(QueueUrl=urls[name], AttributeNames=["All"])["Attributes"]
        if found.get("FifoQueue") != "true":
            yield f"{name} is not a FIFO queue"
        for attribute in ("DeduplicationScope", "FifoThroughputLimit", "VisibilityTimeout"):
            if found.get(attribute) != str(properties[attribute]):
                yield f"{name} has {attribute} {found.get(attribute)}, not {properties[attribute]}"
        wanted = properties.get("RedrivePolicy", {}).get("maxReceiveCount")
        if json.loads(found.get("RedrivePolicy", "{}")).get("maxReceiveCount") != wanted:
            yield f"{name} lacks its dead-letter policy"


def _table_problems(deployment: Deployment, dynamodb: Any) -> Iterator[str]:
    ids = deployment.physical_ids()
    for name, properties in deployment.resources("AWS::DynamoDB::Table"):
        if "TimeToLiveSpecification" in properties:
            found = dynamodb.describe_time_to_live(TableName=ids[name])["TimeToLiveDescription"]
            if found.get("AttributeName") != properties["TimeToLiveSpecification"]["AttributeName"]:
                yield f"{name} does not expire its items"


def _mapping_problems(lambda_: Any) -> Iterator[str]:
    for mapping in lambda_.list_event_source_mappings()["EventSourceMappings"]:
        if mapping["State"] != "Disabled":
            yield f"the emulator itself takes messages of {mapping['EventSourceArn']}"


class GroupRehearsal:
    """Two groups through real workers, on a queue of its own with the sync queue's attributes.

    `first` of group A and `second` of group B each wait for the other; `third` of group A must wait for `first`.
    """

    def __init__(self, emulator: Emulator, *, like: QueueConsumer, folder: Path) -> None:
        self._sqs = emulator.client("sqs")
        self._like = like
        self._folder = folder

    def prepare(self) -> QueueConsumer:
        """Make the queue and put the messages on it; returns whom to start workers for."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in self._folder.iterdir():
            old.unlink()
        found = self._sqs.get_queue_attributes(QueueUrl=self._like.queue_url, AttributeNames=["All"])["Attributes"]
        copied = ("FifoQueue", "DeduplicationScope", "FifoThroughputLimit", "VisibilityTimeout")
        name = f"smoke-{time.time_ns()}.fifo"
        attributes = {key: found[key] for key in copied if key in found}
        self._url = self._sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        for message, group, waits_for in (("first", "A", "second"), ("second", "B", "first"), ("third", "A", "")):
            body = {"folder": str(self._folder), "name": message, "waits_for": waits_for}
            self._sqs.send_message(
                QueueUrl=self._url, MessageBody=json.dumps(body), MessageGroupId=group, MessageDeduplicationId=message
            )
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        return QueueConsumer(function="smoke", queue_url=self._url, queue_arn=arn, reports_failures=True)

    def check(self) -> None:
        """Wait for the messages. Raises SmokeTestFailed."""
        deadline = time.monotonic() + _CHECK_SECONDS
        while not _marks(self._folder) >= {"third.end", "second.end"} and time.monotonic() < deadline:
            time.sleep(0.02)
        marks = _marks(self._folder)
        if not {"first.end", "second.end"} <= marks:
            raise SmokeTestFailed(f"Two message groups did not run beside each other; seen: {sorted(marks)}")
        if "third.end" not in marks:
            raise SmokeTestFailed("The second message of a group never came.")
        if _time(self._folder / "third.start") < _time(self._folder / "first.end"):
            raise SmokeTestFailed("Two messages of one group ran at once.")

    def clean_up(self) -> None:
        self._sqs.delete_queue(QueueUrl=self._url)


def meet(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The rehearsal's handler: marks its start and end, and waits for the other group in between."""
    record = event["Records"][0]
    if "MessageGroupId" not in record["attributes"]:
        raise SmokeTestFailed("the event lacks FIFO attributes")
    body = json.loads(record["body"])
    folder = Path(body["folder"])
    _mark(folder / f"{body['name']}.start")
    if body["waits_for"]:
        _wait_for(folder / f"{body['waits_for']}.start")
    _mark(folder / f"{body['name']}.end")
    return {"batchItemFailures": []}


def _mark(path: Path) -> None:
    scratch = path.with_name(f"{path.name}.new")
    scratch.write_text(str(time.monotonic()))
    scratch.rename(path)


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + _MEETING_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise SmokeTestFailed(f"{path.stem} did not start meanwhile")
        time.sleep(0.01)


def _marks(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".new"}


def _time(path: Path) -> float:
    return float(path.read_text())
