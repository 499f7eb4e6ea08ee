"""Events as AWS makes them, and AWS's reading of a handler's answer."""

from __future__ import annotations

import time

import pytest

from infra.local.pollers import LambdaContext, QueueMapping, is_done, to_event

ARN = "arn:aws:sqs:us-east-1:000000000000:orders.fifo"
MAPPING = QueueMapping(
    function="worker",
    handler="app.worker",
    queue_url="http://127.0.0.1/queue",
    queue_arn=ARN,
    reports_failures=True,
    workers=1,
    timeout=30.0,
    memory=512,
    code=".",
)


def test_an_event_holds_the_message_as_lambda_gets_it() -> None:
    fifo = {"MessageGroupId": "a", "MessageDeduplicationId": "1", "SequenceNumber": "7", "ApproximateReceiveCount": "2"}
    message = {
        "MessageId": "m",
        "ReceiptHandle": "r",
        "Body": "{}",
        "MD5OfBody": "d",
        "Attributes": fifo,
        "MessageAttributes": {"kind": {"StringValue": "step", "DataType": "String"}},
    }
    assert to_event(message, queue_arn=ARN) == {
        "Records": [
            {
                "messageId": "m",
                "receiptHandle": "r",
                "body": "{}",
                "md5OfBody": "d",
                "attributes": fifo,
                "messageAttributes": {
                    "kind": {
                        "stringValue": "step",
                        "dataType": "String",
                        "stringListValues": [],
                        "binaryListValues": [],
                    }
                },
                "eventSource": "aws:sqs",
                "eventSourceARN": ARN,
                "awsRegion": "us-east-1",
            }
        ]
    }


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}, "text"])
def test_an_answer_without_failures_lets_the_message_go(answer: object) -> None:
    assert is_done(answer, reports_failures=True)


@pytest.mark.parametrize("failure", [{"itemIdentifier": "m"}, {"itemIdentifier": ""}, {"itemIdentifier": "other"}, {}])
def test_an_answer_with_a_failure_keeps_it_whomever_it_names(failure: dict[str, str]) -> None:
    assert not is_done({"batchItemFailures": [failure]}, reports_failures=True)


def test_failures_count_only_where_reports_are_switched_on() -> None:
    assert is_done({"batchItemFailures": [{"itemIdentifier": "m"}]}, reports_failures=False)


def test_a_context_counts_down_to_the_functions_time_out() -> None:
    context = LambdaContext(MAPPING, deadline=time.monotonic() + MAPPING.timeout)
    assert 29_000 < context.get_remaining_time_in_millis() <= 30_000
    assert LambdaContext(MAPPING, deadline=time.monotonic() - 1).get_remaining_time_in_millis() == 0
    assert context.function_name == "worker"
    assert context.memory_limit_in_mb == "512"
    assert context.aws_request_id
