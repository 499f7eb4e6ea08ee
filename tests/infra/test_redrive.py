"""Dead letters of the webhook's events go back to their queue, in order, none lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra import redrive
from infra.redrive import redrive_events

QUEUE = "pracbill-mailchimp-test-events.fifo"
DEAD_LETTERS = "pracbill-mailchimp-test-events-dlq.fifo"


@pytest.fixture
def sqs() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("sqs")
        for name in (QUEUE, DEAD_LETTERS):
            client.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})
        yield client


def url(sqs: Any, name: str) -> str:
    return str(sqs.get_queue_url(QueueName=name)["QueueUrl"])


def bury(sqs: Any, body: str, *, group: str = "account#e0", identity: str | None = None) -> None:
    sqs.send_message(
        QueueUrl=url(sqs, DEAD_LETTERS),
        MessageBody=body,
        MessageGroupId=group,
        MessageDeduplicationId=identity or body,
    )


def take_all(sqs: Any, name: str) -> list[tuple[str, str]]:
    """Group and body of every message, each removed."""
    found = []
    while messages := sqs.receive_message(
        QueueUrl=url(sqs, name), MaxNumberOfMessages=10, MessageSystemAttributeNames=["MessageGroupId"]
    ).get("Messages"):
        for message in messages:
            found.append((message["Attributes"]["MessageGroupId"], message["Body"]))
            sqs.delete_message(QueueUrl=url(sqs, name), ReceiptHandle=message["ReceiptHandle"])
    return found


def test_all_go_back_in_the_order_of_their_groups(sqs: Any) -> None:
    for number in range(25):
        bury(sqs, f"{number:02d}", group=f"account#e{number % 2}")
    assert redrive_events(sqs, stage="test") == 25
    arrived = take_all(sqs, QUEUE)
    assert len(arrived) == 25
    for group in ("account#e0", "account#e1"):
        bodies = [body for g, body in arrived if g == group]
        assert bodies == sorted(bodies)
        assert bodies
    assert take_all(sqs, DEAD_LETTERS) == []


def test_an_event_that_dies_again_can_be_sent_again_at_once(sqs: Any) -> None:
    for attempt in range(2):
        bury(sqs, "event", identity=f"dead-{attempt}")
        redrive_events(sqs, stage="test")
        assert take_all(sqs, QUEUE) == [("account#e0", "event")]


def test_what_cannot_be_sent_stays_among_the_dead_letters(sqs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bury(sqs, "event")

    def refuse(**_: Any) -> None:
        raise sqs.exceptions.InvalidMessageContents({"Error": {"Code": "x", "Message": "x"}}, "SendMessage")

    monkeypatch.setattr(sqs, "send_message", refuse)
    with pytest.raises(sqs.exceptions.InvalidMessageContents):
        redrive_events(sqs, stage="test")
    attributes = sqs.get_queue_attributes(QueueUrl=url(sqs, DEAD_LETTERS), AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "1"


def test_the_command_says_what_it_did(sqs: Any, capsys: pytest.CaptureFixture[str]) -> None:
    bury(sqs, "event")
    assert redrive.main(["--stage", "test"]) == 0
    assert redrive.main(["--stage", "test"]) == 0
    assert redrive.main(["--stage", "nowhere"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == ["1 event sent again", "No dead letters"]
    assert err.startswith("AWS refused:")
