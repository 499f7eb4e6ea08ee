"""Where every address stands (domain/address_status.py), as of the last run, in one short read.

Previews count with it whom campaigns reach, segments know who can carry no tag, the reconciliation adds it up. One item
holds a shard of the members' table, thirteen bytes an address, so that a run changes only what it touched. The first
eight bytes of an address key stand for an address: two of a million share them once in 37 million departments.

A plan of all addresses writes twice: where they stand now, and where they will stand when it is carried out. The latter
comes into force when the run has come that far (`put_in_force`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from chalicelib.domain.address_status import REASONS, AddressStatus
from chalicelib.domain.consent.members import Status
from chalicelib.domain.moments import moment_text, parse_moment
from chalicelib.domain.segments.segment import TAGGABLE
from chalicelib.store import member_keys
from chalicelib.store.batches import Item, Request, delete, get_all, put, query, write_all
from chalicelib.store.member_keys import entries_in, list_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Stored as places in these lists: new ones are added at the end.
_STATUSES: Final[tuple[Status, ...]] = (
    "absent",
    "subscribed",
    "unsubscribed",
    "cleaned",
    "pending",
    "transactional",
    "archived",
    "forgotten",
)
_REASONS: Final = ("", *REASONS)
_SHORT = 8
# The short key, status, reason, whether campaigns reach it, how many customers have it (two bytes).
_LENGTH: Final = _SHORT + 5
_STATUS, _REASON, _REACHED, _MORE_SHARERS, _SHARERS = range(_SHORT, _LENGTH)
_MOST_SHARERS = 0xFFFF
_PLANNED = "planned#"
_AS_OF = "as-of"


class AddressStatuses:
    """The addresses of an audience. `as_of` is when they were last looked at; None: never all of them."""

    def __init__(self, by_shard: Mapping[str, bytes], as_of: datetime | None = None) -> None:
        self._by_shard = by_shard
        self.as_of = as_of

    def get(self, address_key: str) -> AddressStatus | None:
        """Where an address stands; None when nothing is known of it."""
        packed, short = self._by_shard.get(member_keys.shard_of(address_key), b""), _short(address_key)
        start = packed.find(short)
        while start > 0 and start % _LENGTH:
            start = packed.find(short, start + 1)
        return _unpacked(packed, start) if start >= 0 else None

    def is_reached(self, address_key: str) -> bool:
        known = self.get(address_key)
        return known is not None and known.is_reached

    @property
    def reasons(self) -> Counter[str]:
        """How many addresses count on one side only, by reason."""
        found: Counter[int] = Counter()
        for packed in self._by_shard.values():
            found.update(packed[_REASON::_LENGTH])
        return Counter({_REASONS[place]: count for place, count in found.items() if place})

    @property
    def members(self) -> int:
        """The addresses of customers that are members in the audience and have not opted out."""
        return sum(
            1
            for packed in self._by_shard.values()
            for start in range(0, len(packed), _LENGTH)
            if (packed[start + _MORE_SHARERS] or packed[start + _SHARERS])
            and _STATUSES[packed[start + _STATUS]] in TAGGABLE
        )

    @property
    def customers(self) -> int:
        """The customers of all addresses."""
        parts = self._by_shard.values()
        return sum(256 * sum(part[_MORE_SHARERS::_LENGTH]) + sum(part[_SHARERS::_LENGTH]) for part in parts)

    @property
    def shared(self) -> int:
        """The customers beyond the first of each address."""
        parts = self._by_shard.values()
        customer_count = ((part[_MORE_SHARERS::_LENGTH], part[_SHARERS::_LENGTH]) for part in parts)
        addresses = sum(more > 0 or some > 0 for each in customer_count for more, some in zip(*each, strict=True))
        return self.customers - addresses

    def with_changes(self, changes: Mapping[str, AddressStatus]) -> AddressStatuses:
        """The same with some addresses, by their keys, as they are now."""
        by_shard = dict(self._by_shard)
        for shard, part in _by_shard_of(changes).items():
            by_shard[shard] = _changed(by_shard.get(shard, b""), part)
        return AddressStatuses(by_shard, self.as_of)


class AddressStatusStore:
    """`table` is the members' one."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def load(self, department_id: str, audience_id: str) -> AddressStatuses:
        by_shard, as_of = {}, None
        for item in self._items(department_id, audience_id):
            name: str = item["sk"]["S"]
            if name == _AS_OF:
                as_of = parse_moment(item["at"]["S"])
            elif not name.startswith(_PLANNED):
                by_shard[name] = _packed_of(item)
        return AddressStatuses(by_shard, as_of)

    def change(self, department_id: str, audience_id: str, changes: Mapping[str, AddressStatus]) -> None:
        """Note where some addresses, by their keys, stand now."""
        parts = _by_shard_of(changes)
        keys = [_key(department_id, audience_id, shard) for shard in parts]
        known = {item["sk"]["S"]: _packed_of(item) for item in get_all(self._client, self._table, keys)}
        requests = []
        for shard, part in parts.items():
            before = known.get(shard, b"")
            after = _changed(before, part)
            if after != before:
                requests.append(_put(department_id, audience_id, shard, after))
        write_all(self._client, self._table, requests)

    def put_in_force(self, department_id: str, audience_id: str) -> None:
        """The plan of all addresses was carried out: they stand as it foresaw.

        May be cut short and repeated. Once it is through, a repeat changes nothing.
        """
        items = {item["sk"]["S"]: item for item in self._items(department_id, audience_id)}
        planned = {name.removeprefix(_PLANNED): item for name, item in items.items() if name.startswith(_PLANNED)}
        requests = [
            _put(department_id, audience_id, shard, _packed_of(item)) for shard, item in planned.items() if shard
        ]
        if "" in planned:
            # The plan has seen every shard: one that it does not know holds nobody any more.
            kept = {*planned, *(_PLANNED + shard for shard in planned), _AS_OF}
            requests += [delete(_key(department_id, audience_id, name)) for name in items if name not in kept]
        write_all(self._client, self._table, requests)
        # The note of its end goes first: without it no shard is taken for empty.
        for part in ([""] if "" in planned else [], [shard for shard in planned if shard]):
            forget = [delete(_key(department_id, audience_id, _PLANNED + shard)) for shard in part]
            write_all(self._client, self._table, forget)

    def looked_at(self, department_id: str, audience_id: str, at: datetime) -> None:
        """Everything known by then has been noted."""
        write_all(self._client, self._table, [_put_as_of(department_id, audience_id, at)])

    def _items(self, department_id: str, audience_id: str) -> Iterator[Item]:
        return query(self._client, TableName=self._table, **entries_in(department_id, _list(audience_id)))


