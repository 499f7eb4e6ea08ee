from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.errors import KeyRejected
from chalicelib.mailchimp.errors import AudienceGone
from chalicelib.mailchimp.keys import parse_api_key
from chalicelib.store.aws import dynamodb
from chalicelib.sync.account.webhook_registration import secret_hash
from tests.sync.office import Office


def die(*args: object, **options: object) -> Any:
    """What a killed function does at this point."""
    raise SystemExit


def repair(office: Office) -> list[str]:
    """Look at the webhook; answers the codes of the audience's findings after it."""
    client = office.service.mailchimp_of_key(parse_api_key(office.mailchimp.api_key))
    repaired = office.hooks.repair(office.department, client)
    assert repaired == office.department
    return [finding.code for finding in office.audience.findings]


def webhooks(office: Office) -> str:
    return f"/lists/{office.audience.id}/webhooks"


def test_the_hook_hears_of_people_but_not_of_our_own_writes(office: Office) -> None:
    (hook,) = office.hooks_at_mailchimp(office.connect_and_select())
    assert {event for event, on in hook["events"].items() if on} == {
        "subscribe",
        "unsubscribe",
        "profile",
        "cleaned",
        "upemail",
    }
    assert hook["events"]["campaign"] is False
    assert hook["sources"] == {"user": True, "admin": True, "api": False}
    assert hook["signing_enabled"]


def stored_hook(office: Office) -> dict[str, Any]:
    """The record as anybody would see it who can read the table."""
    key = {"department_id": {"S": office.department_id}}
    return dict(dynamodb().get_item(TableName="pracbill-mailchimp-test-hooks", Key=key)["Item"])


def test_its_address_holds_a_long_token_of_which_only_the_hash_is_kept(office: Office) -> None:
    (hook,) = office.hooks_at_mailchimp(office.connect_and_select())
    start, _, token = hook["url"].rpartition("/")
    assert start == f"{office.public_url}/webhooks/mailchimp/{office.department_id.replace(' ', '%20')}"
    assert len(token) >= 43
    record = office.hook_record()
    assert record is not None
    assert (record.token_hash, record.url_hash) == (secret_hash(token), secret_hash(hook["url"]))
    assert token not in str(stored_hook(office))
    assert token not in str(office.department)


def test_the_record_names_account_audience_and_hook_and_holds_the_signing_secret(office: Office) -> None:
    audience_id = office.connect_and_select()
    (hook,) = office.hooks_at_mailchimp(audience_id)
    record, connection = office.hook_record(), office.department.connection
    assert record is not None
    assert connection is not None
    assert (record.account_id, record.audience_id, record.hook_id) == (connection.account_id, audience_id, hook["id"])
    assert office.audience.hook_id == hook["id"]
    assert len(record.signing_secret) == 64
    assert record.signing_secret not in repr(record)
    assert record.signing_secret not in str(stored_hook(office))


def test_the_token_is_known_before_mailchimp_tries_the_address(office: Office) -> None:
    office.connect_and_select()
    assert office.hook_address.answered == [("GET", 200)]


def test_a_hook_that_is_well_costs_one_reading_call(office: Office) -> None:
    office.connect_and_select()
    before = office.hook_record()
    office.mailchimp.control.reset_journal()
    assert repair(office) == []
    assert office.calls() == [("GET", "/lists/{list_id}/webhooks")]
    assert office.hook_record() == before


@pytest.mark.fast
def test_a_hook_that_somebody_deleted_is_registered_anew(office: Office) -> None:
    audience_id = office.connect_and_select()
    (old,) = office.hooks_at_mailchimp(audience_id)
    office.api("DELETE", f"{webhooks(office)}/{old['id']}")
    assert repair(office) == []
    (new,) = office.hooks_at_mailchimp(audience_id)
    assert new["id"] != old["id"]
    assert new["url"] != old["url"]
    assert office.audience.hook_id == new["id"]


