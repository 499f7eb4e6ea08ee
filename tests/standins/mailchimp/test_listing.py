"""GET /lists/{id}/members (fact sheet section 6)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from infra.standins.mailchimp import Latency, MailchimpStandIn, Readings

from .conftest import Clock, Home, settle


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def fill(home: Home, clock: Clock, count: int, *, apart: float = 1) -> list[str]:
    """Members made one after another, `apart` seconds between them."""
    emails = [f"p{number:03}@clinic.test" for number in range(count)]
    for email in emails:
        clock.advance(apart)
        home.add(email)
    return emails


def page(home: Home, **query: Any) -> dict[str, Any]:
    response = home.api.get(f"{home.path}/members", **query)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def test_the_default_page_has_ten_members(home: Home, clock: Clock) -> None:
    fill(home, clock, 12)
    answer = page(home)
    assert (len(answer["members"]), answer["total_items"], answer["list_id"]) == (10, 12, home.id)


def test_a_page_holds_at_most_a_thousand_without_a_word(home: Home) -> None:
    for start in (0, 500, 1000):
        home.bulk(*[{"email_address": f"p{start + n}@clinic.test", "status": "subscribed"} for n in range(500)])
    assert len(page(home, count=5000)["members"]) == 1000


def test_beyond_the_end_the_page_is_empty_and_the_total_is_not(home: Home, clock: Clock) -> None:
    fill(home, clock, 3)
    assert page(home, offset=50)["members"] == []
    assert page(home, offset=50)["total_items"] == 3


def test_archived_members_are_only_listed_when_asked_for(home: Home, clock: Clock) -> None:
    fill(home, clock, 2)
    home.api.delete(home.member_path("p000@clinic.test"))
    assert home.listed() == ["p001@clinic.test"]
    assert home.listed(since_last_changed="2020-01-01T00:00:00Z") == ["p001@clinic.test"]
    assert home.listed(status="archived") == ["p000@clinic.test"]


@pytest.mark.parametrize("status", ["subscribed", "unsubscribed", "cleaned", "pending", "transactional"])
def test_a_status_selects_its_members(home: Home, status: str) -> None:
    for each in ("subscribed", "unsubscribed", "cleaned", "pending", "transactional"):
        home.add(f"{each}@clinic.test", each)
    assert home.listed(status=status) == [f"{status}@clinic.test"]


def test_an_unknown_status_is_refused(home: Home) -> None:
    assert home.api.get(f"{home.path}/members", status="gone").status_code == 400


def test_since_and_before_last_changed_are_exclusive(home: Home, clock: Clock) -> None:
    fill(home, clock, 3)
    middle = home.member("p001@clinic.test")["last_changed"]
    assert home.listed(since_last_changed=middle) == ["p002@clinic.test"]
    assert home.listed(before_last_changed=middle) == ["p000@clinic.test"]


def test_milliseconds_and_z_are_understood(home: Home, clock: Clock) -> None:
    fill(home, clock, 1)
    changed = datetime.fromisoformat(home.member("p000@clinic.test")["last_changed"]).timestamp()
    just_before = datetime.fromtimestamp(changed - 0.001, UTC).isoformat(timespec="milliseconds")
    assert home.listed(since_last_changed=just_before.replace("+00:00", "Z")) == ["p000@clinic.test"]


def test_a_future_date_finds_nobody(home: Home, clock: Clock) -> None:
    fill(home, clock, 1)
    assert page(home, since_last_changed="2999-01-01T00:00:00+00:00")["total_items"] == 0


def test_a_plus_that_was_not_encoded_is_refused(home: Home) -> None:
    url = f"{home.api.url}{home.path}/members?since_last_changed=2026-01-05T10:00:00+00:00"
    assert requests.get(url, auth=("x", home.api.key), timeout=60).status_code == 400


def test_a_very_old_date_runs_into_the_time_limit(home: Home) -> None:
    response = home.api.get(f"{home.path}/members", since_last_changed="1970-01-01T00:00:00Z")
    assert response.status_code == 502
    assert response.headers["Content-Type"] == "text/html"


def test_last_changed_sorts_both_ways(home: Home, clock: Clock) -> None:
    fill(home, clock, 3)
    clock.advance(10)
    home.put("p000@clinic.test", merge_fields={"FNAME": "New"})
    up = home.listed(sort_field="last_changed", sort_dir="ASC")
    assert up == ["p001@clinic.test", "p002@clinic.test", "p000@clinic.test"]
    assert home.listed(sort_field="last_changed", sort_dir="DESC") == up[::-1]


def test_timestamp_opt_filters_and_sorts(home: Home, clock: Clock) -> None:
    emails = fill(home, clock, 3)
    opted = home.member(emails[1])["timestamp_opt"]
    assert home.listed(since_timestamp_opt=opted) == [emails[2]]
    assert home.listed(before_timestamp_opt=opted) == [emails[0]]
    assert home.listed(sort_field="timestamp_opt", sort_dir="DESC") == emails[::-1]


def test_last_changed_has_a_resolution_of_one_second(home: Home, clock: Clock) -> None:
    home.bulk(*[{"email_address": f"p{number}@clinic.test", "status": "subscribed"} for number in range(10)])
    assert len({member["last_changed"] for member in page(home)["members"]}) == 1


def test_unsubscribed_since_needs_the_status(home: Home, clock: Clock) -> None:
    home.add("ann@clinic.test", "unsubscribed")
    since = iso(clock() - 10)
    assert home.listed(status="unsubscribed", unsubscribed_since=since) == ["ann@clinic.test"]
    assert home.api.get(f"{home.path}/members", unsubscribed_since=since).status_code == 400


def test_fields_pick_what_is_sent(home: Home, clock: Clock) -> None:
    fill(home, clock, 1)
    answer = page(home, fields="members.email_address,members.merge_fields.FNAME,total_items")
    assert answer == {
        "members": [{"email_address": "p000@clinic.test", "merge_fields": {"FNAME": ""}}],
        "total_items": 1,
    }


def test_exclude_fields_need_the_path_to_have_an_effect(home: Home, clock: Clock) -> None:
    fill(home, clock, 1)
    assert "email_address" in page(home, exclude_fields="email_address")["members"][0]
    assert "email_address" not in page(home, exclude_fields="members.email_address")["members"][0]


@pytest.mark.parametrize(
    "query", [{"fields": "members.nonsense"}, {"fields": "email_address"}, {"fields": "members", "exclude_fields": "x"}]
)
def test_unknown_fields_and_both_parameters_are_errors(home: Home, query: dict[str, str]) -> None:
    assert home.api.get(f"{home.path}/members", **query).status_code == 422


def test_vip_and_unique_email_id_select(home: Home) -> None:
    home.add("ann@clinic.test", vip=True)
    bob = home.add("bob@clinic.test")
    assert home.listed(vip_only="true") == ["ann@clinic.test"]
    assert home.listed(unique_email_id=bob["unique_email_id"]) == ["bob@clinic.test"]


@pytest.mark.parametrize("query", [{"count": "many"}, {"offset": "-1"}, {"interest_ids": "a"}])
def test_parameters_that_make_no_sense_are_refused(home: Home, query: dict[str, str]) -> None:
    assert home.api.get(f"{home.path}/members", **query).status_code == 400


# --- paging while members change ---


def read_by_offset(home: Home, between: Callable[[], None], **window: str) -> list[str]:
    """Pages of three by growing offset; `between` happens after the first page."""
    seen: list[str] = []
    for number in range(20):
        found = home.listed(count=3, offset=3 * number, sort_field="last_changed", sort_dir="ASC", **window)
        if not found:
            break
        seen += found
        if number == 0:
            between()
    return seen


def test_growing_offsets_skip_members_when_others_change_meanwhile(home: Home, clock: Clock) -> None:
    emails = fill(home, clock, 9)

    def change_two() -> None:
        clock.advance(5)
        for email in emails[:2]:
            home.put(email, merge_fields={"FNAME": "New"})

    seen = read_by_offset(home, change_two)
    assert set(emails) - set(seen) == {"p003@clinic.test", "p004@clinic.test"}


def test_a_window_closed_before_the_changes_is_no_cure_for_growing_offsets(home: Home, clock: Clock) -> None:
    emails = fill(home, clock, 9)
    clock.advance(5)
    end = iso(clock())

    def change_two() -> None:
        clock.advance(5)
        for email in emails[:2]:
            home.put(email, merge_fields={"FNAME": "New"})

    seen = read_by_offset(home, change_two, before_last_changed=end)
    assert set(emails) - set(seen) == {"p003@clinic.test", "p004@clinic.test"}


def test_restarting_at_the_last_value_seen_misses_nobody(home: Home, clock: Clock) -> None:
    emails = fill(home, clock, 9)
    seen: set[str] = set()
    since = iso(clock() - 1000)
    for number in range(20):
        members = page(home, count=3, sort_field="last_changed", sort_dir="ASC", since_last_changed=since)["members"]
        if not members:
            break
        seen |= {member["email_address"] for member in members}
        since = members[-1]["last_changed"]
        if number == 0:
            clock.advance(5)
            home.put(emails[1], merge_fields={"FNAME": "New"})
    assert seen == set(emails)


def test_equal_members_cut_by_a_page_are_missed_without_an_overlap(home: Home, clock: Clock) -> None:
    home.bulk(*[{"email_address": f"p{number}@clinic.test", "status": "subscribed"} for number in range(5)])
    first = page(home, count=3, sort_field="last_changed", sort_dir="ASC")["members"]
    assert home.listed(since_last_changed=first[-1]["last_changed"]) == []


def test_the_order_of_equal_members_is_steady_but_not_that_of_creation(home: Home) -> None:
    emails = [f"p{number:02}@clinic.test" for number in range(30)]
    home.bulk(*[{"email_address": email, "status": "subscribed"} for email in emails])
    query = {"sort_field": "last_changed", "sort_dir": "ASC"}
    pages = home.listed(count=15, **query) + home.listed(count=15, offset=15, **query)
    assert sorted(pages) == emails
    assert pages != emails
    assert home.listed(count=30, **query) == pages


def test_pages_see_every_change_at_once(home: Home, clock: Clock) -> None:
    emails = fill(home, clock, 3)
    query = {"sort_field": "last_changed", "sort_dir": "DESC"}
    for email in emails:
        clock.advance(5)
        home.put(email, merge_fields={"FNAME": email})
        assert home.listed(**query)[0] == email


# --- the switches of the open questions ---


def test_archived_members_can_be_switched_into_the_listing(clock: Clock) -> None:
    readings = Readings(archived_in_listing=True)
    with MailchimpStandIn(latency=Latency.none(), now=clock, readings=readings) as other:
        home = settle(other)
        home.add("ann@clinic.test")
        home.api.delete(home.member_path("ann@clinic.test"))
        assert home.listed() == ["ann@clinic.test"]


def test_the_order_of_equal_members_can_be_switched_to_chance(clock: Clock) -> None:
    with MailchimpStandIn(latency=Latency.none(), now=clock, readings=Readings(tie_order="shuffled")) as other:
        home = settle(other)
        home.bulk(*[{"email_address": f"p{number}@clinic.test", "status": "subscribed"} for number in range(40)])
        query = {"sort_field": "last_changed", "sort_dir": "ASC", "count": 40}
        assert home.listed(**query) != home.listed(**query)
