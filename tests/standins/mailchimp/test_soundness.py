"""The stand-in itself stays sound: odd bodies, a long history, calls side by side."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.standins.mailchimp import Latency, MailchimpStandIn
from infra.standins.mailchimp.audiences import Audience

from .conftest import Api, Clock, Home, settle

ANN = "ann@clinic.test"
ODD_MEMBERS: list[Any] = [
    {"email_address": []},
    {"email_address": ANN, "status": 5, "merge_fields": [], "tags": {}, "location": [], "interests": []},
    {"email_address": ANN, "status": "subscribed", "merge_fields": {"ADDRESS": {"addr1": None}}},
    {"email_address": ANN, "status": "subscribed", "merge_fields": {"FNAME": {"x": "y"}, "ADDRESS": []}},
    {"email_address": ANN, "status": "subscribed", "location": {"latitude": "x"}, "timestamp_opt": "x"},
    {"email_address": "\U0001f600@clinic.test", "status": "subscribed", "tags": [""]},
]
ODD: list[Any] = [
    None,
    1,
    "x",
    [],
    {},
    {"members": None},
    {"members": [None, 1, "x"]},
    *({"members": [member]} for member in ODD_MEMBERS),
    *ODD_MEMBERS,
    {"name": 1, "type": 5, "options": []},
    {"name": "x", "static_segment": [1]},
    {"name": "x", "options": {"conditions": [1]}},
    {"name": "x", "options": {"match": 1, "conditions": [{"condition_type": "TextMerge", "field": 1, "op": []}]}},
    {"tags": [1, {"name": 1, "status": 1}, {"name": "a", "status": []}]},
    {"url": "http://[", "events": []},
    {"url": "http://clinic.test:99999999/", "sources": {"api": 1}},
    {"members_to_add": [None], "members_to_remove": "x"},
]
WRITES = [
    ("POST", ""),
    ("POST", "/members"),
    ("PUT", f"/members/{ANN}"),
    ("PATCH", f"/members/{ANN}"),
    ("POST", f"/members/{ANN}/tags"),
    ("POST", "/segments"),
    ("POST", "/segments/1001"),
    ("PATCH", "/segments/1001"),
    ("POST", "/webhooks"),
    ("POST", "/merge-fields"),
    ("PATCH", "/merge-fields/1"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_no_body_however_odd_breaks_a_call(home: Home, method: str, path: str) -> None:
    home.add(ANN, tags=["Client"])
    for body in ODD:
        response = home.api.call(method, home.path + path, body)
        assert response.status_code < 500, body


def check_indexes(audience: Audience) -> None:
    """Every index holds exactly the members."""
    members = list(audience.members.values())
    assert {member.id for member in members} == set(audience.by_id)
    assert {member.address.lower() for member in members} == set(audience.by_address)
    assert Counter(member.status for member in members) == +audience.counts
    for segment_id, inside in audience.tagged.items():
        assert set(inside) == {member.contact_id for member in members if segment_id in member.tags}
    ordered = audience.by_last_changed()
    assert ordered == sorted(members, key=lambda member: (member.last_changed, member.contact_id))


def act_at_random(home: Home, chance: random.Random) -> None:
    email = f"p{chance.randrange(15)}@clinic.test"
    status = chance.choice(["subscribed", "unsubscribed", "pending", "transactional"])
    path = home.member_path(email)
    tag = {"name": chance.choice("ABC"), "status": chance.choice(["active", "inactive"])}
    options: dict[str, Any] = {"update_existing": True, "sync_tags": chance.random() < 0.3}
    acts: list[Callable[[], Any]] = [
        lambda: home.bulk({"email_address": email, "status": status, "tags": [chance.choice("ABC")]}, **options),
        lambda: home.put(email, status_if_new=status, merge_fields={"FNAME": str(chance.randrange(3))}),
        lambda: home.api.put(path, {"email_address": f"q{chance.randrange(15)}@clinic.test", "status": status}),
        lambda: home.api.delete(path),
        lambda: home.api.post(path + "/tags", {"tags": [tag]}),
        lambda: home.api.post(path + "/actions/delete-permanent") if chance.random() < 0.1 else None,
        lambda: home.listed(sort_field="last_changed", sort_dir="ASC"),
    ]
    chance.choice(acts)()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_long_history_keeps_the_indexes_right_and_survives_a_restart(seed: int, tmp_path: Path, clock: Clock) -> None:
    chance, state = random.Random(seed), tmp_path / "state"
    with MailchimpStandIn(latency=Latency.none(), now=clock, state=state) as running:
        home = settle(running)
        for _ in range(250):
            clock.advance(chance.choice([0, 0, 1, 30]))
            act_at_random(home, chance)
        check_indexes(running.world.audience(home.id))
        before = running.control.members(home.id)
    with MailchimpStandIn(latency=Latency.none(), now=clock, state=state) as again:
        check_indexes(again.world.audience(home.id))
        assert len(before) > 5
        assert sorted(again.control.members(home.id), key=web_id) == sorted(before, key=web_id)


def web_id(member: dict[str, Any]) -> int:
    number: int = member["web_id"]
    return number


def test_bulk_calls_side_by_side_lose_nothing(home: Home) -> None:
    def write(lane: int) -> None:
        api = Api(home.api.url, home.api.key)
        for number in range(5):
            emails = [f"l{lane}n{number}m{index}@clinic.test" for index in range(20)]
            members = [{"email_address": email, "status": "subscribed", "tags": ["All"]} for email in emails]
            assert api.post(home.path, {"members": members}).json()["total_created"] == 20

    lanes = [threading.Thread(target=write, args=(lane,)) for lane in range(8)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    assert home.api.get(f"{home.path}/members").json()["total_items"] == 800
    [segment] = home.api.get(f"{home.path}/segments").json()["segments"]
    assert segment["member_count"] == 800


def test_the_clock_may_tell_the_time_as_a_datetime() -> None:
    noon = datetime(2026, 5, 6, 12, 0, 0, 999, tzinfo=UTC)
    with MailchimpStandIn(latency=Latency.none(), now=lambda: noon) as running:
        assert settle(running).add(ANN)["last_changed"] == "2026-05-06T12:00:00+00:00"
