"""Calls on one member (fact sheet section 5)."""

from __future__ import annotations

from typing import Any

import pytest

from infra.standins.mailchimp.members import MEMBER_KEYS

from .conftest import Clock, Home

ANN = "ann@clinic.test"


def refused(response: Any) -> tuple[int, str, str]:
    """Status, title, and the message of the first field error or else the detail."""
    problem = response.json()
    message = problem["errors"][0]["message"] if "errors" in problem else problem["detail"]
    return response.status_code, problem["title"], message


def test_a_member_object_has_every_key_of_the_contract(home: Home) -> None:
    home.add(ANN, "unsubscribed")
    assert set(home.member(ANN)) == MEMBER_KEYS


def test_unsubscribe_reason_is_only_there_for_the_unsubscribed(home: Home) -> None:
    assert "unsubscribe_reason" not in home.add(ANN)


def test_the_id_is_the_md5_of_the_lower_cased_address(home: Home) -> None:
    member = home.add("Ann@Clinic.Test")
    assert member["id"] == "a390b69c92439de09384204c0388e6b9"
    assert member["email_address"] == "Ann@Clinic.Test"
    assert len(member["unique_email_id"]) == 10
    assert len(member["contact_id"]) == 32


@pytest.mark.parametrize("kind", ["id", "contact_id", "email_address"])
def test_a_member_is_found_by_hash_contact_id_and_address(home: Home, kind: str) -> None:
    member = home.add(ANN)
    assert home.api.get(f"{home.path}/members/{member[kind]}").json()["id"] == member["id"]


def test_an_address_in_the_path_may_be_percent_encoded(home: Home) -> None:
    member = home.add("ann+news@clinic.test")
    assert home.api.get(f"{home.path}/members/ann%2Bnews%40clinic.test").json()["id"] == member["id"]


def test_an_unknown_member_is_not_found(home: Home) -> None:
    assert home.api.get(home.member_path(ANN)).status_code == 404
    assert home.api.patch(home.member_path(ANN), {"vip": True}).status_code == 404
    assert home.api.delete(home.member_path(ANN)).status_code == 404
    assert home.api.post(home.member_path(ANN) + "/actions/delete-permanent").status_code == 404


def test_very_old_lists_hold_ids_of_the_address_as_written(home: Home) -> None:
    home.act("admin_import", [{"email_address": "Ann@Clinic.Test", "old_id": True}])
    assert home.api.get(home.member_path(ANN)).status_code == 404
    found = home.api.get(f"{home.path}/members/{ANN}").json()
    assert found["id"] == "dc7c47cd610ffc281ebbe2d247e635a3"


# --- PUT ---


def test_put_creates_and_then_updates_with_the_same_code(home: Home) -> None:
    first = home.put(ANN, status_if_new="subscribed", merge_fields={"FNAME": "Ann"})
    second = home.put(ANN, status_if_new="unsubscribed", merge_fields={"FNAME": "Zoe"})
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.json()["status"] == "subscribed"
    assert second.json()["merge_fields"]["FNAME"] == "Zoe"
    assert second.json()["contact_id"] == first.json()["contact_id"]


def test_put_of_a_new_address_needs_a_status(home: Home) -> None:
    assert refused(home.put(ANN)) == (400, "Invalid Resource", "Required fields were not provided: status_if_new")


def test_put_of_an_unknown_hash_needs_an_address(home: Home) -> None:
    response = home.api.put(home.member_path(ANN), {"status": "subscribed"})
    assert refused(response)[2] == "Required fields were not provided: email_address"


def test_an_unknown_merge_key_is_ignored(home: Home) -> None:
    member = home.put(ANN, status="subscribed", merge_fields={"NOPE": "x"}).json()
    assert "NOPE" not in member["merge_fields"]


def test_an_empty_text_clears_and_omitted_keys_keep_their_values(home: Home) -> None:
    home.add(ANN, merge_fields={"FNAME": "Ann", "LNAME": "Lee"})
    member = home.put(ANN, merge_fields={"FNAME": ""}).json()
    assert (member["merge_fields"]["FNAME"], member["merge_fields"]["LNAME"]) == ("", "Lee")


def test_unsubscribing_and_resubscribing_by_api_keeps_timestamp_opt(home: Home, clock: Clock) -> None:
    opted = home.add(ANN)["timestamp_opt"]
    clock.advance(100)
    assert home.put(ANN, status="unsubscribed").json()["unsubscribe_reason"] == "N/A (Unsubscribed by admin)"
    clock.advance(100)
    assert home.put(ANN, status="subscribed").json()["timestamp_opt"] == opted


