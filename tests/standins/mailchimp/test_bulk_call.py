"""POST /lists/{id} (fact sheet section 4)."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Clock, Home

NOT_VALIDATED = "The resource submitted could not be validated. For field-specific details, see the 'errors' array."


def new(email: str, **more: Any) -> dict[str, Any]:
    return {"email_address": email, "status_if_new": "subscribed", **more}


def only_error(home: Home, *members: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The single error of a call that is answered with 200 all the same."""
    response = home.bulk(*members, update_existing=True, **options)
    assert response.status_code == 200, response.text
    assert response.json()["error_count"] == len(response.json()["errors"]) == 1
    error: dict[str, Any] = response.json()["errors"][0]
    return error


def test_new_members_come_back_in_full(home: Home) -> None:
    answer = home.bulk(new("ann@clinic.test", merge_fields={"FNAME": "Ann"}, tags=["Client"])).json()
    assert (answer["total_created"], answer["total_updated"], answer["error_count"]) == (1, 0, 0)
    [member] = answer["new_members"]
    assert member["email_address"] == "ann@clinic.test"
    assert member["status"] == "subscribed"
    assert member["merge_fields"] == {"FNAME": "Ann", "LNAME": "", "ADDRESS": "", "PHONE": ""}
    assert member["tags_count"] == 1
    assert member["tags"][0]["name"] == "Client"


def test_good_members_are_written_beside_bad_ones(home: Home) -> None:
    answer = home.bulk(new("ann@clinic.test"), new("foo@example.com"), new("bob@clinic.test")).json()
    assert (answer["total_created"], answer["error_count"]) == (2, 1)
    assert sorted(home.listed()) == ["ann@clinic.test", "bob@clinic.test"]


def test_the_answer_is_200_even_if_every_member_is_bad(home: Home) -> None:
    response = home.bulk(new("foo@example.com"), new("foo@bar.com"))
    assert response.status_code == 200
    assert (response.json()["total_created"], response.json()["error_count"]) == (0, 2)


@pytest.mark.parametrize("email", ["foo@example.com", "foo@bar.com", "someone@gmail.con"])
def test_an_address_that_looks_fake_is_an_error_of_that_member(home: Home, email: str) -> None:
    error = only_error(home, new(email))
    assert error == {
        "email_address": email,
        "error": f"{email} looks fake or invalid, please enter a real email address.",
        "error_code": "ERROR_GENERIC",
    }


@pytest.mark.parametrize(
    "email", ["AAAAA", "", "a b@clinic.test", "ann@clinic", "ann@@clinic.test", ".ann@clinic.test", "änn@clinic.test"]
)
def test_a_malformed_address_is_an_error_of_that_member(home: Home, email: str) -> None:
    assert only_error(home, new(email))["error"] == "Please provide a valid email address."


@pytest.mark.parametrize("email", ["ann@müller-praxis.de", "ann@xn--mller-praxis-dlb.de", "ann@佐藤.jp"])
def test_a_domain_outside_ascii_is_taken_and_kept_as_it_was_written(home: Home, email: str) -> None:
    answer = home.bulk(new(email)).json()
    assert [member["email_address"] for member in answer["new_members"]] == [email]


def test_the_error_repeats_the_address_as_sent(home: Home) -> None:
    assert only_error(home, new("FOO@Example.com"))["email_address"] == "FOO@Example.com"


def test_a_known_member_is_an_error_unless_updating_is_asked_for(home: Home) -> None:
    home.add("ann@clinic.test", merge_fields={"FNAME": "Ann"})
    answer = home.bulk(new("ann@clinic.test", merge_fields={"FNAME": "Zoe"})).json()
    assert answer["errors"] == [
        {
            "email_address": "ann@clinic.test",
            "error": "ann@clinic.test is already a list member, do you want to update? "
            "please provide update_existing:true in the request body",
            "error_code": "ERROR_CONTACT_EXISTS",
        }
    ]
    assert home.member("ann@clinic.test")["merge_fields"]["FNAME"] == "Ann"


def test_the_same_call_again_counts_as_updated_and_moves_nothing(home: Home, clock: Clock) -> None:
    home.bulk(new("ann@clinic.test", merge_fields={"FNAME": "Ann"}, tags=["A"]))
    before = home.member("ann@clinic.test")["last_changed"]
    clock.advance(60)
    answer = home.bulk(new("ann@clinic.test", merge_fields={"FNAME": "Ann"}, tags=["A"]), update_existing=True).json()
    assert (answer["total_created"], answer["total_updated"]) == (0, 1)
    assert home.member("ann@clinic.test")["last_changed"] == before


