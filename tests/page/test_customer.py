"""Why a customer is, or is not, there: found by name, shown with all it rests on, erased once the id was typed."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import OwnHost, open_page
from tests.page.panels import panel

pytestmark = pytest.mark.stack

TITLE = "Why is this customer (not) there?"


@pytest.fixture
def synced(connected: Department) -> Department:
    """Connected, with customers read from PracBill."""
    if connected.call("GET", "/customers?query=an")["items"] == []:
        connected.call("POST", "/syncs", {"type": "full"})
        connected.rest()
    return connected


def someone(department: Department) -> dict[str, Any]:
    """A customer of the department with an address that nobody shares: who is looked for by it is shown at once."""
    items = department.call("GET", "/customers?query=an")["items"]
    return dict(next(one for one in items if one["email"] and is_found_alone(department, one["email"])))


def is_found_alone(department: Department, email: str) -> bool:
    return len(department.call("GET", f"/customers?query={quote(email)}")["items"]) == 1


def gist(verdict: str) -> str:
    """What the service's verdict begins with; the page goes on in words of its own."""
    return re.split(r"[:.]", verdict)[0]


def test_a_customer_is_found_by_address_and_by_name(page: Page, stack: LocalStack, synced: Department) -> None:
    customer = someone(synced)
    known = synced.call("GET", f"/customers/{quote(customer['customer_id'])}")
    open_page(page, stack, view="customer")
    shown = panel(page, TITLE)
    search = shown.get_by_role("searchbox", name="Name, company, e-mail address or id")
    shown.get_by_role("button", name="Find").click()
    expect(search).to_be_focused()
    expect(shown).to_contain_text("Type what you look for.")

    search.fill(customer["email"])
    search.press("Enter")
    expect(shown).to_contain_text(gist(known["verdict"]))
    expect(shown).to_contain_text(customer["email"])
    expect(shown.get_by_role("heading", name="History of consent")).to_be_visible()
    assert f"item={quote(customer['customer_id'])}" in page.url

    search.fill("an")
    shown.get_by_role("button", name="Find").click()
    found = shown.get_by_role("list", name="Customers found")
    expect(found.get_by_role("listitem").filter(has_text=customer["email"])).to_have_count(1)
    found.get_by_role("listitem").filter(has_text=customer["email"]).get_by_role("button").click()
    expect(shown).to_contain_text(gist(known["verdict"]))
    expect(shown.get_by_role("heading", name=TITLE)).to_be_focused()

    search.fill("nobody-of-this-name")
    search.press("Enter")
    expect(shown).to_contain_text("No customer fits.")


def test_an_id_that_is_none_is_said_and_the_search_stays(page: Page, stack: LocalStack, synced: Department) -> None:
    open_page(page, stack, view="customer", item="no-such-customer")
    shown = panel(page, TITLE)
    expect(shown.get_by_role("alert")).to_contain_text("No customer with the id no-such-customer is stored here.")
    expect(shown.get_by_role("alert")).to_contain_text("Check the id, or search by name or e-mail address.")
    expect(shown.get_by_role("alert")).to_contain_text("erased is no longer stored")
    expect(shown.get_by_role("searchbox")).to_be_visible()


def test_reading_shows_the_customer_and_erases_nobody(page: Page, stack: LocalStack, synced: Department) -> None:
    customer = someone(synced)
    open_page(page, stack, view="customer", item=customer["customer_id"], access="read")
    expect(panel(page, TITLE)).to_contain_text(customer["email"])
    expect(panel(page, TITLE).get_by_role("button", name="Erase this customer")).to_have_count(0)


def show_beside(page: Page, own_host: OwnHost, synced: Department, customer: str) -> None:
    """The look-up on the host's own page of a customer."""
    api, department = synced.stack.api_url, synced.stack.department_id
    own_host.open(
        page,
        "<div hidden>ELEMENT</div><pracbill-mailchimp-customer"
        f' department="{department}" api="{api}" customer="{customer}"></pracbill-mailchimp-customer>',
    )
    page.evaluate(
        "() => { document.querySelector('pracbill-mailchimp-customer').getToken ="
        " document.querySelector('pracbill-mailchimp').getToken; }"
    )


def test_signed_in_again_the_look_up_goes_on(page: Page, own_host: OwnHost, synced: Department) -> None:
    customer = someone(synced)
    for call in ("**/panel", "**/customers/*"):
        page.route(call, lambda route: route.fulfill(status=401, headers={"Access-Control-Allow-Origin": "*"}))
    show_beside(page, own_host, synced, customer["customer_id"])
    again = page.locator("pracbill-mailchimp-customer").get_by_role("button", name="Sign in again")
    expect(again).to_be_visible()
    for call in ("**/panel", "**/customers/*"):
        page.unroute(call)
    again.click()
    expect(panel(page, TITLE)).to_contain_text(customer["email"])


def test_beside_a_customer_of_the_host_and_erased_only_when_typed(
    page: Page, own_host: OwnHost, synced: Department
) -> None:
    known = someone(synced)
    customer = known["customer_id"]
    show_beside(page, own_host, synced, customer)
    shown = panel(page, TITLE)
    expect(shown).to_contain_text(known["email"])
    expect(shown).to_contain_text(gist(synced.call("GET", f"/customers/{quote(customer)}")["verdict"]))
    expect(shown.get_by_role("searchbox")).to_have_count(0)

    shown.get_by_role("button", name="Erase this customer").click()
    dialog = page.get_by_role("dialog", name="Erase this customer for good?")
    expect(dialog.get_by_role("button", name="Keep the customer")).to_be_focused()
    dialog.get_by_role("button", name="Erase for good").click()
    expect(dialog).to_contain_text("This is not the id.")
    assert synced.call("GET", f"/customers/{quote(customer)}")["member_status"] != "forgotten"

    dialog.get_by_role("textbox").fill(customer)
    dialog.get_by_role("button", name="Erase for good").click()
    expect(dialog).to_be_hidden()
    expect(shown.get_by_role("status")).to_contain_text("erased")
    expect(shown.get_by_role("heading", name=TITLE)).to_be_focused()
    expect(shown).not_to_contain_text(known["email"])
    page.goto("about:blank")
    show_beside(page, own_host, synced, customer)
    expect(shown.get_by_role("alert")).to_contain_text("Check the id. A customer who is new")
    expect(shown.get_by_role("alert")).to_contain_text("erased is no longer stored")