def test_merge_fields_of_an_unsubscribed_member_change_without_its_status(home: Home) -> None:
    home.add(ANN, "unsubscribed")
    member = home.put(ANN, merge_fields={"FNAME": "Ann"}).json()
    assert (member["status"], member["merge_fields"]["FNAME"]) == ("unsubscribed", "Ann")


def test_identical_data_moves_no_last_changed(home: Home, clock: Clock) -> None:
    before = home.add(ANN, merge_fields={"FNAME": "Ann"}, language="en")["last_changed"]
    clock.advance(60)
    same = home.put(ANN, status="subscribed", merge_fields={"FNAME": "Ann", "LNAME": ""}, language="en").json()
    assert same["last_changed"] == before
    assert home.put(ANN, merge_fields={"FNAME": "Zoe"}).json()["last_changed"] > before


def test_an_invalid_merge_field_leaves_the_whole_request_unwritten(home: Home) -> None:
    home.api.post(f"{home.path}/merge-fields", {"name": "Value", "tag": "LTV", "type": "number"})
    home.add(ANN)
    response = home.put(ANN, status="unsubscribed", merge_fields={"PHONE": "000", "LTV": "AAAAA"})
    assert response.json()["detail"] == "Your merge fields were invalid."
    assert response.json()["errors"] == [{"field": "LTV", "message": "Please enter a number"}]
    assert home.member(ANN)["status"] == "subscribed"
    assert home.member(ANN)["merge_fields"]["PHONE"] == ""


def test_tags_in_a_put_count_for_new_members_only(home: Home) -> None:
    assert [tag["name"] for tag in home.put(ANN, status="subscribed", tags=["A"]).json()["tags"]] == ["A"]
    assert [tag["name"] for tag in home.put(ANN, tags=["B"]).json()["tags"]] == ["A"]


def test_an_ip_must_be_valid(home: Home) -> None:
    assert home.put(ANN, status="subscribed", ip_opt="not-an-ip").json()["errors"][0]["field"] == "ip_opt"
    assert home.put(ANN, status="subscribed", ip_opt="2001:db8::1").json()["ip_opt"] == "2001:db8::1"


def test_a_null_merge_value_fails_the_schema(home: Home) -> None:
    response = home.put(ANN, status="subscribed", merge_fields={"FNAME": None})
    assert response.json()["errors"] == [
        {
            "field": "merge_fields.FNAME",
            "message": "Data did not match any of the schemas described in anyOf.",
        }
    ]


def test_repeating_pending_sends_no_second_confirmation(home: Home) -> None:
    home.put(ANN, status="pending")
    home.put(ANN, status="pending")
    home.api.patch(home.member_path(ANN), {"status": "pending"})
    [dumped] = home.act("members")
    assert dumped["confirmations_sent"] == 1


# --- another address ---


def test_put_with_another_address_renames_a_subscribed_member(home: Home) -> None:
    old = home.add(ANN, tags=["Client"])
    response = home.api.put(home.member_path(ANN), {"email_address": "zoe@clinic.test"})
    member = response.json()
    assert response.status_code == 200
    assert (member["contact_id"], member["web_id"], member["tags"]) == (old["contact_id"], old["web_id"], old["tags"])
    assert member["id"] != old["id"]
    assert member["unique_email_id"] != old["unique_email_id"]
    assert home.api.get(home.member_path(ANN)).status_code == 404
    assert home.member("zoe@clinic.test")["contact_id"] == old["contact_id"]


def test_put_of_an_unknown_hash_creates_the_address_in_the_body(home: Home) -> None:
    response = home.api.put(home.member_path(ANN), {"email_address": "zoe@clinic.test", "status": "subscribed"})
    assert response.status_code == 200
    assert home.listed() == ["zoe@clinic.test"]
    again = home.api.put(home.member_path(ANN), {"email_address": "zoe@clinic.test", "status": "subscribed"})
    assert refused(again)[:2] == (400, "Member Exists")


@pytest.mark.parametrize("status", ["unsubscribed", "cleaned", "pending"])
def test_only_subscribed_members_may_be_renamed(home: Home, status: str) -> None:
    home.add(ANN, status)
    response = home.api.put(home.member_path(ANN), {"email_address": "zoe@clinic.test"})
    assert refused(response) == (
        400,
        "Invalid Resource",
        f'This member\'s status is "{status}." You can only update email addresses for members '
        'with a status of "subscribed."',
    )


