"""The service and all around it in one process, for tests that look at its page.

    python -m tests.page.one_process --port 0 --customers 120 --origins http://127.0.0.1:4600

The routes, the workers, the webhook, the tables and queues of the template, the stand-ins and the host are the local
stack's own. The emulator's server, the packaged functions and the pollers' processes are missing: a start costs an
eighth of the processor time, a sync a quarter. The page meets them in test_journey.py and test_embedding.py.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlencode

import yaml
from chalice.app import Chalice
from chalice.local import LambdaEventConverter, RouteMatcher

from infra.deploy.package import PROJECT
from infra.local import emulator, host, processes
from infra.local.pollers import is_done, to_event
from infra.local.stack import LocalStack
from infra.standins.mailchimp import Latency, MailchimpStandIn
from infra.standins.pracbill import PracBillStandIn
from infra.standins.pracbill.answers import Answer, Request
from infra.standins.pracbill.server import LoopbackServer

STAGE = "page"
_ROOT = "/api"
_WEBHOOKS = f"{_ROOT}/webhooks/mailchimp/"
_RESOURCES = PROJECT / "infra" / "deploy" / "resources"
_TOKEN_SECRET = f"pracbill-mailchimp/{STAGE}/pracbill-token"
_FUNCTION_SECONDS = 300.0
# Between two looks at an empty queue. Who sends a message wakes those who look; one that comes back does not.
_PAUSE_SECONDS = 0.25
# Syncs that are worked on at once, as on the local stack of the other tests here.
_SYNC_WORKERS = 3
# What of a table is told when it is made.
_TABLE = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes", "LocalSecondaryIndexes")


class StackInOneProcess(LocalStack):
    """Started and asked like the local stack."""

    def start(self) -> dict[str, Any]:
        """Start it; its log lies in the folder. Raises ProcessFailed."""
        log, port = self.folder / "service.log", processes.choose_port()
        origins = ",".join([self._environment["ALLOWED_ORIGINS"], f"http://127.0.0.1:{port}"])
        command = [sys.executable, "-m", "tests.page.one_process", "--port", str(port), "--origins", origins]
        command += ["--customers", str(self._customers)]
        environment = {**emulator.bare_environment(), **emulator.CREDENTIALS, "PYTHONPATH": str(PROJECT)}
        self._pid = processes.spawn(command, environment=environment, log=log, directory=self.folder)
        self.about = processes.read_announcement(self._pid, log)
        return self.about

    def stop(self) -> bool:
        processes.stop([self._pid], seconds=5)
        return True


# ------------------------------------------------------------------------------------------------- in the process


class Quiet:
    """A meter that writes nothing down."""

    def count(self, name: str, value: float = 1, unit: str = "Count") -> None: ...

    def mailchimp_call(self, call: Any) -> None: ...

    def flush(self) -> None: ...


class Api:
    """The application, entered as API Gateway enters it: one request at a time, as one function answers."""

    def __init__(self) -> None:
        from chalicelib import api
        from chalicelib.bootstrap import RequestTime

        self._time = RequestTime()
        container = _container(request_time=self._time.left)
        self._app = Chalice("page", configure_logs=False)
        api.register(self._app, services=lambda: container)
        self._events = LambdaEventConverter(RouteMatcher(list(self._app.routes)))
        self._one_at_a_time = threading.Lock()

    def answer(self, request: Request) -> Answer:
        target = request.path.removeprefix(_ROOT) + (f"?{urlencode(request.query)}" if request.query else "")
        event = self._events.create_lambda_event(request.method, target, dict(request.headers), request.body)
        with self._one_at_a_time:
            self._time.begin()
            return _as_answer(self._app(event, SimpleNamespace(aws_request_id="page")))


class Webhook:
    """The function that Mailchimp calls."""

    def __init__(self, event_queue: str) -> None:
        from chalicelib.handlers.webhook import EventSender, RecentRefusals
        from chalicelib.store.aws import sqs

        self._hook_of = _container().stores.hook_records.open
        self._send, self._refusals = EventSender(sqs(), event_queue), RecentRefusals()

    def answer(self, request: Request) -> Answer:
        from chalicelib.handlers.webhook import handle

        department_id, _, token = unquote(request.path.removeprefix(_WEBHOOKS)).partition("/")
        event = {
            "httpMethod": request.method,
            "pathParameters": {"department_id": department_id, "token": token},
            "headers": dict(request.headers),
            "body": request.body.decode(),
        }
        answered = handle(event, hook_of=self._hook_of, send=self._send, now=time.time, refusals=self._refusals)
        return _as_answer(answered)


def _as_answer(answered: dict[str, Any]) -> Answer:
    headers = {name: values[-1] for name, values in answered.get("multiValueHeaders", {}).items()}
    headers |= answered.get("headers") or {}
    kind = next((headers.pop(name) for name in list(headers) if name.lower() == "content-type"), "text/plain")
    body = answered.get("body") or ""
    sent = b64decode(body) if answered.get("isBase64Encoded") else body.encode()
    return Answer(answered["statusCode"], sent, content_type=kind, headers=headers)


Handle = Callable[[Any, dict[str, Any]], dict[str, Any]]


class Deliveries:
    """Hands the messages of a queue to a handler, some at once, as Lambda's event source mapping does.

    Each of those at work has a service of its own, as each of Lambda's processes has.
    """

    def __init__(self, sqs: Any, url: str, handle: Handle, *, at_once: int) -> None:
        self._sqs, self._url, self._handle = sqs, url, handle
        self._idle: queue.Queue[Any] = queue.Queue()
        for _ in range(at_once):
            self._idle.put(_container())
        self._pool, self._woken = ThreadPoolExecutor(at_once), threading.Event()
        threading.Thread(target=self._go_on, daemon=True).start()

    def wake(self, **_: Any) -> None:
        self._woken.set()

    def _go_on(self) -> None:
        while True:
            service = self._idle.get()
            self._woken.clear()
            messages = self._sqs.receive_message(QueueUrl=self._url, MessageSystemAttributeNames=["All"])
            if found := messages.get("Messages"):
                self._pool.submit(self._work, service, found[0])
            else:
                self._idle.put(service)
                self._woken.wait(_PAUSE_SECONDS)

    def _work(self, service: Any, message: dict[str, Any]) -> None:
        try:
            answered = self._handle(service, to_event(message, queue_arn="arn:aws:sqs:us-east-1:0:page"))
            if is_done(answered, reports_failures=True):
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        finally:
            self._idle.put(service)
            self.wake()  # the next one of its group


def _sync(service: Any, event: dict[str, Any]) -> dict[str, Any]:
    return dict(service.sync_worker.handle(event, _time_left()))


def _dead(service: Any, event: dict[str, Any]) -> dict[str, Any]:
    return dict(service.sync_worker.handle_dead(event))


def _event(service: Any, event: dict[str, Any]) -> dict[str, Any]:
    return dict(service.event_worker.handle(event, _time_left()))


def _time_left() -> Callable[[], float]:
    end = time.monotonic() + _FUNCTION_SECONDS
    return lambda: end - time.monotonic()


def _container(**seams: Any) -> Any:
    from chalicelib.config import settings
    from chalicelib.container import Container
    from chalicelib.foundations import Seams

    return Container(settings(), Seams(meter=Quiet(), **seams))


class _Template(yaml.SafeLoader):
    """Reads the template's parts; what a function of CloudFormation would put in is left as it stands."""


