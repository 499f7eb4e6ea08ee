"""Connection Status, as the guide tells of it: connect, and each way in which it fails; replace the key; disconnect."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import open_page

pytestmark = pytest.mark.stack

WRONG_KEY = "0123456789abcdef0123456789abcdef-us21"


def panel(page: Page) -> Locator:
    return page.get_by_role("region", name="Connection Status")


def key_field(page: Page) -> Locator:
    return panel(page).get_by_role("textbox", name="Mailchimp API key")


def answer_with(page: Page, status: int, problem: Mapping[str, Any], **headers: str) -> None:
    """Let the service refuse the next keys in this way."""
    body = json.dumps({"title": "x", "status": status, "detail": "", **problem})
    exposed = {
        "Content-Type": "application/problem+json",
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "Retry-After",
        **headers,
    }

    def refuse(route: Route) -> None:
        if route.request.method == "PUT":
            route.fulfill(status=status, body=body, headers=exposed)
        else:
            route.continue_()

    page.route("**/connection", refuse)


def problem(code: str, **more: Any) -> dict[str, Any]:
    return {"type": f"urn:pracbill-mailchimp:problem:{code}", **more}


def test_from_key_to_disconnect(page: Page, stack: LocalStack, department: Department) -> None:
    open_page(page, stack)
    expect(panel(page)).to_contain_text("Not connected")
    page.evaluate(
        "window.told = []; for (const name of ['pbm-connected', 'pbm-disconnected'])"
        " document.addEventListener(name, () => window.told.push(name))"
    )
    key_field(page).fill(f" {department.api_key[:10]}\n{department.api_key[10:]} ")
    expect(key_field(page)).to_have_value(department.api_key)
    expect(panel(page).get_by_text("were removed").first).to_be_visible()
    panel(page).get_by_role("button", name="Connect").click()

    expect(panel(page).get_by_role("heading", name="Connection Status")).to_be_focused()
    expect(panel(page)).to_contain_text("Connected")
    expect(panel(page)).to_contain_text(f"ends in {department.api_key.partition('-')[0][-4:]}")
    expect(panel(page)).to_contain_text(department.api_key.partition("-")[2])
    expect(panel(page).get_by_role("status")).to_contain_text("Connected to the Mailchimp account")
    assert department.api_key not in page.content()

    panel(page).get_by_role("button", name="Disconnect").click()
    dialog = page.get_by_role("dialog", name="Disconnect Mailchimp?")
    expect(dialog.get_by_role("button", name="Stay connected")).to_be_focused()
    expect(dialog).to_contain_text("audience and its members stay")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(panel(page).get_by_role("button", name="Disconnect")).to_be_focused()
    panel(page).get_by_role("button", name="Disconnect").click()
    dialog.get_by_role("button", name="Disconnect").click()
    expect(panel(page)).to_contain_text("Not connected")
    expect(panel(page).get_by_role("heading", name="Connection Status")).to_be_focused()
    assert page.evaluate("window.told") == ["pbm-connected", "pbm-disconnected"]


def test_connecting_is_busy_until_the_connection_shows(page: Page, stack: LocalStack, department: Department) -> None:
    open_page(page, stack)
    connect = panel(page).get_by_role("button", name=re.compile("^(Connect|Checking the key)"))
    key_field(page).fill(department.api_key)
    held: list[Route] = []
    page.route("**/panel", lambda route: held.append(route), times=1)
    with page.expect_request("**/panel"):
        connect.click()
    expect(panel(page)).to_contain_text("Not connected")
    expect(connect).to_have_attribute("aria-disabled", "true")
    for route in held:
        route.continue_()
    expect(panel(page).get_by_role("heading", name="Connection Status")).to_be_focused()
    expect(panel(page)).to_contain_text(f"ends in {department.api_key.partition('-')[0][-4:]}")


@pytest.mark.parametrize(
    ("typed", "words"), [("", "Paste your Mailchimp API key."), ("nonsense", "This is not a Mailchimp API key.")]
)
def test_what_is_no_key_is_said_at_the_field_without_asking(
    page: Page, stack: LocalStack, department: Department, typed: str, words: str
) -> None:
    open_page(page, stack)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    key_field(page).fill(typed)
    panel(page).get_by_role("button", name="Connect").click()
    expect(key_field(page)).to_be_focused()
    expect(key_field(page)).to_have_attribute("aria-invalid", "true")
    expect(key_field(page)).to_have_accessible_description(re.compile(re.escape(words)))
    expect(key_field(page)).to_have_value(typed)
    assert "PUT" not in asked


def test_a_key_that_mailchimp_refuses_is_said_at_the_field(
    page: Page, stack: LocalStack, department: Department
) -> None:
    open_page(page, stack)
    key_field(page).fill(WRONG_KEY)
    panel(page).get_by_role("button", name="Connect").click()
    expect(key_field(page)).to_have_attribute("aria-invalid", "true")
    expect(key_field(page)).to_be_focused()
    expect(panel(page)).to_contain_text("Mailchimp does not accept this key.")
    expect(panel(page).get_by_role("button", name="Connect")).to_be_visible()


@pytest.mark.parametrize(
    ("status", "refusal", "words"),
    [
        (409, problem("another-account"), "belongs to another Mailchimp account"),
        (404, problem("not-found"), "PracBill does not know this department"),
        (503, problem("try-again-later", detail="Mailchimp is away."), "Mailchimp is away."),
        (500, problem("internal"), "Something went wrong in the service."),
    ],
)
def test_each_other_failure_has_its_words(
    page: Page, stack: LocalStack, department: Department, status: int, refusal: dict[str, Any], words: str
) -> None:
    open_page(page, stack)
    answer_with(page, status, refusal)
    key_field(page).fill(WRONG_KEY)
    panel(page).get_by_role("button", name="Connect").click()
    expect(panel(page).get_by_role("alert")).to_contain_text(words)
    expect(panel(page).get_by_role("button", name="Connect")).not_to_have_attribute("aria-disabled", "true")


@pytest.mark.usefixtures("context")
def test_after_too_many_keys_the_wait_is_counted_down(page: Page, stack: LocalStack, department: Department) -> None:
    page.clock.install()
    open_page(page, stack)
    answer_with(page, 429, problem("too-many-attempts"), **{"Retry-After": "30"})
    key_field(page).fill(WRONG_KEY)
    connect = panel(page).get_by_role("button", name="Connect")
    connect.click()
    expect(panel(page).get_by_role("alert")).to_contain_text("Too many API keys were tried.")
    expect(panel(page).get_by_role("alert")).to_contain_text("You can try again in")
    expect(connect).to_have_attribute("aria-disabled", "true")
    page.clock.fast_forward(30_000)
    expect(panel(page).get_by_role("alert")).to_contain_text("You can try again now.")
    expect(connect).not_to_have_attribute("aria-disabled", "true")


def test_the_key_is_replaced_and_syncs_go_on(page: Page, stack: LocalStack, connected: Department) -> None:
    open_page(page, stack)
    panel(page).get_by_role("button", name="Replace key").click()
    expect(key_field(page)).to_be_focused()
    panel(page).get_by_role("button", name="Cancel").click()
    expect(panel(page).get_by_role("button", name="Replace key")).to_be_focused()
    panel(page).get_by_role("button", name="Replace key").click()
    key_field(page).fill(connected.api_key)
    panel(page).get_by_role("button", name="Replace key").click()
    expect(panel(page).get_by_role("status")).to_contain_text("The API key has been replaced.")


def test_findings_come_with_what_to_do(page: Page, stack: LocalStack, connected: Department) -> None:
    connected.call("PUT", "/settings", {"paused": True})
    try:
        open_page(page, stack)
        findings = panel(page).get_by_role("list", name="What needs attention")
        expect(findings.get_by_role("listitem").filter(has_text="Warning: Scheduled syncs are paused.")).to_be_visible()
    finally:
        connected.call("PUT", "/settings", {"paused": False})


def test_the_next_scheduled_sync_is_told(page: Page, stack: LocalStack, connected: Department) -> None:
    told: dict[str, Any] = {"next_sync_at": None}

    def answer(route: Route) -> None:
        document = route.fetch().json()
        document["connection"] |= told
        document["settings"]["paused"] = told["next_sync_at"] == ""
        route.fulfill(json=document, headers={"Access-Control-Allow-Origin": "*"})

    page.route("**/panel", answer)
    open_page(page, stack)
    next_sync = panel(page).locator("div").filter(has=page.get_by_text("Next sync", exact=True)).last
    expect(next_sync).to_contain_text("Not known yet")
    told["next_sync_at"] = (datetime.now(UTC) + timedelta(hours=3, minutes=5)).isoformat()
    page.reload()
    expect(next_sync).to_contain_text("in 3 hours")
    told["next_sync_at"] = ""
    page.reload()
    expect(next_sync).to_contain_text("Paused")


def test_words_of_others_are_shown_as_they_are(page: Page, stack: LocalStack, connected: Department) -> None:
    name = "<img src=x onerror=\"document.title='hit'\"><b>Practice</b>"

    def rename(route: Route) -> None:
        answer = route.fetch()
        document = answer.json()
        document["connection"]["account_name"] = name
        route.fulfill(response=answer, json=document)

    page.route("**/panel", rename)
    open_page(page, stack)
    expect(panel(page).get_by_text(name)).to_be_visible()
    assert page.title() != "hit"


def test_reading_shows_all_and_changes_nothing(page: Page, stack: LocalStack, connected: Department) -> None:
    open_page(page, stack, access="read")
    expect(panel(page)).to_contain_text("Connected")
    expect(panel(page)).to_contain_text("You have read access.")
    expect(panel(page).get_by_role("button")).to_have_count(0)
    expect(panel(page).get_by_role("textbox")).to_have_count(0)


def test_without_access_it_says_whom_to_ask(page: Page, stack: LocalStack, connected: Department) -> None:
    open_page(page, stack, access="none")
    expect(page.get_by_text("Contact your administrator")).to_be_visible()
    expect(page.get_by_role("region")).to_have_count(0)
