"""The state file: an SQLite database in which only what changed is written again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from .accounts import Account
from .audiences import Audience
from .members import Member
from .world import World

_TABLE = "CREATE TABLE IF NOT EXISTS documents (kind TEXT, id TEXT, document TEXT, PRIMARY KEY (kind, id))"
# (kind, id, document); None removes the row.
Row = tuple[str, str, str | None]


class StateFile:
    """Keeps a World in one file. Saving is a transaction: a crash leaves the state of the save before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Small documents that are made anew at every save; written only when they differ.
        self._written: dict[tuple[str, str], str | None] = {}

    def load(self, world: World) -> bool:
        """Fill an empty world from the file; false if there is none."""
        if not self._path.exists():
            return False
        with self._open() as database:
            kept = {kind: dict(self._rows(database, kind)) for kind in ("account", "audience", "member", "world")}
        if not kept["account"]:
            return False
        members = _members_by_audience(kept["member"])
        for account_id in kept["world"]["accounts"]["ids"]:
            world.add_account(Account.from_record(kept["account"][account_id]))
        for record in kept["audience"].values():
            account = world.accounts[record.pop("account_id")]
            audience = Audience.from_record(record, members.get(record["id"], []), world.readings)
            account.audiences[audience.id] = audience
        hooks = {hook.id: hook for audience in _audiences(world) for hook in audience.webhooks}
        world.outbox.restore(kept["world"]["accounts"]["deliveries"], hooks)
        return True

    def save(self, world: World) -> int:
        """Write what changed since the last save; the number of rows written."""
        with world.lock:
            rows = [row for row in _changed_rows(world) if self._is_news(row)]
            present = [audience.id for audience in _audiences(world)]
        if not rows:
            return 0
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as database, database:
            database.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", [row for row in rows if row[2]])
            database.executemany(
                "DELETE FROM documents WHERE kind = ? AND id = ?", [row[:2] for row in rows if row[2] is None]
            )
            _drop_other_audiences(database, present)
        return len(rows)

    def _is_news(self, row: Row) -> bool:
        kind, row_id, document = row
        if kind not in ("world", "account"):
            return True
        is_news = self._written.get((kind, row_id)) != document
        self._written[kind, row_id] = document
        return is_news

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path)) as database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute(_TABLE)
            yield database

    def _rows(self, database: sqlite3.Connection, kind: str) -> Iterator[tuple[str, Any]]:
        for row_id, document in database.execute("SELECT id, document FROM documents WHERE kind = ?", (kind,)):
            yield row_id, json.loads(document)


def _audiences(world: World) -> list[Audience]:
    return [audience for account in world.accounts.values() for audience in account.audiences.values()]


def _members_by_audience(rows: Mapping[str, Any]) -> dict[str, list[Member]]:
    members: dict[str, list[Member]] = {}
    for row_id, record in rows.items():
        members.setdefault(row_id.partition("/")[0], []).append(Member.from_record(record))
    return members


def _changed_rows(world: World) -> Iterator[Row]:
    """Rows to write; marks everything as saved. Accounts are small and always written."""
    head = {
        "ids": list(world.accounts),
        "audiences": [audience.id for audience in _audiences(world)],
        "deliveries": world.outbox.record(),
    }
    yield "world", "accounts", json.dumps(head)
    for account in world.accounts.values():
        yield "account", account.id, json.dumps(account.record())
        for audience in account.audiences.values():
            yield from _audience_rows(account, audience)


def _audience_rows(account: Account, audience: Audience) -> Iterator[Row]:
    if audience.settings_unsaved:
        yield "audience", audience.id, json.dumps(audience.record() | {"account_id": account.id})
        audience.settings_unsaved = False
    unsaved, audience.unsaved = audience.unsaved, set()
    for contact_id in unsaved:
        member = audience.members.get(contact_id)
        yield "member", f"{audience.id}/{contact_id}", json.dumps(member.record()) if member else None


def _drop_other_audiences(database: sqlite3.Connection, present: list[str]) -> None:
    """Remove the rows of audiences that were deleted."""
    for (audience_id,) in database.execute("SELECT id FROM documents WHERE kind = 'audience'").fetchall():
        if audience_id not in present:
            database.execute("DELETE FROM documents WHERE kind = 'audience' AND id = ?", (audience_id,))
            database.execute("DELETE FROM documents WHERE kind = 'member' AND id LIKE ?", (f"{audience_id}/%",))
