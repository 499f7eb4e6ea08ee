"""A small world with two owners of consent, for property tests: PracBill, Mailchimp, and between them the real rules.

Everything that decides is the product's own: what news means (`apply_observation`), which no is remembered, the plan
for an address, what still holds at the time of the call, what is known after it. Simulated are the places: PracBill's
records, Mailchimp with its refusals, the stored facets, runs in four steps (pull, read, decide, apply) that the world
may hold up, repeat, or break off in between.

The world also keeps the truth: every yes and no with its moment, and which of them the service could have heard.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from chalicelib.domain.consent.members import (
    AddressCustomers,
    ConsentState,
    DeliveryState,
    Member,
    OptOut,
    PushRefusal,
    Status,
    merge,
)
from chalicelib.domain.consent.observations import Observation, OutboxEntry, apply_observation
from chalicelib.domain.consent.opt_outs import newest_opt_out, pracbill_opt_out
from chalicelib.domain.consent.rules import ConsentPolicy
from chalicelib.domain.customers import ConsentWord, Customer, customer_from_json
from chalicelib.domain.fieldmap import FieldMap
from chalicelib.domain.moments import moment_text
from chalicelib.domain.planning import AddressState, Held, Operation, plan_address, rename_of
from chalicelib.domain.push_results import already_done, consent_state_after, member_object, still_right
from chalicelib.mailchimp.answers import RemoteMember
from chalicelib.sync.consent.observations import gone, observation_of

AUDIENCE = "a1"
FIELDS = FieldMap(tags=("FNAME",))
LONG_AGO = datetime.min.replace(tzinfo=UTC)
_ADMIN_REASON = "N/A (Unsubscribed by admin)"


@dataclass(slots=True)
class Contact:
    """A member in Mailchimp. `blocked`: the person unsubscribed, or mail bounced, so nobody else may subscribe it."""

    status: Status
    last_changed: datetime
    reason: str = ""
    blocked: bool = False
    opted_in_at: datetime | None = None


@dataclass(slots=True)
class Entry:
    """A customer's record in PracBill, and when its consent was really given: `dated` says whether PracBill tells."""

    email: str
    updated_at: datetime
    word: ConsentWord | None = None
    given_at: datetime | None = None
    dated: bool = True
    name: str = "Ann"


@dataclass(slots=True)
class Truth:
    """When the last no and the last yes about an address were said."""

    no_at: datetime = LONG_AGO  # said by the person, or by others and heard of
    unheard_no_at: datetime = LONG_AGO  # said by others in Mailchimp, where the next word may hide it
    yes_at: datetime = LONG_AGO  # the person's own, in Mailchimp
    heard_no_at: datetime = LONG_AGO  # the latest no that the service was told
    heard_yes_at: datetime = LONG_AGO
    agreed_at: datetime = LONG_AGO  # PracBill's yes, from all who share the address, as a plan has read it


@dataclass(frozen=True, slots=True)
class Refused:
    code: str


class Violation(AssertionError):
    """Somebody was subscribed against the latest word."""


