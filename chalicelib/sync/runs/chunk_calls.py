"""The calls to Mailchimp for one chunk: what is sent for each operation, and what the answers say of it.

An answer shows a member as it is by then. What it shows and we did not ask for (a status, another address, another
contact) is somebody else's doing, in the moments since the pull: it is kept apart from what we sent, and applied.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain.fieldmap import WANTED_FIELDS, values_fingerprint
from chalicelib.domain.planning import Operation, lacks_state, without_value
from chalicelib.domain.push_results import (
    MOST_OPT_OUT_TRIES,
    PushResult,
    member_object,
    next_attempt,
    refused_value,
    told_apart,
)
from chalicelib.domain.refusals import Refusal, classify, refusal, wants_complete_address
from chalicelib.errors import RetryLater, StopRun
from chalicelib.mailchimp.answers import PushAnswer, RefusedMember, RemoteMember
from chalicelib.sync.runs.moved_contacts import MovedContacts
from chalicelib.sync.runs.single_calls import REST_FOLLOWS, SingleCalls, result_of_failed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.consent.members import Member
    from chalicelib.domain.departments import Department
    from chalicelib.domain.runs import Run
    from chalicelib.http_client.calls import FailedAlike
    from chalicelib.sync.account.audience_fields import AudienceFields
    from chalicelib.sync.consent.address_changes import AddressChanges
    from chalicelib.sync.ports import Clock
    from chalicelib.sync.runs.sending import Sending
    from chalicelib.sync.runs.single_calls import Interruption

# The halves of a refused bulk call take their time as well.
SECONDS_FOR_A_BULK_CALL = 60.0


class ChunkCalls:
    def __init__(self, *, address_changes: AddressChanges, fields: AudienceFields, clock: Clock) -> None:
        self._moved = MovedContacts(address_changes, clock)
        self._fields = fields

    def send(
        self, run: Run, sending: Sending, operations: Sequence[Operation]
    ) -> tuple[list[PushResult], Interruption | None]:
        """Carry out the operations, in part where a value of a field is refused.

        What interrupted that is answered too: what is done must be kept first.
        """
        sent, interruption = self._send(sending, operations)
        return (sent, interruption) if interruption is not None else self._send_in_part(run, sending, sent)

    def _send(self, sending: Sending, operations: Sequence[Operation]) -> tuple[list[PushResult], Interruption | None]:
        """Carry out the operations. What interrupted that is answered too: what is done must be kept first."""
        results = self._unsubscribed_since(sending, [o for o in operations if o.action == "subscribe"])
        held = frozenset(one.operation.address_key for one in results)
        pushed, interruption = self._bulk(sending, [o for o in operations if o.is_bulk and o.address_key not in held])
        results += pushed
        if interruption is None:
            singles, interruption = self._singles(sending, [o for o in operations if not o.is_bulk])
            results += singles
        results, unasked = self._moved.find(sending, results)
        return results, interruption or unasked

    def _send_in_part(
        self, run: Run, sending: Sending, sent: list[PushResult]
    ) -> tuple[list[PushResult], Interruption | None]:
        """Send again, without the value, whom Mailchimp refused for a field of ours: one value costs nobody the rest.

        The audience is looked at before that where a missing state does not explain the refusals: its fields may have
        changed after the plan. Whom an interruption leaves out goes with the repeat.
        """
        interruption: Interruption | None = None
        audience = sending.department.audience
        for number in range(len(WANTED_FIELDS)):
            refused = [one for one in sent if refused_value(one)]
            if not refused or interruption is not None:
                break
            sent = [one for one in sent if not refused_value(one)]
            if sending.remaining() < SECONDS_FOR_A_BULK_CALL:
                return sent, RetryLater(REST_FOLLOWS)
            if number == 0:
                try:
                    audience = self._learn(run, sending, refused).audience
                except (RetryLater, StopRun) as unlearnt:
                    return sent, unlearnt
            assert audience is not None
            again = [
                without_value(one.operation, refused_value(one), _refusal_words(one), audience.fields)
                for one in refused
            ]
            more, interruption = self._send(sending, again)
            sent += more
        return sent, interruption

    def _learn(self, run: Run, sending: Sending, refused: Sequence[PushResult]) -> Department:
        """What refused values say of the audience: that it wants states, or that its fields may have changed."""
        department = sending.department
        stateless = [
            one
            for one in refused
            if lacks_state(one.operation, refused_value(one)) and wants_complete_address(_refusal_words(one))
        ]
        if stateless:
            department = self._fields.note_state_required(department)
        if len(stateless) < len(refused):
            department = self._fields.look_again(run, department, sending.mailchimp)
        return department

    def _unsubscribed_since(self, sending: Sending, operations: Sequence[Operation]) -> list[PushResult]:
        """Who is to be subscribed and was unsubscribed since the pull: what an admin did, the call would undo."""
        wanted = {o.address: o for o in operations if sending.member(o.address_key).status != "unsubscribed"}
        if not wanted:
            return []
        pages = sending.mailchimp.members_changed(sending.audience_id, since=sending.pulled_at, status="unsubscribed")
        found = [member for page in pages for member in page if member.address in wanted]
        return [PushResult(wanted[member.address], "held", shown=sending.observation(member)) for member in found]

    def _bulk(self, sending: Sending, operations: Sequence[Operation]) -> tuple[list[PushResult], Interruption | None]:
        """The bulk call, divided where it fails as a whole. What interrupted it is answered too.

        Who made it fail before goes in a call of its own, after the others.
        """
        answer, interruption = PushAnswer(), None
        alone = [o for o in operations if _made_calls_fail(o, sending)]
        together = [o for o in operations if o not in alone]
        for part in [together, *([o] for o in alone)]:
            if interruption is None and part:
                answer, interruption = self._push(sending, part, answer)
        untried = frozenset(answer.untried)
        pushed = self._read_answer(sending, answer, [o for o in operations if o.address not in untried])
        results, insisting = self._insist(sending, pushed)
        return results, interruption or insisting

    def _push(
        self, sending: Sending, operations: Sequence[Operation], before: PushAnswer
    ) -> tuple[PushAnswer, Interruption | None]:
        """The answer `before` and that of another push; of what interrupts that one nothing before it is lost."""
        try:
            answer = sending.mailchimp.push_surely(
                sending.audience_id,
                [member_object(o) for o in operations],
                go_on=lambda: sending.remaining() > SECONDS_FOR_A_BULK_CALL,
            )
        except (RetryLater, StopRun) as later:
            return before + PushAnswer(untried=tuple(o.address for o in operations)), later
        return before + answer, RetryLater(REST_FOLLOWS) if answer.untried else None

    def _read_answer(self, sending: Sending, answer: PushAnswer, operations: Sequence[Operation]) -> list[PushResult]:
        """What became of each operation of a bulk call."""
        good = {member.address: member for member in answer.created + answer.updated}
        refused = {member.address: member for member in answer.refused}
        created = frozenset(member.address for member in answer.created)
        # Who changed the address while the call ran is answered with the new one.
        elsewhere = {member.contact_id: member for member in answer.updated if member.contact_id}
        results = []
        for operation in operations:
            member = good.get(operation.address)
            moved = elsewhere.get(sending.member(operation.address_key).contact_id)
            if member is None and operation.address not in refused and moved is not None:
                self._moved.apply(sending, operation.address, moved, sending.asked_at)
                results.append(PushResult(operation, "held"))
                continue
            is_new = operation.address in created
            results.append(_bulk_result(sending, operation, member, refused.get(operation.address), is_new=is_new))
        return results

    def _insist(self, sending: Sending, pushed: Sequence[PushResult]) -> tuple[list[PushResult], Interruption | None]:
        """Retry each opt-out that the bulk call refused by a call of its own, sending only the status.

        Mailchimp may judge the address, or the fields it holds, of whoever stands in a bulk call; neither may keep an
        opt-out from it. Whom an interruption leaves out goes with the repeat, and so does at first whose calls fail.
        """
        owed = {one.operation.address: one for one in pushed if one.is_owed}
        failing: list[FailedAlike] = []

        def finalise(operation: Operation, failed: FailedAlike) -> PushResult:
            kept = sending.member(operation.address_key).refusal
            if next_attempt(kept, "no_answer", operation.inputs) < MOST_OPT_OUT_TRIES:
                failing.append(failed)
            return result_of_failed(operation, failed)

        calls = SingleCalls(
            lambda operation: self._unsubscribe(sending, owed[operation.address]),
            is_up=sending.mailchimp.is_up,
            remaining=sending.remaining,
        )
        told, interruption = calls.make([one.operation for one in owed.values()], finalise)
        results = [one for one in pushed if not one.is_owed] + told
        return results, interruption or next(iter(failing), None)

    def _unsubscribe(self, sending: Sending, refused: PushResult) -> PushResult:
        """A call of its own for an opt-out that was refused in the bulk call."""
        operation = refused.operation
        answer = sending.mailchimp.set_member_status(sending.audience_id, operation.address, "unsubscribed")
        if answer.outcome == "refused":
            return refused
        known = sending.member(operation.address_key)
        if answer.outcome == "absent":
            return self._moved.missing(sending, operation, operation.address, known.contact_id)
        result = PushResult(operation, "done", status="unsubscribed")
        return _told_apart(sending, result, answer.member, known) if answer.member is not None else result

    def _singles(
        self, sending: Sending, operations: Sequence[Operation]
    ) -> tuple[list[PushResult], Interruption | None]:
        """Single calls one after another. What interrupted them is answered too: what is done must be kept first."""
        calls = SingleCalls(
            lambda operation: self._single(sending, operation),
            is_up=sending.mailchimp.is_up,
            remaining=sending.remaining,
        )
        return calls.make(operations)

    def _single(self, sending: Sending, operation: Operation) -> PushResult:
        return self._archive(sending, operation) if operation.action == "archive" else self._rename(sending, operation)

    def _archive(self, sending: Sending, operation: Operation) -> PushResult:
        """Archive a member that is as we know it. Archiving hides what it was, so it is looked at before."""
        known = sending.member(operation.address_key)
        before = sending.mailchimp.member(sending.audience_id, operation.address)
        if before is None:
            return self._moved.missing(sending, operation, operation.address, known.contact_id)
        if before.status not in (known.status, "archived"):
            return PushResult(operation, "held", shown=sending.observation(before))
        answer = sending.mailchimp.archive_member(sending.audience_id, operation.address)
        if answer.outcome == "absent":
            return self._moved.missing(sending, operation, operation.address, known.contact_id)
        if answer.outcome == "done" or answer.refused is None:
            return PushResult(operation, "done", status="archived")
        if answer.member is not None and answer.member.status != known.status:
            return PushResult(operation, "held", shown=sending.observation(answer.member))
        return PushResult(operation, "refused", refusal=_classified(answer.refused))

    def _rename(self, sending: Sending, operation: Operation) -> PushResult:
        """Give a member its new address; where Mailchimp does not, add the new one and archive or keep the old one."""
        mailchimp, audience_id = sending.mailchimp, sending.audience_id
        answer = mailchimp.rename_member(audience_id, operation.old_address, operation.address, operation.values or {})
        if answer.outcome == "done":
            return self._renamed(sending, operation, answer.member)
        refusal = _classified(answer.refused) if answer.refused is not None else None
        result = PushResult(operation, "refused", refusal=refusal)
        if refused_value(result):
            return result
        contact_id = sending.member(operation.old_address_key).contact_id
        old = mailchimp.member(audience_id, operation.old_address)
        if old is None:
            new = mailchimp.member(audience_id, operation.address)
            if new is None or (contact_id and new.contact_id not in ("", contact_id)):
                return self._moved.missing(sending, operation, operation.old_address, contact_id)
            # An earlier delivery of the chunk renamed it.
            return replace(self._push_one(sending, operation), old="absent")
        refused = refusal.code if refusal is not None else ""
        # Archived: an earlier delivery of the chunk got as far as that.
        if old.status not in (("archived",) if refused == "cannot_rename" else ("archived", "subscribed")):
            # The member is not subscribed any more: the next plan decides with that.
            return PushResult(operation, "held", shown=sending.observation(old))
        if sending.department.settings.consent.on_removed == "keep":
            return replace(self._push_one(sending, operation), action="add")
        archived = mailchimp.archive_member(audience_id, operation.old_address)
        if archived.outcome == "refused" and archived.member is not None:
            return PushResult(operation, "held", shown=sending.observation(archived.member))
        result = self._push_one(sending, operation)
        return replace(result, action="add", old="archived" if archived.outcome == "done" else None)

    def _renamed(self, sending: Sending, operation: Operation, member: RemoteMember | None) -> PushResult:
        result = PushResult(operation, "done", status="subscribed", old="absent")
        if member is None:
            return result
        result = replace(result, contact_id=member.contact_id, held=_held(operation, member))
        if member.address not in ("", operation.address):
            # The person has changed it once more.
            self._moved.apply(sending, operation.address, member, sending.asked_at)
            return result
        return _told_apart(sending, result, member, sending.member(operation.address_key), pre_existing=False)

    def _push_one(self, sending: Sending, operation: Operation) -> PushResult:
        answer = sending.mailchimp.push_surely(sending.audience_id, [member_object(operation)])
        return self._read_answer(sending, answer, [operation])[0]


def _bulk_result(
    sending: Sending, operation: Operation, good: RemoteMember | None, refused: RefusedMember | None, *, is_new: bool
) -> PushResult:
    if good is None and refused is None:
        return PushResult(operation, "unsettled")
    if good is None:
        assert refused is not None
        return PushResult(operation, "refused", refusal=_classified(refused))
    known = sending.member(operation.address_key)
    held = _held(operation, good)
    result = PushResult(
        operation,
        "done",
        status=good.status,
        contact_id=good.contact_id,
        changed_at=good.last_changed,
        held=held,
        # With another status than ours it came without us; else an earlier delivery of the chunk may have added it.
        action="update" if operation.action == "add" and not is_new and good.status != operation.status else "",
    )
    if good.status == "archived" and operation.action in ("subscribe", "ask"):
        # What brings archived contacts back is known of `subscribed` alone. Taken for done it would be sent for ever.
        result = PushResult(operation, "refused", refusal=refusal("stays_archived"))
    return _told_apart(sending, result, good, known, pre_existing=False if is_new else None)


def _held(operation: Operation, member: RemoteMember) -> str:
    """What the member holds, by the answer, in the fields that were sent; empty where the answer does not tell."""
    if not operation.values or not member.merge_fields:
        return ""
    return values_fingerprint({tag: member.merge_fields.get(tag, "") for tag in operation.values})


def _told_apart(
    sending: Sending, one: PushResult, shown: RemoteMember, known: Member, *, pre_existing: bool | None = None
) -> PushResult:
    return told_apart(one, replace(sending.observation(shown), pre_existing=pre_existing), known)


def _made_calls_fail(operation: Operation, sending: Sending) -> bool:
    kept = sending.member(operation.address_key).refusal
    return kept is not None and kept.code == "no_answer"


def _refusal_words(one: PushResult) -> str:
    return one.refusal.words if one.refusal is not None else ""


def _classified(refused: RefusedMember) -> Refusal:
    return classify(refused.text, refused.code, refused.field, refused.field_message, address=refused.address)
