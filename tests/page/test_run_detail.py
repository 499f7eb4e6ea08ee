"""One sync, opened from its line in the Sync Logs: what it did, and for whom, problems first."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from infra.local.journey import NEW_AUDIENCE
from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import open_page
from tests.page.panels import panel

pytestmark = pytest.mark.stack


@pytest.fixture
def run_id(connected: Department) -> str:
    """A full sync that has ended."""
    return connected.sync_fully()


def test_from_its_log_to_its_customers(page: Page, stack: LocalStack, connected: Department, run_id: str) -> None:
    held = connected.call("GET", f"/syncs/{run_id}")["record_counts"]["held"]
    assert held > 0, "the stack has customers who cannot be mailed"
    open_page(page, stack, view="logs")
    lines = panel(page, "Sync Logs").get_by_role("row")
    lines.get_by_role("button", name=re.compile("Show the sync of")).first.click()
    assert f"item={run_id}" in page.url

    shown = panel(page, "One sync")
    expect(shown).to_contain_text("Held back")
    shown.get_by_role("combobox", name="Outcome").select_option("held")
    rows = shown.get_by_role("table", name="Customers").get_by_role("row")
    expect(rows).to_have_count(min(held, 25) + 1)
    first = connected.call("GET", f"/syncs/{run_id}/records?outcome=held&limit=1")["items"][0]
    expect(rows.nth(1)).to_contain_text(first["cause"].partition(":")[0])
    expect(rows.nth(1).get_by_role("cell").last).not_to_be_empty()

    with page.expect_download() as started:
        shown.get_by_role("button", name="Download as CSV").click()
    lines_of_file = started.value.path().read_text(encoding="utf-8").splitlines()
    assert lines_of_file[0].startswith("customer_id,address,action,outcome")
    assert len(lines_of_file) == held + 1

    # One who was erased is held too, and is not stored any more: another test may have erased the first.
    records = connected.call("GET", f"/syncs/{run_id}/records?outcome=held&limit=25")["items"]
    stored = next(at for at, one in enumerate(records) if one["code"] != "erased")
    rows.nth(stored + 1).get_by_role("button").click()
    expect(panel(page, "Why is this customer (not) there?")).to_contain_text(records[stored]["customer_id"])


def test_a_link_may_lead_to_one_outcome_of_a_run(
    page: Page, stack: LocalStack, connected: Department, run_id: str
) -> None:
    held = connected.call("GET", f"/syncs/{run_id}")["record_counts"]["held"]
    open_page(page, stack, view="sync", item=f"{run_id}:held")
    shown = panel(page, "One sync")
    expect(shown.get_by_role("combobox", name="Outcome")).to_have_value("held")
    rows = shown.get_by_role("table", name="Customers").get_by_role("row")
    expect(rows).to_have_count(min(held, 25) + 1)


def test_it_closes_and_says_what_it_does_not_know(page: Page, stack: LocalStack, connected: Department) -> None:
    open_page(page, stack, view="sync", item="no-such-run")
    shown = panel(page, "One sync")
    expect(shown.get_by_role("alert")).to_contain_text("This sync is not kept any more")
    shown.get_by_role("button", name="Close").click()
    expect(shown).to_have_count(0)
    expect(panel(page, "Sync")).to_be_visible()


def test_a_preview_shows_its_plan_before_anything_is_sent_and_is_done_when_asked(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    connected.call("PUT", "/settings", {"unknown_consent": "transactional"})
    connected.call("POST", "/audiences", NEW_AUDIENCE | {"name": "Preview"})
    connected.rest()
    open_page(page, stack, view="sync")
    sync = panel(page, "Sync")
    sync.get_by_role("button", name="Preview sync").click()
    expect(sync).to_contain_text("A sync is being previewed.")
    expect(sync).to_contain_text("What would be done", timeout=60_000)
    preview = connected.call("GET", "/panel")["newest_run"]
    assert preview["dry_run"] and preview["counts"]["add"] > 25
    expect(sync.locator("dl")).to_contain_text(f"Added{preview['counts']['add']}")
    assert connected.call("GET", "/audience")["member_count"] == 0, "nothing was sent"

    sync.get_by_role("button", name="Show the list of changes").click()
    shown = panel(page, "One sync")
    shown.get_by_role("combobox", name="Outcome").select_option("planned")
    rows = shown.get_by_role("table", name="Customers").get_by_role("row")
    expect(rows).to_have_count(26)
    expect(rows.nth(1)).to_contain_text("Add")
    shown.get_by_role("button", name="Do it").click()
    expect(panel(page, "Sync")).to_contain_text(re.compile("A sync is running|Last sync"))
    connected.rest()
    assert connected.call("GET", "/audience")["member_count"] > 0
