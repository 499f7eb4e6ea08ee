"""The panels of the page, a row each: what feeds them and the states they can be seen in.

`FED` drives test_failures.py, `SHOWN` drives test_accessibility.py. Whoever builds a panel adds rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Locator, Page, Route, expect

from tests.page.department import Department

CUSTOMER = "Why is this customer (not) there?"


def panel(page: Page, name: str) -> Locator:
    """A panel: a region whose name is its heading."""
    return page.get_by_role("region", name=name, exact=True)


@dataclass(frozen=True, slots=True)
class Fed:
    """A panel and the call it gets its data by. `call` is a glob; `words` are in the panel once data are there.

    `item`: what of the department the view shows, such as a run's id. `led_by`: the panel above it that says that the
    data are awaited, where this one comes with them. `given`: what the page is told in place of the stack's own.
    """

    panel: str
    view: str
    call: str
    words: str
    item: Callable[[Department], str] = lambda department: ""
    led_by: str = ""
    given: Callable[[Page], None] = lambda page: None


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel in a state. `reach` brings the opened page there and returns once it is seen.

    `given`: what the page is told in place of the stack's own.
    """

    panel: str
    state: str
    view: str
    reach: Callable[[Page, Department], None]
    connected: bool = True
    access: str = "write"
    item: Callable[[Department], str] = lambda department: ""
    given: Callable[[Page], None] = lambda page: None


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
    _synced(department)
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


# Audience Overview


def _choosing(page: Page, department: Department) -> None:
    found = panel(page, "Audience Overview")
    found.get_by_role("button", name="Choose another audience").click()
    expect(found.get_by_role("combobox", name="Audience")).to_be_focused()


def _audience_is_wrong(page: Page, department: Department) -> None:
    _choosing(page, department)
    found = panel(page, "Audience Overview")
    found.get_by_role("button", name="Create Audience").click()
    found.get_by_role("textbox", name="From Email").fill("nobody")
    found.get_by_role("button", name="Create", exact=True).click()
    expect(found).to_contain_text("This is not an e-mail address.")


# Segments

_IN_VICTORIA = {
    "name": "Customers in Victoria",
    "rules": [{"field": "state", "operator": "equals", "value": "VIC"}],
}


def _listed(page: Page, department: Department) -> None:
    if _IN_VICTORIA["name"] not in [one["name"] for one in department.call("GET", "/panel")["segments"]]:
        department.call("POST", "/segments", _IN_VICTORIA)
        department.rest()
        page.reload()
    expect(panel(page, "Segments")).to_contain_text('State Equals "VIC"')


def _no_segment(page: Page, department: Department) -> None:
    _tell(page, lambda known: known | {"segments": []})
    expect(panel(page, "Segments")).to_contain_text("There is no segment yet.")


def _building(page: Page, department: Department) -> None:
    panel(page, "Segments").get_by_role("button", name="Create Segment").click()
    editor = panel(page, "Create a segment")
    editor.get_by_role("combobox", name="Field").select_option("State")
    editor.get_by_role("combobox", name="Value").fill("VIC")
    editor.get_by_role("button", name="Add a rule").click()
    editor.get_by_role("button", name="Remove rule 2").click()
    expect(editor.get_by_role("group", name="Preview")).to_contain_text("can be mailed")


def _segment_is_wrong(page: Page, department: Department) -> None:
    panel(page, "Segments").get_by_role("button", name="Create Segment").click()
    editor = panel(page, "Create a segment")
    editor.get_by_role("button", name="Save").click()
    expect(editor).to_contain_text("Give the segment a name.")


def _deleting(page: Page, department: Department) -> None:
    _listed(page, department)
    panel(page, "Segments").get_by_role("button", name="Delete ").first.click()
    expect(page.get_by_role("dialog", name="Delete the segment ")).to_be_visible()


# Sync, Sync Logs


