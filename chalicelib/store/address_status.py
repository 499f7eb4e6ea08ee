"""Where every address stands (domain/address_status.py), as of the last run, in a few short reads.

Previews count with it whom campaigns reach, segments know who can carry no tag, the reconciliation adds it up. One item
holds a shard of the members' table, eleven bytes an address, so that a run changes only what it touched; the items lie
under sixteen partition keys. The shard and seven bytes of its key stand for an address: two of a million share them
once in 37 million departments.

A plan of all addresses notes in one writing where they stand now and where they will stand when it is carried out. The
latter counts once the head of the index says so (`put_in_force`): one small write, whatever the size. Items carry the
plan that wrote them. One of an older plan than the head's holds nobody, since that plan has seen every shard; one of a
newer plan is of a plan that did not come to its end, and tells where addresses stand now.

Members of nobody (foreign ones) are as many as a number in that item. Who they are is kept apart, for those who change
it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from chalicelib.domain.consent.members import TAGGABLE
from chalicelib.domain.moments import moment_text, parse_moment
from chalicelib.iteration import map_concurrently
from chalicelib.store import member_keys
from chalicelib.store.batches import Item, Request, get_all, put, query, write_all
from chalicelib.store.member_keys import entries_in, list_item
from chalicelib.store.packed_statuses import (
    CUSTOMERS,
    FOREIGN,
    LENGTH,
    MORE_CUSTOMERS,
    REASON_PLACES,
    SHORT_KEY,
    STATUSES,
    Shard,
    changed_part,
    columns_of,
    short_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from chalicelib.domain.address_status import AddressStatus

_HEAD = "head"


class AddressStatuses:
    """The addresses of an audience. `as_of` is when they were last looked at; None: never all of them."""

    def __init__(self, by_shard: Mapping[str, Shard], as_of: datetime | None = None) -> None:
        self._by_shard = by_shard
        self.as_of = as_of

    def get(self, address_key: str) -> AddressStatus | None:
        """Where an address stands; None when nothing is known of it, and for a member of nobody."""
        shard = self._by_shard.get(member_keys.shard_of(address_key))
        return shard.get(address_key) if shard is not None else None

    def is_reached(self, address_key: str) -> bool:
        shard = self._by_shard.get(member_keys.shard_of(address_key))
        return shard is not None and shard.is_reached(address_key)

    @property
    def reasons(self) -> Counter[str]:
        """How many addresses count on one side only, by reason."""
        found: Counter[int] = Counter()
        foreign = 0
        for shard in self._by_shard.values():
            found.update(shard.packed[shard.column :: LENGTH])
            foreign += shard.foreign
        reasons: Counter[str] = Counter({"foreign": foreign} if foreign else {})
        for packed, count in found.items():
            if reason := REASON_PLACES[packed & 0x0F]:
                reasons[reason] += count
        return reasons

    @property
    def members(self) -> int:
        """The addresses of customers that are members in the audience and have not opted out."""
        taggable = {number for number, status in enumerate(STATUSES) if status in TAGGABLE}
        found: int = 0
        for shard in self._by_shard.values():
            columns = columns_of(shard.packed, shard.column, MORE_CUSTOMERS, CUSTOMERS)
            found += sum(
                (more > 0 or some > 0) and (byte >> 4) & 0x07 in taggable
                for byte, more, some in zip(*columns, strict=True)
            )
        return found

    @property
    def customers(self) -> int:
        """The customers of all addresses."""
        parts = [shard.packed for shard in self._by_shard.values()]
        return sum(256 * sum(part[MORE_CUSTOMERS::LENGTH]) + sum(part[CUSTOMERS::LENGTH]) for part in parts)

    @property
    def shared(self) -> int:
        """The customers beyond the first of each address."""
        columns = (columns_of(shard.packed, MORE_CUSTOMERS, CUSTOMERS) for shard in self._by_shard.values())
        addresses: int = sum(more > 0 or some > 0 for each in columns for more, some in zip(*each, strict=True))
        return self.customers - addresses


@dataclass(frozen=True, slots=True)
class Head:
    """The index as a whole: the last plan that noted every shard, and whether it was carried out."""

    plan: str = ""
    is_in_force: bool = False
    at: datetime | None = None

    def shard_of(self, item: Item) -> Shard | None:
        """What an item tells; None for one that holds nobody any more."""
        plan = item["plan"]["S"]
        if plan < self.plan:
            return None
        return Shard(
            bytes(item["addresses"]["B"]),
            is_planned=self.is_in_force and plan == self.plan,
            foreign=int(item["foreign"]["N"]),
        )


@dataclass(slots=True)
class _Kept:
    """A shard that is being changed, with the members of nobody."""

    shard: Shard
    plan: str
    foreign: set[bytes] | None = None  # None: not read yet
    is_changed: bool = False
    is_foreign_changed: bool = False


@dataclass(slots=True)
class StatusChanges:
    """What a step finds out about addresses: each shard is read once, and written once by `flush`."""

    store: AddressStatusStore
    department_id: str
    audience_id: str
    head: Head
    _kept: dict[str, _Kept] = field(default_factory=dict)

    def note(self, changes: Mapping[str, AddressStatus]) -> AddressStatuses:
        """Where some addresses, by their keys, stand now. Answers what was known of their shards before."""
        parts = _by_shard_of(changes)
        self._read(parts)
        before = {shard: self._kept[shard].shard for shard in parts}
        for shard, part in parts.items():
            self._change(self._kept[shard], part)
        return AddressStatuses(before, self.head.at)

    def flush(self) -> None:
        """Write what was noted. Who the members of nobody are goes first: their number follows from it in a repeat."""
        changed = {name: kept for name, kept in self._kept.items() if kept.is_changed}
        foreign = {name: kept for name, kept in changed.items() if kept.is_foreign_changed}
        ids = self.department_id, self.audience_id
        self.store.write([_put_foreign(*ids, name, kept.plan, kept.foreign or ()) for name, kept in foreign.items()])
        self.store.write([_put_shard(*ids, name, kept.plan, kept.shard) for name, kept in changed.items()])
        self._kept.clear()

    def statuses(self, known: AddressStatuses) -> AddressStatuses:
        """What is known, with what was noted and is not written."""
        changed = {name: kept.shard for name, kept in self._kept.items()}
        return AddressStatuses({**known._by_shard, **changed}, known.as_of)

    def _read(self, parts: Mapping[str, Mapping[str, AddressStatus]]) -> None:
        new = [shard for shard in parts if shard not in self._kept]
        items = self.store.items(self.department_id, self.audience_id, new)
        for name in new:
            item = items.get(name)
            shard = self.head.shard_of(item) if item is not None else None
            plan = item["plan"]["S"] if shard is not None and item is not None else self.head.plan
            # Of a shard of an older plan nothing counts, its members of nobody included.
            empty = Shard(is_planned=self.head.is_in_force)
            self._kept[name] = _Kept(shard or empty, plan, foreign=None if shard is not None else set())
        concerned = [
            name
            for name, part in parts.items()
            if (kept := self._kept[name]).foreign is None
            and (kept.shard.foreign or any(one == FOREIGN for one in part.values()))
        ]
        for name, keys in self.store.foreign(self.department_id, self.audience_id, concerned).items():
            self._kept[name].foreign = keys.get(self._kept[name].plan, set())

    def _change(self, kept: _Kept, part: Mapping[str, AddressStatus]) -> None:
        foreign = kept.foreign
        before = set(foreign) if foreign is not None else set()
        ours = {key: one for key, one in part.items() if one != FOREIGN}
        after = (before - {short_key(key) for key in ours}) | {short_key(key) for key in part.keys() - ours.keys()}
        packed = changed_part(kept.shard.packed, {key: (part[key], part[key]) for key in part}, without=after)
        count = len(after) if foreign is not None else kept.shard.foreign
        shard = replace(kept.shard, packed=packed, foreign=count)
        if after != before:
            kept.foreign, kept.is_foreign_changed = after, True
        kept.is_changed = kept.is_changed or shard != kept.shard or kept.is_foreign_changed
        kept.shard = shard


class AddressStatusStore:
    """`table` is the members' one."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def load(self, department_id: str, audience_id: str, *, consistent: bool = True) -> AddressStatuses:
        """All of it. Not consistent is half the price, and may miss what was written a second ago."""
        head = self._head(department_id, audience_id)
        by_shard: dict[str, Shard] = {}
        for items in map_concurrently(
            lambda name: list(self._entries(department_id, name, consistent=consistent)), _lists(audience_id)
        ):
            for item in items:
                shard = head.shard_of(item)
                if shard is not None:
                    by_shard[item["sk"]["S"]] = shard
        return AddressStatuses(by_shard, head.at)

    def changes(self, department_id: str, audience_id: str) -> StatusChanges:
        """To note where addresses stand; nothing is written before its `flush`."""
        return StatusChanges(self, department_id, audience_id, self._head(department_id, audience_id))

    def put_in_force(self, department_id: str, audience_id: str, plan: str) -> None:
        """The plan of all addresses was carried out: they stand as it foresaw. May be repeated.

        Nothing happens when another plan has noted all of them since, or when this one did not come to its end.
        """
        head = self._head(department_id, audience_id)
        if head.plan == plan:
            self.write([_put_head(department_id, audience_id, replace(head, is_in_force=True))])

    def looked_at(self, department_id: str, audience_id: str, at: datetime) -> None:
        """Everything known by then has been noted."""
        head = self._head(department_id, audience_id)
        self.write([_put_head(department_id, audience_id, replace(head, at=at))])

    # For StatusChanges

    def items(self, department_id: str, audience_id: str, shards: list[str]) -> dict[str, Item]:
        keys = [_key(department_id, audience_id, shard) for shard in shards]
        return {item["sk"]["S"]: item for item in get_all(self._client, self._table, keys)}

    def foreign(self, department_id: str, audience_id: str, shards: list[str]) -> dict[str, dict[str, set[bytes]]]:
        """The short keys of the members of nobody, by shard and the plan that they were noted with."""
        keys = [_foreign_key(department_id, audience_id, shard) for shard in shards]
        found: dict[str, dict[str, set[bytes]]] = {shard: {} for shard in shards}
        for item in get_all(self._client, self._table, keys):
            packed = bytes(item["keys"]["B"])
            shorts = {packed[start : start + SHORT_KEY] for start in range(0, len(packed), SHORT_KEY)}
            found[item["sk"]["S"]][item["plan"]["S"]] = shorts
        return found

    def write(self, requests: list[Request]) -> None:
        write_all(self._client, self._table, requests)

    def _head(self, department_id: str, audience_id: str) -> Head:
        key = list_item(department_id, _head_list(audience_id), _HEAD)
        item: Any = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        if item is None:
            return Head()
        return Head(item["plan"]["S"], item["in_force"]["BOOL"], parse_moment(item["at"]["S"]))

    def _entries(self, department_id: str, name: str, *, consistent: bool) -> Iterator[Item]:
        asked = {**entries_in(department_id, name), "ConsistentRead": consistent}
        return query(self._client, TableName=self._table, **asked)


