"""Who may be mailed: one pure function decides for one address. docs/consent.md is its table, a row a case.

Two owners meet here. PracBill says who agreed; the person may say otherwise in Mailchimp. An opt-out always beats a
sync: where two readings are possible, the one that mails nobody who said no is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from chalicelib.domain.consent.members import Member, OptOut, Status
from chalicelib.domain.customers import ConsentWord

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
    """The strictest word of the customers who share the address, and when it was given (None: not known).

    `is_in_future`: the time that PracBill gives has not come yet, so it is not believed, and `at` is None.
    """

    word: ConsentWord | None
    at: datetime | None = None
    is_in_future: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision. `rule` names the row of docs/consent.md; `report` the outcome to record of who is held back."""

    act: Act
    rule: str
    status: Status | None = None  # the status to set; for ADD and UPDATE the status_if_new
    report: str = ""  # for UPDATE: what staff should know when no data is left to send


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
        return _after_opt_out(consent, member, member.opt_out, policy)
    if member.status == "unsubscribed":
        return _unsubscribed_unknown(consent, member, policy)
    if consent.word == "subscribed":
        return _agreed(consent, member)
    return _silent(member, policy)


def decide_removed(member: Member, policy: ConsentPolicy) -> Verdict:
    """Decide for an address that has lost its last customer, or never had one."""
    if member.status in ("absent", "archived", "forgotten", "cleaned", "pending") or member.erased:
        # Mailchimp cannot archive bounced or pending members; the others are not there.
        return Verdict(Act.LEAVE, "removed-not-there")
    if member.pushed_status == "archived":
        # We archived it, and somebody brought it back: from now on it is theirs.
        return Verdict(Act.LEAVE, "removed-returned")
    if member.is_ours and policy.on_removed == "archive":
        return Verdict(Act.ARCHIVE, "removed-archive")
    if member.status == "subscribed" and _owes_opt_out(member):
        return Verdict(Act.UNSUBSCRIBE, "removed-opt-out-carried", status="unsubscribed")
    return Verdict(Act.LEAVE, "removed-keep" if member.is_ours else "removed-foreign")


def _owes_opt_out(member: Member) -> bool:
    """Whether a known no is still ours to carry although the customer is gone.

    It is when it was said to PracBill, or the member was pushed to. Once carried it is done: who is subscribed after
    that came by themselves, or by somebody in Mailchimp, and is no customer any more.
    """
    no = member.opt_out
    if no is None or member.pushed_status == "unsubscribed":
        return False
    return no.route == "pracbill" or member.pushed_at is not None


def _withdrawn(member: Member) -> Verdict:
    """PracBill says no."""
    if member.status in ("subscribed", "pending", "transactional"):
        return Verdict(Act.UNSUBSCRIBE, f"no-{member.status}", status="unsubscribed")
    return Verdict(Act.LEAVE, f"no-{member.status}", report="opted_out")


def _after_opt_out(consent: PracBillConsent, member: Member, no: OptOut, policy: ConsentPolicy) -> Verdict:
    """PracBill says yes or nothing, but a no is known for the address."""
    if _is_yes_after(consent, no.at):
        return _agreed_again(consent, member, no, policy)
    if member.status == "pending" and no.route == "person":
        # Only the person can have asked for this confirmation, and only the person can give it.
        return Verdict(Act.LEAVE, "opt-out-pending", report="not_confirmed")
    if member.status in ("subscribed", "pending"):
        # The opt-out has not reached Mailchimp (another audience, a lost call), or somebody else took it back there.
        return Verdict(Act.UNSUBSCRIBE, "opt-out-carried", status="unsubscribed")
    return Verdict(Act.LEAVE, "opt-out-stands", report=_report_of(no, consent))


def _unsubscribed_unknown(consent: PracBillConsent, member: Member, policy: ConsentPolicy) -> Verdict:
    """Somebody unsubscribed it and we do not know who: taken as the person's own word, said at the last change."""
    if member.status_at is not None and _is_yes_after(consent, member.status_at):
        return _agreed_again(consent, member, OptOut(member.status_at, "person"), policy)
    return Verdict(Act.LEAVE, "unsubscribed-unknown", report=_unless_in_future(consent, "compliance_state"))


def _is_yes_after(consent: PracBillConsent, no_at: datetime) -> bool:
    """A yes without a time is never later: it may be another customer's, older than the no of one who is gone."""
    return consent.word == "subscribed" and consent.at is not None and consent.at > no_at


def _agreed_again(consent: PracBillConsent, member: Member, no: OptOut, policy: ConsentPolicy) -> Verdict:
    """PracBill's yes is later than the no."""
    if member.status in ("subscribed", "pending"):
        report = "not_confirmed" if member.status == "pending" else ""
        return Verdict(Act.UPDATE, "consent-renewed-there", status="unsubscribed", report=report)
    if member.status == "archived" and not member.archived_by_us:
        return Verdict(Act.LEAVE, "archived-there", report="archived")
    if no.route == "pracbill":
        # The no was PracBill's own and PracBill took it back: nobody else is overruled.
        act = Act.ADD if member.status == "absent" else Act.SUBSCRIBE
        return Verdict(act, "consent-given-again", status="subscribed")
    if no.route == "bounce":
        return Verdict(Act.LEAVE, "opt-out-bounced", report="cleaned")
    if member.asked_at is not None and consent.at is not None and member.asked_at >= consent.at:
        return Verdict(Act.LEAVE, "ask-again-waiting", report="not_confirmed")
    if policy.ask_again:
        return Verdict(Act.ASK, "ask-again", status="pending")
    return Verdict(Act.LEAVE, "opt-out-later-consent", report="compliance_state")


def _report_of(no: OptOut, consent: PracBillConsent) -> str:
    match no.route:
        case "bounce":
            return "cleaned"
        case "pracbill":
            return _unless_in_future(consent, "opted_out")
        case _:
            return _unless_in_future(consent, "compliance_state")


def _unless_in_future(consent: PracBillConsent, report: str) -> str:
    """A yes with a right time might count: then the time is what staff can mend, whoever said no."""
    return "consent_in_future" if consent.is_in_future else report


def _agreed(consent: PracBillConsent, member: Member) -> Verdict:
    """PracBill says yes and no opt-out is known."""
    match member.status:
        case "absent":
            return Verdict(Act.ADD, "yes-absent", status="subscribed")
        case "subscribed":
            return Verdict(Act.UPDATE, "yes-subscribed", status="subscribed")
        case "pending":
            return Verdict(Act.UPDATE, "yes-pending", status="subscribed", report="not_confirmed")
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
    report = _unless_in_future(consent, "not_subscribed")
    return Verdict(Act.UPDATE, "yes-transactional-foreign", status="transactional", report=report)


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
            return Verdict(Act.ADD, f"unknown-add-{status}", status=status)
        case "archived" if status is None:
            return Verdict(Act.LEAVE, "unknown-skip", report="no_consent")
        case "archived":
            # The setting is for new members: it never makes more of somebody than they were.
            return _archived(member, status="transactional" if member.before_archive == "transactional" else status)
        case _:
            return Verdict(Act.UPDATE, f"unknown-{member.status}", status=status or "transactional")


def _archived(member: Member, *, status: Status | None) -> Verdict:
    """The customer is back, and no opt-out is known. We bring back only what we archived ourselves."""
    if not member.archived_by_us:
        return Verdict(Act.LEAVE, "archived-there", report="archived")
    if member.before_archive in ("subscribed", "transactional"):
        return Verdict(Act.SUBSCRIBE, "archived-restored", status=status)
    return Verdict(Act.LEAVE, "archived-not-restored", report="archived")
