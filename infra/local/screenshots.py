"""Pictures of the page for the README: every view, light and dark, and the first one on a phone.

    python -m infra.local.screenshots [--out docs/images]

A department of its own is connected and synced first, with two segments, so that there is something to see.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from infra.deploy import page as building
from infra.local.browser import find_browser
from infra.local.demonstration import api_key_of, open_api
from infra.local.journey import Journey
from infra.local.servers import ExternalServers
from infra.local.stack import LocalStack

IMAGES = building.PROJECT / "docs" / "images"
_WIDTHS = {"": 1100, "-narrow": 360}
_SEGMENTS = (
    ("Active customers in Victoria", [("state", "equals", "VIC"), ("inactive", "equals", "0")]),
    ("No invoice in the last 6 months", [("has_invoice_in_last_months", "is_not", 6)]),
)


def take(out: Path = IMAGES, *, customers: int = 400) -> list[Path]:
    """Take all pictures. Returns their files."""
    building.build()
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalStack(Path(folder), latency=False, customers=customers, host=True) as stack,
    ):
        prepare(stack)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(**find_browser().launch_options())
            try:
                return list(_pictures(browser, stack, out))
            finally:
                browser.close()


def prepare(stack: LocalStack) -> None:
    """Connect, sync, and make the segments."""
    servers = ExternalServers()
    api = open_api(stack, servers)
    journey = Journey(api, say=lambda line: None)
    journey.travel(api_key_of(stack, servers))
    for name, rules in _SEGMENTS:
        written = [{"field": field, "operator": operator, "value": value} for field, operator, value in rules]
        api.call("POST", "D/segments", {"name": name, "rules": written})
    journey.travel(api_key_of(stack, servers))


def _pictures(browser: Browser, stack: LocalStack, out: Path) -> Iterator[Path]:
    for theme in ("light", "dark"):
        for suffix, width in _WIDTHS.items():
            page = browser.new_page(
                viewport={"width": width, "height": 900}, locale="en-AU", reduced_motion="reduce", color_scheme=theme
            )
            page.goto(f"{stack.host_url}/?theme={theme}")
            for view in _views(page) if not suffix else ["overview"]:
                page.goto(f"{stack.host_url}/?theme={theme}#view={view}")
                page.reload()
                _wait_until_drawn(page)
                path = out / f"{view}{suffix}-{theme}.png"
                page.locator("pracbill-mailchimp").screenshot(path=path)
                yield path
            page.close()


def _views(page: Page) -> list[str]:
    """The views that have a tab; one without tabs is the overview."""
    _wait_until_drawn(page)
    ids = page.get_by_role("tab").evaluate_all("(tabs) => tabs.map((tab) => tab.id)")
    return [tab_id.removeprefix("tab-") for tab_id in ids] or ["overview"]


def _wait_until_drawn(page: Page) -> None:
    expect(page.get_by_role("region").first).to_be_visible(timeout=30_000)
    page.wait_for_load_state("networkidle")
    expect(page.locator("[aria-busy=true]")).to_have_count(0, timeout=30_000)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.local.screenshots")
    parser.add_argument("--out", type=Path, default=IMAGES)
    for path in take(parser.parse_args().out):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