def put_address_statuses(
    department_id: str,
    audience_id: str,
    plan: str,
    now: Mapping[str, AddressStatus],
    planned: Mapping[str, AddressStatus] | None,
) -> list[Request]:
    """The requests that note a whole shard: where its addresses stand and, of a plan to be carried out, will stand."""
    if not now:
        return []  # what an older plan noted of the shard counts no more
    shard, foreseen = member_keys.shard_of(next(iter(now))), planned if planned is not None else now
    foreign = {short_key(key) for key, one in now.items() if one == foreseen[key] == FOREIGN}
    packed = changed_part(b"", {key: (one, foreseen[key]) for key, one in now.items()}, without=foreign)
    requests = []
    if foreign:
        requests.append(_put_foreign(department_id, audience_id, shard, plan, foreign))
    if packed or foreign:
        noted = Shard(packed, foreign=len(foreign))
        requests.append(_put_shard(department_id, audience_id, shard, plan, noted))
    return requests


def put_end_of_plan(department_id: str, audience_id: str, plan: str, at: datetime) -> Request:
    """The request that notes that every shard was planned."""
    return _put_head(department_id, audience_id, Head(plan, at=at))


def _put_head(department_id: str, audience_id: str, head: Head) -> Request:
    key = list_item(department_id, _head_list(audience_id), _HEAD)
    at = moment_text(head.at) if head.at is not None else ""
    return put({**key, "plan": {"S": head.plan}, "in_force": {"BOOL": head.is_in_force}, "at": {"S": at}})


