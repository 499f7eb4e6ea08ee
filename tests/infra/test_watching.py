"""Alarms, the dashboard and the gateway's own answers: they name what is there, and nothing that must stay unsaid."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from chalicelib.observability import MetricsMeter
from infra.deploy.package import PROJECT

Template = dict[str, Any]
Properties = dict[str, Any]

# Enough to find a request again and to see who floods us; not the path, which holds the webhook's token.
LOGGED = {
    "requestId",
    "requestTimeEpoch",
    "httpMethod",
    "resourcePath",
    "status",
    "responseLength",
    "responseLatency",
    "integrationLatency",
    "identity.sourceIp",
    "error.responseType",
}
NAME_PROPERTIES = {
    "TableName",
    "QueueName",
    "FunctionName",
    "LogGroupName",
    "TopicName",
    "AlarmName",
    "DashboardName",
}


def of_type(template: Template, kind: str) -> dict[str, Properties]:
    return {name: r["Properties"] for name, r in template["Resources"].items() if r["Type"] == kind}


def counted_metrics() -> set[str]:
    """Names of the metrics that the service counts, as they stand in its sources."""
    sources = "\n".join(path.read_text() for path in (PROJECT / "chalicelib").rglob("*.py"))
    return {name for call in re.findall(r"\.count\(([^)]*)", sources) for name in re.findall(r'"([A-Z]\w+)"', call)}


class TestAlarms:
    @pytest.fixture
    def alarms(self, template: Template) -> dict[str, Properties]:
        found = of_type(template, "AWS::CloudWatch::Alarm")
        assert found
        return found

    def test_each_tells_the_topic_and_says_what_it_means(self, alarms: dict[str, Properties]) -> None:
        for name, alarm in alarms.items():
            assert alarm["AlarmActions"] == [{"Ref": "AlarmsTopic"}], name
            assert len(alarm["AlarmDescription"]) > 40, name

    def test_every_function_has_one_for_its_errors(self, template: Template, alarms: dict[str, Properties]) -> None:
        functions = of_type(template, "AWS::Serverless::Function").keys()
        watched = {a["Dimensions"][0]["Value"]["Ref"] for a in alarms.values() if a.get("MetricName") == "Errors"}
        assert watched == functions

    def test_both_dead_letter_queues_have_one(self, alarms: dict[str, Properties]) -> None:
        queues = {
            dimension["Value"]["Fn::GetAtt"][0]
            for alarm in alarms.values()
            for dimension in alarm.get("Dimensions", [])
            if alarm["Namespace"] == "AWS/SQS" and alarm["Threshold"] == 1
        }
        assert queues == {"SyncDeadLettersQueue", "EventDeadLettersQueue"}

    def test_only_silence_about_success_is_bad_news(self, alarms: dict[str, Properties]) -> None:
        breaching = {name for name, alarm in alarms.items() if alarm["TreatMissingData"] == "breaching"}
        assert breaching == {"NoSuccessAlarm"}

    def test_the_webhooks_latency_is_told_even_when_events_are_rare(
        self, template: Template, alarms: dict[str, Properties]
    ) -> None:
        """A period without a call ends no alarm and begins none, so one period with a slow call must be enough."""
        alarm = alarms["WebhookLatencyAlarm"]
        assert alarm["EvaluationPeriods"] == 1
        (counted,) = of_type(template, "AWS::Logs::MetricFilter")["WebhookMilliseconds"]["MetricTransformations"]
        assert (alarm["Namespace"], alarm["MetricName"]) == (counted["MetricNamespace"], counted["MetricName"])
        # As a number: CloudWatch does not take the text of one.
        assert '"milliseconds":$context.responseLatency' in template["Resources"]["RestAPI"]["Properties"][
            "AccessLogSetting"
        ]["Format"].replace(" ", "")

    def test_a_budget_is_an_option_and_tells_the_same_topic(self, template: Template) -> None:
        budget = template["Resources"]["MonthlyBudgetAlarm"]
        assert budget["Condition"] == "HasBudget"
        told = [n["Subscribers"] for n in budget["Properties"]["NotificationsWithSubscribers"]]
        assert told == [[{"SubscriptionType": "SNS", "Address": {"Ref": "AlarmsTopic"}}]] * 2
        statements = template["Resources"]["AlarmsTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        assert {"Service": "budgets.amazonaws.com"} in [statement["Principal"] for statement in statements]

    def test_the_api_is_watched_under_the_name_it_has(self, template: Template, alarms: dict[str, Properties]) -> None:
        title = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["info"]["title"]
        dimensions = {d["Name"]: d["Value"] for d in alarms["ApiErrorsAlarm"]["Dimensions"]}
        assert dimensions == {"ApiName": title, "Stage": template["Resources"]["RestAPI"]["Properties"]["StageName"]}


class TestRunsThatEnd:
    def test_filters_count_metrics_that_the_service_writes(self, template: Template) -> None:
        filters = of_type(template, "AWS::Logs::MetricFilter")
        del filters["WebhookMilliseconds"]  # the gateway's access log writes that
        names = {
            transformation["MetricName"] for f in filters.values() for transformation in f["MetricTransformations"]
        }
        assert names == {"RunsFailed", "RunsSucceeded"}
        assert names <= counted_metrics()

    def test_a_pattern_fits_the_line_that_the_service_writes(
        self, template: Template, capsys: pytest.CaptureFixture[str]
    ) -> None:
        meter = MetricsMeter()
        meter.count("RunsFailed")
        meter.flush()
        line = json.loads(capsys.readouterr().out)
        pattern = of_type(template, "AWS::Logs::MetricFilter")["FailedRunsOfSyncWorker"]["FilterPattern"]
        assert pattern == "{ $.RunsFailed[0] > 0 }"
        assert line["RunsFailed"][0] > 0


class TestDashboard:
    @pytest.fixture
    def widgets(self, template: Template) -> list[dict[str, Any]]:
        body = of_type(template, "AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"]["Fn::Sub"]
        return list(json.loads(body)["widgets"])

    def test_it_shows_every_alarm_that_every_stage_has(self, template: Template, widgets: list[dict[str, Any]]) -> None:
        alarms = {n for n, r in template["Resources"].items() if r["Type"] == "AWS::CloudWatch::Alarm"}
        conditional = {name for name in alarms if "Condition" in template["Resources"][name]}
        assert set(widgets[0]["properties"]["alarms"]) == {f"${{{name}.Arn}}" for name in alarms - conditional}

    def test_the_services_own_metrics_exist(self, widgets: list[dict[str, Any]]) -> None:
        shown = set()
        for widget in widgets[1:]:
            lines = [[part for part in line if isinstance(part, str)] for line in widget["properties"]["metrics"]]
            if lines[0][0].startswith("PracBillMailchimp"):
                shown |= {line[1] for line in lines}
        assert {"MembersPushed", "MailchimpThrottles", "RunsFailed"} <= shown
        assert shown <= counted_metrics()


class TestGateway:
    @pytest.fixture
    def api(self, template: Template) -> Properties:
        return dict(template["Resources"]["RestAPI"]["Properties"])

    def test_addresses_are_not_written_down(self, api: Properties) -> None:
        form = api["AccessLogSetting"]["Format"]
        assert set(re.findall(r"\$context\.([\w.]+)", form)) == LOGGED
        assert isinstance(json.loads(re.sub(r":\$context\.\w+", ":0", form)), dict)
        for settings in api["MethodSettings"]:
            assert settings["LoggingLevel"] == "OFF"
            assert settings["DataTraceEnabled"] is False
        assert not api.get("TracingEnabled")

    def test_each_method_is_limited(self, api: Properties) -> None:
        settings = api["MethodSettings"][0]
        assert (settings["HttpMethod"], settings["ResourcePath"]) == ("*", "/*")
        assert settings["ThrottlingRateLimit"] == {"Ref": "ApiRequestsPerSecond"}
        assert settings["ThrottlingBurstLimit"] == {"Ref": "ApiBurst"}

    def test_what_strangers_can_ask_for_is_limited_further(self, api: Properties) -> None:
        """Wrong paths, preflights and the webhook need no token, so nothing else keeps strangers from our functions."""
        limits = {
            (s["ResourcePath"].replace("~1", "/").removeprefix("/"), s["HttpMethod"]): s["ThrottlingRateLimit"]
            for s in api["MethodSettings"][1:]
        }
        paths = api["DefinitionBody"]["paths"]
        open_to_all = {(path, method.upper()) for path, methods in paths.items() for method in methods}
        open_to_all = {
            (path, method)
            for path, method in open_to_all
            if method == "OPTIONS" or path == "/{proxy+}" or path.startswith("/webhooks/")
        }
        assert limits.keys() == open_to_all
        assert len(open_to_all) > 20
        assert max(limits.values()) <= 50

    def test_its_own_answers_are_problem_documents(self, api: Properties) -> None:
        answers = api["DefinitionBody"]["x-amazon-apigateway-gateway-responses"]
        assert {"MISSING_AUTHENTICATION_TOKEN", "DEFAULT_4XX", "DEFAULT_5XX"} <= answers.keys()
        for kind, answer in answers.items():
            headers = answer["responseParameters"]
            assert headers["gatewayresponse.header.Content-Type"] == "'application/problem+json'", kind
            # A browser could not read them otherwise. Of several origins the gateway cannot tell which one asks.
            several = {"Fn::If": ["HasOrigins", "'*'", {"Ref": "AWS::NoValue"}]}
            origin = headers["gatewayresponse.header.Access-Control-Allow-Origin"]
            assert origin == {"Fn::If": ["HasOneOrigin", {"Fn::Sub": "'${AllowedOrigins}'"}, several]}
            text = answer["responseTemplates"]["application/json"].replace("$context.error.messageString", '"x"')
            document = json.loads(text)
            assert {"type", "title", "detail"} <= document.keys()
            assert str(document.get("status", answer.get("statusCode"))) == str(answer.get("statusCode")), kind

    def test_what_the_gateway_answers_is_compressed(self, api: Properties) -> None:
        assert api["MinimumCompressionSize"] == 1024

    def test_an_unknown_route_is_not_found(self, api: Properties) -> None:
        answers = api["DefinitionBody"]["x-amazon-apigateway-gateway-responses"]
        assert answers["MISSING_AUTHENTICATION_TOKEN"]["statusCode"] == "404"


def test_everything_with_a_name_carries_the_stage(template: Template) -> None:
    """Two stages live side by side in one account."""
    named = [
        (name, key, resource["Properties"][key])
        for name, resource in template["Resources"].items()
        for key in NAME_PROPERTIES & resource.get("Properties", {}).keys()
        if resource["Type"] != "AWS::Lambda::Permission" and not isinstance(resource["Properties"][key].get("Ref"), str)
    ]
    assert {key for _, key, _ in named} >= {"TableName", "FunctionName"}
    assert [(name, key) for name, key, value in named if "${Stage}" not in value["Fn::Sub"]] == []
