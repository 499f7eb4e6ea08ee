"""Deploys the packaged template to the emulator, and mends what the emulator's import of it leaves out.

The template is the one for AWS. What is changed here, and why:

- resource types that the emulator refuses are left out, by an explicit list (UNSUPPORTED);
- queues lose their dead-letter policy and FIFO modes, tables their time to live, preflight answers their headers:
  `repair` sets them again through the public APIs, from the template's own values;
- the emulator polls queues one message at a time, so its own event source mappings are switched off and
  infra.local.pollers takes their place;
- an update would give the API a new address and empty changed tables, so a stack that is there already gets new code
  and new routes in place, and a change of tables or queues is refused.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import ClientError, WaiterError

from infra.local.emulator import Emulator

STACK = "pracbill-mailchimp-local"
STAGE = "local"
API_STAGE = "api"
# Types without which the service runs the same; the emulator rolls the whole stack back when it meets one.
UNSUPPORTED = frozenset(
    {
        "AWS::Budgets::Budget",
        "AWS::CloudWatch::CompositeAlarm",
        "AWS::Logs::MetricFilter",
        "AWS::WAFv2::WebACLAssociation",
    }
)
_BUCKET = "deployments"
_YamlLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where it is built in
# What a restart brings up to date in place. Anything else that differs needs a fresh start.
_RENEWED_TYPES = frozenset(
    {
        "AWS::Serverless::Api",
        "AWS::Serverless::Function",
        "AWS::ApiGateway::Account",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::Lambda::Permission",
        "AWS::Logs::LogGroup",
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::Dashboard",
        "AWS::SNS::Topic",
        "AWS::SNS::TopicPolicy",
        "AWS::SNS::Subscription",
    }
)


class DeploymentFailed(Exception):
    """The emulator did not take the template."""


class DataChanged(Exception):
    """The template's tables, queues or functions are not those of the stack that was kept."""


@dataclass(frozen=True, slots=True)
class QueueConsumer:
    """One event source mapping as deployed: which function takes which queue's messages, and how."""

    function: str
    queue_url: str
    queue_arn: str
    reports_failures: bool


