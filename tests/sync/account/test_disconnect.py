from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.departments import DepartmentSettings
from chalicelib.errors import RefuseRequest
from tests.sync.office import Office


def die(*args: object) -> Any:
    """What a killed function does at this point."""
    raise SystemExit


def disconnect(office: Office) -> list[str]:
    """Disconnect; answers the codes of what staff are told."""
    status = office.connections.disconnect(office.department_id, by="user-1")
    assert status.state == "not_connected"
    assert (status.account_name, status.key_hint, status.server_prefix) == (None, None, None)
    return [finding.code for finding in status.health]


@pytest.mark.fast
def test_disconnecting_removes_key_hook_record_and_our_webhook(office: Office) -> None:
    audience_id = office.connect_and_select()
    assert len(office.hooks_at_mailchimp(audience_id)) == 1
    assert disconnect(office) == []
    assert office.key() == {}
    assert office.hook_record() is None
    assert office.hooks_at_mailchimp(audience_id) == []


def test_webhooks_of_others_stay(office: Office) -> None:
    audience_id = office.connect_and_select()
    office.api("POST", f"/lists/{audience_id}/webhooks", {"url": office.mailchimp.url.replace("/3.0", "/_control")})
    disconnect(office)
    assert len(office.hooks_at_mailchimp(audience_id)) == 1


def test_audience_and_settings_stay(office: Office) -> None:
    audience_id = office.connect_and_select()
    office.change(settings=DepartmentSettings(paused=True), customers_watermark="2026-03-01T00:00:00Z")
    salt = office.department.address_salt
    disconnect(office)
    department = office.department
    assert department.connection is None
    assert office.audience.id == audience_id
    assert office.audience.hook_id == ""
    assert department.settings.paused
    assert (department.customers_watermark, department.address_salt) == ("2026-03-01T00:00:00Z", salt)


def test_the_active_run_is_stopped_after_the_connection_is_gone(office: Office) -> None:
    office.connect()
    office.change(active_run_id="r1")
    disconnect(office)
    assert [department_id for department_id, _ in office.stopped] == [office.department_id]


def test_without_an_active_run_nothing_is_stopped(office: Office) -> None:
    office.connect()
    disconnect(office)
    assert office.stopped == []


def test_a_dead_key_does_not_keep_a_department_connected(office: Office) -> None:
    office.connect_and_select()
    office.mailchimp.control.revoke_key(office.mailchimp.api_key)
    assert disconnect(office) == ["webhook_left_behind"]
    assert (office.key(), office.hook_record()) == ({}, None)


def test_without_mailchimp_the_key_is_removed_all_the_same(office: Office) -> None:
    audience_id = office.connect_and_select()
    office.fail("/**", times=10, kind="drop")
    assert disconnect(office) == ["webhook_left_behind"]
    assert (office.key(), office.hook_record()) == ({}, None)
    office.mailchimp.control.clear_faults()
    # Connecting again tidies up what was left.
    (left,) = office.hooks_at_mailchimp(audience_id)
    office.connect()
    (hook,) = office.hooks_at_mailchimp(audience_id)
    assert hook["id"] != left["id"]


def test_an_audience_that_is_gone_took_its_webhook_along(office: Office) -> None:
    audience_id = office.connect_and_select()
    office.api("DELETE", f"/lists/{audience_id}")
    assert disconnect(office) == []


def test_disconnecting_twice_is_fine(office: Office) -> None:
    office.connect_and_select()
    disconnect(office)
    assert disconnect(office) == []


def test_disconnecting_a_department_that_was_never_seen_asks_nobody(office: Office) -> None:
    office.pracbill.calls.clear()
    assert disconnect(office) == []
    assert list(office.pracbill.calls) == []


@pytest.mark.parametrize("step", ["accounts.remove_key", "hooks.retire"])
def test_after_a_crash_in_the_middle_the_department_counts_as_disconnected_and_once_more_does_the_rest(
    office: Office, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    office.connect_and_select()
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        part, _, name = step.partition(".")
        patch.setattr(getattr(office, part), name, die)
        disconnect(office)
    assert office.connections.status(office.department_id).state == "not_connected"
    disconnect(office)
    assert (office.key(), office.hook_record()) == ({}, None)


def test_reconnecting_at_once_goes_on_with_the_audience_and_a_new_webhook(office: Office) -> None:
    audience_id = office.connect_and_select()
    office.change(customers_watermark="2026-03-01T00:00:00Z", replan_all=False)
    disconnect(office)

    status = office.connections.connect(office.department_id, office.mailchimp.api_key, by="user-1")

    assert status.state == "connected"
    assert status.audience is not None
    assert (status.audience.id, status.health) == (audience_id, ())
    assert office.department.customers_watermark == "2026-03-01T00:00:00Z"
    assert not office.department.replan_all
    (hook,) = office.hooks_at_mailchimp(audience_id)
    assert office.audience.hook_id == hook["id"]


@pytest.mark.fast
def test_another_account_drops_the_audience_and_what_was_known_of_it(office: Office) -> None:
    office.connect_and_select()
    office.change(customers_watermark="2026-03-01T00:00:00Z", members_watermark=office.now, replan_all=False)
    disconnect(office)
    office.connect(office.mailchimp.control.create_account()["api_key"])
    department = office.department
    assert department.is_connected
    assert department.audience is None
    assert (department.customers_watermark, department.members_watermark) == ("", None)
    assert (department.replan_all, department.last_synced_at) == (True, None)


def test_an_audience_that_was_deleted_meanwhile_is_dropped(office: Office) -> None:
    audience_id = office.connect_and_select()
    disconnect(office)
    office.api("DELETE", f"/lists/{audience_id}")
    office.connect()
    assert office.department.audience is None


def test_what_needs_an_account_is_refused_afterwards(office: Office) -> None:
    office.connect_and_select()
    disconnect(office)
    with pytest.raises(RefuseRequest) as raised:
        office.audiences.list(office.department_id)
    assert (raised.value.status, raised.value.code) == (409, "not-connected")
