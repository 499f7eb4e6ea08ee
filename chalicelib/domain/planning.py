"""From what is known of an address to what is sent for it: operations, outcomes, chunks.

Nothing here sends anything. `plan_address` answers for one address, `rename_of` for a customer whose address changed,
`ChunkWriter` packs operations so that an address is in one chunk only.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Literal

from chalicelib.domain.compact_json import to_json
from chalicelib.domain.consent.members import AddressCustomers, Member, PushRefusal, Status
from chalicelib.domain.consent.rules import Act, ConsentPolicy, PracBillConsent, Verdict, decide, decide_removed
from chalicelib.domain.fieldmap import FieldMap, LeftOut, MergeValues, Prepared, prepare, values_fingerprint
from chalicelib.domain.logs import MOST_NAMED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from chalicelib.domain.departments import Audience

Action = Literal["add", "update", "subscribe", "unsubscribe", "ask", "archive", "rename"]
# Mailchimp takes them in one bulk call; the others are single calls.
BULK_ACTIONS: frozenset[Action] = frozenset({"add", "update", "subscribe", "unsubscribe", "ask"})

MAX_CHUNK_OPERATIONS = 500
# Single calls take a third of a second each: a chunk of them must fit well into one function's time.
MAX_SINGLE_OPERATIONS = 100
# A chunk is one DynamoDB item (409,600 bytes); it is stored compressed, so this bound on the raw text is a safe one.
MAX_CHUNK_BYTES = 400_000
# What the names of an operation's fields take in its JSON.
_NAMES_BYTES = 180
# PracBill's clock may be so much ahead of ours.
_CLOCKS_DIFFER = timedelta(days=1)


# The rule of a rename, and of the address that waits for it; and what the latter is marked with.
RENAMED = "address-renamed"
WAITING = "waits-for-rename"


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing to do in Mailchimp for one address."""

    action: Action
    address_key: str
    address: str
    rule: str
    customer_id: str = ""
    status: Status | None = None  # status_if_new of add and update, status of the others
    values: MergeValues | None = None
    values_fingerprint: str = ""
    inputs: str = ""  # fingerprint of what was decided from, kept with a refusal
    marks: tuple[str, ...] = ()  # change markers to clear once this is done
    known_opt_out: str = ""  # time of the opt-out the plan knew of: a newer one stops the operation
    old_address_key: str = ""  # rename only
    old_address: str = ""
    spelling: str = ""  # Mailchimp's own of the address, where it has another
    left_out: tuple[LeftOut, ...] = ()  # what of the customer the values lack

    @property
    def is_bulk(self) -> bool:
        return self.action in BULK_ACTIONS


@dataclass(frozen=True, slots=True)
class Held:
    """An address for which nothing is sent, with the reason when somebody should know."""

    address_key: str
    address: str
    customer_id: str
    code: str  # a code of outcomes.py or refusals.py; empty: simply nothing to do
    rule: str
    marks: tuple[str, ...] = ()
    waits: bool = False  # refused before, its back-off still running: decided again by each run
    words: str = ""  # Mailchimp's own, of a refusal
    field: str = ""  # the merge field that was refused
    left_out: tuple[LeftOut, ...] = ()  # what of the customer the member in Mailchimp lacks


@dataclass(frozen=True, slots=True)
class Arrival:
    """A customer who came from another address, and when we read of it."""

    customer_id: str
    from_key: str  # address_key
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AddressState:
    """Everything the plan needs to know of one address."""

    member: Member
    address_customers: AddressCustomers | None  # None: no customer has this address (any more)
    moved_to: str = ""  # address_key to which its last customer moved
    moved_from: str = ""  # address_key from which one of its customers came
    arrivals: tuple[Arrival, ...] = ()  # all of its customers who came from another address
    marks: tuple[str, ...] = ()


