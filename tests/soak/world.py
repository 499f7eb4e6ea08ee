"""One department in its world: the service, both servers, the queues between them, and what is put down of it all."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import urlencode

from infra.standins.mailchimp import Latency, MailchimpStandIn, Readings
from infra.standins.mailchimp.delivery import _send
from infra.standins.mailchimp.gate import Request, Response
from infra.standins.pracbill import PracBillStandIn
from tests.soak.addresses import canonical
from tests.soak.aws import client, make_queues
from tests.soak.chronicle import Chronicle, Event
from tests.soak.clock import Clock
from tests.soak.doorbell import Doorbell
from tests.soak.killing import Executioner, Killed, watched
from tests.soak.product import Product, few_shards
from tests.soak.script import Step
from tests.soak.tap import Tap

_MOST_MESSAGES = 400
_VISIBILITY_SECONDS = 360
_REST_OF_THE_DEAD = 30  # seconds after which a message is seen again whose function died
Message = dict[str, Any]
Statuses = dict[str, tuple[str, str]]  # address and status by contact


class Stuck(Exception):
    """The queue's messages do not come to an end."""


@dataclass(frozen=True)
class Letter:
    """An event on its way to our webhook."""

    hook: Any
    fields: list[tuple[str, str]]


class World:
    def __init__(self, aws: str, pracbill: PracBillStandIn, clock: Clock, department_id: str, seed: int) -> None:
        self.clock, self.pracbill, self.id = clock, pracbill, department_id
        self.random = Random(f"order of messages {seed}")
        self.chronicle = Chronicle()
        self.executioner = Executioner()
        self.take: Callable[[Step], None] = lambda step: None
        self.tap = Tap(self._take_during, clock)
        self.letters: list[Letter] = []
        self.notes: list[str] = []  # what came of each step, for readers
        self.audience_id = ""
        self.is_staff_acting = False
        self._aws, self._sqs = aws, client("sqs", aws)
        self.queues = make_queues(aws)
        self._now_taking = 0

    @contextmanager
    def open(self) -> Iterator[World]:
        """Start the servers and connect the department."""
        with ExitStack() as stack:
            stack.enter_context(few_shards())
            stack.enter_context(watched(self.executioner))
            bell = stack.enter_context(Doorbell())
            readings = Readings(stats_cached_seconds=0)
            self.mailchimp = stack.enter_context(
                MailchimpStandIn(latency=Latency.none(), now=self.clock.seconds, readings=readings)
            )
            self.control = self.mailchimp.control
            self.control.set_plan(-1)
            self.api_answer = self.mailchimp._gate.answer
            self.mailchimp._gate.answer = self.tap.mailchimp(self._witnessed)  # type: ignore[method-assign, assignment]
            self.mailchimp.world.outbox.post = self._post  # type: ignore[method-assign]
            server = self.pracbill._server
            stack.callback(setattr, server, "respond", server.respond)
            server.respond = self.tap.pracbill(self._noting_customers(server.respond))
            self.pracbill.faults.clear()
            self.pracbill.add_department(self.id, name="North", timezone="Australia/Melbourne", country="AU")
            self.product = Product(self.clock, self.queues, self.id, self.mailchimp, self.pracbill, bell.url)
            self.product.forget_other_departments()
            bell.function = self.product.webhook
            self.product.service.connections.connect(self.id, self.mailchimp.api_key, by="user-1")
            yield self

    # -------------------------------------------------------------------------------------------- seeing what is done

    def _witnessed(self, request: Request) -> Response:
        """Put down whose status the product changes."""
        parts = request.path.strip("/").split("/")
        if request.method == "GET" or len(parts) < 2 or parts[0] != "lists":
            return self.api_answer(request)
        audience_id = parts[1]
        before = self.statuses(audience_id)
        response = self.api_answer(request)
        self.note_changes("product", "at staff's request" if self.is_staff_acting else "in a run", audience_id, before)
        return response

    def statuses(self, audience_id: str) -> Statuses:
        with self.mailchimp.world.lock:
            try:
                members = self.mailchimp.world.audience(audience_id).members
            except Exception:  # noqa: BLE001 - the stand-in's own 404: there is no such audience
                return {}
            return {contact: (canonical(m.address), m.status) for contact, m in members.items()}

    def note_changes(self, who: str, what: str, audience_id: str, before: Statuses) -> None:
        after, at = self.statuses(audience_id), self.clock()
        for contact in before.keys() | after.keys():
            (old, was), (new, became) = before.get(contact, ("", "")), after.get(contact, ("", ""))
            if (old, was) == (new, became):
                continue
            if old and old != new:
                self.chronicle.events.append(Event(at, who, what, old, audience_id, was, "", contact))
                was = ""
            if new:
                self.chronicle.events.append(Event(at, who, what, new, audience_id, was, became, contact))

    def _noting_customers(self, respond: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def noting(request: Any) -> Any:
            answer = respond(request)
            if request.method == "POST" and request.segments[-1] == "marketing-consent":
                self.note_customers(is_told=True)
            return answer

        return noting

    def note_customers(self, *, is_told: bool = False) -> None:
        documents = self.pracbill.customers(department_id=self.id)
        self.chronicle.note_customers(self.clock(), documents, is_told=is_told)

    def say(self, text: str) -> None:
        self.notes.append(text)

    # ------------------------------------------------------------------------------------------------- Mailchimp

    def colleague_calls(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """A call of Mailchimp's API by somebody else, about the selected audience."""
        auth = "Basic " + b64encode(f"any:{self.mailchimp.api_key}".encode()).decode()
        raw = b"" if body is None else json.dumps(body).encode()
        url, _, query = path.partition("?")
        request = Request(method, f"/lists/{self.audience_id}{url}", query, {"authorization": auth}, raw, "127.0.0.1")
        response = self.api_answer(request)
        return response.status, json.loads(response.body) if response.body else None

    def members(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control.members(self.audience_id)
        return found

    def writes(self) -> list[str]:
        entries = self.control.journal(writes_only=True, limit=1000)["entries"]
        return [f"{entry['method']} {entry['path']} ({entry['members']})" for entry in entries]

    # ------------------------------------------------------------------------------------------------- webhooks

    def _post(self, audience_id: str, hook: Any, fields: list[tuple[str, str]]) -> None:
        self.letters.append(Letter(hook, fields))

    def deliver(self, letter: Letter) -> int:
        """Mailchimp calls our webhook with an event."""
        if letter.hook.deleted or letter.hook.disabled:
            return 0
        body = urlencode(letter.fields).encode()
        return _send(letter.hook.url, "POST", body, self.mailchimp.world.outbox._headers(letter.hook, body))

    # ------------------------------------------------------------------------------------------------- queues

    def _receive(self, url: str) -> Message | None:
        answer = self._sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=1,
            MessageSystemAttributeNames=["All"],
            VisibilityTimeout=_VISIBILITY_SECONDS,
        )
        messages: list[Message] = answer.get("Messages", [])
        return messages[0] if messages else None

    def _delete(self, url: str, message: Message) -> None:
        self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def _give_back(self, url: str, message: Message) -> None:
        self.clock.move(seconds=_REST_OF_THE_DEAD)
        self._sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)

    def _hand_over(self, message: Message) -> None:
        """A message of the sync queue to the worker, which may die over it."""
        try:
            with self.executioner.armed():
                is_through, is_delayed = self.product.handle_sync(_as_event(message))
        except Killed as killed:
            self.say(f"the worker died before {killed}")
            is_through, is_delayed = False, False
        if is_through:
            self._delete(self.queues.sync, message)
        elif not is_delayed:
            self._give_back(self.queues.sync, message)

    def work_events(self) -> None:
        """Let the event worker empty its queue; what fails again and again rests until the next time."""
        for _ in range(_MOST_MESSAGES // 10):
            message = self._receive(self.queues.events)
            if message is None:
                return
            try:
                with self.executioner.armed():
                    is_through = self.product.handle_event(_as_event(message))
            except Killed as killed:
                self.say(f"the event worker died before {killed}")
                self._give_back(self.queues.events, message)
                continue
            if is_through:
                self._delete(self.queues.events, message)

    def work(self) -> None:
        """Deliver messages, those of different groups in any order, until there are none."""
        waiting: list[Message] = []
        for _ in range(_MOST_MESSAGES):
            while message := self._receive(self.queues.sync):
                waiting.append(message)
            if waiting:
                self._hand_over(waiting.pop(self.random.randrange(len(waiting))))
            elif dead := self._receive(self.queues.dead):
                self.product.handle_dead(_as_event(dead))
                self._delete(self.queues.dead, dead)
            else:
                return
        raise Stuck("messages without end")

    def work_to_the_end(self) -> None:
        """Deliver and sweep until no run is active, or one waits for approval."""
        self.work()
        for minutes in (7, 7, 7, 31, 7):
            if not self.product.active_run_id() or self.is_braked():
                return
            self.clock.move(minutes=minutes)
            self.product.sweep()
            self.work()

    def is_braked(self) -> bool:
        run_id = self.product.active_run_id()
        if not run_id:
            return False
        try:
            return str(self.product.service.runs.get(self.id, run_id).status) == "awaiting_approval"
        except Exception:  # noqa: BLE001 - a claim whose run was never stored
            return False

    # ------------------------------------------------------------------------------------------------- steps

    def _take_during(self, step: Step) -> None:
        """A step at a call of the run: what is done in it is not the run's."""
        with self.executioner.elsewhere(), self.quietly():
            self.clock.move(seconds=1)
            self.take(step)

    @contextmanager
    def quietly(self) -> Iterator[None]:
        was, self.tap.is_quiet = self.tap.is_quiet, True
        try:
            yield
        finally:
            self.tap.is_quiet = was


def _as_event(message: Message) -> dict[str, Any]:
    """What Lambda makes of a message of SQS."""
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "awsRegion": "eu-central-1",
    }
    return {"Records": [record]}
