"""The views as tabs: by keyboard, told to the host, and found again after a reload."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import open_page
from tests.page.panels import panel

pytestmark = pytest.mark.stack


def test_arrow_keys_lead_through_the_tabs(page: Page, stack: LocalStack, connected: Department) -> None:
    open_page(page, stack)
    tabs = page.get_by_role("tablist", name="Parts of the Mailchimp integration").get_by_role("tab")
    expect(tabs.first).to_have_attribute("aria-selected", "true")
    tabs.first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Segments")).to_be_focused()
    expect(page.get_by_role("tab", name="Segments")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tabpanel", name="Segments")).to_be_visible()
    page.keyboard.press("Home")
    expect(page.get_by_role("tab", name="Overview")).to_be_focused()
    expect(panel(page, "Connection Status")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(tabs.last).to_be_focused()


def test_the_host_keeps_the_view_in_its_address(page: Page, stack: LocalStack, connected: Department) -> None:
    open_page(page, stack)
    page.get_by_role("tab", name="Sync Logs").click()
    expect(page.get_by_role("tab", name="Sync Logs")).to_have_attribute("aria-selected", "true")
    assert page.url.endswith("#view=logs")
    page.reload()
    expect(page.get_by_role("tab", name="Sync Logs")).to_have_attribute("aria-selected", "true")
    expect(panel(page, "Sync Logs")).to_be_visible()


def test_the_host_leads_to_a_view_without_being_told_of_it(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    open_page(page, stack)
    expect(panel(page, "Connection Status")).to_be_visible()
    page.evaluate("window.told = 0; document.addEventListener('pbm-view', () => { window.told += 1 })")
    page.evaluate("document.querySelector('pracbill-mailchimp').view = 'logs'")
    expect(panel(page, "Sync Logs")).to_be_visible()
    assert page.evaluate("window.told") == 0
