"""Expensive calls are counted, and a database that is too busy is no fault of the caller's or ours."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from chalicelib.api import endpoints
from chalicelib.domain.limits import PREVIEWS, WINDOW_SECONDS
from chalicelib.errors import RefuseRequest
from tests.api.conftest import PROBLEM, Api, Issuer
from tests.api.fake_services import FakeServices

RULES = {"rules": [{"field": "state", "operator": "equals", "value": "VIC"}]}
NAMED = {"name": "Victoria", **RULES}
TOO_MANY = RefuseRequest(
    "Too many.", status=429, title="Too many requests", code="too-many-requests", extra={"retry_after": 7}
)


@pytest.mark.parametrize(
    ("method", "path", "body", "kind"),
    [
        ("POST", "/segments/preview", RULES, "previews"),
        ("POST", "/segments", NAMED, "previews"),
        ("PUT", "/segments/seg-1", NAMED, "previews"),
        ("GET", "/customers?query=kim", None, "searches"),
        ("GET", "/reconciliation", None, "reconciliations"),
        ("GET", "/logs", None, "lists"),
        ("GET", "/syncs/run-1/records", None, "lists"),
    ],
)
def test_expensive_calls_are_counted_for_their_caller_and_refused_with_the_time_to_wait(
    call: Api, issuer: Issuer, services: FakeServices, method: str, path: str, body: object, kind: str
) -> None:
    services.limits.refusal = TOO_MANY
    answer = call(method, f"/departments/d1{path}", token=issuer.token({"d1": "write"}), body=body)
    assert answer.status_code == 429
    assert answer.headers["Content-Type"] == PROBLEM
    assert answer.headers["Retry-After"] == "7"
    assert json.loads(answer.body)["retry_after"] == 7
    assert services.limits.counted == [("d1", kind, "user-7")]
    assert services.asked == []


def test_a_call_that_is_refused_for_its_input_is_not_counted(call: Api, issuer: Issuer, services: FakeServices) -> None:
    answer = call("POST", "/departments/d1/segments/preview", token=issuer.token({"d1": "read"}), body={"rules": []})
    assert answer.status_code == 400
    assert services.limits.counted == []


def test_somebody_who_changes_a_rule_without_rest_is_never_refused() -> None:
    """A preview every 300 ms, and one for each rule every 1.5 s."""
    assert PREVIEWS.of_caller > WINDOW_SECONDS / 0.3 + WINDOW_SECONDS / 1.5
    assert PREVIEWS.of_department >= 3 * PREVIEWS.of_caller


def test_limited_routes_are_of_a_department() -> None:
    limited = [endpoint for endpoint in endpoints() if endpoint.allowance is not None]
    assert len(limited) >= 7
    assert all("department_id" in endpoint.parameters for endpoint in limited)


def test_a_database_that_is_too_busy_is_not_a_fault_of_ours(call: Api, issuer: Issuer, services: FakeServices) -> None:
    services.failing.append(
        ClientError({"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "secret"}}, "Query")
    )
    answer = call("GET", "/departments/d1/segments", token=issuer.token({"d1": "read"}))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "too busy" in json.loads(answer.body)["detail"]
    assert "secret" not in answer.body.decode()
