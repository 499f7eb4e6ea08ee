"""The webhook's function: who is let in, what is queued, and that bad input of any kind breaks nothing."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode

import boto3
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.handlers.webhook import MAX_BODY_BYTES, EventSender, RecentRefusals, handle
from chalicelib.mailchimp.webhook import HookEvent, read_event
from infra.standins.mailchimp import Latency, MailchimpStandIn, Readings
from infra.standins.mailchimp.delivery import sign
from tests.aws_emulator import emulator_running

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

NOW = 1_767_607_200
TOKEN = "a-long-random-token-" + "7" * 23
WRONG = "a-wrong-random-token" + "7" * 23
SECRET = "0f" * 32
FORM = "application/x-www-form-urlencoded"
TOKEN_HASH = sha256(TOKEN.encode()).hexdigest()
RECORD = {
    "token_hash": TOKEN_HASH,
    "url_hash": "",
    "account_id": "account-1",
    "audience_id": "abc123def4",
    "hook_id": "hook-1",
    "signing_secret": SECRET,
}
UNSIGNED = RECORD | {"signing_secret": ""}
UNSUBSCRIBE = {
    "type": "unsubscribe",
    "fired_at": "2026-01-05 10:00:00",
    "data[action]": "unsub",
    "data[reason]": "manual",
    "data[list_id]": "abc123def4",
    "data[email]": "ann@clinic.test",
}
BODY = urlencode(UNSUBSCRIBE)


class Function:
    """The function with the records of its hooks; `sent` is what it queued, with the account's id."""

    def __init__(self, **records: Mapping[str, str]) -> None:
        self.records = records
        self.sent: list[tuple[HookEvent, str]] = []
        self.asked: list[str] = []
        self.now = float(NOW)
        self.refusals = RecentRefusals(most=3)

    def hook_of(self, department_id: str) -> Mapping[str, str]:
        self.asked.append(department_id)
        return self.records.get(department_id, {})

    def __call__(self, event: Mapping[str, Any]) -> dict[str, Any]:
        def send(event: HookEvent, account_id: str) -> None:
            self.sent.append((event, account_id))

        answer = handle(event, hook_of=self.hook_of, send=send, now=lambda: self.now, refusals=self.refusals)
        json.dumps(answer)
        return answer

    def status(self, event: Mapping[str, Any]) -> int:
        return int(self(event)["statusCode"])


@pytest.fixture
def function() -> Function:
    return Function(north=RECORD, south=UNSIGNED)


def call(
    body: str | None = BODY,
    *,
    method: str = "POST",
    department: str | None = "south",
    token: str | None = TOKEN,
    content_type: str | None = FORM,
    signature: str | None = None,
    **event: Any,
) -> dict[str, Any]:
    """A proxy event of API Gateway; to the department whose hook does not sign unless said otherwise."""
    headers = {"Content-Type": content_type, "X-Mailchimp-Signature": signature}
    return {
        "httpMethod": method,
        "pathParameters": {"department_id": department, "token": token},
        "headers": {name: value for name, value in headers.items() if value is not None},
        "body": body,
        "isBase64Encoded": False,
        **event,
    }


def signed(body: str = BODY, *, at: int = NOW, secret: str = SECRET, **options: Any) -> dict[str, Any]:
    return call(body, department="north", signature=sign(body.encode(), secret, at), **options)


# ------------------------------------------------------------------------------------------------------------ let in


def test_mailchimps_probe_of_a_new_hook_is_answered_with_200(function: Function) -> None:
    assert function.status(call(None, method="GET", department="north", content_type=None)) == 200
    assert function.sent == []


def test_a_signed_event_is_queued_and_answered_with_200(function: Function) -> None:
    assert function.status(signed()) == 200
    ((event, account_id),) = function.sent
    assert (event.type, event.department_id, event.address) == ("unsubscribe", "north", "ann@clinic.test")
    assert account_id == "account-1"


def test_an_event_of_a_hook_from_before_signing_is_let_in_by_its_token(function: Function) -> None:
    assert function.status(call()) == 200
    assert len(function.sent) == 1


