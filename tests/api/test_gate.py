"""What every answer has in common, and what is answered before any route: preflights, unknown paths, failures."""

from __future__ import annotations

import base64
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from chalice.app import Chalice

import chalicelib.page
from chalicelib import api
from chalicelib.api.access import token_verifier
from chalicelib.api.page import SCRIPT_PATH
from chalicelib.config import MissingSetting
from chalicelib.errors import StopRun
from tests.api.conftest import ORIGIN, PROBLEM, Api, Issuer, assert_problem
from tests.api.fake_services import FakeServices
from tests.api.test_access import NEEDS, example

D = "/departments/d1"
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Vary": "Origin",
}


def gateway_event(method: str, resource: str, path: str, **changes: Any) -> dict[str, Any]:
    """The event of a REST API's Lambda proxy integration, as far as Chalice reads it."""
    event = {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": {"Authorization": "Bearer x"},
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path.strip("/")},
        "stageVariables": None,
        "requestContext": {
            "httpMethod": method,
            "resourcePath": resource,
            "path": f"/api{path}",
            "requestId": "req-1",
        },
        "body": None,
        "isBase64Encoded": False,
    }
    return {**event, **changes}


@pytest.mark.parametrize("origin", [None, ORIGIN, "https://evil.example"])
def test_every_answer_carries_the_security_headers_good_or_bad(
    origin: str | None, call: Api, reader: str, services: FakeServices
) -> None:
    headers = {"Origin": origin} if origin else {}
    answers = [
        call("GET", "/health", headers=headers),
        call("GET", "/openapi.json", headers=headers),
        call("GET", f"{D}/connection", headers=headers),
        call("GET", f"{D}/connection", token=reader, headers=headers),
        call("PUT", f"{D}/connection", token=reader, headers=headers),
        call("GET", f"{D}/syncs?x=1", token=reader, headers=headers),
        call(
            "POST", f"{D}/segments/preview", raw=b"x", headers={"Content-Type": "text/plain", **headers}, token=reader
        ),
        call("PATCH", f"{D}/connection", headers=headers),
        call("GET", "/nowhere", headers=headers),
        call("OPTIONS", f"{D}/connection", headers=headers),
    ]
    services.failing.append(RuntimeError())
    answers.append(call("GET", f"{D}/connection", token=reader, headers=headers))
    assert [answer.status_code for answer in answers] == [200, 200, 401, 200, 403, 400, 415, 405, 404, 204, 500]
    for answer in answers:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers.get("Access-Control-Allow-Origin") == (ORIGIN if origin == ORIGIN else None)
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_the_page_may_be_kept_by_everybody_and_nothing_else_may(
    call: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    built = tmp_path / "page.js"
    built.write_text("/* ä */", encoding="utf-8")
    monkeypatch.setattr(chalicelib.page, "BUNDLE", built)
    answer = call("GET", SCRIPT_PATH, headers={"Origin": "https://somewhere.example"})
    assert (answer.status_code, answer.body.decode()) == (200, "/* ä */")
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "immutable" not in call("GET", "/health").headers["Cache-Control"]


def test_a_package_without_the_page_says_so_and_nobody_keeps_that(
    call: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(chalicelib.page, "BUNDLE", tmp_path / "missing.js")
    answer = call("GET", SCRIPT_PATH)
    assert_problem(answer, 404)
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "origin",
    ["null", "*", "https://app.pracbill.example.evil", "http://app.pracbill.example", ORIGIN.upper(), ORIGIN + "/"],
)
def test_no_origin_but_an_allowed_one_is_let_in(origin: str, call: Api, reader: str) -> None:
    for method in ("GET", "OPTIONS"):
        response = call(method, f"{D}/connection", token=reader, headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in response.headers


def test_a_preflight_is_answered_on_every_path_without_a_token(call: Api, services: FakeServices) -> None:
    for path in {path for _, path in NEEDS}:
        response = call(
            "OPTIONS",
            example(path),
            headers={
                "Origin": ORIGIN,
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": "authorization,content-type",
            },
        )
        assert (response.status_code, response.body) == (204, b"")
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        allowed = set(response.headers["Access-Control-Allow-Methods"].split(", "))
        assert allowed == {method for method, known in NEEDS if known == path} | {"OPTIONS"}
        assert response.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type, Idempotency-Key"
    assert services.asked == []


def test_chalice_adds_no_cors_of_its_own(app: Chalice) -> None:
    assert all(entry.cors is None for methods in app.routes.values() for entry in methods.values())


def test_a_wrong_method_is_405_and_says_which_are_right(call: Api, reader: str) -> None:
    response = call("DELETE", f"{D}/syncs", token=reader)
    assert_problem(response, 405)
    assert response.headers["Allow"] == "GET, POST, OPTIONS"


@pytest.mark.parametrize(
    "method, path, status, allow",
    [
        ("GET", "/", 404, None),
        ("GET", "/departments", 404, None),
        ("GET", f"{D}/nonsense", 404, None),
        ("GET", f"{D}/segments/seg-1/extra", 404, None),
        ("PATCH", f"{D}/segments/seg-1", 405, "DELETE, GET, PUT, OPTIONS"),
        ("POST", f"{D}/connection/", 405, "DELETE, GET, PUT, OPTIONS"),
        ("POST", "/openapiXjson", 404, None),
        ("POST", "/openapi.json", 405, "GET, OPTIONS"),
        ("OPTIONS", "/nowhere", 204, "OPTIONS"),
    ],
)
def test_what_the_gateway_finds_no_route_for_is_answered_as_a_problem(
    method: str, path: str, status: int, allow: str | None, app: Chalice
) -> None:
    answer = app(gateway_event(method, "/{proxy+}", path), None)
    assert answer["statusCode"] == status
    assert answer["headers"].get("Allow") == allow
    if status != 204:
        assert answer["headers"]["Content-Type"] == PROBLEM
        assert json.loads(answer["body"])["status"] == status


def test_an_event_without_a_route_is_answered_as_a_problem(app: Chalice) -> None:
    answer = app({"requestContext": {}}, None)
    assert (answer["statusCode"], answer["headers"]["Content-Type"]) == (404, PROBLEM)


@pytest.mark.parametrize("body, encoded", [("{}", True), ("@@@", True), ("e30=", True), ("\ud800", False)])
def test_a_body_that_the_gateway_garbled_is_bad_input(body: str, encoded: bool, app: Chalice, issuer: Issuer) -> None:
    event = gateway_event(
        "POST",
        "/departments/{department_id}/syncs",
        f"{D}/syncs",
        headers={"authorization": f"Bearer {issuer.token()}"},
        pathParameters={"department_id": "d1"},
        body=body,
        isBase64Encoded=encoded,
    )
    answer = app(event, None)
    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["errors"][0]["field"] in ("body", "type")


def test_a_body_in_base64_is_read(app: Chalice, issuer: Issuer) -> None:
    event = gateway_event(
        "POST",
        "/departments/{department_id}/syncs",
        f"{D}/syncs",
        headers={"authorization": f"Bearer {issuer.token()}"},
        pathParameters={"department_id": "d1"},
        body=base64.b64encode(b'{"type": "full"}').decode(),
        isBase64Encoded=True,
    )
    assert app(event, None)["statusCode"] == 202


# ----------------------------------------------------------------------------------------------------------- failures


def test_an_unexpected_error_tells_the_caller_nothing_and_the_operator_where_to_look(
    app: Chalice, issuer: Issuer, services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    services.failing.append(RuntimeError("kim@example.com has key 0123-us21"))
    event = gateway_event(
        "GET",
        "/departments/{department_id}/connection",
        f"{D}/connection",
        headers={"authorization": f"Bearer {issuer.token()}"},
        pathParameters={"department_id": "d1"},
    )
    with caplog.at_level(logging.INFO):
        answer = app(event, None)
    problem = json.loads(answer["body"])
    assert (answer["statusCode"], problem["request_id"]) == (500, "req-1")
    assert "RuntimeError" not in answer["body"]
    assert "Unexpected RuntimeError at" in caplog.text and "req-1" in caplog.text and "note" in caplog.text
    for text in (answer["body"], caplog.text):
        assert "kim@" not in text and "0123" not in text


def test_an_answer_that_cannot_be_written_is_a_problem_too(call: Api, reader: str, services: FakeServices) -> None:
    services.connections.status = lambda department_id: object()  # type: ignore[method-assign,assignment,return-value]
    assert_problem(call("GET", f"{D}/connection", token=reader), 500)


def test_an_undeclared_route_that_chalice_would_fail_is_still_a_problem(
    app: Chalice, tmp_path: Any, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, services: FakeServices
) -> None:
    # Whatever Chalice itself answers with an error leaves in our form.
    path = "/departments/{department_id}/connection"
    monkeypatch.setattr(app.routes[path]["GET"], "view_function", lambda **_: 1 / 0)
    response = Api(app, tmp_path)("GET", f"{D}/connection", token=issuer.token())
    assert_problem(response, 500)


def test_a_missing_setting_is_named_to_the_operator_only(
    services: FakeServices, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("PRACBILL_JWKS_URL", raising=False)
    app = Chalice("unset", configure_logs=False)
    api.register(app, services=lambda: services)
    response = Api(app, tmp_path)("GET", f"{D}/connection", token="x.y.z")
    assert_problem(response, 500)
    assert b"PRACBILL_JWKS_URL" not in response.body
    assert "PRACBILL_JWKS_URL" in caplog.text
    with pytest.raises(MissingSetting):
        token_verifier()


def test_the_environment_configures_the_gate(
    services: FakeServices, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, issuer: Issuer
) -> None:
    from chalicelib.config import settings

    monkeypatch.setenv("PRACBILL_JWKS_URL", issuer.server.url)
    monkeypatch.setenv("PRACBILL_ISSUER", "https://pracbill.example")
    monkeypatch.setenv("ALLOWED_ORIGINS", f"https://one.example, {ORIGIN}")
    settings.cache_clear()
    token_verifier.cache_clear()
    app = Chalice("set", configure_logs=False)
    api.register(app, services=lambda: services)
    response = Api(app, tmp_path)("GET", f"{D}/connection", token=issuer.token(), headers={"Origin": ORIGIN})
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN


def test_no_keys_at_all_is_503_and_not_401(services: FakeServices, tmp_path: Any, issuer: Issuer) -> None:
    from chalicelib.api.access import PublishedKeys, TokenVerifier

    verifier = TokenVerifier(PublishedKeys("http://127.0.0.1:9/jwks.json"), "https://pracbill.example")
    app = Chalice("away", configure_logs=False)
    api.register(app, services=lambda: services, verifier=lambda: verifier, origins=lambda: ())
    response = Api(app, tmp_path)("GET", f"{D}/connection", token=issuer.token())
    assert_problem(response, 503)
    assert response.headers["Retry-After"] == "30"


def test_health_answers_while_nothing_is_set(tmp_path: Any) -> None:
    def unset() -> Any:
        raise MissingSetting("STAGE")

    app = Chalice("bare", configure_logs=False)
    api.register(app, services=unset, verifier=unset)
    assert Api(app, tmp_path)("GET", "/health").status_code == 200


def test_who_failed_upstream_is_logged_with_the_request(
    call: Api, reader: str, services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    services.failing.append(StopRun("PracBill sent a page out of order."))
    assert_problem(call("GET", f"{D}/connection", token=reader), 502)
    assert "StopRun: PracBill sent a page out of order." in caplog.text


def test_what_a_builder_needs_may_be_kept_by_the_callers_browser_and_for_no_other_token(
    call: Api, reader: str, services: FakeServices
) -> None:
    kept = call("GET", "/segment-fields", token=reader)
    assert kept.headers["Cache-Control"] == "private, max-age=300"
    assert kept.headers["Vary"] == "Origin, Authorization"
    refused = call("GET", "/segment-fields?department_id=d2", token=reader)
    assert (refused.status_code, refused.headers["Cache-Control"]) == (403, "no-store")
    services.failing.append(StopRun("PracBill sent nonsense."))
    assert call("GET", "/segment-fields", token=reader).headers["Cache-Control"] == "no-store"


def test_a_browser_may_keep_the_answer_to_a_preflight_for_two_hours(call: Api) -> None:
    """Each address has one of its own, and a page asks for many."""
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    assert call("OPTIONS", f"{D}/logs", headers=headers).headers["Access-Control-Max-Age"] == "7200"
