"""`python -m infra.bench.meter [customers]`: what runs ask of AWS, as infra.bench.costs has it. Takes twelve minutes.

Between the first sync and the rest lies a pause longer than the time by which runs overlap, and one run that is not
counted: else every figure would hold the first sync once more.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from infra.bench.stackrun import BenchStack
from infra.deploy.package import PROJECT
from infra.local.call_notes.sitecustomize import item_size
from infra.local.stack import LocalStack

_PAUSE_SECONDS = 660
_CHANGED_SHARE = 100


class Meter:
    """Reads what the functions noted since the last look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = 0

    def look(self) -> list[Any]:
        time.sleep(1)  # the last step's message is deleted after the run's end
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        found, self._seen = lines[self._seen :], len(lines)
        return [json.loads(line) for line in found]


def main(customers: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="meter-"))
    meter = Meter(folder / "meter.jsonl")
    path = os.pathsep.join([str(PROJECT / "infra" / "local" / "call_notes"), str(PROJECT)])
    environment = {"CALL_METER": str(meter.path), "PYTHONPATH": path}
    with LocalStack(folder, customers=0, latency=False, environment=environment) as stack:
        department = BenchStack(stack, customers)
        department.prepare()
        meter.look()
        noted = {"first": _run(department, meter, "full")}
        time.sleep(_PAUSE_SECONDS)
        _run(department, meter, "incremental")
        noted["unchanged"] = _run(department, meter, "incremental")
        _change(stack, department.ordinary_customers(customers // _CHANGED_SHARE))
        noted["changed"] = _run(department, meter, "incremental")
        noted["full"] = _run(department, meter, "full")
        items = _stored(stack)
    for name, (entries, calls) in noted.items():
        averages = {table: size / max(1, count) for table, (count, size) in items.items()}
        print(name, json.dumps({**charged(entries, averages), "mailchimp": calls}))
    print("stored (items, bytes)", json.dumps(items))


def _run(department: BenchStack, meter: Meter, kind: str) -> tuple[list[Any], dict[str, int]]:
    measured = department.sync(kind)
    calls = {f"{call['method']} {call['path']}": call["count"] for call in measured.journal["calls"]}
    return meter.look(), calls


def _change(stack: LocalStack, customers: list[dict[str, Any]]) -> None:
    url = f"{stack.pracbill['control_url']}/departments/{stack.department_id}/customers"
    for customer in customers:
        requests.post(url, json={"id": customer["id"], "phone": "+61 3 9000 1234"}, timeout=30).raise_for_status()


def _stored(stack: LocalStack) -> dict[str, tuple[int, int]]:
    """Number and bytes of the items of each table."""
    dynamodb = stack.client("dynamodb")
    found = {}
    for table in dynamodb.list_tables()["TableNames"]:
        items = [item for page in dynamodb.get_paginator("scan").paginate(TableName=table) for item in page["Items"]]
        found[table.rpartition("-")[2]] = (len(items), sum(map(item_size, items)))
    return found


def charged(entries: list[Any], averages: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Units by table and calls by operation. What a projection leaves out is charged, so whole items are counted."""
    written: dict[str, float] = defaultdict(float)
    read: dict[str, float] = defaultdict(float)
    calls: dict[str, float] = defaultdict(float)
    for entry in entries:
        if "service" in entry:
            calls[f"{entry['service']}:{entry['operation']}"] += entry["entries"]
            continue
        table = entry["table"].rpartition("-")[2]
        written[table] += entry["written"]
        sizes = [averages.get(table, 0.0)] * len(entry["sizes"]) if entry["projected"] else entry["sizes"]
        sizes = [sum(sizes)] if entry["page"] else sizes
        read[table] += sum(max(1, math.ceil(size / 4096)) for size in sizes) * (1 if entry["consistent"] else 0.5)
    return {"written": dict(written), "read": dict(read), "calls": dict(calls)}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
