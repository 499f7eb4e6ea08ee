"""The page in a real browser, embedded by the stand-in of PracBill's front end, on a stack of its own.

One stack and one browser a session; a context, and with it a page without memory, a test. Elements are found by role
and name, which tests their names, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from infra.deploy import page as building
from infra.local import processes
from infra.local.browser import find_browser
from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import OwnHost

# Few syncs run here at once, and each worker that is started takes a second of a processor.
WORKERS = {"sync_worker": 3, "event_worker": 1}
# Other work on the machine only ever adds to what a step takes.
STEP_MS = 20_000
expect.set_options(timeout=STEP_MS)


@pytest.fixture(scope="session")
def own_host() -> OwnHost:
    """A host for pages of a test's own; it starts with the stack, which must know its origin before."""
    return OwnHost(processes.choose_port())


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, own_host: OwnHost) -> Iterator[LocalStack]:
    """A small department, a Mailchimp that answers at once, and the hosts."""
    building.build()
    folder, environment = tmp_path_factory.mktemp("stack"), {"ALLOWED_ORIGINS": own_host.url}
    with LocalStack(
        folder, latency=False, customers=120, host=True, environment=environment, workers=WORKERS
    ) as started:
        own_host.start(started)
        yield started
        own_host.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(**find_browser().launch_options())
        yield started
        started.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-AU", reduced_motion="reduce")
    opened.set_default_timeout(STEP_MS)
    yield opened
    with suppress(Exception):
        opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def somehow(stack: LocalStack) -> Department:
    """The stack's department as the last test left it."""
    return Department(stack)


@pytest.fixture
def department(somehow: Department) -> Department:
    """The stack's department, not connected."""
    somehow.disconnect()
    return somehow


@pytest.fixture
def connected(somehow: Department) -> Department:
    """The stack's department, connected, with an audience, and no run under way."""
    somehow.connect()
    return somehow