def test_a_body_that_api_gateway_has_encoded_is_read(function: Function) -> None:
    event = signed() | {"body": b64encode(BODY.encode()).decode(), "isBase64Encoded": True}
    assert function.status(event) == 200
    assert len(function.sent) == 1


def test_names_of_headers_are_read_in_any_spelling(function: Function) -> None:
    event = signed()
    event["headers"] = {name.lower(): value for name, value in event["headers"].items()}
    assert function.status(event) == 200


def test_a_content_type_may_name_its_characters(function: Function) -> None:
    assert function.status(call(content_type="Application/X-WWW-Form-Urlencoded; charset=UTF-8")) == 200
    assert len(function.sent) == 1


def test_a_delivery_that_is_repeated_is_queued_under_the_same_identity(function: Function) -> None:
    """The queue and the event worker know it again by that; the function itself remembers nothing."""
    statuses = [function.status(signed()), function.status(signed(at=NOW - 60))]
    assert statuses == [200, 200]
    assert len({event.identity for event, _ in function.sent}) == 1


@pytest.mark.parametrize("fired_at", ["", "yesterday", "2026-01-05T10:00:00Z", "2026-13-05 10:00:00", None])
def test_an_event_without_a_time_happened_when_it_arrived(function: Function, fired_at: str | None) -> None:
    """By no time at all, every later unsubscribe of the person would pass for a repeat of the first."""
    fields = {name: value for name, value in (UNSUBSCRIBE | {"fired_at": fired_at}).items() if value is not None}
    body = urlencode(fields)
    for seconds in (0.0, 0.0, 90.0):
        now = partial(float, NOW + seconds)
        handle(
            call(body),
            hook_of=function.hook_of,
            send=lambda *sent: function.sent.append(sent),
            now=now,
            refusals=RecentRefusals(),
        )
    first, again, later = (event for event, _ in function.sent)
    assert first.fired_at_moment == datetime.fromtimestamp(NOW, UTC)
    assert first.identity == again.identity != later.identity


def test_answers_tell_browsers_to_keep_and_show_nothing(function: Function) -> None:
    for event in (signed(), call(token=WRONG), call(None, method="GET")):
        headers = function(event)["headers"]
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "max-age" in headers["Strict-Transport-Security"]


