"""Taking a department of PracBill into our books the first time something is stored about it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from chalicelib.domain.departments import Department
from chalicelib.errors import not_found
from chalicelib.pracbill.errors import DepartmentUnknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.pracbill.client import PracBillClient
    from chalicelib.store.departments import DepartmentStore

_SALT_BYTES = 16


class Registration:
    def __init__(
        self,
        departments: DepartmentStore,
        pracbill: PracBillClient,
        *,
        new_salt: Callable[[], str] = lambda: secrets.token_hex(_SALT_BYTES),
    ) -> None:
        self._departments = departments
        self._pracbill = pracbill
        self._new_salt = new_salt

    def department(self, department_id: str) -> Department:
        """The department; PracBill is asked only when we do not know it yet.

        Raises RefuseRequest (404) when PracBill does not know it either, RetryLater when PracBill is away.
        """
        known = self._departments.get(department_id)
        return known or self._register(department_id)

    def _register(self, department_id: str) -> Department:
        try:
            found = self._pracbill.department(department_id)
        except DepartmentUnknown:
            raise not_found("PracBill does not know this department.") from None
        # Made once and kept through disconnects: under another salt no address would be recognised again.
        return self._departments.add(
            Department(
                id=department_id,
                name=found.name,
                timezone=found.timezone,
                country=found.country,
                currency=found.currency,
                address_salt=self._new_salt(),
            )
        )
