"""Nothing a caller sends makes the service fail: each fault is named in plain words, and nothing sent is repeated."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from chalice.app import Chalice
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib import api
from chalicelib.api.bodies import LARGEST_BODY, NoBody
from tests.api.conftest import Api, Issuer, assert_problem
from tests.api.fake_services import FakeServices
from tests.api.test_access import BODIES, example
from tests.examples import examples

D = "/departments/d1"
WITH_BODY = [(e.method, e.path) for e in api.endpoints() if e.body is not NoBody]
WITHOUT_BODY = [(e.method, e.path) for e in api.endpoints() if e.body is NoBody and e.method == "POST"]
RULE = {"field": "state", "operator": "equals", "value": "VIC"}
RUBBISH = {
    "nothing": b"",
    "spaces": b"  \n ",
    "no JSON": b"api_key=abc",
    "half a document": b'{"api_key": "x',
    "two documents": b"{} {}",
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "NaN": b'{"value": NaN}',
    "infinity": b'{"value": -Infinity}',
    "a number of 5,000 digits": b'{"version": ' + b"9" * 5000 + b"}",
    "nesting without end": b"[" * 30_000 + b"]" * 30_000,
    "objects without end": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
}


@pytest.mark.parametrize("kind", RUBBISH)
def test_a_body_that_is_no_json_is_refused_everywhere(
    kind: str, call: Api, writer: str, services: FakeServices
) -> None:
    for method, path in WITH_BODY:
        assert_problem(call(method, example(path), raw=RUBBISH[kind], token=writer), 400, "body")
    assert services.asked == []


@pytest.mark.parametrize("raw", [b"null", b"[]", b"7", b'"text"', b"true", b"[{}]"])
def test_a_body_that_is_no_object_is_refused_everywhere(
    raw: bytes, call: Api, writer: str, services: FakeServices
) -> None:
    for method, path in WITH_BODY + WITHOUT_BODY:
        problem = assert_problem(call(method, example(path), raw=raw, token=writer), 400, "body")
        assert problem["errors"][0]["message"] == "Give an object."
    assert services.asked == []


def test_a_megabyte_is_refused_before_it_is_read(call: Api, writer: str, services: FakeServices) -> None:
    for raw in (b"x" * 1_000_000, b'{"name": "' + b"x" * 1_000_000 + b'"}', b" " * (LARGEST_BODY + 1)):
        for method, path in WITH_BODY + WITHOUT_BODY:
            assert_problem(call(method, example(path), raw=raw, token=writer), 413, "body")
    assert services.asked == []


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"]
)
def test_another_content_type_is_refused_after_access_was_checked(
    content_type: str, call: Api, writer: str, services: FakeServices
) -> None:
    headers = {"Content-Type": content_type}
    for method, path in WITH_BODY:
        assert_problem(call(method, example(path), raw=b"{}", headers=headers, token=writer), 415)
        assert_problem(call(method, example(path), raw=b"{}", headers=headers), 401)
    assert services.asked == []


def test_a_charset_beside_the_content_type_is_fine(call: Api, writer: str) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert call("POST", f"{D}/syncs", body={"type": "full"}, headers=headers, token=writer).status_code == 202


def test_an_unknown_field_is_refused_by_name_everywhere(call: Api, writer: str, services: FakeServices) -> None:
    for endpoint in api.endpoints():
        if endpoint.method in ("POST", "PUT"):
            body = {**BODIES.get(endpoint.handler.__name__, {}), "surprise": 1}
            response = call(endpoint.method, example(endpoint.path), body=body, token=writer)
            problem = assert_problem(response, 400, "surprise")
            assert problem["errors"][0]["message"] == "There is no such field."
    assert services.asked == []


def test_every_required_field_is_named_at_once(call: Api, writer: str) -> None:
    assert_problem(
        call("POST", f"{D}/audiences", body={}, token=writer), 400,
        "name", "from_name", "from_email", "company", "address",
    )  # fmt: skip


FAULTS: list[tuple[str, str, Any, list[str]]] = [
    ("PUT", "connection", {"api_key": 7}, ["api_key"]),
    ("PUT", "connection", {"api_key": ""}, ["api_key"]),
    ("PUT", "connection", {"api_key": "   "}, ["api_key"]),
    ("PUT", "connection", {"api_key": "a\nb"}, ["api_key"]),
    ("PUT", "connection", {"api_key": "x" * 5000}, ["api_key"]),
    ("PUT", "connection", {"api_key": None}, ["api_key"]),
    ("PUT", "connection", {"api_key": "\ud800"}, ["api_key"]),
    ("PUT", "audience", {"audience_id": "../lists"}, ["audience_id"]),
    ("PUT", "audience", {"audience_id": "a1\n"}, ["audience_id"]),
    ("PUT", "audience", {"audience_id": ["a1"]}, ["audience_id"]),
    ("POST", "audiences", {**BODIES["create_audience"], "from_email": "nobody"}, ["from_email"]),
    ("POST", "audiences", {**BODIES["create_audience"], "from_email": "a@b@c.de"}, ["from_email"]),
    ("POST", "audiences", {**BODIES["create_audience"], "from_email": "a@b\r\nBcc: c@d.de"}, ["from_email"]),
    ("POST", "audiences", {**BODIES["create_audience"], "name": "x" * 101}, ["name"]),
    ("POST", "audiences", {**BODIES["create_audience"], "language": "english"}, ["language"]),
    ("POST", "audiences", {**BODIES["create_audience"], "address": "1 Road"}, ["address"]),
    (
        "POST",
        "audiences",
        {**BODIES["create_audience"], "address": {"line1": "1 Road", "city": 7, "country": "Australia", "zip": "1"}},
        ["address.city", "address.country", "address.zip"],
    ),
    ("PUT", "settings", {"unknown_consent": "always"}, ["unknown_consent"]),
    ("PUT", "settings", {"on_removed": "delete"}, ["on_removed"]),
    ("PUT", "settings", {"paused": "yes"}, ["paused"]),
    ("PUT", "settings", {"paused": 1}, ["paused"]),
    ("PUT", "settings", {"brake": 7}, ["brake"]),
    (
        "PUT",
        "settings",
        {"brake": {"removals": -1, "removals_percent": 101, "additions": 1.5, "additions_percent": "5", "off": True}},
        ["brake.removals", "brake.removals_percent", "brake.additions", "brake.additions_percent", "brake.off"],
    ),
    ("POST", "segments", {"name": "x", "rules": []}, ["rules"]),
    ("POST", "segments", {"name": "x", "rules": [RULE] * 21}, ["rules"]),
    ("POST", "segments", {"name": "x", "rules": "state = VIC"}, ["rules"]),
    ("POST", "segments", {"name": "x", "rules": {"0": RULE}}, ["rules"]),
    ("POST", "segments", {"name": "x", "rules": [RULE, 7]}, ["rules[1]"]),
    ("POST", "segments", {"name": "x", "rules": [{"field": "", "operator": "equals"}]}, ["rules[0].field"]),
    ("POST", "segments", {"name": "x", "rules": [{"field": "state"}]}, ["rules[0].operator"]),
    ("POST", "segments", {"name": "x", "rules": [{**RULE, "value": True}]}, ["rules[0].value"]),
    ("POST", "segments", {"name": "x", "rules": [{**RULE, "value": ["VIC"]}]}, ["rules[0].value"]),
    ("POST", "segments", {"name": "x", "rules": [{**RULE, "value": {"a": 1}}]}, ["rules[0].value"]),
    ("POST", "segments", {"name": "x", "rules": [{**RULE, "value": "x" * 1001}]}, ["rules[0].value"]),
    ("POST", "segments", {"name": "x", "rules": [{**RULE, "value": 10**38}]}, ["rules[0].value"]),
    ("POST", "segments", {"name": "x", "rules": [{**RULE, "value": 1e300}]}, ["rules[0].value"]),
    ("POST", "segments", {"name": "x", "rules": [{**RULE, "valeu": 1}]}, ["rules[0].valeu"]),
    ("POST", "segments", {"name": "", "rules": [RULE]}, ["name"]),
    ("POST", "segments", {"name": "x" * 101, "rules": [RULE]}, ["name"]),
    ("POST", "segments", {"name": "a\x00b", "rules": [RULE]}, ["name"]),
    ("PUT", "segments/seg-1", {"name": "x", "rules": [RULE], "version": "3"}, ["version"]),
    ("PUT", "segments/seg-1", {"name": "x", "rules": [RULE], "version": -1}, ["version"]),
    ("POST", "segments/preview", {"rules": [RULE], "segment_id": "a b"}, ["segment_id"]),
    ("POST", "segments/preview", {"rules": [RULE], "per_rule": "yes"}, ["per_rule"]),
    ("POST", "syncs", {}, ["type"]),
    ("POST", "syncs", {"type": "everything"}, ["type"]),
    ("POST", "syncs", {"type": "segments"}, ["type"]),
    ("POST", "syncs", {"type": "full", "dry_run": "true"}, ["dry_run"]),
    ("POST", "customers/77/erase", {"confirm": 77}, ["confirm"]),
    ("POST", "customers/77/erase", {}, ["confirm"]),
]  # fmt: skip


@pytest.mark.parametrize("method, path, body, fields", FAULTS)
def test_each_fault_of_a_body_is_named_where_it_is(
    method: str, path: str, body: Any, fields: list[str], call: Api, writer: str, services: FakeServices
) -> None:
    assert_problem(call(method, f"{D}/{path}", body=body, token=writer), 400, *fields)
    assert services.asked == []


def test_choices_are_told_and_what_was_sent_is_not_repeated(call: Api, writer: str) -> None:
    response = call("POST", f"{D}/syncs", body={"type": "s3cret-thing"}, token=writer)
    problem = assert_problem(response, 400, "type")
    assert problem["errors"][0]["message"] == "Give `incremental` or `full`."
    assert b"s3cret" not in response.body


@pytest.mark.parametrize(
    "raw, fields",
    [
        (b'{"type": "full", "type": "incremental"}', ["type"]),
        (b'{"type": "full", "dry_run": false, "dry_run": true, "type": "full"}', ["dry_run", "type"]),
    ],
)
def test_a_field_given_twice_is_refused(raw: bytes, fields: list[str], call: Api, writer: str) -> None:
    assert_problem(call("POST", f"{D}/syncs", raw=raw, token=writer), 400, *fields)


def test_thousands_of_faults_are_told_by_the_first_few(call: Api, writer: str) -> None:
    body = {f"f{n}": n for n in range(4000)}
    response = call("PUT", f"{D}/settings", body=body, token=writer)
    assert response.status_code == 400
    assert len(response.json_body["errors"]) == 50


QUERIES: list[tuple[str, list[str]]] = [
    ("limit=0", ["limit"]),
    ("limit=101", ["limit"]),
    ("limit=-1", ["limit"]),
    ("limit=ten", ["limit"]),
    ("limit=5.0", ["limit"]),
    ("limit=1e1", ["limit"]),
    ("limit=%201", ["limit"]),
    ("limit=%D9%A1", ["limit"]),
    ("limit=" + "9" * 5000, ["limit"]),
    ("limit=1&limit=2", ["limit"]),
    ("cursor=abc", ["cursor"]),
    ("cursor=" + "A" * 100_000, ["cursor"]),
    ("cursor=%00%ff", ["cursor"]),
    ("cursor=W1tbW1tbW1tb", ["cursor"]),
    ("cursor=bnVsbA", ["cursor"]),
    ("cursor=WzEsMl0", ["cursor"]),
    ("cursor=%F0%9F%98%80", ["cursor"]),
    ("page=2", ["page"]),
    ("limit=x&page=2", ["limit", "page"]),
    ("a=1&a=2&b=3&b=4", ["a", "b"]),
    ("Limit=5", ["Limit"]),
]


@pytest.mark.parametrize("path", ["syncs", "segments", "audiences", "logs", "syncs/run-1/records"])
@pytest.mark.parametrize("query, fields", QUERIES)
def test_each_fault_of_a_query_is_named(
    query: str, fields: list[str], path: str, call: Api, reader: str, services: FakeServices
) -> None:
    assert_problem(call("GET", f"{D}/{path}?{query}", token=reader), 400, *fields)
    assert all(asked[0] in ("segments", "audiences") for asked in services.asked)


@pytest.mark.parametrize("text", ["a", "*", "%F0%9F%98%80", "%20a%20"])
def test_a_text_too_short_to_look_for_is_refused_with_what_is_needed(
    text: str, call: Api, reader: str, services: FakeServices
) -> None:
    problem = assert_problem(call("GET", f"{D}/customers?query={text}", token=reader), 400, "query")
    assert problem["errors"] == [
        {"field": "query", "message": "Give at least 2 characters.", "code": "too_short", "params": {"least": 2}}
    ]
    assert services.asked == []


MANY_FAULTS = [
    {"field": "nope", "operator": "equals", "value": "x"},
    {"field": "state", "operator": "is", "value": "x"},
    {**RULE, "value": "x" * 10_000},
    {"field": "created_in_last_days", "operator": "is", "value": -1},
    {"field": "state", "operator": "is_empty", "value": "x"},
    {"field": "state"},
    RULE,
    {"field": "nope", "operator": "equals", "value": "x" * 10_000},
]


def test_every_fault_of_a_segment_is_told_at_once_whoever_finds_it(call: Api, writer: str, reader: str) -> None:
    faults = ["0.field", "1.operator", "2.value", "3.value", "4.value", "5.operator", "7.field", "7.value"]
    fields = [f"rules[{place[0]}]{place[1:]}" for place in faults]
    body = {"name": "", "rules": MANY_FAULTS}
    for method, path, token, expected in (
        ("POST", "segments/preview", reader, fields),
        ("POST", "segments", writer, ["name", *fields]),
        ("PUT", "segments/s1", writer, ["name", *fields]),
    ):
        sent = {"rules": MANY_FAULTS} if path.endswith("preview") else body
        problem = call(method, f"{D}/{path}", body=sent, token=token).json_body
        assert sorted(error["field"] for error in problem["errors"]) == expected


@pytest.mark.parametrize(
    "path, field",
    [
        ("logs?direction=sideways", "direction"),
        ("logs?type=everything", "type"),
        ("logs?status=fine", "status"),
        ("syncs/run-1/records?outcome=unchanged", "outcome"),
        ("connection?limit=1", "limit"),
        ("settings?x=1", "x"),
        ("reconciliation?cursor=x", "cursor"),
    ],
)
def test_a_filter_that_is_unknown_or_not_of_its_choices_is_named(path: str, field: str, call: Api, reader: str) -> None:
    assert_problem(call("GET", f"{D}/{path}", token=reader), 400, field)


def test_a_cursor_works_only_in_the_list_and_with_the_filters_it_came_from(call: Api, issuer: Issuer) -> None:
    token = issuer.token({"*": "read"})
    cursor = call("GET", f"{D}/logs?status=error", token=token).json_body["next_cursor"]
    assert call("GET", f"{D}/logs?status=error&limit=3&cursor={cursor}", token=token).status_code == 200
    for elsewhere in (
        f"{D}/logs?cursor={cursor}",
        f"{D}/logs?status=success&cursor={cursor}",
        f"{D}/logs?type=full&status=error&cursor={cursor}",
        f"/departments/d2/logs?status=error&cursor={cursor}",
        f"{D}/syncs?cursor={cursor}",
        f"{D}/segments?cursor={cursor}",
        f"{D}/audiences?cursor={cursor}",
        f"{D}/syncs/run-1/records?cursor={cursor}",
    ):
        assert_problem(call("GET", elsewhere, token=token), 400, "cursor")
    of_records = call("GET", f"{D}/syncs/run-1/records", token=token).json_body["next_cursor"]
    assert_problem(call("GET", f"{D}/syncs/run-2/records?cursor={of_records}", token=token), 400, "cursor")


@pytest.mark.parametrize(
    "path, field",
    [
        ("syncs/a%20b", "run_id"),
        ("syncs/%2e%2e", "run_id"),
        ("syncs/" + "x" * 65, "run_id"),
        ("segments/%00", "segment_id"),
        ("segments/a.b", "segment_id"),
        ("customers/" + "7" * 201, "customer_id"),
        ("customers/" + "7" * 10_000, "customer_id"),
        ("customers/%00", "customer_id"),
        ("customers/%ff", "customer_id"),
        ("customers/a%0Ab", "customer_id"),
    ],
)
def test_an_impossible_id_in_the_path_is_named(path: str, field: str, call: Api, reader: str) -> None:
    assert_problem(call("GET", f"{D}/{path}", token=reader), 400, field)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=6,
)


@cache
def bodies_of(call_name: str) -> st.SearchStrategy[Any]:
    """Anything, or the call's own fields with anything in them."""
    return anything | st.fixed_dictionaries({}, optional=dict.fromkeys(BODIES[call_name], anything))


