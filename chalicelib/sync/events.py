"""Events from Mailchimp's webhook, one by one: a hint that something happened to a member, never the truth itself.

The member is asked for anew, and what Mailchimp shows then is heard as in the pull. Only a no is taken at its word
where Mailchimp shows no member any more, or lets us ask nothing: it can harm nobody's consent. An event counts as
applied once all is written and PracBill is told, so whatever fails in between comes again by the queue.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from chalicelib.domain.customers import address_key
from chalicelib.domain.departments import Audience, Department
from chalicelib.domain.hearing import News
from chalicelib.domain.logs import LogEntry
from chalicelib.domain.members import SPAM_REPORT, OptOut
from chalicelib.errors import KeyRejected
from chalicelib.mailchimp.answers import RemoteMember
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.webhook import HookEvent, read_event
from chalicelib.store.departments import DepartmentStore
from chalicelib.store.events import EventStore
from chalicelib.store.logs import LogStore
from chalicelib.store.members import MemberStore
from chalicelib.sync.hearing import Hearing, gone, news_of
from chalicelib.sync.ports import Clock, MailchimpFor, Meter, PracBillFor, Remaining

Outcome = Literal["applied", "nothing_new", "repeated", "ignored"]

_MESSAGES = {
    "opted_out": "Somebody unsubscribed in Mailchimp; PracBill hears of it.",
    "bounced": "Mail to an address bounced; PracBill hears of it.",
    "deleted": "A contact was deleted in Mailchimp; PracBill hears of it.",
    "resubscribed": "A person subscribed again in Mailchimp; PracBill hears of it.",
    "not_accepted": "A contact was subscribed in Mailchimp although an opt-out is known: the next sync takes it back.",
    "address_changed": "A person changed the e-mail address in Mailchimp. Change it in PracBill too",
    "status": "A contact's status changed in Mailchimp.",
}


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
        departments: DepartmentStore,
        members: MemberStore,
        events: EventStore,
        hearing: Hearing,
        logs: LogStore,
        mailchimp_for: MailchimpFor,
        pracbill_for: PracBillFor,
        clock: Clock,
        meter: Meter,
    ) -> None:
        self._departments = departments
        self._members = members
        self._events = events
        self._hearing = hearing
        self._logs = logs
        self._mailchimp_for = mailchimp_for
        self._pracbill_for = pracbill_for
        self._clock = clock
        self._meter = meter

    def apply_event(self, body: str, remaining: Remaining) -> Outcome:
        """Apply the event of a queue message. Raises RetryLater or StopRun when it should come back.

        A body that is not ours raises ValueError, KeyError or TypeError.
        """
        event = read_event(body)
        department = self._departments.get(event.department_id)
        if department is None or department.audience is None or department.audience.id != event.audience_id:
            # The hook of an audience that was given up; nothing of it concerns the department any more.
            return self._count("ignored")
        if self._events.is_known(department.id, event.identity, self._clock()):
            return self._count("repeated")
        heard = self._hear(event, department, department.audience, remaining)
        self._log(event, department, heard)
        self._hearing.tell_pracbill(department, self._pracbill_for(remaining))
        self._events.remember(department.id, event.identity, self._clock())
        self._meter.count("OptOutsHeard", heard["opted_out"] + heard["bounced"] + heard["deleted"])
        return self._count("applied" if heard else "nothing_new")

    def _count(self, outcome: Outcome) -> Outcome:
        self._meter.count(f"WebhookEvents{outcome.title().replace('_', '')}")
        return outcome

    # -------------------------------------------------------------------------------------------------- hearing

    def _hear(self, event: HookEvent, department: Department, audience: Audience, remaining: Remaining) -> Counter[str]:
        try:
            mailchimp = self._mailchimp_for(department, remaining)
            if event.type == "upemail":
                return self._hear_move(event, department, audience, mailchimp)
            asked_at = self._clock()
            seen = Seen(mailchimp.member(audience.id, event.address), asked_at)
        except KeyRejected:
            # The key may stay dead for days: a no must not wait for it, everything else is read by the pull.
            seen = Seen(None, self._clock(), is_readable=False)
        news = news_of_event(event, seen)
        if news is None or (seen.member is None and not self._is_known(department, event.address)):
            return Counter()
        return self._hearing.hear(department, [news])

    def _hear_move(
        self, event: HookEvent, department: Department, audience: Audience, mailchimp: MailchimpClient
    ) -> Counter[str]:
        """A person changed the address: what is known of the person goes along, the old address is not added again."""
        asked_at = self._clock()
        old = mailchimp.member(audience.id, event.old_address)
        new = mailchimp.member(audience.id, event.address)
        if old is not None:
            # It is there again, or the event is not true: then both are what they are.
            heard = [news_of(member, asked_at, "webhook") for member in (old, new) if member is not None]
            return self._hearing.hear(department, heard)
        left_at = event.fired_at_moment or asked_at
        left = News(event.old_address, "forgotten", left_at, asked_at, "webhook", "address-changed")
        departures = [left] if self._is_known(department, event.old_address) else []
        if new is None:
            return self._hearing.hear(department, departures)
        arrived = self._arrived(department, audience, event.old_address, new, asked_at)
        if arrived.opt_out is not None and new.status in ("subscribed", "pending", "transactional"):
            # The plan looks at PracBill's customers, and none has the new address: the no is carried out here.
            mailchimp.set_member_status(audience.id, new.address, "unsubscribed")
            arrived = replace(arrived, status="unsubscribed")
        # The new address first: once the old one is known as left, a repeat could not read what goes along.
        return self._hearing.hear(department, [arrived]) + self._hearing.hear(department, departures)

    def _arrived(
        self, department: Department, audience: Audience, old_address: str, new: RemoteMember, asked_at: datetime
    ) -> News:
        """News of the new address, with what is known of the person by the old one."""
        key = address_key(department.salt, old_address)
        facets = self._members.facets(department.id, [key]).get(key)
        news = replace(news_of(new, asked_at, "webhook"), rule="address-arrived")
        if facets is None:
            return news
        known, own = facets.member(audience.id), news.opt_out
        # A bounce belongs to the address that bounced. An unsubscribe by API may be ours, from a try that died.
        carried = known.opt_out if known.opt_out is not None and known.opt_out.route != "bounce" else None
        no = carried if own is None or (own.route == "admin" and carried is not None) else own
        return replace(news, opt_out=no, pre_existing=not known.is_ours)

    def _is_known(self, department: Department, address: str) -> bool:
        """Whether the address is, or was, a member or a customer: anything else is no business of ours."""
        key = address_key(department.salt, address)
        state = self._members.state(department.id, key, "")
        return state.sharers is not None or bool(state.member.address)

    # -------------------------------------------------------------------------------------------------- logging

    def _log(self, event: HookEvent, department: Department, heard: Counter[str]) -> None:
        """One entry for an event that changed something, the same one when it is repeated; it names no address."""
        kind = next((kind for kind in _MESSAGES if heard.get(kind)), None)
        if kind is None:
            return
        message = _MESSAGES[kind]
        if kind == "address_changed":
            message += self._customers_of(event, department)
        entry = LogEntry(
            date=event.fired_at_moment or self._clock(),
            direction="pull",
            type="webhook",
            status="success",
            message=message,
            counts={name: count for name, count in heard.items() if name != "status"},
        )
        self._logs.add(department.id, entry, key=event.identity)

    def _customers_of(self, event: HookEvent, department: Department) -> str:
        """Which customers an address change concerns, by their ids."""
        key = address_key(department.salt, event.old_address)
        state = self._members.state(department.id, key, event.audience_id)
        ids = ", ".join(customer.id for customer in state.sharers.customers) if state.sharers else ""
        return f" (customer {ids})." if ids else ": no customer has the old one."


def news_of_event(event: HookEvent, seen: Seen) -> News | None:
    """What an event about one address comes to; None when Mailchimp shows nothing that it could mean."""
    evidence = {"event": event.type, "fired_at": event.fired_at}
    evidence |= {name: value for name in ("reason", "campaign_id") if (value := getattr(event, name))}
    no, rule = _no_of(event, event.fired_at_moment or seen.asked_at)
    member = seen.member
    if member is None:
        return _news_without_member(event, seen, no, rule, evidence)
    subscribed_at = event.fired_at_moment if event.type == "subscribe" else None
    if subscribed_at is not None and member.last_changed is not None:
        subscribed_at = min(subscribed_at, member.last_changed)
    news = news_of(member, seen.asked_at, "webhook", subscribed_at=subscribed_at, evidence=evidence)
    if no is None:
        return news
    if news.opt_out is None:
        # Archived since: the no before it counts all the same. Any other state is later than the event.
        return replace(news, opt_out=no, rule=rule) if member.status == "archived" else news
    if event.reason == "abuse" and news.opt_out.route != "admin":
        return replace(news, opt_out=replace(no, at=news.opt_out.at), rule=rule)
    return news


def _news_without_member(
    event: HookEvent, seen: Seen, no: OptOut | None, rule: str, evidence: dict[str, str]
) -> News | None:
    at = event.fired_at_moment or seen.asked_at
    if no is not None:
        if seen.is_readable:
            return News(event.address, "forgotten", at, seen.asked_at, "webhook", rule, no, evidence=evidence)
        status: Literal["cleaned", "unsubscribed"] = "cleaned" if event.type == "cleaned" else "unsubscribed"
        return News(event.address, status, at, seen.asked_at, "webhook", rule, no, evidence=evidence)
    if event.type == "unsubscribe" and seen.is_readable:
        return gone(event.address, at, seen.asked_at, "webhook", evidence)
    return None


def _no_of(event: HookEvent, at: datetime) -> tuple[OptOut | None, str]:
    """The no that an event itself tells of. An unsubscribe whose action is not `unsub` is an admin's tidying up."""
    if event.reason == "abuse" and event.type in ("unsubscribe", "cleaned"):
        return OptOut(at, "person", SPAM_REPORT), "complained-there"
    if event.type == "cleaned":
        return OptOut(at, "bounce", "bounced"), "bounced-there"
    if event.type == "unsubscribe" and event.action == "unsub":
        return OptOut(at, "person", "unsubscribed in Mailchimp"), "unsubscribed-there"
    return None, ""
