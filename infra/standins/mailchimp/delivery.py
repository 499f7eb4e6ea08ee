"""Outgoing webhook calls: probed with GET, sent as signed forms, repeated at growing intervals."""

from __future__ import annotations

import hashlib
import heapq
import hmac
import http.client
import itertools
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from .audiences import Webhook

# Together 75 minutes, as documented; the single steps are not published.
RETRY_AFTER = (60.0, 120.0, 240.0, 480.0, 960.0, 2640.0)
TIMEOUT = 10.0
_WORKERS = 4
_KEPT_ATTEMPTS = 10_000


@dataclass
class Delivery:
    """One event on its way to one hook. `due` is on the monotonic clock."""

    audience_id: str
    hook: Webhook
    fields: list[tuple[str, str]]
    due: float
    attempts: int = 0

    @property
    def event(self) -> str:
        return self.fields[0][1]


@dataclass(frozen=True)
class Attempt:
    """What came of one try; `status` 0 means that there was no answer."""

    event: str
    audience_id: str
    hook_id: str
    attempt: int
    status: int
    seconds: float


class Outbox:
    """Delivers events in the background; order is not promised, each may arrive more than once."""

    def __init__(self, *, now: Callable[[], float], retry_after: tuple[float, ...] | None = None) -> None:
        self._now = now
        self._retry_after = RETRY_AFTER if retry_after is None else retry_after
        self._ready = threading.Condition()
        self._heap: list[tuple[float, int, Delivery]] = []
        self._numbers = itertools.count()
        self._busy = 0
        self._stopped = False
        self._threads: list[threading.Thread] = []
        self.attempts: deque[Attempt] = deque(maxlen=_KEPT_ATTEMPTS)
        self.on_disabled: Callable[[str], None] = lambda audience_id: None

    def start(self) -> None:
        for number in range(_WORKERS):
            thread = threading.Thread(target=self._work, name=f"webhooks-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Stop after the calls that are under way; what is queued stays queued, to be saved."""
        with self._ready:
            self._stopped = True
            self._ready.notify_all()
        for thread in self._threads:
            thread.join(timeout=TIMEOUT)

    def post(self, audience_id: str, hook: Webhook, fields: list[tuple[str, str]]) -> None:
        self._push(Delivery(audience_id, hook, fields, time.monotonic()))

    def wait_until_sent(self, timeout: float) -> bool:
        """Wait until nothing is due or under way (later repeats may be waiting); false after `timeout` seconds."""
        end = time.monotonic() + timeout
        with self._ready:
            while self._busy or (self._heap and self._heap[0][0] <= time.monotonic()):
                if not self._ready.wait(min(0.05, max(0.0, end - time.monotonic()))) and time.monotonic() >= end:
                    return False
        return True

    def waiting(self) -> list[Delivery]:
        with self._ready:
            return [delivery for _, _, delivery in sorted(self._heap)]

    def record(self) -> list[dict[str, Any]]:
        """What is queued, for the state file; delays count from now."""
        start = time.monotonic()
        return [
            {
                "audience_id": delivery.audience_id,
                "hook_id": delivery.hook.id,
                "fields": delivery.fields,
                "delay": max(0.0, delivery.due - start),
                "attempts": delivery.attempts,
            }
            for delivery in self.waiting()
        ]

    def restore(self, records: Sequence[Mapping[str, Any]], hooks: Mapping[str, Webhook]) -> None:
        """Queue again what the state file holds; events of hooks that are gone are dropped."""
        for item in records:
            if item["hook_id"] in hooks:
                fields = [(name, value) for name, value in item["fields"]]
                due = time.monotonic() + item["delay"]
                self._push(Delivery(item["audience_id"], hooks[item["hook_id"]], fields, due, item["attempts"]))

    def _push(self, delivery: Delivery) -> None:
        with self._ready:
            heapq.heappush(self._heap, (delivery.due, next(self._numbers), delivery))
            self._ready.notify()

    def _next(self) -> Delivery | None:
        """The next due delivery, waiting for it; None when stopped."""
        with self._ready:
            while not self._stopped:
                if self._heap and self._heap[0][0] <= time.monotonic():
                    self._busy += 1
                    return heapq.heappop(self._heap)[2]
                self._ready.wait(max(0.001, self._heap[0][0] - time.monotonic()) if self._heap else None)
            return None

    def _work(self) -> None:
        while (delivery := self._next()) is not None:
            try:
                if not (delivery.hook.deleted or delivery.hook.disabled):
                    self._attempt(delivery)
            finally:
                with self._ready:
                    self._busy -= 1
                    self._ready.notify_all()

    def _attempt(self, delivery: Delivery) -> None:
        delivery.attempts += 1
        start = time.monotonic()
        body = urlencode(delivery.fields).encode()
        status = _send(delivery.hook.url, "POST", body, self._headers(delivery.hook, body))
        self.attempts.append(
            Attempt(
                delivery.event,
                delivery.audience_id,
                delivery.hook.id,
                delivery.attempts,
                status,
                time.monotonic() - start,
            )
        )
        if status == 410:
            delivery.hook.disabled = True
            self.on_disabled(delivery.audience_id)
        elif not 200 <= status < 300 and delivery.attempts <= len(self._retry_after):
            delivery.due = time.monotonic() + self._retry_after[delivery.attempts - 1]
            self._push(delivery)

    def _headers(self, hook: Webhook, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "MailChimp"}
        if hook.secret:
            headers["X-Mailchimp-Signature"] = sign(body, hook.secret, int(self._now()))
        return headers


def sign(body: bytes, secret: str, moment: int) -> str:
    """The signature header's value: HMAC-SHA256 over `<t>.<raw body>`."""
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def probe(url: str) -> int:
    """The HTTP status that the URL answers to a GET; 0 for no answer."""
    return _send(url, "GET", None, {"User-Agent": "MailChimp"})


def _send(url: str, method: str, body: bytes | None, headers: Mapping[str, str]) -> int:
    """One call without following redirects; every network failure is status 0."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with closing(_connect(parts.scheme, parts.netloc)) as connection:
            connection.request(method, target, body=body, headers=dict(headers))
            response = connection.getresponse()
            response.read()
            return response.status
    except (OSError, http.client.HTTPException, ValueError):
        return 0


def _connect(scheme: str, host: str) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, timeout=TIMEOUT, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, timeout=TIMEOUT)
