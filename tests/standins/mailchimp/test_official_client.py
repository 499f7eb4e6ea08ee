"""The official client `mailchimp_marketing` drives the stand-in as it drives Mailchimp."""

from __future__ import annotations

from typing import Any

import mailchimp_marketing
import pytest
from mailchimp_marketing.api_client import ApiClientError

from infra.standins.mailchimp.addresses import subscriber_hash

from .conftest import Home
from .receiver import Receiver

ANN = "ann@clinic.test"


@pytest.fixture
def client(home: Home) -> Any:
    """The client as its users make it, sent to the stand-in's host instead of `https://{dc}.api.mailchimp.com`."""
    made = mailchimp_marketing.Client({"api_key": home.api.key})
    made.api_client.host = home.api.url
    return made


def test_ping_and_root(client: Any, home: Home) -> None:
    assert client.ping.get() == {"health_status": "Everything's Chimpy!"}
    assert client.root.get_root()["account_id"] == home.account_id


def test_a_token_instead_of_a_key(home: Home) -> None:
    made = mailchimp_marketing.Client({"access_token": home.api.key, "server": "us7"})
    made.api_client.host = home.api.url
    assert made.ping.get()["health_status"] == "Everything's Chimpy!"


def test_lists(client: Any, home: Home) -> None:
    body = {
        "name": "Newsletter",
        "contact": {"company": "X", "address1": "1 Road", "city": "Town", "country": "AU"},
        "permission_reminder": "You are a client.",
        "campaign_defaults": {"from_name": "X", "from_email": "hi@clinic.test", "subject": "", "language": "en"},
        "email_type_option": False,
    }
    made = client.lists.create_list(body)
    assert client.lists.get_list(made["id"])["name"] == "Newsletter"
    assert {item["id"] for item in client.lists.get_all_lists(count=100)["lists"]} == {home.id, made["id"]}


def test_bulk_and_listing(client: Any, home: Home) -> None:
    members = [{"email_address": f"p{number}@clinic.test", "status": "subscribed"} for number in range(20)]
    answer = client.lists.batch_list_members(home.id, {"members": members, "update_existing": True})
    assert answer["total_created"] == 20
    page = client.lists.get_list_members_info(
        home.id,
        count=15,
        offset=10,
        status="subscribed",
        sort_field="last_changed",
        sort_dir="ASC",
        since_last_changed="2020-01-01T00:00:00+00:00",
        fields=["members.email_address", "total_items"],
    )
    assert (len(page["members"]), page["total_items"]) == (10, 20)
    assert set(page["members"][0]) == {"email_address"}


def test_one_member_from_creation_to_the_archive(client: Any, home: Home) -> None:
    key = subscriber_hash(ANN)
    made = client.lists.set_list_member(home.id, key, {"email_address": ANN, "status_if_new": "subscribed"})
    assert made["id"] == key
    client.lists.update_list_member(home.id, key, {"merge_fields": {"FNAME": "Ann"}})
    assert client.lists.get_list_member(home.id, key)["full_name"] == "Ann"
    client.lists.update_list_member_tags(home.id, key, {"tags": [{"name": "Client", "status": "active"}]})
    assert client.lists.get_list_member_tags(home.id, key)["tags"][0]["name"] == "Client"
    assert client.lists.delete_list_member(home.id, key).status_code == 204
    assert client.lists.get_list_member(home.id, key)["status"] == "archived"
    assert client.lists.add_list_member(home.id, {"email_address": ANN, "status": "subscribed"})["id"] == key
    assert client.lists.delete_list_member_permanent(home.id, key).status_code == 204
    with pytest.raises(ApiClientError) as error:
        client.lists.get_list_member(home.id, key)
    assert error.value.status_code == 404


def test_segments(client: Any, home: Home) -> None:
    home.add(ANN)
    segment = client.lists.create_segment(home.id, {"name": "Overdue", "static_segment": []})
    answer = client.lists.batch_segment_members({"members_to_add": [ANN]}, home.id, segment["id"])
    assert answer["total_added"] == 1
    assert client.lists.get_segment_members_list(home.id, segment["id"])["total_items"] == 1
    client.lists.update_segment(home.id, segment["id"], {"name": "Late"})
    assert client.lists.tag_search(home.id, name="la")["tags"][0]["name"] == "Late"
    assert client.lists.list_segments(home.id)["total_items"] == 1
    assert client.lists.delete_segment(home.id, segment["id"]).status_code == 204


def test_webhooks(client: Any, home: Home, receiver: Receiver) -> None:
    body = {
        "url": receiver.url,
        "events": {"unsubscribe": True},
        "sources": {"user": True, "admin": True, "api": False},
    }
    made = client.lists.create_list_webhook(home.id, body)
    assert made["signing_secret"]
    assert client.lists.get_list_webhooks(home.id)["total_items"] == 1
    changed = client.lists.update_list_webhook(home.id, made["id"], {"events": {"cleaned": True}})
    assert changed["events"]["cleaned"] is True
    assert client.lists.delete_list_webhook(home.id, made["id"]).status_code == 204


def test_merge_fields(client: Any, home: Home) -> None:
    made = client.lists.add_list_merge_field(home.id, {"name": "Company", "tag": "COMPANY", "type": "text"})
    assert made["tag"] == "COMPANY"
    assert client.lists.get_list_merge_fields(home.id, count=1000)["total_items"] == 5
    changed = client.lists.update_list_merge_field(home.id, made["merge_id"], {"name": "Company name"})
    assert changed["name"] == "Company name"
    assert client.lists.delete_list_merge_field(home.id, made["merge_id"]).status_code == 204


def test_refusals_reach_the_client_as_problem_texts(client: Any, home: Home) -> None:
    with pytest.raises(ApiClientError) as error:
        client.lists.add_list_member(home.id, {"email_address": "foo@example.com", "status": "subscribed"})
    assert error.value.status_code == 400
    assert "looks fake or invalid" in error.value.text


def test_an_invalid_key_reaches_the_client_as_401(home: Home) -> None:
    made = mailchimp_marketing.Client({"api_key": "0" * 32 + "-us7"})
    made.api_client.host = home.api.url
    with pytest.raises(ApiClientError) as error:
        made.ping.get()
    assert error.value.status_code == 401