class Deployment:
    """One stack on one emulator."""

    def __init__(self, emulator: Emulator, *, template: Path, archive: Path) -> None:
        self._emulator = emulator
        self.template = read_template(template)
        self._archive = archive
        self._lambda = emulator.client("lambda")
        self._sqs = emulator.client("sqs")
        self._physical_ids: dict[str, str] = {}

    # deploying

    def exists(self) -> bool:
        """Whether the emulator kept our stack."""
        try:
            found = self._emulator.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        except ClientError:
            return False
        return bool(found) and found[0]["StackStatus"] == "CREATE_COMPLETE"

    def create(self, parameters: Mapping[str, str]) -> None:
        """Create the stack. Raises DeploymentFailed with the emulator's reasons."""
        cloudformation = self._emulator.client("cloudformation")
        cloudformation.create_stack(
            StackName=STACK,
            TemplateBody=json.dumps(self._local_template()),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        status = self._wait_for_stack(cloudformation)
        if status != "CREATE_COMPLETE":
            raise DeploymentFailed(f"The stack is {status}: {self._failures(cloudformation)}")

    def _wait_for_stack(self, cloudformation: Any) -> str:
        waiter = cloudformation.get_waiter("stack_create_complete")
        waiter.config.delay, waiter.config.max_attempts = 0.1, 600
        with contextlib.suppress(WaiterError):  # the status tells more
            waiter.wait(StackName=STACK)
        return str(cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"])

    def _failures(self, cloudformation: Any) -> str:
        events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
        failed = [event for event in events if "FAILED" in event["ResourceStatus"]]
        return "; ".join(f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason', '')}" for e in failed)

    def _local_template(self) -> dict[str, Any]:
        s3 = self._emulator.client("s3")
        key = hashlib.sha256(self._archive.read_bytes()).hexdigest()
        s3.create_bucket(Bucket=_BUCKET)
        s3.upload_file(str(self._archive), _BUCKET, key)
        template = without_unsupported(self.template)
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Serverless::Function":
                resource["Properties"]["CodeUri"] = {"Bucket": _BUCKET, "Key": key}
        return template

    def renew(self) -> None:
        """Bring new code, limits and routes to a stack that was kept."""
        physical_ids, code = self.physical_ids(), self._archive.read_bytes()
        for name, properties in self.resources("AWS::Serverless::Function"):
            function = physical_ids[name]
            self._lambda.update_function_code(FunctionName=function, ZipFile=code)
            self._lambda.update_function_configuration(
                FunctionName=function,
                Handler=properties["Handler"],
                Timeout=properties["Timeout"],
                MemorySize=properties["MemorySize"],
            )
        RouteTable(self._emulator, api_id=self.api_id).renew(self._paths())

    # what is there

    def physical_ids(self) -> dict[str, str]:
        """Logical to physical name of every resource. Asked for once: a stack that is there keeps them."""
        if not self._physical_ids:
            found = self._emulator.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
            self._physical_ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}
        return self._physical_ids

    def functions(self) -> dict[str, str]:
        """Logical to physical name of the functions."""
        ids = self.physical_ids()
        return {name: ids[name] for name, _ in self.resources("AWS::Serverless::Function")}

    def resources(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Logical name and properties of the template's resources of one type."""
        for name, resource in self.template["Resources"].items():
            if resource["Type"] == kind:
                yield name, resource["Properties"]

    @property
    def api_id(self) -> str:
        return self.physical_ids()["RestAPI"]

    @property
    def api_url(self) -> str:
        return f"{self._emulator.url}/_aws/execute-api/{self.api_id}/{API_STAGE}"

    def queue_urls(self) -> dict[str, str]:
        """Addresses of the queues by logical name. They keep the port they were made on, which means nothing: the
        SDK sends requests to the emulator's endpoint."""
        return {
            name: self._sqs.get_queue_url(QueueName=_name_on_this_stage(properties["QueueName"]))["QueueUrl"]
            for name, properties in self.resources("AWS::SQS::Queue")
        }

    def consumers(self) -> list[QueueConsumer]:
        """The event source mappings, as the emulator holds them."""
        urls = {self._arn(url): url for url in self.queue_urls().values()}
        return [
            QueueConsumer(
                function=mapping["FunctionArn"].rpartition(":")[2],
                queue_url=urls[mapping["EventSourceArn"]],
                queue_arn=mapping["EventSourceArn"],
                reports_failures="ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", []),
            )
            for mapping in self._lambda.list_event_source_mappings()["EventSourceMappings"]
        ]

    def function(self, name: str) -> dict[str, Any]:
        """A function's configuration as deployed."""
        return dict(self._lambda.get_function_configuration(FunctionName=name))

    def _arn(self, queue_url: str) -> str:
        answer = self._sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    def _paths(self) -> dict[str, Any]:
        paths: dict[str, Any] = self.template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
        return paths

    # mending

    def repair(self) -> None:
        """Set what the import dropped, and switch the emulator's own polling off. Repeating it changes nothing."""
        self._repair_queues()
        self._repair_tables()
        Preflights(self._emulator, api_id=self.api_id).repair(self._paths())
        for mapping in self._lambda.list_event_source_mappings()["EventSourceMappings"]:
            self._lambda.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)

    def _repair_queues(self) -> None:
        urls = self.queue_urls()
        for name, properties in self.resources("AWS::SQS::Queue"):
            attributes: dict[str, str] = {
                attribute: _attribute_text(properties[attribute])
                for attribute in ("DeduplicationScope", "FifoThroughputLimit", "VisibilityTimeout")
                if attribute in properties
            }
            policy = properties.get("RedrivePolicy")
            if policy:
                target = urls[policy["deadLetterTargetArn"]["Fn::GetAtt"][0]]
                attributes["RedrivePolicy"] = json.dumps({**policy, "deadLetterTargetArn": self._arn(target)})
            self._sqs.set_queue_attributes(QueueUrl=urls[name], Attributes=attributes)

    def _repair_tables(self) -> None:
        dynamodb = self._emulator.client("dynamodb")
        for name, properties in self.resources("AWS::DynamoDB::Table"):
            table = self.physical_ids()[name]
            wanted = properties.get("TimeToLiveSpecification")
            if wanted and dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"].get(
                "TimeToLiveStatus"
            ) not in {"ENABLED", "ENABLING"}:
                dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=wanted)

    def set_schedule(self, expression: str) -> None:
        """Say when incremental runs start: a kept stack has the schedule that it was made with."""
        events = self._emulator.client("events")
        for rule in events.list_rules(NamePrefix=f"{STACK}-Dispatcher")["Rules"]:
            events.put_rule(Name=rule["Name"], ScheduleExpression=expression, State="ENABLED")

    def set_environment(self, variables: Mapping[str, str]) -> None:
        """Put variables into every function's environment; those of other names stay."""
        for function in self.functions().values():
            present = self.function(function).get("Environment", {}).get("Variables", {})
            self._lambda.update_function_configuration(
                FunctionName=function, Environment={"Variables": {**present, **variables}}
            )


def read_template(path: Path) -> dict[str, Any]:
    """The packaged template."""
    template: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=_YamlLoader)
    return template