def put_address_statuses(
    department_id: str,
    audience_id: str,
    now: Mapping[str, AddressStatus],
    planned: Mapping[str, AddressStatus] | None,
) -> list[Request]:
    """The requests that note a whole shard: where its addresses stand and, of a plan to be carried out, will stand."""
    shard = member_keys.shard_of(next(iter(now)))
    requests = [_put(department_id, audience_id, shard, _changed(b"", now))]
    if planned is not None:
        requests.append(_put(department_id, audience_id, _PLANNED + shard, _changed(b"", planned)))
    return requests


def put_end_of_plan(department_id: str, audience_id: str, at: datetime, *, is_carried_out: bool) -> list[Request]:
    """The requests that note that every shard was planned, by a run that will, or will not, carry it out."""
    requests = [_put_as_of(department_id, audience_id, at)]
    if is_carried_out:
        requests.append(_put(department_id, audience_id, _PLANNED, b""))
    return requests


def _put_as_of(department_id: str, audience_id: str, at: datetime) -> Request:
    return put({**_key(department_id, audience_id, _AS_OF), "at": {"S": moment_text(at)}})


def _put(department_id: str, audience_id: str, name: str, packed: bytes) -> Request:
    return put({**_key(department_id, audience_id, name), "addresses": {"B": packed}})


def _key(department_id: str, audience_id: str, name: str) -> Item:
    return list_item(department_id, _list(audience_id), name)


def _list(audience_id: str) -> str:
    return f"address-status#{audience_id}"


def _by_shard_of(changes: Mapping[str, AddressStatus]) -> dict[str, dict[str, AddressStatus]]:
    parts: dict[str, dict[str, AddressStatus]] = defaultdict(dict)
    for address_key, address_status in changes.items():
        parts[member_keys.shard_of(address_key)][address_key] = address_status
    return parts


def _changed(packed: bytes, changes: Mapping[str, AddressStatus]) -> bytes:
    """A shard's addresses, sorted, so that what did not change is stored as it was."""
    known = {
        packed[start : start + _SHORT]: packed[start : start + _LENGTH] for start in range(0, len(packed), _LENGTH)
    }
    for address_key, address_status in changes.items():
        short = _short(address_key)
        known.pop(short, None)
        if not address_status.is_nothing:
            known[short] = short + _packed(address_status)
    return b"".join(known[short] for short in sorted(known))


def _packed(address_status: AddressStatus) -> bytes:
    customer_count = min(address_status.customer_count, _MOST_SHARERS)
    return bytes(
        (
            _STATUSES.index(address_status.status),
            _REASONS.index(address_status.reason),
            address_status.is_reached,
            *divmod(customer_count, 256),
        )
    )


def _unpacked(packed: bytes, start: int) -> AddressStatus:
    return AddressStatus(
        _STATUSES[packed[start + _STATUS]],
        _REASONS[packed[start + _REASON]],
        bool(packed[start + _REACHED]),
        256 * packed[start + _MORE_SHARERS] + packed[start + _SHARERS],
    )


def _short(address_key: str) -> bytes:
    return bytes.fromhex(address_key[: 2 * _SHORT])


def _packed_of(item: Item) -> bytes:
    return bytes(item["addresses"]["B"])
