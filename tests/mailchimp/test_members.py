from __future__ import annotations

from datetime import UTC, datetime
from hashlib import md5
from typing import Any

import pytest

from chalicelib.mailchimp.answers import read_member, subscriber_hash
from chalicelib.mailchimp.client import MailchimpClient
from tests.http_client.scripted import Reply, ScriptedServer

ADDRESS = "Ann@Clinic.test"
HASH = md5(b"ann@clinic.test").hexdigest()
PATH = f"/3.0/lists/list1/members/{HASH}"
NOT_FOUND = Reply(404, {"title": "Resource Not Found", "detail": "The requested resource could not be found."})
CANNOT_ARCHIVE = Reply(
    405,
    {
        "title": "Method Not Allowed",
        "detail": "This list member cannot be removed. Can not archive a contact that is bounced, pending or archived",
    },
)


def document(**more: Any) -> dict[str, Any]:
    return {
        "id": HASH,
        "contact_id": "c" * 32,
        "email_address": ADDRESS,
        "status": "unsubscribed",
        "unsubscribe_reason": "N/A (Unsubscribed by admin)",
        "last_changed": "2026-01-05T10:00:01+00:00",
        "timestamp_opt": "",
        "merge_fields": {"FNAME": "Ann", "ADDRESS": ""},
        "tags": [{"id": 11, "name": "Client"}],
        "source": "API - Generic",
        **more,
    }


def test_a_member_is_found_by_the_hash_of_the_lower_cased_address() -> None:
    assert subscriber_hash("  Ann@Clinic.TEST ") == HASH


def test_a_member_is_read_with_its_address_lower_cased(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(200, document()))
    member = client.member("list1", ADDRESS)
    assert server.asked[0].path == PATH
    assert member is not None
    assert (member.address, member.status) == ("ann@clinic.test", "unsubscribed")
    assert member.last_changed == datetime(2026, 1, 5, 10, 0, 1, tzinfo=UTC)
    assert member.timestamp_opt is None
    assert member.unsubscribe_reason == "N/A (Unsubscribed by admin)"
    assert member.merge_fields["FNAME"] == "Ann"
    assert "clinic.test" not in repr(member)


@pytest.mark.parametrize(
    "odd",
    [
        {"status": "frozen"},
        {"status": None},
        {"status": ["subscribed"]},
    ],
)
def test_a_status_that_is_not_known_is_one_in_which_people_are_left_alone(
    client: MailchimpClient, server: ScriptedServer, odd: dict[str, Any]
) -> None:
    server.will(Reply(200, document(**odd)))
    member = client.member("list1", ADDRESS)
    assert member is not None
    assert member.status == "pending"


def test_odd_parts_of_a_member_become_empty(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(200, {"email_address": None, "last_changed": "yesterday", "merge_fields": []}))
    member = client.member("list1", ADDRESS)
    assert member is not None
    assert (member.address, member.last_changed, member.merge_fields) == ("", None, {})


