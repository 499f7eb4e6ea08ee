"""A run that is under way, as it is seen after a reload and in a second tab, and stopped from there.

Mailchimp is held in the midst of the run, so that it lasts as long as somebody looks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import OwnHost
from tests.page.panels import panel

pytestmark = pytest.mark.stack

_FIGURES = re.compile(r"\d+ of \d+")
_COUNT_ENDS = (
    "window.ends = []; document.addEventListener('pbm-sync-finished', (e) => window.ends.push(e.detail.status))"
)


@pytest.fixture(scope="module")
def practice(stack: LocalStack) -> Department:
    """A department that only this file uses, synced."""
    made = Department.found(stack, customers=10)
    made.connect()
    made.call("POST", "/syncs", {"type": "full"})
    made.rest()
    return made


@pytest.fixture
def held(practice: Department) -> Iterator[Department]:
    """There is something to send, and Mailchimp keeps us waiting with it until the faults are cleared."""
    customer = {"id": f"new-{uuid4().hex[:6]}", "email": f"{uuid4().hex[:8]}@clinic.example", "company_name": "Clinic"}
    practice.pracbill(f"departments/{practice.id}/customers", customer)
    practice.mailchimp("inject_fault", method="POST", path="/lists/*", kind="hold")
    yield practice
    practice.mailchimp("clear_faults")
    practice.rest()


def open_sync(page: Page, own_host: OwnHost, practice: Department) -> Locator:
    own_host.open(page, "ELEMENT", department_id=practice.id, at="view=sync")
    page.evaluate(_COUNT_ENDS)
    return panel(page, "Sync")


def figures(sync: Locator) -> str:
    """How far the run is, once that is shown."""
    expect(sync.get_by_role("progressbar", name="Sending changes to Mailchimp")).to_be_visible()
    expect(sync).to_contain_text(_FIGURES)
    found = _FIGURES.search(sync.inner_text())
    assert found is not None
    return found[0]


def test_a_reload_and_a_second_tab_in_mid_run_see_the_same_to_the_end(
    page: Page, context: BrowserContext, own_host: OwnHost, held: Department
) -> None:
    sync = open_sync(page, own_host, held)
    sync.get_by_role("button", name="Sync Now").click()
    before = figures(sync)

    page.reload()
    page.evaluate(_COUNT_ENDS)
    assert figures(sync) == before
    other = context.new_page()
    other_sync = open_sync(other, own_host, held)
    assert figures(other_sync) == before

    held.mailchimp("clear_faults")
    for tab, shown in ((page, sync), (other, other_sync)):
        expect(shown.get_by_role("heading", name="Last sync")).to_be_visible()
        expect(shown).to_contain_text("Success")
        expect(shown.get_by_role("progressbar")).to_have_count(0)
        assert tab.evaluate("window.ends") == ["success"]


def test_a_second_tab_stops_the_run_and_the_first_one_shows_it(
    page: Page, context: BrowserContext, own_host: OwnHost, held: Department
) -> None:
    sync = open_sync(page, own_host, held)
    sync.get_by_role("button", name="Sync Now").click()
    figures(sync)
    other = context.new_page()
    other_sync = open_sync(other, own_host, held)
    figures(other_sync)

    other_sync.get_by_role("button", name="Stop").click()
    question = other.get_by_role("dialog", name="Stop this sync?")
    expect(question.get_by_role("button", name="Let it go on")).to_be_focused()
    question.get_by_role("button", name="Stop the sync").click()
    expect(other_sync.get_by_role("status")).to_contain_text("The sync is being stopped.")
    held.mailchimp("clear_faults")
    for tab, shown in ((page, sync), (other, other_sync)):
        expect(shown.get_by_role("heading", name="Last sync")).to_be_visible()
        expect(shown).to_contain_text("Cancelled")
        assert tab.evaluate("window.ends") == ["cancelled"]


def test_a_sync_that_somebody_else_has_started_is_followed(page: Page, own_host: OwnHost, held: Department) -> None:
    sync = open_sync(page, own_host, held)
    expect(sync.get_by_role("button", name="Full Sync")).to_be_visible()
    started = held.call("POST", "/syncs", {"type": "incremental"})["id"]  # a colleague, whom this page knows nothing of
    held.await_sending()
    sync.get_by_role("button", name="Full Sync").click()
    expect(sync.get_by_role("status")).to_contain_text("A sync is running already. You see it here.")
    figures(sync)
    held.mailchimp("clear_faults")
    expect(sync.get_by_role("heading", name="Last sync")).to_be_visible()
    assert held.call("GET", "/panel")["newest_run"]["id"] == started
