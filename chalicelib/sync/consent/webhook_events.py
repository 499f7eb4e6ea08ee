"""Events from Mailchimp's webhook, one by one: a hint that something happened to a member, never the truth itself.

The member is asked for anew, and what Mailchimp shows then is applied as in the pull. Only a no is taken at its word
where Mailchimp shows no member any more, or lets us ask nothing: it can harm nobody's consent. An event counts as
applied once all is written and PracBill is told, so whatever fails in between comes again by the queue.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from chalicelib.domain.consent.members import SPAM_REPORT, OptOut
from chalicelib.domain.consent.observations import Observation, unread
from chalicelib.domain.consent.overtaken import RAISED
from chalicelib.domain.customers import address_key
from chalicelib.domain.logs import LogEntry, customers_in_words
from chalicelib.domain.planning import customer_ids_of
from chalicelib.errors import KeyRejected, RetryLater, StopRun
from chalicelib.mailchimp.answers import RemoteMember
from chalicelib.mailchimp.errors import AudienceGone
from chalicelib.mailchimp.webhook import HookEvent, read_event
from chalicelib.sync.consent.address_changes import AddressChange, AddressChanges
from chalicelib.sync.consent.observations import Observations, gone, observation_of
from chalicelib.sync.consent.overtaken_noes import OvertakenNoes

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.departments import Department, OutboxBacklog
    from chalicelib.mailchimp.client import MailchimpClient
    from chalicelib.store.stores import Stores
    from chalicelib.sync.consent.pracbill_outbox import PracBillOutbox
    from chalicelib.sync.ports import Clock, MailchimpFor, Meter, Remaining

Outcome = Literal["applied", "nothing_new", "repeated", "ignored"]

_MESSAGES = {
    "opted_out": "A contact unsubscribed in Mailchimp",
    "bounced": "Mail to a contact bounced",
    "deleted": "A contact was deleted in Mailchimp",
    "resubscribed": "A contact subscribed again in Mailchimp",
    "not_accepted": "A contact was subscribed in Mailchimp although the person opted out",
    "address_changed": "A contact changed the e-mail address in Mailchimp",
    "status": "A contact's status changed in Mailchimp",
}
# What staff should know, or do, beside it.
_ADVICE = {
    "not_accepted": " The next sync unsubscribes the contact again.",
    "address_changed": " Change it in PracBill too.",
}
_ELSEWHERE = " This was in an audience that is no longer selected."


@dataclass(frozen=True, slots=True)
class Seen:
    """A member as Mailchimp showed it; `is_readable` False when it lets us ask nothing."""

    member: RemoteMember | None
    asked_at: datetime
    is_readable: bool = True


class Events:
    def __init__(
        self,
        *,
        stores: Stores,
        observations: Observations,
        outbox: PracBillOutbox,
        mailchimp_for: MailchimpFor,
        clock: Clock,
        meter: Meter,
    ) -> None:
        self._departments, self._members = stores.departments, stores.members
        self._events, self._logs = stores.events, stores.logs
        self._observations = observations
        self._outbox = outbox
        self._overtaken = OvertakenNoes(stores.members, observations)
        self._address_changes = AddressChanges(stores.members, observations)
        self._mailchimp_for = mailchimp_for
        self._clock = clock
        self._meter = meter

    def apply_event(self, body: str, remaining: Remaining) -> Outcome:
        """Apply the event of a queue message. Raises RetryLater or StopRun when it should come back.

        A body that is not ours raises NotAnEvent.
        """
        event = read_event(body)
        department = self._departments.get(event.department_id)
        if department is None or department.audience is None or not self._concerns(event, department):
            return self._count("ignored")
        if self._events.is_known(department.id, event.identity, self._clock()):
            return self._count("repeated")
        observed = self._apply_observations(event, department, remaining)
        self._tell(event, department, observed, remaining)
        self._events.remember(department.id, event.identity, self._clock())
        self._meter.count("OptOutsHeard", observed["opted_out"] + observed["bounced"] + observed["deleted"])
        return self._count("applied" if observed else "nothing_new")

    def _count(self, outcome: Outcome) -> Outcome:
        self._meter.count(f"WebhookEvents{outcome.title().replace('_', '')}")
        return outcome

    # -------------------------------------------------------------------------------------------------- applying

    def _concerns(self, event: HookEvent, department: Department) -> bool:
        """Whether it is about the selected audience, or may be a no that was said in one that was selected before.

        The webhook takes events of the audience it was registered for only, so another one was the department's then.
        """
        if event.audience_id == department.audience_id:
            return True
        return event.type in ("unsubscribe", "cleaned") and self._is_known(department, event.address)

    def _apply_observations(self, event: HookEvent, department: Department, remaining: Remaining) -> Counter[str]:
        try:
            mailchimp = self._mailchimp_for(department, remaining)
            if event.type == "upemail":
                return self._apply_address_change(event, department, mailchimp)
            asked_at = self._clock()
            seen = Seen(mailchimp.member(event.audience_id, event.address), asked_at)
            if seen.member is None:
                # All of its members are missing where the audience itself is gone.
                mailchimp.audience(event.audience_id)
        except (KeyRejected, AudienceGone):
            # This may stay so for days: a no must not wait for it, everything else is read by the pull.
            seen = Seen(None, self._clock(), is_readable=False)
        observation = observation_of_event(event, seen)
        if observation is None or (seen.member is None and not self._is_known(department, event.address)):
            return Counter()
        no, _ = _no_of(event, _happened_at(event, seen.asked_at))
        if event.audience_id != department.audience_id:
            return self._apply_no_elsewhere(event, department, observation, no)
        if no is None or observation.status not in RAISED or not self._is_known(department, event.address):
            counts = self._observations.apply(department, [observation], log=self._log_of(event, department))
            if no is not None:
                # The member was read before a call of ours undid the no, and that may be kept by now.
                key = address_key(department.salt, event.address)
                counts += self._overtaken.apply(department, [key], "webhook")
            return counts
        # Either somebody took the no back, which the next pull shows too, or a call of ours undid it. The person's own
        # no is out of our calls' reach, so that one is an admin's.
        return self._overtaken.note(department, event.address, replace(no, route="admin"))

    def _apply_no_elsewhere(
        self, event: HookEvent, department: Department, observation: Observation, told: OptOut | None
    ) -> Counter[str]:
        """A no binds in each audience. Where the member is subscribed, it counts if a call of ours undid it there."""
        if observation.status in RAISED and told is not None:
            undone = self._overtaken.undone_elsewhere(department, event.address, told, event.audience_id)
            observation = undone if undone is not None else observation
        no = observation.opt_out
        if no is None:
            return Counter()
        # The member may have been edited since, and a yes in between ends the no.
        no = replace(no, at=min(no.at, _happened_at(event, observation.observed_at)))
        evidence = observation.evidence | {"audience_id": event.audience_id}
        said = replace(observation, opt_out=no, elsewhere=event.audience_id, evidence=evidence)
        return self._observations.apply(department, [said], log=self._log_of(event, department))

    def _apply_address_change(
        self, event: HookEvent, department: Department, mailchimp: MailchimpClient
    ) -> Counter[str]:
        """A person changed the address."""
        asked_at = self._clock()
        old = mailchimp.member(event.audience_id, event.old_address)
        new = mailchimp.member(event.audience_id, event.address)
        if old is not None:
            # It is there again, or the event is not true: then both are what they are.
            observed = [observation_of(member, asked_at, "webhook") for member in (old, new) if member is not None]
            return self._observations.apply(department, observed)
        move = AddressChange(event.old_address, event.address, new, _happened_at(event, asked_at), asked_at, "webhook")
        return self._address_changes.apply(
            department, mailchimp, move, was_there=self._is_known(department, event.old_address)
        )

    def _is_known(self, department: Department, address: str) -> bool:
        """Whether the address is, or was, a member or a customer: anything else is no business of ours."""
        key = address_key(department.salt, address)
        state = self._members.state(department.id, key, "")
        return state.address_customers is not None or bool(state.member.address)

    # -------------------------------------------------------------------------------------------------- telling

    def _tell(self, event: HookEvent, department: Department, observed: Counter[str], remaining: Remaining) -> None:
        """Update PracBill. The log says what happened at once, and what PracBill knows of it when that is so."""
        write = self._entry_of(event, department, observed)
        write("")
        try:
            sent = self._outbox.send(department, remaining)
        except (RetryLater, StopRun):
            backlog = self._outbox.backlog(department.id)
            write(f" {backlog.message}" if backlog is not None else "", backlog)
            raise
        if sent.backlog is not None:
            write(f" {sent.backlog.message}", sent.backlog)
        elif sent.confirmed:
            write(" PracBill has been updated.")
        if not observed and sent.confirmed:
            entry = LogEntry(
                date=self._clock(),
                direction="pull",
                type="incremental",
                trigger="webhook",
                status="success",
                message=(
                    "1 waiting update has been sent to PracBill."
                    if sent.confirmed == 1
                    else f"{sent.confirmed} waiting updates have been sent to PracBill."
                ),
                counts={"told": sent.confirmed},
                code="pracbill_told",
            )
            self._logs.add(department.id, entry, key=f"{event.identity}:told")

    # -------------------------------------------------------------------------------------------------- logging

    def _log_of(self, event: HookEvent, department: Department) -> Callable[[Counter[str]], None]:
        return lambda counts: self._entry_of(event, department, counts)("")

    def _entry_of(self, event: HookEvent, department: Department, observed: Counter[str]) -> Callable[..., None]:
        """Writes the one entry of an event that changed something: each time the same one, with another end.

        It names the customers by their ids, never an address.
        """
        kind = next((kind for kind in _MESSAGES if observed.get(kind)), None)
        if kind is None:
            return lambda end, backlog=None: None
        at, customer_ids = _happened_at(event, self._clock()), self._customers_of(event, department)
        who = customers_in_words(customer_ids) if customer_ids else "no customer has this address"
        counts = {name: count for name, count in observed.items() if name != "status"}
        where = "" if event.audience_id == department.audience_id else _ELSEWHERE

        def write(end: str, backlog: OutboxBacklog | None = None) -> None:
            entry = LogEntry(
                date=at,
                direction="pull",
                type="incremental",
                trigger="webhook",
                status="success",
                message=f"{_MESSAGES[kind]} ({who}).{where}{_ADVICE.get(kind, '')}{end}",
                counts=counts | ({"waiting": backlog.count} if backlog is not None else {}),
                customer_ids=customer_ids,
                code=kind,
                params={"waiting": backlog.count} if backlog is not None else {},
            )
            self._logs.add(department.id, entry, key=event.identity)

        return write

    def _customers_of(self, event: HookEvent, department: Department) -> tuple[str, ...]:
        """The customers of the event's address; of a changed one, those of the address before."""
        address = event.old_address if event.type == "upemail" else event.address
        key = address_key(department.salt, address)
        return customer_ids_of([self._members.state(department.id, key, event.audience_id)])


