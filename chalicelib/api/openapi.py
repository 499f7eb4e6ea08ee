"""The API description: an OpenAPI 3.1 document made from the declared routes, their models and their docstrings."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from chalicelib.api.answers import File
from chalicelib.api.bodies import NoBody
from chalicelib.api.problems import CONTENT_TYPE, TYPE_PREFIX
from chalicelib.api.queries import DepartmentQuery, NoQuery
from chalicelib.api.routing import DEPARTMENT_ID, KEY, Endpoint, Need

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Json = dict[str, Any]
_REF = "#/components/schemas/{model}"

_ABOUT = """\
Keeps one Mailchimp audience per PracBill department in step with the department's customers, and brings every
opt-out back to PracBill.

Send PracBill's token as `Authorization: Bearer <token>`. Its claim `mailchimp_access` maps department ids to `read` or
`write`; `*` stands for all departments; a department's own entry wins over `*`.

Times are RFC 3339 in UTC. Errors are `application/problem+json` (RFC 9457). Lists are answered in pages: send
`next_cursor` back as `cursor` to read on. Unknown body fields and query parameters are refused."""

_NEEDS = {
    Need.NOTHING: "Needs no token.",
    Need.TOKEN: "Needs any valid token.",
    Need.READ: "Needs read access to the department.",
    Need.WRITE: "Needs write access to the department.",
}

_PROBLEMS = {
    400: "Some fields of the request are not valid; `errors` names them.",
    401: "There is no token, or not a good one.",
    403: "The token does not allow this.",
    404: "This does not exist in this department.",
    409: "The request does not fit the present state.",
    413: "The body is larger than 64 KiB.",
    415: "The body is not sent as `application/json`.",
    422: "Mailchimp does not accept what was sent; `detail` says why.",
    429: "Too many attempts, or too many calls at once; `Retry-After` says when to try again.",
    502: "PracBill or Mailchimp answered something that cannot be used.",
    503: "PracBill, Mailchimp or the database cannot be used right now; `Retry-After` says when to try again.",
}

_PARAMETERS: dict[str, Json] = {
    "department_id": {"type": "string", "pattern": f"^{DEPARTMENT_ID.pattern}$"},
    # PracBill's ids are its own; only characters that cannot be seen are refused.
    "customer_id": {"type": "string", "pattern": r"^[^\u0000-\u001f\u007f-\u009f]{1,200}$"},
    "cursor": {"type": "string", "pattern": "^[A-Za-z0-9_-]*$"},
}
_OTHER_PARAMETER: Json = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}

# Every problem's code, which ends its `type`. A test holds the list against the code.
PROBLEM_CODES = (
    "another-account",
    "account-deactivated",
    "bad-input",
    "body-too-large",
    "changed-meanwhile",
    "conflict",
    "forbidden",
    "idempotency-key-reused",
    "internal",
    "key-not-permitted",
    "key-rejected",
    "method-not-allowed",
    "name-taken",
    "no-audience",
    "no-such-audience",
    "not-connected",
    "not-deleted",
    "not-found",
    "plan-limit-reached",
    "refused",
    "refused-by-mailchimp",
    "run-active",
    "still-under-way",
    "tag-exists",
    "too-large",
    "too-many-attempts",
    "too-many-requests",
    "too-many-segments",
    "too-slow",
    "try-again-later",
    "unauthorized",
    "unsupported-media-type",
    "upstream",
    "webhook-refused",
    "wrong-data-centre",
)
_PROBLEM: Json = {
    "type": "object",
    "description": "Why a request was refused or failed (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri", "enum": [TYPE_PREFIX + code for code in PROBLEM_CODES]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message", "code", "params"],
                "properties": {
                    "field": {"type": "string", "examples": ["rules[0].value"]},
                    "message": {"type": "string"},
                    "code": {"type": "string", "examples": ["too_long"]},
                    "params": {"type": "object", "additionalProperties": {"type": ["string", "integer"]}},
                },
            },
        },
        "run": {"$ref": "#/components/schemas/RunView", "description": "With `run-active`: the run."},
        "audiences": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/AudienceSummary"},
            "description": "With `plan-limit-reached` and `no-such-audience`: those to select from.",
        },
        "segment": {
            "$ref": "#/components/schemas/SegmentView",
            "description": "With `changed-meanwhile`: the segment as it is now.",
        },
        "retry_after": {"type": "integer", "description": "Seconds, as in the header `Retry-After`."},
        "health_code": {"type": "string", "description": "With `key-rejected`: the finding's code."},
        "request_id": {"type": "string", "description": "With `internal`: what to name in a report."},
    },
}

_KEY_PARAMETER: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Made up by the caller, such as a UUID: the same request with the same key is carried out once. "
    "While the first is under way the answer is 409 `still-under-way`; with another body it is 422. Kept for a day.",
    "schema": {"type": "string", "pattern": f"^{KEY.pattern}$"},
}
_NEXT_CURSOR: Json = {
    "description": "With CSV: where the list goes on. Send it back as `cursor`, and put the pages together.",
    "schema": {"type": "string"},
}

# The webhook is a function of its own behind the same address, not a route of this application.
WEBHOOK_PATH = "/webhooks/mailchimp/{department_id}/{token}"
_WEBHOOK_TAG = "Webhook"


def describe(endpoints: Sequence[Endpoint], *, version: str) -> Json:
    """The OpenAPI document of some endpoints."""
    schemas, definitions = _schemas(endpoints)
    paths: Json = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    paths[WEBHOOK_PATH] = _webhook()
    return {
        "openapi": "3.1.0",
        "info": {"title": "PracBill Mailchimp integration", "version": version, "description": _ABOUT},
        "servers": [{"url": ".", "description": "Where this document was read from."}],
        "tags": [{"name": tag} for tag in [*dict.fromkeys(endpoint.tag for endpoint in endpoints), _WEBHOOK_TAG]],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "responses": {str(status): _problem_response(status) for status in _PROBLEMS},
            "schemas": {**definitions, "Problem": _PROBLEM},
        },
    }


def _schemas(endpoints: Iterable[Endpoint]) -> tuple[dict[tuple[Any, str], Json], Json]:
    """The schema of every body and answer by (type, mode), and the definitions they refer to."""
    asked = {(e.body, "validation") for e in endpoints if e.body is not NoBody}
    answered = {(e.answers, "serialization") for e in endpoints if e.answers not in (type(None), File)}
    wanted: list[Any] = [
        (kind, mode, TypeAdapter(kind)) for kind, mode in sorted(asked | answered, key=lambda pair: str(pair))
    ]
    by_type, together = TypeAdapter.json_schemas(wanted, ref_template=_REF, schema_generator=_ForClients)
    definitions = together.get("$defs", {})
    _share_rules(definitions)
    return {(key[0], key[1]): schema for key, schema in by_type.items()}, definitions


class _ForClients(GenerateJsonSchema):
    """Schemas from which generators of clients make types that fit.

    Every member of an answer is always there. A body's member with a default may be left out: generators take a member
    with the keyword `default` for one that must be sent, so the default is told in words.
    """

    def field_is_required(self, field: Any, total: bool) -> bool:
        return self.mode == "serialization" or super().field_is_required(field, total)

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        default = schema.get("default")
        if self.mode == "serialization" or default is None or isinstance(default, BaseModel | tuple):
            return inner
        told = f"Left out: {json.dumps(default)}."
        return {**inner, "description": f"{inner['description']} {told}" if "description" in inner else told}


def _share_rules(definitions: Json) -> None:
    """What an answer says of a rule may be sent back: fields and operators are the same closed choices."""
    sent = definitions["RuleBody"]["properties"]
    for shared, name in (("RuleField", "field"), ("RuleOperator", "operator")):
        definitions[shared] = {"type": "string", "enum": sent[name]["enum"], "description": f"A rule's {name}."}
        for model in ("RuleBody", "Rule", "RuleCount", "RuleVerdict"):
            definitions[model]["properties"][name] = {"$ref": _REF.format(model=shared)}


def _operation(endpoint: Endpoint, schemas: dict[tuple[Any, str], Json]) -> Json:
    summary, _, rest = (inspect.getdoc(endpoint.handler) or "").partition("\n")
    operation: Json = {
        "operationId": endpoint.handler.__name__,
        "tags": [endpoint.tag],
        "summary": summary,
        "description": f"{rest.strip()}\n\n{_NEEDS[endpoint.needs]}".strip(),
        "security": [] if endpoint.needs is Need.NOTHING else [{"token": []}],
        "parameters": [
            *(_path_parameter(name) for name in endpoint.parameters),
            *_query_parameters(endpoint),
            *([_KEY_PARAMETER] if endpoint.takes_key else []),
        ],
        "responses": _responses(endpoint, schemas),
    }
    if endpoint.body is not NoBody:
        schema = schemas[endpoint.body, "validation"]
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _path_parameter(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": _PARAMETERS.get(name, _OTHER_PARAMETER)}


def _query_parameters(endpoint: Endpoint) -> list[Json]:
    properties = endpoint.query.model_json_schema().get("properties", {})
    return [_query_parameter(name, schema) for name, schema in properties.items()]


def _query_parameter(name: str, schema: Json) -> Json:
    # A parameter is text or left out, never null.
    choices = [choice for choice in schema.get("anyOf", [schema]) if choice.get("type") != "null"]
    kept = {key: value for key, value in choices[0].items() if key not in ("title", "description", "default")}
    kept |= _PARAMETERS.get(name, {})
    if schema.get("default") is not None:
        kept["default"] = schema["default"]
    described = {"name": name, "in": "query", "description": schema.get("description", ""), "schema": kept}
    return {**described, "allowEmptyValue": True}  # which counts as left out


def _responses(endpoint: Endpoint, schemas: dict[tuple[Any, str], Json]) -> Json:
    responses: Json = {}
    if endpoint.answers is type(None):
        responses["204"] = {"description": "Done."}
    elif endpoint.answers is File:
        content = {endpoint.content_type: {"schema": {"type": "string"}}}
        responses["200"] = {"description": "The file.", "content": content}
    else:
        content = {"application/json": {"schema": schemas[endpoint.answers, "serialization"]}}
        responses[str(endpoint.status)] = {"description": "Done.", "content": content}
        if endpoint.csv_columns:
            columns = ", ".join(endpoint.csv_columns)
            text = f"Asked for with `Accept: text/csv`. The first page begins with the columns' names: {columns}."
            content["text/csv"] = {"schema": {"type": "string", "description": text}}
            responses[str(endpoint.status)]["headers"] = {"Next-Cursor": _NEXT_CURSOR}
    for status in _possible_problems(endpoint):
        responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
    return responses


def _possible_problems(endpoint: Endpoint) -> list[int]:
    if endpoint.needs is Need.NOTHING:
        return []
    statuses = {400, 401, 415, 503} if endpoint.query is not NoQuery or endpoint.parameters else {401, 415, 503}
    if endpoint.needs in (Need.READ, Need.WRITE) or endpoint.query is DepartmentQuery:
        statuses |= {403}
    if endpoint.parameters:
        statuses |= {404, 409, 502}
    if endpoint.method in ("POST", "PUT"):
        statuses |= {413}
    if endpoint.method == "PUT" and endpoint.path.endswith("/connection"):
        statuses |= {422, 429}
    if endpoint.allowance is not None:
        statuses |= {429}
    if endpoint.path.endswith(("/audiences", "/audience")) and endpoint.method != "GET":
        statuses |= {422}
    return sorted(statuses)


def _problem_response(status: int) -> Json:
    schema = {"$ref": _REF.format(model="Problem")}
    return {"description": _PROBLEMS[status], "content": {CONTENT_TYPE: {"schema": schema}}}


def _webhook() -> Json:
    parameters = [_path_parameter("department_id"), {**_path_parameter("token"), "schema": {"type": "string"}}]
    shared: Json = {"tags": [_WEBHOOK_TAG], "security": [], "parameters": parameters}
    refused = {"404": {"description": "The department or the token is not known."}}
    form = {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}
    return {
        "get": {
            "operationId": "probe_webhook",
            "summary": "Answer Mailchimp's probe of the webhook's address.",
            "responses": {"200": {"description": "The address is known."}, **refused},
            **shared,
        },
        "post": {
            "operationId": "receive_webhook",
            "summary": "Take an event from Mailchimp.",
            "requestBody": {"required": True, "content": form},
            "responses": {
                "200": {"description": "The event is in the queue."},
                "401": {"description": "The signature is wrong."},
                **refused,
            },
            **shared,
        },
    }
