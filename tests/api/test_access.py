"""Who gets in: every route, held against the contract's table and against every kind of bad credential."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from chalice.app import Chalice

from chalicelib import __version__, api
from chalicelib.api.access import Caller
from chalicelib.api.gate import ANY_OTHER_PATH
from chalicelib.api.routing import Need, Routes
from tests.api.conftest import Api, Issuer, assert_problem
from tests.api.fake_services import FakeServices
from tests.api.pracbill_keys import claims, hand_made, signed_with_public_key_as_secret

D = "/departments/{department_id}"
# The contract. Whoever changes a need changes it here, too, and has to say why.
NEEDS = {
    ("GET", "/health"): "nothing",
    ("GET", "/openapi.json"): "nothing",
    ("GET", f"/page/pracbill-mailchimp-{__version__}.js"): "nothing",
    ("GET", f"{D}/panel"): "read",
    ("GET", f"{D}/connection"): "read",
    ("PUT", f"{D}/connection"): "write",
    ("DELETE", f"{D}/connection"): "write",
    ("GET", f"{D}/audiences"): "read",
    ("POST", f"{D}/audiences"): "write",
    ("PUT", f"{D}/audience"): "write",
    ("GET", f"{D}/audience"): "read",
    ("GET", f"{D}/settings"): "read",
    ("PUT", f"{D}/settings"): "write",
    ("GET", "/segment-fields"): "token",
    ("GET", "/segment-templates"): "token",
    ("GET", f"{D}/segments"): "read",
    ("POST", f"{D}/segments"): "write",
    ("GET", f"{D}/segments/{{segment_id}}"): "read",
    ("PUT", f"{D}/segments/{{segment_id}}"): "write",
    ("DELETE", f"{D}/segments/{{segment_id}}"): "write",
    ("POST", f"{D}/segments/preview"): "read",
    ("POST", f"{D}/syncs"): "write",
    ("GET", f"{D}/syncs"): "read",
    ("GET", f"{D}/syncs/{{run_id}}"): "read",
    ("GET", f"{D}/syncs/{{run_id}}/records"): "read",
    ("POST", f"{D}/syncs/{{run_id}}/approve"): "write",
    ("POST", f"{D}/syncs/{{run_id}}/cancel"): "write",
    ("POST", f"{D}/syncs/{{run_id}}/retry"): "write",
    ("GET", f"{D}/logs"): "read",
    ("GET", f"{D}/customers"): "read",
    ("GET", f"{D}/customers/{{customer_id}}"): "read",
    ("POST", f"{D}/customers/{{customer_id}}/erase"): "write",
    ("GET", f"{D}/history"): "read",
    ("GET", f"{D}/reconciliation"): "read",
}
BODIES: dict[str, dict[str, Any]] = {
    "connect": {"api_key": "0123456789abcdef0123456789abcdef-us21"},
    "create_audience": {
        "name": "Customer Newsletter",
        "from_name": "Acme",
        "from_email": "hello@acme.example",
        "company": "Acme",
        "address": {"line1": "1 Road", "city": "Melbourne", "country": "AU"},
    },
    "select_audience": {"audience_id": "a1"},
    "change_settings": {"paused": True},
    "create_segment": {"name": "Victoria", "rules": [{"field": "state", "operator": "equals", "value": "VIC"}]},
    "change_segment": {"name": "Victoria", "rules": [{"field": "state", "operator": "is_empty"}]},
    "preview_segment": {"rules": [{"field": "state", "operator": "equals", "value": "VIC"}]},
    "start_sync": {"type": "full"},
    "erase_customer": {"confirm": "77"},
}
GUARDED = sorted(route for route, need in NEEDS.items() if need != "nothing")
OF_A_DEPARTMENT = sorted(route for route, need in NEEDS.items() if need in ("read", "write"))
Credential = Callable[[Issuer], dict[str, str]]


def example(path: str, department_id: str = "d1") -> str:
    values = {"department_id": department_id, "run_id": "run-1", "segment_id": "seg-1", "customer_id": "77"}
    return path.format(**values)


def body_of(method: str, path: str) -> dict[str, Any] | None:
    endpoint = next(e for e in api.endpoints() if (e.method, e.path) == (method, path))
    return BODIES.get(endpoint.handler.__name__)


def bearer(make: Callable[[Issuer], str]) -> Credential:
    return lambda issuer: {"Authorization": f"Bearer {make(issuer)}"}


# Each would open every route of d1 if it were believed.
BAD_CREDENTIALS: dict[str, Credential] = {
    "nothing": lambda _: {},
    "an empty header": lambda _: {"Authorization": ""},
    "a scheme without a token": lambda _: {"Authorization": "Bearer"},
    "another scheme": lambda issuer: {"Authorization": f"Basic {issuer.token()}"},
    "rubbish": lambda _: {"Authorization": "Bearer \x7f..;,{}"},
    "rubbish of two dots": lambda _: {"Authorization": "Bearer a.b.c"},
    "a header of deep nesting": lambda _: {"Authorization": f"Bearer {'W1tb' * 1500}.e30.e30"},
    "a token too long": bearer(lambda issuer: issuer.token(padding="x" * 9000)),
    "an expired token": bearer(lambda issuer: issuer.token(exp=int(time.time()) - 60)),
    "a token not valid yet": bearer(lambda issuer: issuer.token(nbf=int(time.time()) + 600)),
    "no expiry": bearer(lambda issuer: issuer.token(exp=None)),
    "an expiry that is no time": bearer(lambda issuer: issuer.token(exp="tomorrow")),
    "another audience": bearer(lambda issuer: issuer.token(aud="pracbill-billing")),
    "no audience": bearer(lambda issuer: issuer.token(aud=None)),
    "another issuer": bearer(lambda issuer: issuer.token(iss="https://pracbill.example.evil")),
    "no issuer": bearer(lambda issuer: issuer.token(iss=None)),
    "a key that is not published": bearer(lambda issuer: issuer.token(key=issuer.foreign)),
    "an unknown key id": bearer(
        lambda issuer: jwt.encode(claims(), issuer.rsa, algorithm="RS256", headers={"kid": "other"})
    ),
    "no key id": bearer(lambda issuer: jwt.encode(claims(), issuer.rsa, algorithm="RS256")),
    "a changed payload": bearer(lambda issuer: _with_other_payload(issuer.token({"d1": "read"}))),
    "no signature": bearer(lambda issuer: issuer.token().rsplit(".", 1)[0] + "."),
    "alg none": bearer(lambda _: hand_made({"alg": "none", "kid": "rsa-1"}, claims())),
    "alg None, spelt otherwise": bearer(lambda _: hand_made({"alg": "nOnE", "kid": "rsa-1"}, claims())),
    "alg that is no text": bearer(lambda _: hand_made({"alg": ["RS256"], "kid": "rsa-1"}, claims())),
    "a key id that is no text": bearer(lambda _: hand_made({"alg": "RS256", "kid": {"a": 1}}, claims(), b"x")),
    "HS256 with the public key": bearer(lambda issuer: signed_with_public_key_as_secret(issuer.rsa, "rsa-1")),
    "a stronger RSA algorithm": bearer(lambda issuer: issuer.token(alg="RS512")),
    "PSS with the same key": bearer(lambda issuer: issuer.token(alg="PS256")),
    "ES256 that names an RSA key": bearer(
        lambda issuer: jwt.encode(claims(), issuer.ec, algorithm="ES256", headers={"kid": "rsa-1"})
    ),
    "a critical extension": bearer(
        lambda issuer: jwt.encode(claims(), issuer.rsa, algorithm="RS256", headers={"kid": "rsa-1", "crit": ["x"]})
    ),
}


def _with_other_payload(token: str) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{hand_made({}, claims()).split('.')[1]}.{signature}"


def test_the_routes_are_those_of_the_contract_with_its_needs() -> None:
    assert {(e.method, e.path): e.needs.value for e in api.endpoints()} == NEEDS


def test_chalice_knows_no_route_beside_the_declared_ones_preflights_and_the_rest(app: Chalice) -> None:
    known = {(method, path) for path, methods in app.routes.items() for method in methods}
    preflights = {("OPTIONS", path) for _, path in NEEDS}
    rest = {(method, ANY_OTHER_PATH) for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
    assert known == set(NEEDS) | preflights | rest


@pytest.mark.parametrize("kind", BAD_CREDENTIALS)
def test_a_bad_credential_opens_no_route(kind: str, call: Api, issuer: Issuer, services: FakeServices) -> None:
    headers = BAD_CREDENTIALS[kind](issuer)
    for method, path in GUARDED:
        response = call(method, example(path), body=body_of(method, path), headers=headers)
        problem = assert_problem(response, 401)
        assert problem["type"].endswith(":unauthorized"), (method, path)
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert services.asked == []


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_good_token_reaches_the_service_on_every_route(
    alg: str, call: Api, issuer: Issuer, services: FakeServices
) -> None:
    token = issuer.token({"d1": "write"}, alg=alg)
    for asked, (method, path) in enumerate(GUARDED, start=1):
        response = call(method, example(path), body=body_of(method, path), token=token)
        assert 200 <= response.status_code < 300, (method, path, response.body)
        assert len(services.asked) == asked, (method, path)


def test_the_audience_may_be_one_of_several_and_the_scheme_in_any_case(call: Api, issuer: Issuer) -> None:
    token = issuer.token(aud=["something", "pracbill-mailchimp"])
    assert call("GET", "/departments/d1/connection", headers={"authorization": f"bearer {token}"}).status_code == 200


def test_a_token_that_expired_within_the_leeway_still_counts(call: Api, issuer: Issuer) -> None:
    token = issuer.token(exp=int(time.time()) - 10)
    assert call("GET", "/departments/d1/connection", token=token).status_code == 200


@pytest.mark.parametrize(
    "access",
    [
        {"d2": "write"},
        {},
        [],
        "write",
        7,
        {"d1": "admin"},
        {"d1": None},
        {"d1": ["write"]},
        {"d1": {"write": True}},
        {"D1": "write"},
        {"d1": "WRITE"},
        {"*": "admin"},
        {"**": "write"},
        {"d*": "write"},
        {"d1": "none", "*": "write"},
    ],
)
def test_a_claim_that_does_not_grant_the_department_closes_all_its_routes(
    access: Any, call: Api, issuer: Issuer, services: FakeServices
) -> None:
    token = issuer.token(access)
    for method, path in OF_A_DEPARTMENT:
        assert_problem(call(method, example(path), body=body_of(method, path), token=token), 403)
    assert services.asked == []


def test_a_token_without_the_claim_opens_only_what_needs_any_token(call: Api, issuer: Issuer) -> None:
    token = jwt.encode(
        {k: v for k, v in claims().items() if k != "mailchimp_access"},
        issuer.rsa,
        algorithm="RS256",
        headers={"kid": "rsa-1"},
    )
    for method, path in GUARDED:
        status = call(method, example(path), body=body_of(method, path), token=token).status_code
        assert status == (200 if NEEDS[method, path] == "token" else 403), (method, path)


@pytest.mark.parametrize("access", [{"d1": "read"}, {"*": "read"}, {"d1": "read", "*": "write"}])
def test_read_access_reads_and_does_not_write(access: Any, call: Api, issuer: Issuer, services: FakeServices) -> None:
    token = issuer.token(access)
    for method, path in OF_A_DEPARTMENT:
        response = call(method, example(path), body=body_of(method, path), token=token)
        if NEEDS[method, path] == "write":
            assert_problem(response, 403)
        else:
            assert response.status_code == 200, (method, path, response.body)
    assert len(services.asked) == sum(need == "read" for need in NEEDS.values())


def test_access_to_all_departments_is_access_to_each(call: Api, issuer: Issuer) -> None:
    token = issuer.token({"*": "write"})
    for method, path in OF_A_DEPARTMENT:
        response = call(method, example(path, "another.one"), body=body_of(method, path), token=token)
        assert response.status_code < 300, (method, path, response.body)


def test_a_departments_own_entry_wins_over_the_one_for_all() -> None:
    caller = Caller("u", {"*": "read", "d1": "write", "d2": "none"})
    assert [caller.access(d) for d in ("d1", "d2", "d3")] == ["write", None, "read"]


@pytest.mark.parametrize(
    "department_id", ["*", "-d1", ".", "a%20b", "d1%0A", "d1%00", "%2e%2e", "d" * 65, "d" * 10_000, "d1;x", "dé", "d1'"]
)
def test_an_impossible_department_is_bad_input_even_for_who_may_everything(
    department_id: str, call: Api, issuer: Issuer, services: FakeServices
) -> None:
    token = issuer.token({"*": "write"})
    for method, path in OF_A_DEPARTMENT:
        response = call(method, example(path, department_id), body=body_of(method, path), token=token)
        assert_problem(response, 400, "department_id")
        assert_problem(call(method, example(path, department_id)), 401)
    assert services.asked == []


def test_a_route_that_was_not_declared_is_closed_for_everybody(
    app: Chalice, tmp_path: Any, issuer: Issuer, services: FakeServices
) -> None:
    ran: list[str] = []

    @app.route("/departments/{department_id}/secrets", methods=["GET"])
    def secrets(department_id: str) -> str:
        ran.append(department_id)
        return "all of them"

    call = Api(app, tmp_path)
    assert_problem(call("GET", "/departments/d1/secrets"), 401)
    assert_problem(call("GET", "/departments/d1/secrets", token=issuer.token({"*": "write"})), 403)
    assert ran == []


def test_a_view_that_runs_without_the_gate_answers_nothing(services: FakeServices, tmp_path: Any) -> None:
    bare = Chalice("without-a-gate", configure_logs=False)
    for part in api.PARTS:
        bare.register_blueprint(part.blueprint(lambda: services))
    call = Api(bare, tmp_path)
    for method, path in GUARDED:
        assert_problem(call(method, example(path), body=body_of(method, path)), 500)
    assert services.asked == []


def test_a_right_in_a_department_cannot_be_declared_without_one_in_the_path() -> None:
    with pytest.raises(ValueError, match="rights in a department"):
        Routes("x").get("/everything", needs=Need.READ)
    with pytest.raises(ValueError, match="rights in a department"):
        Routes("x").get("/departments/{department_id}/x", needs=Need.TOKEN)


@pytest.mark.parametrize("path", ["/segment-fields", "/segment-templates"])
def test_a_departments_own_values_need_access_to_it(
    path: str, call: Api, issuer: Issuer, services: FakeServices
) -> None:
    token = issuer.token({"d1": "read"})
    assert call("GET", f"{path}?department_id=d1", token=token).status_code == 200
    assert_problem(call("GET", f"{path}?department_id=d2", token=token), 403)
    assert_problem(call("GET", f"{path}?department_id=*", token=token), 400, "department_id")
    assert [asked[1] for asked in services.asked] == ["d1"]
