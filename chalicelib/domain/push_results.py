"""What becomes of an operation: whether it is still right when its turn comes, and what its outcome means.

The outcome is kept by address (states, refusals, ledger) and told in the run's records. Nothing here sends or stores
anything: sync/runs/apply_phase.py does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from chalicelib.domain.addresses import mask_address
from chalicelib.domain.consent.members import ConsentState, Member, PushRefusal, Status
from chalicelib.domain.consent.observations import Observation
from chalicelib.domain.hold_reasons import HELD
from chalicelib.domain.logs import LedgerEntry, Record
from chalicelib.domain.partly_sent import PARTLY_SENT, explain_partly_sent
from chalicelib.domain.planning import Held, Operation, opt_out_time
from chalicelib.domain.pushed_members import pushed_print
from chalicelib.domain.refusals import Refusal, our_field, refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.domain.fieldmap import LeftOut
    from chalicelib.domain.runs import Run

# Refusals by which Mailchimp tells of an opt-out that we did not know.
CONSENT_REFUSALS = frozenset({"compliance_state", "previously_unsubscribed", "forgotten"})

# An opt-out for which Mailchimp fails is tried so often by the repeats of its chunk, and once in every sync after that.
MOST_OPT_OUT_TRIES = 3

Result = Literal["done", "refused", "held", "unsettled"]


@dataclass(frozen=True, slots=True)
class PushResult:
    """What became of one operation.

    `status` is what we made of the member: the one that we sent, or that it had before. Whatever else Mailchimp's
    answer shows is `shown`, to be applied like any other observation.
    """

    operation: Operation
    result: Result
    status: Status = "absent"
    refusal: Refusal | None = None
    action: str = ""  # what was really done, where it differs from what was planned
    old: Status | None = None  # what became of the old address of a rename
    contact_id: str = ""
    changed_at: datetime | None = None  # when Mailchimp last changed the member, by its answer
    held: str = ""  # fingerprint of what the member holds in our fields, where Mailchimp told
    shown: Observation | None = None
    is_kept: bool = False  # an earlier delivery of the chunk finalised it and has kept the outcome

    @property
    def is_owed(self) -> bool:
        """An opt-out that Mailchimp did not take: it is tried again and again, whatever the refusal."""
        return self.result == "refused" and self.operation.action == "unsubscribe"


def member_object(operation: Operation) -> dict[str, Any]:
    """The object of Mailchimp's bulk call for an operation.

    Updates and adds carry `status_if_new` only, so that a routine push never changes a known status. Unsubscribing
    sends nothing but the status: no merge field may stand in the way of an opt-out.
    """
    member: dict[str, Any] = {"email_address": operation.spelling or operation.address}
    if operation.action == "unsubscribe":
        return member | {"status": "unsubscribed"}
    member["merge_fields"] = operation.values or {}
    if operation.action in ("subscribe", "ask"):
        return member | {"status": operation.status}
    return member | {"status_if_new": operation.status}


def status_foreseen(operation: Operation, member: Member) -> Status | None:
    """What the plan expected an address to be after its operation; `member` as it was before."""
    match operation.action:
        case "update":
            return member.status
        case "archive":
            return "archived"
        case _:
            return operation.status


def foreseen_on_purpose(operation: Operation) -> Status | None:
    """The status that an operation gives to who may have another; None where it gives none, or lowers it for a no."""
    match operation.action:
        case "subscribe":
            return operation.status
        case "archive":
            return "archived"
        case _:
            return None


def told_apart(one: PushResult, shown: Observation, member: Member) -> PushResult:
    """An outcome that tells what we sent from what somebody else did; `member` as it was known before the call.

    Data that were taken are sent all the same. A status that was set on purpose and is not there any more is decided
    anew, once the other word is known.
    """
    expected = status_foreseen(one.operation, member)
    if one.result == "done" and expected is not None:
        one = replace(one, status=expected)
    if shown.status == expected:
        is_other_contact = member.contact_id and shown.contact_id not in ("", member.contact_id)
        return replace(one, shown=shown) if is_other_contact and one.operation.action != "add" else one
    if one.result == "done" and one.operation.action not in ("add", "update", "rename"):
        return PushResult(one.operation, "held", shown=shown)
    return replace(one, shown=shown)


def consent_state_after(
    state: ConsentState, operation: Operation, status: Status, audience_id: str, now: datetime
) -> ConsentState:
    """The consent state after an operation of ours that changed a status on purpose; `now`: before its call."""
    if state.audience_id != audience_id:
        state = ConsentState(audience_id, opt_out=state.opt_out, erased=state.erased, told_no=state.told_no)
    if is_newer(state, now):
        return state
    state = replace(state, status=status, observed_at=now)
    match operation.action:
        case "archive":
            before = state.before_archive if state.archived_by_us else operation.status
            return replace(state, archived_by_us=True, before_archive=before)
        case "ask":
            return replace(state, asked_at=now)
        case "subscribe" | "add" if operation.rule == "consent-given-again":
            # Only the no that the yes was given after ends with it.
            no = state.opt_out
            if no is not None and no.at.isoformat() == operation.known_opt_out:
                # Mailchimp took the yes: an earlier no that is observed later has ended too.
                state = replace(state, opt_out=None, no_seen_at=max(now, state.no_seen_at or now))
            return replace(state, archived_by_us=False)
        case "subscribe" if status != "archived":
            return replace(state, archived_by_us=False, before_archive=None)
        case _:
            return state


def is_newer(state: ConsentState, asked_at: datetime) -> bool:
    """Whether something was observed while the call ran: that counts, not what we made of an older one."""
    return state.observed_at is not None and state.observed_at > asked_at


def still_right(operation: Operation, member: Member) -> bool:
    """Whether nothing was observed since the plan that would forbid the operation."""
    if member.erased:
        return operation.action == "archive"
    if operation.action == "archive":
        return True
    if operation.action == "unsubscribe":
        # The plan remembered the no. When it is gone, a later yes of the person was accepted meanwhile.
        return member.opt_out is not None
    return opt_out_time(member) == operation.known_opt_out


def already_done(operation: Operation, member: Member) -> bool:
    """Whether an earlier delivery of the chunk did it: what is known says just what the operation would bring about."""
    if member.pushed_at is None or member.refusal is not None:
        return False
    match operation.action:
        case "add" | "update" | "rename":
            return member.sent == operation.values_fingerprint and member.status not in ("absent", "archived")
        case "subscribe" | "ask" | "unsubscribe":
            return member.status == operation.status
        case "archive":
            return member.status in ("archived", "absent")


def refused_already(operation: Operation, member: Member, since: datetime | None) -> Refusal | None:
    """The refusal that an earlier delivery of the chunk met; `since` is when the run began to send."""
    kept = member.refusal
    if kept is None or since is None or kept.at < since or kept.inputs != operation.inputs:
        return None
    if operation.action == "unsubscribe" and kept.code == "no_answer" and kept.attempts < MOST_OPT_OUT_TRIES:
        return None
    return refusal(kept.code, field=kept.field, words=kept.text)


def consent_news(results: Iterable[PushResult]) -> list[PushResult]:
    """Outcomes that say something about consent: statuses set on purpose, and refusals for an opt-out."""
    return [
        one
        for one in results
        if (one.refusal is not None and one.refusal.code in CONSENT_REFUSALS)
        or (one.result == "done" and one.operation.action not in ("add", "update", "rename"))
        or (one.result == "done" and one.operation.rule == "consent-given-again")
    ]


def new_members(results: Iterable[PushResult]) -> list[PushResult]:
    """Those who are in the audience from now on, under this address, with the status that we asked for."""
    return [
        one
        for one in results
        if one.result == "done"
        and one.operation.action in ("add", "rename")
        and one.operation.rule != "consent-given-again"
        and one.shown is None
        and one.status == one.operation.status
    ]


def renamed(results: Iterable[PushResult]) -> list[PushResult]:
    """Those whose member goes by another address from now on."""
    return [one for one in results if one.old == "absent" and one.operation.action == "rename"]


def left_archived(one: PushResult) -> PushResult | None:
    """The archiving of an old address that could not be renamed, as if it had been planned by itself."""
    if one.old != "archived":
        return None
    operation = Operation(
        action="archive",
        address_key=one.operation.old_address_key,
        address=one.operation.old_address,
        rule=one.operation.rule,
        customer_id=one.operation.customer_id,
        status="subscribed",  # nobody else is planned to be renamed
    )
    return PushResult(operation, "done", status="archived")


def ledger_entry(run: Run, one: PushResult, was: Status, now: datetime) -> LedgerEntry:
    """The ledger's entry for a status that we changed, the same in a repeat of the chunk."""
    return LedgerEntry(
        at=run.apply_started_at or now,
        recorded_at=now,
        was=was,
        became=one.status,
        who="this service",
        route="sync",
        rule=one.operation.rule,
        evidence={"run": run.id},
    )


