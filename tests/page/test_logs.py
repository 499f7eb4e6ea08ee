"""Sync Logs: a cancelled sync is one, entries are found by what started them and by day, and all is read as a file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import open_page
from tests.page.panels import panel

pytestmark = pytest.mark.stack

_ENTRY: dict[str, Any] = {
    "date": "2026-11-28T09:00:00Z",
    "direction": "push",
    "type": "full",
    "trigger": "staff",
    "status": "error",
    "message": "As the service tells it.",
    "run_id": "20261128T085900000Z-abcd",
    "counts": {"add": 10},
    "held_by_reason": {},
    "cancelled": False,
    "customer_ids": [],
    "code": "other",
    "params": {},
}


def entries(page: Page, *changes: dict[str, Any]) -> None:
    """The service tells of these entries."""
    items = [_ENTRY | change for change in changes]

    def answer(route: Route) -> None:
        route.fulfill(json={"items": items, "next_cursor": None}, headers={"Access-Control-Allow-Origin": "*"})

    page.route("**/logs?*", answer)


def test_a_cancelled_sync_is_shown_as_cancelled(page: Page, stack: LocalStack, connected: Department) -> None:
    cancelled = {"cancelled": True, "code": "cancelled", "params": {"by": "user-7", "done": 10, "planned": 30}}
    entries(page, cancelled, {})
    open_page(page, stack, view="logs")
    rows = panel(page, "Sync Logs").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("Error · Cancelled")
    expect(rows.nth(1)).to_contain_text("Cancelled by user-7. 10 of 30 changes had been made.")
    expect(rows.nth(2)).not_to_contain_text("Cancelled")
    expect(rows.nth(2)).to_contain_text("As the service tells it.")


def test_the_entries_that_fit_the_filters_are_read_as_a_file(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    connected.sync_fully()
    count = len(connected.call("GET", "/logs?direction=push&limit=100")["items"])
    open_page(page, stack, view="logs")
    logs = panel(page, "Sync Logs")
    logs.get_by_role("combobox", name="Direction").select_option("Push (to Mailchimp)")
    with page.expect_download() as started:
        logs.get_by_role("button", name="Download as CSV").click()
    lines = started.value.path().read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("date,direction,type,trigger,status")
    assert len(lines) >= count + 1
    assert all(",push," in line for line in lines[1:] if line.startswith("20"))


def test_entries_are_filtered_by_what_started_them(page: Page, stack: LocalStack, connected: Department) -> None:
    connected.sync_fully()
    open_page(page, stack, view="logs")
    logs = panel(page, "Sync Logs")
    with page.expect_request("**/logs?*trigger=staff*"):
        logs.get_by_role("combobox", name="Started").select_option("by staff")
    expect(logs.get_by_role("row").nth(1)).to_contain_text("by staff")
    with page.expect_request("**/logs?*trigger=erasure*"):
        logs.get_by_role("combobox", name="Started").select_option("by an erasure")
    expect(logs.get_by_role("cell").filter(has_text="by staff")).to_have_count(0)


def test_entries_are_found_by_day_as_it_is_typed(page: Page, stack: LocalStack, connected: Department) -> None:
    asked: list[dict[str, list[str]]] = []
    page.on("request", lambda one: asked.append(parse_qs(urlsplit(one.url).query)) if "/logs?" in one.url else None)
    entries(page, {})
    open_page(page, stack, view="logs")
    logs = panel(page, "Sync Logs")
    expect(logs.get_by_role("row")).to_have_count(2)
    first, last = logs.get_by_label("First day"), logs.get_by_label("Last day")
    asked.clear()
    first.focus()
    page.keyboard.type("11112026")  # whether the day or the month comes first
    expect(first).to_have_value("2026-11-11")
    with page.expect_request("**/logs?*until=*"):
        last.fill("2026-11-28")
    days = [(call["since"][0], call.get("until", [""])[0]) for call in asked]
    since = "2026-11-11T00:00:00.000Z"
    assert days == [(since, ""), (since, "2026-11-29T00:00:00.000Z")], "no year that is half typed is asked for"

    with page.expect_request(lambda one: "/logs?" in one.url and "until" not in one.url):
        last.fill("2026-11-10")
    expect(last).to_have_attribute("aria-invalid", "true")
    expect(last).to_have_accessible_description("This day is before the first day, so it is not used.")


def test_days_without_an_entry_are_left_again(page: Page, stack: LocalStack, connected: Department) -> None:
    connected.sync_fully()
    today = datetime.now(UTC).date()
    open_page(page, stack, view="logs")
    logs = panel(page, "Sync Logs")
    logs.get_by_label("Last day").fill(str(today - timedelta(days=1)))
    expect(logs).to_contain_text("No entry fits these filters.")
    logs.get_by_role("button", name="Clear the filters").click()
    expect(logs.get_by_label("Last day")).to_have_value("")
    expect(logs.get_by_role("row").nth(1)).to_be_visible()
    logs.get_by_label("First day").fill(str(today - timedelta(days=1)))
    expect(logs.get_by_role("row").nth(1)).to_be_visible()