def customer_ids_of(states: Iterable[AddressState]) -> tuple[str, ...]:
    """The customers of some addresses, by their ids: the first of them, as many as a log entry names."""
    groups = (state.address_customers for state in states)
    ids = (customer.id for group in groups if group is not None for customer in group.customers)
    return tuple(islice(ids, MOST_NAMED))


def plan_address(state: AddressState, *, policy: ConsentPolicy, fields: FieldMap, now: datetime) -> Operation | Held:
    """The operation for an address, or why there is none."""
    if state.address_customers is None:
        verdict = decide_removed(state.member, policy)
        return _plan_removed(state, verdict, now)
    verdict = decide(_consent_of(state.address_customers, now), state.member, policy)
    if verdict.act is Act.LEAVE:
        return _held(state, verdict)
    if verdict.act is Act.UNSUBSCRIBE:
        # Nothing but the status is sent, and no earlier refusal holds an opt-out back.
        return _operation(state, verdict)
    prepared = prepare(state.address_customers.primary, fields)
    fingerprint = values_fingerprint(prepared.values)
    inputs = f"{fingerprint}:{verdict.act}:{verdict.status}"
    if refusal := _running_refusal(state.member, inputs, now):
        return _quarantined(_held(state, verdict), refusal)
    if verdict.act is Act.UPDATE and state.member.sent == fingerprint:
        return _held(state, verdict, prepared.left_out + state.member.left_out)
    return _operation(state, verdict, prepared, fingerprint, inputs)


def plan_move(
    state: AddressState,
    other: AddressState,
    *,
    is_other_decided: bool,
    policy: ConsentPolicy,
    fields: FieldMap,
    now: datetime,
) -> Operation | Held:
    """The decision for one of the two addresses of a customer who moved; `other` is the one it moved to, or came from.

    A rename is decided at the address that the member leaves. Only where that one `is_other_decided` by this plan as
    well does the new address wait for it; else nobody would ever decide it.
    """
    state_key, other_key = state.member.address_key, other.member.address_key
    # Several customers may come to one address: only one of their members can be renamed.
    if state.address_customers is None and state.moved_to == other_key and other.moved_from == state_key:
        rename = rename_of(state, other, policy=policy, fields=fields, now=now)
        return rename or plan_address(state, policy=policy, fields=fields, now=now)
    if state.moved_from == other_key and other.moved_to == state_key:
        rename = rename_of(other, state, policy=policy, fields=fields, now=now)
        if rename is not None:
            return _waiting_for_rename(state) if is_other_decided else rename
    return plan_address(state, policy=policy, fields=fields, now=now)


def _waiting_for_rename(state: AddressState) -> Held:
    member = state.member
    return Held(member.address_key, member.address, "", "", RENAMED, marks=state.marks, waits=True)


def _plan_removed(state: AddressState, verdict: Verdict, now: datetime) -> Operation | Held:
    if verdict.act is Act.UNSUBSCRIBE:
        return _operation(state, verdict)
    inputs = f":{verdict.act}:{state.member.status}"
    if verdict.act is not Act.ARCHIVE:
        return _held(state, verdict)
    if refusal := _running_refusal(state.member, inputs, now):
        return _quarantined(_held(state, verdict), refusal)
    # Archiving hides what the member was; it is kept, for the day on which the customer comes back.
    return replace(_operation(state, verdict), status=state.member.status, inputs=inputs)


def _consent_of(address_customers: AddressCustomers, now: datetime) -> PracBillConsent:
    """A yes that claims to be given in the future has no time that one could compare with an opt-out's."""
    at = address_customers.consent_at
    if address_customers.consent == "subscribed" and at is not None and at > now + _CLOCKS_DIFFER:
        return PracBillConsent(address_customers.consent, is_in_future=True)
    return PracBillConsent(address_customers.consent, at)