# --------------------------------------------------------------------------------------------------------- turned away


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("department", "token"),
    [
        ("elsewhere", TOKEN),
        ("south", "wrong"),
        ("south", TOKEN + "x"),
        ("south", TOKEN.upper()),
        ("south", ""),
        ("south", None),
        (None, None),
        ("", TOKEN),
        ("south", TOKEN_HASH),
        ("south", "x" * 100_000),
        ("south", "\udcff"),
        ("south", "töken"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_an_unknown_department_and_a_wrong_token_get_the_same_404(
    function: Function, method: str, department: str | None, token: str | None
) -> None:
    answer = function(call(method=method, department=department, token=token))
    assert (answer["statusCode"], answer["body"]) == (404, "")
    assert function.sent == []


@pytest.mark.parametrize("department", ["../departments/north", "a/b", "a b", "a\n", "ä", "-a", "x" * 65, "arn:aws:x"])
def test_what_cannot_be_a_department_is_not_even_looked_up(function: Function, department: str) -> None:
    assert function.status(call(department=department)) == 404
    assert function.asked == []


@pytest.mark.parametrize(
    "token", ["", TOKEN[:-1], TOKEN + "7", TOKEN[:-1] + "+", TOKEN[:-1] + "ö", TOKEN + "\n", "x" * 9000]
)
def test_what_cannot_be_a_token_costs_no_look(function: Function, token: str) -> None:
    assert function.status(call(token=token)) == 404
    assert function.asked == []


def test_our_own_tokens_have_the_form_that_is_let_through() -> None:
    for _ in range(200):
        token = secrets.token_urlsafe(32)
        record = {**UNSIGNED, "token_hash": sha256(token.encode()).hexdigest()}
        assert Function(south=record).status(call(token=token)) == 200


def test_the_same_wrong_call_again_costs_no_look_for_some_seconds(function: Function) -> None:
    for seconds in (0, 1, 4.9):
        function.now = NOW + seconds
        assert function.status(call(token=WRONG)) == 404
    assert function.asked == ["south"]
    function.now = NOW + 5
    assert function.status(call(token=WRONG)) == 404
    assert function.asked == ["south", "south"]


def test_a_stranger_who_calls_an_address_keeps_no_other_token_out(function: Function) -> None:
    """Mailchimp probes a new hook as soon as its record is written."""
    function.records = {}
    assert function.status(call(token=WRONG)) == 404
    function.records = {"south": UNSIGNED}
    assert function.status(call(None, method="GET")) == 200


def test_refusals_are_kept_for_a_bounded_number_of_calls() -> None:
    refusals = RecentRefusals(most=3)
    for number in range(10):
        refusals.add("south", f"token-{number}", 0.0)
        assert refusals.has("south", f"token-{number}", 1.0)
    assert sum(refusals.has("south", f"token-{number}", 1.0) for number in range(10)) <= 3


def test_an_empty_record_lets_nobody_in() -> None:
    function = Function(south={}, west={"token_hash": ""})
    assert function.status(call()) == 404
    assert function.status(call(department="west", token="")) == 404
    assert function.status(call(department="west", token="0" * 43)) == 404


@pytest.mark.parametrize(
    "event",
    [
        call(department="north"),
        call(department="north", signature="t=1,v1=abc"),
        signed(secret="1f" * 32),
        signed(at=NOW - 301),
        signed(at=NOW + 301),
        signed() | {"body": BODY + "&data[email]=bob@clinic.test"},
        signed() | {"body": None},
        call("", department="north"),
    ],
    ids=["missing", "nonsense", "other secret", "stale", "future", "changed body", "no body", "unsigned and empty"],
)
def test_a_signed_hook_takes_no_body_without_a_fresh_and_right_signature(
    function: Function, event: dict[str, Any]
) -> None:
    assert function.status(event) == 401
    assert function.sent == []


def test_the_signature_is_checked_over_the_raw_bytes(function: Function) -> None:
    body = "type=unsubscribe&data[email]=a%20b&x=ä"
    assert function.status(signed(body)) == 200


def test_five_megabytes_of_form_are_refused_without_being_read(function: Function) -> None:
    body = BODY + "&x=" + "y" * 5_000_000
    started_at = time.process_time()  # what others on this machine do does not count
    assert function.status(call(body)) == 413
    assert time.process_time() - started_at < 0.5
    assert function.sent == []


def test_a_body_of_just_the_limit_is_read(function: Function) -> None:
    body = BODY + "&x=" + "y" * (MAX_BODY_BYTES - len(BODY) - 3)
    assert function.status(call(body)) == 200
    assert function.status(call(body + "y")) == 413


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", None])
def test_anything_but_a_form_is_refused(function: Function, content_type: str | None) -> None:
    assert function.status(call('{"type": "unsubscribe"}', content_type=content_type)) == 415
    assert function.sent == []


def test_a_body_that_is_wrongly_encoded_is_refused(function: Function) -> None:
    assert function.status(call("not base64!", isBase64Encoded=True)) == 400


def test_a_form_of_absurdly_many_fields_is_refused(function: Function) -> None:
    assert function.status(call("&".join(["a=1"] * 5_000))) == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "OPTIONS", None])
def test_other_methods_are_refused(function: Function, method: str | None) -> None:
    assert function.status(call(method=method)) == 405  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------- taken but left alone


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "campaign"},
        {"type": "sms_subscribe"},
        {"type": ""},
        {"data[list_id]": "another"},
        {"data[list_id]": ""},
        {"data[email]": ""},
        {"data[email]": "nobody"},
    ],
    ids=str,
)
def test_an_event_that_is_none_of_our_business_is_acknowledged_and_not_queued(
    function: Function, fields: dict[str, str]
) -> None:
    """Anything but 200 would have Mailchimp repeat it for 75 minutes, and at last give the hook up."""
    assert function.status(call(urlencode(UNSUBSCRIBE | fields))) == 200
    assert function.sent == []


