"""Each route: what it hands to the service, and how it writes out the answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from chalicelib import __version__, api
from chalicelib.contract.account import BrakeChanges, SettingsChanges
from chalicelib.domain.audiences import NewAudience
from chalicelib.domain.customers import Address
from chalicelib.domain.logs import LogFilter
from chalicelib.domain.segments.rules import Rule
from chalicelib.domain.segments.validation import Definition
from chalicelib.errors import KeyRejected, RetryLater, StopRun, bad_input, conflict, not_found
from infra.deploy.package import PROJECT
from tests.api.conftest import Api, assert_problem
from tests.api.fake_services import FakeServices, run
from tests.api.test_access import BODIES

D = "/departments/d1"
KEY = BODIES["connect"]["api_key"]
AUDIENCE = {
    **BODIES["create_audience"],
    "from_email": " hello@acme.example ",
    "address": {
        "line1": "1 Road",
        "line2": "Flat 2",
        "city": "Melbourne",
        "state": "VIC",
        "postcode": "3000",
        "country": "au",
    },
    "language": "fr",
    "permission_reminder": "You are\na client.",
}
CALLS: list[tuple[str, str, Any, int, tuple[Any, ...]]] = [
    ("GET", f"{D}/panel", None, 200, ("panel", "d1")),
    ("GET", f"{D}/connection", None, 200, ("status", "d1")),
    ("PUT", f"{D}/connection", {"api_key": f"  {KEY}\n"}, 200, ("connect", "d1", KEY, "user-7")),
    ("DELETE", f"{D}/connection", None, 200, ("disconnect", "d1", "user-7")),
    ("GET", f"{D}/audiences", None, 200, ("audiences", "d1", None)),
    ("GET", f"{D}/audiences?name=%20Caf%C3%A9%20News%20", None, 200, ("audiences", "d1", "Café News")),
    (
        "POST",
        f"{D}/audiences",
        AUDIENCE,
        201,
        (
            "create audience",
            "d1",
            NewAudience(
                "Customer Newsletter",
                "Acme",
                "hello@acme.example",
                "Acme",
                Address("1 Road", "Flat 2", "Melbourne", "VIC", "3000", "AU"),
                "fr",
                "You are\na client.",
            ),
            "user-7",
        ),
    ),
    ("PUT", f"{D}/audience", {"audience_id": "a1"}, 200, ("select", "d1", "a1", "user-7")),
    ("GET", f"{D}/audience", None, 200, ("overview", "d1")),
    ("GET", f"{D}/settings", None, 200, ("settings", "d1")),
    (
        "PUT",
        f"{D}/settings",
        {"unknown_consent": "skip", "brake": {"removals": 0, "additions_percent": 100}, "paused": False},
        200,
        (
            "change settings",
            "d1",
            SettingsChanges(
                unknown_consent="skip", brake=BrakeChanges(removals=0, additions_percent=100), paused=False
            ),
            "user-7",
        ),
    ),
    ("PUT", f"{D}/settings", {}, 200, ("change settings", "d1", SettingsChanges(), "user-7")),
    ("GET", "/segment-fields", None, 200, ("fields", None)),
    ("GET", "/segment-templates", None, 200, ("templates", None)),
    ("GET", f"{D}/segments", None, 200, ("segments", "d1")),
    (
        "POST",
        f"{D}/segments",
        {
            "name": " Owing ",
            "rules": [
                {"field": "balance_greater_than", "operator": "is", "value": 100},
                {"field": "state", "operator": "equals", "value": " vic "},
                {"field": "email", "operator": "is_empty", "value": None},
                {"field": "city", "operator": "is_empty"},
            ],
        },
        201,
        (
            "create segment",
            "d1",
            Definition(
                "Owing",
                (
                    Rule("balance_greater_than", "is", 100),
                    Rule("state", "equals", "vic"),
                    Rule("email", "is_empty", None),
                    Rule("city", "is_empty", None),
                ),
            ),
            "user-7",
        ),
    ),
    ("GET", f"{D}/segments/seg-1", None, 200, ("segment", "d1", "seg-1")),
    (
        "PUT",
        f"{D}/segments/seg-1",
        {**BODIES["change_segment"], "version": 3},
        200,
        ("update segment", "d1", "seg-1", Definition("Victoria", (Rule("state", "is_empty", None),)), 3, "user-7"),
    ),
    ("DELETE", f"{D}/segments/seg-1", None, 204, ("delete segment", "d1", "seg-1", "user-7")),
    (
        "POST",
        f"{D}/segments/preview",
        {**BODIES["preview_segment"], "segment_id": "seg-1", "per_rule": True},
        200,
        ("preview", "d1", (Rule("state", "equals", "VIC"),), "seg-1", True),
    ),
    ("POST", f"{D}/syncs", {"type": "full"}, 202, ("start", "d1", "full", False, "user-7")),
    (
        "POST",
        f"{D}/syncs",
        {"type": "incremental", "dry_run": True},
        202,
        ("start", "d1", "incremental", True, "user-7"),
    ),
    ("GET", f"{D}/syncs", None, 200, ("runs", "d1", 50, None)),
    ("GET", f"{D}/syncs?limit=7&cursor=", None, 200, ("runs", "d1", 7, None)),
    ("GET", f"{D}/syncs/run-1", None, 200, ("run", "d1", "run-1")),
    (
        "GET",
        f"{D}/syncs/run-1/records?outcome=refused",
        None,
        200,
        ("records", "d1", "run-1", ("refused",), None, None, None, 50, None),
    ),
    (
        "GET",
        f"{D}/syncs/run-1/records?outcome=Failed,refused,failed&code=invalid_email&action=add&customer_id=a%20b&limit=100",
        None,
        200,
        ("records", "d1", "run-1", ("failed", "refused"), "invalid_email", "add", "a b", 100, None),
    ),
    (
        "GET",
        f"{D}/syncs/run-1/records?outcome=&cursor=",
        None,
        200,
        ("records", "d1", "run-1", (), None, None, None, 50, None),
    ),
    ("POST", f"{D}/syncs/run-1/approve", None, 200, ("approve", "d1", "run-1", "user-7")),
    ("POST", f"{D}/syncs/run-1/cancel", {}, 200, ("cancel", "d1", "run-1", "user-7")),
    ("POST", f"{D}/syncs/run-1/retry", None, 202, ("retry", "d1", "run-1", "user-7")),
    ("GET", f"{D}/logs", None, 200, ("logs", "d1", LogFilter(), 50, None)),
    (
        "GET",
        f"{D}/logs?direction=Pull&type=FULL&status=error&trigger=Webhook",
        None,
        200,
        ("logs", "d1", LogFilter("pull", "full", "error", "webhook"), 50, None),
    ),
    (
        "GET",
        f"{D}/logs?since=2026-11-01&until=2026-11-02",
        None,
        200,
        (
            "logs",
            "d1",
            LogFilter(since=datetime(2026, 11, 1, tzinfo=UTC), until=datetime(2026, 11, 3, tzinfo=UTC)),
            50,
            None,
        ),
    ),
    (
        "GET",
        f"{D}/logs?since=2026-11-01T08:00:00%2B10:00",
        None,
        200,
        ("logs", "d1", LogFilter(since=datetime(2026, 10, 31, 22, tzinfo=UTC)), 50, None),
    ),
    ("GET", f"{D}/customers?query=%20M%C3%BCller%20", None, 200, ("find", "d1", "Müller")),
    ("GET", f"{D}/customers/77", None, 200, ("explain", "d1", "77")),
    ("GET", f"{D}/customers/{quote('Müller & Co/7 +%', safe='')}", None, 200, ("explain", "d1", "Müller & Co/7 +%")),
    ("POST", f"{D}/customers/{quote('a b', safe='')}/erase", {"confirm": "a b"}, 200, ("erase", "d1", "a b", "user-7")),
    ("GET", f"{D}/history", None, 200, ("history", "d1", 90)),
    ("GET", f"{D}/history?days=366", None, 200, ("history", "d1", 366)),
    ("GET", f"{D}/reconciliation", None, 200, ("reconciliation", "d1")),
]


@pytest.mark.parametrize("method, path, body, status, asked", CALLS)
def test_a_route_asks_the_service_exactly_what_was_sent(
    method: str, path: str, body: Any, status: int, asked: tuple[Any, ...],
    call: Api, writer: str, services: FakeServices,
) -> None:  # fmt: skip
    response = call(method, path, body=body, token=writer)
    assert response.status_code == status, response.body
    assert services.asked == [asked]


def test_decimals_keep_every_digit(call: Api, writer: str, services: FakeServices) -> None:
    raw = b'{"rules": [{"field": "balance_greater_than", "operator": "is", "value": 100.10}]}'
    response = call("POST", f"{D}/segments/preview", raw=raw, token=writer)
    assert response.status_code == 200
    assert str(services.asked[0][2][0].value) == "100.10"
    templates = call("GET", "/segment-templates", token=writer).json_body
    assert templates["items"][0]["rules"][0]["value"] == "100.50"


def test_a_run_is_written_with_its_progress_in_one_place_and_times_in_utc(call: Api, reader: str) -> None:
    assert call("GET", f"{D}/syncs", token=reader).json_body["items"][0] == {
        "id": "run-0",
        "type": "full",
        "dry_run": False,
        "trigger": "manual",
        "started_by": "user-7",
        "approved_by": None,
        "phase": "approval",
        "status": "awaiting_approval",
        "started_at": "2026-03-01T10:30:00Z",
        "finished_at": None,
        "progress": {
            "planned": 9,
            "done": 4,
            "failed": 1,
            "rate": 12.5,
            "eta": "2026-03-01T10:30:00Z",
            "phase": "apply",
            "unit": "changes",
            "estimated": False,
            "phases": [
                {
                    "phase": "pull",
                    "unit": "members",
                    "state": "done",
                    "planned": 7,
                    "estimated": True,
                    "done": 7,
                    "failed": 0,
                }
            ],
        },
        "counts": {"add": 4},
        "held_by_reason": {},
        "record_counts": {"failed": 0, "refused": 1, "held": 2, "planned": 0, "done": 4},
        "message": "Waiting for approval.",
        "brake": {
            "reason": "Too many.",
            "planned_counts": {"archive": 120},
            "code": "removals",
            "params": {"planned": 120, "audience": 500, "limit": 100},
        },
        "code": "awaiting_approval",
        "params": {},
    }


def test_the_status_panel_has_the_fields_of_the_contract(call: Api, reader: str) -> None:
    status = call("GET", f"{D}/connection", token=reader).json_body
    assert list(status) == [
        "state", "account_name", "server_prefix", "key_hint", "audience", "last_synced_at", "active_run", "health",
        "next_sync_at", "access",
    ]  # fmt: skip
    assert list(status["health"][0]) == ["code", "severity", "message", "fix", "params"]


@pytest.mark.parametrize("path", ["connection", "panel"])
def test_the_caller_is_told_what_they_may_do(path: str, call: Api, reader: str, writer: str) -> None:
    for token, access in ((reader, "read"), (writer, "write")):
        document = call("GET", f"{D}/{path}", token=token).json_body
        assert document["access"] == access
        assert document.get("connection", document)["access"] == access


def test_connecting_and_disconnecting_answer_the_access_as_well(call: Api, writer: str) -> None:
    assert call("PUT", f"{D}/connection", body=BODIES["connect"], token=writer).json_body["access"] == "write"
    assert call("DELETE", f"{D}/connection", token=writer).json_body["access"] == "write"


def test_a_key_is_never_answered(call: Api, writer: str) -> None:
    secret = KEY.partition("-")[0]
    response = call("PUT", f"{D}/connection", body={"api_key": KEY}, token=writer)
    assert response.json_body["key_hint"] == secret[-4:]
    assert secret[:-4].encode() not in response.body
    bad: tuple[Any, ...] = ([KEY], {"key": KEY}, f"{KEY}x", f"x{KEY}")
    for body in (*({"api_key": one} for one in bad), {"api_key": KEY, "surprise": KEY}, [KEY], KEY):
        refused = call("PUT", f"{D}/connection", body=body, token=writer)
        assert refused.status_code == 400, body
        assert secret[:-4].encode() not in refused.body


def test_pages_of_a_list_join_without_gap_or_repeat(call: Api, reader: str) -> None:
    for path, names in (("syncs", [f"run-{n}" for n in range(5)]), ("segments", [f"seg-{n}" for n in range(5)])):
        seen, cursor = [], ""
        while cursor is not None:
            page = call("GET", f"{D}/{path}?limit=2&cursor={cursor}", token=reader).json_body
            assert len(page["items"]) <= 2
            seen += [item["id"] for item in page["items"]]
            cursor = page["next_cursor"]
        assert seen == names


def test_the_list_of_audiences_says_whether_another_may_be_created(call: Api, reader: str) -> None:
    page = call("GET", f"{D}/audiences?limit=2", token=reader).json_body
    assert (page["may_create"], page["reason"]) == (False, "The plan allows three.")
    rest = call("GET", f"{D}/audiences?limit=2&cursor={page['next_cursor']}", token=reader).json_body
    assert [item["id"] for item in page["items"] + rest["items"]] == ["a0", "a1", "a2"]
    assert rest["next_cursor"] is None


def test_erasing_needs_the_customers_id_once_more(call: Api, writer: str, services: FakeServices) -> None:
    response = call("POST", f"{D}/customers/77/erase", body={"confirm": "78"}, token=writer)
    assert_problem(response, 400, "confirm")
    assert services.asked == []


def test_health_tells_the_version_and_needs_no_service(call: Api) -> None:
    assert call("GET", "/health").json_body == {"status": "ok", "version": "0.1.0"}


# ----------------------------------------------------------------------------------------------- the service refuses


def test_a_refusal_carries_its_extra_members(call: Api, writer: str, services: FakeServices) -> None:
    services.failing.append(conflict("A run is active.", code="run-active", extra={"active_run": run(), "status": 1}))
    problem = assert_problem(call("POST", f"{D}/syncs", body={"type": "full"}, token=writer), 409)
    assert problem["type"] == "urn:pracbill-mailchimp:problem:run-active"
    assert problem["active_run"]["started_at"] == "2026-03-01T10:30:00Z"


def test_what_is_missing_is_404_and_what_the_service_calls_bad_input_is_400(
    call: Api, reader: str, services: FakeServices
) -> None:
    from chalicelib.errors import FieldError

    services.failing.append(not_found("There is no such run."))
    assert_problem(call("GET", f"{D}/syncs/run-9", token=reader), 404)
    services.failing[0] = bad_input(FieldError("rules[0].field", "is not a field"))
    body = BODIES["preview_segment"]
    assert_problem(call("POST", f"{D}/segments/preview", body=body, token=reader), 400, "rules[0].field")


def test_a_dead_key_is_bad_input_where_it_is_typed_and_a_state_everywhere_else(
    call: Api, writer: str, services: FakeServices
) -> None:
    services.failing.append(KeyRejected("Mailchimp does not know this key.", code="key_rejected"))
    assert_problem(call("PUT", f"{D}/connection", body=BODIES["connect"], token=writer), 400, "api_key")
    problem = assert_problem(call("GET", f"{D}/audiences", token=writer), 409)
    assert problem["health_code"] == "key_rejected"


@pytest.mark.parametrize("after, told", [(None, "30"), (0.2, "1"), (90.5, "91"), (10**9, "3600"), (-5, "1")])
def test_a_passing_fault_is_503_and_says_when_to_come_back(
    after: float | None, told: str, call: Api, reader: str, services: FakeServices
) -> None:
    services.failing.append(RetryLater("Mailchimp is busy.", after_seconds=after))
    response = call("GET", f"{D}/audiences", token=reader)
    assert_problem(response, 503)
    assert response.headers["Retry-After"] == told


def test_nonsense_from_pracbill_is_502(call: Api, reader: str, services: FakeServices) -> None:
    services.failing.append(StopRun("PracBill sent a page out of order."))
    assert assert_problem(call("GET", f"{D}/reconciliation", token=reader), 502)["detail"].startswith("PracBill")


def test_the_key_of_a_request_is_handed_on_where_a_second_audience_would_hurt(
    call: Api, writer: str, services: FakeServices
) -> None:
    for given in ("7f3a-_9", ""):
        response = call("POST", f"{D}/audiences", body=AUDIENCE, token=writer, headers={"Idempotency-Key": given})
        assert response.status_code == 201
        assert services.asked[-1][-1] == (given or "user-7")
    refused = call("POST", f"{D}/audiences", body=AUDIENCE, token=writer, headers={"Idempotency-Key": "a b"})
    assert_problem(refused, 400, "Idempotency-Key")


def test_each_route_is_told_to_pracbills_developers() -> None:
    told = (PROJECT / "docs" / "pracbill-developers.md").read_text(encoding="utf-8")
    endpoints = list(api.endpoints())
    assert len(endpoints) > 20
    for endpoint in endpoints:
        path = endpoint.path.replace("/departments/{department_id}", "D").replace(__version__, "<version>")
        assert f"`{endpoint.method} {path}`" in told