def without_unsupported(template: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the template without the resources that the emulator refuses."""
    copied = copy.deepcopy(dict(template))
    copied["Resources"] = {
        name: resource for name, resource in copied["Resources"].items() if resource["Type"] not in UNSUPPORTED
    }
    return copied


def data_shape(template: Mapping[str, Any]) -> dict[str, Any]:
    """What must stay the same for a kept stack to go on: everything but what a restart renews, and functions' names."""
    resources = template["Resources"]
    shape = {name: r for name, r in resources.items() if r["Type"] not in _RENEWED_TYPES | UNSUPPORTED}
    functions = sorted(name for name, r in resources.items() if r["Type"] == "AWS::Serverless::Function")
    return {"resources": shape, "functions": functions}


class RouteTable:
    """The API's routes, brought in line with the template without changing the API's id."""

    def __init__(self, emulator: Emulator, *, api_id: str) -> None:
        self._gateway = emulator.client("apigateway")
        self._api = api_id
        self._region = self._gateway.meta.region_name

    def renew(self, paths: Mapping[str, Any]) -> None:
        """Add the routes and methods that are missing, remove those that are gone."""
        present = {item["path"]: item for item in self._resources()}
        for path, operations in paths.items():
            resource = self._ensure(path, present)
            for method, operation in operations.items():
                if method.upper() not in resource.get("resourceMethods", {}):
                    self._put(resource["id"], method.upper(), operation["x-amazon-apigateway-integration"])
        for path, resource in present.items():
            wanted = {method.upper() for method in paths.get(path, {})}
            for method in set(resource.get("resourceMethods", {})) - wanted:
                self._gateway.delete_method(restApiId=self._api, resourceId=resource["id"], httpMethod=method)
        self._gateway.create_deployment(restApiId=self._api, stageName=API_STAGE)

    def _resources(self) -> list[dict[str, Any]]:
        pages = self._gateway.get_paginator("get_resources").paginate(restApiId=self._api, limit=500)
        return [item for page in pages for item in page["items"]]

    def _ensure(self, path: str, present: dict[str, dict[str, Any]]) -> dict[str, Any]:
        if path not in present:
            parent, _, part = path.rpartition("/")
            parent_id = self._ensure(parent or "/", present)["id"]
            present[path] = self._gateway.create_resource(restApiId=self._api, parentId=parent_id, pathPart=part)
        return present[path]

    def _put(self, resource_id: str, method: str, integration: Mapping[str, Any]) -> None:
        target = {"restApiId": self._api, "resourceId": resource_id, "httpMethod": method}
        self._gateway.put_method(**target, authorizationType="NONE")
        options = {"integrationHttpMethod": integration["httpMethod"]} if "httpMethod" in integration else {}
        if "uri" in integration:
            options["uri"] = _resolve(integration["uri"]["Fn::Sub"], region=self._region)
        self._gateway.put_integration(**target, type=integration["type"].upper(), **options)


class Preflights:
    """CORS preflights that the gateway answers itself (Chalice's `cors`): the import drops their headers."""

    def __init__(self, emulator: Emulator, *, api_id: str) -> None:
        self._gateway = emulator.client("apigateway")
        self._api = api_id

    def repair(self, paths: Mapping[str, Any]) -> None:
        mocks = {
            path: operations["options"]["x-amazon-apigateway-integration"]
            for path, operations in paths.items()
            if operations.get("options", {}).get("x-amazon-apigateway-integration", {}).get("type") == "mock"
        }
        if not mocks:
            return
        pages = self._gateway.get_paginator("get_resources").paginate(restApiId=self._api, limit=500)
        ids = {item["path"]: item["id"] for page in pages for item in page["items"]}
        for path, integration in mocks.items():
            self._put(ids[path], integration)
        self._gateway.create_deployment(restApiId=self._api, stageName=API_STAGE)

    def _put(self, resource_id: str, integration: Mapping[str, Any]) -> None:
        headers = integration["responses"]["default"]["responseParameters"]
        target = {"restApiId": self._api, "resourceId": resource_id, "httpMethod": "OPTIONS"}
        self._gateway.put_integration(**target, type="MOCK", requestTemplates=integration["requestTemplates"])
        self._gateway.put_method_response(**target, statusCode="200", responseParameters=dict.fromkeys(headers, False))
        self._gateway.put_integration_response(**target, statusCode="200", responseParameters=headers)


def _attribute_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _name_on_this_stage(name: Mapping[str, str]) -> str:
    return name["Fn::Sub"].replace("${Stage}", STAGE)


def _resolve(text: str, *, region: str) -> str:
    known = {"AWS::Partition": "aws", "AWS::Region": region, "AWS::AccountId": "000000000000", "Stage": STAGE}
    for name, value in known.items():
        text = text.replace("${" + name + "}", value)
    return text
