"""The seen set of a run's pull, kept between its steps beside the run's chunks and gone with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.seen_addresses import PARTS, SeenAddresses
from chalicelib.store.batches import Item, get_all, put, write_all

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from mypy_boto3_dynamodb import DynamoDBClient


class SeenAddressStore:
    """`table` is the one of runs; an item is one part: pk department#run, sk seen#number."""

    def __init__(self, client: DynamoDBClient, table: str, *, keep: timedelta) -> None:
        self._client = client
        self._table = table
        self._keep = keep

    def save(self, department_id: str, run_id: str, seen_addresses: SeenAddresses, now: datetime) -> None:
        expires_at = {"N": str(int((now + self._keep).timestamp()))}
        items = [
            {**_key(department_id, run_id, number), "bits": {"B": part}, "expires_at": expires_at}
            for number, part in enumerate(seen_addresses.parts())
        ]
        write_all(self._client, self._table, [put(item) for item in items])

    def load(self, department_id: str, run_id: str) -> SeenAddresses | None:
        """What was saved; None when it is not there, or not whole."""
        keys = [_key(department_id, run_id, number) for number in range(PARTS)]
        items = sorted(get_all(self._client, self._table, keys), key=lambda item: str(item["sk"]["S"]))
        try:
            return SeenAddresses.from_parts([bytes(item["bits"]["B"]) for item in items])
        except ValueError:
            return None


def _key(department_id: str, run_id: str, number: int) -> Item:
    return {"pk": {"S": f"{department_id}#{run_id}"}, "sk": {"S": f"seen#{number:02d}"}}
