"""Reconciliation: from PracBill's count to Mailchimp's, a row for each reason, and they add up."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import open_page
from tests.page.panels import panel

pytestmark = pytest.mark.stack


# Cases of which the stack has customers, as the page names them.
_NAMES = {"opted_out": "Opted out", "no_email": "No e-mail address", "invalid_email": "Invalid email"}


def _number(text: str) -> int:
    return int(text.replace(",", "").replace("−", "-").replace("+", ""))


def test_the_rows_lead_from_one_count_to_the_other(page: Page, stack: LocalStack, connected: Department) -> None:
    connected.sync_fully()
    known = connected.call("GET", "/reconciliation")
    assert known["reasons"], "the stack has customers who are no members"
    open_page(page, stack, view="reconciliation")
    table = panel(page, "Reconciliation").get_by_role("table", name="From PracBill to Mailchimp")
    expect(table.get_by_role("rowheader")).to_have_count(len(known["reasons"]) + 2)
    expect(table.get_by_role("row", name="Customers in PracBill")).to_contain_text(f"{known['pracbill_count']:,}")
    for reason in known["reasons"]:
        expect(table.get_by_role("rowheader", name=reason["explanation"])).to_be_visible()
    numbers = [_number(text) for text in table.locator("tbody .number").all_inner_texts()]
    assert sum(numbers[:-1]) == numbers[-1] == known["mailchimp_count"]

    panel(page, "Reconciliation").get_by_role("button", name="Show the last full sync").click()
    expect(panel(page, "One sync")).to_contain_text("Held back")


def test_a_reason_leads_to_the_customers_behind_it(page: Page, stack: LocalStack, connected: Department) -> None:
    run_id = connected.sync_fully()
    held_by_reason = connected.call("GET", f"/syncs/{run_id}")["held_by_reason"]
    code, name = next((code, name) for code, name in _NAMES.items() if held_by_reason.get(code))
    count = held_by_reason[code]
    records = connected.call("GET", f"/syncs/{run_id}/records?outcome=held&code={code}&limit=100")["items"]
    assert len(records) == count > 0
    open_page(page, stack, view="reconciliation")
    panel(page, "Reconciliation").get_by_role("button", name=f"Show: {name} ({count})").click()
    shown = panel(page, "One sync")
    expect(shown.get_by_role("combobox", name="Reason")).to_have_value(code)
    rows = shown.get_by_role("table", name="Customers").get_by_role("row")
    expect(rows).to_have_count(min(count, 25) + 1)
    expect(rows.nth(1)).to_contain_text(records[0]["customer_id"])
    shown.get_by_role("combobox", name="Reason").select_option("")
    held = connected.call("GET", f"/syncs/{run_id}")["record_counts"]["held"]
    expect(rows).to_have_count(min(held, 25) + 1)


def test_without_a_connection_it_says_what_comes_first(page: Page, stack: LocalStack, department: Department) -> None:
    open_page(page, stack, view="reconciliation")
    expect(panel(page, "Reconciliation")).to_contain_text("Connect the department to Mailchimp")
