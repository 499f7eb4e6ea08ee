"""Counts of expensive calls, shared by all functions: one small item for each department, kind and window of time.

They lie in the table of webhook events, under a key of their own: `{department_id}#limits`. One conditional write
counts a call for its caller and its department alike, or is refused.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from chalicelib.domain.limits import WINDOW_SECONDS, Allowance

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# DynamoDB removes items some time after this; nothing hangs on it.
_KEEP_SECONDS = 3600


class CallCounts:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def count(self, department_id: str, allowance: Allowance, caller: str, now: datetime) -> datetime | None:
        """Count a call; None when it is allowed, else when the next window begins. A refused call is not counted."""
        second = int(now.timestamp())
        begins = second - second % WINDOW_SECONDS
        try:
            self._client.update_item(**self._one_more(department_id, allowance, caller, begins))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return datetime.fromtimestamp(begins + WINDOW_SECONDS, UTC)
        return None

    def _one_more(self, department_id: str, allowance: Allowance, caller: str, begins: int) -> Any:
        return {
            "TableName": self._table,
            "Key": {"pk": {"S": f"{department_id}#limits"}, "sk": {"S": f"{allowance.kind}#{begins}"}},
            "UpdateExpression": "ADD #all :one, #caller :one SET #expires = :expires",
            "ConditionExpression": "(attribute_not_exists(#all) OR #all < :most) AND "
            "(attribute_not_exists(#caller) OR #caller < :most_of_caller)",
            # Who called is not written down.
            "ExpressionAttributeNames": {
                "#all": "calls",
                "#caller": "by_" + sha256(caller.encode(errors="replace")).hexdigest()[:16],
                "#expires": "expires_at",
            },
            "ExpressionAttributeValues": {
                ":one": {"N": "1"},
                ":most": {"N": str(allowance.of_department)},
                ":most_of_caller": {"N": str(allowance.of_caller)},
                ":expires": {"N": str(begins + _KEEP_SECONDS)},
            },
        }
