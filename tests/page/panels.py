"""The panels of the page, a row each: what feeds them and the states they can be seen in.

`FED` drives test_failures.py, `SHOWN` drives test_accessibility.py. Whoever builds a panel adds rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

from tests.page.department import Department

CUSTOMER = "Why is this customer (not) there?"


def panel(page: Page, name: str) -> Locator:
    """A panel: a region whose name is its heading."""
    return page.get_by_role("region", name=name, exact=True)


@dataclass(frozen=True, slots=True)
class Fed:
    """A panel and the call it gets its data by. `call` is a glob; `words` are in the panel once data are there.

    `item`: what of the department the view shows, such as a run's id.
    """

    panel: str
    view: str
    call: str
    words: str
    item: Callable[[Department], str] = lambda department: ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel in a state. `reach` brings the opened page there and returns once it is seen."""

    panel: str
    state: str
    view: str
    reach: Callable[[Page, Department], None]
    connected: bool = True
    access: str = "write"
    item: Callable[[Department], str] = lambda department: ""


def seen(name: str, words: str) -> Callable[[Page, Department], None]:
    """The state is reached when the panel says these words."""
    return lambda page, department: expect(panel(page, name)).to_contain_text(words)


# Connection Status


def _key_is_wrong(page: Page, department: Department) -> None:
    found = panel(page, "Connection Status")
    found.get_by_role("textbox", name="Mailchimp API key").fill("nonsense")
    found.get_by_role("button", name="Connect").click()
    expect(found).to_contain_text("This is not a Mailchimp API key.")


def _where_is_the_key(page: Page, department: Department) -> None:
    found = panel(page, "Connection Status")
    found.get_by_text("Where do I find my API key?").click()
    expect(found).to_contain_text("Click Create A Key.")


def _replacing(page: Page, department: Department) -> None:
    found = panel(page, "Connection Status")
    found.get_by_role("button", name="Replace key").click()
    expect(found.get_by_role("textbox", name="Mailchimp API key")).to_be_focused()


def _disconnecting(page: Page, department: Department) -> None:
    panel(page, "Connection Status").get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("dialog", name="Disconnect Mailchimp?")).to_be_visible()


def _cut_off(page: Page, department: Department) -> None:
    expect(panel(page, "Connection Status")).to_contain_text("Connected")
    page.route("**/panel", lambda route: route.abort())
    page.reload()
    expect(panel(page, "Connection Status").get_by_role("alert")).to_be_visible()


# One sync, Customer


def _newest_run(department: Department) -> str:
    return str(department.call("GET", "/panel")["newest_run"]["id"])


def _some_customer(department: Department) -> str:
    return str(department.call("GET", "/customers?query=an")["items"][0]["customer_id"])


def _found(page: Page, department: Department) -> None:
    found = panel(page, CUSTOMER)
    found.get_by_role("searchbox").fill("an")
    found.get_by_role("button", name="Find").click()
    expect(found.get_by_role("list", name="Customers found")).to_be_visible()


def _erasing(page: Page, department: Department) -> None:
    panel(page, CUSTOMER).get_by_role("button", name="Erase this customer").click()
    expect(page.get_by_role("dialog", name="Erase this customer for good?")).to_be_visible()


# Settings


def _limit_is_wrong(page: Page, department: Department) -> None:
    found = panel(page, "Settings")
    found.get_by_role("textbox", name="Removals, number").fill("many")
    found.get_by_role("button", name="Save settings").click()
    expect(found).to_contain_text("Enter a whole number")


FED = [
    Fed("Connection Status", "overview", "**/panel", "Connected"),
    Fed("One sync", "sync", "**/syncs/*/records*", "Started", item=_newest_run),
    Fed(CUSTOMER, "customer", "**/customers/*", "History of consent", item=_some_customer),
    Fed("Reconciliation", "reconciliation", "**/reconciliation", "Customers in PracBill"),
]

SHOWN = [
    Shown(
        "Connection Status", "not connected", "overview", seen("Connection Status", "Not connected"), connected=False
    ),
    Shown("Connection Status", "where the key is", "overview", _where_is_the_key, connected=False),
    Shown("Connection Status", "a key that is none", "overview", _key_is_wrong, connected=False),
    Shown("Connection Status", "connected", "overview", seen("Connection Status", "Connected")),
    Shown("Connection Status", "replacing the key", "overview", _replacing),
    Shown("Connection Status", "asked whether to disconnect", "overview", _disconnecting),
    Shown("Connection Status", "failed", "overview", _cut_off),
    Shown("Connection Status", "read access", "overview", seen("Connection Status", "read access"), access="read"),
    Shown("Settings", "to be changed", "overview", seen("Settings", "Unknown consent")),
    Shown("Settings", "a limit that is none", "overview", _limit_is_wrong),
    Shown("Settings", "read access", "overview", seen("Settings", "Unknown consent"), access="read"),
    Shown("One sync", "its customers", "sync", seen("One sync", "Started"), item=_newest_run),
    Shown(CUSTOMER, "nobody chosen", "customer", seen(CUSTOMER, "Find a customer")),
    Shown(CUSTOMER, "found", "customer", _found),
    Shown(CUSTOMER, "shown", "customer", seen(CUSTOMER, "History of consent"), item=_some_customer),
    Shown(CUSTOMER, "asked whether to erase", "customer", _erasing, item=_some_customer),
    Shown("Reconciliation", "its reasons", "reconciliation", seen("Reconciliation", "Customers in PracBill")),
]