def _put_shard(department_id: str, audience_id: str, name: str, plan: str, shard: Shard) -> Request:
    item = _key(department_id, audience_id, name)
    told = {"addresses": {"B": shard.packed}, "foreign": {"N": str(shard.foreign)}, "plan": {"S": plan}}
    return put({**item, **told})


def _put_foreign(department_id: str, audience_id: str, name: str, plan: str, keys: set[bytes] | tuple[()]) -> Request:
    item = _foreign_key(department_id, audience_id, name)
    return put({**item, "keys": {"B": b"".join(sorted(keys))}, "plan": {"S": plan}})


def _key(department_id: str, audience_id: str, shard: str) -> Item:
    return list_item(department_id, _list_of(audience_id, shard), shard)


def _foreign_key(department_id: str, audience_id: str, shard: str) -> Item:
    return list_item(department_id, f"foreign#{audience_id}#{shard[0]}", shard)


def _head_list(audience_id: str) -> str:
    return f"address-status#{audience_id}"


def _list_of(audience_id: str, shard: str) -> str:
    return f"{_head_list(audience_id)}#{shard[0]}"


def _lists(audience_id: str) -> list[str]:
    return list(dict.fromkeys(_list_of(audience_id, shard) for shard in member_keys.SHARDS))


def _by_shard_of(changes: Mapping[str, AddressStatus]) -> dict[str, dict[str, AddressStatus]]:
    parts: dict[str, dict[str, AddressStatus]] = defaultdict(dict)
    for address_key, address_status in changes.items():
        parts[member_keys.shard_of(address_key)][address_key] = address_status
    return parts