def test_an_archived_member_may_not_be_renamed(home: Home) -> None:
    home.add(ANN)
    home.api.delete(home.member_path(ANN))
    response = home.api.put(home.member_path(ANN), {"email_address": "zoe@clinic.test"})
    assert 'status is "archived."' in refused(response)[2]


@pytest.mark.parametrize(
    ("status", "name"),
    [("subscribed", "Subscribed"), ("unsubscribed", "Unsubscribed"), ("cleaned", "Cleaned"), ("archived", "Deleted")],
)
def test_a_rename_onto_another_contact_is_refused_with_its_state(home: Home, status: str, name: str) -> None:
    home.add(ANN)
    home.act("admin_import", [{"email_address": "zoe@clinic.test", "status": status}])
    response = home.api.patch(home.member_path(ANN), {"email_address": "zoe@clinic.test"})
    assert refused(response) == (
        400,
        "Invalid Resource",
        f'"zoe@clinic.test" is already in this list with a status of "{name}".',
    )


def test_a_refused_rename_changes_nothing_else(home: Home) -> None:
    home.add(ANN, merge_fields={"FNAME": "Ann"})
    body = {"email_address": "foo@example.com", "merge_fields": {"FNAME": "Zoe"}}
    assert home.api.put(home.member_path(ANN), body).status_code == 400
    assert home.member(ANN)["merge_fields"]["FNAME"] == "Ann"


def test_another_case_of_the_address_is_no_rename(home: Home) -> None:
    old = home.add(ANN)
    member = home.put("ANN@clinic.test").json()
    assert (member["id"], member["email_address"]) == (old["id"], ANN)


# --- POST ---


def test_post_of_a_live_member_is_refused(home: Home) -> None:
    home.add(ANN)
    response = home.api.post(f"{home.path}/members", {"email_address": ANN, "status": "subscribed"})
    assert refused(response) == (
        400,
        "Member Exists",
        "ann@clinic.test is already a list member. Use PUT to insert or update list members.",
    )
    assert "type" not in response.json()


def test_post_needs_an_address_and_a_status(home: Home) -> None:
    response = home.api.post(f"{home.path}/members", {})
    assert refused(response)[2] == "Required fields were not provided: email_address, status"


@pytest.mark.parametrize(
    ("email", "message"),
    [
        ("AAAAA", "Please provide a valid email address."),
        ("foo@example.com", "foo@example.com looks fake or invalid, please enter a real email address."),
    ],
)
def test_post_refuses_bad_addresses(home: Home, email: str, message: str) -> None:
    response = home.api.post(f"{home.path}/members", {"email_address": email, "status": "subscribed"})
    assert refused(response) == (400, "Invalid Resource", message)


def test_post_un_archives_with_tags_and_a_new_timestamp_opt(home: Home, clock: Clock) -> None:
    old = home.add(ANN, tags=["Client"])
    home.api.delete(home.member_path(ANN))
    clock.advance(100)
    member = home.add(ANN)
    assert member["contact_id"] == old["contact_id"]
    assert [tag["name"] for tag in member["tags"]] == ["Client"]
    assert member["timestamp_opt"] > old["timestamp_opt"]


def test_post_of_an_archived_opt_out_is_in_compliance_state(home: Home) -> None:
    home.add(ANN)
    home.act("unsubscribe", ANN)
    home.api.delete(home.member_path(ANN))
    response = home.api.post(f"{home.path}/members", {"email_address": ANN, "status": "subscribed"})
    assert refused(response)[:2] == (400, "Member In Compliance State")


# --- PATCH ---


def test_patch_does_not_know_transactional(home: Home) -> None:
    home.add(ANN)
    response = home.api.patch(home.member_path(ANN), {"status": "transactional"})
    assert refused(response)[2] == (
        "Data presented is not one of the accepted values: subscribed, unsubscribed, cleaned, pending"
    )


def test_patch_of_an_opt_out_to_subscribed_is_in_compliance_state(home: Home) -> None:
    home.add(ANN)
    home.act("unsubscribe", ANN, reason="Too many mails")
    assert home.member(ANN)["unsubscribe_reason"] == "Too many mails"
    response = home.api.patch(home.member_path(ANN), {"status": "subscribed"})
    assert refused(response) == (
        400,
        "Member In Compliance State",
        "ann@clinic.test is in a compliance state due to unsubscribe, bounce, or compliance review "
        "and cannot be subscribed.",
    )
    assert "type" not in response.json()


def test_an_api_unsubscribe_keeps_the_persons_own_reason(home: Home) -> None:
    home.add(ANN)
    home.act("unsubscribe", ANN, reason="Too many mails")
    home.api.delete(home.member_path(ANN))
    home.api.patch(home.member_path(ANN), {"status": "pending"})
    assert home.api.patch(home.member_path(ANN), {"status": "unsubscribed"}).json()["unsubscribe_reason"] == (
        "Too many mails"
    )


