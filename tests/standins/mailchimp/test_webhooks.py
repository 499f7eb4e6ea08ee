"""Webhooks of an audience (fact sheet section 9)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest
import requests

from infra.standins.mailchimp import Latency, MailchimpStandIn, Readings
from infra.standins.mailchimp.delivery import RETRY_AFTER

from .conftest import Clock, Home, settle, wait_until
from .receiver import Receiver

ALL_EVENTS = dict.fromkeys(("subscribe", "unsubscribe", "profile", "cleaned", "upemail", "campaign"), True)
ALL_SOURCES = dict.fromkeys(("user", "admin", "api"), True)
ANN = "ann@clinic.test"


def create(home: Home, url: str, **body: Any) -> requests.Response:
    return home.api.post(f"{home.path}/webhooks", {"url": url, "events": ALL_EVENTS, "sources": ALL_SOURCES} | body)


def hook(home: Home, receiver: Receiver, **body: Any) -> dict[str, Any]:
    response = create(home, receiver.url, **body)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def only_user_and_admin() -> dict[str, bool]:
    return {"user": True, "admin": True, "api": False}


def received(home: Home, receiver: Receiver) -> list[dict[str, str]]:
    """All events that arrived, after waiting for those under way."""
    assert home.control.wait_for_deliveries(5)
    return [call.fields for call in receiver.received]


# --- made, listed, changed ---


def test_the_secret_is_told_once(home: Home, receiver: Receiver) -> None:
    made = hook(home, receiver)
    assert made["signing_enabled"] is True
    assert len(made["signing_secret"]) >= 32
    [listed] = home.api.get(f"{home.path}/webhooks").json()["webhooks"]
    assert "signing_secret" not in listed
    assert listed == {key: value for key, value in made.items() if key != "signing_secret"}
    assert home.api.get(f"{home.path}/webhooks/{made['id']}").json() == listed


def test_a_url_that_does_not_answer_200_is_refused_with_its_code(home: Home, receiver: Receiver) -> None:
    receiver.get_status = 403
    response = create(home, receiver.url)
    assert (response.status_code, response.json()["title"]) == (400, "Invalid Resource")
    assert response.json()["errors"][0]["message"] == (
        "We couldn't verify the URL is working. Please double check and try again. HTTP Code: 403"
    )
    assert home.api.get(f"{home.path}/webhooks").json()["webhooks"] == []


def test_a_url_that_nobody_answers_is_refused(home: Home) -> None:
    response = create(home, "http://127.0.0.1:9/nobody")
    assert "HTTP Code: 0" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://clinic.test/x", "http://"])
def test_what_is_no_url_is_invalid(home: Home, url: str) -> None:
    assert create(home, url).json()["errors"] == [{"field": "url", "message": "Invalid URL"}]


@pytest.mark.parametrize("query", ["", "?another=1"])
def test_the_same_url_again_is_refused_whatever_its_query(home: Home, receiver: Receiver, query: str) -> None:
    hook(home, receiver)
    response = create(home, receiver.url + query)
    assert response.status_code == 400
    assert "can't set up multiple WebHooks" in response.json()["errors"][0]["message"]


def test_a_deleted_hook_can_be_made_again_and_gets_nothing_meanwhile(home: Home, receiver: Receiver) -> None:
    made = hook(home, receiver)
    assert home.api.delete(f"{home.path}/webhooks/{made['id']}").status_code == 204
    home.add(ANN)
    assert received(home, receiver) == []
    assert home.api.get(f"{home.path}/webhooks/{made['id']}").status_code == 404
    assert hook(home, receiver)["id"] != made["id"]


def test_patch_changes_what_is_sent(home: Home, receiver: Receiver) -> None:
    made = hook(home, receiver)
    response = home.api.patch(f"{home.path}/webhooks/{made['id']}", {"events": {"profile": False}})
    assert response.status_code == 200
    assert response.json()["events"] == ALL_EVENTS | {"profile": False}
    assert response.json()["sources"] == ALL_SOURCES


def test_omitted_events_and_sources_are_off(home: Home, receiver: Receiver) -> None:
    made = home.api.post(f"{home.path}/webhooks", {"url": receiver.url, "events": {"unsubscribe": True}}).json()
    assert [event for event, on in made["events"].items() if on] == ["unsubscribe"]
    assert made["sources"] == {"user": False, "admin": False, "api": False}


# --- what is sent ---


def test_an_unsubscribe_from_a_mail_has_the_published_form(home: Home, receiver: Receiver, clock: Clock) -> None:
    home.add(ANN, merge_fields={"FNAME": "Ann"}, ip_opt="203.0.113.5")
    hook(home, receiver)
    home.act("unsubscribe", ANN, campaign_id="cb398d21d2")
    [event] = received(home, receiver)
    unique_id = home.member(ANN)["unique_email_id"]
    assert event["type"] == "unsubscribe"
    assert event["fired_at"] == home.member(ANN)["last_changed"].replace("T", " ").removesuffix("+00:00")
    assert event["data[action]"] == "unsub"
    assert event["data[reason]"] == "manual"
    assert event["data[id]"] == unique_id
    assert event["data[list_id]"] == home.id
    assert event["data[email]"] == ANN
    assert event["data[email_type]"] == "html"
    assert event["data[ip_opt]"] == "203.0.113.5"
    assert event["data[campaign_id]"] == "cb398d21d2"
    assert event["data[merges][EMAIL]"] == ANN
    assert event["data[merges][FNAME]"] == "Ann"
    assert event["data[merges][ADDRESS]"] == ""
    assert receiver.received[0].headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_a_filled_address_is_nested(home: Home, receiver: Receiver) -> None:
    hook(home, receiver)
    address = {"addr1": "1 Road", "city": "Town", "state": "VIC", "zip": "3000", "country": "AU"}
    home.add(ANN, merge_fields={"ADDRESS": address})
    [event] = received(home, receiver)
    assert event["data[merges][ADDRESS][city]"] == "Town"


def test_the_signature_covers_time_and_raw_body(home: Home, receiver: Receiver, clock: Clock) -> None:
    secret = hook(home, receiver)["signing_secret"]
    home.add(ANN)
    received(home, receiver)
    [call] = receiver.received
    parts = dict(part.split("=") for part in call.headers["X-Mailchimp-Signature"].split(","))
    expected = hmac.new(secret.encode(), parts["t"].encode() + b"." + call.body, hashlib.sha256).hexdigest()
    assert parts["v1"] == expected
    assert abs(int(parts["t"]) - clock()) < 300


def test_hooks_from_before_signing_stay_unsigned(receiver: Receiver) -> None:
    with MailchimpStandIn(latency=Latency.none(), readings=Readings(webhook_signing=False)) as old:
        home = settle(old)
        made = hook(home, receiver)
        assert made["signing_enabled"] is False
        assert "signing_secret" not in made
        home.add(ANN)
        received(home, receiver)
        assert "X-Mailchimp-Signature" not in receiver.received[0].headers


ACTS: list[tuple[Callable[[Home], Any], str, str]] = [
    (lambda home: home.act("unsubscribe", ANN), "unsubscribe", "user"),
    (lambda home: home.act("complain", ANN), "unsubscribe", "user"),
    (lambda home: home.act("resubscribe", "new@clinic.test"), "subscribe", "user"),
    (lambda home: home.act("change_address", ANN, "zoe@clinic.test"), "upemail", "user"),
    (lambda home: home.act("edit_profile", ANN, {"FNAME": "Zoe"}), "profile", "user"),
    (lambda home: home.act("admin_edit", ANN, {"FNAME": "Zoe"}), "profile", "admin"),
    (lambda home: home.act("admin_unsubscribe", ANN), "unsubscribe", "admin"),
    (lambda home: home.act("admin_archive", ANN), "unsubscribe", "admin"),
    (lambda home: home.act("admin_delete", ANN), "unsubscribe", "admin"),
    (lambda home: home.add("new@clinic.test"), "subscribe", "api"),
    (lambda home: home.put(ANN, status="unsubscribed"), "unsubscribe", "api"),
    (lambda home: home.put(ANN, merge_fields={"FNAME": "Zoe"}), "profile", "api"),
    (lambda home: home.api.put(home.member_path(ANN), {"email_address": "zoe@clinic.test"}), "upemail", "api"),
    (lambda home: home.api.delete(home.member_path(ANN)), "unsubscribe", "api"),
]


@pytest.mark.parametrize(("act", "event", "source"), ACTS)
def test_an_act_fires_its_event_if_its_source_is_on(
    home: Home, receiver: Receiver, act: Callable[[Home], Any], event: str, source: str
) -> None:
    home.add(ANN)
    hook(home, receiver, sources=dict.fromkeys(("user", "admin", "api"), False) | {source: True})
    act(home)
    assert [call["type"] for call in received(home, receiver)] == [event]


@pytest.mark.parametrize(("act", "event", "source"), ACTS)
def test_an_act_fires_nothing_if_its_source_is_off(
    home: Home, receiver: Receiver, act: Callable[[Home], Any], event: str, source: str
) -> None:
    home.add(ANN)
    hook(home, receiver, sources=ALL_SOURCES | {source: False})
    act(home)
    assert received(home, receiver) == []


def test_a_complaint_is_an_unsubscribe_for_abuse(home: Home, receiver: Receiver) -> None:
    home.add(ANN)
    hook(home, receiver)
    home.act("complain", ANN)
    [event] = received(home, receiver)
    assert (event["data[action]"], event["data[reason]"]) == ("unsub", "abuse")


def test_archiving_is_an_unsubscribe_with_the_action_delete(home: Home, receiver: Receiver) -> None:
    home.add(ANN)
    hook(home, receiver)
    home.act("admin_archive", ANN)
    [event] = received(home, receiver)
    assert event["data[action]"] == "delete"
    assert "data[campaign_id]" not in event


def test_cleaned_has_neither_id_nor_merges(home: Home, receiver: Receiver) -> None:
    home.add(ANN)
    hook(home, receiver, sources=only_user_and_admin())
    home.act("bounce", ANN, campaign_id="cb398d21d2")
    [event] = received(home, receiver)
    fired_at = event.pop("fired_at")
    assert len(fired_at) == 19
    assert event == {
        "type": "cleaned",
        "data[list_id]": home.id,
        "data[campaign_id]": "cb398d21d2",
        "data[reason]": "hard",
        "data[email]": ANN,
    }


def test_upemail_tells_both_addresses(home: Home, receiver: Receiver) -> None:
    home.add(ANN)
    hook(home, receiver)
    home.act("change_address", ANN, "zoe@clinic.test")
    [event] = received(home, receiver)
    assert (event["data[old_email]"], event["data[new_email]"]) == (ANN, "zoe@clinic.test")
    assert event["data[new_id]"] == home.member("zoe@clinic.test")["unique_email_id"]
    assert "data[id]" not in event


def test_campaigns_are_told_whatever_the_sources(home: Home, receiver: Receiver) -> None:
    hook(home, receiver, sources=dict.fromkeys(ALL_SOURCES, False))
    home.act("send_campaign", "News")
    [event] = received(home, receiver)
    assert (event["type"], event["data[subject]"], event["data[status]"]) == ("campaign", "News", "sent")


def test_a_write_that_changes_nothing_fires_nothing(home: Home, receiver: Receiver) -> None:
    home.add(ANN, merge_fields={"FNAME": "Ann"})
    hook(home, receiver)
    home.put(ANN, status="subscribed", merge_fields={"FNAME": "Ann"})
    assert received(home, receiver) == []


def test_tags_imports_and_pending_members_fire_nothing(home: Home, receiver: Receiver) -> None:
    home.add(ANN)
    hook(home, receiver)
    home.act("admin_tag", ANN, "Client")
    home.act("admin_import", [{"email_address": "imported@clinic.test", "status": "subscribed"}])
    home.add("pending@clinic.test", "pending")
    assert received(home, receiver) == []


def test_a_new_member_with_tags_fires_subscribe_alone(home: Home, receiver: Receiver) -> None:
    hook(home, receiver)
    home.bulk({"email_address": ANN, "status": "subscribed", "tags": ["Client"], "merge_fields": {"FNAME": "A"}})
    assert [event["type"] for event in received(home, receiver)] == ["subscribe"]


def test_confirming_and_resubscribing_fire_subscribe(home: Home, receiver: Receiver) -> None:
    home.add(ANN, "pending")
    home.add("bob@clinic.test")
    home.act("unsubscribe", "bob@clinic.test")
    hook(home, receiver, sources=only_user_and_admin())
    home.act("confirm", ANN)
    home.act("resubscribe", "bob@clinic.test")
    assert sorted(event["data[email]"] for event in received(home, receiver)) == [ANN, "bob@clinic.test"]
    assert receiver.events() == ["subscribe", "subscribe"]


def test_a_bulk_call_fires_one_event_for_each_member(home: Home, receiver: Receiver) -> None:
    hook(home, receiver)
    home.bulk(*[{"email_address": f"p{number}@clinic.test", "status": "subscribed"} for number in range(25)])
    events = received(home, receiver)
    assert len({event["data[email]"] for event in events}) == len(events) == 25


def test_only_the_audiences_own_hooks_are_called(home: Home, receiver: Receiver, standin: MailchimpStandIn) -> None:
    hook(home, receiver)
    settle(standin).add(ANN)
    assert received(home, receiver) == []


# --- delivery ---


def test_a_failed_delivery_comes_again_as_it_was(home: Home, receiver: Receiver) -> None:
    home.add(ANN)
    hook(home, receiver)
    receiver.post_statuses = [500, 302]
    home.act("unsubscribe", ANN)
    wait_until(lambda: len(receiver.received) == 3)
    bodies = {call.body for call in receiver.received}
    assert len(bodies) == 1


def test_delivery_is_given_up_after_the_last_interval(home: Home, receiver: Receiver) -> None:
    home.add(ANN)
    made = hook(home, receiver)
    receiver.post_statuses = [500] * 20
    home.act("unsubscribe", ANN)

    def attempts() -> list[int]:
        return [item["attempt"] for item in home.control.deliveries() if item["hook_id"] == made["id"]]

    wait_until(lambda: len(attempts()) == 4 and not home.control.pending_deliveries())
    assert attempts() == [1, 2, 3, 4]


def test_gone_disables_the_hook_at_once(home: Home, receiver: Receiver) -> None:
    home.add(ANN)
    hook(home, receiver)
    receiver.post_statuses = [410]
    home.act("unsubscribe", ANN)
    assert len(received(home, receiver)) == 1
    home.act("resubscribe", ANN)
    assert len(received(home, receiver)) == 1
    assert home.control.audiences(home.account_id)[0]["webhooks"][0]["disabled"] is True


def test_the_usual_intervals_grow_over_75_minutes() -> None:
    assert sum(RETRY_AFTER) == 75 * 60
    assert list(RETRY_AFTER) == sorted(RETRY_AFTER)
