"""Observations of an address outside of planning, and what each of them changes.

An observation is what Mailchimp shows of one member when it is asked (pull, webhook), or what it says when it refuses a
push. The same may be observed twice, late, or after newer ones: a repeat changes nothing, and a state that is known to
be older never undoes a newer one, but a no that it tells of counts. (Reading `subscribed` or `transactional` again is
not noted, so a reader that was overtaken by a change there and back may once win; the next pull mends it.)

The rules here decide whose word an observation is. Mailchimp shows states, not speakers: it tells an unsubscribe of
the person's own from one by an admin or the API by the stated reason only, and tells nothing of who subscribed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from chalicelib.domain.consent.members import (
    LONGEST_STEP,
    SPAM_REPORT,
    ConsentState,
    DeliveryState,
    Member,
    OptOut,
    OptOutRoute,
    Status,
    merge,
)
from chalicelib.domain.consent.opt_outs import newest_opt_out
from chalicelib.domain.customers import ConsentWord
from chalicelib.domain.departments import OutboxBacklog
from chalicelib.domain.logs import LedgerEntry, Route

# What an observation changed, as counted in log entries; "status": known now, but nobody's consent changed.
Kind = Literal["opted_out", "bounced", "deleted", "resubscribed", "not_accepted", "address_changed", "status"]

# In whose favour two states of one second are read: the one that mails less.
_STRICTNESS: tuple[Status, ...] = (
    "subscribed",
    "pending",
    "transactional",
    "absent",
    "archived",
    "unsubscribed",
    "cleaned",
    "forgotten",
)
# States that are noted again when they are seen at a later time. The two others change with every push of data, and
# nothing is lost with them: a state that is observed late shows at most until the next pull.
_COUNT_ANEW: frozenset[Status] = frozenset({"pending", "archived", "unsubscribed", "cleaned", "forgotten"})
_SPEAKERS: dict[OptOutRoute, str] = {
    "person": "the person",
    "bounce": "a bounce",
    "admin": "somebody in Mailchimp",
    "pracbill": "PracBill",
}
_UNREAD_SPEAKER = "the person or somebody in Mailchimp"


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen of one member at one moment.

    `status_at` is when Mailchimp last changed the member, `observed_at` our clock before it was asked. `opt_out` is the
    no that the status stands for, `subscribed_at` when the person last opted in, where that is told. `rule` names the
    case in the ledger. `pre_existing` is given where the member is known under another address already.
    """

    address: str = field(repr=False)
    status: Status
    status_at: datetime
    observed_at: datetime
    route: Route
    rule: str
    opt_out: OptOut | None = None
    subscribed_at: datetime | None = None
    pre_existing: bool | None = None
    contact_id: str = ""
    successor_key: str = ""  # address_key to which the person moved
    held: str = ""  # fingerprint of what the member holds in our fields, where that was read
    spelling: str = field(default="", repr=False)  # Mailchimp's of the address, where it is not ours
    evidence: dict[str, str] = field(default_factory=dict)
    elsewhere: str = ""  # id of the audience, where that may not be the selected one any more: then only a no counts

    @property
    def rank(self) -> tuple[datetime, int]:
        """Of two states of a member the one with the higher rank counts."""
        return _rank(self.status_at, self.status)


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A consent change that PracBill has not confirmed yet."""

    address_key: str
    email: str = field(repr=False)
    status: ConsentWord
    occurred_at: datetime
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class OutboxResult:
    """What PracBill has got: `confirmed` changes are about customers of its own, `backlog` waits still."""

    confirmed: int = 0
    backlog: OutboxBacklog | None = None


@dataclass(frozen=True, slots=True)
class ObservationResult:
    """What an observation changes for one address. `kind` is None when it says nothing new; then `consent_state` is as
    it was, but for the time at which a no was last seen."""

    consent_state: ConsentState
    kind: Kind | None = None
    entry: LedgerEntry | None = None
    outbox_entry: OutboxEntry | None = None


def apply_observation(
    address_key: str, known: ConsentState, delivery: DeliveryState | None, audience_id: str, observation: Observation
) -> ObservationResult:
    """What the observation changes of what is known of an address in this audience."""
    if known.erased:
        return ObservationResult(known)
    if observation.elsewhere not in ("", audience_id):
        if known.audience_id not in ("", observation.elsewhere):
            return _apply_no_elsewhere(address_key, known, delivery, observation)
        audience_id = observation.elsewhere  # nothing is known of another one yet
    same = known.audience_id == audience_id
    known = _with_speaker_read(known, observation) if same else known
    ours = delivery if delivery is not None and delivery.audience_id == audience_id else None
    member = merge(address_key, observation.address, audience_id, known, delivery)
    no = _new_no(known, member, ours, observation)
    if same and known.status_at is not None and observation.rank < _rank(known.status_at, known.status):
        return _late(known, member, observation, no)
    yes_at = None if no is not None else _yes_at(known, member, ours, audience_id, observation)
    opt_out = known.opt_out if no is None else _with_no(known, no, same_audience=same)
    opt_out = None if yes_at is not None else opt_out
    if observation.status == member.status and opt_out == known.opt_out:
        is_later = same and (known.status_at is None or observation.status_at > known.status_at)
        if is_later and observation.status in _COUNT_ANEW and observation.route != "sync":
            # The same state, seen at a later time: what was between must not pass for what came after both.
            return ObservationResult(_status_after(known, member, ours, audience_id, observation))
        # Another contact of the same status: who was there before was deleted, and has signed up again.
        is_other = (
            same and member.contact_id and observation.contact_id not in ("", member.contact_id, known.contact_id)
        )
        return ObservationResult(replace(known, contact_id=observation.contact_id) if is_other else known)
    consent_state = replace(_status_after(known, member, ours, audience_id, observation), opt_out=opt_out)
    kind = _kind(observation, no, yes_at, opt_out)
    return ObservationResult(
        consent_state,
        kind,
        _entry(member, observation, kind, no, yes_at, ours),
        _outbox_entry(address_key, observation, no, yes_at),
    )


def _apply_no_elsewhere(
    address_key: str, known: ConsentState, delivery: DeliveryState | None, observation: Observation
) -> ObservationResult:
    """A no that was said in an audience of which no state is known any more: what is known of another one stays."""
    no = observation.opt_out
    if no is None:
        return ObservationResult(known)
    opt_out = newest_opt_out(known.opt_out, _no_elsewhere(known, no))
    if opt_out == known.opt_out:
        return ObservationResult(known)
    member = merge(address_key, observation.address, known.audience_id, known, delivery)
    kind = _kind(observation, no, None, opt_out)
    return ObservationResult(
        replace(known, opt_out=opt_out),
        kind,
        _entry(member, observation, kind, no, None, None),
        _outbox_entry(address_key, observation, no, None),
    )


def _no_elsewhere(known: ConsentState, no: OptOut) -> OptOut:
    """The person's own no binds everywhere; but only where it was said, Mailchimp lets nobody else take it back."""
    is_the_persons_here = known.opt_out is not None and known.opt_out.route == "person"
    return replace(no, route="admin") if no.route == "person" and not is_the_persons_here else no


