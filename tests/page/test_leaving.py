"""Ways out of a view: Back and Forward lead from view to view, and nothing typed is lost without a question."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Dialog, Locator, Page, expect

from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import OwnHost, open_page
from tests.page.panels import panel

pytestmark = pytest.mark.stack

_NAME = "Half typed"


def begin_segment(page: Page) -> Locator:
    """The name of a segment that somebody has begun to write."""
    panel(page, "Segments").get_by_role("button", name="Create Segment").click()
    name = panel(page, "Create a segment").get_by_role("textbox", name="Segment Name")
    name.fill(_NAME)
    return name


def change_settings(page: Page) -> Locator:
    field = panel(page, "Settings").get_by_role("textbox", name="Removals, number")
    field.fill("12")
    return field


def begin_key(page: Page) -> Locator:
    panel(page, "Connection Status").get_by_role("button", name="Replace key").click()
    field = panel(page, "Connection Status").get_by_role("textbox", name="Mailchimp API key")
    field.fill("half")
    return field


def begin_audience(page: Page) -> Locator:
    overview = panel(page, "Audience Overview")
    overview.get_by_role("button", name="Choose another audience").click()
    overview.get_by_role("button", name="Create Audience").click()
    field = overview.get_by_role("textbox", name="Audience Name")
    field.fill(_NAME)
    return field


def would_ask(page: Page) -> bool:
    """Whether the page has the browser ask before the document goes."""
    asks: bool = page.evaluate("!window.dispatchEvent(new Event('beforeunload', { cancelable: true }))")
    return asks


def expect_view(page: Page, tab: str, address: str) -> None:
    expect(page.get_by_role("tab", name=tab, exact=True)).to_have_attribute("aria-selected", "true")
    expect(page).to_have_url(re.compile(f"#{address}$"))


def test_the_browser_asks_before_a_reload_takes_a_draft(page: Page, stack: LocalStack, connected: Department) -> None:
    open_page(page, stack, view="segments")
    name = begin_segment(page)
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.once("dialog", stay)
    with page.expect_event("dialog"):
        page.evaluate("setTimeout(() => location.reload())")
    expect(name).to_have_value(_NAME)
    assert asked == ["beforeunload"]

    panel(page, "Create a segment").get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Leave").click()
    expect(name).to_be_hidden()
    assert not would_ask(page)


@pytest.mark.parametrize(
    "begin", [change_settings, begin_key, begin_audience], ids=lambda begin: begin.__name__.replace("_", " ")
)
def test_whatever_is_half_typed_is_asked_about_until_it_is_gone(
    page: Page, own_host: OwnHost, stack: LocalStack, connected: Department, begin: Callable[[Page], Locator]
) -> None:
    own_host.open(page, "<div id='there'></div>ELEMENT")
    expect(panel(page, "Connection Status")).to_have_attribute("aria-busy", "false")
    assert not would_ask(page)
    begin(page)
    assert would_ask(page)
    page.evaluate("document.querySelector('#there').append(document.querySelector('pracbill-mailchimp'))")
    page.wait_for_function("!window.dispatchEvent(new Event('beforeunload', { cancelable: true }))")
    page.evaluate("document.querySelector('pracbill-mailchimp').remove()")
    assert not would_ask(page)


def test_back_and_forward_lead_from_view_to_view(page: Page, stack: LocalStack, connected: Department) -> None:
    open_page(page, stack)
    for tab in ("Segments", "Sync Logs"):
        page.get_by_role("tab", name=tab, exact=True).click()
    expect_view(page, "Sync Logs", "view=logs")
    page.go_back()
    expect_view(page, "Segments", "view=segments")
    expect(panel(page, "Segments")).to_be_visible()
    page.go_back()
    expect_view(page, "Overview", "view=overview")
    page.go_forward()
    expect_view(page, "Segments", "view=segments")


def test_back_asks_before_it_takes_a_draft(page: Page, stack: LocalStack, connected: Department) -> None:
    open_page(page, stack)
    page.get_by_role("tab", name="Sync Logs").click()
    page.get_by_role("tab", name="Segments").click()
    name = begin_segment(page)
    page.go_back()
    question = page.get_by_role("dialog", name="Leave without saving?")
    question.get_by_role("button", name="Go on editing").click()
    expect(name).to_have_value(_NAME)
    expect_view(page, "Segments", "view=segments")

    page.go_back()
    question.get_by_role("button", name="Leave").click()
    expect_view(page, "Sync Logs", "view=logs")
    page.go_back()
    expect_view(page, "Overview", "view=overview")