def test_the_person_can_always_come_back_by_form(home: Home) -> None:
    home.add(ANN)
    home.act("unsubscribe", ANN)
    assert home.act("resubscribe", ANN)["status"] == "subscribed"
    home.api.patch(home.member_path(ANN), {"status": "unsubscribed"})
    assert home.api.patch(home.member_path(ANN), {"status": "subscribed"}).status_code == 200


# --- archive and delete ---


def test_delete_archives_and_keeps_data_and_tags(home: Home, clock: Clock) -> None:
    old = home.add(ANN, merge_fields={"FNAME": "Ann"}, tags=["Client"])
    clock.advance(60)
    response = home.api.delete(home.member_path(ANN))
    assert (response.status_code, response.content) == (204, b"")
    member = home.member(ANN)
    assert member["status"] == "archived"
    assert member["merge_fields"] == old["merge_fields"]
    assert member["tags"] == old["tags"]
    assert member["last_changed"] > old["last_changed"]


@pytest.mark.parametrize("status", ["archived", "pending", "cleaned"])
def test_bounced_pending_and_archived_members_cannot_be_archived(home: Home, status: str) -> None:
    home.act("admin_import", [{"email_address": ANN, "status": status}])
    response = home.api.delete(home.member_path(ANN))
    assert refused(response) == (
        405,
        "Method Not Allowed",
        "This list member cannot be removed. Can not archive a contact that is bounced, pending or archived",
    )


def test_a_permanently_deleted_member_is_gone_and_refused(home: Home) -> None:
    home.add(ANN)
    deleted = home.api.post(home.member_path(ANN) + "/actions/delete-permanent")
    assert deleted.status_code == 204
    assert home.api.get(home.member_path(ANN)).status_code == 404
    assert home.listed(status="archived") == []
    response = home.api.post(f"{home.path}/members", {"email_address": ANN, "status": "pending"})
    assert refused(response) == (
        400,
        "Forgotten Email Not Subscribed",
        "ann@clinic.test was permanently deleted and cannot be re-imported. "
        "The contact must re-subscribe to get back on the list.",
    )


def test_a_forgotten_person_can_sign_up_by_form(home: Home) -> None:
    home.add(ANN)
    home.act("admin_delete", ANN)
    assert home.act("resubscribe", ANN)["status"] == "subscribed"


# --- tags ---


def test_tags_are_set_by_name_and_created_when_unknown(home: Home, clock: Clock) -> None:
    home.add(ANN)
    body = {"tags": [{"name": "Client", "status": "active"}, {"name": "Nobody", "status": "inactive"}]}
    response = home.api.post(home.member_path(ANN) + "/tags", body)
    assert (response.status_code, response.content) == (204, b"")
    tags = home.api.get(home.member_path(ANN) + "/tags").json()
    assert tags["total_items"] == 1
    assert tags["tags"][0]["name"] == "Client"
    assert len(tags["tags"][0]["date_added"]) == len("2026-01-05 10:00:00")


def test_only_a_real_tag_change_moves_last_changed(home: Home, clock: Clock) -> None:
    home.add(ANN, tags=["Client"])
    before = home.member(ANN)["last_changed"]
    path = home.member_path(ANN) + "/tags"
    clock.advance(60)
    assert home.api.post(path, {"tags": [{"name": "Client", "status": "active"}]}).status_code == 204
    assert home.api.post(path, {"tags": []}).status_code == 204
    assert home.member(ANN)["last_changed"] == before
    home.api.post(path, {"tags": [{"name": "Client", "status": "inactive"}]})
    assert home.member(ANN)["last_changed"] > before


def test_tags_work_on_archived_members_and_not_on_unknown_ones(home: Home) -> None:
    home.add(ANN)
    home.api.delete(home.member_path(ANN))
    body = {"tags": [{"name": "Client", "status": "active"}]}
    assert home.api.post(home.member_path(ANN) + "/tags", body).status_code == 204
    assert home.api.post(home.member_path("zoe@clinic.test") + "/tags", body).status_code == 404


def test_at_most_fifty_tags_are_shown_in_a_member(home: Home) -> None:
    member = home.bulk(
        {"email_address": ANN, "status": "subscribed", "tags": [f"t{number}" for number in range(60)]}
    ).json()["new_members"][0]
    assert (len(member["tags"]), member["tags_count"]) == (50, 60)