def test_status_if_new_leaves_a_known_status_alone(home: Home) -> None:
    home.add("ann@clinic.test", "unsubscribed")
    answer = home.bulk(new("ann@clinic.test", merge_fields={"FNAME": "Ann"}), update_existing=True).json()
    assert answer["updated_members"][0]["status"] == "unsubscribed"
    assert answer["updated_members"][0]["merge_fields"]["FNAME"] == "Ann"


def test_status_overwrites_a_known_status(home: Home) -> None:
    home.add("ann@clinic.test")
    home.bulk({"email_address": "ann@clinic.test", "status": "unsubscribed"}, update_existing=True)
    assert home.member("ann@clinic.test")["status"] == "unsubscribed"


def test_a_bulk_unsubscribe_creates_unknown_addresses_as_unsubscribed(home: Home) -> None:
    answer = home.bulk({"email_address": "new@clinic.test", "status": "unsubscribed"}, update_existing=True).json()
    assert answer["total_created"] == 1
    assert home.member("new@clinic.test")["status"] == "unsubscribed"


@pytest.mark.parametrize(
    ("first", "second"), [("ann@clinic.test", "ann@clinic.test"), ("ann@clinic.test", "ANN@Clinic.Test")]
)
def test_an_address_that_comes_twice_fails_the_whole_call(home: Home, first: str, second: str) -> None:
    response = home.bulk(new("bob@clinic.test"), new(first), new(second))
    assert (response.status_code, response.json()["title"]) == (400, "Invalid Resource")
    assert home.listed() == []


def test_the_duplicate_check_can_be_skipped_and_the_first_one_wins(home: Home) -> None:
    response = home.bulk(
        new("ann@clinic.test", status="unsubscribed"),
        new("ANN@clinic.test", status="subscribed"),
        query={"skip_duplicate_check": "true"},
    )
    assert response.json()["total_created"] == 1
    assert home.member("ann@clinic.test")["status"] == "unsubscribed"


@pytest.mark.parametrize(
    ("member", "field", "message"),
    [
        ({"status": ""}, "status", "Data presented is not one of the accepted values:"),
        ({"status": "archived"}, "status", "Data presented is not one of the accepted values:"),
        ({"email_address": None}, "email_address", "Schema describes string, NULL found instead"),
        ({"email_address": 12}, "email_address", "Schema describes string, integer found instead"),
        ({"email_address": {"a": 1}}, "email_address", "Schema describes string, object found instead"),
        ({"merge_fields": {"FNAME": None}}, "merge_fields.FNAME", "Data did not match any of the schemas"),
        ({"merge_fields": {"ADDRESS": {"zip": 3000}}}, "merge_fields.ADDRESS", "Data did not match any of the schemas"),
        ({"tags": [{"name": "A"}]}, "tags.item:0", "Schema describes string, object found instead"),
        ({"vip": "yes"}, "vip", "Schema describes boolean, string found instead"),
    ],
)
def test_a_schema_violation_fails_the_whole_call(home: Home, member: dict[str, Any], field: str, message: str) -> None:
    response = home.bulk(new("ann@clinic.test"), new("bob@clinic.test") | member)
    assert response.status_code == 400
    assert response.json()["detail"] == NOT_VALIDATED
    [error] = response.json()["errors"]
    assert error["field"] == f"members.item:1.{field}"
    assert error["message"].startswith(message)
    assert home.listed() == []