def next_refusal(member: Member, refusal: Refusal, inputs: str, now: datetime) -> PushRefusal:
    """What is kept of a refusal: when to try again, later each time the same is refused for the same cause."""
    attempts = next_attempt(member.refusal, refusal.code, inputs)
    delay = refusal.retry.next_delay(attempts)
    return PushRefusal(
        code=refusal.code,
        text=refusal.words,
        at=now,
        attempts=attempts,
        inputs=inputs,
        retry_at=now + delay if delay is not None else None,
        field=refusal.field,
    )


def next_attempt(before: PushRefusal | None, code: str, inputs: str) -> int:
    """How often the same has been refused for the same cause, this time included."""
    again = before is not None and before.code == code and before.inputs == inputs
    return before.attempts + 1 if before is not None and again else 1


def record_about(one: Operation | Held, at: datetime, *, action: str) -> Record:
    """The record of an address with which all went well, by the rule that decided about it."""
    return Record(
        key=one.address_key,
        customer_id=one.customer_id,
        address=mask_address(one.address),
        action=action,
        outcome="done",
        code=one.rule,
        cause="",
        fix="",
        at=at,
    )


def record_of(one: PushResult, at: datetime) -> Record:
    """What the run's records say of an operation, with cause and fix where it was not done."""
    operation = one.operation
    record = record_about(operation, at, action=one.action or operation.action)
    if one.result == "done":
        return partly_sent_record(record, operation.left_out) if operation.left_out else record
    if one.refusal is not None:
        refusal = one.refusal
        told = replace(record, outcome="refused", code=refusal.code, cause=refusal.told, fix=refusal.fix)
        return replace(told, params=refusal.params)
    code = "changed_meanwhile" if one.result == "held" else "chunk_failed"
    outcome: Literal["held", "failed"] = "held" if one.result == "held" else "failed"
    return replace(record, outcome=outcome, code=code, cause=HELD[code].cause, fix=HELD[code].fix)


