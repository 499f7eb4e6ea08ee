"""The control interface over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from infra.standins.mailchimp import MailchimpStandIn

from .conftest import Home


@pytest.fixture
def post(standin: MailchimpStandIn) -> Any:
    def call(action: str, **arguments: Any) -> requests.Response:
        return requests.post(f"{standin.control_url}/{action}", json=arguments, timeout=60)

    return call


def test_the_actions_are_listed_with_what_they_do(standin: MailchimpStandIn) -> None:
    index = requests.get(standin.control_url, timeout=60).json()
    assert "email" in index["unsubscribe"]["arguments"]
    assert index["journal"]["does"].startswith("Counts by call")
    assert not [name for name in index if name.startswith("_")]


def test_a_person_can_be_made_to_act(post: Any, home: Home) -> None:
    home.add("ann@clinic.test")
    answer = post("unsubscribe", email="ann@clinic.test", audience_id=home.id, reason="Too many").json()
    assert (answer["status"], answer["unsubscribe_reason"], answer["blocked"]) == ("unsubscribed", "Too many", "person")


def test_reading_actions_take_get_with_a_query(standin: MailchimpStandIn, home: Home) -> None:
    home.add("ann@clinic.test", tags=["Client"])
    url = f"{standin.control_url}/members?audience_id={home.id}&status=subscribed"
    [member] = requests.get(url, timeout=60).json()
    assert (member["email_address"], member["tag_names"]) == ("ann@clinic.test", ["Client"])
    assert requests.get(f"{standin.control_url}/journal?limit=1&writes_only=true", timeout=60).status_code == 200


def test_acting_actions_do_not_take_get(standin: MailchimpStandIn) -> None:
    assert requests.get(f"{standin.control_url}/create_account", timeout=60).status_code == 404


@pytest.mark.parametrize("action", ["nonsense", "_act", "__init__"])
def test_an_unknown_action_is_not_found(post: Any, action: str) -> None:
    assert post(action).status_code == 404


def test_an_unknown_member_is_not_found(post: Any, home: Home) -> None:
    assert post("bounce", email="nobody@clinic.test", audience_id=home.id).status_code == 404


@pytest.mark.parametrize(
    ("action", "arguments"),
    [
        ("unsubscribe", {}),
        ("create_key", {"role": "emperor"}),
        ("inject_fault", {"kind": "explode"}),
        ("inject_fault", {"nonsense": 1}),
        ("revoke_key", {"api_key": "unknown"}),
        ("members", {}),
    ],
)
def test_wrong_arguments_are_refused_in_words(post: Any, home: Home, action: str, arguments: dict[str, Any]) -> None:
    response = post(action, **arguments)
    assert response.status_code == 400
    assert response.json()["error"]


def test_imports_bring_members_of_every_kind(post: Any, home: Home) -> None:
    rows = [
        {"email_address": "a@clinic.test", "status": "unsubscribed", "blocked": "person"},
        {"email_address": "b@clinic.test", "status": "cleaned", "blocked": "bounce"},
        {"email_address": "odd@example.com", "status": "subscribed", "tags": ["Old"], "merge_fields": {"FNAME": "O"}},
    ]
    assert post("admin_import", members=rows, audience_id=home.id).json() == {"imported": 3}
    assert home.put("a@clinic.test", status="subscribed").json()["title"] == "Member In Compliance State"
    assert home.member("a@clinic.test")["unsubscribe_reason"] == "NORMAL"
    assert home.member("odd@example.com")["source"] == "Import"


def test_an_import_leaves_known_statuses_alone(post: Any, home: Home) -> None:
    home.add("ann@clinic.test")
    home.act("unsubscribe", "ann@clinic.test")
    rows = [{"email_address": "ann@clinic.test", "status": "subscribed", "merge_fields": {"FNAME": "Ann"}}]
    post("admin_import", members=rows, audience_id=home.id)
    assert home.member("ann@clinic.test")["status"] == "unsubscribed"
    assert home.member("ann@clinic.test")["merge_fields"]["FNAME"] == "Ann"


@pytest.mark.parametrize(
    ("moment", "shown"), [("before", "unsubscribed"), ("written", "unsubscribed"), ("after", "subscribed")]
)
def test_somebody_can_be_made_to_act_in_the_midst_of_a_call(post: Any, home: Home, moment: str, shown: str) -> None:
    home.add("ann@clinic.test")
    arguments = {"email": "ann@clinic.test", "audience_id": home.id}
    where = {"method": "POST", "path": f"/lists/{home.id}", "moment": moment}
    assert post("interject", act="unsubscribe", arguments=arguments, skip=1, **where).status_code == 200
    member = {"email_address": "ann@clinic.test", "status_if_new": "subscribed", "merge_fields": {"FNAME": "Ann"}}
    answers = [home.bulk(member, update_existing=True).json() for _ in range(3)]
    statuses = [answer["updated_members"][0]["status"] for answer in answers]
    assert statuses == ["subscribed", shown, "unsubscribed"]


def test_only_an_action_can_fall_into_a_call(post: Any) -> None:
    assert post("interject", act="dance", arguments={}).status_code == 400
    assert post("interject", act="unsubscribe", arguments={}, moment="later").status_code == 400
