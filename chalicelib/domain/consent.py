"""Who may be mailed: one pure function decides for one address. docs/consent.md is its table, a row a case.

Two owners meet here. PracBill says who agreed; the person may say otherwise in Mailchimp. An opt-out always beats a
sync: where two readings are possible, the one that mails nobody who said no is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from chalicelib.domain.customers import ConsentWord
from chalicelib.domain.members import Member, OptOut, Status

UnknownConsent = Literal["skip", "transactional", "subscribe"]
OnRemoved = Literal["archive", "keep"]


class Act(StrEnum):
    """What to do for an address on Mailchimp's side."""

    ADD = "add"  # not in the audience: put it there with `status`
    UPDATE = "update"  # there: send data, never a status
    SUBSCRIBE = "subscribe"  # there and known: set `subscribed` (or `transactional`) on purpose
    UNSUBSCRIBE = "unsubscribe"  # there: set `unsubscribed`
    ASK = "ask"  # set `pending`: Mailchimp mails a confirmation, the person decides
    ARCHIVE = "archive"  # its customers are gone
    LEAVE = "leave"  # nothing is sent


@dataclass(frozen=True, slots=True)
class ConsentPolicy:
    """The department's choices that touch consent."""

    unknown_consent: UnknownConsent = "transactional"
    on_removed: OnRemoved = "archive"
    ask_again: bool = False  # after an opt-out and a later yes in PracBill: have Mailchimp ask the person


@dataclass(frozen=True, slots=True)
class PracBillConsent:
    """The strictest word of the customers who share the address, and when it was given (None: not known)."""

    word: ConsentWord | None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision. `rule` names the row of docs/consent.md; `report` the outcome to record when a person is held back."""

    act: Act
    rule: str
    status: Status | None = None  # for ADD and SUBSCRIBE the status to set; for UPDATE the status_if_new
    report: str = ""


def decide(consent: PracBillConsent, member: Member, policy: ConsentPolicy) -> Verdict:
    """Decide for an address that has at least one customer."""
    if member.erased:
        return Verdict(Act.LEAVE, "erased", report="erased")
    if member.status == "forgotten":
        return Verdict(Act.LEAVE, "forgotten", report="forgotten")
    if member.status == "cleaned":
        return Verdict(Act.LEAVE, "cleaned", report="cleaned")
    if consent.word == "unsubscribed":
        return _withdrawn(member)
    if member.opt_out is not None:
        return _after_opt_out(consent, member, policy)
    if member.status == "unsubscribed":
        # Somebody unsubscribed it and we know neither who nor when: taken as the person's own word.
        return Verdict(Act.LEAVE, "unsubscribed-unknown", report="compliance_state")
    if consent.word == "subscribed":
        return _agreed(consent, member)
    return _silent(member, policy)


def decide_removed(member: Member, policy: ConsentPolicy) -> Verdict:
    """Decide for an address that has lost its last customer."""
    if member.status in ("absent", "archived", "forgotten", "cleaned", "pending") or member.erased:
        # Mailchimp cannot archive bounced or pending members; the others are not there.
        return Verdict(Act.LEAVE, "removed-not-there")
    if not member.is_ours:
        return Verdict(Act.LEAVE, "removed-foreign")
    if policy.on_removed == "keep":
        return Verdict(Act.LEAVE, "removed-keep")
    return Verdict(Act.ARCHIVE, "removed-archive")


def _withdrawn(member: Member) -> Verdict:
    """PracBill says no."""
    match member.status:
        case "subscribed" | "pending" | "transactional":
            return Verdict(Act.UNSUBSCRIBE, f"no-{member.status}", status="unsubscribed")
        case "absent":
            return Verdict(Act.LEAVE, "no-absent", report="opted_out")
        case _:
            return Verdict(Act.LEAVE, f"no-{member.status}", report="opted_out")


def _after_opt_out(consent: PracBillConsent, member: Member, policy: ConsentPolicy) -> Verdict:
    """PracBill says yes or nothing, but a no is known for the address."""
    opt_out = member.opt_out
    assert opt_out is not None
    later = consent.word == "subscribed" and _is_later(consent.at, opt_out)
    if not later:
        if member.status in ("subscribed", "pending"):
            # The opt-out has not reached Mailchimp (another audience, a lost call): carry it there.
            return Verdict(Act.UNSUBSCRIBE, "opt-out-carried", status="unsubscribed")
        return Verdict(Act.LEAVE, "opt-out-stands", report="compliance_state")
    if member.status in ("subscribed", "pending"):
        return Verdict(Act.UPDATE, "consent-renewed-there", status="unsubscribed")
    if opt_out.route == "pracbill" and member.status != "archived":
        # The no was PracBill's own and PracBill took it back: nobody else is overruled.
        if member.status == "absent":
            return Verdict(Act.ADD, "consent-given-again", status="subscribed")
        return Verdict(Act.SUBSCRIBE, "consent-given-again", status="subscribed")
    asked = member.asked_at is not None and consent.at is not None and member.asked_at >= consent.at
    if policy.ask_again and not asked and opt_out.route != "bounce" and member.status != "archived":
        return Verdict(Act.ASK, "ask-again", status="pending")
    return Verdict(Act.LEAVE, "ask-again-waiting" if asked else "opt-out-later-consent", report="compliance_state")


def _is_later(given_at: datetime | None, opt_out: OptOut) -> bool:
    """A yes without a time is later only than a no of PracBill's own, which it replaces in the same record."""
    return opt_out.route == "pracbill" if given_at is None else given_at > opt_out.at


