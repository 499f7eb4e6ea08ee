"""Finding a customer: staff know a name or an address, PracBill's id they do not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chalicelib.contract.customers import FoundCustomer, FoundCustomers
from chalicelib.domain.addresses import usable_address
from chalicelib.domain.customers import address_key, customer_key
from chalicelib.domain.segments.filterable import Sample, comparable_text, search_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.domain.departments import Department
    from chalicelib.store.customers import CustomerStore
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.store.members import MemberStore
    from chalicelib.sync.ports import ReaderFor

MOST_FOUND = 20
# Somebody waits, letter by letter; a department of 100,000 is read in about one second.
_SECONDS_FOR_NAMES = 3.0
# Of a megabyte and 128 read units each: some 100,000 customers.
_MOST_PAGES = 40


class CustomerSearch:
    """An address is looked up by its key and an id by its own; only names are looked through, and not for long."""

    def __init__(
        self,
        *,
        departments: DepartmentStore,
        customers: CustomerStore,
        members: MemberStore,
        reader_for: ReaderFor,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._departments = departments
        self._customers = customers
        self._members = members
        self._reader_for = reader_for
        self._timer = timer

    def find(self, department_id: str, text: str) -> FoundCustomers:
        """The customers with this e-mail address, or this id, or whose names contain the text, whatever its case."""
        department = self._departments.get(department_id)
        if department is None or not text:
            return FoundCustomers((), complete=department is None)
        if "@" in text:
            return self._with_address(department, text)
        by_id = [_found(one, "id") for one in self._samples(department_id, [text])]
        wanted = comparable_text(text)
        if wanted is None:
            return FoundCustomers(tuple(by_id), complete=True)
        named, is_complete = self._named(department, wanted)
        others = [_found(one, "name") for one in named if one.id not in {found.customer_id for found in by_id}]
        found = (*by_id, *others)
        return FoundCustomers(found[:MOST_FOUND], complete=is_complete and len(found) <= MOST_FOUND)

    def _named(self, department: Department, text: str) -> tuple[list[Sample], bool]:
        """Customers whose names contain a text in comparable form; False when there may be more.

        Reading ends when enough are found, and when it took too long or too many pages: somebody waits, letter by
        letter, and each reading is paid for.
        """
        found: list[Sample] = []
        end = self._timer() + _SECONDS_FOR_NAMES
        for number, page in enumerate(self._reader_for(department).pages(), start=1):
            found += (sample for row in page if text in search_text(sample := row.sample))
            if len(found) > MOST_FOUND or self._timer() >= end or number > _MOST_PAGES:
                return found, False
        return found, True

    def _with_address(self, department: Department, text: str) -> FoundCustomers:
        address = usable_address(text)
        if address is None:
            return FoundCustomers((), complete=True)
        state = self._members.state(department.id, address_key(department.salt, address), department.audience_id)
        ids = [one.id for one in state.address_customers.customers] if state.address_customers else []
        found = self._samples(department.id, ids[:MOST_FOUND])
        return FoundCustomers(tuple(_found(one, "address") for one in found), complete=len(ids) <= MOST_FOUND)

    def _samples(self, department_id: str, ids: Sequence[str]) -> list[Sample]:
        keys = [customer_key(id) for id in ids]
        known = self._customers.rows(department_id, keys)
        return [known[key].sample for key in keys if key in known]


def _found(sample: Sample, match: str) -> FoundCustomer:
    return FoundCustomer(
        customer_id=sample.id,
        email=sample.email or None,
        company_name=sample.company_name or None,
        first_name=sample.first_name or None,
        last_name=sample.last_name or None,
        match=match,  # type: ignore[arg-type]
    )
