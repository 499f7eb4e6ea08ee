"""Where the focus is once what had it is gone: on what is there instead, never on the document as a whole."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import open_page
from tests.page.panels import panel

pytestmark = pytest.mark.stack


def heading(page: Page, name: str) -> Locator:
    return panel(page, name).get_by_role("heading", name=name, exact=True)


def press(button: Locator) -> None:
    """By keyboard."""
    button.focus()
    button.press("Enter")


def test_a_view_that_is_shown_has_the_focus_on_its_heading(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    connected.sync_fully()
    open_page(page, stack, view="sync")
    press(panel(page, "Sync").get_by_role("button", name="Show this sync"))
    expect(heading(page, "One sync")).to_be_focused()
    expect(panel(page, "One sync")).to_have_attribute("aria-busy", "false")
    expect(heading(page, "One sync")).to_be_focused()
    press(panel(page, "One sync").get_by_role("button", name="Close"))
    expect(heading(page, "Sync")).to_be_focused()


def test_a_host_that_shows_another_view_takes_no_focus_of_its_own(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    open_page(page, stack, view="sync")
    expect(heading(page, "Sync")).to_be_visible()
    theme = page.get_by_role("combobox", name="Theme")
    theme.focus()
    page.evaluate("document.querySelector('pracbill-mailchimp').view = 'logs'")
    expect(panel(page, "Sync Logs")).to_have_attribute("aria-busy", "false")
    expect(theme).to_be_focused()


def test_a_sync_that_starts_leaves_the_focus_in_its_panel(page: Page, stack: LocalStack, connected: Department) -> None:
    open_page(page, stack, view="sync")
    press(panel(page, "Sync").get_by_role("button", name="Sync Now"))
    expect(heading(page, "Sync")).to_be_focused()
    connected.rest()


def test_trying_again_leaves_the_focus_in_its_panel(page: Page, stack: LocalStack, connected: Department) -> None:
    page.route("**/panel", lambda route: route.abort())
    open_page(page, stack, view="sync")
    again = panel(page, "Sync").get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    page.unroute("**/panel")
    press(again)
    expect(heading(page, "Sync")).to_be_focused()
    expect(again).to_have_count(0)


def test_the_last_entries_that_are_loaded_have_the_focus(page: Page, stack: LocalStack, connected: Department) -> None:
    connected.sync_fully()
    entry = connected.call("GET", "/logs?type=full&limit=1")["items"][0]

    def in_two_pages(route: Route) -> None:
        is_second = "cursor=" in route.request.url
        items = [entry | {"date": "2026-01-02T00:00:00Z" if is_second else "2026-01-03T00:00:00Z"}] * 2
        body = json.dumps({"items": items, "next_cursor": None if is_second else "more"})
        route.fulfill(body=body, headers={"Access-Control-Allow-Origin": "*", "Content-Type": "application/json"})

    page.route("**/logs?*", in_two_pages)
    open_page(page, stack, view="logs")
    logs = panel(page, "Sync Logs")
    press(logs.get_by_role("button", name="Show older entries"))
    openers = logs.get_by_role("button", name=re.compile("Show the sync of"))
    expect(openers).to_have_count(4)
    expect(openers.nth(2)).to_be_focused()


def test_the_last_customers_of_a_sync_that_are_loaded_have_the_focus(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    run_id = connected.sync_fully()
    records = connected.call("GET", f"/syncs/{run_id}/records?outcome=held&limit=4")["items"]
    assert len(records) == 4

    def in_two_pages(route: Route) -> None:
        is_second = "cursor=" in route.request.url
        body = json.dumps(
            {"items": records[2:] if is_second else records[:2], "next_cursor": None if is_second else "more"}
        )
        route.fulfill(body=body, headers={"Access-Control-Allow-Origin": "*", "Content-Type": "application/json"})

    page.route("**/records?*", in_two_pages)
    open_page(page, stack, view="sync", item=run_id)
    shown = panel(page, "One sync")
    press(shown.get_by_role("button", name="Show more customers"))
    rows = shown.get_by_role("table", name="Customers").get_by_role("row")
    expect(rows).to_have_count(5)
    expect(rows.nth(3).get_by_role("button")).to_be_focused()
