"""What the deployment template must hold, read from the packaged template itself."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from infra.deploy.package import PROJECT, TemplateConflict, load_resources
from infra.local.deployment import UNSUPPORTED

Template = dict[str, Any]
Functions = dict[str, dict[str, Any]]

FUNCTION_NAMES = {"api_handler", "sync_worker", "event_worker", "dead_letters", "dispatcher", "sweeper", "webhook"}
FUNCTION_ROLES = {
    "ApiHandlerRole",
    "SyncWorkerRole",
    "EventWorkerRole",
    "DeadLettersRole",
    "DispatcherRole",
    "SweeperRole",
    "WebhookRole",
}


def follows_quota(kind: str) -> Template:
    """So many at once as were asked for, or else as fit the account's quota."""
    quota = {"Fn::FindInMap": ["Concurrency", {"Ref": "AccountConcurrency"}, f"{kind}s"]}
    return {"Fn::If": [f"FollowsQuotaFor{kind}s", quota, {"Ref": f"{kind}Concurrency"}]}


# Function, its queue, how many messages at most at once.
CONSUMERS = {
    "sync_worker": ("SyncQueue", follows_quota("Sync")),
    "event_worker": ("EventQueue", follows_quota("Event")),
    "dead_letters": ("SyncDeadLettersQueue", 2),
}
TABLE_KEYS = {
    "departments": ["department_id"],
    "segments": ["department_id", "segment_id"],
    "customers": ["department_bucket", "customer_key"],
    "members": ["shard", "sk"],
    "runs": ["pk", "sk"],
    "logs": ["pk", "sk"],
    "ledger": ["pk", "sk"],
    "hooks": ["department_id"],
    "events": ["pk", "sk"],
}
PROTECTED_TABLES = {"departments", "segments", "members", "ledger"}
EXPIRING_TABLES = {"runs", "logs", "events"}
# Everything in a policy that stands for more than one thing, and why it cannot be narrower.
_SECRET = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:"
WILDCARDS = {
    f"{_SECRET}pracbill-mailchimp/${{Stage}}/departments/*": "departments come and go without a deployment",
    f"{_SECRET}pracbill-mailchimp/${{Stage}}/pracbill-token-??????": "AWS ends names of secrets with six characters",
    f"{_SECRET}${{PracBillTokenSecret}}-??????": "the same",
    "ApiGatewayLogsRole: arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs": (
        "AWS refuses a role for API Gateway's logs that has less"
    ),
    "${RestAPI}/*/*/webhooks/mailchimp/*": "every stage and method of the webhook's path",
    "${RestAPIId}/*": "every route of the one API that Chalice made",
}
WILDCARDS |= {f"{role}: *": "X-Ray knows no resources; only with tracing" for role in FUNCTION_ROLES}
WEBHOOK_PATH = "/webhooks/mailchimp/{department_id}/{token}"


