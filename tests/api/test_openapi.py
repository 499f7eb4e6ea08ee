"""The API description: valid, complete in both directions, and true of what the routes really answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from chalice.app import Chalice
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from chalicelib import api
from chalicelib.api.gate import ANY_OTHER_PATH
from chalicelib.api.openapi import WEBHOOK_PATH
from chalicelib.api.problems import _CHALICE_ANSWERS, TYPE_PREFIX
from chalicelib.errors import KeyRejected
from chalicelib.mailchimp.keys import parse_api_key
from tests.api.conftest import Api
from tests.api.test_access import BODIES, NEEDS, body_of, example
from tests.api.test_routes import CALLS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return api.api_description()


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(m.upper(), path): op for path, methods in document["paths"].items() for m, op in methods.items()}


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    whole = {**schema, "components": document["components"]}
    return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_it_is_a_valid_openapi_3_1_document(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_it_is_served_without_a_token(call: Api, document: dict[str, Any]) -> None:
    response = call("GET", "/openapi.json")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert response.json_body == document


def test_it_describes_every_route_of_the_application_and_no_other(app: Chalice, document: dict[str, Any]) -> None:
    served = {
        (method, path)
        for path, methods in app.routes.items()
        for method in methods
        if method != "OPTIONS" and path != ANY_OTHER_PATH
    }
    # The webhook is a function of its own, in the same REST API.
    assert set(operations(document)) == served | {("GET", WEBHOOK_PATH), ("POST", WEBHOOK_PATH)}


def test_it_says_what_each_route_needs(document: dict[str, Any]) -> None:
    for route, need in NEEDS.items():
        operation = operations(document)[route]
        assert operation["security"] == ([] if need == "nothing" else [{"token": []}]), route
        word = {"nothing": "no token", "token": "any valid token"}.get(need, f"{need} access")
        assert word in operation["description"], route


def test_every_operation_is_told_in_a_sentence_and_named_once(document: dict[str, Any]) -> None:
    told = operations(document).values()
    assert all(re.fullmatch(r"[A-Z].{10,}\.", operation["summary"]) for operation in told)
    assert len({operation["operationId"] for operation in told}) == len(told)


def test_path_parameters_are_those_of_the_path(document: dict[str, Any]) -> None:
    described = operations(document)
    assert any("{" in path for _, path in described)
    for (_, path), operation in described.items():
        named = [p["name"] for p in operation.get("parameters", []) if p["in"] == "path"]
        assert named == re.findall(r"{(\w+)}", path)


FORBIDDEN: list[tuple[str, dict[str, Any]]] = [
    ("ConnectBody", {"api_key": "0123456789abcdef-us21"}),
    ("ConnectBody", {"api_key": " "}),
    ("NewAudienceBody", {**BODIES["create_audience"], "from_email": "nobody"}),
    ("NewAudienceBody", {**BODIES["create_audience"], "company": " "}),
    ("RuleBody", {"field": "colour", "operator": "equals", "value": "red"}),
    ("RuleBody", {"field": "state", "operator": "begins_with", "value": "V"}),
]


@pytest.mark.parametrize(("schema", "body"), FORBIDDEN)
def test_what_is_always_refused_is_no_valid_body(schema: str, body: dict[str, Any], document: dict[str, Any]) -> None:
    assert not validator(document, {"$ref": f"#/components/schemas/{schema}"}).is_valid(body)


def test_the_form_of_a_key_is_the_one_that_is_checked(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["ConnectBody"]["properties"]["api_key"]
    for key in ("0123456789abcdef" * 2 + "-us21", "f" * 32 + "-usx9", "f" * 32 + "-us2100", "F" * 32 + "-us1"):
        try:
            parse_api_key(key)
        except KeyRejected:
            assert not re.search(schema["pattern"], key)
        else:
            assert re.search(schema["pattern"], key)


def test_query_parameters_tell_their_form(document: dict[str, Any]) -> None:
    by_name = {p["name"]: p for op in operations(document).values() for p in op.get("parameters", [])}
    assert re.search(by_name["customer_id"]["schema"]["pattern"], "Z\u00fcrich 7")
    assert not re.search(by_name["customer_id"]["schema"]["pattern"], "a\x00b")
    in_query = next(
        p for p in operations(document)["GET", "/segment-fields"]["parameters"] if p["name"] == "department_id"
    )
    assert not re.search(in_query["schema"]["pattern"], "../x")
    assert not re.search(by_name["cursor"]["schema"]["pattern"], "a b")
    assert all(p.get("allowEmptyValue", False) is (p["in"] == "query") for p in by_name.values())


def test_every_schema_is_described_and_used(document: dict[str, Any]) -> None:
    text = str(document)
    assert {"Problem", "RuleBody"} <= document["components"]["schemas"].keys()
    for name, schema in document["components"]["schemas"].items():
        assert schema.get("description"), name
        assert f"#/components/schemas/{name}'" in text, name


def test_every_member_of_an_answer_is_promised_and_no_body_demands_what_has_a_default(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        properties = schema.get("properties", {})
        assert not [key for key, value in properties.items() if "default" in value], name
        if not name.endswith("Body") and name != "Problem":
            assert sorted(schema.get("required", [])) == sorted(properties), name
    assert document["components"]["schemas"]["StartSyncBody"]["required"] == ["type"]


def test_rules_of_an_answer_may_be_sent_back(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in ("field", "operator"):
        shared = [schemas[model]["properties"][name] for model in ("RuleBody", "Rule", "RuleCount", "RuleVerdict")]
        assert all(one == shared[0] for one in shared)
        assert schemas[shared[0]["$ref"].rsplit("/", 1)[1]]["enum"]


def test_every_code_of_a_problem_is_in_the_description(document: dict[str, Any]) -> None:
    told = set(document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"])
    files = [*(ROOT / "chalicelib").rglob("*.py"), ROOT / "infra" / "deploy" / "resources" / "api.yaml"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    # Codes of several words have hyphens; those of runs and log entries have not.
    in_code = re.findall(r'\bcode="([a-z]+(?:-[a-z]+)+)"', text)
    single = ["conflict", "forbidden", "internal", "refused", "unauthorized", "upstream"]
    in_gateway = re.findall(r"urn:pracbill-mailchimp:problem:([a-z-]+)", text)
    rejections = ["account-deactivated", "key-rejected", "wrong-data-centre"]  # health codes, where a key is typed
    made_by_chalice = [code for code, _, _ in _CHALICE_ANSWERS.values()]
    said = {*single, *in_code, *in_gateway, *rejections, *made_by_chalice}
    assert {code.removeprefix(TYPE_PREFIX) for code in told} == said


@pytest.mark.parametrize("method, path, body, status, _", CALLS)
def test_bodies_and_answers_are_as_described(
    method: str, path: str, body: Any, status: int, _: Any, call: Api, writer: str, document: dict[str, Any]
) -> None:
    plain = path.split("?")[0]
    route = next(
        (m, p)
        for m, p in sorted(operations(document))
        if m == method and re.fullmatch(re.sub(r"{\w+}", "[^/]+", p), plain)
        if not (p.endswith("{segment_id}") and plain.endswith("preview"))
    )
    operation = operations(document)[route]
    if body is not None and "requestBody" in operation:
        sent = operation["requestBody"]["content"]["application/json"]["schema"]
        # Space around a key or an address is forgiven, which a schema cannot say.
        stripped = {name: value.strip() if isinstance(value, str) else value for name, value in body.items()}
        validator(document, sent).validate(stripped)
    response = call(method, path, body=body, token=writer)
    if status == 204:
        assert operation["responses"]["204"] == {"description": "Done."}
        return
    answered = operation["responses"][str(status)]["content"]["application/json"]["schema"]
    validator(document, answered).validate(response.json_body)


def test_the_problems_a_route_can_answer_are_described(call: Api, reader: str, document: dict[str, Any]) -> None:
    problem = validator(document, {"$ref": "#/components/schemas/Problem"})
    for (method, path), need in NEEDS.items():
        if need == "nothing":
            continue
        refused = [
            call(method, example(path)),
            call(method, example(path) + "?surprise=1", token=reader, body=body_of(method, path)),
            call(method, example(path), token=reader, raw=b"x", headers={"Content-Type": "text/plain"}),
            call(method, example(path), token=reader, raw=b" " * 70_000),
        ]
        problems = [response for response in refused if response.status_code >= 400]
        assert problems, (method, path)
        for response in problems:
            assert str(response.status_code) in operations(document)[method, path]["responses"], (method, path)
            problem.validate(response.json_body)
