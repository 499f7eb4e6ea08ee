"""The stand-in's state in one file: written whole and moved into place, so a kill leaves the last good one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from infra.standins.pracbill.api import ReceivedChange
from infra.standins.pracbill.department import Department, Record, make_record
from infra.standins.pracbill.moments import format_time, parse_time

VERSION = 1


class UnusableState(Exception):
    """The file is there but is not a state this version can read; removing it starts afresh."""


def read_state(path: Path) -> dict[str, Any] | None:
    """None when there is no file yet. Raises UnusableState."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UnusableState(f"{path} is not JSON: {error}") from None
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise UnusableState(f"{path} is of another version; remove it to start afresh")
    return state


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Readable by the owner alone: it holds signing keys and a token."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        # In one piece: writing piece by piece leaves the fast encoder unused.
        file.write(json.dumps(state, ensure_ascii=False, separators=(",", ":")))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def department_to_state(department: Department) -> dict[str, Any]:
    return {"details": department.details, "records": [_record_to_state(r) for r in department.everything()]}


def department_from_state(state: dict[str, Any], *, now: Callable[[], datetime]) -> Department:
    department = Department(state["details"], now=now)
    department.load([_record_from_state(line) for line in state["records"]])
    return department


def journal_to_state(journal: list[ReceivedChange]) -> list[dict[str, Any]]:
    return [line.to_json() for line in journal]


def journal_from_state(lines: list[dict[str, Any]]) -> list[ReceivedChange]:
    return [ReceivedChange.from_json(line) for line in lines]


def _record_to_state(record: Record) -> list[Any]:
    heard_at = format_time(record.consent_heard_at) if record.consent_heard_at else None
    return [record.document, heard_at, record.kind]


def _record_from_state(line: list[Any]) -> Record:
    document, heard_at, kind = line
    updated_at = parse_time(document.pop("updated_at"))
    return make_record(document, updated_at, heard_at=parse_time(heard_at) if heard_at else None, kind=kind)