def rename_of(
    old: AddressState, new: AddressState, *, policy: ConsentPolicy, fields: FieldMap, now: datetime
) -> Operation | None:
    """The rename that carries a member to its customer's new address, or None when archive and add must do.

    Mailchimp renames only subscribed members, and only onto an address that it does not know yet. A rename keeps the
    status, so it is right only where the new address would be added as subscribed. Whether members without a customer
    are archived or kept makes no difference: this one has a customer, at the new address.
    """
    if (
        old.address_customers is not None
        or old.member.status != "subscribed"
        or not old.member.is_ours
        or old.member.opt_out
    ):
        return None
    if old.member.erased or old.member.pushed_status == "archived":
        return None  # we archived it, and somebody brought it back: it is theirs
    if new.member.status != "absent" or new.member.opt_out or new.address_customers is None:
        return None
    planned = plan_address(new, policy=policy, fields=fields, now=now)
    if not isinstance(planned, Operation) or planned.action != "add" or planned.status != "subscribed":
        return None
    return replace(
        planned,
        action="rename",
        rule=RENAMED,
        old_address_key=old.member.address_key,
        old_address=old.member.address,
        marks=(*new.marks, *old.marks, waiting_mark(new.member.address_key)),
    )


def waiting_mark(address_key: str) -> str:
    """The mark of an address that waits for a rename: should none be carried out, the next run decides it anew."""
    return f"{address_key}#{WAITING}"


def without_unusable(operation: Operation, fields: FieldMap) -> Operation:
    """The operation without values of fields that the audience has lost since the plan."""
    values = operation.values or {}
    lost = [tag for tag in values if tag not in fields.tags]
    if not lost:
        return operation
    kept = {tag: value for tag, value in values.items() if tag in fields.tags}
    left_out = tuple(LeftOut(tag, "field_unusable") for tag in lost if values[tag])
    return _with_values(operation, kept, values_fingerprint(kept), left_out)


def without_value(operation: Operation, tag: str, words: str, fields: FieldMap) -> Operation:
    """The operation without a value that Mailchimp refused; `words` are Mailchimp's, `fields` the audience's by now.

    The fingerprint stays that of all values, so that the same is not sent again before the customer is edited.
    """
    operation = without_unusable(operation, fields)
    value = (operation.values or {}).get(tag)
    if not value:
        return operation
    left_out = LeftOut(tag, "state_missing") if lacks_state(operation, tag) else LeftOut(tag, "value_refused", (words,))
    values = {**(operation.values or {}), tag: ""}
    return _with_values(operation, values, operation.values_fingerprint, (left_out,))


def lacks_state(operation: Operation, tag: str = "ADDRESS") -> bool:
    """Whether the value of that field is a postal address without a state."""
    value = (operation.values or {}).get(tag)
    return isinstance(value, dict) and not value.get("state")


def sendable(operation: Operation, audience: Audience, now: datetime) -> Operation:
    """The operation without what Mailchimp is known not to take by now: values of lost fields, stateless addresses."""
    if lacks_state(operation) and audience.requires_state(now):
        return without_value(operation, "ADDRESS", "", audience.fields)
    return without_unusable(operation, audience.fields)


def _with_values(
    operation: Operation, values: MergeValues, fingerprint: str, left_out: tuple[LeftOut, ...]
) -> Operation:
    return replace(
        operation,
        values=values,
        values_fingerprint=fingerprint,
        inputs=operation.inputs.replace(operation.values_fingerprint, fingerprint, 1),
        left_out=operation.left_out + left_out,
    )


def _running_refusal(member: Member, inputs: str, now: datetime) -> PushRefusal | None:
    """The refusal for which an address waits: until what would be sent differs, or its back-off is over."""
    refusal = member.refusal
    if refusal is None or refusal.inputs != inputs:
        return None
    return refusal if refusal.retry_at is None or refusal.retry_at > now else None


def _quarantined(held: Held, refusal: PushRefusal) -> Held:
    waits = refusal.retry_at is not None
    return replace(held, code=refusal.code, waits=waits, words=refusal.text, field=refusal.field)


_ACTIONS: Mapping[Act, Action] = {
    Act.ADD: "add",
    Act.UPDATE: "update",
    Act.SUBSCRIBE: "subscribe",
    Act.UNSUBSCRIBE: "unsubscribe",
    Act.ASK: "ask",
    Act.ARCHIVE: "archive",
}


