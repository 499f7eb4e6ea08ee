"""Every panel where its call fails: words, a way to try again, and never a spinner without an end."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import open_page
from tests.page.panels import FED, Fed, panel

pytestmark = [pytest.mark.stack, pytest.mark.parametrize("fed", FED, ids=lambda fed: fed.panel)]

LOADING = "Loading …"


def cut(route: Route) -> None:
    route.abort()


def answer(status: int, code: str) -> Callable[[Route], None]:
    """Answer the panel's call as the gateway would; without a code it is not the service that answers."""
    document = {"type": f"urn:pracbill-mailchimp:problem:{code}", "title": "x", "status": status, "detail": ""}
    body = json.dumps(document) if code else "<html>Bad gateway</html>"
    headers = {"Access-Control-Allow-Origin": "*", "Content-Type": "application/problem+json"}
    return lambda route: route.fulfill(status=status, body=body, headers=headers)


# Each way to fail, and what it says at least. No two in a row say the same.
WAYS = [
    (cut, "The service cannot be reached."),
    (answer(500, "internal"), "Something went wrong in the service."),
    (answer(429, "too-many-requests"), "Too many requests at once."),
    (answer(504, "too-slow"), "The service did not answer in time."),
    (answer(502, ""), "The service cannot be used right now."),
]


class Call:
    """The panel's call, which goes through unless it is told to fail."""

    def __init__(self, page: Page, fed: Fed) -> None:
        self.fails: Callable[[Route], None] | None = None
        fed.given(page)  # what the page is told in place of the stack's own; what is done here comes before it
        page.route(fed.call, lambda route: self.fails(route) if self.fails else route.fallback())


@pytest.fixture
def call(page: Page, fed: Fed) -> Call:
    return Call(page, fed)


def show(page: Page, stack: LocalStack, fed: Fed, department: Department) -> None:
    open_page(page, stack, view=fed.view, item=fed.item(department))


def try_again(page: Page, fed: Fed) -> None:
    panel(page, fed.panel).get_by_role("button", name="Try again").click()


def expect_failure(page: Page, fed: Fed, words: str) -> None:
    expect(panel(page, fed.panel).get_by_role("alert")).to_contain_text(words)
    expect(panel(page, fed.panel)).not_to_contain_text(LOADING)


def expect_recovery(page: Page, fed: Fed, call: Call) -> None:
    """Once the cause is gone, *Try again* brings the data."""
    call.fails = None
    try_again(page, fed)
    expect(panel(page, fed.panel)).to_contain_text(fed.words)
    expect(panel(page, fed.panel).get_by_role("alert")).to_have_count(0)


def test_each_way_to_fail_has_its_words_until_trying_again_brings_the_data(
    page: Page, stack: LocalStack, connected: Department, fed: Fed, call: Call
) -> None:
    call.fails = WAYS[0][0]
    show(page, stack, fed, connected)
    expect_failure(page, fed, WAYS[0][1])
    for way, words in WAYS[1:]:
        call.fails = way
        try_again(page, fed)
        expect_failure(page, fed, words)
    expect_recovery(page, fed, call)


@pytest.mark.usefixtures("context")
def test_a_slow_answer_ends_and_what_is_known_later_stays_and_is_marked_as_old(
    page: Page, stack: LocalStack, connected: Department, fed: Fed, call: Call
) -> None:
    never_answered: list[Route] = []
    call.fails = never_answered.append
    page.clock.install()
    with page.expect_request(fed.call):
        show(page, stack, fed, connected)
    waiting = panel(page, fed.led_by or fed.panel)
    expect(waiting).to_contain_text(LOADING)
    page.clock.fast_forward(7_000)
    expect(waiting).to_contain_text("This takes longer than usual.")
    page.clock.fast_forward(30_000)
    expect_failure(page, fed, "The service did not answer in time.")
    expect_recovery(page, fed, call)

    # A panel may have its own data before the page has read the department; only then is the next reading timed.
    page.wait_for_load_state("networkidle")
    call.fails = cut
    page.clock.fast_forward(61_000)
    expect(panel(page, fed.panel).get_by_role("alert")).to_contain_text("What you see may be out of date.")
    expect(panel(page, fed.panel)).to_contain_text(fed.words)
    expect_recovery(page, fed, call)
