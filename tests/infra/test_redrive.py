"""Dead letters of the webhook's events go back to their queue, in order, none lost."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import boto3
import pytest

from infra.local import redrive
from infra.local.redrive import redrive_events
from tests.aws_emulator import emulator_running

_STAGES = count()


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with emulator_running() as endpoint:
        yield endpoint


@pytest.fixture
def sqs(aws: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The emulator looks everywhere at once, so that nothing is gained by waiting for more."""
    monkeypatch.setattr(redrive, "_POLL_SECONDS", 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws)
    return boto3.client("sqs")


@pytest.fixture
def stage(sqs: Any) -> str:
    """A stage of the test's own, with both queues."""
    name = f"test{next(_STAGES)}"
    for queue in (events(name), dead_letters(name)):
        sqs.create_queue(QueueName=queue, Attributes={"FifoQueue": "true", "VisibilityTimeout": "90"})
    return name


def events(stage: str) -> str:
    return f"pracbill-mailchimp-{stage}-events.fifo"


def dead_letters(stage: str) -> str:
    return f"pracbill-mailchimp-{stage}-events-dlq.fifo"


def url(sqs: Any, name: str) -> str:
    return str(sqs.get_queue_url(QueueName=name)["QueueUrl"])


def bury(sqs: Any, stage: str, body: str, *, group: str = "account#e0", identity: str | None = None) -> None:
    sqs.send_message(
        QueueUrl=url(sqs, dead_letters(stage)),
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


def test_all_go_back_in_the_order_of_their_groups(sqs: Any, stage: str) -> None:
    for number in range(25):
        bury(sqs, stage, f"{number:02d}", group=f"account#e{number % 2}")
    assert redrive_events(sqs, stage=stage) == 25
    arrived = take_all(sqs, events(stage))
    assert len(arrived) == 25
    for group in ("account#e0", "account#e1"):
        bodies = [body for g, body in arrived if g == group]
        assert bodies == sorted(bodies)
        assert bodies
    assert take_all(sqs, dead_letters(stage)) == []


def test_an_event_that_dies_again_can_be_sent_again_at_once(sqs: Any, stage: str) -> None:
    for attempt in range(2):
        bury(sqs, stage, "event", identity=f"dead-{attempt}")
        redrive_events(sqs, stage=stage)
        assert take_all(sqs, events(stage)) == [("account#e0", "event")]


def test_what_cannot_be_sent_stays_among_the_dead_letters(
    sqs: Any, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(sqs, stage, "event")

    def refuse(**_: Any) -> None:
        raise sqs.exceptions.InvalidMessageContents({"Error": {"Code": "x", "Message": "x"}}, "SendMessage")

    monkeypatch.setattr(sqs, "send_message", refuse)
    with pytest.raises(sqs.exceptions.InvalidMessageContents):
        redrive_events(sqs, stage=stage)
    attributes = sqs.get_queue_attributes(QueueUrl=url(sqs, dead_letters(stage)), AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "1"


def test_the_command_says_what_it_did(sqs: Any, stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    bury(sqs, stage, "event")
    assert redrive.main(["--stage", stage]) == 0
    assert redrive.main(["--stage", stage]) == 0
    assert redrive.main(["--stage", "nowhere"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == ["1 event sent again", "No dead letters"]
    assert err.startswith("AWS refused:")