_Template.add_multi_constructor("!", lambda loader, tag, node: node.value)


def _resources(part: str, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    found = yaml.load((_RESOURCES / part).read_text(encoding="utf-8"), Loader=_Template)["Resources"]
    for name, resource in found.items():
        if resource["Type"] == kind:
            yield name, resource["Properties"]


def _make_tables(endpoint: str) -> None:
    from tests.aws_emulator import client, create_hook_records

    dynamodb = client("dynamodb", endpoint)
    for _, table in _resources("tables.yaml", "AWS::DynamoDB::Table"):
        name = table["TableName"].replace("${Stage}", STAGE)
        if not name.endswith("-hooks"):
            dynamodb.create_table(TableName=name, **{key: table[key] for key in _TABLE if key in table})
    create_hook_records(endpoint, stage=STAGE)


def _make_queues(sqs: Any) -> dict[str, str]:
    """Addresses by logical name. Dead letters have their queues before who sends them there."""
    urls: dict[str, str] = {}
    arns: dict[str, str] = {}
    for name, wanted in sorted(_resources("queues.yaml", "AWS::SQS::Queue"), key=lambda one: "RedrivePolicy" in one[1]):
        attributes = {
            key: str(wanted[key]).lower() if isinstance(wanted[key], bool) else str(wanted[key])
            for key in ("FifoQueue", "DeduplicationScope", "FifoThroughputLimit", "VisibilityTimeout")
        }
        if policy := wanted.get("RedrivePolicy"):
            target = arns[policy["deadLetterTargetArn"].partition(".")[0]]
            attributes["RedrivePolicy"] = json.dumps({**policy, "deadLetterTargetArn": target})
        url = sqs.create_queue(QueueName=wanted["QueueName"].replace("${Stage}", STAGE), Attributes=attributes)
        urls[name] = url["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=urls[name], AttributeNames=["QueueArn"])
        arns[name] = found["Attributes"]["QueueArn"]
    return urls


def _environment(pracbill: PracBillStandIn, mailchimp: MailchimpStandIn, **more: str) -> dict[str, str]:
    return {
        "STAGE": STAGE,
        "PRACBILL_API_URL": pracbill.url,
        "PRACBILL_JWKS_URL": pracbill.jwks_url,
        "PRACBILL_ISSUER": pracbill.issuer,
        "PRACBILL_TOKEN_SECRET": _TOKEN_SECRET,
        "MAILCHIMP_API_URL": mailchimp.url,
        "SYNC_SCHEDULE": "rate(4 hours)",
        **more,
    }


def _serve(stack: ExitStack, options: argparse.Namespace) -> dict[str, Any]:
    """Start everything; answers what a stack tells of itself."""
    from chalicelib.store import aws
    from tests.aws_emulator import client, emulator_running

    pracbill = stack.enter_context(PracBillStandIn(customers=options.customers))
    mailchimp = stack.enter_context(MailchimpStandIn(latency=Latency.none()))
    endpoint = stack.enter_context(emulator_running())
    parts: list[Callable[[Request], Answer]] = []
    server = LoopbackServer(lambda request: parts[request.path.startswith(_WEBHOOKS)](request))
    api_url = f"http://127.0.0.1:{server.port}{_ROOT}"
    sqs = client("sqs", endpoint)
    urls = _make_queues(sqs)
    os.environ.update(
        _environment(
            pracbill,
            mailchimp,
            AWS_ENDPOINT_URL=endpoint,
            PUBLIC_URL=api_url,
            ALLOWED_ORIGINS=options.origins,
            SYNC_QUEUE_URL=urls["SyncQueue"],
            EVENT_QUEUE_URL=urls["EventQueue"],
        )
    )
    _make_tables(endpoint)
    client("secretsmanager", endpoint).create_secret(Name=_TOKEN_SECRET, SecretString=pracbill.token)
    parts += [Api().answer, Webhook(urls["EventQueue"]).answer]
    for queue_name, handle, at_once in (
        ("SyncQueue", _sync, _SYNC_WORKERS),
        ("EventQueue", _event, 1),
        ("SyncDeadLettersQueue", _dead, 1),
    ):
        deliveries = Deliveries(sqs, urls[queue_name], handle, at_once=at_once)
        aws.sqs().meta.events.register("after-call.sqs", deliveries.wake)
    mint = host.standin_mint(pracbill.control_url, pracbill.department_id)
    shown = host.serve(port=options.port, api_url=api_url, department_id=pracbill.department_id, mint=mint)
    return {
        "api_url": api_url,
        "host_url": f"http://127.0.0.1:{shown.port}",
        "department_id": pracbill.department_id,
        "tokens": {access: pracbill.mint(f"{access}-user", access, expires_in=3600) for access in ("read", "write")},
        "mailchimp": {"url": mailchimp.url, "control_url": mailchimp.control_url, "api_key": mailchimp.api_key},
        "pracbill": {"url": pracbill.url, "control_url": pracbill.control_url},
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.page.one_process")
    parser.add_argument("--port", type=int, required=True, help="the host's")
    parser.add_argument("--customers", type=int, required=True)
    parser.add_argument("--origins", required=True, help="that browsers may call the API from")
    with ExitStack() as stack:
        sys.stdout.write(json.dumps(_serve(stack, parser.parse_args())) + "\n")
        sys.stdout.flush()
        threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
