"""How soon the page shows something: `python -m infra.bench.page [customers]`.

On the local stack with Mailchimp's usual latency. A browser without a cache opens each view a few times; of each the
best and the median are printed, in milliseconds from the navigation on: the first panel with its data, then all of the
view. Then a segment is built, and the time from the last key to the preview is taken, 400 ms of which are waited so
that nothing is asked while somebody types. Other work on the machine only ever adds. Takes about a minute.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from infra.deploy import page as building
from infra.local.browser import find_browser
from infra.local.screenshots import prepare
from infra.local.stack import LocalStack

VIEWS = ("overview", "segments", "sync", "logs", "reconciliation")
ROUNDS = 7
# Resolves with the milliseconds since the navigation at which the first region, or all, have their data.
_SHOWN = """(all) => new Promise((shown) => {
  const regions = (root) => [...root.querySelectorAll('*')].flatMap((e) => [
    ...(e.matches('section[aria-busy]') ? [e] : []), ...(e.shadowRoot ? regions(e.shadowRoot) : [])]);
  const look = () => {
    const found = regions(document);
    const ready = found.filter((e) => e.getAttribute('aria-busy') === 'false');
    if (ready.length > 0 && (!all || ready.length === found.length)) shown(performance.now());
    else requestAnimationFrame(look);
  };
  look();
})"""


def measure(customers: int) -> None:
    """Print the figures."""
    building.build()
    with tempfile.TemporaryDirectory() as folder, LocalStack(Path(folder), customers=customers, host=True) as stack:
        prepare(stack)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(**find_browser().launch_options())
            for view in VIEWS:
                _print(f"{view}: first panel", [_opened(browser, stack, view, all=False) for _ in range(ROUNDS)])
                _print(f"{view}: all panels", [_opened(browser, stack, view, all=True) for _ in range(ROUNDS)])
            _print("preview after the last key", _previews(browser, stack))
            browser.close()


def _print(what: str, milliseconds: Sequence[float]) -> None:
    print(
        f"{what:<32} best {min(milliseconds):6,.0f} ms   median {statistics.median(milliseconds):6,.0f} ms", flush=True
    )


def _opened(browser: Browser, stack: LocalStack, view: str, *, all: bool) -> float:
    page = _open(browser, stack, view)
    took = float(page.evaluate(_SHOWN, all))
    page.context.close()
    return took


def _open(browser: Browser, stack: LocalStack, view: str) -> Page:
    page = browser.new_context().new_page()
    page.goto(f"{stack.host_url}/#view={view}", wait_until="commit")
    return page


def _previews(browser: Browser, stack: LocalStack) -> list[float]:
    page = _open(browser, stack, "segments")
    page.get_by_role("button", name="Create Segment").click()
    rule = page.get_by_role("group", name="Rule 1")
    rule.get_by_role("combobox", name="Field").select_option("State")
    value = rule.get_by_role("textbox", name="Value").or_(rule.get_by_role("combobox", name="Value"))
    preview = page.get_by_role("group", name="Preview")
    took = []
    for text in ("VIC", "NSW", "QLD", "TAS", "WA")[:ROUNDS]:
        value.fill(text)
        before = float(page.evaluate("performance.now()"))
        expect(preview).to_have_attribute("aria-busy", "true")
        expect(preview).to_have_attribute("aria-busy", "false")
        took.append(float(page.evaluate("performance.now()")) - before)
        expect(preview).to_contain_text("Each rule alone")  # what is counted at leisure is through
    return took


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