def test_nobody_is_nobody(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(NOT_FOUND, NOT_FOUND)
    assert client.member("list1", ADDRESS) is None


def test_a_member_with_an_id_of_old_is_found_by_its_address(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(NOT_FOUND, Reply(200, document(id="ffff")))
    member = client.member("list1", ADDRESS)
    assert member is not None
    assert server.asked[1].path == "/3.0/lists/list1/members/ann@clinic.test"


def test_a_status_is_set_by_patch_so_that_nobody_is_created(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(200, document()))
    answer = client.set_member_status("list1", ADDRESS, "unsubscribed")
    assert (server.asked[0].method, server.asked[0].path) == ("PATCH", PATH)
    assert server.asked[0].json() == {"status": "unsubscribed"}
    assert answer.outcome == "done"
    assert answer.member is not None and answer.member.status == "unsubscribed"


def test_an_unsubscribe_that_patch_refuses_is_said_by_put(client: MailchimpClient, server: ScriptedServer) -> None:
    """PATCH may judge what the member holds in a field that somebody made required; an opt-out must not fail by it."""
    refused = Reply(400, {"title": "Invalid Resource", "detail": "Your merge fields were invalid."})
    server.will(refused, Reply(200, document()))
    assert client.set_member_status("list1", ADDRESS, "unsubscribed").outcome == "done"
    patch, put = server.asked
    assert (patch.method, put.method, put.path) == ("PATCH", "PUT", PATH)
    assert put.json() == {"email_address": "ann@clinic.test", "status": "unsubscribed"}
    assert patch.query == put.query == {"skip_merge_validation": "true"}
    server.will(refused, Reply(400, {"title": "Other", "detail": "words"}))
    answer = client.set_member_status("list1", ADDRESS, "unsubscribed")
    assert answer.refused is not None and answer.refused.text.startswith("Invalid Resource")
    server.will(refused)
    assert client.set_member_status("list1", ADDRESS, "pending").outcome == "refused"
    assert len(server.asked) == 5


def test_setting_the_status_of_nobody_is_absent(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(NOT_FOUND, NOT_FOUND)
    assert client.set_member_status("list1", ADDRESS, "unsubscribed").outcome == "absent"


def test_a_refused_status_carries_title_and_text_for_the_table_of_refusals(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    detail = f"{ADDRESS} was permanently deleted and cannot be re-imported."
    server.will(Reply(400, {"title": "Forgotten Email Not Subscribed", "status": 400, "detail": detail}))
    answer = client.set_member_status("list1", ADDRESS, "pending")
    assert answer.outcome == "refused"
    assert answer.refused is not None
    assert answer.refused.text == f"Forgotten Email Not Subscribed: {detail}"
    assert answer.refused.address == "ann@clinic.test"


def test_archiving(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(204))
    assert client.archive_member("list1", ADDRESS).outcome == "done"
    assert (server.asked[0].method, server.asked[0].path) == ("DELETE", PATH)


def test_archiving_what_is_archived_or_absent_is_no_error(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(CANNOT_ARCHIVE, Reply(200, document(status="archived")))
    answer = client.archive_member("list1", ADDRESS)
    assert answer.outcome == "done"
    assert answer.member is not None and answer.member.status == "archived"
    server.will(NOT_FOUND, NOT_FOUND)
    assert client.archive_member("list1", ADDRESS).outcome == "absent"
    server.will(CANNOT_ARCHIVE, NOT_FOUND, NOT_FOUND)
    assert client.archive_member("list1", ADDRESS).outcome == "absent"


@pytest.mark.parametrize("status", ["cleaned", "pending"])
def test_who_cannot_be_archived_is_told_with_their_status(
    client: MailchimpClient, server: ScriptedServer, status: str
) -> None:
    server.will(CANNOT_ARCHIVE, Reply(200, document(status=status)))
    answer = client.archive_member("list1", ADDRESS)
    assert answer.outcome == "refused"
    assert answer.member is not None and answer.member.status == status
    assert answer.refused is not None and "Can not archive" in answer.refused.text


def test_renaming_patches_the_old_address(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(200, document(email_address="bea@clinic.test", status="subscribed")))
    answer = client.rename_member("list1", ADDRESS, "bea@clinic.test", {"FNAME": "Bea"})
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("PATCH", PATH)
    assert asked.json() == {"email_address": "bea@clinic.test", "merge_fields": {"FNAME": "Bea"}}
    assert asked.query == {"skip_merge_validation": "true"}
    assert answer.outcome == "done"
    assert answer.member is not None and answer.member.address == "bea@clinic.test"


def test_renaming_that_mailchimp_refuses_is_told(client: MailchimpClient, server: ScriptedServer) -> None:
    text = '"bea@clinic.test" is already in this list with a status of "Subscribed".'
    server.will(Reply(400, {"title": "Invalid Resource", "detail": text}), NOT_FOUND, NOT_FOUND)
    answer = client.rename_member("list1", ADDRESS, "bea@clinic.test", {})
    assert answer.outcome == "refused"
    assert answer.refused is not None and answer.refused.address == "bea@clinic.test"
    assert client.rename_member("list1", ADDRESS, "bea@clinic.test", {}).outcome == "absent"


def test_renaming_that_mailchimp_passes_over_is_not_taken_for_done(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    server.will(Reply(200, document(status="subscribed")))
    assert client.rename_member("list1", ADDRESS, "bea@clinic.test", {}).outcome == "unmoved"


def test_erasing(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(204), NOT_FOUND, NOT_FOUND)
    assert client.delete_permanently("list1", ADDRESS).outcome == "done"
    assert (server.asked[0].method, server.asked[0].path) == ("POST", PATH + "/actions/delete-permanent")
    assert client.delete_permanently("list1", ADDRESS).outcome == "absent"


def test_metrics_do_not_hold_hashes(client: MailchimpClient, server: ScriptedServer, waiting: Any) -> None:
    server.will(Reply(204))
    client.archive_member("list1", ADDRESS)
    assert [call.template for call in waiting.calls] == ["/lists/{audience}/members/{member}"]


def test_where_a_field_is_not_known_members_are_read_with_all_their_fields(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    unknown = Reply(400, {"title": "Bad Request", "detail": "The requested fields are invalid: members.contact_id"})
    server.will(unknown, Reply(200, {"members": [document()], "total_items": 1}))
    (page,) = client.members_changed("list1", since=None)
    assert [member.address for member in page] == ["ann@clinic.test"]
    with_fields, without = (asked.query for asked in server.asked)
    assert without == {name: value for name, value in with_fields.items() if name != "fields"}


def test_changes_are_asked_for_in_the_form_that_survives_changes(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    server.will(Reply(200, {"members": [document()], "total_items": 1}))
    pages = list(
        client.members_changed(
            "list1",
            since=datetime(2026, 1, 5, 10, 0, 0, 700_000, tzinfo=UTC),
            before=datetime(2026, 1, 6, tzinfo=UTC),
            status="archived",
        )
    )
    query = server.asked[0].query
    assert [[m.address for m in page] for page in pages] == [["ann@clinic.test"]]
    assert query["since_last_changed"] == "2026-01-05T09:59:59+00:00"
    assert query["before_last_changed"] == "2026-01-06T00:00:00+00:00"
    assert (query["sort_field"], query["sort_dir"], query["status"]) == ("last_changed", "ASC", "archived")
    assert query["count"] == "1000"
    assert "members.email_address" in query["fields"] and "merge_fields" not in query["fields"]


def test_a_full_listing_sends_no_start_and_no_status(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(200, {"members": [], "total_items": 0}))
    assert list(client.members_changed("list1", since=None)) == []
    assert not {"since_last_changed", "before_last_changed", "status"} & set(server.asked[0].query)


def test_a_member_is_found_by_its_contact_id_under_whatever_address(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    server.will(Reply(200, document(email_address="New@Clinic.test")))
    found = client.contact("list1", "c" * 32)
    assert found is not None and found.address == "new@clinic.test"
    assert server.asked[0].target == f"/3.0/lists/list1/members/{'c' * 32}"


@pytest.mark.parametrize("answer", [NOT_FOUND, Reply(400, {}), Reply(405, {}), Reply(200, document(contact_id="d"))])
def test_where_a_contact_id_finds_nobody_or_somebody_else_there_is_none(
    client: MailchimpClient, server: ScriptedServer, answer: Reply
) -> None:
    server.will(answer)
    assert client.contact("list1", "c" * 32) is None


def test_half_a_character_in_an_answer_becomes_one_that_can_be_stored() -> None:
    member = read_member({"email_address": "ann\ud800@clinic.test", "status": "unsubscribed"})
    assert member.address == "ann?@clinic.test"