def is_left_by_a_call(known: ConsentState, observation: Observation) -> bool:
    """Whether an erased person is there by a call of ours that was under way: the erasure came too early for it.

    Who signs up later, by a form of the audience, is there by themselves.
    """
    if not known.erased or known.status_at is None or observation.status in ("archived", "forgotten", "absent"):
        return False
    return observation.status_at <= known.status_at + LONGEST_STEP


def _late(known: ConsentState, member: Member, observation: Observation, no: OptOut | None) -> ObservationResult:
    """An observation of a state that was followed by another one we know: only a no that it tells of counts still.

    Whether it was taken back in between is not to be known. One that is not later than the last that Mailchimp showed
    is known, or has ended, with that.
    """
    if no is None or (known.no_seen_at is not None and no.at <= known.no_seen_at):
        return ObservationResult(known)
    opt_out = newest_opt_out(known.opt_out, no)
    kind = _kind(observation, no, None, opt_out)
    entry = _entry(member, observation, kind, no, None, None)
    consent_state = replace(known, opt_out=opt_out, no_seen_at=no.at)
    return ObservationResult(consent_state, kind, entry, _outbox_entry(member.address_key, observation, no, None))


def _rank(at: datetime, status: Status) -> tuple[datetime, int]:
    """Later is higher. Mailchimp counts whole seconds; within one the stricter state is."""
    return at.replace(microsecond=0), _STRICTNESS.index(status)


