"""Who may what, and tokens that run out: one refresh for all calls, and nothing typed is lost when it fails."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, Route, expect

from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import open_page
from tests.page.panels import SHOWN, Shown, panel

pytestmark = pytest.mark.stack

# What changes something says so by these words; what only shows something begins with Show.
CHANGING = re.compile(
    "^(?!Show ).*(connect|replace|create|edit|delete|save|sync|stop|approve|cancel|retry|erase|choose|use|go on|do it)",
    re.IGNORECASE,
)
# Each panel once, as one sees it first.
PANELS = list({shown.panel: shown for shown in reversed(SHOWN) if shown.connected}.values())


@pytest.mark.parametrize("shown", PANELS, ids=lambda shown: shown.panel)
def test_reading_sees_the_panel_and_no_button_that_changes(
    page: Page, stack: LocalStack, connected: Department, shown: Shown
) -> None:
    shown.given(page)
    open_page(page, stack, access="read", view=shown.view, item=shown.item(connected))
    found = panel(page, shown.panel)
    expect(found).to_have_attribute("aria-busy", "false")
    expect(found.get_by_role("button", name=CHANGING)).to_have_count(0)


def test_who_may_only_read_is_told_what_there_is_not(page: Page, stack: LocalStack, connected: Department) -> None:
    """Nobody who cannot create one is left before an empty panel."""

    def answer(route: Route) -> None:
        real = route.fetch()
        route.fulfill(response=real, json=real.json() | known)

    page.route("**/panel", answer)
    known: dict[str, object] = {"audience": None}
    open_page(page, stack, access="read")
    expect(panel(page, "Audience Overview")).to_contain_text("No audience is selected")
    known = {"segments": []}
    open_page(page, stack, access="read", view="segments")
    page.reload()
    expect(panel(page, "Segments")).to_contain_text("There is no segment yet.")
    expect(panel(page, "Segments")).not_to_contain_text("Create one")


def test_without_access_one_panel_says_whom_to_ask(page: Page, stack: LocalStack, connected: Department) -> None:
    open_page(page, stack, access="none")
    expect(page.get_by_text("Contact your administrator")).to_be_visible()
    expect(page.get_by_role("tab")).to_have_count(0)
    expect(page.get_by_role("region")).to_have_count(0)


def give_token(page: Page, department: Department, asked: list[bool], *, first: str) -> None:
    """The host gives `first` and, asked to refresh, a good token."""

    def answer(route: Route) -> None:
        refresh = bool(json.loads(route.request.post_data or "{}").get("refresh"))
        asked.append(refresh)
        route.fulfill(json={"token": department.token() if refresh else first})

    page.route("**/token", answer)


def test_an_expired_token_is_renewed_once(page: Page, stack: LocalStack, connected: Department) -> None:
    asked: list[bool] = []
    give_token(page, connected, asked, first=connected.token(expires_in=-600))
    open_page(page, stack)
    expect(panel(page, "Connection Status")).to_contain_text("Connected")
    assert asked == [False, True]


def test_signed_out_keeps_what_was_typed_and_signing_in_goes_on(
    page: Page, stack: LocalStack, department: Department
) -> None:
    open_page(page, stack)
    page.evaluate(
        "document.addEventListener('pbm-signed-out', () => { window.signedOut = (window.signedOut ?? 0) + 1 })"
    )
    key = panel(page, "Connection Status").get_by_role("textbox", name="Mailchimp API key")
    key.fill(department.api_key)
    page.route("**/panel", lambda route: route.fulfill(status=401, headers={"Access-Control-Allow-Origin": "*"}))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.route("**/connection", lambda route: route.fulfill(status=401, headers={"Access-Control-Allow-Origin": "*"}))
    panel(page, "Connection Status").get_by_role("button", name="Connect").click()
    expect(page.get_by_role("alert").filter(has_text="Your sign-in has ended.").first).to_be_visible()
    assert page.evaluate("window.signedOut") == 1
    expect(key).to_have_value(department.api_key)
    page.unroute("**/panel")
    page.unroute("**/connection")
    page.get_by_role("button", name="Sign in again").click()
    expect(page.get_by_text("Your sign-in has ended.")).to_have_count(0)
    expect(key).to_have_value(department.api_key)
