"""What is known by address: both facets, the documents of the customers who share it, change markers.

All items of an address lie side by side, so that one ordered read answers everything about it:

    <address_key>                    the consent state
    <address_key>#c#<customer_key>   the document of a customer with this address
    <address_key>#m                  the address to which its customer moved
    <address_key>#p                  the delivery state

Addresses are spread over 256 partitions a department by the first two digits of their key: even load, and a read of
one address stays small. Touched marks say which addresses a plan must decide anew; they outlive a run that dies. So do
the words that PracBill has not been told yet, one an address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from chalicelib.domain.consent.members import AddressCustomers, ConsentState, Member, Push, merge
from chalicelib.domain.consent.observations import OutboxEntry
from chalicelib.domain.customers import Customer, customer_from_document, mail_address
from chalicelib.domain.moments import moment_text, parse_moment
from chalicelib.domain.planning import AddressState, Arrival
from chalicelib.store.batches import (
    Item,
    Request,
    delete,
    get_all,
    map_concurrently,
    put,
    query,
    query_pages,
    write_all,
)
from chalicelib.store.documents import from_document, to_document
from chalicelib.store.versions import TooMuchContention

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SHARDS = tuple(f"{number:02x}" for number in range(256))
_KEY_LENGTH = 32
_SHARD_NAME = {"#shard": "shard"}  # a reserved word of DynamoDB's expressions
_MAX_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class MemberStates:
    """The stored facets of an address; `address` is empty when it was erased."""

    address_key: str
    address: str
    consent_state: ConsentState | None = None
    push: Push | None = None

    def member(self, audience_id: str) -> Member:
        return merge(self.address_key, self.address, audience_id, self.consent_state, self.push)


class MemberStore:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    # Reading

    def member_states(self, department_id: str, address_keys: Iterable[str]) -> dict[str, MemberStates]:
        """Both facets of each address; an address of which nothing is known is not in the answer."""
        keys = [
            key
            for address_key in dict.fromkeys(address_keys)
            for key in (_key(department_id, address_key), _key(department_id, address_key, "#p"))
        ]
        found = sorted(get_all(self._client, self._table, keys), key=_sk)
        return {key: _member_states(key, list(items)) for key, items in groupby(found, key=_address_key)}

    def state(self, department_id: str, address_key: str, audience_id: str) -> AddressState:
        """Everything about one address."""
        items = query(
            self._client,
            TableName=self._table,
            ExpressionAttributeNames=_SHARD_NAME,
            KeyConditionExpression="#shard = :s AND begins_with(sk, :k)",
            ExpressionAttributeValues={":s": _shard(department_id, address_key), ":k": {"S": address_key}},
            ConsistentRead=True,
        )
        return _state(address_key, list(items), audience_id)

    def states(self, department_id: str, address_keys: Sequence[str], audience_id: str) -> list[AddressState]:
        """Everything about each of some addresses, in their order."""
        return map_concurrently(lambda key: self.state(department_id, key, audience_id), address_keys)

    def every_state(self, department_id: str, shard: str, audience_id: str) -> Iterator[AddressState]:
        """Everything about each address of one shard, streamed in order of the keys."""
        for address_key, group in groupby(self._shard_items(department_id, shard), key=_address_key):
            yield _state(address_key, list(group), audience_id)

    def every_member(self, department_id: str, shard: str, audience_id: str) -> Iterator[Member]:
        """The member at each address of one shard of which a state is stored, whatever its customers are."""
        member_states = (item for item in self._shard_items(department_id, shard) if "address" in item)
        for address_key, group in groupby(member_states, key=_address_key):
            yield _member_states(address_key, list(group)).member(audience_id)

    def _shard_items(self, department_id: str, shard: str) -> Iterator[Item]:
        return query(self._client, TableName=self._table, **_all_in(f"{department_id}#{shard}"))

    # Customers' documents

    def put_document(
        self, department_id: str, address_key: str, customer_key: str, document: str, arrival: Arrival | None = None
    ) -> Request:
        item = {**_key(department_id, address_key, f"#c#{customer_key}"), "document": {"S": document}}
        if arrival is not None:
            item["moved_from"] = {"S": arrival.from_key}
            item["moved_at"] = {"S": moment_text(arrival.at) if arrival.at is not None else ""}
        return put(item)

    def delete_document(self, department_id: str, address_key: str, customer_key: str) -> Request:
        return delete(_key(department_id, address_key, f"#c#{customer_key}"))

    def put_move(self, department_id: str, old_address_key: str, new_address_key: str) -> Request:
        return put({**_key(department_id, old_address_key, "#m"), "moved_to": {"S": new_address_key}})

    # Member states

    def put_push(self, department_id: str, address_key: str, address: str, push: Push) -> Request:
        return put(
            {
                **_key(department_id, address_key, "#p"),
                "address": {"S": address},
                "document": {"S": to_document(push)},
            }
        )

    def delete_push(self, department_id: str, address_key: str) -> Request:
        return delete(_key(department_id, address_key, "#p"))

    def change_consent_state(
        self, department_id: str, address_key: str, address: str, change: Callable[[ConsentState], ConsentState]
    ) -> tuple[ConsentState, ConsentState]:
        """Apply `change` to the consent state against the version it was read at; answers before and after.

        Webhook, pull and sync all write this state: none of them may lose another's word.
        """
        key = _key(department_id, address_key)
        for _ in range(_MAX_ATTEMPTS):
            item: Any = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
            before = from_document(ConsentState, item["document"]["S"]) if item else ConsentState()
            after = change(before)
            if after == before:
                return before, after
            version = int(item["version"]["N"]) if item else 0
            if self._replace(_consent_item(department_id, address_key, address, after, version + 1), version):
                return before, after
        raise TooMuchContention(address_key)

    def add_consent_states(self, department_id: str, member_states: Sequence[tuple[str, str, ConsentState]]) -> bool:
        """Store consent states (address_key, address, state) that do not exist yet: all of them, or none.

        At most 100. Answers False when one of them exists by now; change_heard is the way then.
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

    def write(self, requests: Sequence[Request]) -> None:
        write_all(self._client, self._table, requests)

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

    def put_mark(self, department_id: str, address_key: str, mark: str) -> Request:
        return put(_mark(department_id, f"{address_key}#{mark}"))

    def delete_mark(self, department_id: str, mark_key: str) -> Request:
        return delete(_mark(department_id, mark_key))

    def marked(self, department_id: str, *, after: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
        """Changed addresses with their markers, in order of the keys, from behind `after` on."""
        values: Item = {":s": {"S": f"{department_id}#touched"}}
        condition = "#shard = :s"
        if after:
            condition += " AND sk > :after"
            values[":after"] = {"S": f"{after}#~"}
        items = query(
            self._client,
            TableName=self._table,
            ExpressionAttributeNames=_SHARD_NAME,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ConsistentRead=True,
            Limit=2000,
        )
        for address_key, group in groupby(items, key=_address_key):
            yield address_key, tuple(_sk(item) for item in group)

    def marks(self, department_id: str, address_key: str) -> tuple[str, ...]:
        """The change markers of one address."""
        items = query(
            self._client,
            TableName=self._table,
            ExpressionAttributeNames=_SHARD_NAME,
            KeyConditionExpression="#shard = :s AND begins_with(sk, :k)",
            ExpressionAttributeValues={":s": {"S": f"{department_id}#touched"}, ":k": {"S": f"{address_key}#"}},
            ConsistentRead=True,
        )
        return tuple(_sk(item) for item in items)

    # Words for PracBill

    def put_outbox_entries(self, department_id: str, word: OutboxEntry) -> None:
        """Keep a word for PracBill. Of two about one address the later one stays; at the same instant it is the no."""
        newer = "<=" if word.status == "unsubscribed" else "<"
        occurred_at = {"S": moment_text(word.occurred_at)}
        item = {**_backlog(department_id, word.address_key), "occurred_at": occurred_at}
        try:
            self._client.put_item(
                TableName=self._table,
                Item={**item, "document": {"S": to_document(word)}},
                ConditionExpression=f"attribute_not_exists(sk) OR occurred_at {newer} :at",
                ExpressionAttributeValues={":at": occurred_at},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return

    def outbox(self, department_id: str) -> Iterator[OutboxEntry]:
        """The consent changes that PracBill has not confirmed yet, in order of the address keys."""
        for item in query(self._client, TableName=self._table, Limit=2000, **_all_in(f"{department_id}#outbox")):
            yield from_document(OutboxEntry, item["document"]["S"])

    def outbox_count(self, department_id: str) -> int:
        """How many consent changes PracBill has not confirmed yet."""
        words = _all_in(f"{department_id}#outbox")
        pages = query_pages(self._client, TableName=self._table, Select="COUNT", **words)
        return sum(page["Count"] for page in pages)

    def delete_outbox_entries(self, department_id: str, address_key: str, word: OutboxEntry | None = None) -> None:
        """Drop the word about an address; only while it still is `word`, where one is given."""
        condition: dict[str, Any] = {}
        if word is not None:
            condition = {
                "ConditionExpression": "document = :d",
                "ExpressionAttributeValues": {":d": {"S": to_document(word)}},
            }
        try:
            self._client.delete_item(TableName=self._table, Key=_backlog(department_id, address_key), **condition)
        except self._client.exceptions.ConditionalCheckFailedException:
            return


def _all_in(partition: str) -> dict[str, Any]:
    """What a Query for everything in one partition needs."""
    return {
        "ExpressionAttributeNames": _SHARD_NAME,
        "KeyConditionExpression": "#shard = :s",
        "ExpressionAttributeValues": {":s": {"S": partition}},
        "ConsistentRead": True,
    }


def _key(department_id: str, address_key: str, suffix: str = "") -> Item:
    return {"shard": _shard(department_id, address_key), "sk": {"S": address_key + suffix}}


def _consent_item(
    department_id: str, address_key: str, address: str, consent_state: ConsentState, version: int
) -> Item:
    return {
        **_key(department_id, address_key),
        "address": {"S": "" if consent_state.erased else address},
        "document": {"S": to_document(consent_state)},
        "version": {"N": str(version)},
    }


def shard_of(address_key: str) -> str:
    """The one of SHARDS in which an address lies."""
    return address_key[:2]


def _shard(department_id: str, address_key: str) -> Item:
    return {"S": f"{department_id}#{shard_of(address_key)}"}


def _mark(department_id: str, mark_key: str) -> Item:
    return {"shard": {"S": f"{department_id}#touched"}, "sk": {"S": mark_key}}


def _backlog(department_id: str, address_key: str) -> Item:
    return {"shard": {"S": f"{department_id}#outbox"}, "sk": {"S": address_key}}


def _sk(item: Item) -> str:
    text: str = item["sk"]["S"]
    return text


def _address_key(item: Item) -> str:
    return _sk(item)[:_KEY_LENGTH]


def _member_states(address_key: str, items: Sequence[Item]) -> MemberStates:
    consent_state, push, address = None, None, ""
    for item in items:
        address = address or item.get("address", {}).get("S", "")
        if _sk(item) == address_key:
            consent_state = from_document(ConsentState, item["document"]["S"])
        elif _sk(item).endswith("#p"):
            push = from_document(Push, item["document"]["S"])
    return MemberStates(address_key, address, consent_state, push)


def _state(address_key: str, items: Sequence[Item], audience_id: str) -> AddressState:
    documents: list[Item] = []
    others: list[Item] = []
    for item in items:
        (documents if _sk(item).startswith("#c#", _KEY_LENGTH) else others).append(item)
    member_states = _member_states(address_key, others)
    customers = tuple(_customer(item) for item in documents)
    member = member_states.member(audience_id)
    if customers and not member.address:
        member = merge(
            address_key, mail_address(customers[0].email), audience_id, member_states.consent_state, member_states.push
        )
    moved_to = next((item["moved_to"]["S"] for item in items if "moved_to" in item), "")
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