@pytest.mark.parametrize(
    "change",
    [
        {"events": {"unsubscribe": False}},
        {"events": {"campaign": True}},
        {"sources": {"api": True}},
        {"sources": {"user": False}},
    ],
)
def test_a_hook_with_changed_switches_is_replaced(office: Office, change: dict[str, Any]) -> None:
    audience_id = office.connect_and_select()
    (old,) = office.hooks_at_mailchimp(audience_id)
    office.api("PATCH", f"{webhooks(office)}/{old['id']}", change)
    repair(office)
    (new,) = office.hooks_at_mailchimp(audience_id)
    assert new["id"] != old["id"]
    assert new["sources"] == {"user": True, "admin": True, "api": False}


def test_after_a_move_to_another_public_address_the_old_hook_is_replaced(office: Office) -> None:
    audience_id = office.connect_and_select()
    office.public_url = office.public_url.replace("127.0.0.1", "localhost")
    repair(office)
    (hook,) = office.hooks_at_mailchimp(audience_id)
    assert hook["url"].startswith(office.public_url)


def test_a_copy_of_the_service_under_another_address_leaves_our_hook_alone(office: Office) -> None:
    audience_id = office.connect_and_select()
    (ours,) = office.hooks_at_mailchimp(audience_id)
    office.public_url = office.public_url.replace("127.0.0.1", "localhost")
    office.other_hook_records.remove(office.department_id)  # a copy has a table of its own
    repair(office)
    ids = [hook["id"] for hook in office.hooks_at_mailchimp(audience_id)]
    assert ours["id"] in ids
    assert len(ids) == 2


