"""How a walk through all members of a department asks the database."""

from __future__ import annotations

from threading import Barrier
from typing import Any, cast

from chalicelib.store import member_keys
from chalicelib.store.members import MemberStore

PATIENCE_SECONDS = 60.0


class Table:
    """Holds one member a shard. A Query is answered when four are under way."""

    def __init__(self) -> None:
        self._four = Barrier(4)

    def query(self, **asked: Any) -> dict[str, Any]:
        shard = asked["ExpressionAttributeValues"][":s"]["S"].rpartition("#")[2]
        self._four.wait(PATIENCE_SECONDS)
        return {"Items": [{"sk": {"S": shard.ljust(32, "0") + "#p"}, "address": {"S": shard}, "document": {"S": "{}"}}]}


def test_members_are_read_four_parts_at_a_time_and_come_in_order(monkeypatch: Any) -> None:
    monkeypatch.setattr("chalicelib.store.members.from_document", lambda kind, document: None)
    walk = MemberStore(cast(Any, Table()), "members").walk_members("north", "audience", start=248)
    found = [([member.address for member in members], next_part) for members, next_part in walk]
    assert found == [([shard], number) for number, shard in enumerate(member_keys.SHARDS[248:], 249)]
