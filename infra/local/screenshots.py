"""Pictures of the page for the README: every panel, light and dark, and the first view on a phone.

    python -m infra.local.screenshots [--out docs/images]

A department of its own is connected and synced first, with two segments, so that there is something to see. Only the
trend is told to the page: a stack that has just begun has no past.
"""

from __future__ import annotations

import argparse
import base64
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from infra.deploy import page as building
from infra.local.browser import find_browser
from infra.local.demonstration import api_key_of, open_api
from infra.local.journey import Api, Journey
from infra.local.servers import ExternalServers
from infra.local.stack import LocalStack

IMAGES = building.PROJECT / "docs" / "images"
_WIDE, _NARROW = 900, 360
_WAIT_MS = 60_000
_SEGMENTS = (
    ("Active customers in Victoria", [("state", "equals", "VIC"), ("inactive", "equals", "0")]),
    ("No invoice in the last 6 months", [("has_invoice_in_last_months", "is_not", 6)]),
)


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture: the view and item that are opened, and what is done until `panel`, alone, is as it should be."""

    name: str
    panel: str
    view: str
    prepare: Callable[[Page], None] = lambda page: None
    item: str = ""


def take(out: Path = IMAGES, *, customers: int = 400) -> list[Path]:
    """Take all pictures. Returns their files."""
    building.build()
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalStack(Path(folder), latency=False, customers=customers, host=True) as stack,
    ):
        api = prepare(stack)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(**find_browser().launch_options())
            try:
                return list(_pictures(browser, stack, api, out))
            finally:
                browser.close()


def prepare(stack: LocalStack) -> Api:
    """Connect, sync, and make the segments."""
    servers = ExternalServers()
    api = open_api(stack, servers)
    journey = Journey(api, say=lambda line: None)
    journey.travel(api_key_of(stack, servers))
    for name, rules in _SEGMENTS:
        written = [{"field": field, "operator": operator, "value": value} for field, operator, value in rules]
        api.call("POST", "D/segments", {"name": name, "rules": written})
    journey.travel(api_key_of(stack, servers))
    return api


def _pictures(browser: Browser, stack: LocalStack, api: Api, out: Path) -> Iterator[Path]:
    for theme in ("light", "dark"):
        with_theme = _Camera(browser, stack, out, theme)
        for shot in _shots(api):
            yield with_theme.take(shot)
        yield with_theme.take_overview("overview", _WIDE)
        yield with_theme.take_overview("overview-narrow", _NARROW)
    with _sync_under_way(stack, api):
        for theme in ("light", "dark"):
            yield _Camera(browser, stack, out, theme).take(Shot("sync", "Sync", "sync", _shows("Sending changes")))


class _Camera:
    """Opens the page in one theme and takes pictures of it."""

    def __init__(self, browser: Browser, stack: LocalStack, out: Path, theme: str) -> None:
        self._browser = browser
        self._host_url = stack.host_url
        self._out = out
        self._theme = theme

    def take(self, shot: Shot) -> Path:
        page = self._open(shot.view, shot.item, _WIDE)
        shot.prepare(page)
        path = self._path(shot.name)
        panel = page.get_by_role("region", name=shot.panel, exact=True)
        expect(panel).to_have_attribute("aria-busy", "false", timeout=_WAIT_MS)
        _write(self._browser, panel.screenshot(), path)
        page.close()
        return path

    def take_overview(self, name: str, width: int) -> Path:
        """The top of the page, down to the audience."""
        page = self._open("overview", "", width)
        element, last = page.locator("pracbill-mailchimp"), page.get_by_role("region", name="Audience Overview")
        top, bottom = element.bounding_box(), last.bounding_box()
        assert top is not None and bottom is not None
        path = self._path(name)
        clip = {**top, "height": bottom["y"] + bottom["height"] - top["y"] + 16}
        _write(self._browser, page.screenshot(clip=clip, full_page=True), path)  # type: ignore[arg-type]
        page.close()
        return path

    def _open(self, view: str, item: str, width: int) -> Page:
        page = self._browser.new_page(
            viewport={"width": width, "height": 900},
            locale="en-AU",
            timezone_id="Australia/Melbourne",
            reduced_motion="reduce",
        )
        page.set_default_timeout(_WAIT_MS)
        page.route("**/history?*", lambda route: route.fulfill(json=_history(), headers=_ANY_ORIGIN))
        place = urlencode({"view": view, **({"item": item} if item else {})})
        page.goto(f"{self._host_url}/?theme={self._theme}#{place}")
        _wait_until_drawn(page)
        return page

    def _path(self, name: str) -> Path:
        return self._out / f"{name}-{self._theme}.png"


def _shots(api: Api) -> list[Shot]:
    sent = next(run for run in api.call("GET", "D/syncs?limit=50")["items"] if run["counts"].get("refused"))
    return [
        Shot("settings", "Settings", "overview"),
        Shot("trend", "Trend", "overview"),
        Shot("segments", "Segments", "segments"),
        Shot("builder", "Segments", "segments", _build),
        Shot("logs", "Sync Logs", "logs"),
        Shot("run", "One sync", "sync", _choose_refused, item=sent["id"]),
        Shot("customer", "Why is this customer (not) there?", "customer", item=_member(api)),
        Shot("reconciliation", "Reconciliation", "reconciliation"),
    ]


def _member(api: Api) -> str:
    """Somebody who is subscribed."""
    for found in api.call("GET", "D/customers?query=an")["items"]:
        if api.call("GET", f"D/customers/{found['customer_id']}")["member_status"] == "subscribed":
            return str(found["customer_id"])
    raise LookupError("nobody found is subscribed")


def _build(page: Page) -> None:
    page.get_by_role("button", name="Create Segment").click()
    page.get_by_role("textbox", name="Segment Name").fill("Owing businesses in Victoria")
    _write_rule(page.get_by_role("group", name="Rule 1"), "State", "VIC")
    page.get_by_role("button", name="Add a rule").click()
    _write_rule(page.get_by_role("group", name="Rule 2"), "Balance Greater Than", "100")
    page.get_by_role("button", name="Preview", exact=True).click()
    preview = page.get_by_role("group", name="Preview")
    expect(preview).to_contain_text("Each rule alone", timeout=_WAIT_MS)
    expect(preview).to_have_attribute("aria-busy", "false", timeout=_WAIT_MS)


def _write_rule(rule: Locator, field: str, value: str) -> None:
    rule.get_by_role("combobox", name="Field").select_option(field)
    rule.get_by_role("textbox", name="Value").or_(rule.get_by_role("combobox", name="Value")).fill(value)


def _choose_refused(page: Page) -> None:
    """Those whom Mailchimp refused: few enough for a picture."""
    page.get_by_role("combobox", name="Outcome").select_option("refused")
    customers = page.get_by_role("table", name="Customers")
    expect(customers).not_to_contain_text("Held back", timeout=_WAIT_MS)


def _shows(words: str) -> Callable[[Page], None]:
    return lambda page: expect(page.get_by_role("region").first).to_contain_text(words, timeout=_WAIT_MS)


# the trend


_ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}


def _history() -> dict[str, Any]:
    """Four weeks of a practice that grows."""
    today, members, items = datetime.now(tz=UTC).date(), 1180, []
    for ago in range(27, -1, -1):
        added, opted_out = (7 * ago) % 11 + 3, (5 * ago) % 4
        members += added - opted_out
        day = (today - timedelta(days=ago)).isoformat()
        items.append(
            {"date": day, "members": members, "customers": members + 240, "added": added, "opted_out": opted_out}
        )
    return {"items": items, "timezone": "Australia/Melbourne"}


# a sync under way


@contextmanager
def _sync_under_way(stack: LocalStack, api: Api) -> Iterator[None]:
    """While it lasts, a sync of many new customers waits for Mailchimp with some of its chunks done."""
    pracbill, mailchimp = stack.pracbill["control_url"], stack.mailchimp["control_url"]
    _pull(f"{pracbill}/departments/{stack.department_id}/generate", {"count": 1600, "seed": 5})
    _pull(f"{mailchimp}/inject_fault", {"method": "POST", "path": "/lists/*", "kind": "hold", "skip": 2})
    run = api.call("POST", "D/syncs", {"type": "full"})["id"]
    deadline = time.monotonic() + _WAIT_MS / 1000
    while not _is_half_sent(api.call("GET", f"D/syncs/{run}")):
        if time.monotonic() > deadline:
            raise TimeoutError("the sync does not get on")
        time.sleep(0.2)
    yield
    _pull(f"{mailchimp}/clear_faults", {})


def _is_half_sent(run: dict[str, Any]) -> bool:
    return bool(run["phase"] == "apply" and run["progress"]["done"])


def _pull(lever: str, body: dict[str, Any]) -> None:
    session = requests.Session()
    session.trust_env = False
    session.post(lever, json=body, timeout=60).raise_for_status()


def _write(browser: Browser, png: bytes, path: Path) -> None:
    """With a palette of 256 colours, which is all that a page without photographs needs, in a third of the bytes."""
    blank = browser.new_page()
    found = blank.evaluate(_REDUCE, base64.b64encode(png).decode())
    blank.close()
    width, height = found["width"], found["height"]
    colours, pixels = base64.b64decode(found["palette"]), base64.b64decode(found["pixels"])
    rows = b"".join(b"\0" + pixels[at : at + width] for at in range(0, width * height, width))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # eight bits a pixel, by palette
    chunks = ((b"IHDR", header), (b"PLTE", colours), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


# The picture's most frequent colours, and for each pixel the nearest of them.
_REDUCE = """async (png) => {
  const picture = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const { width, height } = picture;
  const canvas = new OffscreenCanvas(width, height).getContext('2d');
  canvas.drawImage(picture, 0, 0);
  const pixels = new Uint32Array(canvas.getImageData(0, 0, width, height).data.buffer);
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const parts = (colour) => [colour & 255, (colour >> 8) & 255, (colour >> 16) & 255];
  const palette = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([colour]) => parts(colour));
  const nearest = new Map();
  for (const colour of counts.keys()) {
    const of = parts(colour);
    const far = palette.map((one) => one.reduce((sum, part, at) => sum + (part - of[at]) ** 2, 0));
    nearest.set(colour, far.indexOf(Math.min(...far)));
  }
  const base64 = (bytes) => {
    let text = '';
    for (const byte of bytes) text += String.fromCharCode(byte);
    return btoa(text);
  };
  const indexes = [...pixels].map((pixel) => nearest.get(pixel));
  return { width, height, palette: base64(palette.flat()), pixels: base64(indexes) };
}"""


def _wait_until_drawn(page: Page) -> None:
    expect(page.get_by_role("region").first).to_be_visible(timeout=_WAIT_MS)
    page.wait_for_load_state("networkidle")
    expect(page.locator("[aria-busy=true]")).to_have_count(0, timeout=_WAIT_MS)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.local.screenshots")
    parser.add_argument("--out", type=Path, default=IMAGES)
    for path in take(parser.parse_args().out):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