@pytest.mark.fast
@pytest.mark.parametrize("dies_in", ["create_webhook", "put_after_creation"])
def test_what_a_crash_leaves_behind_is_cleared_away_at_the_next_look(
    office: Office, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    office.connect()
    audience_id = office.new_audience()
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        if dies_in == "create_webhook":
            patch.setattr("chalicelib.mailchimp.client.MailchimpClient.create_webhook", die)
        else:
            put = office.hook_records.put
            patch.setattr(
                office.hook_records, "put", lambda name, fields: die() if fields["hook_id"] else put(name, fields)
            )
        office.audiences.select(office.department_id, audience_id, by="user-1")
    record = office.hook_record()
    assert record is not None
    assert record.hook_id == ""

    assert repair(office) == []
    (hook,) = office.hooks_at_mailchimp(audience_id)
    record = office.hook_record()
    assert record is not None
    assert (record.hook_id, record.url_hash) == (hook["id"], secret_hash(hook["url"]))


def test_a_second_hook_of_ours_is_removed_and_the_good_one_kept(office: Office) -> None:
    audience_id = office.connect_and_select()
    (good,) = office.hooks_at_mailchimp(audience_id)
    office.hook_address.status_for = lambda path: 200  # type: ignore[method-assign]
    office.api("POST", webhooks(office), {"url": good["url"] + "-older"})
    repair(office)
    assert [hook["id"] for hook in office.hooks_at_mailchimp(audience_id)] == [good["id"]]


@pytest.mark.fast
def test_an_address_that_mailchimp_cannot_reach_is_a_finding_that_goes_away_by_itself(office: Office) -> None:
    office.hook_address.status_for = lambda path: 403  # type: ignore[method-assign]
    office.connect_and_select()
    (finding,) = office.audience.findings
    assert (finding.code, finding.severity) == ("webhook_missing", "warning")
    assert "PUBLIC_URL" in finding.message
    assert office.audience.hook_id == ""
    assert [f.code for f in office.connections.status(office.department_id).health] == ["webhook_missing"]

    office.hook_address.status_for = lambda path: 200  # type: ignore[method-assign]
    assert repair(office) == []
    assert len(office.hooks_at_mailchimp(office.audience.id)) == 1


def test_an_address_that_anybody_could_listen_at_is_never_given_to_mailchimp(office: Office) -> None:
    office.public_url = "http://mailchimp.pracbill.example"
    office.connect_and_select()
    (finding,) = office.audience.findings
    assert finding.code == "webhook_missing"
    assert "PUBLIC_URL, must begin with https://" in finding.message
    assert office.hooks_at_mailchimp(office.audience.id) == []


def attempts_of_three_syncs(office: Office) -> int:
    """How often the syncs of a day ask Mailchimp for the hook."""
    client = office.service.mailchimp_of_key(parse_api_key(office.mailchimp.api_key))
    before = office.calls().count(("POST", "/lists/{list_id}/webhooks"))
    for _ in range(3):
        office.hooks.repair(office.department, client, patient=True)
    return office.calls().count(("POST", "/lists/{list_id}/webhooks")) - before


def test_a_refused_address_is_tried_again_by_syncs_once_a_day_and_at_once_when_it_is_another(office: Office) -> None:
    good, office.public_url = office.public_url, "ftp://files.test"
    office.connect_and_select()
    assert attempts_of_three_syncs(office) == 0
    assert [finding.code for finding in office.audience.findings] == ["webhook_missing"]
    office.now += timedelta(days=1)
    assert attempts_of_three_syncs(office) == 1
    office.public_url = "ftp://other.test"
    assert attempts_of_three_syncs(office) == 1
    office.public_url = good
    assert repair(office) == []


def test_an_address_that_did_not_answer_is_tried_again_by_each_sync(office: Office) -> None:
    office.hook_address.status_for = lambda path: 403  # type: ignore[method-assign]
    office.connect_and_select()
    assert attempts_of_three_syncs(office) == 3
    office.hook_address.status_for = lambda path: 200  # type: ignore[method-assign]
    assert attempts_of_three_syncs(office) == 1
    assert office.audience.findings == ()


def test_an_address_that_is_none_for_mailchimp_is_told_as_such(office: Office) -> None:
    office.public_url = "ftp://files.test"
    office.connect_and_select()
    assert "public web address" in office.audience.findings[0].message


@pytest.mark.parametrize("fault", [{"status": 503}, {"kind": "drop"}, {"status": 403, "title": "Forbidden"}])
def test_a_fault_while_registering_is_a_finding_too(office: Office, fault: dict[str, Any]) -> None:
    office.connect()
    audience_id = office.new_audience()
    office.fail("/lists/*/webhooks", method="POST", **fault)
    office.audiences.select(office.department_id, audience_id, by="user-1")
    assert [finding.code for finding in office.audience.findings] == ["webhook_missing"]
    office.mailchimp.control.clear_faults()
    assert repair(office) == []


def test_a_hook_whose_creation_was_not_answered_is_not_doubled(office: Office) -> None:
    office.connect()
    audience_id = office.new_audience()
    office.fail("/lists/*/webhooks", method="POST", times=1, kind="drop", executes=True)
    office.audiences.select(office.department_id, audience_id, by="user-1")
    assert len(office.hooks_at_mailchimp(audience_id)) == 1
    repair(office)
    assert len(office.hooks_at_mailchimp(audience_id)) == 1


def test_when_nobody_knows_how_it_stands_nothing_changes(office: Office) -> None:
    office.connect_and_select()
    before = office.department
    office.fail("/lists/*/webhooks", method="GET")
    assert repair(office) == []
    assert office.department == before


def test_a_refused_key_and_a_deleted_audience_are_for_the_caller_to_judge(office: Office) -> None:
    audience_id = office.connect_and_select()
    office.api("DELETE", f"/lists/{audience_id}")
    with pytest.raises(AudienceGone):
        repair(office)
    office.mailchimp.control.revoke_key(office.mailchimp.api_key)
    with pytest.raises(KeyRejected):
        repair(office)


def test_a_department_without_an_audience_needs_no_hook(office: Office) -> None:
    office.connect()
    client = office.service.mailchimp_of_key(parse_api_key(office.mailchimp.api_key))
    assert office.hooks.repair(office.department, client) == office.department
    assert office.hook_record() is None
