"""The user guide from the API key to Disconnect, by mouse and by keyboard alone, in a department of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.page.department import Department
from tests.page.hands import Hands, Keyboard, Mouse
from tests.page.panels import CUSTOMER, panel

pytestmark = pytest.mark.stack

NEW_AUDIENCE = {
    "Audience Name": "Customer Newsletter",
    "From Name": "Hobart South",
    "From Email": "news@hobart-south.example",
    "Company": "Hobart South",
    "Address": "1 Liverpool Street",
    "City": "Hobart",
    "State": "TAS",
    "Postcode": "7000",
    "Country (two letters)": "AU",
}
SEGMENT = "Active Customers - Victoria"


@dataclass(frozen=True, slots=True)
class Traveller:
    """Somebody of the practice, in front of the page."""

    page: Page
    hands: Hands
    practice: Department

    def panel(self, name: str) -> Locator:
        return panel(self.page, name)

    def button(self, name: str, *, of: str) -> Locator:
        return self.panel(of).get_by_role("button", name=name, exact=True)

    def answer(self, question: str, yes: str) -> None:
        """Say yes to a question that begins harmlessly."""
        dialog = self.page.get_by_role("dialog", name=question)
        expect(dialog).to_be_visible()
        self.hands.press(dialog.get_by_role("button", name=yes, exact=True))
        expect(dialog).to_be_hidden()

    def sees_sync_end(self, status: str) -> None:
        expect(self.panel("Sync").get_by_role("heading", name="Last sync")).to_be_visible()
        expect(self.panel("Sync")).to_contain_text(status)


@pytest.fixture(params=["mouse", "keyboard"])
def traveller(request: pytest.FixtureRequest, page: Page) -> Iterator[Traveller]:
    """By mouse on the local stack, by keyboard as one process serves the page."""
    is_mouse = request.param == "mouse"
    stack, own_host = request.getfixturevalue("on_the_stack" if is_mouse else "in_one_process")
    practice = Department.found(stack, customers=40)
    own_host.open(page, "ELEMENT", department_id=practice.id)
    yield Traveller(page, Mouse() if is_mouse else Keyboard(page), practice)
    practice.mailchimp("clear_faults")


def test_the_guide_from_key_to_disconnect(traveller: Traveller) -> None:
    connect(traveller)
    create_audience(traveller)
    change_settings(traveller)
    sync_all_and_watch(traveller)
    build_segment(traveller)
    answer_the_brake(traveller)
    read_logs_down_to_a_customer(traveller)
    reconcile(traveller)
    delete_segment(traveller)
    disconnect(traveller)


def connect(one: Traveller) -> None:
    shown = one.panel("Connection Status")
    expect(shown).to_contain_text("Not connected")
    key = shown.get_by_role("textbox", name="Mailchimp API key")
    one.hands.write(key, one.practice.api_key)
    one.hands.send(key)
    expect(shown.get_by_role("heading", name="Connection Status")).to_be_focused()
    expect(shown).to_contain_text("Connected")
    expect(shown).to_contain_text("us7")
    expect(shown).to_contain_text("Last synced")


def create_audience(one: Traveller) -> None:
    shown = one.panel("Audience Overview")
    one.hands.press(one.button("Create Audience", of="Audience Overview"))
    for name, text in NEW_AUDIENCE.items():
        one.hands.write(shown.get_by_role("textbox", name=name, exact=True), text)
    one.hands.press(one.button("Create", of="Audience Overview"))
    expect(shown.get_by_role("heading", name="Audience Overview")).to_be_focused()
    for words in ("Customer Newsletter", "Member Count", "Segments", "Last Synced"):
        expect(shown).to_contain_text(words)
    one.hands.show(one.page, "Sync")
    one.sees_sync_end("Preview")  # the first look, which changes nothing
    one.hands.show(one.page, "Overview")


def change_settings(one: Traveller) -> None:
    shown = one.panel("Settings")
    unknown = shown.get_by_role("group", name="Unknown consent")
    one.hands.pick(unknown.get_by_role("radio", name="Leave out"))
    for limit in ("Removals, number", "Removals, percent of the audience"):
        one.hands.write(shown.get_by_role("textbox", name=limit), "0")
    one.hands.press(one.button("Save settings", of="Settings"))
    expect(shown.get_by_role("heading", name="Settings")).to_be_focused()
    kept = one.practice.call("GET", "/settings")
    assert (kept["unknown_consent"], kept["brake"]["removals"], kept["brake"]["removals_percent"]) == ("skip", 0, 0)


def sync_all_and_watch(one: Traveller) -> None:
    """Mailchimp is held in the midst, so that there is something to watch."""
    one.practice.mailchimp("inject_fault", method="POST", path="/lists/*", kind="hold")
    one.hands.show(one.page, "Sync")
    one.hands.press(one.button("Full Sync", of="Sync"))
    shown = one.panel("Sync")
    expect(shown).to_contain_text("A sync is running.")
    bar = shown.get_by_role("progressbar", name="Sending changes to Mailchimp")
    expect(bar).to_have_attribute("max", re.compile(r"^\d+$"))
    expect(shown).to_contain_text(re.compile(r"\d+ of \d+"))
    one.practice.mailchimp("clear_faults")
    one.sees_sync_end("Success")
    expect(one.button("Full Sync", of="Sync")).to_be_visible()


def build_segment(one: Traveller) -> None:
    one.hands.show(one.page, "Segments")
    one.hands.press(one.button("Create Segment", of="Segments"))
    editor = one.panel("Create a segment")
    expect(editor.get_by_role("textbox", name="Segment Name")).to_be_focused()
    one.hands.write(editor.get_by_role("textbox", name="Segment Name"), SEGMENT)
    write_rule(one, editor, 1, "State", "Equals")
    rule = editor.get_by_role("group", name="Rule 1")
    # A text field; it offers the practice's values where they were known when the builder was first shown.
    value = rule.get_by_role("textbox", name="Value").or_(rule.get_by_role("combobox", name="Value"))
    one.hands.write(value, "VIC")
    preview = editor.get_by_role("group", name="Preview")
    expect(preview).to_contain_text(re.compile(r"\d+ of \d+ customers · \d+ can be mailed"))  # by itself
    one.hands.press(editor.get_by_role("button", name="Add a rule"))
    write_rule(one, editor, 2, "Active/Inactive", "Equals")
    active = editor.get_by_role("group", name="Rule 2").get_by_role("combobox", name="Value")
    one.hands.choose(active, "Active")
    one.hands.press(editor.get_by_role("button", name="Preview", exact=True))
    expect(preview).to_contain_text("Each rule alone")
    one.hands.press(editor.get_by_role("button", name="Save", exact=True))
    shown = one.panel("Segments")
    edit = shown.get_by_role("button", name=f"Edit {SEGMENT}", exact=True)
    expect(edit).to_be_focused()
    expect(shown).to_contain_text('State Equals "VIC"')

    one.hands.press(edit)
    editor = one.panel("Edit the segment")
    one.hands.press(editor.get_by_role("button", name="Remove rule 2"))
    one.hands.press(editor.get_by_role("button", name="Cancel", exact=True))
    one.hands.refuse(one.page.get_by_role("dialog", name="Leave without saving?"), "Go on editing")
    expect(editor.get_by_role("group", name="Rule 1")).to_be_visible()
    one.hands.press(editor.get_by_role("button", name="Save", exact=True))
    expect(edit).to_be_focused()
    expect(shown).not_to_contain_text("Active/Inactive")
    one.hands.show(one.page, "Sync")
    # Each save starts a sync; the first may bring the second's rules too, and then the second finds nothing to do.
    expect(one.panel("Sync").get_by_role("heading", name="Last sync")).to_be_visible()
    one.practice.rest()
    expect(one.panel("Sync")).to_contain_text(re.compile("Success|Skipped"))
    (segment,) = one.practice.call("GET", "/segments")["items"]
    assert segment["sync_state"] == "synced" and segment["tagged_count"] > 0


def write_rule(one: Traveller, editor: Locator, number: int, field: str, operator: str) -> None:
    rule = editor.get_by_role("group", name=f"Rule {number}")
    one.hands.choose(rule.get_by_role("combobox", name="Field"), field)
    one.hands.choose(rule.get_by_role("combobox", name="Operator"), operator)


def answer_the_brake(one: Traveller) -> None:
    """A customer who is a member is removed in PracBill, and the limit is none at all."""
    removed = member_of(one.practice)
    one.practice.pracbill(f"departments/{one.practice.id}/customers/{removed}", None, "DELETE")
    one.hands.press(one.button("Sync Now", of="Sync"))
    shown = one.panel("Sync")
    expect(shown).to_contain_text("This sync waits for your approval")
    expect(shown).to_contain_text("1 of")
    one.hands.press(one.button("Go on with the sync", of="Sync"))
    expect(shown.get_by_role("heading", name="Sync", exact=True)).to_be_focused()
    one.sees_sync_end("Success")


def member_of(practice: Department) -> str:
    """A customer who is subscribed."""
    for found in practice.call("GET", "/customers?query=an")["items"]:
        customer = practice.call("GET", f"/customers/{found['customer_id']}")
        if customer["member_status"] == "subscribed":
            return str(found["customer_id"])
    raise AssertionError("the practice has no member")


def read_logs_down_to_a_customer(one: Traveller) -> None:
    one.hands.show(one.page, "Sync Logs")
    logs = one.panel("Sync Logs")
    one.hands.choose(logs.get_by_role("combobox", name="Type"), "Full")
    one.hands.choose(logs.get_by_role("combobox", name="Status"), "Success")
    lines = logs.get_by_role("table", name="History of all sync operations").get_by_role("row")
    expect(lines.nth(1)).to_contain_text("Push (to Mailchimp)")
    expect(lines.nth(1)).to_contain_text("Full")
    one.hands.press(lines.nth(1).get_by_role("button", name=re.compile("^Show the sync of")))

    run = one.panel("One sync")
    expect(run).to_contain_text("Added")
    one.hands.choose(run.get_by_role("combobox", name="Outcome"), held_in(run))
    customers = run.get_by_role("table", name="Customers").get_by_role("row")
    expect(customers.nth(1)).to_contain_text("Held back")
    one.hands.press(customers.nth(1).get_by_role("button", name=re.compile("^Show customer")))
    shown = one.panel(CUSTOMER)
    expect(shown.get_by_role("heading", name="History of consent")).to_be_visible()
    expect(shown).to_contain_text("Status in Mailchimp")


def held_in(run: Locator) -> str:
    """The choice of those held back, whose label has their number."""
    option = run.get_by_role("option", name=re.compile(r"^Held back \(\d+\)$"))
    return option.inner_text()


def reconcile(one: Traveller) -> None:
    one.hands.show(one.page, "Reconciliation")
    table = one.panel("Reconciliation").get_by_role("table", name="From PracBill to Mailchimp")
    counts = one.practice.call("GET", "/reconciliation")
    expect(table.get_by_role("row", name="Customers in PracBill")).to_contain_text(str(counts["pracbill_count"]))
    expect(table.get_by_role("row", name="Subscribed members")).to_contain_text(str(counts["mailchimp_count"]))


def delete_segment(one: Traveller) -> None:
    one.hands.show(one.page, "Segments")
    shown = one.panel("Segments")
    one.hands.press(shown.get_by_role("button", name=f"Delete {SEGMENT}", exact=True))
    dialog = one.page.get_by_role("dialog", name=f"Delete the segment {SEGMENT}?")
    expect(dialog).to_contain_text("permanent and cannot be undone")
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    one.answer(f"Delete the segment {SEGMENT}?", "Delete")
    expect(shown.get_by_role("heading", name="Segments", exact=True)).to_be_focused()
    expect(shown).to_contain_text("There is no segment yet.")


def disconnect(one: Traveller) -> None:
    one.hands.show(one.page, "Overview")
    open_question = one.button("Disconnect", of="Connection Status")
    one.hands.press(open_question)
    dialog = one.page.get_by_role("dialog", name="Disconnect Mailchimp?")
    expect(dialog.get_by_role("button", name="Stay connected")).to_be_focused()
    one.hands.refuse(dialog, "Stay connected")
    expect(open_question).to_be_focused()
    one.hands.press(open_question)
    one.answer("Disconnect Mailchimp?", "Disconnect")
    shown = one.panel("Connection Status")
    expect(shown.get_by_role("heading", name="Connection Status")).to_be_focused()
    expect(shown).to_contain_text("Not connected")
    # The audience and its members stay in Mailchimp.
    (account,) = [a for a in one.practice.mailchimp("accounts") if one.practice.api_key in str(a)]
    (audience,) = one.practice.mailchimp("audiences", account_id=account["account_id"])
    assert audience["counts"]["subscribed"] > 0
