"""What we know of one e-mail address: the member on Mailchimp's side, and the customers who share the address.

Knowledge comes in two states that are written by different hands and never overwrite each other:

- `ConsentState`: what Mailchimp (pull, webhook) and PracBill told about the person's consent. It is sticky: an opt-out
  stays known when the member is archived, deleted or the audience changes.
- `DeliveryState`: what we last sent and what Mailchimp answered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from chalicelib.domain.customers import ConsentWord, Customer
from chalicelib.domain.fieldmap import LeftOut
from chalicelib.domain.moments import parse_exact_moment, parse_moment

# Mailchimp's statuses, and two of ours: `absent` (not in the audience) and `forgotten` (deleted for good there).
Status = Literal["absent", "subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived", "forgotten"]
# Mailchimp lets members of these statuses carry a tag; it passes over all others as if they were not there.
TAGGABLE: frozenset[Status] = frozenset({"subscribed", "transactional", "pending"})
# Who said the last no: the person (unsubscribe, complaint), a bounce, somebody in Mailchimp, or PracBill's staff.
OptOutRoute = Literal["person", "bounce", "admin", "pracbill"]
SPAM_REPORT = "reported as spam"  # the reason of an opt-out that was a complaint
_NEVER = datetime.min.replace(tzinfo=UTC)
_SECOND = timedelta(seconds=1)
# A step of a run has five minutes, and Mailchimp may still carry out a call that it left.
LONGEST_STEP = timedelta(minutes=6)


@dataclass(frozen=True, slots=True)
class OptOut:
    """The latest no that is known for an address.

    `customers` are the ids of those whose word it was. A no that was said in Mailchimp names none: it is the word of
    whoever reads the mailbox, until it goes along with one of the customers to another address.

    `speaker_unread`: an event told of it, and the member did not show whether it was the person's or an admin's. It
    counts as an admin's, which no later `subscribed` takes back, until the member's own reason is read.
    """

    at: datetime
    route: OptOutRoute
    reason: str = ""
    sent_to_pracbill: bool = False
    customers: tuple[str, ...] = ()
    speaker_unread: bool = False


@dataclass(frozen=True, slots=True)
class ConsentState:
    """The consent state. `status` belongs to `audience_id`; `opt_out` and `erased` to the address in any audience."""

    audience_id: str = ""
    status: Status = "absent"
    status_at: datetime | None = None  # Mailchimp's last_changed
    observed_at: datetime | None = None  # our clock
    opt_out: OptOut | None = None
    before_archive: Status | None = None
    archived_by_us: bool = False
    pre_existing: bool = False  # in the audience before a customer matched: never archived by us
    asked_at: datetime | None = None  # when we last had Mailchimp ask for confirmation
    erased: bool = False
    contact_id: str = ""  # Mailchimp's, of the member in `audience_id`: it stays when the person changes the address
    successor_key: str = ""  # address_key to which the person moved in Mailchimp; then `status` is `forgotten`
    spelling: str = ""  # Mailchimp's of the address in `audience_id`, where its domain is not written as we compare it
    no_seen_at: datetime | None = None  # the last no that Mailchimp showed, whether it stands or has ended
    told_no: OptOut | None = None  # the last no that an event told of although the member was subscribed: overtaken.py


@dataclass(frozen=True, slots=True)
class PushRefusal:
    """Mailchimp's refusal of the address: wait until `retry_at`, or for another `inputs` when that is None."""

    code: str
    text: str  # Mailchimp's words, the address masked
    at: datetime
    attempts: int
    inputs: str  # fingerprint of what was refused
    retry_at: datetime | None = None
    field: str = ""  # the merge field that was refused


@dataclass(frozen=True, slots=True)
class BegunCall:
    """A call that sets a status on purpose, noted before it is made; it goes when its answer is kept."""

    status: Status
    at: datetime  # our clock

    @property
    def until(self) -> datetime:
        """When it was carried out at the latest, if it was."""
        return self.at + LONGEST_STEP

    def may_have_set(self, status: Status, status_at: datetime) -> bool:
        """Whether the status that Mailchimp shows, by its clock of whole seconds, may be the work of this call."""
        return status == self.status and self.at - _SECOND <= status_at <= self.until


@dataclass(frozen=True, slots=True)
class UndoingCall:
    """A call of ours that raised a status: to which one, our clock before it, when it did so, at the latest when."""

    status: Status
    asked_at: datetime
    status_at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class CallBefore:
    """The last call of ours that raised the status in an audience selected before: it may explain a no heard late."""

    audience_id: str
    call: UndoingCall


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """The delivery state of an address in one audience."""

    audience_id: str
    status: Status
    pushed_at: datetime | None  # None: it was only ever refused
    owner: str = ""  # customer whose data was sent
    sent: str = ""  # fingerprint of the merge fields Mailchimp holds through us; empty: nothing
    held: str = ""  # fingerprint of what Mailchimp answered to hold then, which it may have put into a form of its own
    left_out: tuple[LeftOut, ...] = ()  # values that Mailchimp refused then: the member is there without them
    rule: str = ""  # the rule of consent behind the last push
    refusal: PushRefusal | None = None
    contact_id: str = ""
    subscribed_at: datetime | None = None  # when a push last raised the status on purpose, by Mailchimp's clock
    begun: BegunCall | None = None  # nobody knows whether it was carried out: the function died, or the run was ended
    call_before: CallBefore | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """All that is known of one address in the selected audience."""

    address_key: str
    address: str
    status: Status = "absent"
    status_at: datetime | None = None
    opt_out: OptOut | None = None
    before_archive: Status | None = None
    archived_by_us: bool = False
    pre_existing: bool = False
    asked_at: datetime | None = None
    erased: bool = False
    sent: str = ""
    held: str = ""
    left_out: tuple[LeftOut, ...] = ()
    owner: str = ""
    pushed_at: datetime | None = None
    pushed_status: Status | None = None  # what the last push left it as, whatever was observed since
    refusal: PushRefusal | None = None
    has_consent_state: bool = False  # there is a consent state, of whatever audience
    contact_id: str = ""
    successor_key: str = ""
    spelling: str = ""

    @property
    def is_ours(self) -> bool:
        """We put it there, or it is known as matched from its first day; only such a member may be archived by us."""
        return self.pushed_at is not None and not self.pre_existing


