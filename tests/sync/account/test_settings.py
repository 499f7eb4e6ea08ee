from __future__ import annotations

import pytest

from chalicelib.contract.account import BrakeChanges, SettingsChanges, SettingsView
from chalicelib.domain.departments import BrakeLimits
from chalicelib.errors import RefuseRequest, RetryLater
from tests.sync.office import Office

DEFAULTS = SettingsView(
    unknown_consent="transactional", on_removed="archive", ask_again=False, brake=BrakeLimits(), paused=False
)


def put(office: Office, changes: SettingsChanges) -> SettingsView:
    return office.settings.put(office.department_id, changes, by="user-1")


def test_a_department_that_is_new_to_us_has_the_defaults(office: Office) -> None:
    assert office.settings.get(office.department_id) == DEFAULTS
    assert office.department.name == "North"


def test_a_department_that_pracbill_does_not_know_has_no_settings(office: Office) -> None:
    with pytest.raises(RefuseRequest) as reading:
        office.settings.get("nowhere")
    with pytest.raises(RefuseRequest) as changing:
        office.settings.put("nowhere", SettingsChanges(paused=True), by="user-1")
    assert (reading.value.status, changing.value.status) == (404, 404)
    assert office.departments.get("nowhere") is None


def test_without_pracbill_the_settings_of_a_known_department_can_be_read_and_changed(office: Office) -> None:
    office.settings.get(office.department_id)
    office.pracbill.inject("status", calls=2)
    assert put(office, SettingsChanges(paused=True)).paused
    with pytest.raises(RetryLater):
        office.settings.get("a new one")


def test_settings_can_be_made_before_connecting_and_stay(office: Office) -> None:
    changed = put(office, SettingsChanges(unknown_consent="skip"))
    office.connect()
    assert office.settings.get(office.department_id) == changed


def test_what_is_not_sent_stays_as_it_is(office: Office) -> None:
    put(office, SettingsChanges(unknown_consent="subscribe", ask_again=True, paused=True))
    put(office, SettingsChanges(on_removed="keep", brake=BrakeChanges(removals=5, additions_percent=0)))
    changed = put(office, SettingsChanges(paused=False, brake=BrakeChanges(removals_percent=1)))
    assert changed == SettingsView(
        unknown_consent="subscribe",
        on_removed="keep",
        ask_again=True,
        brake=BrakeLimits(removals=5, removals_percent=1, additions=500, additions_percent=0),
        paused=False,
    )
    assert office.settings.get(office.department_id) == changed


def test_a_change_of_consent_policy_has_every_customer_decided_anew(office: Office) -> None:
    office.settings.get(office.department_id)
    assert not office.department.replan_all
    put(office, SettingsChanges(unknown_consent="skip"))
    assert office.department.replan_all


@pytest.mark.parametrize(
    "changes",
    [
        SettingsChanges(),
        SettingsChanges(paused=True),
        SettingsChanges(unknown_consent="transactional"),
        SettingsChanges(brake=BrakeChanges(removals=1)),
    ],
)
def test_other_changes_have_nothing_decided_anew(office: Office, changes: SettingsChanges) -> None:
    put(office, changes)
    assert not office.department.replan_all


def test_a_paused_department_is_not_on_schedule(office: Office) -> None:
    office.connect_and_select()
    assert office.department.runs_on_schedule
    put(office, SettingsChanges(paused=True))
    assert not office.department.runs_on_schedule
    assert [f.code for f in office.connections.status(office.department_id).health] == ["paused"]
