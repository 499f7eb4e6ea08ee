"""How many customers have a date or a balance that cannot be read: counted where that may have changed, for health.

No rule finds such customers, whichever way it asks, so somebody has to be told of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from chalicelib.domain.departments import Department, Unreadable
from chalicelib.store.departments import DepartmentStore
from chalicelib.store.segment_query import SegmentQuery


class UnreadableCounts:
    """`query_for` opens the customers of a department."""

    def __init__(self, *, departments: DepartmentStore, query_for: Callable[[Department], SegmentQuery]) -> None:
        self._departments = departments
        self._query_for = query_for

    def expect_change(self, department_id: str) -> None:
        """Note, before customers are stored, that the counts may be wrong from now on."""
        self._departments.change(department_id, lambda known: replace(known, unreadable_may_differ=True))

    def recount(self, department_id: str, *, always: bool) -> None:
        """Count again, if `always` or where a change is expected."""
        department = self._departments.get(department_id)
        if department is None or not (always or department.unreadable_may_differ):
            return
        found = self._query_for(department).unreadable()
        counted = tuple(Unreadable(attribute, count, example) for attribute, (count, example) in found.items())
        self._departments.change(
            department_id, lambda known: replace(known, unreadable=counted, unreadable_may_differ=False)
        )
