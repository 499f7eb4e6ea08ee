"""After a department was connected, synced, asked about and opted out of: no log holds a key, a token or a person."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from chalicelib.store.hook_records import HookRecordStore
from infra.local import verify
from infra.local.journey import NEW_AUDIENCE, Api, Journey
from infra.local.stack import LocalStack

pytestmark = pytest.mark.stack

# Not ours: on AWS these are Mailchimp and PracBill.
STAND_INS = {"mailchimp.log", "pracbill.log"}
PERSONAL = ("email", "company_name", "first_name", "last_name", "phone")
# Names that are words of everybody's ("Dr", "Lee") would be found in any text.
SHORTEST_NAME = 6
STRANGER = "zebedee.quillfeather@stranger.example"
WRONG_KEY = "0123456789abcdef0123456789abcdef-us21"


@pytest.fixture(scope="module")
def lived(stack: LocalStack) -> LocalStack:
    """The stack after a department's whole life, with mistakes of everybody in it."""
    api = Api(stack.api_url, stack.department_id, stack.about["tokens"]["write"])
    journey = Journey(api, say=lambda line: None)
    connect(stack, api)
    journey.sync("full")
    ask_about_people(stack)
    make_mistakes(stack)
    opt_out(stack, api)
    wait_for_runs(api)  # a new segment starts one
    journey.sync("incremental")
    return stack


def connect(stack: LocalStack, api: Api) -> None:
    """Connect, choose an audience, let the plan end that choosing one begins."""
    api.call("PUT", "D/connection", {"api_key": stack.mailchimp["api_key"]})
    if not api.call("GET", "D/connection")["audience"]:
        found = api.call("GET", "D/audiences")["items"]
        if found:
            api.call("PUT", "D/audience", {"audience_id": found[0]["id"]})
        else:
            api.call("POST", "D/audiences", NEW_AUDIENCE)
    wait_for_runs(api)


def ask_about_people(stack: LocalStack) -> None:
    customer = customers(stack)[0]
    department = f"/departments/{stack.department_id}"
    assert stack.call("GET", f"{department}/customers/{customer['id']}").ok
    rules = [{"field": "email", "operator": "contains", "value": STRANGER}]
    stack.call("POST", f"{department}/segments/preview", json={"rules": rules})
    stack.call("POST", f"{department}/segments", json={"name": f"Friends of {STRANGER}", "rules": rules})
    assert stack.call("GET", f"{department}/logs").ok


def make_mistakes(stack: LocalStack) -> None:
    """Requests that are refused, each with something in it that must not be repeated anywhere."""
    connection = f"/departments/{stack.department_id}/connection"
    refused = [
        stack.call("PUT", connection, json={"api_key": WRONG_KEY}),
        stack.call("PUT", connection, json={"api_key": f" {WRONG_KEY} {STRANGER}"}),
        stack.call("PUT", connection, json={"api_key": WRONG_KEY, STRANGER: 1}),
        stack.call("GET", f"/departments/{STRANGER}/connection"),
        requests.get(f"{stack.api_url}{connection}", headers={"Authorization": f"Bearer {STRANGER}"}, timeout=30),
    ]
    assert [answer.status_code for answer in refused if answer.ok] == []
    for answer in refused:
        assert WRONG_KEY not in answer.text
    url = webhook_url(stack)
    form = {"type": "unsubscribe", "data[email]": STRANGER, "data[list_id]": "elsewhere", "fired_at": "soon"}
    wrong = requests.post(url[:-3] + "xxx", data=form, timeout=30)
    unsigned = requests.post(url, data=form, timeout=30)
    assert wrong.status_code == 404
    assert unsigned.status_code in {200, 400, 401}


def opt_out(stack: LocalStack, api: Api) -> None:
    """Somebody unsubscribes in a mail; waits until PracBill has heard of it through the webhook or a pull."""
    audience = api.call("GET", "D/connection")["audience"]["id"]
    mailchimp = verify.Mailchimp(stack.mailchimp["url"], stack.mailchimp["api_key"])
    address = max(a for a, member in mailchimp.members(audience).items() if member["status"] == "subscribed")
    requests.post(f"{stack.mailchimp['control_url']}/unsubscribe", json={"email": address}, timeout=30)

    def heard() -> bool:
        consent = verify.strictest_consent(verify.by_address(iter(customers(stack)))[address])
        return consent == "unsubscribed"

    wait_until(heard)


def wait_for_runs(api: Api) -> None:
    wait_until(lambda: api.call("GET", "D/connection")["active_run"] is None)


def wait_until(happened: Callable[[], bool], *, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.3)


