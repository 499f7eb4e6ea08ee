"""Settings: what has changed is saved, and only that; subscribing without consent is asked about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import open_page
from tests.page.panels import panel

pytestmark = pytest.mark.stack


@pytest.fixture
def usual(connected: Department) -> Iterator[Department]:
    """Connected, and with the settings afterwards as they were."""
    before = connected.call("GET", "/settings")
    yield connected
    connected.call("PUT", "/settings", before)


def test_what_has_changed_is_saved(page: Page, stack: LocalStack, usual: Department) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    open_page(page, stack)
    shown = panel(page, "Settings")
    leave_out = shown.get_by_role("group", name="Unknown consent").get_by_role("radio", name="Leave out")
    expect(leave_out).to_have_accessible_description("They are not added to the audience.")
    brake = shown.get_by_role("group", name="Stop for approval")
    expect(brake).to_contain_text("more than a third of the department’s own members, whatever the number")
    expect(brake).to_contain_text("Additions beyond both limits hold scheduled syncs only.")
    leave_out.check()
    limit = shown.get_by_role("textbox", name="Removals, percent of the audience")
    limit.fill("101")
    shown.get_by_role("button", name="Save settings").click()
    expect(limit).to_be_focused()
    expect(limit).to_have_accessible_description("Enter a whole number from 0 to 100.")
    assert "PUT" not in sent
    usual.call("PUT", "/settings", {"on_removed": "keep"})  # a colleague, meanwhile

    limit.fill("7")
    shown.get_by_role("button", name="Save settings").click()
    expect(shown.get_by_role("status")).to_contain_text("The settings have been saved.")
    expect(shown.get_by_role("heading", name="Settings")).to_be_focused()
    kept = usual.call("GET", "/settings")
    assert (kept["unknown_consent"], kept["brake"]["removals_percent"], kept["on_removed"]) == ("skip", 7, "keep")


def test_what_was_saved_shows_before_everything_is_read_again(page: Page, stack: LocalStack, usual: Department) -> None:
    usual.call("PUT", "/settings", {"on_removed": "archive"})
    open_page(page, stack)
    shown = panel(page, "Settings")
    keep = shown.get_by_role("group", name="Customers removed from PracBill").get_by_role("radio", name="Keep")
    expect(keep).not_to_be_checked()
    unanswered: list[Route] = []
    page.route("**/panel", lambda route: unanswered.append(route))
    keep.check()
    shown.get_by_role("button", name="Save settings").click()
    expect(shown.get_by_role("heading", name="Settings")).to_be_focused()
    expect(keep).to_be_checked()
    expect(shown.get_by_role("button", name="Take back the changes")).to_have_count(0)


def test_subscribing_without_consent_is_asked_about(page: Page, stack: LocalStack, usual: Department) -> None:
    open_page(page, stack)
    shown = panel(page, "Settings")
    shown.get_by_role("radio", name="Subscribe", exact=True).check()
    shown.get_by_role("button", name="Save settings").click()
    dialog = page.get_by_role("dialog", name="Subscribe customers without recorded consent?")
    expect(dialog.get_by_role("button", name="Go back")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert usual.call("GET", "/settings")["unknown_consent"] != "subscribe"

    shown.get_by_role("button", name="Save settings").click()
    dialog.get_by_role("button", name="Subscribe them").click()
    expect(shown.get_by_role("status")).to_contain_text("The settings have been saved.")
    assert usual.call("GET", "/settings")["unknown_consent"] == "subscribe"


def test_reading_shows_the_settings_and_changes_none(page: Page, stack: LocalStack, usual: Department) -> None:
    open_page(page, stack, access="read")
    shown = panel(page, "Settings")
    expect(shown).to_contain_text("Unknown consent")
    for role in ("radio", "checkbox", "textbox", "button"):
        expect(shown.get_by_role(role)).to_have_count(0)
