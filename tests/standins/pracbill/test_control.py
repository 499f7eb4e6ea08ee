"""The levers over HTTP."""

from __future__ import annotations

import pytest

from infra.standins.pracbill import PracBillStandIn
from tests.standins.pracbill.conftest import Caller, document_of, opt_out

CUSTOMERS = "/departments/melbourne-north/customers"


def test_a_customer_is_created_changed_seen_and_removed(pracbill: PracBillStandIn, caller: Caller) -> None:
    caller.control("POST", CUSTOMERS, json={"id": "1", "email": "ann@clinic.test", "phone": "1"})
    caller.control("POST", CUSTOMERS, json={"id": "1", "phone": None, "unset": ["email"]})
    shown = caller.control("GET", f"{CUSTOMERS}/1").json()["customer"]
    assert shown == {"id": "1", "phone": None, "updated_at": shown["updated_at"]}
    assert caller.control("DELETE", f"{CUSTOMERS}/1").json() == {"removed": True}
    assert pracbill.customers() == []


def test_consent_invoices_and_payments_have_levers(pracbill: PracBillStandIn, caller: Caller) -> None:
    pracbill.upsert("1")
    caller.control(
        "POST", f"{CUSTOMERS}/1/consent", json={"status": "subscribed", "changed_at": "2026-01-01T00:00:00Z"}
    )
    caller.control("POST", f"{CUSTOMERS}/1/invoices", json={"amount": "80.00", "issued_at": "2026-02-01T00:00:00Z"})
    caller.control("POST", f"{CUSTOMERS}/1/payments", json={"amount": "30.00"})
    shown = document_of(pracbill, "1")
    assert shown["marketing_consent"] == {"status": "subscribed", "changed_at": "2026-01-01T00:00:00.000000Z"}
    assert (shown["balance"], shown["last_invoice_at"]) == ("50.00", "2026-02-01T00:00:00.000000Z")


def test_customers_are_generated_in_bulk_beside_those_that_are_there(pracbill: PracBillStandIn, caller: Caller) -> None:
    pracbill.upsert("5000")
    caller.control("POST", "/departments/melbourne-north/generate", json={"count": 300})
    caller.control("POST", "/departments/melbourne-north/generate", json={"count": 200, "seed": 9})
    assert len(caller.all_customers()) == 501
    kinds = caller.control("GET", "/departments/melbourne-north/kinds").json()
    assert len(kinds["ordinary"]) > 350


def test_a_department_is_added(caller: Caller) -> None:
    caller.control("POST", "/departments", json={"id": "perth", "timezone": "Australia/Perth"})
    assert caller.get(department="perth").json()["timezone"] == "Australia/Perth"
    assert caller.control("POST", "/departments", json={"id": "perth"}).status_code == 400


def test_the_journal_and_the_calls_are_shown(pracbill: PracBillStandIn, caller: Caller) -> None:
    pracbill.upsert("1", email="ann@clinic.test")
    caller.post_consent(opt_out("ann@clinic.test"))
    caller.get("/customers", params={"limit": 3})
    caller.get()
    changes = caller.control("GET", "/departments/melbourne-north/consent-changes").json()["changes"]
    assert [(c["email"], c["effect"], c["customer_ids"]) for c in changes] == [("ann@clinic.test", "changed", ["1"])]
    calls = caller.control("GET", "/calls").json()
    assert calls["counts"] == {"POST marketing-consent": 1, "GET customers": 1, "GET department": 1}
    assert calls["calls"][1] == {
        "method": "GET",
        "path": "/departments/melbourne-north/customers",
        "query": {"limit": "3"},
        "status": 200,
    }
    assert caller.control("DELETE", "/calls").json()["counts"] == {}


def test_the_survey_counts_what_is_there(caller: Caller, pracbill: PracBillStandIn) -> None:
    pracbill.upsert("1", email="ann@clinic.test", balance="1.00")
    pracbill.upsert("2", email="Ann@clinic.test", inactive="1")
    counts = caller.control("GET", "/departments/melbourne-north/survey").json()
    assert (counts["customers"], counts["shared_addresses"], counts["owing"], counts["inactive_1"]) == (2, 1, 1, 1)


def test_the_overview_counts_customers(seeded: Caller) -> None:
    departments = seeded.control("GET").json()["departments"]
    assert {name: d["customer_count"] for name, d in departments.items()} == {
        "melbourne-north": 2000,
        "hobart-south": 150,
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("GET", "/departments/atlantis/customers", None, 404),
        ("GET", f"{CUSTOMERS}/404", None, 404),
        ("POST", f"{CUSTOMERS}/404/invoices", {"amount": "1"}, 404),
        ("POST", CUSTOMERS, {"email": "x"}, 400),
        ("POST", CUSTOMERS, {"id": "1", "mail": "x"}, 400),
        ("POST", CUSTOMERS, {"id": "1", "email": 7}, 400),
        ("POST", CUSTOMERS, {"id": "1", "created_at": "yesterday"}, 400),
        ("POST", CUSTOMERS, {"id": "1", "address": {"zip": "3000"}}, 400),
        ("POST", CUSTOMERS, {"id": "1", "marketing_consent": {"status": "maybe"}}, 400),
        ("POST", CUSTOMERS, [], 400),
        ("POST", f"{CUSTOMERS}/9/payments", {}, 400),
        ("POST", f"{CUSTOMERS}/9/payments", {"amount": "ten"}, 400),
    ],
)
def test_levers_refuse_what_makes_no_sense(
    pracbill: PracBillStandIn, caller: Caller, method: str, path: str, body: object, status: int
) -> None:
    pracbill.upsert("9")
    assert caller.control(method, path, json=body).status_code == status
    assert [customer["id"] for customer in pracbill.customers()] == ["9"]


def test_a_removed_customer_takes_no_invoice(pracbill: PracBillStandIn, caller: Caller) -> None:
    pracbill.upsert("1")
    pracbill.remove("1")
    assert caller.control("POST", f"{CUSTOMERS}/1/invoices", json={"amount": "1"}).status_code == 404
    with pytest.raises(KeyError):
        pracbill.add_invoice("1")
