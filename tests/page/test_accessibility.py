"""Every panel in every state, light and dark: axe finds nothing, nothing scrolls sideways or jumps.

Nothing scrolls sideways on any of three widths. axe, which takes long, looks at each view as one sees it first, all its
panels and what is around them, on all of them, and at a panel alone in its other states on the narrowest.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from infra.deploy.page import WEB
from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import open_page
from tests.page.panels import SHOWN, Shown, panel

pytestmark = pytest.mark.stack

WIDTHS = (1280, 768, 320)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# All that another theme changes.
CONTRAST = ["color-contrast"]
LARGEST_SHIFT = 0.05
_WATCH_SHIFTS = """
window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({ type: 'layout-shift', buffered: true });
"""


def is_first(shown: Shown) -> bool:
    """The first state of its view: all of the view is looked at, which would take too long in each."""
    return shown == next(one for one in SHOWN if _place(one) == _place(shown))


def _place(shown: Shown) -> tuple[object, ...]:
    return shown.view, shown.connected, shown.item


@lru_cache(maxsize=1)
def axe() -> str:
    return (WEB / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def violations(within: Locator, run_only: list[str]) -> list[str]:
    """What axe finds wrong in a document, or in the panel that an element of it lies in, in a line each.

    `run_only`: tags of rules, or names of rules.
    """
    found: dict[str, Any] = within.evaluate(
        """(element, runOnly) => axe.run(element.getRootNode().host ?? document, {
             runOnly, resultTypes: ['violations'], preload: false,
           })""",
        run_only,
    )
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


@pytest.fixture(scope="module")
def lasting_page(lasting_context: BrowserContext) -> Page:
    """What the browser made of axe in one document is not made anew for the next."""
    page = lasting_context.new_page()
    page.add_init_script(_WATCH_SHIFTS)
    return page


# Those without a connection first: each change between the two takes seconds.
@pytest.mark.parametrize(
    "shown",
    [one for one in SHOWN if not one.connected] + [one for one in SHOWN if one.connected],
    ids=lambda shown: f"{shown.panel}, {shown.state}",
)
def test_nothing_stands_in_anybodys_way(page: Page, stack: LocalStack, somehow: Department, shown: Shown) -> None:
    if shown.connected:
        somehow.connect()
    else:
        somehow.disconnect()
    shown.given(page)
    open_page(page, stack, view=shown.view, access=shown.access, item=shown.item(somehow))
    expect(panel(page, shown.panel)).to_have_attribute("aria-busy", "false")
    assert page.evaluate("window.shift") < LARGEST_SHIFT
    shown.reach(page, somehow)
    page.evaluate(axe())
    within = page.locator("html") if is_first(shown) else panel(page, shown.panel)
    for theme in ("light", "dark"):
        page.get_by_role("combobox", name="Theme").evaluate(
            "(select, theme) => { select.value = theme; select.dispatchEvent(new Event('change')) }", theme
        )
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.scrollingElement.scrollWidth") <= width, f"{theme}, {width} px"
            if width == min(WIDTHS) or (theme == "light" and is_first(shown)):
                assert violations(within, RULES if theme == "light" else CONTRAST) == [], f"{theme}, {width} px"
