from __future__ import annotations

import pytest

from chalicelib.errors import KeyRejected, RefuseRequest, RetryLater
from chalicelib.sync.account.credentials import LinkedAccounts
from tests.sync.office import Office


def test_a_department_without_a_connection_has_no_account_to_open(office: Office) -> None:
    with pytest.raises(RefuseRequest) as raised, office.accounts.open(office.department_id):
        raise AssertionError("opened")
    assert (raised.value.status, raised.value.code) == (409, "not-connected")


def test_a_refused_key_becomes_the_connections_state(office: Office) -> None:
    office.connect()
    office.mailchimp.control.deactivate_account()
    with pytest.raises(KeyRejected), office.accounts.open(office.department_id) as linked:
        linked.client.account()
    connection = office.department.connection
    assert connection is not None
    assert connection.state == "account_deactivated"
    assert "deactivated" in connection.message
    assert office.connections.status(office.department_id).health[0].code == "account_deactivated"


def test_a_key_that_is_known_to_be_refused_is_not_tried_again(office: Office) -> None:
    office.connect()
    office.mailchimp.control.revoke_key(office.mailchimp.api_key)
    with pytest.raises(KeyRejected), office.accounts.open(office.department_id) as linked:
        linked.client.account()
    office.mailchimp.control.reset_journal()
    with pytest.raises(KeyRejected), office.accounts.open(office.department_id):
        raise AssertionError("opened")
    assert office.calls() == []


def test_other_faults_leave_the_connection_as_it_is(office: Office) -> None:
    office.connect()
    before = office.department
    office.fail("/")
    with pytest.raises(RetryLater), office.accounts.open(office.department_id) as linked:
        linked.client.account()
    assert office.department == before


def test_the_refusal_of_a_key_that_was_replaced_meanwhile_does_not_touch_the_new_one(office: Office) -> None:
    office.connect()
    new_key = office.mailchimp.control.create_key()["api_key"]
    with pytest.raises(RetryLater), office.accounts.open(office.department_id) as linked:
        office.connect(new_key)
        office.mailchimp.control.revoke_key(linked.key.value)
        linked.client.account()
    assert office.department.is_connected
    assert office.key()["api_key"] == new_key


def test_a_remembered_key_gives_way_to_one_that_another_process_stored(office: Office) -> None:
    office.connect()
    accounts = LinkedAccounts(
        office.departments, office.other_secret_store, office.accounts.client_of, secret_name=office.key_secret
    )
    with accounts.open(office.department_id):
        pass  # that process remembers the key now
    new_key = office.mailchimp.control.create_key()["api_key"]
    office.connect(new_key)
    with accounts.open(office.department_id) as linked:
        assert linked.key.value == new_key


def test_a_key_whose_rotation_ended_halfway_is_used(office: Office) -> None:
    office.connect()
    new_key = office.mailchimp.control.create_key()["api_key"]
    office.other_secret_store.put(office.key_secret(office.department_id), office.key() | {"api_key": new_key})
    with office.accounts.open(office.department_id) as linked:
        assert linked.client.account().account_name == "Example Practice"


def test_a_connection_whose_key_is_lost_asks_for_one_and_stops_the_schedule(office: Office) -> None:
    office.connect()
    office.secret_store.remove(office.key_secret(office.department_id))
    with pytest.raises(KeyRejected, match="Connect again"), office.accounts.open(office.department_id):
        raise AssertionError("opened")
    assert office.connections.status(office.department_id).state == "key_rejected"
    office.connect()
    assert office.department.is_connected


def test_the_key_for_a_department_that_is_not_connected_is_refused(office: Office) -> None:
    department = office.registration.department(office.department_id)
    with pytest.raises(RefuseRequest):
        office.accounts.key_for(department)
