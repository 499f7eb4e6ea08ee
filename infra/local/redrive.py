"""Sends the webhook events among the dead letters again, once their cause is mended.

    python -m infra.local.redrive [--stage prod]

Without --stage the local stack that `make run` started is meant. On AWS the SDK's own variables and profiles say where
(AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL).
"""

from __future__ import annotations

import argparse
import sys
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from infra.deploy.package import PROJECT
from infra.local import emulator
from infra.local import stack_state as stack_state

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

LOCAL = "local"
_MESSAGES_A_CALL = 10
_POLL_SECONDS = 1


def redrive_events(sqs: SQSClient, *, stage: str) -> int:
    """Move every message of the events' dead-letter queue back to the events' queue; answers how many.

    Messages of one group keep their order. Each is taken from the dead letters after it is on its queue, so a crash in
    between sends it twice, and the event worker applies an event once. botocore's ClientError passes through.
    """
    source = sqs.get_queue_url(QueueName=f"pracbill-mailchimp-{stage}-events-dlq.fifo")["QueueUrl"]
    target = sqs.get_queue_url(QueueName=f"pracbill-mailchimp-{stage}-events.fifo")["QueueUrl"]
    moved = 0
    # One empty answer proves nothing: a poll may end before it has looked everywhere.
    while messages := _receive(sqs, source) or _receive(sqs, source):
        for message in messages:
            sqs.send_message(
                QueueUrl=target,
                MessageBody=message["Body"],
                MessageGroupId=message["Attributes"]["MessageGroupId"],
                # Its own id would make the queue drop an event that is sent again twice within five minutes.
                MessageDeduplicationId=uuid.uuid4().hex,
            )
            sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
            moved += 1
    return moved


def waiting_events(sqs: SQSClient, *, stage: str) -> int:
    """About how many dead events rest."""
    queue = sqs.get_queue_url(QueueName=f"pracbill-mailchimp-{stage}-events-dlq.fifo")["QueueUrl"]
    counted = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])
    return int(counted["Attributes"]["ApproximateNumberOfMessages"])


def _receive(sqs: SQSClient, queue: str) -> list[Any]:
    answer = sqs.receive_message(
        QueueUrl=queue,
        MaxNumberOfMessages=_MESSAGES_A_CALL,
        MessageSystemAttributeNames=["MessageGroupId"],
        WaitTimeSeconds=_POLL_SECONDS,
    )
    return list(answer.get("Messages", []))


def _client(stage: str) -> SQSClient | None:
    """A client for the stage; None when the local stack is meant and does not run."""
    if stage != LOCAL:
        deployed: SQSClient = boto3.client("sqs")
        return deployed
    about: Mapping[str, Any] | None = stack_state.answering(PROJECT / ".local")
    client: SQSClient | None = emulator.client("sqs", str(about["emulator_url"])) if about else None
    return client


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.redrive", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stage", default=LOCAL, help="dev, prod or another stage on AWS")
    stage: str = parser.parse_args(arguments).stage
    client = _client(stage)
    if client is None:
        print("No local stack runs; make run starts one.", file=sys.stderr)
        return 1
    try:
        moved = redrive_events(client, stage=stage)
    except ClientError as error:
        print(f"AWS refused: {error}", file=sys.stderr)
        return 1
    print(f"{moved} event{'' if moved == 1 else 's'} sent again" if moved else "No dead letters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
