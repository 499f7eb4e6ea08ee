"""Segments and tags (fact sheet section 8)."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Clock, Home

NOT_ON_LIST = "None of the emails provided were subscribed to the list"


def make(home: Home, *emails: str, name: str = "Overdue") -> dict[str, Any]:
    response = home.api.post(f"{home.path}/segments", {"name": name, "static_segment": list(emails)})
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def batch(home: Home, segment_id: int, **body: list[str]) -> Any:
    return home.api.post(f"{home.path}/segments/{segment_id}", body)


def inside(home: Home, segment_id: int, **query: str) -> list[str]:
    answer = home.api.get(f"{home.path}/segments/{segment_id}/members", count=1000, **query).json()
    return sorted(member["email_address"] for member in answer["members"])


@pytest.fixture
def people(home: Home) -> list[str]:
    emails = [f"{name}@clinic.test" for name in ("ann", "bob", "cem")]
    for email in emails:
        home.add(email)
    return emails


def test_a_static_segment_is_made_and_ignores_unknown_addresses(home: Home, people: list[str]) -> None:
    segment = make(home, people[0], "nobody@clinic.test")
    assert (segment["type"], segment["member_count"], segment["name"]) == ("static", 1, "Overdue")
    assert isinstance(segment["id"], int)
    assert inside(home, segment["id"]) == [people[0]]


def test_a_static_segment_is_a_tag_of_the_same_id_and_name(home: Home, people: list[str]) -> None:
    segment = make(home, people[0])
    assert home.member(people[0])["tags"] == [{"id": segment["id"], "name": "Overdue"}]
    home.api.post(home.member_path(people[1]) + "/tags", {"tags": [{"name": "Overdue", "status": "active"}]})
    assert inside(home, segment["id"]) == people[:2]


def test_a_tag_is_a_segment(home: Home) -> None:
    home.bulk({"email_address": "ann@clinic.test", "status": "subscribed", "tags": ["Client"]})
    [segment] = home.api.get(f"{home.path}/segments").json()["segments"]
    assert (segment["name"], segment["type"], segment["member_count"]) == ("Client", "static", 1)


def test_renaming_the_segment_renames_the_tag(home: Home, people: list[str]) -> None:
    segment = make(home, people[0])
    home.api.patch(f"{home.path}/segments/{segment['id']}", {"name": "Late"})
    assert [tag["name"] for tag in home.member(people[0])["tags"]] == ["Late"]


def test_deleting_the_segment_takes_the_tag_and_leaves_the_members(home: Home, people: list[str]) -> None:
    segment = make(home, *people)
    assert home.api.delete(f"{home.path}/segments/{segment['id']}").status_code == 204
    assert home.api.get(f"{home.path}/segments/{segment['id']}").status_code == 404
    assert home.member(people[0])["tags"] == []
    assert home.member(people[0])["status"] == "subscribed"


def test_patch_replaces_the_members_and_an_empty_list_empties(home: Home, people: list[str]) -> None:
    segment = make(home, people[0], people[1])
    path = f"{home.path}/segments/{segment['id']}"
    home.api.patch(path, {"name": "Overdue", "static_segment": people[1:]})
    assert inside(home, segment["id"]) == people[1:]
    home.api.patch(path, {"name": "Overdue"})
    assert inside(home, segment["id"]) == people[1:]
    home.api.patch(path, {"name": "Overdue", "static_segment": []})
    assert inside(home, segment["id"]) == []
    assert home.api.patch(path, {"static_segment": []}).status_code == 400


def test_a_segment_needs_members_or_conditions(home: Home) -> None:
    response = home.api.post(f"{home.path}/segments", {"name": "Nothing"})
    assert response.json()["detail"] == 'Must provide either an "options" field or a "static_segment" field'


def test_a_second_segment_of_the_same_name_comes_into_being(home: Home) -> None:
    assert make(home)["id"] != make(home)["id"]
    assert home.api.get(f"{home.path}/segments").json()["total_items"] == 2


def test_segments_are_filtered_by_type(home: Home) -> None:
    make(home)
    options = {
        "match": "all",
        "conditions": [{"condition_type": "TextMerge", "field": "FNAME", "op": "is", "value": "Ann"}],
    }
    home.api.post(f"{home.path}/segments", {"name": "Anns", "options": options})
    saved = home.api.get(f"{home.path}/segments", type="saved").json()["segments"]
    assert [segment["name"] for segment in saved] == ["Anns"]


def test_a_saved_segment_is_computed(home: Home) -> None:
    home.add("ann@clinic.test", merge_fields={"FNAME": "Ann"})
    home.add("bob@clinic.test", merge_fields={"FNAME": "Bob"})
    condition = {"condition_type": "TextMerge", "field": "FNAME", "op": "starts", "value": "an"}
    body = {"name": "A", "options": {"match": "all", "conditions": [condition]}}
    segment = home.api.post(f"{home.path}/segments", body).json()
    assert inside(home, segment["id"]) == ["ann@clinic.test"]


def test_cleaned_transactional_and_unsubscribed_members_show_on_request(home: Home, people: list[str]) -> None:
    segment = make(home, *people)
    home.act("unsubscribe", people[0])
    home.act("bounce", people[1])
    assert inside(home, segment["id"]) == [people[2]]
    assert inside(home, segment["id"], include_unsubscribed="true") == [people[0], people[2]]
    assert inside(home, segment["id"], include_cleaned="true") == [people[1], people[2]]
    assert home.api.get(f"{home.path}/segments/{segment['id']}").json()["member_count"] == 1


# --- the batch call ---


def test_members_are_added_and_removed_and_come_back_in_full(home: Home, people: list[str]) -> None:
    segment = make(home, people[0])
    answer = batch(home, segment["id"], members_to_add=[people[1]], members_to_remove=[people[0]]).json()
    assert (answer["total_added"], answer["total_removed"], answer["error_count"]) == (1, 1, 0)
    assert answer["members_added"][0]["merge_fields"]["FNAME"] == ""
    assert inside(home, segment["id"]) == [people[1]]


def test_who_is_in_already_is_an_error_beside_those_who_are_added(home: Home, people: list[str]) -> None:
    segment = make(home, people[0])
    answer = batch(home, segment["id"], members_to_add=people).json()
    assert answer["errors"] == [
        {"email_addresses": [people[0]], "error": "Email addresses already exist in the static segment"}
    ]
    assert (answer["total_added"], answer["error_count"]) == (2, 1)


def test_removing_who_is_not_in_is_an_error(home: Home, people: list[str]) -> None:
    segment = make(home, people[0])
    answer = batch(home, segment["id"], members_to_remove=people).json()
    assert answer["errors"] == [
        {"email_addresses": people[1:], "error": "Email addresses do not exist in the static segment"}
    ]
    assert (answer["total_removed"], answer["error_count"]) == (1, 1)


def test_unknown_addresses_are_ignored_in_silence_beside_a_known_one(home: Home, people: list[str]) -> None:
    segment = make(home)
    answer = batch(home, segment["id"], members_to_add=[people[0], "foo@bar.com", "foo@bar.com"]).json()
    assert [member["email_address"] for member in answer["members_added"]] == [people[0]]
    assert answer["errors"] == []


@pytest.mark.parametrize("field", ["members_to_add", "members_to_remove"])
def test_only_unknown_addresses_fail_the_call(home: Home, people: list[str], field: str) -> None:
    segment = make(home, people[0])
    response = batch(home, segment["id"], **{field: ["foo@bar.com", "foo@bar.com"]})
    assert (response.status_code, response.json()["title"]) == (400, "Invalid Resource")
    assert response.json()["errors"] == [{"field": field, "message": NOT_ON_LIST}]


def test_nothing_is_done_when_one_side_has_no_known_address(home: Home, people: list[str]) -> None:
    segment = make(home)
    response = batch(home, segment["id"], members_to_add=people, members_to_remove=["foo@bar.com"])
    assert response.status_code == 400
    assert inside(home, segment["id"]) == []


@pytest.mark.parametrize("act", ["unsubscribe", "bounce", "admin_archive"])
def test_opted_out_bounced_and_archived_members_count_as_absent(home: Home, people: list[str], act: str) -> None:
    segment = make(home)
    home.act(act, people[0])
    response = batch(home, segment["id"], members_to_add=[people[0]])
    assert response.json()["errors"][0]["message"] == NOT_ON_LIST


def test_non_subscribed_contacts_can_be_added(home: Home) -> None:
    home.add("ann@clinic.test", "transactional")
    segment = make(home)
    assert batch(home, segment["id"], members_to_add=["ann@clinic.test"]).json()["total_added"] == 1
    assert inside(home, segment["id"], include_transactional="true") == ["ann@clinic.test"]


def test_more_than_five_hundred_addresses_are_refused(home: Home, people: list[str]) -> None:
    segment = make(home)
    response = batch(home, segment["id"], members_to_add=[people[0]] * 501)
    assert response.status_code == 400
    assert response.json()["detail"] == (
        "Maximum allowed member items exceeded, please provide at most 500 items in members_to_add field "
        "or members_to_remove field"
    )


def test_an_unknown_segment_is_not_found(home: Home, people: list[str]) -> None:
    assert batch(home, 999999, members_to_add=people).status_code == 404
    assert home.api.post(f"{home.path}/segments/123asdf", {"members_to_add": people}).status_code == 404


def test_a_saved_segment_takes_no_members(home: Home, people: list[str]) -> None:
    body = {"name": "A", "options": {"match": "all", "conditions": []}}
    segment_id = home.api.post(f"{home.path}/segments", body).json()["id"]
    response = batch(home, segment_id, members_to_add=people)
    assert response.status_code == 400
    assert response.json()["detail"] == f'A Static Segment with an id of "{segment_id}" does not exist for this list.'


def test_being_added_moves_last_changed_and_being_in_already_does_not(
    home: Home, people: list[str], clock: Clock
) -> None:
    segment = make(home, people[0])
    before = [home.member(email)["last_changed"] for email in people[:2]]
    clock.advance(60)
    batch(home, segment["id"], members_to_add=people[:2])
    after = [home.member(email)["last_changed"] for email in people[:2]]
    assert after[0] == before[0]
    assert after[1] > before[1]


# --- one member of a segment, and tag search ---


def test_one_member_is_added_and_removed(home: Home, people: list[str]) -> None:
    segment = make(home)
    path = f"{home.path}/segments/{segment['id']}/members"
    assert home.api.post(path, {"email_address": people[0]}).json()["email_address"] == people[0]
    assert inside(home, segment["id"]) == [people[0]]
    member_id = home.member(people[0])["id"]
    assert home.api.delete(f"{path}/{member_id}").status_code == 204
    assert home.api.delete(f"{path}/{member_id}").status_code == 404
    assert home.api.post(path, {"email_address": "nobody@clinic.test"}).status_code == 404


def test_tags_are_searched_by_their_beginning(home: Home) -> None:
    for name in ("Client", "Cleaner", "Overdue"):
        make(home, name=name)
    found = home.api.get(f"{home.path}/tag-search", name="cl").json()
    assert sorted(tag["name"] for tag in found["tags"]) == ["Cleaner", "Client"]
    assert home.api.get(f"{home.path}/tag-search").json()["total_items"] == 3