def _tell(page: Page, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The page is told what the service knows, changed, from now on."""

    def answer(route: Route) -> None:
        real = route.fetch()
        route.fulfill(response=real, json=change(real.json()))

    page.route("**/panel", answer)
    page.reload()


def _synced(department: Department) -> None:
    """A sync has ended and has written its entry."""
    if department.call("GET", "/panel")["newest_run"] is None:
        department.call("POST", "/syncs", {"type": "full"})
        department.rest()


def _tell_of_run(page: Page, department: Department, **changes: Any) -> None:
    """The newest run is told as it may be for a moment only."""
    _synced(department)
    run: dict[str, Any] = department.call("GET", "/panel")["newest_run"] | {"finished_at": None} | changes
    page.route("**/syncs/*", lambda route: route.fulfill(json=run, headers={"Access-Control-Allow-Origin": "*"}))
    _tell(page, lambda known: known | {"newest_run": run})


def _running(page: Page, department: Department) -> None:
    progress = {"planned": 4000, "done": 1500, "failed": 2, "rate": 40.0, "eta": "2026-01-05T03:00:00Z"}
    _tell_of_run(page, department, status="running", phase="apply", dry_run=False, progress=progress)
    expect(panel(page, "Sync")).to_contain_text("A sync is running.")


def _waiting_for_approval(page: Page, department: Department) -> None:
    _tell_of_run(page, department, status="awaiting_approval", phase="approval", message="200 removals were planned.")
    expect(panel(page, "Sync")).to_contain_text("This sync waits for your approval")


def _ended(page: Page, department: Department) -> None:
    _synced(department)
    page.reload()
    expect(panel(page, "Sync")).to_contain_text("Last sync")


def _entries(page: Page, department: Department) -> None:
    _synced(department)
    page.reload()
    expect(panel(page, "Sync Logs").get_by_role("row").filter(has_text="Push").first).to_be_visible()


def _no_hit(page: Page, department: Department) -> None:
    page.route(
        "**/logs?*direction=pull*",
        lambda route: route.fulfill(
            json={"items": [], "next_cursor": None}, headers={"Access-Control-Allow-Origin": "*"}
        ),
    )
    panel(page, "Sync Logs").get_by_role("combobox", name="Direction").select_option("Pull (from Mailchimp)")
    expect(panel(page, "Sync Logs")).to_contain_text("No entry fits these filters.")


# Trend


def _days(page: Page) -> None:
    """The history of some weeks, which no stack of a test has."""
    days = [
        {"date": f"2026-11-{day:02}", "members": 1000 + 7 * day, "customers": 2000, "added": 9, "opted_out": day % 3}
        for day in range(1, 29)
    ]
    answer = {"items": days, "timezone": "Australia/Melbourne"}
    page.route("**/history?*", lambda route: route.fulfill(json=answer, headers={"Access-Control-Allow-Origin": "*"}))


def _trend_in_numbers(page: Page, department: Department) -> None:
    panel(page, "Trend").get_by_text("The numbers, day by day").click()
    expect(panel(page, "Trend").get_by_role("table")).to_be_visible()


# The overview: each panel of it as one sees it first.


def _nothing_beside(page: Page, department: Department) -> None:
    expect(panel(page, "Connection Status")).to_contain_text("Not connected")
    expect(panel(page, "Audience Overview")).to_contain_text("Connect to")


def _all_beside(page: Page, department: Department) -> None:
    expect(panel(page, "Connection Status")).to_contain_text("Connected")
    expect(panel(page, "Audience Overview")).to_contain_text("Member Count")
    expect(panel(page, "Settings")).to_contain_text("Unknown consent")
    expect(panel(page, "Trend")).to_contain_text("Subscribed members")


FED = [
    Fed("Connection Status", "overview", "**/panel", "Connected"),
    Fed("One sync", "sync", "**/syncs/*/records*", "Started", item=_newest_run),
    Fed(CUSTOMER, "customer", "**/customers/*", "History of consent", item=_some_customer),
    Fed("Reconciliation", "reconciliation", "**/reconciliation", "Customers in PracBill"),
    Fed("Audience Overview", "overview", "**/panel", "Audience Name", led_by="Connection Status"),
    Fed("Settings", "overview", "**/panel", "Unknown consent", led_by="Connection Status"),
    Fed("Trend", "overview", "**/history*", "Subscribed members", given=_days),
    Fed("Segments", "segments", "**/panel", "Segments are groups of customers."),
    Fed("Sync", "sync", "**/panel", "Full Sync"),
    Fed("Sync Logs", "logs", "**/logs?*", "Direction"),
]

SHOWN = [
    Shown("Connection Status", "not connected", "overview", _nothing_beside, connected=False),
    Shown("Connection Status", "where the key is", "overview", _where_is_the_key, connected=False),
    Shown("Connection Status", "a key that is none", "overview", _key_is_wrong, connected=False),
    Shown("Connection Status", "connected", "overview", _all_beside, given=_days),
    Shown("Connection Status", "replacing the key", "overview", _replacing),
    Shown("Connection Status", "asked whether to disconnect", "overview", _disconnecting),
    Shown("Connection Status", "failed", "overview", _cut_off),
    Shown("Connection Status", "read access", "overview", seen("Connection Status", "read access"), access="read"),
    Shown("Settings", "a limit that is none", "overview", _limit_is_wrong),
    Shown("Settings", "read access", "overview", seen("Settings", "Unknown consent"), access="read"),
    Shown("Trend", "in numbers", "overview", _trend_in_numbers, given=_days),
    Shown("One sync", "its customers", "sync", seen("One sync", "Started"), item=_newest_run),
    Shown(CUSTOMER, "nobody chosen", "customer", seen(CUSTOMER, "Find a customer")),
    Shown(CUSTOMER, "found", "customer", _found),
    Shown(CUSTOMER, "shown", "customer", seen(CUSTOMER, "History of consent"), item=_some_customer),
    Shown(CUSTOMER, "asked whether to erase", "customer", _erasing, item=_some_customer),
    Shown("Reconciliation", "its reasons", "reconciliation", seen("Reconciliation", "Customers in PracBill")),
    Shown("Audience Overview", "choosing another", "overview", _choosing),
    Shown("Audience Overview", "a new one that is incomplete", "overview", _audience_is_wrong),
    Shown("Audience Overview", "read access", "overview", seen("Audience Overview", "Member Count"), access="read"),
    Shown("Segments", "listed", "segments", _listed),
    Shown("Segments", "none yet", "segments", _no_segment),
    Shown("Segments", "built, with a preview", "segments", _building),
    Shown("Segments", "built, incomplete", "segments", _segment_is_wrong),
    Shown("Segments", "asked whether to delete", "segments", _deleting),
    Shown("Segments", "read access", "segments", _listed, access="read"),
    Shown("Sync", "ended", "sync", _ended),
    Shown("Sync", "running", "sync", _running),
    Shown("Sync", "waiting for approval", "sync", _waiting_for_approval),
    Shown("Sync", "read access", "sync", _ended, access="read"),
    Shown("Sync Logs", "entries", "logs", _entries),
    Shown("Sync Logs", "no hit", "logs", _no_hit),
]
