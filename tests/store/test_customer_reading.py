"""Readings of all customers, on the emulator of the local stack and on AWS's own DynamoDB Local.

The emulator never ends a page at 1 MB, so every question is also asked with pages of one and two customers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest

from chalicelib.domain.customers import Customer, customer_key
from chalicelib.domain.segments.evaluation import PreviewCounts
from chalicelib.domain.segments.fields import MOST_RULES
from chalicelib.domain.segments.filterable import Filterable, filterable
from chalicelib.domain.segments.rules import Rule
from chalicelib.store.customer_keys import BUCKET_COUNT
from chalicelib.store.customer_reading import CustomerReader, CustomerRow, place_of
from chalicelib.store.customer_tags import CustomerTags, MarkChanges, left_out_text
from infra.bench.department import ZONE, people, tags_of
from tests.domain.messy_customers import ZONES
from tests.store.customers_table import TABLE, CustomersTable, Stored

TODAY = date(2026, 7, 15)


def numbered(count: int, **attributes: Any) -> list[Stored]:
    return [Stored(str(number), Filterable(**attributes), f"address-{number}") for number in range(1, count + 1)]


@pytest.fixture(scope="module")
def forty(table: CustomersTable) -> str:
    """A department with so many customers; one for all tests, since moto sorts its whole table for each page."""
    return table.new_department(numbered(40))


def ids(rows: Iterator[CustomerRow]) -> list[str]:
    return [row.customer_id for row in rows]


@pytest.mark.parametrize("page_size", [1, 2, None])
def test_every_customer_is_read_once_whatever_the_pages(
    table: CustomersTable, forty: str, page_size: int | None
) -> None:
    reader = table.reader(forty, page_size=page_size)
    everybody = [str(number) for number in range(1, 41)]
    assert sorted(ids(reader.rows()), key=customer_key) == everybody
    assert sorted(ids(reader.walk()), key=customer_key) == everybody


@pytest.mark.bulk
def test_a_walk_goes_on_behind_any_customer(table: CustomersTable, forty: str) -> None:
    reader = table.reader(forty, page_size=2)
    walked = [row.customer_key for row in reader.walk()]
    for number, key in enumerate(walked, start=1):
        assert [row.customer_key for row in reader.walk(after=place_of(key))] == walked[number:]


def test_a_row_has_what_was_stored(table: CustomersTable) -> None:
    customer = Customer("007", "2026-01-01T00:00:00Z", email="Jo@Example.com", company_name="ACME", balance="1,5")
    seen = filterable(customer, ZONES[0])
    department = table.new_department([Stored("007", seen, "a1", ("s2", "s1"), customer)])
    changes = {customer_key("007"): MarkChanges(leave_out={left_out_text("s3", "not_taken")})}
    CustomerTags(table.client, TABLE).change(department, changes)
    (row,) = table.reader(department).rows()
    assert (row.customer_id, row.customer_key, row.address_key) == ("007", customer_key("007"), "a1")
    assert row.filterable == seen
    assert (row.sample.id, row.sample.email, row.sample.company_name) == ("007", "Jo@Example.com", "ACME")
    assert (set(row.in_segments), list(row.unreadable)) == ({"s1", "s2"}, ["balance"])
    assert row.left_out == {"s3": "not_taken"}


def test_what_a_customer_does_not_have_is_told_as_such(table: CustomersTable) -> None:
    (row,) = table.reader(table.new_department([Stored("1", Filterable(), "")])).rows()
    assert (row.address_key, row.filterable) == (None, Filterable())
    assert (list(row.in_segments), row.left_out, list(row.unreadable)) == ([], {}, [])


def test_other_departments_are_not_seen(table: CustomersTable) -> None:
    table.new_department(numbered(3))
    assert len(list(table.reader(table.new_department(numbered(2))).rows())) == 2
    assert list(table.reader("nobody-here").rows()) == list(table.reader("nobody-here").walk()) == []


def test_a_reader_may_stop_early(table: CustomersTable) -> None:
    reader = table.reader(table.new_department(numbered(9)), page_size=1)
    for reading in (reader.rows(), reader.walk()):
        next(reading)
        reading.close()  # type: ignore[attr-defined]
    assert len(list(reader.rows())) == 9


def test_an_error_of_the_database_reaches_the_caller(table: CustomersTable) -> None:
    reader = CustomerReader(table.client, "no-such-table", "d")
    for read in (reader.rows, reader.walk):
        with pytest.raises(table.client.exceptions.ResourceNotFoundException):
            list(read())


def test_who_waits_is_told_before_the_next_page_that_it_takes_too_long(table: CustomersTable) -> None:
    department = table.new_department(numbered(5))
    asked = 0

    def check_time() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise TimeoutError

    reader = CustomerReader(table.client, TABLE, department, page_size=1, check_time=check_time)
    found = []
    with pytest.raises(TimeoutError):
        found += [row.customer_id for row in reader.rows()]
    assert asked == 3


# ------------------------------------------------------------------------------------------------------ what it costs


@dataclass
class Metered:
    """Counts what the readings of a client cost, as DynamoDB itself says."""

    client: Any
    calls: int = 0
    units: float = field(default=0.0)

    def query(self, **request: Any) -> Any:
        page = self.client.query(**request, ReturnConsumedCapacity="TOTAL")
        self.calls += 1
        self.units += page["ConsumedCapacity"]["CapacityUnits"]
        return page


@pytest.mark.bulk
def test_a_preview_of_twenty_rules_costs_one_reading_of_small_items(table: CustomersTable) -> None:
    """The target is 0.07 read units a customer, whatever is asked; customers carry the tags of ten segments."""
    count = 3_000
    stored = [
        Stored(
            (one := person.customer).id,
            seen := filterable(one, ZONE),
            f"{int(one.id):032x}" if one.email else "",
            # As long as real ids.
            tuple(f"{segment_id}{'0' * 17}" for segment_id in tags_of(seen)) if one.email else (),
            one,
        )
        for person in people(count)
    ]
    department = table.new_department(stored)
    metered = Metered(table.client)
    reader = CustomerReader(metered, TABLE, department)  # type: ignore[arg-type]  # all that it needs of a client
    rules = tuple(Rule("company_name", "does_not_contain", f"x{number}") for number in range(MOST_RULES))
    counts = PreviewCounts(rules, TODAY, instead_of=rules[:1], per_rule=True, sample_size=10)
    for row in reader.rows():
        counts.add(row, lambda: True)
    assert (counts.total, counts.matching.count, counts.alone) == (count, count, [count] * MOST_RULES)
    if metered.units:  # the emulator counts none
        assert metered.units <= 0.07 * count
        assert metered.calls <= 2 * BUCKET_COUNT
