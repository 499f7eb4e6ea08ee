"""Departments: one document each, changed only against the version it was read at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain.departments import Department
from chalicelib.store.documents import from_document, to_document
from chalicelib.store.models import DepartmentItem
from chalicelib.store.versions import LastRead, change_document, is_saved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class DepartmentStore:
    def __init__(self) -> None:
        self._last_read = LastRead[DepartmentItem]()

    def get(self, department_id: str) -> Department | None:
        item = self._item(department_id)
        self._last_read.keep(department_id, item)
        return from_document(Department, item.document) if item else None

    def add(self, department: Department) -> Department:
        """Store a department that is not there yet; the one that is there wins."""
        item = DepartmentItem(department.id, document=to_document(department))
        if not is_saved(item):
            return self.get(department.id) or department
        self._last_read.keep(department.id, item)
        return department

    def change(self, department_id: str, change: Callable[[Department], Department]) -> Department:
        """Apply `change` to the stored department; run again from a fresh read when somebody was faster.

        Whatever `change` raises is passed on and nothing is stored. Raises KeyError for an unknown department.
        """
        return change_document(
            Department,
            lambda: self._existing(department_id),
            change,
            at_hand=self._last_read.take(department_id),
            keep=lambda item: self._last_read.keep(department_id, item),
        )

    def each(self) -> Iterator[Department]:
        """Every department, in no order."""
        for item in DepartmentItem.scan(consistent_read=True):
            yield from_document(Department, item.document)

    def claim(self, department_id: str, run_id: str) -> Department:
        """Make `run_id` the one active run. The answer's `active_run_id` is another one when somebody holds it."""

        def take(department: Department) -> Department:
            return department if department.active_run_id else replace(department, active_run_id=run_id)

        return self.change(department_id, take)

    def release(self, department_id: str, run_id: str) -> Department:
        """Give the department free if `run_id` holds it."""

        def give(department: Department) -> Department:
            return replace(department, active_run_id="") if department.active_run_id == run_id else department

        return self.change(department_id, give)

    def _item(self, department_id: str) -> DepartmentItem | None:
        try:
            return DepartmentItem.get(department_id, consistent_read=True)
        except DepartmentItem.DoesNotExist:
            return None

    def _existing(self, department_id: str) -> DepartmentItem:
        item = self._item(department_id)
        if item is None:
            raise KeyError(department_id)
        return item