def test_an_event_that_is_left_alone_is_logged_without_its_words(
    function: Function, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    function(call(urlencode(UNSUBSCRIBE | {"type": "ann@clinic.test"})))
    function(call(urlencode(UNSUBSCRIBE | {"data[list_id]": "ann@clinic.test"})))
    assert [record.message for record in caplog.records] == [
        "webhook event left alone: unknown or incomplete",
        "webhook event left alone: other audience",
    ]


def test_an_empty_form_is_acknowledged(function: Function) -> None:
    assert function.status(call("")) == 200
    assert function.status(call(None)) == 200


# ------------------------------------------------------------------------------------------------------- whatever comes


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "httpMethod": st.sampled_from(["GET", "POST", None, 7]),
            "pathParameters": st.none()
            | st.dictionaries(st.sampled_from(["department_id", "token"]), st.text() | st.none()),
            "headers": st.none() | st.dictionaries(st.text(max_size=30), st.text(max_size=30) | st.none()),
            "body": st.none() | st.text() | st.integers(),
            "isBase64Encoded": st.booleans() | st.none(),
        },
    )
)
def test_no_call_whatsoever_breaks_the_function_or_gets_in(event: dict[str, Any]) -> None:
    function = Function(north=RECORD)
    assert function.status(event) in (404, 405)
    assert function.sent == []


@given(st.text(), st.booleans())
def test_no_body_whatsoever_breaks_the_function(body: str, encoded: bool) -> None:
    function = Function(south=UNSIGNED)
    assert function.status(call(body, isBase64Encoded=encoded)) in (200, 400)
    assert function.sent == []


def test_what_storage_and_queue_raise_is_passed_on_so_that_mailchimp_delivers_again() -> None:
    def fail(*args: object) -> Any:
        raise ConnectionError("the queue is away")

    with pytest.raises(ConnectionError):
        handle(
            call(), hook_of=lambda department_id: UNSIGNED, send=fail, now=lambda: float(NOW), refusals=RecentRefusals()
        )
    with pytest.raises(ConnectionError):
        handle(call(), hook_of=fail, send=fail, now=lambda: float(NOW), refusals=RecentRefusals())


@pytest.mark.server
def test_the_function_loads_little_so_that_it_starts_fast() -> None:
    code = "import sys, chalicelib.handlers.webhook; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "pynamodb", "boto3", "requests", "chalice"} & set(loaded)


# ---------------------------------------------------------------------------------------------------------- the queue


@pytest.fixture(scope="module")
def sqs() -> Iterator[SQSClient]:
    with emulator_running() as endpoint:
        yield boto3.client("sqs", region_name="eu-central-1", endpoint_url=endpoint)


@pytest.fixture
def queue_url(sqs: SQSClient, request: pytest.FixtureRequest) -> str:
    attributes: Any = {
        "FifoQueue": "true",
        "ContentBasedDeduplication": "false",
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
    }
    return sqs.create_queue(QueueName=f"{request.node.name[:60]}.fifo", Attributes=attributes)["QueueUrl"]


def received(sqs: SQSClient, url: str) -> list[Any]:
    messages: list[Any] = []
    while True:
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"])
        if not found.get("Messages"):
            return messages
        for message in found["Messages"]:
            messages.append(message)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def event_about(address: str, number: int = 0) -> HookEvent:
    return HookEvent("profile", "north", "abc123def4", address, f"2026-01-05 10:00:{number:02d}")


def test_an_event_lies_in_the_queue_as_the_worker_reads_it(sqs: SQSClient, queue_url: str) -> None:
    EventSender(sqs, queue_url)(event_about("ann@clinic.test"), "account-1")
    (message,) = received(sqs, queue_url)
    assert read_event(message["Body"]) == event_about("ann@clinic.test")


def test_an_event_delivered_twice_lies_in_the_queue_once(sqs: SQSClient, queue_url: str) -> None:
    sender = EventSender(sqs, queue_url)
    for _ in range(3):
        sender(event_about("ann@clinic.test"), "account-1")
    assert len(received(sqs, queue_url)) == 1