def test_a_member_without_an_address_fails_the_whole_call(home: Home) -> None:
    response = home.bulk({"status": "subscribed"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["message"] == "Required fields were not provided: email_address"


def test_members_are_required(home: Home) -> None:
    response = home.api.post(home.path, {"update_existing": True})
    assert response.json()["errors"][0]["message"] == "Required fields were not provided: members"


def test_five_hundred_members_are_taken_and_one_more_is_not(home: Home) -> None:
    members = [new(f"p{number}@clinic.test") for number in range(501)]
    assert home.bulk(*members).status_code == 400
    assert home.listed() == []
    assert home.bulk(*members[:500]).json()["total_created"] == 500


def test_a_new_member_without_any_status_is_an_error_of_that_member(home: Home) -> None:
    error = only_error(home, {"email_address": "ann@clinic.test"}, new("bob@clinic.test"))
    assert error["error"] == NOT_VALIDATED


@pytest.mark.parametrize("key", ["id", "unique_email_id"])
def test_foreign_keys_are_an_error_of_that_member(home: Home, key: str) -> None:
    assert only_error(home, new("ann@clinic.test", **{key: "abc123"}))["error"].startswith("The resource submitted")


def test_a_bad_number_is_told_with_its_field(home: Home) -> None:
    home.api.post(f"{home.path}/merge-fields", {"name": "Value", "tag": "LTV", "type": "number"})
    error = only_error(home, new("ann@clinic.test", merge_fields={"LTV": "AAAAA"}))
    assert error["error"] == "Your merge fields were invalid."
    assert (error["field"], error["field_message"]) == ("LTV", "Please enter a number")
    assert home.listed() == []


def test_a_missing_required_field_is_told_unless_validation_is_skipped(home: Home) -> None:
    home.api.post(f"{home.path}/merge-fields", {"name": "Must", "tag": "MUST", "type": "text", "required": True})
    error = only_error(home, new("ann@clinic.test"))
    assert (error["field"], error["field_message"]) == ("MUST", "Please enter a value")
    answer = home.bulk(new("ann@clinic.test"), query={"skip_merge_validation": "true"}).json()
    assert answer["total_created"] == 1


def test_an_unknown_interest_is_an_error_of_that_member(home: Home) -> None:
    error = only_error(home, new("ann@clinic.test", interests={"abc": False}))
    assert error["error"] == "Invalid interest ID: 'abc'."


@pytest.mark.parametrize("act", ["unsubscribe", "complain", "bounce"])
def test_who_opted_out_or_bounced_cannot_be_subscribed(home: Home, act: str) -> None:
    home.add("ann@clinic.test")
    home.act(act, "ann@clinic.test")
    status = home.member("ann@clinic.test")["status"]
    error = only_error(home, {"email_address": "ann@clinic.test", "status": "subscribed"})
    assert error["error_code"] == "ERROR_GENERIC"
    assert error["error"] == (
        "ann@clinic.test is in a compliance state due to unsubscribe, bounce, or compliance review "
        "and cannot be subscribed."
    )
    assert home.member("ann@clinic.test")["status"] == status


def test_an_opted_out_member_still_takes_merge_fields(home: Home) -> None:
    home.add("ann@clinic.test")
    home.act("unsubscribe", "ann@clinic.test")
    answer = home.bulk(new("ann@clinic.test", merge_fields={"FNAME": "Ann"}), update_existing=True).json()
    assert answer["updated_members"][0]["merge_fields"]["FNAME"] == "Ann"
    assert answer["updated_members"][0]["status"] == "unsubscribed"


def test_an_opted_out_member_can_be_asked_to_confirm(home: Home) -> None:
    home.add("ann@clinic.test")
    home.act("unsubscribe", "ann@clinic.test")
    home.bulk({"email_address": "ann@clinic.test", "status": "pending"}, update_existing=True)
    assert home.member("ann@clinic.test")["status"] == "pending"
    assert home.act("confirm", "ann@clinic.test")["status"] == "subscribed"


def test_a_member_unsubscribed_by_api_can_be_subscribed_by_api(home: Home) -> None:
    home.add("ann@clinic.test", "unsubscribed")
    home.bulk({"email_address": "ann@clinic.test", "status": "subscribed"}, update_existing=True)
    assert home.member("ann@clinic.test")["status"] == "subscribed"


def test_a_cleaned_member_stays_cleaned_and_takes_merge_fields(home: Home) -> None:
    home.add("ann@clinic.test")
    home.act("bounce", "ann@clinic.test")
    answer = home.bulk(new("ann@clinic.test", merge_fields={"FNAME": "Ann"}), update_existing=True).json()
    assert answer["updated_members"][0]["status"] == "cleaned"


def test_a_pending_member_is_not_subscribed_by_a_bulk_call(home: Home) -> None:
    home.add("ann@clinic.test", "pending")
    error = only_error(home, {"email_address": "ann@clinic.test", "status": "subscribed"})
    assert "cannot be subscribed" in error["error"]
    assert home.member("ann@clinic.test")["status"] == "pending"


def test_status_if_new_updates_an_archived_member_in_place(home: Home) -> None:
    home.add("ann@clinic.test")
    home.api.delete(home.member_path("ann@clinic.test"))
    answer = home.bulk(new("ann@clinic.test", merge_fields={"FNAME": "Ann"}), update_existing=True).json()
    assert (answer["total_created"], answer["total_updated"]) == (0, 1)
    assert answer["updated_members"][0]["status"] == "archived"


def test_an_explicit_subscribed_brings_an_archived_member_back_as_created_with_its_tags(home: Home) -> None:
    home.bulk(new("ann@clinic.test", tags=["Client"]))
    home.api.delete(home.member_path("ann@clinic.test"))
    answer = home.bulk({"email_address": "ann@clinic.test", "status": "subscribed"}, update_existing=True).json()
    assert (answer["total_created"], answer["total_updated"]) == (1, 0)
    assert answer["new_members"][0]["status"] == "subscribed"
    assert [tag["name"] for tag in answer["new_members"][0]["tags"]] == ["Client"]


def test_archiving_does_not_lift_the_block_of_an_opt_out(home: Home) -> None:
    home.add("ann@clinic.test")
    home.act("unsubscribe", "ann@clinic.test")
    assert home.api.delete(home.member_path("ann@clinic.test")).status_code == 204
    error = only_error(home, {"email_address": "ann@clinic.test", "status": "subscribed"})
    assert "compliance state" in error["error"]
    assert home.member("ann@clinic.test")["status"] == "archived"


@pytest.mark.parametrize("status", ["subscribed", "pending"])
def test_a_permanently_deleted_address_cannot_be_imported(home: Home, status: str) -> None:
    home.add("ann@clinic.test")
    home.api.post(home.member_path("ann@clinic.test") + "/actions/delete-permanent")
    error = only_error(home, {"email_address": "ann@clinic.test", "status": status})
    assert error["error"] == (
        "ann@clinic.test was permanently deleted and cannot be re-imported. "
        "The contact must re-subscribe to get back on the list."
    )


def test_adding_and_archiving_thirteen_times_within_seconds_is_throttled(home: Home) -> None:
    errors = []
    for _ in range(13):
        answer = home.bulk({"email_address": "ann@clinic.test", "status": "subscribed"}, update_existing=True)
        assert answer.status_code == 200
        errors += answer.json()["errors"]
        home.api.delete(home.member_path("ann@clinic.test"))
    assert [error["error"] for error in errors] == [
        "ann@clinic.test has signed up to a lot of lists very recently; we're not allowing more signups for now"
    ]


def test_a_throttled_address_is_let_in_again_later(home: Home) -> None:
    home.act("throttle", "ann@clinic.test")
    assert "has signed up to a lot of lists" in only_error(home, new("ann@clinic.test"))["error"]
    home.act("throttle", "ann@clinic.test", active=False)
    assert home.bulk(new("ann@clinic.test")).json()["total_created"] == 1


def test_tags_are_added_and_keep_the_known_spelling(home: Home) -> None:
    home.bulk(new("ann@clinic.test", tags=["Client"]))
    home.bulk(new("ann@clinic.test", tags=["client", "Overdue"]), update_existing=True)
    assert [tag["name"] for tag in home.member("ann@clinic.test")["tags"]] == ["Client", "Overdue"]


def test_sync_tags_replaces_the_tags_of_a_member(home: Home) -> None:
    home.bulk(new("ann@clinic.test", tags=["Client", "Overdue"]))
    home.bulk(new("ann@clinic.test", tags=["New"]), update_existing=True, sync_tags=True)
    assert [tag["name"] for tag in home.member("ann@clinic.test")["tags"]] == ["New"]


def test_sync_tags_without_tags_clears_them(home: Home) -> None:
    home.bulk(new("ann@clinic.test", tags=["Client"]))
    home.bulk(new("ann@clinic.test"), update_existing=True, sync_tags=True)
    assert home.member("ann@clinic.test")["tags"] == []


def test_an_api_subscription_to_a_double_opt_in_audience_is_immediate(home: Home) -> None:
    audience = home.control.create_audience(account_id=home.account_id, double_optin=True)["audience_id"]
    answer = home.api.post(f"/lists/{audience}", {"members": [new("ann@clinic.test")]}).json()
    assert answer["new_members"][0]["status"] == "subscribed"


def test_results_do_not_come_in_the_order_that_was_sent(home: Home) -> None:
    answer = home.bulk(*[new(f"{name}@clinic.test") for name in "abc"]).json()
    assert [member["email_address"][0] for member in answer["new_members"]] == ["c", "b", "a"]
