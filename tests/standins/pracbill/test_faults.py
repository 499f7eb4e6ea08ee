"""Faults on order."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from infra.standins.pracbill import PracBillStandIn
from tests.standins.pracbill.conftest import LONG_AGO, Caller


@pytest.fixture
def listed(pracbill: PracBillStandIn) -> PracBillStandIn:
    for number in range(1, 7):
        pracbill.upsert(str(number), email=f"p{number}@clinic.test")
    return pracbill


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_a_status_is_answered_for_so_many_calls(listed: PracBillStandIn, caller: Caller, status: int) -> None:
    listed.inject("status", status=status, calls=2)
    assert [caller.get().status_code for _ in range(3)] == [status, status, 200]


def test_retry_after_is_sent_when_given(listed: PracBillStandIn, caller: Caller) -> None:
    listed.inject("status", status=429, retry_after=3)
    assert caller.get().headers["Retry-After"] == "3"


def test_a_fault_may_wait_and_be_for_one_resource_only(listed: PracBillStandIn, caller: Caller) -> None:
    listed.inject("status", skip=1, path="customers")
    paths = ["/customers", "", "/customers", "/customers"]
    assert [caller.get(path).status_code for path in paths] == [200, 200, 503, 200]


def test_a_fault_does_not_touch_the_key_set_or_the_levers(listed: PracBillStandIn, caller: Caller) -> None:
    listed.inject("status")
    assert requests.get(listed.jwks_url, timeout=60).status_code == 200
    assert caller.control("GET").status_code == 200


def test_the_key_set_fails_when_asked_to(listed: PracBillStandIn) -> None:
    listed.inject("status", path="jwks")
    assert requests.get(listed.jwks_url, timeout=60).status_code == 503


def test_nonsense_is_a_page_that_is_not_json(listed: PracBillStandIn, caller: Caller) -> None:
    listed.inject("nonsense")
    answer = caller.get()
    assert (answer.status_code, answer.text[:6]) == (200, "<html>")


def test_truncated_json_is_complete_http(listed: PracBillStandIn, caller: Caller) -> None:
    listed.inject("truncated")
    answer = caller.get("/customers")
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert caller.get("/customers").json()["next_after"] is None


@pytest.mark.parametrize("query", [{}, {"updated_since": LONG_AGO}])
def test_a_page_out_of_order_has_its_ends_swapped(
    listed: PracBillStandIn, caller: Caller, query: dict[str, Any]
) -> None:
    listed.inject("out_of_order")
    page = caller.get("/customers", params=query).json()
    assert [customer["id"] for customer in page["customers"]] == ["6", "2", "3", "4", "5", "1"]


def test_a_repeated_cursor_points_to_its_own_page(listed: PracBillStandIn, caller: Caller) -> None:
    listed.inject("repeated_cursor", calls=2)
    query = {"updated_since": LONG_AGO, "limit": 2}
    cursor = caller.get("/customers", params=query).json()["next_cursor"]
    assert caller.get("/customers", params={**query, "cursor": cursor}).json()["next_cursor"] == cursor
    assert caller.get("/customers", params={"limit": 2, "after": "2"}).json()["next_after"] == "2"
    assert caller.get("/customers", params={"limit": 2, "after": "2"}).json()["next_after"] == "4"


@pytest.mark.parametrize("kind", ["drop", "drop_midway"])
def test_a_connection_breaks(listed: PracBillStandIn, caller: Caller, kind: str) -> None:
    listed.inject(kind)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        caller.get("/customers")
    assert caller.get("/customers").status_code == 200


def test_a_hang_outlasts_the_callers_patience_and_does_not_hold_up_the_stop(listed: PracBillStandIn) -> None:
    listed.inject("hang", seconds=3600)
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{listed.url}/departments/x", headers=listed.headers, timeout=(30, 0.2))
    listed.stop()  # an hour before the call is over


def test_faults_are_ordered_seen_and_taken_back_over_http(listed: PracBillStandIn, caller: Caller) -> None:
    caller.control("POST", "/faults", json={"kind": "status", "status": 500, "calls": 9})
    assert caller.get().status_code == 500
    assert caller.control("GET", "/faults").json()["faults"][0]["calls"] == 8
    caller.control("DELETE", "/faults")
    assert caller.get().status_code == 200


@pytest.mark.parametrize("body", [{"kind": "flood"}, {}, {"kind": "status", "x": 1}, {"kind": "status", "calls": 0}])
def test_a_fault_that_makes_no_sense_is_refused(listed: PracBillStandIn, caller: Caller, body: dict[str, Any]) -> None:
    assert caller.control("POST", "/faults", json=body).status_code == 400
    assert caller.get().status_code == 200
