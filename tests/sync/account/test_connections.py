from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.contract.account import AudienceSummary, SettingsChanges
from chalicelib.domain.departments import Department
from chalicelib.errors import KeyRejected, RefuseRequest, RetryLater
from chalicelib.sync.account.connections import ATTEMPTS_WINDOW, MOST_ATTEMPTS
from tests.sync.office import Office

UNKNOWN_KEY = "0123456789abcdef0123456789abcdef-us21"


def refusal(call: Callable[[], Any]) -> RefuseRequest:
    with pytest.raises(RefuseRequest) as raised:
        call()
    return raised.value


def die(*args: object) -> Any:
    """What a killed function does at this point."""
    raise SystemExit


def nothing_is_connected(office: Office) -> bool:
    department = office.departments.get(office.department_id)
    return office.key() == {} and (department is None or department.connection is None)


# ------------------------------------------------------------------------------------------------------ connecting


def test_connecting_answers_the_status_panel_and_stores_the_key(office: Office) -> None:
    status = office.connections.connect(office.department_id, office.mailchimp.api_key, by="user-1")

    secret, _, server = office.mailchimp.api_key.partition("-")
    assert (status.state, status.account_name) == ("connected", "Example Practice")
    assert (status.server_prefix, status.key_hint) == (server, secret[-4:])
    assert [finding.code for finding in status.health] == ["no_audience"]
    assert office.key()["api_key"] == office.mailchimp.api_key
    assert office.connections.status(office.department_id) == status


def test_the_department_is_taken_over_from_pracbill_with_a_salt_of_its_own(office: Office) -> None:
    office.connect()
    department = office.department
    assert (department.name, department.timezone, department.country) == ("North", "Australia/Melbourne", "AU")
    assert len(department.salt) == 16


def test_white_space_around_a_pasted_key_is_taken_off(office: Office) -> None:
    office.connect(f"  {office.mailchimp.api_key}\n")
    assert office.key()["api_key"] == office.mailchimp.api_key


@pytest.mark.parametrize("text", ["", "abc", UNKNOWN_KEY[:-5], f"{UNKNOWN_KEY}.evil.test", UNKNOWN_KEY.upper()])
def test_what_is_not_a_key_is_refused_before_anybody_is_asked(office: Office, text: str) -> None:
    office.pracbill.calls.clear()
    refused = refusal(lambda: office.connect(text))
    assert (refused.status, [error.field for error in refused.errors]) == (400, ["api_key"])
    assert office.calls() == []
    assert list(office.pracbill.calls) == []
    assert nothing_is_connected(office)


def test_a_key_that_mailchimp_does_not_know_is_refused(office: Office) -> None:
    refused = refusal(lambda: office.connect(UNKNOWN_KEY))
    assert (refused.status, refused.code) == (422, "key-rejected")
    assert "Invalid API key" in refused.message
    assert nothing_is_connected(office)


def test_a_revoked_key_is_refused(office: Office) -> None:
    office.mailchimp.control.revoke_key(office.mailchimp.api_key)
    assert refusal(office.connect).code == "key-rejected"
    assert nothing_is_connected(office)


def test_a_key_with_the_wrong_server_is_told_apart(office: Office) -> None:
    wrong = office.mailchimp.api_key.partition("-")[0] + "-us7"
    refused = refusal(lambda: office.connect(wrong))
    assert (refused.status, refused.code) == (422, "wrong-data-centre")
    assert nothing_is_connected(office)


def test_a_deactivated_account_is_told_apart(office: Office) -> None:
    office.mailchimp.control.deactivate_account()
    refused = refusal(office.connect)
    assert (refused.status, refused.code) == (422, "account-deactivated")
    assert nothing_is_connected(office)


@pytest.mark.parametrize("role", ["viewer", "author"])
def test_a_key_whose_user_may_only_look_is_refused(office: Office, role: str) -> None:
    key = office.mailchimp.control.create_key(user_id="intern", role=role)["api_key"]
    refused = refusal(lambda: office.connect(key))
    assert (refused.status, refused.code) == (422, "key-not-permitted")
    assert role in refused.message
    assert nothing_is_connected(office)


def test_a_key_without_the_right_to_see_the_account_is_refused(office: Office) -> None:
    office.fail("/", status=403, title="User action not permitted")
    assert refusal(office.connect).code == "key-not-permitted"
    assert nothing_is_connected(office)