def customers(stack: LocalStack) -> list[dict[str, Any]]:
    return list(verify.PracBill(stack.pracbill["url"], stack.pracbill["token"], stack.department_id).customers())


def webhook_url(stack: LocalStack) -> str:
    """Where the Mailchimp stand-in sends its events, our token in it."""
    mailchimp = stack.mailchimp
    session = requests.Session()
    session.trust_env = False
    session.auth = ("test", mailchimp["api_key"])
    base = mailchimp["url"].replace("{dc}", mailchimp["api_key"].rpartition("-")[2])
    audience = stack.call("GET", f"/departments/{stack.department_id}/connection").json()["audience"]["id"]
    hooks = session.get(f"{base}/lists/{audience}/webhooks", timeout=30).json()["webhooks"]
    return str(next(hook["url"] for hook in hooks if hook["url"].startswith(stack.api_url)))


def secrets_of(stack: LocalStack) -> dict[str, str]:
    """Everything that opens something, by what it is."""
    records = HookRecordStore(
        stack.client("dynamodb"),
        lambda: stack.client("kms"),
        table="pracbill-mailchimp-local-hooks",
        key="alias/pracbill-mailchimp-local-webhook",
    )
    hook = records.open(stack.department_id)
    found = {
        "Mailchimp's key": stack.mailchimp["api_key"],
        "its secret part": stack.mailchimp["api_key"].partition("-")[0],
        "a wrong key": WRONG_KEY,
        "our token towards PracBill": stack.pracbill["token"],
        "the webhook's token": urlsplit(webhook_url(stack)).path.rpartition("/")[2],
        "the webhook's signing secret": hook["signing_secret"],
        **{f"a user's token ({access})": token for access, token in stack.about["tokens"].items()},
    }
    return {what: text for what, text in found.items() if text}


def people_of(stack: LocalStack) -> set[str]:
    """Addresses, names and telephone numbers of everybody, and of a stranger."""
    texts = {str(customer.get(field) or "").strip() for customer in customers(stack) for field in PERSONAL}
    return {text for text in texts if "@" in text or len(text) >= SHORTEST_NAME} | {STRANGER}


def log_lines(stack: LocalStack) -> Iterator[tuple[str, str]]:
    """Source and text of everything that our side logged: files of the stack, events of CloudWatch."""
    for path in sorted(stack.folder.glob("*.log")):
        if path.name not in STAND_INS:
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                yield path.name, line
    logs = stack.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
            for event in page["events"]:
                yield group["logGroupName"], event["message"]


def test_there_is_something_to_search(lived: LocalStack) -> None:
    lines = list(log_lines(lived))
    sources = {source for source, _ in lines}
    assert any("MailchimpCalls" in line for source, line in lines if source == "sync_worker.log")
    assert "sync_worker.log" in sources
    assert "/aws/lambda/pracbill-mailchimp-local-api_handler" in sources
    assert len(people_of(lived)) > 100
    assert secrets_of(lived).keys() > {"Mailchimp's key", "the webhook's token", "our token towards PracBill"}


def test_no_log_holds_a_key_or_a_token(lived: LocalStack) -> None:
    secrets = secrets_of(lived)
    found = {(what, source) for source, line in log_lines(lived) for what, text in secrets.items() if text in line}
    assert found == set()


def test_no_log_holds_an_address_or_a_name(lived: LocalStack) -> None:
    people = sorted(people_of(lived), key=len, reverse=True)
    anybody = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, people)) + r")(?!\w)", re.IGNORECASE)
    found = {(source, match.group()) for source, line in log_lines(lived) for match in anybody.finditer(line)}
    assert found == set()


def test_no_message_among_the_dead_letters_is_needed_for_that(lived: LocalStack) -> None:
    """Were steps or events given up on the way, the logs above would tell little."""
    sqs = lived.client("sqs")
    for name in ("sync-dlq", "events-dlq"):
        queue = sqs.get_queue_url(QueueName=f"pracbill-mailchimp-local-{name}.fifo")["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        assert attributes["ApproximateNumberOfMessages"] == "0"


def test_no_secret_is_in_the_functions_environment(lived: LocalStack) -> None:
    functions = lived.client("lambda").list_functions()["Functions"]
    environments = json.dumps([function.get("Environment", {}) for function in functions])
    assert len(functions) >= 7
    assert [what for what, text in secrets_of(lived).items() if text in environments] == []


def test_no_answer_holds_the_key_or_the_hook(lived: LocalStack) -> None:
    secrets = secrets_of(lived)
    for path in ("connection", "audience", "settings", "audiences", "syncs", "logs", "reconciliation", "segments"):
        answer = lived.call("GET", f"/departments/{lived.department_id}/{path}").text
        assert [what for what, text in secrets.items() if text in answer] == [], path