def observation_of_event(event: HookEvent, seen: Seen) -> Observation | None:
    """What an event about one address comes to; None when Mailchimp shows nothing that it could mean."""
    evidence = {"event": event.type, "fired_at": event.fired_at}
    evidence |= {name: value for name in ("reason", "campaign_id") if (value := getattr(event, name))}
    no, rule = _no_of(event, _happened_at(event, seen.asked_at))
    member = seen.member
    if member is None:
        return _observation_without_member(event, seen, no, rule, evidence)
    subscribed_at = _happened_at(event, seen.asked_at) if event.type == "subscribe" and event.fired_at_moment else None
    if subscribed_at is not None and member.last_changed is not None:
        subscribed_at = min(subscribed_at, member.last_changed)
    observation = observation_of(member, seen.asked_at, "webhook", subscribed_at=subscribed_at, evidence=evidence)
    if no is None:
        return observation
    if observation.opt_out is None:
        # Archived since: the no before it counts all the same. Any other state is later than the event.
        return replace(observation, opt_out=unread(no), rule=rule) if member.status == "archived" else observation
    if event.reason == "abuse" and observation.opt_out.route != "admin":
        return replace(observation, opt_out=replace(no, at=observation.opt_out.at), rule=rule)
    return observation


def _happened_at(event: HookEvent, asked_at: datetime) -> datetime:
    """When the event says it happened, but never later than now: a no dated in the future would outlive every yes."""
    return min(event.fired_at_moment or asked_at, asked_at)


