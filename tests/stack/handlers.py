"""Handlers for the tests of the pollers: each leaves a trace in a file named in the message."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any


def work(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Note the event, then do what the message says, once: `succeed`, `report`, `raise`, `crash` or `hang`."""
    record = event["Records"][0]
    body = json.loads(record["body"])
    trace = Path(body["trace"])
    first = not trace.exists()
    with trace.open("a") as file:
        file.write(
            json.dumps({"event": event, "pid": os.getpid(), "left": context.get_remaining_time_in_millis()}) + "\n"
        )
    what = body["do"] if first or body.get("always") else "succeed"
    if what == "report":
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
    if what == "raise":
        raise RuntimeError("as told")
    if what == "crash":
        os._exit(7)
    if what == "hang":
        time.sleep(60)
    return {"batchItemFailures": []}
