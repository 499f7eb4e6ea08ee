"""How many customers have a date or a balance that cannot be read: counted where that may have changed, for health.

No rule finds such customers, whichever way it asks, so somebody has to be told of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain.customers import customer_id_of
from chalicelib.domain.departments import Department, Unreadable
from chalicelib.domain.segments.filterable import READABLE_ATTRIBUTES

if TYPE_CHECKING:
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.sync.ports import ReaderFor


class UnreadableCounts:
    """`reader_for` opens the customers of a department."""

    def __init__(self, *, departments: DepartmentStore, reader_for: ReaderFor) -> None:
        self._departments = departments
        self._reader_for = reader_for

    def expect_change(self, department_id: str) -> None:
        """Note, before customers are stored, that the counts may be wrong from now on."""
        self._departments.change(department_id, lambda known: replace(known, unreadable_may_differ=True))

    def recount(self, department_id: str) -> None:
        """Count again where a change is expected; it costs a reading of all customers."""
        department = self._departments.get(department_id)
        if department is None or not department.unreadable_may_differ:
            return
        counted = self._counted(department)
        self._departments.change(
            department_id, lambda known: replace(known, unreadable=counted, unreadable_may_differ=False)
        )

    def _counted(self, department: Department) -> tuple[Unreadable, ...]:
        """For each attribute that PracBill has unreadable values of: how many customers, and the first one's id."""
        found: dict[str, tuple[int, str]] = {}  # the count, and the least key
        for row in self._reader_for(department).walk():
            for attribute in row.unreadable:
                count, first = found.get(attribute, (0, row.customer_key))
                found[attribute] = (count + 1, min(first, row.customer_key))
        return tuple(
            Unreadable(name, found[name][0], customer_id_of(found[name][1]))
            for name in READABLE_ATTRIBUTES
            if name in found
        )