@pytest.mark.parametrize("fault", [{"status": 503, "body": "html"}, {"kind": "drop"}, {"status": 403, "body": "empty"}])
def test_without_mailchimp_the_caller_is_asked_to_come_back(office: Office, fault: dict[str, Any]) -> None:
    office.fail("/", **fault)
    with pytest.raises(RetryLater) as raised:
        office.connect()
    assert "Mailchimp" in raised.value.message
    assert nothing_is_connected(office)


def test_a_department_that_pracbill_does_not_know_cannot_be_connected(office: Office) -> None:
    refused = refusal(lambda: office.connections.connect("nowhere", office.mailchimp.api_key, by="user-1"))
    assert refused.status == 404
    assert office.calls() == []
    assert office.departments.get("nowhere") is None


def test_without_pracbill_a_new_department_cannot_be_connected(office: Office) -> None:
    office.pracbill.inject("status", calls=2)
    with pytest.raises(RetryLater, match="PracBill"):
        office.connect()
    assert nothing_is_connected(office)


def test_the_key_is_neither_logged_nor_shown(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="pracbill-mailchimp")
    status = office.connections.connect(office.department_id, office.mailchimp.api_key, by="user-1")
    refused = refusal(lambda: office.connect(UNKNOWN_KEY))
    told = f"{caplog.text} {status} {refused!r} {refused.errors} {office.department}"
    assert "was connected by user-1" in caplog.text
    assert office.mailchimp.api_key[:28] not in told
    assert UNKNOWN_KEY[:28] not in told


