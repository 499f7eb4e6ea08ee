"""Words heard about an address outside of planning, and what each of them changes.

News is what Mailchimp shows of one member when it is asked (pull, webhook), or what it says when it refuses a push. The
same news may be heard twice, late, or after newer news: a repeat changes nothing, and a state that is known to be older
never undoes a newer one, but a no that it tells of counts. (Reading `subscribed` or `transactional` again is not noted,
so a reader that was overtaken by a change there and back may once win; the next pull mends it.)

The rules here decide whose word an observation is. Mailchimp shows states, not speakers: it tells an unsubscribe of
the person's own from one by an admin or the API by the stated reason only, and tells nothing of who subscribed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from chalicelib.domain.consent.members import Heard, Member, OptOut, OptOutRoute, Push, Status, fold
from chalicelib.domain.consent.opt_outs import newest_opt_out
from chalicelib.domain.customers import ConsentWord
from chalicelib.domain.departments import UntoldWords
from chalicelib.domain.logs import LedgerEntry, Route

# What the news came to, as counted in log entries; "status": known now, but nobody's consent changed.
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
# nothing is lost with them: a state that is heard late shows at most until the next pull.
_COUNT_ANEW: frozenset[Status] = frozenset({"pending", "archived", "unsubscribed", "cleaned", "forgotten"})
SPEAKERS: dict[OptOutRoute, str] = {
    "person": "the person",
    "bounce": "a bounce",
    "admin": "somebody in Mailchimp",
    "pracbill": "PracBill",
}


@dataclass(frozen=True, slots=True)
class News:
    """What was seen of one member at one moment.

    `status_at` is when Mailchimp last changed the member, `heard_at` our clock before it was asked. `opt_out` is the
    no that the status stands for, `subscribed_at` when the person last opted in, where that is told. `rule` names the
    case in the ledger. `pre_existing` is given where the member is known under another address already.
    """

    address: str = field(repr=False)
    status: Status
    status_at: datetime
    heard_at: datetime
    route: Route
    rule: str
    opt_out: OptOut | None = None
    subscribed_at: datetime | None = None
    pre_existing: bool | None = None
    contact_id: str = ""
    left_for: str = ""  # address_key to which the person moved
    evidence: dict[str, str] = field(default_factory=dict)

    @property
    def rank(self) -> tuple[datetime, int]:
        """Of two states of a member the one with the higher rank counts."""
        return _rank(self.status_at, self.status)


@dataclass(frozen=True, slots=True)
class Untold:
    """A word that PracBill has not been told yet."""

    address_key: str
    email: str = field(repr=False)
    status: ConsentWord
    occurred_at: datetime
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Told:
    """What PracBill was told: `known` words were about customers of its own, `untold` wait still."""

    known: int = 0
    untold: UntoldWords | None = None


@dataclass(frozen=True, slots=True)
class Heeded:
    """What news comes to for one address. `kind` is None when it says nothing new; then `heard` is as it was, but for
    the time at which a no was last seen."""

    heard: Heard
    kind: Kind | None = None
    entry: LedgerEntry | None = None
    untold: Untold | None = None


def listen(address_key: str, known: Heard, push: Push | None, audience_id: str, news: News) -> Heeded:
    """What the news changes of what is known of an address in this audience."""
    same = known.audience_id == audience_id
    if known.erased:
        return Heeded(known)
    ours = push if push is not None and push.audience_id == audience_id else None
    member = fold(address_key, news.address, audience_id, known, push)
    no = _new_no(known, member, ours, news)
    if same and known.status_at is not None and news.rank < _rank(known.status_at, known.status):
        return _late(known, member, news, no)
    yes_at = None if no is not None else _yes_at(known, member, ours, audience_id, news)
    opt_out = known.opt_out if no is None else _with_no(known, no, same_audience=same)
    opt_out = None if yes_at is not None else opt_out
    if news.status == member.status and opt_out == known.opt_out:
        is_later = same and (known.status_at is None or news.status_at > known.status_at)
        if is_later and news.status in _COUNT_ANEW and news.route != "sync":
            # The same state, seen at a later time: what was between must not pass for what came after both.
            return Heeded(_status_after(known, member, ours, audience_id, news))
        return Heeded(known)
    heard = replace(_status_after(known, member, ours, audience_id, news), opt_out=opt_out)
    kind = _kind(member, news, no, yes_at, opt_out)
    return Heeded(heard, kind, _entry(member, news, kind, no, yes_at), _untold(address_key, news, no, yes_at))


def _late(known: Heard, member: Member, news: News, no: OptOut | None) -> Heeded:
    """News of a state that was followed by another one we know: only a no that it tells of counts still.

    Whether it was taken back in between is not to be known. One that is not later than the last that Mailchimp showed
    is known, or has ended, with that.
    """
    if no is None or (known.no_seen_at is not None and no.at <= known.no_seen_at):
        return Heeded(known)
    opt_out = newest_opt_out(known.opt_out, no)
    kind = _kind(member, news, no, None, opt_out)
    entry = _entry(member, news, kind, no, None)
    heard = replace(known, opt_out=opt_out, no_seen_at=no.at)
    return Heeded(heard, kind, entry, _untold(member.address_key, news, no, None))


def _rank(at: datetime, status: Status) -> tuple[datetime, int]:
    """Later is higher. Mailchimp counts whole seconds; within one the stricter state is."""
    return at.replace(microsecond=0), _STRICTNESS.index(status)


def _new_no(known: Heard, member: Member, ours: Push | None, news: News) -> OptOut | None:
    """The no that was not known before; None for the same one read again, and for the echo of our own unsubscribing."""
    no = news.opt_out
    if no is None:
        return None
    # A no of PracBill's, carried out by us, may hide that the person said no as well.
    hidden = known.opt_out is not None and known.opt_out.route == "pracbill" and no.route in ("person", "bounce")
    if known.opt_out is not None and member.status == news.status and not hidden:
        return None
    if no.route != "admin" or news.status != "unsubscribed":
        return no
    # Mailchimp gives the same reason for an admin's unsubscribe and for one by the API, which may be ours: either the
    # push is known, or PracBill's no was on its way and the function died before it noted the push.
    if member.status == "unsubscribed" and ours is not None and ours.status == "unsubscribed":
        return None
    if known.opt_out is None or known.opt_out.route != "pracbill" or known.opt_out.at > no.at:
        return no
    # Which of the two it was is not to be known. It stays PracBill's to take back, but only with a yes given since.
    return replace(known.opt_out, at=no.at) if no.at > known.opt_out.at else None


def _with_no(known: Heard, no: OptOut, *, same_audience: bool) -> OptOut:
    merged = newest_opt_out(known.opt_out, no)
    if no.route == "admin" and merged.route == "person" and not same_audience:
        # The person's own no was said in another audience. In this one Mailchimp lets admins take theirs back, so a
        # later `subscribed` here must not pass for the person's word.
        return replace(merged, route="admin")
    return merged


def _yes_at(known: Heard, member: Member, ours: Push | None, audience_id: str, news: News) -> datetime | None:
    """When the person took the known no back, if `subscribed` shows that; None otherwise.

    It does where nobody but the person can have brought it about, and where it surely is later than the no.
    """
    no = known.opt_out
    if no is None or news.status != "subscribed" or known.audience_id != audience_id:
        return None
    confirmed = member.status == "pending" and known.asked_at is not None and known.asked_at >= no.at
    if not confirmed and not _only_the_person_can(known, ours, no):
        return None
    if news.subscribed_at is not None and news.subscribed_at > no.at:
        return news.subscribed_at
    # A no of PracBill's may have come after the state that was last seen, and so after the yes as well.
    last_seen = known.asked_at if confirmed else known.status_at
    if last_seen is None or no.at > last_seen or news.status_at <= no.at:
        return None
    return news.status_at


def _only_the_person_can(known: Heard, ours: Push | None, no: OptOut) -> bool:
    """Mailchimp lets nobody else resubscribe who unsubscribed by themselves, or was deleted for good.

    An address that its person left is in the audience no longer, but anybody may add it again.
    """
    if known.status == "forgotten":
        return not known.left_for
    before = known.before_archive if known.status == "archived" else known.status
    unsubscribed_by_us = ours is not None and ours.status == "unsubscribed"
    return no.route == "person" and before in ("unsubscribed", "pending") and not unsubscribed_by_us


def _status_after(known: Heard, member: Member, ours: Push | None, audience_id: str, news: News) -> Heard:
    heard = known
    if known.audience_id != audience_id:
        # First met in this audience. Who was here before any push of ours is never archived by us.
        pre_existing = ours is None if news.pre_existing is None else news.pre_existing
        heard = Heard(audience_id=audience_id, opt_out=known.opt_out, pre_existing=pre_existing)
    heard = replace(heard, status=news.status, status_at=news.status_at, heard_at=news.heard_at)
    if news.opt_out is not None:
        heard = replace(heard, no_seen_at=max(news.opt_out.at, heard.no_seen_at or news.opt_out.at))
    # Who is gone has no contact any more; a word that names none is about the one that was known.
    contact_id = news.contact_id or ("" if news.status == "forgotten" else heard.contact_id)
    # Who moved away and is missed at the old address later has not been deleted.
    left_for = news.left_for or (heard.left_for if news.status == member.status == "forgotten" else "")
    heard = replace(heard, contact_id=contact_id, left_for=left_for)
    if news.status != "archived":
        return replace(heard, archived_by_us=False, before_archive=None)
    if heard.archived_by_us or member.status in ("archived", "absent"):
        return heard
    return replace(heard, before_archive=member.status)


def _kind(member: Member, news: News, no: OptOut | None, yes_at: datetime | None, opt_out: OptOut | None) -> Kind:
    if yes_at is not None:
        return "resubscribed"
    if news.rule in ("address-changed", "address-arrived"):
        return "address_changed" if news.rule == "address-changed" else "status"
    if no is not None and no.route != "pracbill":
        return "deleted" if news.status == "forgotten" else "bounced" if no.route == "bounce" else "opted_out"
    return "not_accepted" if news.status == "subscribed" and opt_out is not None else "status"


def _entry(member: Member, news: News, kind: Kind, no: OptOut | None, yes_at: datetime | None) -> LedgerEntry | None:
    """The ledger's entry for a change of consent. Archiving is none, and neither is meeting a member first."""
    if no is None and kind == "status" and (member.status == "absent" or "archived" in (member.status, news.status)):
        return None
    rule = {"resubscribed": "resubscribed-there", "not_accepted": "subscribed-not-accepted"}.get(kind, news.rule)
    if no is not None and no.route == "pracbill" and news.status == "unsubscribed":
        rule = "no-carried"
    return LedgerEntry(
        at=yes_at or (no.at if no is not None else news.status_at),
        recorded_at=news.heard_at,
        was=member.status,
        became=news.status,
        who=_speaker(kind, no),
        route=news.route,
        rule=rule,
        evidence=news.evidence,
    )


def _speaker(kind: Kind, no: OptOut | None) -> str:
    if no is not None:
        return SPEAKERS[no.route]
    return SPEAKERS["person"] if kind in ("resubscribed", "address_changed") else SPEAKERS["admin"]


def _untold(address_key: str, news: News, no: OptOut | None, yes_at: datetime | None) -> Untold | None:
    """PracBill hears of every new no that is not its own, and of the person's yes."""
    if yes_at is not None:
        return Untold(address_key, news.address, "subscribed", yes_at, "mailchimp", "subscribed again in Mailchimp")
    if no is None or no.route == "pracbill":
        return None
    return Untold(address_key, news.address, "unsubscribed", no.at, "mailchimp", no.reason)
