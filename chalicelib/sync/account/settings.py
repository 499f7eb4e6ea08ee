"""What a department may choose about its sync: reading and changing its settings."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from chalicelib.contract.account import SettingsChanges, SettingsView
from chalicelib.domain.departments import Department
from chalicelib.domain.departments import DepartmentSettings as Choices

if TYPE_CHECKING:
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.sync.account.registration import Registration

logger = logging.getLogger("pracbill-mailchimp.settings")


class DepartmentSettings:
    """Settings may be made before the department is connected."""

    def __init__(self, departments: DepartmentStore, *, registration: Registration) -> None:
        self._departments = departments
        self._registration = registration

    def get(self, department_id: str) -> SettingsView:
        """The settings in force. Raises RefuseRequest (404) for a department that PracBill does not know."""
        return settings_view(self._registration.department(department_id).settings)

    def put(self, department_id: str, changes: SettingsChanges, *, by: str) -> SettingsView:
        """Change what `changes` names and answer all settings. Raises as `get` does."""
        self._registration.department(department_id)
        department = self._departments.change(department_id, partial(_apply, changes))
        logger.info("The settings of department %s were changed by %s", department_id, by)
        return settings_view(department.settings)


def _apply(changes: SettingsChanges, department: Department) -> Department:
    before = department.settings
    after = Choices(
        consent=replace(
            before.consent,
            **_given(
                unknown_consent=changes.unknown_consent,
                on_removed=changes.on_removed,
                ask_again=changes.ask_again,
            ),
        ),
        brake=replace(before.brake, **_given(**asdict(changes.brake))),
        paused=before.paused if changes.paused is None else changes.paused,
    )
    # Another policy may decide otherwise about customers that have not changed, so the next run looks at all of them.
    department = replace(department, settings=after)
    return department if after.consent == before.consent else department.to_be_decided_anew()


def _given(**choices: Any) -> dict[str, Any]:
    return {name: value for name, value in choices.items() if value is not None}


def settings_view(settings: Choices) -> SettingsView:
    """Settings as the API shows them."""
    return SettingsView(
        unknown_consent=settings.consent.unknown_consent,
        on_removed=settings.consent.on_removed,
        ask_again=settings.consent.ask_again,
        brake=settings.brake,
        paused=settings.paused,
    )
