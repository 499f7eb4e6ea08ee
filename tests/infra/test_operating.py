"""What operators read agrees with what is deployed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from infra.bench.costs import ALARMS, METRICS, MONTH, bill, first_sync, of_one_more, table
from infra.bench.meter.__main__ import charged
from infra.deploy.package import PROJECT
from infra.local.call_notes.sitecustomize import charges
from tests.infra.test_watching import counted_metrics

DEPLOY = (PROJECT / "docs" / "deploy.md").read_text(encoding="utf-8")


def test_every_parameter_and_variable_is_explained(template: dict[str, Any]) -> None:
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    missing = [name for name in (*template["Parameters"], *variables) if f"`{name}`" not in DEPLOY]
    assert missing == []


def test_every_alarm_is_explained(template: dict[str, Any]) -> None:
    names = {
        resource["Properties"]["AlarmName"]["Fn::Sub"].removeprefix("pracbill-mailchimp-${Stage}-")
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }
    by_function = ("errors-", "throttles-")
    told = {next((f"{start}{{function}}" for start in by_function if name.startswith(start)), name) for name in names}
    assert {name for name in told if f"`{name}`" not in DEPLOY} == set()


def test_the_bill_is_the_one_that_is_counted() -> None:
    written = DEPLOY.partition("<!-- costs -->")[2].partition("<!-- /costs -->")[0].strip()
    assert written == table().strip(), (
        "put the output of python -m infra.bench.costs between the two marks of docs/deploy.md"
    )


def test_a_department_stays_cheap() -> None:
    """10,000 customers, ten segments, six runs a day."""
    assert (MONTH.customers, MONTH.segments, MONTH.incremental_runs) == (10_000, 10, 6 * 30)
    lines = of_one_more()
    assert sum(line.dollars for line in lines) < 0.55
    assert lines[0].what == "secrets kept"
    assert f"secrets kept {lines[0].dollars / sum(line.dollars for line in lines):.0%}" in table()


def test_segments_are_counted() -> None:
    without = bill(1, replace(MONTH, segments=0))
    assert sum(line.dollars for line in without) < sum(line.dollars for line in bill(1))


def test_alarms_and_metrics_are_counted_as_they_are(template: dict[str, Any]) -> None:
    kinds = [resource["Type"] for resource in template["Resources"].values()]
    assert kinds.count("AWS::CloudWatch::Alarm") == ALARMS
    assert abs(METRICS - len(counted_metrics()) - 3) <= 3  # one name is made of the event's outcome


def test_calls_are_charged_by_the_rules_of_dynamodb() -> None:
    def entries(operation: str, given: dict[str, Any], answer: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "table": table,
                "written": written,
                "sizes": sizes,
                "page": operation == "Query",
                "consistent": consistent,
                "projected": projected,
            }
            for table, written, sizes, consistent, projected in charges(operation, given, answer)
        ]

    item = {"pk": {"S": "x" * 3000}}
    noted = entries("PutItem", {"TableName": "a-t", "Item": item}, {})
    noted += entries("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "a-t", "Item": item}}]}, {})
    noted += entries("Query", {"TableName": "a-t", "ConsistentRead": True}, {"Items": [item, item]})
    noted += entries("GetItem", {"TableName": "a-t"}, {})
    noted += entries("Query", {"TableName": "a-t", "ProjectionExpression": "pk"}, {"Items": [{"pk": {"S": "x"}}] * 3})
    result = charged(noted, {"t": 4000.0})
    assert result["written"] == {"t": 3 + 6}
    assert result["read"] == {"t": 2 + 0.5 + 1.5}


def test_more_departments_cost_more_but_share_what_is_fixed() -> None:
    one, many = (sum(line.dollars for line in bill(number)) for number in (1, 100))
    assert one < many < 100 * one


def test_a_first_sync_grows_with_the_department() -> None:
    assert 9 < first_sync(100_000) / first_sync(10_000) < 10.1
