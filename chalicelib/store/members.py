"""What is known by address: both states, the documents of the customers who share it, change markers.

All items of an address lie side by side, so that one ordered read answers everything about it:

    <address_key>                    the consent state
    <address_key>#c#<customer_key>   the document of a customer with this address
    <address_key>#m                  the address to which its customer moved
    <address_key>#p                  the delivery state

Change markers say which addresses a plan must decide anew; they outlive a run that dies. So does the PracBill outbox,
one entry an address. `batch` collects writes about many addresses (store/member_batch.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from chalicelib.domain.consent.members import AddressCustomers, ConsentState, DeliveryState, Member, merge
from chalicelib.domain.consent.observations import OutboxEntry
from chalicelib.domain.customers import Customer, customer_from_document, mail_address
from chalicelib.domain.moments import moment_text, parse_moment
from chalicelib.domain.planning import AddressState, Arrival
from chalicelib.iteration import map_ahead, map_concurrently, slices
from chalicelib.store import member_keys
from chalicelib.store.batches import Item, WriteBatch, get_all, query, query_pages
from chalicelib.store.documents import from_document, to_document
from chalicelib.store.member_batch import MemberBatch
from chalicelib.store.member_keys import ADDRESS_KEY_LENGTH, address_item, entries_in, list_item
from chalicelib.store.versions import until_written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

_PARTS_AT_ONCE = 4
_PARTS_AHEAD = 2


@dataclass(frozen=True, slots=True)
class MemberStates:
    """The stored states of an address; `address` is empty when it was erased."""

    address_key: str
    address: str
    consent_state: ConsentState | None = None
    delivery: DeliveryState | None = None

    def member(self, audience_id: str) -> Member:
        return merge(self.address_key, self.address, audience_id, self.consent_state, self.delivery)


class MemberStore:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    # Reading

    def member_states(self, department_id: str, address_keys: Iterable[str]) -> dict[str, MemberStates]:
        """Both states of each address; an address of which nothing is known is not in the answer."""
        keys = [
            key
            for address_key in dict.fromkeys(address_keys)
            for key in (address_item(department_id, address_key), address_item(department_id, address_key, "#p"))
        ]
        found = sorted(get_all(self._client, self._table, keys), key=_sk)
        return {key: _member_states(key, list(items)) for key, items in groupby(found, key=_address_key)}

    def state(self, department_id: str, address_key: str, audience_id: str) -> AddressState:
        """Everything about one address."""
        items = self._entries(department_id, member_keys.shard_of(address_key), of_address=address_key)
        return _state(address_key, list(items), audience_id)

    def states(self, department_id: str, address_keys: Sequence[str], audience_id: str) -> list[AddressState]:
        """Everything about each of some addresses, in their order."""
        return map_concurrently(lambda key: self.state(department_id, key, audience_id), address_keys)

    def moves(self, department_id: str, address_keys: Iterable[str]) -> dict[str, str]:
        """To which address key the last customer of each address moved; who never lost one is not in the answer."""
        keys = [address_item(department_id, address_key, "#m") for address_key in address_keys]
        return {_address_key(item): item["moved_to"]["S"] for item in get_all(self._client, self._table, keys)}

    def walk(self, department_id: str, audience_id: str, *, start: int = 0) -> Iterator[tuple[list[AddressState], int]]:
        """Everything about each address, part after part from number `start` on; with each the number of the next.

        The parts that follow are read while one is worked on.
        """

        def part(number: int) -> tuple[list[AddressState], int]:
            return list(self._states_of(department_id, member_keys.SHARDS[number], audience_id)), number + 1

        return map_ahead(part, range(start, len(member_keys.SHARDS)), ahead=_PARTS_AHEAD)

    def walk_members(
        self, department_id: str, audience_id: str, *, start: int = 0
    ) -> Iterator[tuple[Iterator[Member], int]]:
        """The same of the members at all addresses of which a state is stored, whatever their customers are.

        Hardly anything is done about most of them, so a few parts are read side by side.
        """
        numbers = range(start, len(member_keys.SHARDS))
        for some in slices(numbers, _PARTS_AT_ONCE):
            shards = [member_keys.SHARDS[number] for number in some]
            found = map_concurrently(lambda shard: list(self._members_of(department_id, shard, audience_id)), shards)
            yield from ((iter(members), number + 1) for members, number in zip(found, some, strict=True))

    def _states_of(self, department_id: str, shard: str, audience_id: str) -> Iterator[AddressState]:
        for address_key, group in groupby(self._entries(department_id, shard), key=_address_key):
            yield _state(address_key, list(group), audience_id)

    def _members_of(self, department_id: str, shard: str, audience_id: str) -> Iterator[Member]:
        member_states = (item for item in self._entries(department_id, shard) if "address" in item)
        for address_key, group in groupby(member_states, key=_address_key):
            yield _member_states(address_key, list(group)).member(audience_id)

    def _entries(
        self, department_id: str, name: str, *, of_address: str = "", after: str = "", **options: int
    ) -> Iterator[Item]:
        condition = entries_in(department_id, name, of_address=of_address, after=after)
        return query(self._client, TableName=self._table, **condition, **options)

    # Writing

    def batch(self, department_id: str) -> MemberBatch:
        return MemberBatch(WriteBatch(self._client, self._table, key=("shard", "sk")), department_id)

    def change_consent_state(
        self, department_id: str, address_key: str, address: str, change: Callable[[ConsentState], ConsentState]
    ) -> tuple[ConsentState, ConsentState]:
        """Apply `change` to the consent state against the version it was read at; answers before and after.

        Webhook, pull and sync all write this state: none of them may lose another's change.
        """
        key = address_item(department_id, address_key)

        def attempt() -> tuple[ConsentState, ConsentState] | None:
            item: Any = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
            before = from_document(ConsentState, item["document"]["S"]) if item else ConsentState()
            after = change(before)
            if after == before:
                return before, after
            version = int(item["version"]["N"]) if item else 0
            new = _consent_item(department_id, address_key, address, after, version + 1)
            return (before, after) if self._replace(new, version) else None

        return until_written(attempt, address_key)

    def add_consent_states(self, department_id: str, member_states: Sequence[tuple[str, str, ConsentState]]) -> bool:
        """Store consent states (address_key, address, state) that do not exist yet: all of them, or none.

        At most 100. Answers False when one of them exists by now; change_consent_state is the way then.
        """
        puts = [
            {
                "Put": {
                    "TableName": self._table,
                    "Item": _consent_item(department_id, key, address, consent_state, 1),
                    "ConditionExpression": "attribute_not_exists(sk)",
                }
            }
            for key, address, consent_state in member_states
        ]
        transaction: Any = {"TransactItems": puts}
        try:
            self._client.transact_write_items(**transaction)
        except self._client.exceptions.TransactionCanceledException:
            return False
        return True

    def _replace(self, item: Item, version: int) -> bool:
        known: dict[str, Any] = (
            {"ConditionExpression": "version = :v", "ExpressionAttributeValues": {":v": {"N": str(version)}}}
            if version
            else {"ConditionExpression": "attribute_not_exists(sk)"}
        )
        try:
            self._client.put_item(TableName=self._table, Item=item, **known)
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    # Change markers

    def mark(self, department_id: str, address_keys: Iterable[str], why: str) -> None:
        """A plan must decide these addresses; `why` names one of the change markers an address can have."""
        batch = self.batch(department_id)
        for key in address_keys:
            batch.mark(key, why)
        batch.flush()

    def marked(self, department_id: str, *, after: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
        """Changed addresses with their markers, in order of the keys, from behind `after` on."""
        items = self._entries(department_id, "markers", after=f"{after}#~" if after else "", Limit=2000)
        for address_key, group in groupby(items, key=_address_key):
            yield address_key, tuple(_sk(item) for item in group)

    def marks(self, department_id: str, address_key: str) -> tuple[str, ...]:
        """The change markers of one address."""
        return tuple(map(_sk, self._entries(department_id, "markers", of_address=f"{address_key}#")))

    def with_marker(self, department_id: str, address_keys: Sequence[str], why: str) -> frozenset[str]:
        """Those of the addresses that have such a change marker."""
        keys = [list_item(department_id, "markers", f"{key}#{why}") for key in dict.fromkeys(address_keys)]
        return frozenset(map(_address_key, get_all(self._client, self._table, keys)))

    # The PracBill outbox

    def keep_outbox_entry(self, department_id: str, entry: OutboxEntry) -> None:
        """Keep an entry. Of two about one address the later one stays; at the same instant it is the no."""
        newer = "<=" if entry.status == "unsubscribed" else "<"
        occurred_at = {"S": moment_text(entry.occurred_at)}
        item = {**list_item(department_id, "outbox", entry.address_key), "occurred_at": occurred_at}
        try:
            self._client.put_item(
                TableName=self._table,
                Item={**item, "document": {"S": to_document(entry)}},
                ConditionExpression=f"attribute_not_exists(sk) OR occurred_at {newer} :at",
                ExpressionAttributeValues={":at": occurred_at},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return

    def outbox(self, department_id: str) -> Iterator[OutboxEntry]:
        """The consent changes that PracBill has not confirmed yet, in order of the address keys."""
        for item in self._entries(department_id, "outbox", Limit=2000):
            yield from_document(OutboxEntry, item["document"]["S"])

    def outbox_count(self, department_id: str) -> int:
        """How many consent changes PracBill has not confirmed yet."""
        entries = entries_in(department_id, "outbox")
        pages = query_pages(self._client, TableName=self._table, Select="COUNT", **entries)
        return sum(page["Count"] for page in pages)

    def drop_outbox_entry(self, department_id: str, address_key: str, entry: OutboxEntry | None = None) -> None:
        """Drop the entry of an address; only while it still is `entry`, where one is given."""
        condition: dict[str, Any] = {}
        if entry is not None:
            condition = {
                "ConditionExpression": "document = :d",
                "ExpressionAttributeValues": {":d": {"S": to_document(entry)}},
            }
        try:
            self._client.delete_item(
                TableName=self._table, Key=list_item(department_id, "outbox", address_key), **condition
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return


def _consent_item(
    department_id: str, address_key: str, address: str, consent_state: ConsentState, version: int
) -> Item:
    return {
        **address_item(department_id, address_key),
        "address": {"S": "" if consent_state.erased else address},
        "document": {"S": to_document(consent_state)},
        "version": {"N": str(version)},
    }


def _sk(item: Item) -> str:
    text: str = item["sk"]["S"]
    return text


def _address_key(item: Item) -> str:
    return _sk(item)[:ADDRESS_KEY_LENGTH]


def _member_states(address_key: str, items: Sequence[Item]) -> MemberStates:
    consent_state, delivery, address = None, None, ""
    for item in items:
        address = address or item.get("address", {}).get("S", "")
        if _sk(item) == address_key:
            consent_state = from_document(ConsentState, item["document"]["S"])
        elif _sk(item).endswith("#p"):
            delivery = from_document(DeliveryState, item["document"]["S"])
    return MemberStates(address_key, address, consent_state, delivery)


def _state(address_key: str, items: Sequence[Item], audience_id: str) -> AddressState:
    documents: list[Item] = []
    others: list[Item] = []
    for item in items:
        (documents if _sk(item).startswith("#c#", ADDRESS_KEY_LENGTH) else others).append(item)
    known = _member_states(address_key, others)
    customers = tuple(_customer(item) for item in documents)
    address = known.address or (mail_address(customers[0].email) if customers else "")
    member = merge(address_key, address, audience_id, known.consent_state, known.delivery)
    moved_to = next((item["moved_to"]["S"] for item in others if "moved_to" in item), "")
    arrivals = tuple(
        Arrival(customer.id, item["moved_from"]["S"], parse_moment(item["moved_at"]["S"]))
        for customer, item in zip(customers, documents, strict=True)
        if "moved_from" in item
    )
    return AddressState(
        member=member,
        address_customers=AddressCustomers.of(customers) if customers else None,
        moved_to=moved_to,
        moved_from=arrivals[0].from_key if arrivals else "",
        arrivals=arrivals,
    )


def _customer(item: Item) -> Customer:
    return customer_from_document(item["document"]["S"])