def _observation_without_member(
    event: HookEvent, seen: Seen, no: OptOut | None, rule: str, evidence: dict[str, str]
) -> Observation | None:
    at = _happened_at(event, seen.asked_at)
    if no is not None:
        if seen.is_readable:
            return Observation(event.address, "forgotten", at, seen.asked_at, "webhook", rule, no, evidence=evidence)
        status: Literal["cleaned", "unsubscribed"] = "cleaned" if event.type == "cleaned" else "unsubscribed"
        return Observation(event.address, status, at, seen.asked_at, "webhook", rule, unread(no), evidence=evidence)
    if event.type == "unsubscribe" and seen.is_readable:
        return gone(event.address, at, seen.asked_at, "webhook", evidence)
    return None


def _no_of(event: HookEvent, at: datetime) -> tuple[OptOut | None, str]:
    """The no that an event itself tells of. An unsubscribe whose action is not `unsub` is an admin's tidying up.

    Whose it is, only the member shows. Of one who was deleted since it does not matter: nobody else can come back.
    """
    if event.reason == "abuse" and event.type in ("unsubscribe", "cleaned"):
        return OptOut(at, "person", SPAM_REPORT), "complained-there"
    if event.type == "cleaned":
        return OptOut(at, "bounce", "bounced"), "bounced-there"
    if event.type == "unsubscribe" and event.action == "unsub":
        return OptOut(at, "person", "unsubscribed in Mailchimp"), "unsubscribed-there"
    return None, ""