def _operation(
    state: AddressState, verdict: Verdict, prepared: Prepared | None = None, fingerprint: str = "", inputs: str = ""
) -> Operation:
    return Operation(
        action=_ACTIONS[verdict.act],
        address_key=state.member.address_key,
        address=state.member.address,
        rule=verdict.rule,
        customer_id=_speaker(state),
        status=verdict.status,
        values=prepared.values if prepared is not None else None,
        values_fingerprint=fingerprint,
        inputs=inputs,
        marks=state.marks,
        known_opt_out=opt_out_time(state.member),
        spelling=state.member.spelling,
        left_out=prepared.left_out if prepared is not None else (),
    )


def opt_out_time(member: Member) -> str:
    """The time of the member's known opt-out, as kept with an operation; empty without one."""
    return member.opt_out.at.isoformat() if member.opt_out else ""


def _held(state: AddressState, verdict: Verdict, left_out: tuple[LeftOut, ...] = ()) -> Held:
    return Held(
        address_key=state.member.address_key,
        address=state.member.address,
        customer_id=_speaker(state),
        code=verdict.report,
        rule=verdict.rule,
        marks=state.marks,
        left_out=left_out,
    )


def _speaker(state: AddressState) -> str:
    return state.address_customers.primary.id if state.address_customers is not None else state.member.owner


@dataclass(slots=True)
class _OpenChunk:
    """A chunk that is not full yet, and how many operations it may have."""

    most: int
    operations: list[Operation] = field(default_factory=list)
    bytes: int = 0

    def add(self, operation: Operation) -> Iterator[tuple[Operation, ...]]:
        """Take one operation; gives the chunk before it when that one is full."""
        size = _weight(operation)
        if len(self.operations) == self.most or self.bytes + size > MAX_CHUNK_BYTES:
            yield from self.rest()
        self.operations.append(operation)
        self.bytes += size

    def rest(self) -> Iterator[tuple[Operation, ...]]:
        """What was taken, if anything."""
        taken, self.operations, self.bytes = tuple(self.operations), [], 0
        if taken:
            yield taken


class ChunkWriter:
    """Packs operations into chunks: bulk and single calls apart, at most 500 (100) each and small enough to store.

    Addresses without a state, which Mailchimp may refuse, come together at the end: whoever is refused for it costs
    their chunk a second call, and eight lanes that begin at once would each have some.
    """

    def __init__(self) -> None:
        self._bulk = _OpenChunk(MAX_CHUNK_OPERATIONS)
        self._stateless = _OpenChunk(MAX_CHUNK_OPERATIONS)
        self._single = _OpenChunk(MAX_SINGLE_OPERATIONS)

    def add(self, operation: Operation) -> Iterator[tuple[Operation, ...]]:
        """Take one operation; gives a chunk when one is full."""
        if not operation.is_bulk:
            return self._single.add(operation)
        return (self._stateless if lacks_state(operation) else self._bulk).add(operation)

    def rest(self) -> Iterator[tuple[Operation, ...]]:
        """The chunks that are not full; what is left of bulk calls fills up the one with addresses without a state."""
        for chunk in self._bulk.rest():
            for operation in chunk:
                yield from self._stateless.add(operation)
        yield from self._stateless.rest()
        yield from self._single.rest()


def _weight(operation: Operation) -> int:
    """Bytes of an operation in a stored chunk, not less than it takes."""
    texts = (
        *(operation.action, operation.address_key, operation.address, operation.rule, operation.customer_id),
        *(operation.status, operation.values, operation.values_fingerprint, operation.inputs, operation.marks),
        *(operation.known_opt_out, operation.old_address_key, operation.old_address),
        operation.spelling,
        [(one.tag, one.code, one.details) for one in operation.left_out],
    )
    return len(to_json(texts).encode()) + _NAMES_BYTES