def speaker_of(no: OptOut) -> str:
    """Who said a no, as the ledger names them."""
    return _UNREAD_SPEAKER if no.speaker_unread else _SPEAKERS[no.route]


def unread(no: OptOut) -> OptOut:
    """A no of which an event tells, where the member does not show whether it is the person's or an admin's.

    Complaints and bounces name their speaker themselves.
    """
    is_open = no.route == "person" and no.reason != SPAM_REPORT
    return replace(no, route="admin", speaker_unread=True) if is_open else no


def _with_speaker_read(known: ConsentState, observation: Observation) -> ConsentState:
    """What is known, with the speaker of its no where the member, asked later, shows the reason of it."""
    no, shown = known.opt_out, observation.opt_out
    if no is None or shown is None or not no.speaker_unread or shown.speaker_unread:
        return known
    # Answers and refusals of pushes do not tell of the reason.
    is_read = observation.status == "unsubscribed" and observation.route != "sync"
    is_later = known.observed_at is None or observation.observed_at >= known.observed_at
    if not is_read or not is_later:
        return known
    return replace(known, opt_out=replace(no, route=shown.route, speaker_unread=False))


def _new_no(known: ConsentState, member: Member, ours: DeliveryState | None, observation: Observation) -> OptOut | None:
    """The no that was not known before; None for the same one read again, and for the echo of our own unsubscribing."""
    no = observation.opt_out
    if no is None:
        return None
    # A no of PracBill's, carried out by us, may hide that the person said no as well.
    may_be_the_persons = no.route in ("person", "bounce") or no.speaker_unread
    hidden = known.opt_out is not None and known.opt_out.route == "pracbill" and may_be_the_persons
    if known.opt_out is not None and member.status == observation.status and not hidden:
        return None
    # Events tell of no call of ours.
    if no.route != "admin" or no.speaker_unread or observation.status != "unsubscribed":
        return no
    # Mailchimp gives the same reason for an admin's unsubscribe and for one by the API, which may be ours: either the
    # push is known, or PracBill's no was on its way and the function died before it noted the push.
    if member.status == "unsubscribed" and ours is not None and ours.status == "unsubscribed":
        return None
    if known.opt_out is None or known.opt_out.route != "pracbill" or known.opt_out.at > no.at:
        return no
    # Which of the two it was is not to be known. It stays PracBill's to take back, but only with a yes given since.
    return replace(known.opt_out, at=no.at) if no.at > known.opt_out.at else None


def _with_no(known: ConsentState, no: OptOut, *, same_audience: bool) -> OptOut:
    merged = newest_opt_out(known.opt_out, no)
    if no.route == "admin" and merged.route == "person" and not same_audience:
        # The person's own no was said in another audience. In this one Mailchimp lets admins take theirs back, so a
        # later `subscribed` here must not pass for the person's word.
        return replace(merged, route="admin")
    return merged


def _yes_at(
    known: ConsentState, member: Member, ours: DeliveryState | None, audience_id: str, observation: Observation
) -> datetime | None:
    """When the person took the known no back, if `subscribed` shows that; None otherwise.

    It does where nobody but the person can have brought it about, and where it surely is later than the no.
    """
    no = known.opt_out
    if no is None or observation.status != "subscribed" or known.audience_id != audience_id:
        return None
    confirmed = member.status == "pending" and known.asked_at is not None and known.asked_at >= no.at
    if not confirmed and not _only_the_person_can(known, ours, no):
        return None
    if observation.subscribed_at is not None and observation.subscribed_at > no.at:
        return observation.subscribed_at
    # A no of PracBill's may have come after the state that was last seen, and so after the yes as well.
    last_seen = known.asked_at if confirmed else known.status_at
    if last_seen is None or no.at > last_seen or observation.status_at <= no.at:
        return None
    return observation.status_at


def _only_the_person_can(known: ConsentState, ours: DeliveryState | None, no: OptOut) -> bool:
    """Mailchimp lets nobody else resubscribe who unsubscribed by themselves, or was deleted for good.

    An address that its person left is in the audience no longer, but anybody may add it again.
    """
    if known.status == "forgotten":
        return not known.successor_key
    before = known.before_archive if known.status == "archived" else known.status
    unsubscribed_by_us = ours is not None and ours.status == "unsubscribed"
    return no.route == "person" and before in ("unsubscribed", "pending") and not unsubscribed_by_us


