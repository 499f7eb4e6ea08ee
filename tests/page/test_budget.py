"""What the page may cost: bytes, requests, calls one after the other, processor time of a key. No clock is read.

A busy machine changes none of these. How long the first panel takes on a quiet one is measured apart, by
`python -m infra.bench.page`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Page, Request, expect

from infra.deploy.page import BUNDLE, LARGEST_GZIPPED, WEB, gzipped
from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import open_page
from tests.page.panels import panel

pytestmark = pytest.mark.stack

# The calls of the service until all of a view is there, and how many of them at most wait for one another.
VIEWS = {
    "overview": (["history", "panel"], 2),
    "segments": (["panel", "segment-fields", "segment-templates"], 2),
    "sync": (["panel"], 1),
    "logs": (["logs", "panel"], 2),
    "customer": (["panel"], 1),
    "reconciliation": (["panel", "reconciliation", "syncs"], 2),
}
LONGEST_TASK_MS = 50.0
MOST_RULES = 20


def test_the_script_is_small_and_brings_two_packages() -> None:
    assert gzipped(BUNDLE) <= LARGEST_GZIPPED == 60_000
    assert set(json.loads((WEB / "package.json").read_text())["dependencies"]) == {"lit", "openapi-fetch"}


@dataclass
class Calls:
    """The calls of a page, each with how many had to end one after the other before it could begin, itself included."""

    api_url: str
    elsewhere: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    depths: dict[str, int] = field(default_factory=dict)
    _under_way: dict[Request, int] = field(default_factory=dict)
    _ended: int = 0

    def watch(self, page: Page, *, host_url: str) -> None:
        def begin(request: Request) -> None:
            if request.url.startswith(self.api_url):
                name = request.url.partition("?")[0].rpartition("/")[2]
                self.names.append(name)
                self.depths[name] = self._under_way[request] = self._ended + 1
            elif not request.url.startswith(host_url):
                self.elsewhere.append(request.url)

        page.on("request", begin)
        page.on("requestfinished", self._end)

    def _end(self, request: Request) -> None:
        self._ended = max(self._ended, self._under_way.get(request, 0))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.usefixtures("context")
def test_a_view_asks_for_little_and_nobody_else(
    page: Page, stack: LocalStack, connected: Department, view: str
) -> None:
    calls, longest_chain = VIEWS[view]
    seen = Calls(stack.api_url)
    seen.watch(page, host_url=stack.host_url)
    open_page(page, stack, view=view)
    expect(page.get_by_role("region").first).to_have_attribute("aria-busy", "false")
    page.wait_for_load_state("networkidle")  # what stands below may ask once the first panel is there
    assert sorted(seen.names) == calls
    assert seen.depths["panel"] == 1, "the first panel waits for nothing but its own call"
    assert max(seen.depths.values()) <= longest_chain
    assert seen.elsewhere == []


@pytest.mark.usefixtures("context")
def test_typing_in_the_largest_segment_does_not_block(page: Page, stack: LocalStack, connected: Department) -> None:
    open_page(page, stack, view="segments")
    panel(page, "Segments").get_by_role("button", name="Create Segment").click()
    editor = panel(page, "Create a segment")
    for _ in range(MOST_RULES - 1):
        editor.get_by_role("button", name="Add a rule").click()
    last = editor.get_by_role("group", name=f"Rule {MOST_RULES}", exact=True)
    expect(last.get_by_role("textbox", name="Value")).to_be_visible()
    last.get_by_role("textbox", name="Value").click()
    spent = _processor_time(page)
    for key in "Melbourne":
        before = spent()
        page.keyboard.press(key)
        page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))")
        assert spent() - before < LONGEST_TASK_MS, key


def _processor_time(page: Page) -> Callable[[], float]:
    """Milliseconds of processor time that the page's main thread has spent in tasks so far."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")

    return spent
