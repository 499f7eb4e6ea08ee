"""The function that Mailchimp's webhook calls: it checks who calls, queues the event, answers.

It is a function of its own with two rights only, to read the records of our hooks and to put events on their queue. It
imports little, so that it answers in well under a second when it starts anew, and decides nothing: the event worker
asks Mailchimp how the member is.
"""

from __future__ import annotations

import hmac
import logging
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from chalicelib.mailchimp.webhook import HookEvent, event_of, is_signed, parse_form, write_event

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

Answer = dict[str, Any]
# The hook record of a department (sync/account/webhook_registration.py writes it); empty when there is none.
HookRecordOf = Callable[[str], Mapping[str, str]]
# Puts an event on the queue of the account's events.
Send = Callable[[HookEvent, str], None]

logger = logging.getLogger("pracbill-mailchimp.webhook")

MAX_BODY_BYTES = 256 * 1024
EVENT_LANES = 2
_DEPARTMENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")  # as in the routes
# What sync/account/webhook_registration.py makes of 32 random bytes: anything else is refused without a look.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_FORM = "application/x-www-form-urlencoded"
_HEADERS = {
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
# Compared with where there is no record, so that an unknown department takes the same work as a wrong token.
_NO_HASH = "0" * 64
_REFUSED_FOR_SECONDS = 5.0
_MOST_REFUSALS = 1_000


class RecentRefusals:
    """Calls that were refused some seconds ago, so that the same call again costs no read.

    By department and token together: a token that was just made was never refused, whoever calls the department's
    address with others. Of a token no more than its hash is kept.
    """

    def __init__(self, *, seconds: float = _REFUSED_FOR_SECONDS, most: int = _MOST_REFUSALS) -> None:
        self._seconds = seconds
        self._most = most
        self._until: dict[bytes, float] = {}

    def has(self, department_id: str, token: str, now: float) -> bool:
        return now < self._until.get(_call_key(department_id, token), 0.0)

    def add(self, department_id: str, token: str, now: float) -> None:
        if len(self._until) >= self._most:
            self._until.clear()
        self._until[_call_key(department_id, token)] = now + self._seconds


def _call_key(department_id: str, token: str) -> bytes:
    return sha256(f"{department_id}/{token}".encode()).digest()


def handle(
    event: Mapping[str, Any], *, hook_of: HookRecordOf, send: Send, now: Callable[[], float], refusals: RecentRefusals
) -> Answer:
    """Answer one call of API Gateway's proxy integration.

    GET, Mailchimp's probe of a new hook: 200 for a known department and its token. POST: 200 when the event is queued
    or none of our business, so that Mailchimp does not repeat it; 404 for an unknown department or token, 401 for a
    missing, wrong or old signature, 413 and 415 for what cannot be an event. Whatever `hook_of` and `send` raise is
    passed on: Mailchimp delivers again for 75 minutes.
    """
    path = event.get("pathParameters") or {}
    department_id, token = str(path.get("department_id") or ""), str(path.get("token") or "")
    if not (_DEPARTMENT_ID.fullmatch(department_id) and _TOKEN.fullmatch(token)):
        return _answer(404)
    if refusals.has(department_id, token, now()):
        return _answer(404)
    record = hook_of(department_id)
    if not _is_our_token(token, record):
        refusals.add(department_id, token, now())
        return _answer(404)
    if event.get("httpMethod") == "GET":
        return _answer(200)
    if event.get("httpMethod") != "POST":
        return _answer(405)
    return _take(event, department_id, record, send, now())


def _is_our_token(token: str, record: Mapping[str, str]) -> bool:
    shown = sha256(token.encode()).hexdigest()
    known = record.get("token_hash") or _NO_HASH
    return hmac.compare_digest(shown.encode(), known.encode()) and bool(record)


def _take(event: Mapping[str, Any], department_id: str, record: Mapping[str, str], send: Send, now: float) -> Answer:
    body = _raw_body(event)
    if body is None:
        return _answer(400)
    if len(body) > MAX_BODY_BYTES:
        return _answer(413)
    secret = record.get("signing_secret", "")
    if secret and not is_signed(body, _header(event, "x-mailchimp-signature"), secret, now=now):
        return _answer(401)
    if _header(event, "content-type").partition(";")[0].strip().lower() != _FORM:
        return _answer(415)
    try:
        found = event_of(parse_form(body), department_id)
    except ValueError:
        return _answer(400)
    if found is None or found.audience_id != record.get("audience_id"):
        # A repeat would be the same: it is taken and left. Its words may be anybody's, so they are not logged.
        logger.info("webhook event left alone: %s", "unknown or incomplete" if found is None else "other audience")
        return _answer(200)
    send(found.arrived(now), record.get("account_id", ""))
    return _answer(200)


def _raw_body(event: Mapping[str, Any]) -> bytes | None:
    """The bytes that were sent; None when API Gateway's form of them cannot be read."""
    body = event.get("body") or ""
    if not isinstance(body, str):
        return None
    if not event.get("isBase64Encoded"):
        return body.encode(errors="surrogatepass")
    try:
        return b64decode(body, validate=True)
    except (NotBase64, ValueError):
        return None


def _header(event: Mapping[str, Any], name: str) -> str:
    """API Gateway keeps the caller's spelling of header names."""
    headers = event.get("headers") or {}
    return next((str(value) for key, value in headers.items() if key.lower() == name and value is not None), "")


def _answer(status: int) -> Answer:
    return {"statusCode": status, "headers": dict(_HEADERS), "body": "", "isBase64Encoded": False}


class EventSender:
    """Puts events on the queue, those of one address in order: one message group for half of an account's addresses."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def __call__(self, event: HookEvent, account_id: str) -> None:
        lane = sha256(event.address.encode(errors="replace")).digest()[0] % EVENT_LANES
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=write_event(event),
            MessageGroupId=f"{account_id}#e{lane}",
            MessageDeduplicationId=event.identity,
        )
