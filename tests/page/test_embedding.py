"""The page in other people's pages: strict policies, hostile styles, loaded twice, moved, removed, served by us."""

from __future__ import annotations

import re

import pytest
import requests
from playwright.sync_api import Page, expect

from chalicelib import __version__
from chalicelib.page import BUNDLE
from infra.deploy.page import integrity
from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import SCRIPT, OwnHost, open_page, watch

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("context")]

SERVED = f"/page/pracbill-mailchimp-{__version__}.js"


def expect_to_work(page: Page) -> None:
    expect(page.get_by_role("region", name="Connection Status")).to_contain_text("Connected")


def fetch(url: str) -> requests.Response:
    session = requests.Session()
    session.trust_env = False
    return session.get(url, headers={"Origin": "https://somewhere.example"}, timeout=60)


def test_it_works_under_the_strict_policy_without_a_complaint_and_asks_nobody_else(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    seen = watch(page)
    open_page(page, stack)
    expect_to_work(page)
    assert seen.complaints == []
    elsewhere = [url for url in seen.requests if not url.startswith((stack.host_url, stack.api_url))]
    assert elsewhere == []
    page.wait_for_load_state("networkidle")
    department = f"{stack.api_url}{connected.path}"
    asked = [url for url in seen.requests if url.startswith(stack.api_url)]
    assert asked == [f"{department}/panel", f"{department}/history?days=90"]


def test_loaded_twice_the_first_one_stays(
    page: Page, own_host: OwnHost, stack: LocalStack, connected: Department
) -> None:
    seen = watch(page)
    again = SCRIPT.replace(".js", ".js?again")
    own_host.open(page, "ELEMENT", head=SCRIPT + again)
    expect_to_work(page)
    assert seen.complaints == []


def test_in_a_flex_row_it_takes_the_room_there_is(
    page: Page, own_host: OwnHost, stack: LocalStack, connected: Department
) -> None:
    own_host.open(page, "<div id='row'>ELEMENT</div>", css="#row { display: flex }")
    expect_to_work(page)
    box = page.locator("pracbill-mailchimp").bounding_box()
    assert box is not None and box["width"] > 1000


@pytest.mark.parametrize(
    "css",
    [
        "html { font-size: 62.5% }",
        "* { letter-spacing: 0.4em; text-transform: uppercase; text-align: right }",
        "* { white-space: nowrap; text-indent: 3em }",
        "* { font: 40px serif !important; line-height: 3 !important }",
    ],
)
def test_styles_of_the_host_change_nothing_inside(
    page: Page, own_host: OwnHost, stack: LocalStack, connected: Department, css: str
) -> None:
    def look() -> tuple[str, ...]:
        expect_to_work(page)
        heading = page.get_by_role("heading", name="Connection Status")
        names = ("fontSize", "letterSpacing", "textTransform", "textAlign", "whiteSpace", "textIndent", "lineHeight")
        found: list[str] = heading.evaluate("(e, names) => names.map((n) => getComputedStyle(e)[n])", list(names))
        return tuple(found)

    own_host.open(page, "ELEMENT")
    plain = look()
    own_host.open(page, "ELEMENT", css=css)
    assert look() == plain


def test_moved_it_keeps_what_was_typed_and_removed_it_asks_nothing_more(
    page: Page, own_host: OwnHost, stack: LocalStack, department: Department
) -> None:
    own_host.open(page, "<div id='there'></div>ELEMENT")
    key = page.get_by_role("textbox", name="Mailchimp API key")
    key.fill("half a key")
    page.evaluate("document.querySelector('#there').append(document.querySelector('pracbill-mailchimp'))")
    expect(key).to_have_value("halfakey")
    page.evaluate("window.gone = document.querySelector('pracbill-mailchimp'); window.gone.remove()")
    seen = watch(page)
    page.wait_for_timeout(300)
    assert seen.requests == []
    page.evaluate("document.querySelector('#there').append(window.gone)")
    expect(page.get_by_role("region", name="Connection Status")).to_contain_text("Not connected")
    assert [url for url in seen.requests if url.endswith("/panel")]


def test_a_host_that_forgets_something_is_told(page: Page, own_host: OwnHost, stack: LocalStack) -> None:
    page.clock.install()
    own_host.open(page, "<pracbill-mailchimp department='north'></pracbill-mailchimp>")
    page.wait_for_function("customElements.get('pracbill-mailchimp') !== undefined")
    page.clock.fast_forward(6_000)
    expect(page.get_by_text("The page does not know which department to show")).to_be_visible()


def test_a_view_that_is_none_is_the_first_one(page: Page, stack: LocalStack, connected: Department) -> None:
    open_page(page, stack, view="nowhere")
    expect_to_work(page)


def test_the_service_serves_what_was_built_to_keep_for_a_year(stack: LocalStack) -> None:
    answer = fetch(stack.api_url + SERVED)
    assert answer.status_code == 200
    assert answer.content == BUNDLE.read_bytes()
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_loaded_from_the_service_with_its_hash(
    page: Page, own_host: OwnHost, stack: LocalStack, connected: Department
) -> None:
    own_host.open(page, "ELEMENT", head=served_script(stack, integrity(BUNDLE)))
    expect_to_work(page)


def test_a_script_that_is_not_the_promised_one_is_refused(
    page: Page, own_host: OwnHost, stack: LocalStack, connected: Department
) -> None:
    seen = watch(page)
    own_host.open(page, "ELEMENT", head=served_script(stack, "sha384-" + "A" * 64))
    expect(page.get_by_role("heading", name="A host")).to_be_visible()
    page.wait_for_function("performance.getEntriesByType('resource').some((e) => e.name.includes('/page/'))")
    assert not page.evaluate("customElements.get('pracbill-mailchimp') !== undefined")
    page.wait_for_timeout(100)
    assert any(re.search("integrity", complaint) for complaint in seen.complaints), seen.complaints


def served_script(stack: LocalStack, promised: str) -> str:
    return f'<script type="module" src="{stack.api_url}{SERVED}" integrity="{promised}" crossorigin></script>'
