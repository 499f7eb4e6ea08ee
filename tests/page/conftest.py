"""The page in a real browser, embedded by the stand-in of PracBill's front end.

The files that PAGE_ON_THE_STACK names look at it on the local stack, all others as one process serves it
(one_process.py). One of each and one browser a session, one page a file, which each test gets empty. Elements are found
by role and name, which tests their names, too.
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
from tests.distribution import PAGE_ON_THE_STACK
from tests.page.department import Department
from tests.page.embedding import STEP_MS, WINDOW, OwnHost, new_context
from tests.page.one_process import StackInOneProcess

expect.set_options(timeout=STEP_MS)


Served = tuple[LocalStack, OwnHost]


@pytest.fixture(scope="session")
def on_the_stack(local_stack: LocalStack, other_origin_port: int) -> Iterator[Served]:
    own_host = OwnHost(other_origin_port)
    own_host.start(local_stack)
    yield local_stack, own_host
    own_host.stop()


@pytest.fixture(scope="session")
def in_one_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A small department, a Mailchimp that answers at once, and two hosts; both origins are known from the start."""
    building.build()
    own_host = OwnHost(processes.choose_port())
    folder, environment = tmp_path_factory.mktemp("process"), {"ALLOWED_ORIGINS": own_host.url}
    with StackInOneProcess(folder, customers=120, environment=environment) as stack:
        own_host.start(stack)
        yield stack, own_host
        own_host.stop()


@pytest.fixture(scope="module")
def served(request: pytest.FixtureRequest) -> Served:
    on_the_stack = request.node.nodeid.startswith(PAGE_ON_THE_STACK)
    found: Served = request.getfixturevalue("on_the_stack" if on_the_stack else "in_one_process")
    return found


@pytest.fixture(scope="module")
def stack(served: Served) -> LocalStack:
    return served[0]


@pytest.fixture(scope="module")
def own_host(served: Served) -> OwnHost:
    """A host for pages of a test's own."""
    return served[1]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One process draws what is of one origin, where each page would have its own: starting one takes long."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(**find_browser().launch_options(), args=["--process-per-site"])
        yield started
        started.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of a test's own, for its other tabs, for what is measured from nothing, and for a clock that is moved:
    it stays moved."""
    opened = new_context(browser)
    yield opened
    with suppress(Exception):
        opened.close()


@pytest.fixture(scope="module")
def lasting_context(browser: Browser) -> Iterator[BrowserContext]:
    opened = new_context(browser)
    yield opened
    with suppress(Exception):
        opened.close()


@pytest.fixture(scope="module")
def lasting_page(lasting_context: BrowserContext) -> Page:
    """One page for all tests of a file, each with a document of its own: starting one costs more than showing ours."""
    return lasting_context.new_page()


@pytest.fixture
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    """An empty page: the lasting one, or that of the test's own browser if it asks for one."""
    if "context" in request.fixturenames:
        own: BrowserContext = request.getfixturevalue("context")
        yield own.new_page()
        return
    lasting: Page = request.getfixturevalue("lasting_page")
    yield lasting
    lasting.unroute_all(behavior="ignoreErrors")
    lasting.goto("about:blank")
    lasting.mouse.move(0, 0)
    lasting.set_viewport_size(WINDOW)


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