def test_events_of_one_address_stay_in_order_and_an_accounts_events_use_two_groups(
    sqs: SQSClient, queue_url: str
) -> None:
    sender = EventSender(sqs, queue_url)
    for number in range(3):
        for person in range(8):
            sender(event_about(f"p{person}@clinic.test", number), "account-1")
    messages = received(sqs, queue_url)
    groups: dict[str, set[str]] = {}
    times: dict[str, list[str]] = {}
    for message in messages:
        event = read_event(message["Body"])
        groups.setdefault(event.address, set()).add(message["Attributes"]["MessageGroupId"])
        times.setdefault(event.address, []).append(event.fired_at)
    assert all(len(group) == 1 for group in groups.values())
    assert set().union(*groups.values()) == {"account-1#e0", "account-1#e1"}
    assert all(fired == sorted(fired) for fired in times.values())


# ------------------------------------------------------------------------------------------- called by Mailchimp itself


class Address:
    """The function behind an address that Mailchimp can call, as API Gateway would hand the calls on."""

    def __init__(self, function: Any) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer("")

            def do_POST(self) -> None:
                self.answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

            def answer(self, body: str) -> None:
                *_, department_id, token = self.path.split("/")
                event = {
                    "httpMethod": self.command,
                    "pathParameters": {"department_id": unquote(department_id), "token": token},
                    "headers": dict(self.headers.items()),
                    "body": body,
                    "isBase64Encoded": False,
                }
                self.send_response(function(event)["statusCode"])
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Silence."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/api/webhooks/mailchimp"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.mark.server
@pytest.mark.parametrize("signing", [True, False])
def test_mailchimp_registers_the_hook_and_its_events_arrive(signing: bool) -> None:
    sent: list[HookEvent] = []
    records: dict[str, dict[str, str]] = {}
    address = Address(
        lambda event: handle(
            event,
            hook_of=lambda department_id: records.get(department_id, {}),
            send=lambda event, account_id: sent.append(event),
            now=time.time,
            refusals=RecentRefusals(),
        )
    )
    with MailchimpStandIn(latency=Latency.none(), readings=Readings(webhook_signing=signing)) as mailchimp:
        audience_id = str(mailchimp.control.create_audience("Clients")["audience_id"])
        records["north"] = {"token_hash": TOKEN_HASH, "audience_id": audience_id, "account_id": "account-1"}
        hook = _create_hook(mailchimp, audience_id, f"{address.url}/north/{TOKEN}")
        records["north"]["signing_secret"] = hook.get("signing_secret") or ""
        assert bool(records["north"]["signing_secret"]) is signing
        mailchimp.control.admin_import([{"email_address": "Ann@clinic.test", "status": "subscribed"}])
        mailchimp.control.change_address("ann@clinic.test", "bob@clinic.test")
        mailchimp.control.unsubscribe("bob@clinic.test")
        mailchimp.control.resubscribe("bob@clinic.test")
        mailchimp.control.edit_profile("bob@clinic.test", {"FNAME": "Bob"})
        mailchimp.control.bounce("bob@clinic.test")
        mailchimp.control.send_campaign()
        assert mailchimp.control.wait_for_deliveries()
        deliveries = mailchimp.control.deliveries()
    address.server.shutdown()
    address.server.server_close()

    assert {delivery["status"] for delivery in deliveries} == {200}
    assert sorted(event.type for event in sent) == ["cleaned", "profile", "subscribe", "unsubscribe", "upemail"]
    (moved,) = [event for event in sent if event.type == "upemail"]
    assert (moved.old_address, moved.address) == ("ann@clinic.test", "bob@clinic.test")
    (left,) = [event for event in sent if event.type == "unsubscribe"]
    assert (left.action, left.reason, left.campaign_id) == ("unsub", "manual", "cb398d21d2")


def _create_hook(mailchimp: MailchimpStandIn, audience_id: str, url: str) -> dict[str, Any]:
    events = dict.fromkeys(["subscribe", "unsubscribe", "profile", "cleaned", "upemail", "campaign"], True)
    body = {"url": url, "events": events, "sources": {"user": True, "admin": True, "api": False}}
    answer = requests.post(
        f"{mailchimp.url}/lists/{audience_id}/webhooks", json=body, auth=("any", mailchimp.api_key), timeout=60
    )
    answer.raise_for_status()
    hook: dict[str, Any] = answer.json()
    return hook
