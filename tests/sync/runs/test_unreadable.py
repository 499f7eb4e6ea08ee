"""Values of PracBill that are there and cannot be read: counted by runs, told by health, found by no rule."""

from __future__ import annotations

import pytest

from chalicelib.domain.departments import Finding
from chalicelib.domain.health import health
from chalicelib.domain.segments.rules import Rule
from chalicelib.store.customer_reading import CustomerReader
from chalicelib.store.customers import CustomerBatch
from tests.sync.engine import Engine, Killed, Practice
from tests.sync.reports.test_customer_report import anns, explain

pytest_plugins = ("tests.sync.engine_fixtures",)


def findings(practice: Practice) -> dict[str, Finding]:
    found = health(practice.department, run=None, failed=None, now=practice.engine.clock())
    return {finding.code: finding for finding in found if finding.code.startswith("unreadable")}


@pytest.fixture
def messy(practice: Practice) -> Practice:
    practice.customers(5)
    for number in ("2", "3", "4"):
        practice.edit_as_is(number, balance="1,250.00")
    practice.edit_as_is("3", last_invoice_at="14/07/2026")
    practice.edit_as_is("5", created_at={"date": "2026-01-01"})
    practice.sync("full")
    return practice


def test_health_counts_unreadable_values_by_field_with_an_example(messy: Practice) -> None:
    found = findings(messy)
    assert set(found) == {"unreadable_balance", "unreadable_last_invoice_at", "unreadable_created_at"}
    assert found["unreadable_balance"].message == (
        "3 customers have a balance that cannot be read (for example customer 2). No segment rule about it finds them, "
        "neither Is nor Is Not."
    )
    assert found["unreadable_last_invoice_at"].message.startswith(
        "1 customer has a last invoice date that cannot be read (customer 3)."
    )
    assert found["unreadable_created_at"].message.startswith("1 customer has a creation date")
    assert "1250.00" in found["unreadable_balance"].fix


def test_the_explanation_says_what_cannot_be_read(messy: Practice) -> None:
    asked = anns(Rule("balance_greater_than", "is_not", 100))
    (rule,) = explain(messy, "2", asked).segments[0].rules
    assert not rule.passes
    assert rule.found == 'The balance in PracBill, "1,250.00", cannot be read, so neither Is nor Is Not matches.'


def test_counts_follow_what_is_corrected_removed_and_erased(messy: Practice) -> None:
    messy.edit("2", balance="1250.00")
    messy.sync()
    assert findings(messy)["unreadable_balance"].message.startswith("2 customers have a balance")
    messy.remove("3")
    messy.sync()
    assert findings(messy)["unreadable_balance"].message.startswith("1 customer has a balance that cannot be read (c")
    assert "unreadable_last_invoice_at" not in findings(messy)
    messy.edit_as_is("1", balance="$5")
    messy.sync()
    assert "(for example customer 1)" in findings(messy)["unreadable_balance"].message
    for number in ("1", "4"):
        messy.engine.eraser.erase(messy.id, number, by="user-1")
    messy.remove("1", "4")
    messy.sync()
    assert set(findings(messy)) == {"unreadable_created_at"}


def test_a_run_that_dies_right_after_storing_leaves_no_wrong_count(
    engine: Engine, messy: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    messy.edit("2", balance="1250.00")
    real, calls = CustomerBatch.flush, 0

    def dies_after(batch: CustomerBatch) -> None:
        nonlocal calls
        real(batch)
        calls += 1
        if calls == 1:
            raise Killed

    monkeypatch.setattr(CustomerBatch, "flush", dies_after)
    messy.sync()
    assert calls >= 1
    assert findings(messy)["unreadable_balance"].message.startswith("2 customers have a balance")


def test_nothing_is_counted_where_everything_can_be_read(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.customers(3)
    practice.sync("full")
    assert findings(practice) == {}

    def asked(*arguments: object) -> None:
        raise AssertionError("customers were counted")

    monkeypatch.setattr(CustomerReader, "walk", asked)
    practice.edit("1", first_name="Changed")
    assert practice.sync().status == "success"
