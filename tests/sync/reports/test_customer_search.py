"""Finding a customer by what staff know: an address, an id, a name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chalicelib.contract.customers import FoundCustomers
from chalicelib.sync.reports.customer_search import MOST_FOUND, CustomerSearch
from tests.sync.engine import Engine, Practice
from tests.sync.segment_office import SegmentOffice

pytest_plugins = ("tests.sync.engine_fixtures",)


@pytest.fixture
def office(engine: Engine, practice: Practice) -> SegmentOffice:
    return SegmentOffice(engine, practice)


def find(office: SegmentOffice, text: str, timer: Callable[[], float] = lambda: 0.0) -> FoundCustomers:
    engine = office.engine
    search = CustomerSearch(
        departments=engine.departments,
        customers=engine.customers,
        members=engine.members,
        reader_for=office.reader_for,
        timer=timer,
    )
    return search.find(office.practice.id, text)


def ids(found: FoundCustomers) -> set[str]:
    return {one.customer_id for one in found.items}


@pytest.mark.fast
def test_a_customer_is_found_by_address_id_company_and_name(office: SegmentOffice, practice: Practice) -> None:
    practice.customer("41", "Ann@Clinic.test", company_name="Zürich Dental", first_name="Ann", last_name="O\u2019Neil")
    practice.customer("42", None, company_name="Harbour Ltd", first_name="Bob", last_name="Miller")
    practice.sync("full")
    (by_address,) = find(office, " ann@clinic.TEST ".strip()).items
    assert (by_address.customer_id, by_address.email, by_address.match) == ("41", "Ann@Clinic.test", "address")
    assert [(one.customer_id, one.match) for one in find(office, "42").items] == [("42", "id")]
    for text in ("zÜRICH", "dental", "ann o'neil", "O\u2019Neil"):
        assert [(one.customer_id, one.match) for one in find(office, text).items] == [("41", "name")], text
    (bob,) = find(office, "mill").items
    assert (bob.email, bob.company_name, bob.first_name, bob.last_name) == (None, "Harbour Ltd", "Bob", "Miller")
    for nobody in ("@", "x@clinic.test", "clinic.test", "nobody", "\u200b\u200b"):
        assert find(office, nobody) == FoundCustomers((), complete=True), nobody


def test_all_who_share_an_address_are_found(office: SegmentOffice, practice: Practice) -> None:
    practice.customer("1", "ann@clinic.test")
    practice.customer("2", "ANN@clinic.test")
    practice.sync("full")
    assert ids(find(office, "ann@clinic.test")) == {"1", "2"}


def test_what_changed_and_who_is_gone_is_found_as_it_is_now(office: SegmentOffice, practice: Practice) -> None:
    practice.customer("1", "ann@clinic.test", last_name="Before")
    practice.customer("2", "bob@clinic.test", last_name="Before")
    practice.sync("full")
    practice.edit("1", last_name="After", email="new@clinic.test")
    practice.remove("2")
    practice.sync()
    assert ids(find(office, "before")) == set()
    assert ids(find(office, "after")) == {"1"}
    assert ids(find(office, "ann@clinic.test")) == ids(find(office, "bob@clinic.test")) == set()


def test_no_more_than_twenty_and_it_says_when_there_are_more(office: SegmentOffice, practice: Practice) -> None:
    practice.customers(MOST_FOUND + 1)
    practice.sync("full")
    found = find(office, "name")
    assert (len(found.items), found.complete) == (MOST_FOUND, False)
    assert find(office, "name 21").complete


def test_a_search_that_takes_too_long_ends_and_says_so(office: SegmentOffice, practice: Practice) -> None:
    practice.customers(2)
    practice.sync("full")
    times = iter([0.0, 99.0])
    found = find(office, "name 1", timer=lambda: next(times, 99.0))
    assert not found.complete


def test_a_department_that_was_never_connected_has_nobody(office: SegmentOffice, practice: Practice) -> None:
    office.practice = Practice(practice.engine, "never-seen", "none")
    assert find(office, "ann") == FoundCustomers((), complete=True)