_NO_CONSENT_STATE = ConsentState()
_NOTHING_SENT = DeliveryState(audience_id="", status="absent", pushed_at=None)


def merge(
    address_key: str, address: str, audience_id: str, consent_state: ConsentState | None, delivery: DeliveryState | None
) -> Member:
    """Join the two states for one audience; facts of another audience count only where they belong to the person."""
    person = consent_state if consent_state is not None else _NO_CONSENT_STATE
    here = person if person.audience_id == audience_id else _NO_CONSENT_STATE
    sent = delivery if delivery is not None and delivery.audience_id == audience_id else _NOTHING_SENT
    is_newest = sent.pushed_at is not None and (here.observed_at is None or sent.pushed_at > here.observed_at)
    return Member(
        address_key=address_key,
        address=address,
        status=sent.status if is_newest else here.status,
        status_at=here.status_at,
        opt_out=person.opt_out,
        before_archive=here.before_archive,
        archived_by_us=here.archived_by_us,
        pre_existing=here.pre_existing,
        asked_at=person.asked_at,
        erased=person.erased,
        sent=sent.sent,
        held=sent.held,
        left_out=sent.left_out,
        owner=sent.owner,
        pushed_at=sent.pushed_at,
        pushed_status=sent.status if sent.pushed_at is not None else None,
        refusal=sent.refusal,
        has_consent_state=consent_state is not None,
        contact_id=_contact_id(here, sent, is_newest=is_newest),
        successor_key="" if is_newest else here.successor_key,
        spelling=here.spelling,
    )


def with_values_held(
    delivery: DeliveryState, held: str, asked_at: datetime, *, retry_refused: bool = False
) -> DeliveryState:
    """The delivery state after Mailchimp showed what it holds in our fields; `asked_at` is our clock before that.

    What somebody changed there takes the place of what we sent, so that the plan compares with it. `retry_refused`: the
    plan is to send again, too, what Mailchimp refused the last time.
    """
    is_newer = delivery.pushed_at is not None and delivery.pushed_at > asked_at
    is_same = held == (delivery.held or delivery.sent) and not (retry_refused and delivery.left_out)
    if is_newer or not delivery.sent or is_same:
        return delivery
    return replace(delivery, sent=held, held=held, left_out=())


def _contact_id(here: ConsentState, sent: DeliveryState, *, is_newest: bool) -> str:
    """Mailchimp's id of the member as the newer state knows it; the other's where that one knows none."""
    pushed = sent.contact_id if sent.pushed_at is not None else ""
    return pushed or here.contact_id if is_newest else here.contact_id or pushed


@dataclass(frozen=True, slots=True)
class AddressCustomers:
    """The customers of one address, in the order that decides who speaks for it.

    The primary customer gives the data: active before inactive, then the latest `updated_at`, then the id, so that the
    choice does not depend on the order of reading. Consent is the strictest: one no is a no, one silence is silence.
    """

    customers: tuple[Customer, ...]

    @classmethod
    def of(cls, customers: tuple[Customer, ...]) -> AddressCustomers:
        if len(customers) < 2:
            return cls(customers)
        newest_first = sorted(customers, key=lambda c: (parse_moment(c.updated_at) or _NEVER, c.id), reverse=True)
        return cls(tuple(sorted(newest_first, key=lambda c: not c.is_active)))

    @property
    def primary(self) -> Customer:
        return self.customers[0]

    @property
    def consent(self) -> ConsentWord | None:
        words = {customer.consent for customer in self.customers}
        if "unsubscribed" in words:
            return "unsubscribed"
        return None if None in words else "subscribed"

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(customer.id for customer in self.customers)

    @property
    def refusers(self) -> frozenset[str]:
        """The ids of the customers whose no PracBill has recorded."""
        return frozenset(customer.id for customer in self.customers if customer.consent == "unsubscribed")

    @property
    def consent_at(self) -> datetime | None:
        """When the deciding word was given; None when PracBill does not say.

        For a yes the earliest yes: all who share the address had agreed only since the latest of them, but an opt-out
        between two of them must not be overruled by the older one. For a no the latest no; one without a time was said
        at the latest when its record last changed. A time without an offset is none: hours decide here.
        """
        word = self.consent
        if word == "unsubscribed":
            noes = (c for c in self.customers if c.consent == "unsubscribed")
            said = (parse_exact_moment(c.consent_changed_at) or parse_moment(c.updated_at) for c in noes)
            return max((moment for moment in said if moment is not None), default=None)
        times = [parse_exact_moment(c.consent_changed_at) for c in self.customers if c.consent == word]
        known = [moment for moment in times if moment is not None]
        return min(known) if known and len(known) == len(times) else None