@dataclass(slots=True)
class World:
    policy: ConsentPolicy
    now: datetime = datetime(2026, 3, 2, 12, tzinfo=UTC)
    records: dict[str, Entry] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    consent_state: dict[str, ConsentState] = field(default_factory=dict)
    pushes: dict[str, DeliveryState] = field(default_factory=dict)
    backlog: dict[str, OutboxEntry] = field(default_factory=dict)
    stored: dict[str, Customer] = field(default_factory=dict)
    given: dict[str, datetime] = field(default_factory=dict)  # when the stored words were really given
    moved_to: dict[str, str] = field(default_factory=dict)
    moved_from: dict[str, str] = field(default_factory=dict)
    chunk: list[Operation] = field(default_factory=list)
    truths: dict[str, Truth] = field(default_factory=dict)
    said_no: set[str] = field(default_factory=set)  # addresses with a no of PracBill's own that a plan has read

    def tick(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now

    def truth(self, address: str) -> Truth:
        return self.truths.setdefault(address, Truth())

    # ---------------------------------------------------------------------------------------------------- PracBill

    def write_record(self, customer_id: str, email: str, word: ConsentWord | None, *, dated: bool) -> None:
        """Staff enter or edit a customer. An unchanged word keeps its moment."""
        now, old = self.tick(), self.records.get(customer_id)
        if old is not None and old.word == word:
            self.records[customer_id] = replace(old, email=email, updated_at=now, name=old.name + "x")
        else:
            self.records[customer_id] = Entry(email, now, word, now if word else None, dated)

    def remove_record(self, customer_id: str) -> None:
        self.tick()
        self.records.pop(customer_id, None)

    def _tell_pracbill(self, word: OutboxEntry) -> None:
        for entry in self.records.values():
            if entry.email == word.email and (entry.given_at or LONG_AGO) < word.occurred_at:
                entry.word, entry.given_at, entry.dated = word.status, word.occurred_at, True
                entry.updated_at = self.tick()

    # ------------------------------------------------------------------------------------------- acts in Mailchimp

    def person_signs_up(self, address: str) -> None:
        """By a form of the audience, which takes everybody."""
        contact = self.contacts.get(address)
        if contact is not None and contact.status in ("subscribed", "cleaned"):
            return
        self.deleted.discard(address)
        self._set(address, "subscribed", opted_in=True)
        self.truth(address).yes_at = self.now

    def person_confirms(self, address: str) -> None:
        if self._status(address) == "pending":
            self._set(address, "subscribed", opted_in=True)
            self.truth(address).yes_at = self.now

    def person_unsubscribes(self, address: str) -> None:
        if self._status(address) == "subscribed":
            self._set(address, "unsubscribed", reason="Not interested", blocked=True)
            self.truth(address).no_at = self.now

    def address_bounces(self, address: str) -> None:
        if self._status(address) == "subscribed":
            self._set(address, "cleaned", blocked=True)
            self.truth(address).no_at = self.now

    def admin_unsubscribes(self, address: str) -> None:
        if self._status(address) in ("subscribed", "transactional"):
            self._set(address, "unsubscribed", reason=_ADMIN_REASON, blocked=self.contacts[address].blocked)
            self.truth(address).unheard_no_at = self.now

    def admin_subscribes(self, address: str) -> None:
        """By hand or by an import; Mailchimp refuses it for who is blocked."""
        contact = self.contacts.get(address)
        blocked = address in self.deleted or (contact is not None and contact.blocked)
        if not blocked and self._status(address) not in ("subscribed", "cleaned", "pending"):
            self._set(address, "subscribed", opted_in=True)

    def admin_archives(self, address: str) -> None:
        if self._status(address) in ("subscribed", "unsubscribed", "transactional"):
            self._set(address, "archived", blocked=self.contacts[address].blocked)

    def admin_deletes(self, address: str) -> None:
        if self.contacts.pop(address, None) is not None:
            self.deleted.add(address)
            self.truth(address).no_at = self.tick()

    def _status(self, address: str) -> Status:
        contact = self.contacts.get(address)
        return contact.status if contact is not None else "absent"

    def _set(
        self, address: str, status: Status, *, reason: str = "", blocked: bool = False, opted_in: bool = False
    ) -> None:
        known, now = self.contacts.get(address), self.tick()
        opted_in_at = now if opted_in else known.opted_in_at if known else None
        self.contacts[address] = Contact(status, now, reason, blocked, opted_in_at)

    # ------------------------------------------------------------------------------------------------ hearing

    def pull(self) -> None:
        """All members, those we miss among them; then PracBill is told, as a run does before it plans."""
        for address in list(self.contacts):
            self._hear(self._seen(address))
        for address, consent_state in list(self.consent_state.items()):
            member = self.member(address)
            if (
                address not in self.contacts
                and member.status not in ("absent", "forgotten")
                and not consent_state.erased
            ):
                self._hear(gone(address, self.tick(), self.now, "pull"))
        self.tell()

    def observe_by_webhook(self, address: str) -> None:
        """An event, perhaps late or repeated: a hint to look at the member."""
        if address in self.contacts:
            self._hear(self._seen(address))
        elif address in self.consent_state and address in self.deleted:
            self._hear(gone(address, self.tick(), self.now, "webhook"))

    def tell(self) -> None:
        for word in list(self.backlog.values()):
            self._tell_pracbill(word)
        self.backlog.clear()

    def _seen(self, address: str) -> Observation:
        contact = self.contacts[address]
        truth = self.truth(address)
        if contact.status in ("unsubscribed", "cleaned"):
            # A colleague's no shows nothing new where the member is known as unsubscribed already (docs/consent.md).
            if self.member(address).status != "unsubscribed" or contact.reason != _ADMIN_REASON:
                truth.no_at = max(truth.no_at, truth.unheard_no_at)
            truth.heard_no_at = max(truth.heard_no_at, truth.no_at)
        if contact.status == "subscribed":
            truth.heard_yes_at = max(truth.heard_yes_at, truth.yes_at)
        remote = RemoteMember(
            id="",
            contact_id="",
            address=address,
            status=contact.status,
            last_changed=contact.last_changed,
            unsubscribe_reason=contact.reason,
            timestamp_opt=contact.opted_in_at,
        )
        return observation_of(remote, self.tick(), "pull")

    def _hear(self, observation: Observation) -> None:
        address = observation.address
        applied = apply_observation(
            address, self.consent_state.get(address, ConsentState()), self.pushes.get(address), AUDIENCE, observation
        )
        self.consent_state[address] = applied.consent_state
        if applied.outbox_entry is not None:
            known = self.backlog.get(address)
            if known is None or known.occurred_at <= applied.outbox_entry.occurred_at:
                self.backlog[address] = applied.outbox_entry

    # ------------------------------------------------------------------------------------------------ planning

    def read(self) -> None:
        """What PracBill's customers are at this moment; the plan may be decided much later."""
        before = self.stored
        self.stored = {customer_id: self._customer(customer_id) for customer_id in self.records}
        self.given = {customer_id: entry.given_at or LONG_AGO for customer_id, entry in self.records.items()}
        for customer_id, customer in self.stored.items():
            old = before.get(customer_id)
            if old is not None and old.email != customer.email:
                self.moved_to[old.email] = customer.email
                self.moved_from[customer_id] = old.email

    def decide(self) -> None:
        """Plan every address anew, and remember PracBill's noes."""
        states = [self.state(address) for address in self._addresses()]
        now = self.tick()
        self.chunk = [operation for state in states if (operation := self._decide_one(state)) is not None]
        for state in states:
            self._note_truth(state)
            no = pracbill_opt_out(state, now)
            if no is not None:
                self.said_no.add(state.member.address)
                self._remember(state.member.address, no)

    def _note_truth(self, state: AddressState) -> None:
        if state.address_customers is None:
            return
        truth, word = self.truth(state.member.address), state.address_customers.consent
        times = [self.given[customer.id] for customer in state.address_customers.customers if customer.consent == word]
        if word == "unsubscribed":
            truth.no_at, truth.heard_no_at = max(truth.no_at, *times), max(truth.heard_no_at, *times)
        if word == "subscribed":
            # The earliest, so that a no between two yeses counts.
            truth.agreed_at = max(truth.agreed_at, min(times))

    def state(self, address: str) -> AddressState:
        address_customers = tuple(customer for customer in self.stored.values() if customer.email == address)
        return AddressState(
            member=self.member(address),
            address_customers=AddressCustomers.of(address_customers) if address_customers else None,
            moved_to=self.moved_to.get(address, ""),
            moved_from=next((self.moved_from[c.id] for c in address_customers if c.id in self.moved_from), ""),
        )

    def member(self, address: str) -> Member:
        return merge(address, address, AUDIENCE, self.consent_state.get(address), self.pushes.get(address))

    def _addresses(self) -> list[str]:
        return sorted(
            {customer.email for customer in self.stored.values()} | set(self.consent_state) | set(self.pushes)
        )

    def _decide_one(self, state: AddressState) -> Operation | None:
        decision = plan_address(state, policy=self.policy, fields=FIELDS, now=self.now)
        if isinstance(decision, Held):
            return None
        if state.moved_to and decision.action == "archive":
            return self._renamed(state, self.state(state.moved_to)) or decision
        if state.moved_from and decision.action == "add":
            old = self.state(state.moved_from)
            if old.moved_to == state.member.address and self._renamed(old, state):
                return None
        return decision

    def _renamed(self, old: AddressState, new: AddressState) -> Operation | None:
        return rename_of(old, new, policy=self.policy, fields=FIELDS, now=self.now)

    def _remember(self, address: str, no: OptOut) -> None:
        known = self.consent_state.get(address, ConsentState())
        self.consent_state[address] = replace(known, opt_out=newest_opt_out(known.opt_out, no))

    def _customer(self, customer_id: str) -> Customer:
        entry = self.records[customer_id]
        consent = {"status": entry.word, "changed_at": entry.given_at and entry.dated and moment_text(entry.given_at)}
        return customer_from_json(
            {
                "id": customer_id,
                "email": entry.email,
                "first_name": entry.name,
                "updated_at": moment_text(entry.updated_at),
                "marketing_consent": consent,
            }
        )

    # ------------------------------------------------------------------------------------------------ applying

    def apply(self, operation: Operation, *, dies: bool = False) -> None:
        """Carry out one operation; `dies`: after the call, before anything is written down."""
        member, asked_at = self.member(operation.address), self.tick()
        if not still_right(operation, member) or already_done(operation, member):
            return
        answer = self._call(operation)
        if dies:
            return
        if isinstance(answer, Refused):
            self._keep_refusal(operation, member, answer, asked_at)
            return
        self._keep(operation, member, answer, asked_at)

    def _call(self, operation: Operation) -> Status | Refused:
        if operation.action == "archive":
            return self._archive(operation.address)
        if operation.action == "rename":
            if self._status(operation.old_address) == "subscribed" and self._is_free(operation.address):
                self._check_subscribing(operation)
                self.contacts[operation.address] = self.contacts.pop(operation.old_address)
                self.contacts[operation.address].last_changed = self.tick()
                return "subscribed"
            self._archive(operation.old_address)
        return self._push(operation)

    def _is_free(self, address: str) -> bool:
        return address not in self.contacts and address not in self.deleted

    def _archive(self, address: str) -> Status | Refused:
        status = self._status(address)
        if status == "absent":
            return "absent"
        if status in ("cleaned", "pending", "archived"):
            return Refused("cannot_archive")
        self._set(address, "archived", blocked=self.contacts[address].blocked)
        return "archived"

    def _push(self, operation: Operation) -> Status | Refused:
        """One member of a bulk call, as Mailchimp takes it."""
        address, sent = operation.address, member_object(operation)
        contact = self.contacts.get(address)
        if address in self.deleted:
            return Refused("forgotten")
        if contact is None:
            status: Status = sent.get("status") or sent["status_if_new"]
        elif contact.status == "archived":
            status = sent["status"] if sent.get("status") in ("subscribed", "pending") else "archived"
        elif contact.status == "cleaned":
            status = "pending" if sent.get("status") == "pending" else "cleaned"
        else:
            status = sent.get("status") or contact.status
        if contact is None or contact.status != status:
            if contact is not None and status == "subscribed" and (contact.blocked or contact.status == "pending"):
                return Refused("compliance_state")
            if status == "subscribed":
                self._check_subscribing(operation)
            blocked = contact is not None and contact.blocked
            self._set(address, status, reason=_ADMIN_REASON if status == "unsubscribed" else "", blocked=blocked)
        return status

    def _check_subscribing(self, operation: Operation) -> None:
        """Before each call that makes somebody subscribed: no known no may be later than every known yes."""
        truth = self.truth(operation.address)
        if truth.heard_no_at > max(truth.heard_yes_at, truth.agreed_at):
            raise Violation(f"{operation.rule} subscribes {operation.address} against a known no")

    def _keep_refusal(self, operation: Operation, member: Member, answer: Refused, asked_at: datetime) -> None:
        refusal = PushRefusal(answer.code, "", asked_at, 1, operation.inputs)
        self.pushes[operation.address] = DeliveryState(
            audience_id=AUDIENCE,
            status=member.status,
            pushed_at=member.pushed_at,
            sent=member.sent,
            refusal=refusal,
        )
        if answer.code == "forgotten":
            self._hear(replace(gone(operation.address, asked_at, asked_at, "sync"), rule="refused-forgotten"))
        elif answer.code == "compliance_state":
            no = OptOut(asked_at, "person", "compliance state")
            self._hear(Observation(operation.address, "unsubscribed", asked_at, asked_at, "sync", "refused", no))

    def _keep(self, operation: Operation, member: Member, status: Status, asked_at: datetime) -> None:
        on_purpose = operation.action not in ("add", "update", "rename")
        if on_purpose or operation.rule == "consent-given-again":
            known = self.consent_state.get(operation.address, ConsentState())
            self.consent_state[operation.address] = consent_state_after(known, operation, status, AUDIENCE, asked_at)
        sent = operation.values_fingerprint if operation.values is not None else member.sent
        self.pushes[operation.address] = DeliveryState(
            AUDIENCE, status, asked_at, operation.customer_id, sent, operation.rule
        )
        self.pushes.pop(operation.old_address, None)

    def plan(self) -> None:
        self.pull()
        self.read()
        self.decide()

    def run(self) -> None:
        """A whole run, while nobody else does anything."""
        self.plan()
        for operation in self.chunk:
            self.apply(operation)

    # ------------------------------------------------------------------------------------------------ the promise

    def check(self) -> None:
        """After a whole run in peace: nobody is subscribed whose latest word was no."""
        for address, contact in self.contacts.items():
            if contact.status != "subscribed" or self._is_foreign(address):
                continue
            truth = self.truth(address)
            said_in_pracbill = [e for e in self.records.values() if e.email == address and e.word == "unsubscribed"]
            no_at = max([truth.no_at, *(e.given_at or LONG_AGO for e in said_in_pracbill)])
            if no_at > max(truth.yes_at, truth.agreed_at):
                raise Violation(f"{address} is subscribed against a no")

    def _is_foreign(self, address: str) -> bool:
        """No customer has it, and we never had to do with it, or are done with it."""
        if any(entry.email == address for entry in self.records.values()):
            return False
        push = self.pushes.get(address)
        if push is None or push.pushed_at is None:
            return address not in self.said_no
        return push.status in ("unsubscribed", "archived")
