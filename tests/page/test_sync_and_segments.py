"""The guide's way through the page: choose an audience, sync, read the log, build a segment, edit it, delete it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import open_page

pytestmark = pytest.mark.stack

_SYNCED_WITHIN_MS = 90_000


def panel(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def show(page: Page, tab: str) -> None:
    page.get_by_role("tab", name=tab, exact=True).click()


def test_an_audience_is_shown_and_another_may_be_chosen(page: Page, stack: LocalStack, connected: Department) -> None:
    open_page(page, stack)
    overview = panel(page, "Audience Overview")
    name = connected.call("GET", "/audience")["name"]
    expect(overview).to_contain_text(name)
    overview.get_by_role("button", name="Choose another audience").click()
    expect(overview.get_by_role("combobox", name="Audience")).to_be_focused()
    overview.get_by_role("button", name="Use this audience").click()
    expect(overview.get_by_role("heading", name="Audience Overview")).to_be_focused()
    connected.rest()


def test_the_form_of_a_new_audience_says_what_is_missing_as_one_types(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    open_page(page, stack)
    overview = panel(page, "Audience Overview")
    overview.get_by_role("button", name="Choose another audience").click()
    overview.get_by_role("button", name="Create Audience").click()
    expect(overview.get_by_role("textbox", name="Audience Name")).to_be_focused()
    overview.get_by_role("textbox", name="From Email").fill("nobody")
    expect(overview.get_by_role("textbox", name="From Email")).to_have_attribute("aria-invalid", "true")
    overview.get_by_role("button", name="Create", exact=True).click()
    expect(overview.get_by_role("textbox", name="Audience Name")).to_be_focused()
    expect(overview.get_by_role("textbox", name="From Email")).to_have_accessible_description(
        re.compile("not an e-mail address")
    )
    expect(overview.get_by_role("textbox", name="From Email")).to_have_value("nobody")


def test_a_sync_is_started_followed_and_found_in_the_log(page: Page, stack: LocalStack, connected: Department) -> None:
    open_page(page, stack, view="sync")
    sync = panel(page, "Sync")
    sync.get_by_role("button", name="Full Sync").click()
    expect(sync).to_contain_text("A sync is running.")
    page.reload()
    expect(sync).to_contain_text(re.compile("A sync is running|Last sync"))
    expect(sync).to_contain_text("Last sync", timeout=_SYNCED_WITHIN_MS)
    show(page, "Sync Logs")
    logs = panel(page, "Sync Logs")
    expect(logs.get_by_role("columnheader")).to_have_text(["Date", "Direction", "Type", "Status", "Message"])
    first = logs.get_by_role("row").nth(1)
    expect(first).to_contain_text("Full")
    logs.get_by_role("combobox", name="Status").select_option("Error")
    expect(logs).to_contain_text(re.compile("No entry fits|Error"))


def test_a_segment_is_built_with_a_live_preview_edited_and_deleted(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    open_page(page, stack, view="segments")
    segments = panel(page, "Segments")
    segments.get_by_role("button", name="Create Segment").click()
    editor = panel(page, "Create a segment")
    name = editor.get_by_role("textbox", name="Segment Name")
    expect(name).to_be_focused()
    editor.get_by_role("button", name="Save").click()
    expect(name).to_have_accessible_description(re.compile("Give the segment a name"))
    name.fill("Victoria <img onerror=alert(1)>")
    rule = editor.get_by_role("group", name="Rule 1")
    rule.get_by_role("combobox", name="Field").select_option("State")
    rule.get_by_role("combobox", name="Operator").select_option("Equals")
    rule.get_by_role("combobox", name="Value").fill("VIC")
    expect(editor.get_by_role("group", name="Preview")).to_contain_text(
        re.compile(r"\d+ of \d+ customers · \d+ can be mailed"), timeout=30_000
    )
    page.keyboard.press("Escape")
    expect(name).to_have_value("Victoria <img onerror=alert(1)>")
    editor.get_by_role("button", name="Save").click()
    expect(segments).to_contain_text("Victoria <img onerror=alert(1)>")
    expect(segments).to_contain_text('State Equals "VIC"')
    connected.rest()
    segments.get_by_role("button", name="Delete Victoria").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("permanent and cannot be undone")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(segments.get_by_role("heading", name="Victoria <img onerror=alert(1)>")).to_have_count(0)
    connected.rest()


def test_what_is_saved_or_deleted_shows_before_everything_is_read_again(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    open_page(page, stack, view="segments")
    segments = panel(page, "Segments")
    segments.get_by_role("button", name="Create Segment").click()
    editor = panel(page, "Create a segment")
    editor.get_by_role("textbox", name="Segment Name").fill("Shown at once")
    editor.get_by_role("combobox", name="Field").select_option("State")
    editor.get_by_role("combobox", name="Value").fill("VIC")
    unanswered: list[Route] = []
    page.route("**/panel", lambda route: unanswered.append(route))
    editor.get_by_role("button", name="Save").click()
    edit = segments.get_by_role("button", name="Edit Shown at once", exact=True)
    expect(edit).to_be_focused()
    expect(segments.get_by_role("status")).to_contain_text("Shown at once")

    edit.click()
    panel(page, "Edit the segment").get_by_role("textbox", name="Segment Name").fill("Shown again")
    panel(page, "Edit the segment").get_by_role("button", name="Save").click()
    expect(segments.get_by_role("heading", name="Shown again", exact=True)).to_have_count(1)
    expect(edit).to_have_count(0)

    connected.rest()
    segments.get_by_role("button", name="Delete Shown again").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(segments.get_by_role("heading", name="Segments", exact=True)).to_be_focused()
    expect(segments.get_by_role("heading", name="Shown again", exact=True)).to_have_count(0)
    assert unanswered, "what was shown came with the answers to the changes"
    connected.rest()


def test_a_ready_made_segment_is_a_beginning_beside_others_and_an_edit_names_who_enters(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    rules = [{"field": "state", "operator": "equals", "value": "VIC"}]
    made = connected.call("POST", "/segments", {"name": "Beside others", "rules": rules})
    connected.rest()
    open_page(page, stack, view="segments")
    segments = panel(page, "Segments")
    segments.get_by_role("button", name="Edit Beside others").click()
    editor = panel(page, "Edit the segment")
    editor.get_by_role("combobox", name="Operator").select_option("Does Not Equal")
    preview = editor.get_by_role("group", name="Preview")
    expect(preview).to_contain_text(re.compile(r"\d+ would enter \(.+\) · \d+ would leave \(.+\)"), timeout=30_000)
    editor.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Leave").click()

    segments.get_by_text("Begin with a ready-made segment").click()
    template = connected.stack.call("GET", "/segment-templates").json()["items"][0]
    segments.get_by_role("button", name=template["name"], exact=True).click()
    name = panel(page, "Create a segment").get_by_role("textbox", name="Segment Name")
    expect(name).to_have_value(template["name"])
    connected.call("DELETE", f"/segments/{made['id']}")
    connected.rest()


def test_without_the_fields_the_segments_stay_and_trying_again_brings_the_builder(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    page.route("**/segment-fields*", lambda route: route.abort())
    open_page(page, stack, view="segments")
    segments = panel(page, "Segments")
    expect(segments.get_by_role("alert")).to_contain_text("The service cannot be reached.")
    expect(segments).to_contain_text("Segments are groups of customers.")
    expect(segments.get_by_role("button", name="Create Segment")).to_have_count(0)
    page.unroute("**/segment-fields*")
    segments.get_by_role("button", name="Try again").click()
    segments.get_by_role("button", name="Create Segment").click()
    expect(panel(page, "Create a segment").get_by_role("textbox", name="Segment Name")).to_be_focused()


def test_read_access_sees_the_panels_and_no_control_that_changes(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    open_page(page, stack, view="sync", access="read")
    expect(panel(page, "Sync")).to_contain_text("read access")
    expect(panel(page, "Sync").get_by_role("button", name=re.compile("^(?!Show )"))).to_have_count(0)
    show(page, "Segments")
    expect(panel(page, "Segments").get_by_role("button", name="Create Segment")).to_have_count(0)
