"""What the local deployment leaves out, and when it refuses to go on from a kept state."""

from __future__ import annotations

import copy
import socket
from typing import Any

from infra.local.deployment import data_shape, without_unsupported
from infra.local.processes import choose_port
from infra.local.smoke import protected_routes

Template = dict[str, Any]


def test_only_listed_types_are_left_out() -> None:
    template = {
        "Resources": {
            "Filter": {"Type": "AWS::Logs::MetricFilter"},
            "Unheard": {"Type": "AWS::Unheard::Of"},
            "Queue": {"Type": "AWS::SQS::Queue"},
        }
    }
    assert without_unsupported(template)["Resources"].keys() == {"Unheard", "Queue"}
    assert template["Resources"].keys() == {"Filter", "Unheard", "Queue"}


def test_new_routes_and_environment_go_on_from_a_kept_state(template: Template) -> None:
    changed = copy.deepcopy(template)
    changed["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]["/new"] = {"get": {}}
    changed["Resources"]["SyncWorker"]["Properties"]["Timeout"] = 200
    changed["Globals"]["Function"]["Environment"]["Variables"]["NEW"] = "x"
    assert data_shape(changed) == data_shape(template)


def test_a_changed_table_queue_or_set_of_functions_does_not(template: Template) -> None:
    for name, resource in (
        ("RunsTable", {"Type": "AWS::DynamoDB::Table"}),
        ("SyncQueue", {"Type": "AWS::SQS::Queue"}),
        ("Another", {"Type": "AWS::Serverless::Function"}),
    ):
        changed = copy.deepcopy(template)
        changed["Resources"][name] = resource
        assert data_shape(changed) != data_shape(template)


def test_the_first_free_port_is_taken() -> None:
    free = choose_port()  # not one that the system may give to somebody else's connection meanwhile
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = taken.getsockname()[1]
        assert choose_port(busy, free) == free
        assert choose_port(None, free, busy) == free
        assert choose_port(busy) not in {busy, 0}


def test_all_routes_need_a_token_but_the_named_ones() -> None:
    paths: dict[str, Any] = {
        "/health": {"get": {}},
        "/openapi.json": {"get": {}},
        "/{proxy+}": {"get": {}},
        "/webhooks/mailchimp/{department_id}/{token}": {"get": {}, "post": {}},
        "/departments/{department_id}/syncs": {"get": {}, "post": {}, "options": {}},
    }
    template = {"Resources": {"RestAPI": {"Properties": {"DefinitionBody": {"paths": paths}}}}}
    assert protected_routes(template) == [
        ("GET", "/departments/{department_id}/syncs"),
        ("POST", "/departments/{department_id}/syncs"),
    ]