def resources(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    return {name: r for name, r in template["Resources"].items() if r["Type"] == kind}


def test_the_template_passes_the_linter(package: Path) -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    found = subprocess.run([str(linter), str(package / "sam.yaml")], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_the_stage_asked_for_is_the_default(template: Template) -> None:
    assert template["Parameters"]["Stage"]["Default"] == "test"


ACCEPTED = {
    "PracBillTokenSecret": ["", "pracbill-mailchimp/prod/pracbill-token"],
    "AllowedOrigins": [
        "",
        "https://app.pracbill.example",
        "https://a.example,http://localhost:3000",
        "https://a.b , https://c.d",
    ],
    "PublicUrl": ["", "https://mailchimp.pracbill.example", "https://x.example/base/"],
    "AlarmEmail": ["", "operations@pracbill.example"],
    "SyncSchedule": ["rate(4 hours)", "cron(0 6 * * ? *)"],
    "PracBillApiUrl": ["https://api.pracbill.example/v1", "http://127.0.0.1:8000", "http://localhost/v1"],
    "PracBillJwksUrl": ["https://id.pracbill.example/.well-known/jwks.json?v=1", "http://[::1]:8000/jwks.json"],
    "MailchimpApiUrl": ["https://{dc}.api.mailchimp.com/3.0", "http://127.0.0.1:8001/3.0"],
}
REFUSED = {
    "PracBillTokenSecret": ["*", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:other-aB3xYz", "pracbill?"],
    "AllowedOrigins": [
        "*",
        "app.pracbill.example",
        "https://app.pracbill.example/",
        "https://*.pracbill.example",
        "http://app.pracbill.example",
        "https://a.example,http://b.example",
    ],
    "PublicUrl": ["mailchimp.pracbill.example", "https://x.example/?a=b", "http://mailchimp.pracbill.example"],
    "AlarmEmail": ["operations", "a@b c@d"],
    "SyncSchedule": ["4 hours"],
    "PracBillApiUrl": [
        "",
        "api.pracbill.example",
        "https://api.pracbill.example/v1 ",
        "http://api.pracbill.example",
        "http://localhost.pracbill.example",
        "http://127.0.0.1@pracbill.example",
        "https://",
    ],
    "PracBillJwksUrl": ["http://id.pracbill.example/jwks.json"],
    "MailchimpApiUrl": ["http://{dc}.api.mailchimp.com/3.0"],
    "Stage": ["", "Prod", "a-stage-that-is-too-long"],
}


@pytest.mark.parametrize(("name", "values"), ACCEPTED.items())
def test_parameters_take_what_they_are_for(template: Template, name: str, values: list[str]) -> None:
    pattern = template["Parameters"][name]["AllowedPattern"]
    assert [value for value in values if not re.search(pattern, value)] == []


@pytest.mark.parametrize(("name", "values"), REFUSED.items())
def test_parameters_refuse_what_would_only_fail_later(template: Template, name: str, values: list[str]) -> None:
    pattern = template["Parameters"][name]["AllowedPattern"]
    assert [value for value in values if re.search(pattern, value)] == []


def test_two_files_may_not_set_the_same_thing(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("Resources: {Queue: {Type: AWS::SQS::Queue}}")
    (tmp_path / "b.yaml").write_text("Resources: {Queue: {Type: AWS::SNS::Topic}}")
    with pytest.raises(TemplateConflict, match=r"b\.yaml: Resources: Queue: Type"):
        load_resources(tmp_path)


class TestFunctions:
    def test_all_seven_are_there(self, functions: Functions) -> None:
        assert functions.keys() == FUNCTION_NAMES

    def test_every_handler_is_found_by_its_deployed_name(self, functions: Functions) -> None:
        for properties in functions.values():
            module, _, name = properties["Handler"].rpartition(".")
            assert callable(getattr(importlib.import_module(module), name)), properties["Handler"]

    def test_names_agree_with_handlers_log_groups_and_chalice(self, template: Template, functions: Functions) -> None:
        configured = json.loads((PROJECT / ".chalice" / "config.json").read_text())["lambda_functions"]
        assert configured.keys() == functions.keys()
        for name, properties in functions.items():
            full_name = f"pracbill-mailchimp-${{Stage}}-{name}"
            assert properties["FunctionName"] == {"Fn::Sub": full_name}
            log_group = template["Resources"][properties["LoggingConfig"]["LogGroup"]["Ref"]]
            assert log_group["Properties"]["LogGroupName"] == {"Fn::Sub": f"/aws/lambda/{full_name}"}
            assert log_group["Properties"]["RetentionInDays"] == {"Ref": "FunctionLogDays"}

    def test_they_run_on_python_313_and_arm(self, functions: Functions) -> None:
        for properties in functions.values():
            assert properties["Runtime"] == "python3.13"
            assert properties["Architectures"] == ["arm64"]

    def test_steps_may_queue_the_next_step_as_often_as_a_run_needs(self, functions: Functions) -> None:
        """Lambda drops the seventeenth message of a chain that leads from a function back to it, unless told."""
        allowed = {name for name, properties in functions.items() if properties.get("RecursiveLoop") == "Allow"}
        assert allowed == {"sync_worker"}

    @pytest.mark.parametrize(("function", "parameter"), [("api_handler", "Api"), ("webhook", "Webhook")])
    def test_room_can_be_kept_for_an_entrance(self, functions: Functions, function: str, parameter: str) -> None:
        assert functions[function]["ReservedConcurrentExecutions"] == {
            "Fn::If": [f"Reserves{parameter}", {"Ref": f"{parameter}Concurrency"}, {"Ref": "AWS::NoValue"}]
        }

    def test_no_other_function_takes_room_from_the_quota(self, functions: Functions) -> None:
        reserved = {name for name, p in functions.items() if "ReservedConcurrentExecutions" in p}
        assert reserved == {"api_handler", "webhook"}

    def test_every_setting_the_code_reads_is_set(self, template: Template) -> None:
        source = ast.parse((PROJECT / "chalicelib" / "config.py").read_text())
        read = {
            call.args[0].value
            for call in ast.walk(source)
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr in {"_required", "get"}
            and isinstance(call.args[0], ast.Constant)
        }
        variables = template["Globals"]["Function"]["Environment"]["Variables"]
        assert "STAGE" in read
        assert read <= variables.keys()

    def test_no_variable_is_a_secret(self, template: Template) -> None:
        text = json.dumps(template)
        assert "{{resolve:secretsmanager" not in text
        assert "NoEcho" not in text


class TestQueues:
    @pytest.mark.parametrize("function", CONSUMERS)
    def test_each_consumer_has_its_queue_and_reports_failures_one_by_one(
        self, functions: Functions, function: str
    ) -> None:
        queue, concurrency = CONSUMERS[function]
        (event,) = functions[function]["Events"].values()
        assert event["Type"] == "SQS"
        assert event["Properties"] == {
            "Queue": {"Fn::GetAtt": [queue, "Arn"]},
            "BatchSize": 1,
            "MaximumBatchingWindowInSeconds": 0,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": concurrency},
        }

    @pytest.mark.parametrize("function", CONSUMERS)
    def test_a_message_stays_hidden_six_times_as_long_as_its_function_may_run(
        self, template: Template, functions: Functions, function: str
    ) -> None:
        """Else what Lambda has taken and has no room for uses up its deliveries, and becomes a dead letter."""
        queue = template["Resources"][CONSUMERS[function][0]]["Properties"]
        assert queue["VisibilityTimeout"] >= 6 * functions[function]["Timeout"]

    def test_what_queues_take_leaves_room_for_requests_whatever_the_quota(self, template: Template) -> None:
        shares = template["Mappings"]["Concurrency"]
        assert shares.keys() == set(template["Parameters"]["AccountConcurrency"]["AllowedValues"])
        dead_letters = CONSUMERS["dead_letters"][1]
        for quota, share in shares.items():
            assert share["Syncs"] >= share["Events"] >= 2
            assert int(quota) - share["Syncs"] - share["Events"] - dead_letters >= int(quota) * 0.3

    def test_all_are_fast_fifo_queues_with_names_that_say_so(self, template: Template) -> None:
        queues = resources(template, "AWS::SQS::Queue")
        assert len(queues) == 4
        for queue in queues.values():
            properties = queue["Properties"]
            assert properties["QueueName"]["Fn::Sub"].endswith(".fifo")
            assert properties["FifoQueue"] is True
            assert properties["ContentBasedDeduplication"] is False
            assert properties["DeduplicationScope"] == "messageGroup"
            assert properties["FifoThroughputLimit"] == "perMessageGroupId"
            assert properties["SqsManagedSseEnabled"] is True
            assert properties["MessageRetentionPeriod"] == 14 * 24 * 3600

    @pytest.mark.parametrize(
        ("queue", "dead_letters", "times"),
        [("SyncQueue", "SyncDeadLettersQueue", 5), ("EventQueue", "EventDeadLettersQueue", 8)],
    )
    def test_what_fails_too_often_goes_to_the_dead_letters(
        self, template: Template, queue: str, dead_letters: str, times: int
    ) -> None:
        policy = template["Resources"][queue]["Properties"]["RedrivePolicy"]
        assert policy == {"deadLetterTargetArn": {"Fn::GetAtt": [dead_letters, "Arn"]}, "maxReceiveCount": times}


class TestTracing:
    """Off unless the operator wants it, and then for every function: Chalice writes a value of its own into each."""

    @staticmethod
    def deployed(template: Template) -> dict[str, dict[str, Any]]:
        """The functions as the SAM transform makes them."""
        parameters = {name: str(about.get("Default", "")) for name, about in template["Parameters"].items()}
        copy = json.loads(json.dumps(template))
        for function in resources(copy, "AWS::Serverless::Function").values():
            function["Properties"]["CodeUri"] = "s3://bucket/deployment.zip"
        session = SimpleNamespace(region_name="eu-central-1")
        made = Translator({}, Parser(), boto_session=session).translate(copy, parameters, {})
        return {n: f["Properties"] for n, f in resources(made, "AWS::Lambda::Function").items()}

    def test_a_switch_reaches_every_function(self, template: Template) -> None:
        wanted = {"Mode": {"Fn::If": ["HasTracing", "Active", "PassThrough"]}}
        assert [f["TracingConfig"] for f in self.deployed(template).values()] == [wanted] * len(FUNCTION_NAMES)

    def test_a_role_may_send_traces_exactly_when_its_function_makes_them(self, template: Template) -> None:
        """In the role itself: Lambda refuses to trace a function whose role may not send traces yet."""
        for role in FUNCTION_ROLES:
            traces = template["Resources"][role]["Properties"]["Policies"][0]["Fn::If"]
            assert traces[0] == "HasTracing"
            assert traces[1]["PolicyDocument"]["Statement"][0]["Action"] == [
                "xray:PutTraceSegments",
                "xray:PutTelemetryRecords",
            ]
            assert traces[2] == {"Ref": "AWS::NoValue"}


class TestTables:
    @pytest.fixture
    def tables(self, template: Template) -> dict[str, dict[str, Any]]:
        found = resources(template, "AWS::DynamoDB::Table").values()
        return {table["Properties"]["TableName"]["Fn::Sub"].rpartition("-")[2]: table for table in found}

    def test_keys_are_those_the_code_uses(self, tables: dict[str, dict[str, Any]]) -> None:
        keys = {
            name: [part["AttributeName"] for part in table["Properties"]["KeySchema"]] for name, table in tables.items()
        }
        assert keys == TABLE_KEYS

    def test_what_would_hurt_to_lose_is_protected(self, tables: dict[str, dict[str, Any]]) -> None:
        assert tables.keys() >= PROTECTED_TABLES
        for name, table in tables.items():
            kept = name in PROTECTED_TABLES
            assert table["Properties"].get("DeletionProtectionEnabled", False) is kept
            assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == ("Retain" if kept else "Delete")

    def test_all_but_the_inbox_can_be_restored_to_any_second(self, tables: dict[str, dict[str, Any]]) -> None:
        restorable = {
            name for name, table in tables.items() if "PointInTimeRecoverySpecification" in table["Properties"]
        }
        assert restorable == tables.keys() - {"events"}

    def test_what_ages_expires(self, tables: dict[str, dict[str, Any]]) -> None:
        wanted = {"AttributeName": "expires_at", "Enabled": True}
        expiring = {
            name for name, table in tables.items() if table["Properties"].get("TimeToLiveSpecification") == wanted
        }
        assert expiring == EXPIRING_TABLES


class TestApi:
    def test_it_is_regional(self, template: Template) -> None:
        assert template["Resources"]["RestAPI"]["Properties"]["EndpointConfiguration"] == "REGIONAL"

    def test_it_speaks_tls_1_2_at_least(self, template: Template) -> None:
        assert template["Resources"]["RestAPI"]["Properties"]["SecurityPolicy"] == "TLS_1_2"

    def test_the_webhook_is_a_function_of_its_own_behind_the_same_api(self, template: Template) -> None:
        operations = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"][WEBHOOK_PATH]
        assert operations.keys() == {"get", "post"}
        for operation in operations.values():
            uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
            assert uri.endswith(":function:pracbill-mailchimp-${Stage}-webhook/invocations")

    def test_the_gateway_may_call_the_webhook_on_its_path_only(self, template: Template) -> None:
        permission = template["Resources"]["WebhookInvokePermission"]["Properties"]
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert permission["SourceArn"]["Fn::Sub"].endswith("${RestAPI}/*/*/webhooks/mailchimp/*")

    def test_routes_point_at_their_function_by_name(self, template: Template) -> None:
        """Else the functions could not be told the API's address: each would wait for the other."""
        text = json.dumps(template["Resources"]["RestAPI"])
        assert "APIHandler" not in text
        assert "function:pracbill-mailchimp-${Stage}-api_handler/invocations" in text


class TestPermissions:
    @pytest.fixture
    def statements(self, template: Template) -> dict[str, list[dict[str, Any]]]:
        """Statements by role, none of which is without any."""
        found = {
            name: [
                statement
                for policy in role["Properties"]["Policies"]
                if "Fn::If" not in policy  # what tracing needs, see TestTracing
                for statement in policy["PolicyDocument"]["Statement"]
            ]
            for name, role in resources(template, "AWS::IAM::Role").items()
            if name != "ApiGatewayLogsRole"  # no function's, and it has a policy of AWS's own
        }
        assert len(found) == len(FUNCTION_NAMES) and all(found.values())
        return found

    def test_each_function_has_a_role_of_its_own(self, functions: Functions) -> None:
        roles = [properties["Role"]["Fn::GetAtt"][0] for properties in functions.values()]
        assert len(set(roles)) == len(FUNCTION_NAMES)

    def test_no_function_was_forgotten(self, statements: dict[str, list[dict[str, Any]]]) -> None:
        """A role that permissions.yaml does not know keeps the policy that denies everything."""
        for role, granted in statements.items():
            assert all(statement["Effect"] == "Allow" for statement in granted), role

    def test_wildcards_are_those_of_the_list_and_no_others(self, template: Template) -> None:
        found = {text for name, r in template["Resources"].items() for text in wildcards(name, r)}
        assert found == WILDCARDS.keys()

    def test_every_name_is_of_this_stage(self, statements: dict[str, list[dict[str, Any]]]) -> None:
        every = {target for granted in statements.values() for statement in granted for target in targets(statement)}
        named = [one for one in every if one.startswith("arn:") and "PracBillTokenSecret" not in one]
        assert named and all("pracbill-mailchimp/${Stage}/" in resource for resource in named)

    def test_the_key_of_webhooks_is_left_to_the_roles_and_changed_every_year(self, template: Template) -> None:
        key = template["Resources"]["WebhookKey"]["Properties"]
        root = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
        (statement,) = key["KeyPolicy"]["Statement"]
        assert (statement["Principal"], statement["Action"], statement["Resource"]) == ({"AWS": root}, "kms:*", "*")
        assert key["EnableKeyRotation"] is True

    def test_records_of_webhooks_are_for_the_webhook_and_for_those_who_register_it(
        self, statements: dict[str, list[dict[str, Any]]]
    ) -> None:
        """Who registers may encrypt and never decrypt, the webhook the other way round; nobody else may do either."""
        granted = {
            (role, action)
            for role, allowed in statements.items()
            for statement in allowed
            for action in listed(statement["Action"])
            if {"HooksTable.Arn", "WebhookKey.Arn"} & set(targets(statement))
        }
        assert granted == {
            ("WebhookRole", "dynamodb:GetItem"),
            ("WebhookRole", "kms:Decrypt"),
            ("ApiHandlerRole", "dynamodb:GetItem"),
            ("ApiHandlerRole", "dynamodb:PutItem"),
            ("ApiHandlerRole", "dynamodb:DeleteItem"),
            ("ApiHandlerRole", "kms:Encrypt"),
            ("SyncWorkerRole", "dynamodb:GetItem"),
            ("SyncWorkerRole", "dynamodb:PutItem"),
            ("SyncWorkerRole", "kms:Encrypt"),
        }

    def test_the_webhook_may_read_hooks_and_queue_events_and_nothing_else(
        self, statements: dict[str, list[dict[str, Any]]]
    ) -> None:
        granted = {
            (action, target)
            for statement in statements["WebhookRole"]
            for action in listed(statement["Action"])
            for target in targets(statement)
        }
        assert granted == {
            ("logs:CreateLogStream", "WebhookLogs.Arn"),
            ("logs:PutLogEvents", "WebhookLogs.Arn"),
            ("dynamodb:GetItem", "HooksTable.Arn"),
            ("kms:Decrypt", "WebhookKey.Arn"),
            ("sqs:SendMessage", "EventQueue.Arn"),
        }

    def test_nobody_may_change_or_remove_a_ledger_entry(self, statements: dict[str, list[dict[str, Any]]]) -> None:
        harmful = {"dynamodb:UpdateItem", "dynamodb:DeleteItem"}
        of_the_ledger = [
            (role, statement)
            for role, granted in statements.items()
            for statement in granted
            if "LedgerTable.Arn" in targets(statement)
        ]
        assert of_the_ledger
        for role, statement in of_the_ledger:
            assert not harmful & set(listed(statement["Action"])), role

    def test_each_function_writes_its_own_logs_only(self, statements: dict[str, list[dict[str, Any]]]) -> None:
        for role, granted in statements.items():
            logged = [t for s in granted if "logs:PutLogEvents" in listed(s["Action"]) for t in targets(s)]
            assert logged == [f"{role.removesuffix('Role')}Logs.Arn"]


def test_the_emulator_knows_every_type_or_it_is_on_the_list(template: Template) -> None:
    """A type it does not know would roll the local stack back; one it learns should leave the list."""
    kinds = {resource["Type"] for resource in template["Resources"].values()}
    kinds -= {"AWS::Serverless::Function", "AWS::Serverless::Api"}  # the SAM translator turns these into others
    known = set(_RESOURCE_HANDLERS)
    assert kinds - known <= UNSUPPORTED
    assert not UNSUPPORTED & known


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def targets(statement: dict[str, Any]) -> list[str]:
    """A statement's resources as text: ARNs as written, attributes as `Name.Arn`; both branches of a condition."""
    return [text for resource in listed(statement["Resource"]) for text in _texts(resource)]


def _texts(resource: Any) -> list[str]:
    if isinstance(resource, str):
        return [resource]
    ((kind, value),) = resource.items()
    if kind == "Fn::If":
        return [text for branch in value[1:] for text in _texts(branch)]
    return [".".join(value) if kind == "Fn::GetAtt" else str(value)]


def _chosen(value: Any) -> Any:
    """A value, or what stands there when its condition holds."""
    return value["Fn::If"][1] if "Fn::If" in value else value


def wildcards(name: str, resource: dict[str, Any]) -> set[str]:
    """What of a resource's permissions stands for more than one thing. AWS's own policies always do."""
    properties = resource.get("Properties", {})
    match resource["Type"]:
        case "AWS::IAM::Role":
            policies = [_chosen(policy)["PolicyDocument"] for policy in properties.get("Policies", [])]
            managed = {f"{name}: {_texts(arn)[0]}" for arn in properties.get("ManagedPolicyArns", [])}
            return managed | _wildcards_of(name, [properties["AssumeRolePolicyDocument"], *policies])
        case "AWS::IAM::Policy" | "AWS::SNS::TopicPolicy" | "AWS::SQS::QueuePolicy":
            return _wildcards_of(name, [properties["PolicyDocument"]])
        case "AWS::Lambda::Permission":
            text = properties["SourceArn"]["Fn::Sub"]
            source = text[0] if isinstance(text, list) else text
            return {source.rpartition(":")[2]} if "*" in source else set()
        case kind:
            assert "Policy" not in kind or kind.endswith("Subscription"), f"{kind} is not looked at"
            return set()


def _wildcards_of(name: str, documents: list[dict[str, Any]]) -> set[str]:
    found = set()
    for statement in (statement for document in documents for statement in document["Statement"]):
        assert not {"NotAction", "NotResource", "NotPrincipal"} & statement.keys()
        assert "*" not in json.dumps([statement["Action"], statement.get("Principal", "")]), name
        texts = targets(statement) if "Resource" in statement else []
        found |= {text if text.startswith("arn:") else f"{name}: {text}" for text in texts if set(text) & {"*", "?"}}
    return found
