"""Messages of the two FIFO queues: a run's steps and chunks, and the webhook's events."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from chalicelib.errors import RetryLater

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

LANES = 8
# How long a message rests after the function that worked on it died. A beat may fail twice in a row before another
# function takes the message beside the first one, which would do no harm, but break the promise of eight lanes.
HOLD_SECONDS = 30
HOLD_AGAIN_SECONDS = 10.0
_MESSAGES_A_CALL = 10
StepKind = Literal["step", "chunk", "start"]


@dataclass(frozen=True, slots=True)
class Step:
    """A message of the sync queue.

    `step`: continue the run's current phase, if the run still waits for this `number`. `chunk`: apply chunk `number`.
    `start`: the schedule wants an incremental run of the department.
    """

    kind: StepKind
    department_id: str
    run_id: str = ""
    number: int = 0
    nudge: int = 0  # set by the sweeper, so that the repeat is not taken for a duplicate


def lane_group(account_id: str, lane: int) -> str:
    """The message group that stands for one of the account's eight lanes: one message in flight each."""
    return f"{account_id}#{lane % LANES}"


def read_step(body: str) -> Step:
    """The message of a body of ours. Raises ValueError, KeyError or TypeError for anything else."""
    return Step(**json.loads(body))


class SyncQueue:
    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, step: Step, *, group: str) -> None:
        self.send_all([(step, group)])

    def send_all(self, steps: Iterable[tuple[Step, str]]) -> None:
        """Send messages in calls of ten. Raises RetryLater when one is rejected; sending all again is harmless."""
        waiting = list(steps)
        for start in range(0, len(waiting), _MESSAGES_A_CALL):
            entries = [
                _entry(index, step, group)
                for index, (step, group) in enumerate(waiting[start : start + _MESSAGES_A_CALL])
            ]
            answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            if answer.get("Failed"):
                raise RetryLater("The queue did not accept every message. The step is repeated automatically.")

    def extend_visibility(self, receipt_handle: str) -> None:
        """Keep a message that is being worked on from others for a short while more; to be repeated until it is done.

        The queue's own visibility must be longer than the function may run, or AWS refuses the mapping. A message whose
        function died would rest that long, and its lane with it.
        """
        self._show_in(receipt_handle, HOLD_SECONDS)

    def change_visibility(self, receipt_handle: str, seconds: float) -> None:
        """Let a message that is being worked on come back after `seconds`."""
        self._show_in(receipt_handle, seconds)

    def _show_in(self, receipt_handle: str, seconds: float) -> None:
        self._client.change_message_visibility(
            QueueUrl=self._url, ReceiptHandle=receipt_handle, VisibilityTimeout=max(0, min(int(seconds), 3600))
        )


def _entry(index: int, step: Step, group: str) -> SendMessageBatchRequestEntryTypeDef:
    identity = f"{step.department_id}.{step.run_id}.{step.kind}.{step.number}.{step.nudge}"
    return {
        "Id": str(index),
        "MessageBody": json.dumps(asdict(step)),
        "MessageGroupId": group,
        "MessageDeduplicationId": identity[-128:],
    }
