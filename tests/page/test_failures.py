"""Every panel where its call fails: words, a way to try again, and never a spinner without an end."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import open_page
from tests.page.panels import FED, Fed, panel

pytestmark = [pytest.mark.stack, pytest.mark.parametrize("fed", FED, ids=lambda fed: fed.panel)]

LOADING = "Loading …"
# What each kind of failure says at least.
ANSWERS = {
    500: ("internal", "Something went wrong in the service."),
    429: ("too-many-requests", "Too many requests at once."),
    504: ("too-slow", "The service did not answer in time."),
    502: ("", "The service cannot be used right now."),
}


@pytest.fixture(autouse=True)
def given(page: Page, fed: Fed) -> None:
    """What the page is told in place of the stack's own; what a test does to the call comes before it."""
    fed.given(page)


def show(page: Page, stack: LocalStack, fed: Fed, department: Department) -> None:
    open_page(page, stack, view=fed.view, item=fed.item(department))


def refuse(page: Page, fed: Fed, status: int, code: str) -> None:
    """Answer the panel's call as the gateway would."""
    document = {"type": f"urn:pracbill-mailchimp:problem:{code}", "title": "x", "status": status, "detail": ""}
    body = json.dumps(document) if code else "<html>Bad gateway</html>"
    headers = {"Access-Control-Allow-Origin": "*", "Content-Type": "application/problem+json"}
    page.route(fed.call, lambda route: route.fulfill(status=status, body=body, headers=headers))


def expect_recovery(page: Page, fed: Fed) -> None:
    """Once the cause is gone, *Try again* brings the data."""
    page.unroute(fed.call)
    panel(page, fed.panel).get_by_role("button", name="Try again").click()
    expect(panel(page, fed.panel)).to_contain_text(fed.words)
    expect(panel(page, fed.panel).get_by_role("alert")).to_have_count(0)


def test_the_network_is_cut(page: Page, stack: LocalStack, connected: Department, fed: Fed) -> None:
    page.route(fed.call, lambda route: route.abort())
    show(page, stack, fed, connected)
    expect(panel(page, fed.panel).get_by_role("alert")).to_contain_text("The service cannot be reached.")
    expect(panel(page, fed.panel)).not_to_contain_text(LOADING)
    expect_recovery(page, fed)


@pytest.mark.parametrize("status", ANSWERS)
def test_the_service_fails(page: Page, stack: LocalStack, connected: Department, fed: Fed, status: int) -> None:
    code, words = ANSWERS[status]
    refuse(page, fed, status, code)
    show(page, stack, fed, connected)
    expect(panel(page, fed.panel).get_by_role("alert")).to_contain_text(words)
    expect(panel(page, fed.panel)).not_to_contain_text(LOADING)
    expect_recovery(page, fed)


@pytest.fixture
def held(page: Page, fed: Fed, given: None) -> Iterator[list[Route]]:
    """The panel's call is asked and never answered."""
    waiting: list[Route] = []
    page.route(fed.call, lambda route: waiting.append(route))
    yield waiting
    page.unroute(fed.call)


def test_a_slow_answer_is_said_and_ends(
    page: Page, stack: LocalStack, connected: Department, fed: Fed, held: list[Route]
) -> None:
    page.clock.install()
    with page.expect_request(fed.call):
        show(page, stack, fed, connected)
    waiting = panel(page, fed.led_by or fed.panel)
    expect(waiting).to_contain_text(LOADING)
    page.clock.fast_forward(7_000)
    expect(waiting).to_contain_text("This takes longer than usual.")
    page.clock.fast_forward(30_000)
    expect(panel(page, fed.panel).get_by_role("alert")).to_contain_text("The service did not answer in time.")
    expect_recovery(page, fed)


def test_what_was_known_stays_and_is_marked_as_old(
    page: Page, stack: LocalStack, connected: Department, fed: Fed
) -> None:
    page.clock.install()
    show(page, stack, fed, connected)
    expect(panel(page, fed.panel)).to_contain_text(fed.words)
    # A panel may have its own data before the page has read the department; only then is the next reading timed.
    page.wait_for_load_state("networkidle")
    page.route(fed.call, lambda route: route.abort())
    page.clock.fast_forward(61_000)
    expect(panel(page, fed.panel).get_by_role("alert")).to_contain_text("What you see may be out of date.")
    expect(panel(page, fed.panel)).to_contain_text(fed.words)
    expect_recovery(page, fed)
