"""What chunks pushed, one small item a chunk, until the runs that would read it again are over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.moments import moment_text
from chalicelib.domain.pushed_members import PushedMembers
from chalicelib.store.batches import Item, put, query, write_all

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from mypy_boto3_dynamodb import DynamoDBClient


class PushedMemberStore:
    """`table` is the one of runs; an item is one chunk: pk department#pushed#audience, sk time#run#number."""

    def __init__(self, client: DynamoDBClient, table: str, *, keep: timedelta) -> None:
        self._client = client
        self._table = table
        self._keep = keep

    def add(self, department_id: str, audience_id: str, chunk: str, prints: Iterable[bytes], at: datetime) -> None:
        """Remember what a chunk pushed at `at`; a chunk that is done again replaces what it said before."""
        packed = b"".join(prints)
        if not packed:
            return
        item: Item = {
            "pk": _partition(department_id, audience_id),
            "sk": {"S": f"{moment_text(at)}#{chunk}"},
            "prints": {"B": packed},
            "expires_at": {"N": str(int((at + self._keep).timestamp()))},
        }
        write_all(self._client, self._table, [put(item)])

    def load(self, department_id: str, audience_id: str, since: datetime) -> PushedMembers:
        """What was pushed since then. Nothing is no error: then everything is read."""
        items = query(
            self._client,
            TableName=self._table,
            KeyConditionExpression="pk = :p AND sk >= :since",
            ExpressionAttributeValues={
                ":p": _partition(department_id, audience_id),
                ":since": {"S": moment_text(since)},
            },
        )
        return PushedMembers(bytes(item["prints"]["B"]) for item in items)


def _partition(department_id: str, audience_id: str) -> Item:
    return {"S": f"{department_id}#pushed#{audience_id}"}