@settings(examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_json_whatever_makes_the_service_fail(
    data: st.DataObject, app: Chalice, call: Api, writer: str, services: FakeServices
) -> None:
    method, path = data.draw(st.sampled_from(WITH_BODY))
    endpoint = next(e for e in api.endpoints() if (e.method, e.path) == (method, path))
    raw = json.dumps(data.draw(bodies_of(endpoint.handler.__name__))).encode()
    response = call(method, example(path), raw=raw, token=writer)
    assert response.status_code < 500, response.body
    if response.status_code >= 400:
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json_body["errors"]


@pytest.mark.parametrize(
    "body, field, code, params",
    [
        ({"type": "all"}, "type", "not_a_choice", {"choices": "incremental or full"}),
        ({"type": "full", "surprise": 1}, "surprise", "unknown_field", {}),
        ({}, "type", "required", {}),
        ({"type": "full", "dry_run": "yes"}, "dry_run", "not_true_or_false", {}),
    ],
)
def test_every_fault_has_a_code_and_its_figures(
    body: dict[str, Any], field: str, code: str, params: dict[str, Any], call: Api, writer: str
) -> None:
    problem = assert_problem(call("POST", f"{D}/syncs", body=body, token=writer), 400, field)
    assert (problem["errors"][0]["code"], problem["errors"][0]["params"]) == (code, params)


def test_what_rules_mean_is_told_in_codes_as_well(call: Api, writer: str) -> None:
    rules = [{"field": "nonsense", "operator": "equals", "value": "x" * 1001}]
    problem = assert_problem(
        call("POST", f"{D}/segments/preview", body={"rules": rules}, token=writer),
        400, "rules[0].value", "rules[0].field",
    )  # fmt: skip
    assert [error["code"] for error in problem["errors"]] == ["too_long", "unknown_rule_field"]
    assert problem["errors"][0]["params"] == {"most": 1000}