def _agreed(consent: PracBillConsent, member: Member) -> Verdict:
    """PracBill says yes and no opt-out is known."""
    match member.status:
        case "absent":
            return Verdict(Act.ADD, "yes-absent", status="subscribed")
        case "subscribed" | "pending":
            return Verdict(Act.UPDATE, f"yes-{member.status}", status="subscribed")
        case "transactional":
            return _agreed_transactional(consent, member)
        case _:
            return _archived(member, status="subscribed")


def _agreed_transactional(consent: PracBillConsent, member: Member) -> Verdict:
    """A yes may raise a non-subscribed member that we made, or one that was like that before the yes was given."""
    newer = consent.at is not None and member.status_at is not None and consent.at > member.status_at
    if newer or member.is_ours:
        return Verdict(Act.SUBSCRIBE, "yes-transactional", status="subscribed")
    # First contact: what Mailchimp held before PracBill's word counts.
    return Verdict(Act.UPDATE, "yes-transactional-foreign", status="transactional")


def _silent(member: Member, policy: ConsentPolicy) -> Verdict:
    """PracBill has no consent recorded and no opt-out is known: the department's setting decides for new members."""
    wished: dict[UnknownConsent, Status | None] = {
        "skip": None,
        "transactional": "transactional",
        "subscribe": "subscribed",
    }
    status = wished[policy.unknown_consent]
    match member.status:
        case "absent" if status is None:
            return Verdict(Act.LEAVE, "unknown-skip", report="no_consent")
        case "absent":
            return Verdict(Act.ADD, f"unknown-{policy.unknown_consent}", status=status)
        case "archived" if status is None:
            return Verdict(Act.LEAVE, "unknown-skip", report="no_consent")
        case "archived":
            return _archived(member, status=status or "transactional")
        case _:
            return Verdict(Act.UPDATE, f"unknown-{member.status}", status=status or "transactional")


def _archived(member: Member, *, status: Status) -> Verdict:
    """The customer is back. We bring back only what we archived, and never above what it was before."""
    if not member.archived_by_us:
        return Verdict(Act.LEAVE, "archived-there", report="archived")
    if member.before_archive == "subscribed":
        return Verdict(Act.SUBSCRIBE, "archived-restored", status=status)
    if member.before_archive == "transactional" and status in ("subscribed", "transactional"):
        return Verdict(Act.SUBSCRIBE, "archived-restored", status=status)
    return Verdict(Act.LEAVE, "archived-not-restored", report="archived")
