"""Which customers carry the tag of which segment, the same on everything that stands for DynamoDB in tests."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.customers import customer_key
from chalicelib.domain.segments.filterable import Filterable
from chalicelib.store.customer_keys import item_key
from chalicelib.store.customer_tags import CustomerTags, MarkChanges, left_out_text
from tests.store.customers_table import TABLE, CustomersTable, Stored

ANN, BOB, GONE = customer_key("1"), customer_key("2"), customer_key("99")


@pytest.fixture
def tags(table: CustomersTable) -> CustomerTags:
    return CustomerTags(table.client, TABLE)


@pytest.fixture
def department(table: CustomersTable) -> str:
    """Two customers, of whom the first carries the tags `s1` and `s2`."""
    stored = [Stored("1", Filterable(), in_segments=("s1", "s2")), Stored("2", Filterable())]
    return table.new_department(stored)


def tags_of(table: CustomersTable, department: str) -> dict[str, tuple[list[str], dict[str, str]]]:
    rows = table.reader(department).rows()
    return {row.customer_key: (sorted(row.in_segments), dict(row.left_out)) for row in rows}


def test_marks_and_reasons_are_set_and_taken_in_one_go(
    table: CustomersTable, tags: CustomerTags, department: str
) -> None:
    out = left_out_text
    tags.change(department, {BOB: MarkChanges(leave_out={out("s1", "cleaned"), out("s3", "absent")})})
    tags.change(
        department,
        {
            ANN: MarkChanges(mark={"s3"}, unmark={"s1"}, leave_out={out("s1", "absent")}),
            BOB: MarkChanges(mark={"s1", "s4"}, let_in={out("s1", "cleaned")}, leave_out={out("s5", "absent")}),
        },
    )
    assert tags_of(table, department) == {
        ANN: (["s2", "s3"], {"s1": "absent"}),
        BOB: (["s1", "s4"], {"s3": "absent", "s5": "absent"}),
    }


def test_a_customer_of_whom_nothing_changes_is_not_written(
    table: CustomersTable, tags: CustomerTags, department: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table.client, "transact_write_items", lambda **_: pytest.fail("it was written"))
    before = tags_of(table, department)
    tags.change(department, {ANN: MarkChanges()})
    tags.change(department, {})
    assert tags_of(table, department) == before


def test_customers_that_are_gone_stay_so_and_the_others_are_changed(
    table: CustomersTable, tags: CustomerTags, department: str
) -> None:
    changes = {GONE: MarkChanges(mark={"s9"}), ANN: MarkChanges(mark={"s9"}), BOB: MarkChanges(mark={"s9"})}
    tags.change(department, changes)
    assert {key: marks for key, (marks, _) in tags_of(table, department).items()} == {
        ANN: ["s1", "s2", "s9"],
        BOB: ["s9"],
    }
    tags.clear(department, [GONE, ANN])
    assert "Item" not in table.client.get_item(TableName=TABLE, Key=item_key(department, GONE))


def test_all_marks_of_some_customers_are_taken_however_often_they_are_named(
    table: CustomersTable, tags: CustomerTags, department: str
) -> None:
    tags.change(
        department, {BOB: MarkChanges(mark={"s1"}), ANN: MarkChanges(leave_out={left_out_text("s3", "absent")})}
    )
    tags.clear(department, [ANN, ANN])
    assert tags_of(table, department) == {ANN: ([], {"s3": "absent"}), BOB: (["s1"], {})}


def test_everything_of_one_segment_is_taken_and_nothing_of_another(
    table: CustomersTable, tags: CustomerTags, department: str
) -> None:
    reasons = {left_out_text("s1", "cleaned"), left_out_text("s2", "absent")}
    tags.change(department, {BOB: MarkChanges(leave_out=reasons)})
    tags.unmark(department, "s1", list(table.reader(department).rows()))
    assert tags_of(table, department) == {ANN: (["s2"], {}), BOB: ([], {"s2": "absent"})}


def test_a_hundred_customers_go_in_one_transaction(
    table: CustomersTable, tags: CustomerTags, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [str(number) for number in range(101)]
    department = table.new_department([Stored(one, Filterable()) for one in ids])
    sizes: list[int] = []
    write = table.client.transact_write_items

    def counted(**asked: Any) -> Any:
        sizes.append(len(asked["TransactItems"]))
        return write(**asked)

    monkeypatch.setattr(table.client, "transact_write_items", counted)
    tags.change(department, {customer_key(one): MarkChanges(mark={"s1"}) for one in ids})
    assert sorted(sizes) == [1, 100]
    assert all(marks == ["s1"] for marks, _ in tags_of(table, department).values())