def partly_sent_record(record: Record, left_out: Sequence[LeftOut]) -> Record:
    """The record of a customer who is in Mailchimp without all values."""
    words = explain_partly_sent(left_out)
    return replace(record, outcome=PARTLY_SENT, code=left_out[0].code, cause=words.cause, fix=words.fix)


def refused_value(one: PushResult) -> str:
    """The tag of the value for which Mailchimp refused a member; empty where there was another reason."""
    if one.result != "refused" or one.refusal is None or not one.refusal.code.startswith("merge_field_"):
        return ""
    tag = our_field(one.refusal.field, one.refusal.words)
    return tag if (one.operation.values or {}).get(tag) else ""


def refused_values(left_out: Iterable[LeftOut]) -> tuple[LeftOut, ...]:
    """What was left out because Mailchimp refused it, and not because the plan said so."""
    return tuple(one for one in left_out if one.code in ("value_refused", "state_missing"))


def pushed_prints(results: Iterable[PushResult]) -> list[bytes]:
    """What the next pull need not read: members as Mailchimp's answers showed them, where that is what we sent."""
    done = (one for one in results if one.result == "done" and one.shown is None)
    prints = (pushed_print(one.operation.address_key, one.contact_id, one.status, one.changed_at) for one in done)
    return [one for one in prints if one]


def counted_as(one: PushResult) -> str:
    """The name under which a run counts an outcome."""
    match one.result:
        case "done":
            return one.action or one.operation.action
        case "refused":
            return "refused"
        case "held":
            return "held"
        case _:
            return "lost"
