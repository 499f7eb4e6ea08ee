"""Audiences and merge fields (fact sheet section 7)."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Clock, Home

BODY: dict[str, Any] = {
    "name": "Newsletter",
    "contact": {"company": "X", "address1": "1 Road", "city": "Town", "state": "VIC", "zip": "3000", "country": "AU"},
    "permission_reminder": "You are a client.",
    "campaign_defaults": {"from_name": "X", "from_email": "hi@clinic.test", "subject": "", "language": "en"},
    "email_type_option": False,
}


def add_field(home: Home, **body: Any) -> dict[str, Any]:
    response = home.api.post(f"{home.path}/merge-fields", body)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def written(home: Home, tag: str, value: Any) -> Any:
    """A merge value as it reads back, or the message of its refusal."""
    response = home.put("ann@clinic.test", status_if_new="subscribed", merge_fields={tag: value})
    if response.status_code == 200:
        return response.json()["merge_fields"][tag]
    assert response.json()["detail"] == "Your merge fields were invalid."
    return response.json()["errors"][0]["message"]


# --- audiences ---


def test_the_lists_tell_the_plans_limits(home: Home) -> None:
    answer = home.api.get("/lists").json()
    assert [item["id"] for item in answer["lists"]] == [home.id]
    assert answer["constraints"] == {"may_create": True, "max_instances": 3, "current_total_instances": 1}


def test_an_audience_is_created_with_its_settings(home: Home) -> None:
    made = home.api.post("/lists", BODY | {"double_optin": True}).json()
    assert made["name"] == "Newsletter"
    assert made["double_optin"] is True
    assert made["contact"] == BODY["contact"] | {"address2": "", "phone": ""}
    assert home.api.get(f"/lists/{made['id']}").json()["campaign_defaults"] == BODY["campaign_defaults"]


def test_what_is_missing_is_named(home: Home) -> None:
    body = {key: BODY[key] for key in ("name", "contact", "email_type_option")}
    problem = home.api.post("/lists", body).json()
    assert problem["errors"] == [
        {"field": "", "message": "Required fields were not provided: permission_reminder, campaign_defaults"}
    ]
    problem = home.api.post("/lists", BODY | {"contact": {"company": "X"}}).json()
    assert problem["errors"] == [
        {"field": "contact", "message": "Required fields were not provided: address1, city, country"}
    ]


def test_a_plan_without_room_refuses_another_audience(home: Home) -> None:
    home.control.set_plan(1, account_id=home.account_id)
    assert home.api.get("/lists").json()["constraints"]["may_create"] is False
    response = home.api.post("/lists", BODY)
    assert (response.status_code, response.json()["title"]) == (403, "User action not permitted")
    home.control.set_plan(-1, account_id=home.account_id)
    assert home.api.post("/lists", BODY).status_code == 200


def test_the_lists_of_an_address_can_be_asked_for(home: Home) -> None:
    home.add("ann@clinic.test")
    home.api.post("/lists", BODY)
    assert [item["id"] for item in home.api.get("/lists", email="Ann@clinic.test").json()["lists"]] == [home.id]


def test_stats_are_up_to_five_minutes_old(home: Home, clock: Clock) -> None:
    assert home.api.get(home.path).json()["stats"]["member_count"] == 0
    home.add("ann@clinic.test")
    home.add("bob@clinic.test", "unsubscribed")
    assert home.api.get(home.path).json()["stats"]["member_count"] == 0
    clock.advance(301)
    stats = home.api.get(home.path).json()["stats"]
    assert (stats["member_count"], stats["unsubscribe_count"]) == (1, 1)


def test_total_contacts_come_on_request_only(home: Home) -> None:
    home.add("ann@clinic.test", "transactional")
    assert "total_contacts" not in home.api.get(home.path).json()["stats"]
    assert home.api.get(home.path, include_total_contacts="true").json()["stats"]["total_contacts"] == 1


def test_a_deleted_audience_is_gone(home: Home) -> None:
    assert home.api.delete(home.path).status_code == 204
    assert home.api.get(home.path).status_code == 404


# --- merge fields ---


def test_a_new_audience_has_four_fields_and_email_is_not_among_them(home: Home) -> None:
    fields = home.api.get(f"{home.path}/merge-fields").json()["merge_fields"]
    assert [(item["merge_id"], item["tag"], item["type"]) for item in fields] == [
        (1, "FNAME", "text"),
        (2, "LNAME", "text"),
        (3, "ADDRESS", "address"),
        (4, "PHONE", "phone"),
    ]
    assert fields[2]["options"] == {"default_country": 164}
    assert fields[3]["options"] == {"phone_format": "none"}


def test_the_default_page_of_fields_has_ten(home: Home) -> None:
    for number in range(9):
        add_field(home, name=f"Field {number}", type="text")
    answer = home.api.get(f"{home.path}/merge-fields").json()
    assert (len(answer["merge_fields"]), answer["total_items"]) == (10, 13)
    assert len(home.api.get(f"{home.path}/merge-fields", count=1000).json()["merge_fields"]) == 13


def test_fields_are_filtered_by_type_and_required(home: Home) -> None:
    add_field(home, name="Must", type="text", tag="MUST", required=True)
    path = f"{home.path}/merge-fields"
    assert [item["tag"] for item in home.api.get(path, type="phone").json()["merge_fields"]] == ["PHONE"]
    assert [item["tag"] for item in home.api.get(path, required="true").json()["merge_fields"]] == ["MUST"]


def test_a_field_without_a_tag_gets_one(home: Home) -> None:
    assert add_field(home, name="Company", type="text")["tag"] == "MMERGE5"


def test_a_long_tag_is_cut_without_a_word(home: Home) -> None:
    assert add_field(home, name="Company", type="text", tag="COMPANYNAMES")["tag"] == "COMPANYNAM"


def test_a_tag_that_is_there_is_refused(home: Home) -> None:
    response = home.api.post(f"{home.path}/merge-fields", {"name": "Again", "tag": "FNAME", "type": "text"})
    assert response.status_code == 400
    assert response.json()["detail"] == 'A Merge Field with the tag "FNAME" already exists for this list.'


def test_thirty_fields_are_the_limit(home: Home) -> None:
    for number in range(26):
        add_field(home, name=f"Field {number}", type="text")
    assert home.api.post(f"{home.path}/merge-fields", {"name": "More", "type": "text"}).status_code == 400


def test_an_unknown_type_is_refused(home: Home) -> None:
    response = home.api.post(f"{home.path}/merge-fields", {"name": "X", "type": "colour"})
    assert response.json()["errors"][0]["field"] == "type"


def test_a_renamed_tag_takes_the_values_along(home: Home) -> None:
    home.add("ann@clinic.test", merge_fields={"FNAME": "Ann"})
    changed = home.api.patch(f"{home.path}/merge-fields/1", {"name": "Given name", "tag": "GIVEN"}).json()
    assert (changed["tag"], changed["name"]) == ("GIVEN", "Given name")
    assert home.member("ann@clinic.test")["merge_fields"]["GIVEN"] == "Ann"
    assert home.api.patch(f"{home.path}/merge-fields/1", {"tag": "X"}).status_code == 400


def test_a_deleted_field_takes_the_values_along(home: Home) -> None:
    home.add("ann@clinic.test", merge_fields={"FNAME": "Ann"})
    assert home.api.delete(f"{home.path}/merge-fields/1").status_code == 204
    assert "FNAME" not in home.member("ann@clinic.test")["merge_fields"]
    assert home.api.get(f"{home.path}/merge-fields/1").status_code == 404


@pytest.mark.parametrize(
    ("value", "reads"),
    [
        ("12", 12),
        ("12.5", 12.5),
        (7, 7),
        ("", ""),
        ("AAAAA", "Please enter a number"),
        ("1,5", "Please enter a number"),
    ],
)
def test_numbers_are_numbers_or_numeric_text(home: Home, value: Any, reads: Any) -> None:
    add_field(home, name="Value", tag="LTV", type="number")
    assert written(home, "LTV", value) == reads


def test_text_is_cut_at_255_bytes_and_not_inside_a_character(home: Home) -> None:
    assert written(home, "FNAME", "x" * 300) == "x" * 255
    assert written(home, "FNAME", "é" * 200) == "é" * 127


@pytest.mark.parametrize("missing", ["addr1", "city", "state", "zip"])
@pytest.mark.parametrize("how", ["empty", "absent"])
def test_an_address_is_whole_or_refused(home: Home, missing: str, how: str) -> None:
    address = {"addr1": "1 Road", "city": "Town", "state": "VIC", "zip": "3000", "country": "AU"}
    if how == "empty":
        address[missing] = ""
    else:
        del address[missing]
    assert written(home, "ADDRESS", address) == "Please enter a complete address"


def test_an_address_reads_back_whole_and_an_empty_text_clears_it(home: Home) -> None:
    address = {"addr1": "1 Road", "city": "Town", "state": "VIC", "zip": "3000", "country": "AU"}
    assert written(home, "ADDRESS", address) == address | {"addr2": ""}
    assert written(home, "ADDRESS", "") == ""
    assert written(home, "ADDRESS", "1 Road, Town") == "Please enter a complete address"


@pytest.mark.parametrize("value", ["2026-03-04", "2026/03/04", "03/04/2026", "04-03-2026"])
def test_dates_are_taken_in_four_forms(home: Home, value: str) -> None:
    add_field(home, name="Visit", tag="VISIT", type="date")
    assert written(home, "VISIT", value) == "2026-03-04"


def test_a_choice_must_be_one_of_the_choices(home: Home) -> None:
    add_field(home, name="Kind", tag="KIND", type="dropdown", options={"choices": ["a", "b"]})
    assert written(home, "KIND", "a") == "a"
    assert written(home, "KIND", "z") == "The value you selected is not a valid choice."


def test_a_us_phone_is_checked_and_any_other_is_not(home: Home) -> None:
    add_field(home, name="Phone", tag="USPHONE", type="phone", options={"phone_format": "US"})
    assert written(home, "USPHONE", "123-456-7890") == "(123) 456-7890"
    assert written(home, "USPHONE", "000").startswith("Please enter")
    assert written(home, "PHONE", "000") == "000"


def test_a_required_field_is_checked_on_updates_too(home: Home) -> None:
    home.add("ann@clinic.test")
    add_field(home, name="Must", tag="MUST", type="text", required=True)
    response = home.put("ann@clinic.test", status="unsubscribed")
    assert response.json()["errors"] == [{"field": "MUST", "message": "Please enter a value"}]
    path = home.member_path("ann@clinic.test")
    assert home.api.put(path, {"status": "unsubscribed"}, skip_merge_validation="true").status_code == 200