def _status_after(
    known: ConsentState, member: Member, ours: DeliveryState | None, audience_id: str, observation: Observation
) -> ConsentState:
    consent_state = known
    if known.audience_id != audience_id:
        # First met in this audience. Who was here before any push of ours is never archived by us.
        pre_existing = ours is None if observation.pre_existing is None else observation.pre_existing
        consent_state = ConsentState(
            audience_id, opt_out=known.opt_out, pre_existing=pre_existing, told_no=known.told_no
        )
    consent_state = replace(
        consent_state, status=observation.status, status_at=observation.status_at, observed_at=observation.observed_at
    )
    if observation.opt_out is not None:
        consent_state = replace(
            consent_state, no_seen_at=max(observation.opt_out.at, consent_state.no_seen_at or observation.opt_out.at)
        )
    # Who is gone has no contact any more; a word that names none is about the one that was known.
    contact_id = observation.contact_id or ("" if observation.status == "forgotten" else consent_state.contact_id)
    # Who moved away and is missed at the old address later has not been deleted.
    successor_key = observation.successor_key or (
        consent_state.successor_key if observation.status == member.status == "forgotten" else ""
    )
    consent_state = replace(
        consent_state, contact_id=contact_id, successor_key=successor_key, spelling=observation.spelling
    )
    if observation.status != "archived":
        return replace(consent_state, archived_by_us=False, before_archive=None)
    if consent_state.archived_by_us or member.status in ("archived", "absent"):
        return consent_state
    return replace(consent_state, before_archive=member.status, archived_by_us=_is_our_work(observation, ours))


def _is_our_work(observation: Observation, ours: DeliveryState | None) -> bool:
    """Whether the status is that of a call of ours whose answer was never kept."""
    begun = ours.begun if ours is not None else None
    return begun is not None and begun.may_have_set(observation.status, observation.status_at)


def _kind(observation: Observation, no: OptOut | None, yes_at: datetime | None, opt_out: OptOut | None) -> Kind:
    if yes_at is not None:
        return "resubscribed"
    if observation.rule in ("address-changed", "address-arrived"):
        return "address_changed" if observation.rule == "address-changed" else "status"
    if no is not None and no.route != "pracbill":
        return "deleted" if observation.status == "forgotten" else "bounced" if no.route == "bounce" else "opted_out"
    return "not_accepted" if observation.status == "subscribed" and opt_out is not None else "status"


def _entry(
    member: Member,
    observation: Observation,
    kind: Kind,
    no: OptOut | None,
    yes_at: datetime | None,
    ours: DeliveryState | None,
) -> LedgerEntry | None:
    """The ledger's entry for a change of consent. Archiving is none, and neither is meeting a member first."""
    if (
        no is None
        and kind == "status"
        and (member.status == "absent" or "archived" in (member.status, observation.status))
    ):
        return None
    rule = {"resubscribed": "resubscribed-there", "not_accepted": "subscribed-not-accepted"}.get(kind, observation.rule)
    if no is not None and no.route == "pracbill" and observation.status == "unsubscribed":
        rule = "no-carried"
    who = _speaker(kind, no)
    if kind == "status" and no is None and _is_our_work(observation, ours):
        rule, who = "set-by-sync", "this service"
    return LedgerEntry(
        at=yes_at or (no.at if no is not None else observation.status_at),
        recorded_at=observation.observed_at,
        was=member.status,
        became=observation.status,
        who=who,
        route=observation.route,
        rule=rule,
        evidence=observation.evidence,
    )


def _speaker(kind: Kind, no: OptOut | None) -> str:
    if no is not None:
        return speaker_of(no)
    return _SPEAKERS["person"] if kind in ("resubscribed", "address_changed") else _SPEAKERS["admin"]


def _outbox_entry(
    address_key: str, observation: Observation, no: OptOut | None, yes_at: datetime | None
) -> OutboxEntry | None:
    """PracBill is sent every new no that is not its own, and of the person's yes."""
    if yes_at is not None:
        return OutboxEntry(
            address_key, observation.address, "subscribed", yes_at, "mailchimp", "subscribed again in Mailchimp"
        )
    if no is None or no.route == "pracbill":
        return None
    return OutboxEntry(address_key, observation.address, "unsubscribed", no.at, "mailchimp", no.reason)
