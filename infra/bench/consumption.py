"""What the database is asked and charges for it: calls, read and write units, and the busiest partition keys.

Looks at each call of this process on its way to DynamoDB Local, whoever makes it, and has it tell the units that AWS
would charge. AWS allows a partition key 3,000 read and 1,000 write units a second (DynamoDB Developer Guide, "Designing
partition keys"); what the busiest key needs at that rate is the least time an operation can take there.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from botocore.httpsession import URLLib3Session

READS_A_SECOND, WRITES_A_SECOND = 3_000, 1_000
_TARGET = "DynamoDB_20120810."
_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})
_READS = frozenset({"GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems"})
_EQUALS = re.compile(r"(#?\w+)\s*=\s*(:\w+)")

Partition = tuple[str, str]  # table and key


@dataclass(slots=True)
class Consumed:
    """What was asked since the last look."""

    calls: int = 0
    reads: Counter[Partition] = field(default_factory=Counter)
    writes: Counter[Partition] = field(default_factory=Counter)

    def add(self, other: Consumed) -> None:
        self.calls += other.calls
        self.reads.update(other.reads)
        self.writes.update(other.writes)

    @property
    def read_units(self) -> float:
        return sum(self.reads.values())

    @property
    def write_units(self) -> float:
        return sum(self.writes.values())

    @property
    def least_seconds(self) -> float:
        """What the busiest partition key needs at AWS's limits."""
        return self.busiest[1]

    @property
    def busiest(self) -> tuple[str, float]:
        """The table of the partition key that takes longest, and its seconds."""
        seconds = {one: units / READS_A_SECOND for one, units in self.reads.items()}
        for one, units in self.writes.items():
            seconds[one] = max(seconds.get(one, 0.0), units / WRITES_A_SECOND)
        (table, _), most = max(seconds.items(), key=lambda pair: pair[1], default=(("", ""), 0.0))
        return table, most


class ConsumptionMeter:
    """Counts the calls that are made while somebody measures. `hash_keys` are the partition keys' names by table."""

    def __init__(self, hash_keys: Mapping[str, str]) -> None:
        self._hash_keys = hash_keys
        self._found: Consumed | None = None
        self._lock = threading.Lock()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look at every call that this process makes."""
        send = URLLib3Session.send

        def metered(session: URLLib3Session, request: Any) -> Any:
            operation = _operation(request)
            if self._found is None or operation not in _WRITES | _READS:
                return send(session, request)
            asked = json.loads(request.body)
            request.body = json.dumps({**asked, "ReturnConsumedCapacity": "TOTAL"}).encode()
            request.headers["Content-Length"] = str(len(request.body))
            answer = send(session, request)
            if answer.status_code == 200:
                self._note(self._found, operation, asked, json.loads(answer.content))
            return answer

        with patch.object(URLLib3Session, "send", metered):
            yield

    @contextmanager
    def measuring(self) -> Iterator[Consumed]:
        """What is asked within."""
        self._found = Consumed()
        try:
            yield self._found
        finally:
            self._found = None

    def _note(self, found: Consumed, operation: str, asked: dict[str, Any], answer: dict[str, Any]) -> None:
        told = answer.get("ConsumedCapacity", [])
        units = {one["TableName"]: one["CapacityUnits"] for one in (told if isinstance(told, list) else [told])}
        with self._lock:
            found.calls += 1
            counted = found.writes if operation in _WRITES else found.reads
            shares = self._shares(operation, asked)
            for table, charged in units.items():
                here = {one: weight for one, weight in shares.items() if one[0] == table}
                whole = sum(here.values())
                if operation == "TransactWriteItems":
                    # DynamoDB Local rounds the items of a transaction together; AWS each by itself, and doubles that.
                    charged = max(charged, 2 * whole)
                for one, weight in here.items():
                    counted[one] += charged * weight / whole

    def _shares(self, operation: str, asked: dict[str, Any]) -> Counter[Partition]:
        """Which partitions a call concerns; what a call of several was charged is shared out by what each was sent."""
        shares: Counter[Partition] = Counter()
        match operation:
            case "BatchWriteItem":
                for table, requests in asked["RequestItems"].items():
                    for request in requests:
                        (one,) = request.values()
                        item = one.get("Item") or one["Key"]
                        shares[self._partition(table, item)] += _kilobytes(item)
            case "BatchGetItem":
                for table, wanted in asked["RequestItems"].items():
                    for key in wanted["Keys"]:
                        shares[self._partition(table, key)] += 1
            case "TransactWriteItems" | "TransactGetItems":
                for action in asked["TransactItems"]:
                    (one,) = action.values()
                    item = one.get("Item") or one["Key"]
                    shares[self._partition(one["TableName"], item)] += _kilobytes(item)
            case "Query":
                shares[(asked["TableName"], self._queried(asked))] += 1
            case "Scan":
                shares[(asked["TableName"], "")] += 1
            case _:
                shares[self._partition(asked["TableName"], asked.get("Item") or asked["Key"])] += 1
        return shares

    def _partition(self, table: str, item: Mapping[str, Any]) -> Partition:
        return table, str(item[self._hash_keys[table]])

    def _queried(self, asked: dict[str, Any]) -> str:
        names, wanted = asked.get("ExpressionAttributeNames", {}), self._hash_keys[asked["TableName"]]
        for name, value in _EQUALS.findall(asked["KeyConditionExpression"]):
            if names.get(name, name) == wanted:
                return str(asked["ExpressionAttributeValues"][value])
        return ""


def _operation(request: Any) -> str:
    target = request.headers.get("X-Amz-Target", b"")
    text = target.decode() if isinstance(target, bytes) else str(target)
    return text.removeprefix(_TARGET) if text.startswith(_TARGET) else ""


def _kilobytes(item: object) -> int:
    return max(1, -(-len(json.dumps(item)) // 1024))