def test_a_crash_between_key_and_record_leaves_a_department_that_can_be_connected(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(office.departments, "change", die)
        office.connect()
    assert office.key() != {}
    assert office.connections.status(office.department_id).state == "not_connected"
    office.connect()
    assert office.department.is_connected


def test_who_loses_a_race_of_two_accounts_is_refused_and_the_winners_record_stands(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_key = office.mailchimp.control.create_account()["api_key"]
    put = office.accounts.put_key

    def put_after_the_other(*args: Any) -> None:
        monkeypatch.setattr(office.accounts, "put_key", put)
        office.connect()
        put(*args)

    monkeypatch.setattr(office.accounts, "put_key", put_after_the_other)
    assert refusal(lambda: office.connect(other_key)).code == "another-account"
    assert office.connections.status(office.department_id).account_name == "Example Practice"
    # The loser's key lies in the vault now. It must not be used for the winner's audience.
    with pytest.raises(KeyRejected, match="missing"):
        office.audiences.list(office.department_id)
    assert office.connections.status(office.department_id).state == "key_rejected"
    office.connect()
    assert office.audiences.list(office.department_id).items == ()


# -------------------------------------------------------------------------------------------------------- rotation


def established(department: Department) -> Department:
    """As after some months of work."""
    assert department.audience is not None
    return replace(
        department,
        audience=replace(department.audience, first_contact_done=True),
        customers_watermark="2026-03-01T00:00:00Z",
        members_watermark=datetime(2026, 3, 1, tzinfo=UTC),
        replan_all=False,
        last_synced_at=datetime(2026, 3, 1, tzinfo=UTC),
    )


def knowledge(department: Department) -> tuple[object, ...]:
    return (
        department.audience and replace(department.audience, status=None),  # counts are taken anew at any time
        department.customers_watermark,
        department.members_watermark,
        department.replan_all,
        department.last_synced_at,
    )


def test_another_key_of_the_account_takes_the_place_of_the_first(office: Office) -> None:
    office.connect_and_select()
    before = office.departments.change(office.department_id, established)
    new_key = office.mailchimp.control.create_key()["api_key"]
    office.pracbill.calls.clear()
    office.later(days=1)

    status = office.connections.connect(office.department_id, new_key, by="user-2")

    assert status.key_hint == new_key.partition("-")[0][-4:]
    assert office.key()["api_key"] == new_key
    assert knowledge(office.department) == knowledge(before)
    assert list(office.pracbill.calls) == []


def test_a_new_key_reopens_the_schedule_after_the_old_one_was_rejected(office: Office) -> None:
    office.connect_and_select()
    office.mailchimp.control.revoke_key(office.mailchimp.api_key)
    office.later(minutes=1)
    office.audiences.overview(office.department_id)
    assert office.connections.status(office.department_id).state == "key_rejected"
    assert not office.department.runs_on_schedule

    office.connect(office.mailchimp.control.create_key()["api_key"])
    status = office.connections.status(office.department_id)
    assert (status.state, status.health) == ("connected", ())
    assert office.department.runs_on_schedule


def test_a_key_of_another_account_is_refused_while_connected(office: Office) -> None:
    office.connect_and_select()
    before = office.department
    other = office.mailchimp.control.create_account()["api_key"]
    refused = refusal(lambda: office.connect(other))
    assert (refused.status, refused.code) == (409, "another-account")
    assert [(error.field, error.code) for error in refused.errors] == [("api_key", "another_account")]
    assert "Example Practice" in refused.message
    assert office.key()["api_key"] == office.mailchimp.api_key
    assert office.department == before


def test_a_failed_rotation_leaves_the_old_key_in_use(office: Office) -> None:
    office.connect()
    before = office.department
    refusal(lambda: office.connect(UNKNOWN_KEY))
    assert office.key()["api_key"] == office.mailchimp.api_key
    assert office.department == before


# -------------------------------------------------------------------------------------------------------- attempts


def try_wrong_keys(office: Office, count: int) -> None:
    for _ in range(count):
        assert refusal(lambda: office.connect(UNKNOWN_KEY)).status == 422


def test_after_ten_failed_attempts_no_key_is_tried_until_a_quarter_of_an_hour_is_over(office: Office) -> None:
    office.later(hours=1)
    try_wrong_keys(office, 1)
    office.later(minutes=5)
    try_wrong_keys(office, MOST_ATTEMPTS - 1)
    office.mailchimp.control.reset_journal()

    refused = refusal(office.connect)
    assert (refused.status, refused.code) == (429, "too-many-attempts")
    assert refused.extra["retry_after"] == (ATTEMPTS_WINDOW.total_seconds() - 300)
    assert office.calls() == []

    office.later(minutes=10, seconds=1)
    office.connect()
    assert office.department.is_connected


def test_a_refused_attempt_does_not_lengthen_the_wait(office: Office) -> None:
    try_wrong_keys(office, MOST_ATTEMPTS)
    office.later(minutes=14)
    for _ in range(3):
        assert refusal(office.connect).extra["retry_after"] == 60
    office.later(minutes=1, seconds=1)
    office.connect()


@pytest.mark.fast
def test_a_success_wipes_the_slate(office: Office) -> None:
    try_wrong_keys(office, MOST_ATTEMPTS - 1)
    office.connect()
    try_wrong_keys(office, MOST_ATTEMPTS)
    assert refusal(office.connect).status == 429


def test_attempts_that_mailchimp_could_not_answer_do_not_count(office: Office) -> None:
    for _ in range(MOST_ATTEMPTS + 1):
        office.fail("/")
        with pytest.raises(RetryLater):
            office.connect()
    office.connect()


def test_attempts_side_by_side_are_limited_as_well(office: Office) -> None:
    office.settings.get(office.department_id)
    with ThreadPoolExecutor(5) as pool:
        statuses = list(pool.map(lambda _: refusal(lambda: office.connect(UNKNOWN_KEY)).status, range(20)))
    assert set(statuses) == {422, 429}
    assert len(office.calls()) == statuses.count(422) <= MOST_ATTEMPTS


def test_one_departments_attempts_do_not_hold_up_another(office: Office) -> None:
    try_wrong_keys(office, MOST_ATTEMPTS)
    office.pracbill.add_department(f"{office.department_id} 2")
    status = office.connections.connect(f"{office.department_id} 2", office.mailchimp.api_key, by="user-1")
    assert status.state == "connected"


# ---------------------------------------------------------------------------------------------------------- status


def test_a_department_that_was_never_seen_is_not_connected_and_nobody_is_asked(office: Office) -> None:
    office.pracbill.calls.clear()
    status = office.connections.status("never seen")
    assert (status.state, status.audience, status.health) == ("not_connected", None, ())
    assert list(office.pracbill.calls) == []
    assert office.calls() == []


@pytest.mark.fast
def test_the_status_shows_the_audience_and_asks_for_its_members_once_a_minute(office: Office) -> None:
    audience_id = office.connect_and_select()
    office.mailchimp.control.admin_import([{"email_address": "a@clinic.test", "status": "subscribed"}], audience_id)
    office.pracbill.calls.clear()
    office.mailchimp.control.reset_journal()
    selected_at = office.now
    for seconds, members, calls in ((59, 0, 0), (1, 1, 2), (59, 1, 2)):
        office.later(seconds=seconds)
        status = office.connections.status(office.department_id)
        counted_at = selected_at if calls == 0 else selected_at + timedelta(minutes=1)
        assert status.audience == AudienceSummary(audience_id, "Clients", members, counted_at)
        assert len(office.calls()) == calls
    assert status.health == ()
    assert list(office.pracbill.calls) == []


def test_without_mailchimp_the_status_keeps_the_last_count_and_says_so(office: Office) -> None:
    audience_id = office.connect_and_select()
    selected_at = office.now
    office.fail("/lists/*", times=6)
    office.mailchimp.control.reset_journal()
    for codes in ([], ["mailchimp_away"]):  # one slow look alone is not told
        office.later(minutes=1)
        for _ in range(2):
            status = office.connections.status(office.department_id)
            assert status.audience == AudienceSummary(audience_id, "Clients", 0, selected_at)
            assert [finding.code for finding in status.health] == codes
    assert len(office.calls()) == 4, "nobody waits for a Mailchimp that was away a moment ago"


def test_a_look_that_is_answered_between_two_that_are_not_takes_the_first_one_back(office: Office) -> None:
    office.connect_and_select()
    for is_away in (True, False, True):
        office.later(minutes=1)
        if is_away:
            office.fail("/lists/*", times=2)
        assert office.connections.status(office.department_id).health == ()


@pytest.mark.fast
def test_a_key_that_was_revoked_shows_in_the_status_before_any_sync(office: Office) -> None:
    office.connect_and_select()
    office.later(minutes=1)
    office.mailchimp.control.revoke_key(office.mailchimp.api_key)
    status = office.connections.status(office.department_id)
    assert (status.state, [finding.code for finding in status.health]) == ("key_rejected", ["key_rejected"])


def test_an_audience_that_was_deleted_in_mailchimp_shows_in_the_status(office: Office) -> None:
    audience_id = office.connect_and_select()
    office.later(minutes=1)
    office.api("DELETE", f"/lists/{audience_id}")
    status = office.connections.status(office.department_id)
    assert [(f.code, f.severity) for f in status.health] == [("audience_gone", "error")]


def test_another_audience_or_key_is_looked_at_at_once(office: Office) -> None:
    office.connect_and_select()
    other = office.new_audience("Friends")
    office.audiences.select(office.department_id, other, by="user-1")
    status = office.connections.status(office.department_id)
    assert status.audience == AudienceSummary(other, "Friends", 0, office.now)


def test_both_panels_tell_of_a_sync_that_failed(office: Office) -> None:
    office.connect_and_select()
    office.failed = replace(office.active_run(office.department), status="error", message="PracBill is away.")
    for panel in (office.connections.status(office.department_id), office.audiences.overview(office.department_id)):
        assert [finding.code for finding in panel.health] == ["last_sync_failed"]
        assert "PracBill is away." in panel.health[0].message


def test_the_status_shows_the_active_run_and_the_last_sync(office: Office) -> None:
    office.connect()
    office.change(active_run_id="r7", last_synced_at=office.now)
    status = office.connections.status(office.department_id)
    assert status.active_run is not None
    assert (status.active_run.id, status.last_synced_at) == ("r7", office.now)


# ------------------------------------------------------------------------------------------------ the next sync


def test_the_next_scheduled_sync_is_told_once_there_is_an_audience_and_not_while_paused(office: Office) -> None:
    """The office's schedule is at half past ten, UTC."""
    office.connect()
    assert office.connections.status(office.department_id).next_sync_at is None
    office.connect_and_select()
    office.now = datetime(2026, 3, 2, 10, 29, tzinfo=UTC)
    assert office.connections.status(office.department_id).next_sync_at == datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
    office.now += timedelta(minutes=1)
    assert office.connections.status(office.department_id).next_sync_at == datetime(2026, 3, 3, 10, 30, tzinfo=UTC)
    office.settings.put(office.department_id, SettingsChanges(paused=True), by="user-1")
    assert office.connections.status(office.department_id).next_sync_at is None
