"""Applying one chunk: at most 500 addresses in one call to Mailchimp, each answer kept where it belongs.

A chunk may be delivered twice, late, or after a crash at any line. Before the call each operation is held against what
is known by now; after it the outcomes are written by address (the same again when repeated), and last the chunk is
counted in its run, in a transaction that happens once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.consent.members import ConsentState, Member, Push, PushRefusal, Status
from chalicelib.domain.departments import Department
from chalicelib.domain.fieldmap import values_fingerprint
from chalicelib.domain.planning import Operation
from chalicelib.domain.push_results import (
    CONSENT_REFUSALS,
    MOST_OPT_OUT_TRIES,
    PushResult,
    already_done,
    consent_news,
    consent_state_after,
    counted_as,
    is_newer,
    ledger_entry,
    left_archived,
    member_object,
    new_members,
    next_attempt,
    next_refusal,
    record_of,
    refused_already,
    renamed,
    status_foreseen,
    still_right,
)
from chalicelib.domain.refusals import Refusal, classify, refusal
from chalicelib.domain.runs import Run
from chalicelib.errors import RetryLater
from chalicelib.http_client.calls import FailedAlike
from chalicelib.mailchimp.answers import MemberAnswer, PushAnswer, RefusedMember, RemoteMember
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.store.batches import Request, map_concurrently
from chalicelib.store.departments import DepartmentStore
from chalicelib.store.logs import LedgerStore, LogStore
from chalicelib.store.members import MemberStates, MemberStore
from chalicelib.store.runs import RunStore
from chalicelib.store.tag_rechecks import put_check
from chalicelib.sync.consent.address_changes import AddressChange, AddressChanges
from chalicelib.sync.consent.erasure import erased_among
from chalicelib.sync.ports import Clock, ConsentObservations, Meter, Remaining
from chalicelib.sync.runs.single_calls import REST_FOLLOWS, SingleCalls, settle_failed

# The halves of a refused bulk call take their time as well.
_SECONDS_FOR_A_BULK_CALL = 60.0
# New contacts are rare; should an audience get many at once, the next full pull finds who moved.
_MOST_CONTACTS_ASKED = 20
# The change marker of an address that the next run takes up by itself.
RETRY_MARK = "retry"


class ApplyPhase:
    def __init__(
        self,
        *,
        departments: DepartmentStore,
        members: MemberStore,
        runs: RunStore,
        logs: LogStore,
        ledger: LedgerStore,
        observations: ConsentObservations,
        clock: Clock,
        meter: Meter,
    ) -> None:
        self._departments = departments
        self._members = members
        self._runs = runs
        self._logs = logs
        self._ledger = ledger
        self._observations = observations
        self._address_changes = AddressChanges(members, observations)
        self._clock = clock
        self._meter = meter

    def apply(
        self, run: Run, department: Department, number: int, mailchimp: MailchimpClient, remaining: Remaining
    ) -> Run:
        """Carry out a chunk and count it. A chunk that is closed already is left alone; answers the run as stored."""
        operations = self._runs.chunk(run, number)
        if operations is None:
            return run
        audience_id = department.audience_id
        known = self._members.member_states(department.id, [*_keys(operations), *_old_keys(operations)])
        # Taken before the call: a word heard while it runs is newer than its answer.
        asked_at = self._clock()
        fresh, results = _sort_out(operations, known, audience_id, since=run.apply_started_at)
        pushed, interruption = self._bulk(audience_id, [o for o in fresh if o.is_bulk], known, mailchimp, remaining)
        results += pushed
        if interruption is None:
            single = [o for o in fresh if not o.is_bulk]
            singles, interruption = self._singles(audience_id, single, mailchimp, remaining)
            results += singles
        results, unasked = self._find_moved(department, results, known, mailchimp)
        interruption = interruption or unasked
        # Who was erased while the call ran may be there by it: the erasure came too early to find them.
        erased = self._erased(department, results)
        results = [PushResult(o, "held") if (o := one.operation).address_key in erased else one for one in results]
        self._keep(run, department, results, known, asked_at)
        for address in {one.operation.address for one in results if one.operation.address_key in erased}:
            try:
                mailchimp.delete_permanently(audience_id, address)
            except RetryLater as later:
                interruption = later
        if interruption is not None:
            raise interruption
        return self._count(run, number, results)

    def _find_moved(
        self,
        department: Department,
        results: Sequence[PushResult],
        known: dict[str, MemberStates],
        mailchimp: MailchimpClient,
    ) -> tuple[list[PushResult], RetryLater | None]:
        """Look after those whose write met another contact than the one we knew; the rest is answered as it was.

        Where that could not be done, what interrupted it is answered too, and who is left out comes with the repeat.
        """
        kept: list[PushResult] = []
        asked = 0
        interruption: RetryLater | None = None
        for one in results:
            before = _contact_before(one, known, department.audience_id)
            if not before or asked == _MOST_CONTACTS_ASKED:
                kept.append(one)
            elif interruption is None:
                asked += 1
                try:
                    kept.append(self._moved_unheard(department, one, before, mailchimp))
                except FailedAlike as failed:
                    if mailchimp.is_up():
                        kept.append(settle_failed(one.operation, failed))
                    else:
                        interruption = failed
                except RetryLater as later:
                    interruption = later
        return kept, interruption

    def _moved_unheard(
        self, department: Department, one: PushResult, before: str, mailchimp: MailchimpClient
    ) -> PushResult:
        """When the contact we knew is found under another address, the person changed it without our hearing, and the
        write made a new member of the old address. It goes again, and a no goes to where the person is.
        """
        operation, audience_id = one.operation, department.audience_id
        asked_at = self._clock()
        found = mailchimp.contact(audience_id, before)
        if found is None or found.address in ("", operation.address):
            return one
        mailchimp.archive_member(audience_id, operation.address)
        move = AddressChange(operation.address, found.address, found, found.last_changed or asked_at, asked_at, "sync")
        self._address_changes.apply(department, mailchimp, move, was_there=True)
        return PushResult(operation, "held")

    def _erased(self, department: Department, results: Sequence[PushResult]) -> frozenset[str]:
        """Whose data were erased by now, of those to whom more was to be done than archiving."""
        now = self._departments.get(department.id)
        if now is None or not now.has_erasures:
            return frozenset()
        keys = [one.operation.address_key for one in results if one.operation.action != "archive"]
        return erased_among(self._members, department.id, keys)

    def fail(self, run: Run, department: Department, number: int) -> Run:
        """Close a chunk that could not be delivered to its end; whom it left out goes with a later run."""
        operations = self._runs.chunk(run, number)
        if operations is None:
            return run
        known = self._members.member_states(department.id, _keys(operations))
        fresh, results = _sort_out(operations, known, department.audience_id, since=run.apply_started_at)
        results += [PushResult(operation, "unsettled") for operation in fresh]
        later = [one for one in results if one.result in ("held", "unsettled")]
        self._logs.add_records(run.department_id, run.id, [record_of(one, self._clock()) for one in later])
        self._members.write([request for one in later for request in self._mark_requests(run.department_id, one)])
        return self._count(run, number, results, is_failed=True)

    # ------------------------------------------------------------------------------------------------ calls

    def _bulk(
        self,
        audience_id: str,
        operations: Sequence[Operation],
        known: dict[str, MemberStates],
        mailchimp: MailchimpClient,
        remaining: Remaining,
    ) -> tuple[list[PushResult], RetryLater | None]:
        """The bulk call, divided where it fails as a whole. What interrupted it is answered too.

        Who made it fail before goes in a call of its own, after the others.
        """
        answer, interruption = PushAnswer(), None
        alone = [o for o in operations if _made_calls_fail(o, known, audience_id)]
        together = [o for o in operations if o not in alone]
        for part in [together, *([o] for o in alone)]:
            if interruption is None and part:
                answer, interruption = self._push(audience_id, part, answer, mailchimp, remaining)
        good = {member.address: member for member in answer.created + answer.updated}
        refused = {member.address: member for member in answer.refused}
        untried = frozenset(answer.untried)
        tried = [o for o in operations if o.address not in untried]
        pushed = [_bulk_result(o, good.get(o.address), refused.get(o.address)) for o in tried]
        results, insisting = self._insist(audience_id, pushed, known, mailchimp, remaining)
        return results, interruption or insisting

    def _push(
        self,
        audience_id: str,
        operations: Sequence[Operation],
        before: PushAnswer,
        mailchimp: MailchimpClient,
        remaining: Remaining,
    ) -> tuple[PushAnswer, RetryLater | None]:
        """The answer `before` and that of another push; of what interrupts that one nothing before it is lost."""
        objects = [member_object(o) for o in operations]
        try:
            answer = mailchimp.push_surely(audience_id, objects, go_on=lambda: remaining() > _SECONDS_FOR_A_BULK_CALL)
        except RetryLater as later:
            return before + PushAnswer(untried=tuple(o.address for o in operations)), later
        return before + answer, RetryLater(REST_FOLLOWS) if answer.untried else None

    def _insist(
        self,
        audience_id: str,
        pushed: Sequence[PushResult],
        known: dict[str, MemberStates],
        mailchimp: MailchimpClient,
        remaining: Remaining,
    ) -> tuple[list[PushResult], RetryLater | None]:
        """Opt-outs that the bulk call refused, told once more by a call each that names nothing but the status.

        Mailchimp may judge the address, or the fields it holds, of whoever stands in a bulk call; neither may keep an
        opt-out from it. Whom an interruption leaves out goes with the repeat, and so does at first whose calls fail.
        """
        owed = {one.operation.address: one for one in pushed if _is_owed(one)}
        failing: list[FailedAlike] = []

        def insist(operation: Operation) -> PushResult:
            answer = mailchimp.set_member_status(audience_id, operation.address, "unsubscribed")
            return _status_result(owed[operation.address], answer)

        def finalise(operation: Operation, failed: FailedAlike) -> PushResult:
            kept = _refusal_before(operation, known, audience_id)
            if next_attempt(kept, "no_answer", operation.inputs) < MOST_OPT_OUT_TRIES:
                failing.append(failed)
            return settle_failed(operation, failed)

        calls = SingleCalls(insist, is_up=mailchimp.is_up, remaining=remaining)
        told, interruption = calls.make([one.operation for one in owed.values()], finalise)
        results = [one for one in pushed if not _is_owed(one)] + told
        return results, interruption or next(iter(failing), None)

    def _singles(
        self, audience_id: str, operations: Sequence[Operation], mailchimp: MailchimpClient, remaining: Remaining
    ) -> tuple[list[PushResult], RetryLater | None]:
        """Single calls one after another. What interrupted them is answered too: what is done must be kept first."""
        calls = SingleCalls(
            lambda operation: self._single(audience_id, operation, mailchimp),
            is_up=mailchimp.is_up,
            remaining=remaining,
        )
        return calls.make(operations)

    def _single(self, audience_id: str, operation: Operation, mailchimp: MailchimpClient) -> PushResult:
        if operation.action == "archive":
            return _archive_result(operation, mailchimp.archive_member(audience_id, operation.address))
        values = operation.values or {}
        answer = mailchimp.rename_member(audience_id, operation.old_address, operation.address, values)
        if answer.outcome == "done":
            member = answer.member
            return PushResult(
                operation,
                "done",
                status="subscribed",
                old="absent",
                contact_id=member.contact_id if member is not None else "",
                held=_held(operation, member) if member is not None else "",
            )
        refused = _classified(answer.refused).code if answer.refused is not None else ""
        if refused in ("cannot_rename", "rename_clash"):
            old = mailchimp.member(audience_id, operation.old_address)
            # Archived: an earlier delivery of the chunk got as far as that.
            movable = ("archived",) if refused == "cannot_rename" else ("archived", "subscribed")
            if old is None or old.status not in movable:
                # The member is not subscribed any more: that is news, and the next plan decides with it.
                return PushResult(operation, "held")
        return self._archive_and_add(audience_id, operation, mailchimp)

    def _archive_and_add(self, audience_id: str, operation: Operation, mailchimp: MailchimpClient) -> PushResult:
        """The other way to change an address, where Mailchimp does not rename: old one archived, new one added."""
        archived = mailchimp.archive_member(audience_id, operation.old_address)
        old: dict[str, Status] = {"done": "archived", "absent": "absent"}
        answer = mailchimp.push_surely(audience_id, [member_object(operation)])
        good = next(iter(answer.created + answer.updated), None)
        results = _bulk_result(operation, good, next(iter(answer.refused), None))
        return replace(results, action="add", old=old.get(archived.outcome))

    # ------------------------------------------------------------------------------------------------ keeping

    def _keep(
        self,
        run: Run,
        department: Department,
        results: Sequence[PushResult],
        known: dict[str, MemberStates],
        now: datetime,
    ) -> None:
        """Write what became of each address: consent first, then records, then what was sent, marks last."""
        audience_id = department.audience_id
        new = [one for one in results if not one.is_kept]
        moved = [left for one in new if (left := left_archived(one))]
        self._note_new_members(run, department, new_members(new), known, now)
        map_concurrently(lambda one: self._keep_consent(run, department, one, known, now), consent_news(new + moved))
        map_concurrently(lambda one: self._keep_leaving(department, one.operation, now), renamed(new))
        self._logs.add_records(run.department_id, run.id, [record_of(one, now) for one in new])
        pushes = [r for one in new + moved for r in self._push_requests(department.id, audience_id, one, known, now)]
        self._members.write(_each_once(pushes))
        marks = [request for one in results for request in self._mark_requests(department.id, one)]
        self._members.write(_each_once(marks))

    def _mark_requests(self, department_id: str, one: PushResult) -> list[Request]:
        """Settled addresses leave the list of touched ones; what is to be tried again by itself stays on it."""
        if (
            _is_owed(one)
            or one.result in ("held", "unsettled")
            or (one.refusal is not None and one.refusal.retry.delays)
        ):
            return [self._members.put_mark(department_id, one.operation.address_key, RETRY_MARK)]
        return [self._members.delete_mark(department_id, mark) for mark in one.operation.marks]

    def _push_requests(
        self, department_id: str, audience_id: str, one: PushResult, known: dict[str, MemberStates], now: datetime
    ) -> list[Request]:
        operation = one.operation
        before = known.get(operation.address_key)
        member = before.member(audience_id) if before else Member(operation.address_key, operation.address)
        if one.result == "done":
            push = Push(
                audience_id=audience_id,
                status=one.status,
                pushed_at=now,
                owner=operation.customer_id,
                sent=operation.values_fingerprint if operation.values is not None else member.sent,
                held=one.held if operation.values is not None else member.held,
                rule=operation.rule,
                contact_id=one.contact_id or member.contact_id,
            )
            requests = [self._members.put_push(department_id, operation.address_key, operation.address, push)]
            if one.old == "absent":
                requests.append(self._members.delete_push(department_id, operation.old_address_key))
            if one.status != status_foreseen(operation, member):
                requests.append(put_check(department_id, operation.address_key))
            return requests
        if one.result != "refused" or one.refusal is None:
            return []
        push = Push(
            audience_id=audience_id,
            status=member.status,
            pushed_at=member.pushed_at,
            owner=member.owner or operation.customer_id,
            sent=member.sent,
            held=member.held,
            refusal=next_refusal(member, one.refusal, operation.inputs, now),
            contact_id=member.contact_id,
        )
        # The plan took it for granted that campaigns would reach this one.
        check = put_check(department_id, operation.address_key)
        return [self._members.put_push(department_id, operation.address_key, operation.address, push), check]

    def _keep_consent(
        self, run: Run, department: Department, one: PushResult, known: dict[str, MemberStates], now: datetime
    ) -> None:
        """What an outcome means for the consent state and the ledger."""
        operation = one.operation
        if one.refusal is not None and one.refusal.code in CONSENT_REFUSALS:
            self._observations.refused(department, operation, one.refusal.code, now)
            return
        audience_id = department.audience_id
        member_states = known.get(operation.address_key)
        was = member_states.member(audience_id).status if member_states else "absent"
        if was != one.status:
            # Before the facet, by which a repeat would take the change for known. The time is the same in a repeat.
            self._ledger.append(department.id, operation.address_key, ledger_entry(run, one, was, now))

        def consent_state(state: ConsentState) -> ConsentState:
            return consent_state_after(state, operation, one.status, audience_id, now)

        self._members.change_consent_state(department.id, operation.address_key, operation.address, consent_state)

    def _note_new_members(
        self,
        run: Run,
        department: Department,
        added: Sequence[PushResult],
        known: dict[str, MemberStates],
        now: datetime,
    ) -> None:
        """The ledger's entries for those who were not in the audience: subscribed now, or non-subscribed."""
        entries = []
        for one in added:
            states = known.get(one.operation.address_key)
            was = states.member(department.audience_id).status if states else "absent"
            if was != one.status:
                entries.append((one.operation.address_key, ledger_entry(run, one, was, now)))
        self._ledger.append_all(department.id, entries)

    def _keep_leaving(self, department: Department, operation: Operation, now: datetime) -> None:
        """A member was renamed: its old address is in the audience no longer, and nobody opted out."""

        def left(state: ConsentState) -> ConsentState:
            if state.audience_id != department.audience_id or is_newer(state, now):
                return state
            return replace(state, status="absent", observed_at=now, contact_id="")

        self._members.change_consent_state(department.id, operation.old_address_key, operation.old_address, left)

    def _count(self, run: Run, number: int, results: Sequence[PushResult], *, is_failed: bool = False) -> Run:
        now = self._clock()
        counts: dict[str, int] = {}
        for one in results:
            # Of a chunk that failed the run's message says that its customers come again.
            if not (is_failed and one.result == "unsettled"):
                name = counted_as(one)
                counts[name] = counts.get(name, 0) + 1
        done = sum(1 for one in results if one.result in ("done", "held"))
        lost = sum(1 for one in results if one.result == "unsettled")
        refused = counts.get("refused", 0)
        self._meter.count("MembersPushed", done)
        self._meter.count("MembersRefused", refused)
        self._meter.count("RefusalsUnknown", sum(1 for one in results if _is_unknown(one)))

        def counted(stored: Run) -> Run:
            return replace(
                stored,
                chunks_done=stored.chunks_done + (not is_failed),
                chunks_failed=stored.chunks_failed + is_failed,
                done=stored.done + done,
                failed=stored.failed + refused + lost,
                opt_outs_refused=stored.opt_outs_refused + sum(map(_is_owed, results)),
                counts={n: stored.counts.get(n, 0) + counts.get(n, 0) for n in stored.counts | counts},
                progress_at=now,
                last_chunk_at=now,
            )

        return self._runs.complete_chunk(run, number, "failed" if is_failed else "done", counted)


def _sort_out(
    operations: Iterable[Operation], known: dict[str, MemberStates], audience_id: str, *, since: datetime | None
) -> tuple[list[Operation], list[PushResult]]:
    """The operations to carry out, and those that are settled without a call."""
    fresh: list[Operation] = []
    results: list[PushResult] = []
    for operation in operations:
        member_states = known.get(operation.address_key)
        member = (
            member_states.member(audience_id) if member_states else Member(operation.address_key, operation.address)
        )
        if not still_right(operation, member):
            results.append(PushResult(operation, "held"))
        elif already_done(operation, member):
            results.append(PushResult(operation, "done", status=member.status))
        elif refused := refused_already(operation, member, since):
            results.append(PushResult(operation, "refused", refusal=refused, is_kept=True))
        else:
            fresh.append(operation)
    return fresh, results


def _bulk_result(operation: Operation, good: RemoteMember | None, refused: RefusedMember | None) -> PushResult:
    if good is not None and good.status == "archived" and operation.action in ("subscribe", "ask"):
        # What brings archived contacts back is known of `subscribed` alone. Taken for done it would be sent for ever.
        return PushResult(operation, "refused", refusal=refusal("stays_archived"))
    if good is not None:
        held = _held(operation, good)
        return PushResult(operation, "done", status=good.status, contact_id=good.contact_id, held=held)
    if refused is None:
        return PushResult(operation, "unsettled")
    return PushResult(operation, "refused", refusal=_classified(refused))


def _held(operation: Operation, member: RemoteMember) -> str:
    """What the member holds, by the answer, in the fields that were sent; empty where the answer does not tell."""
    if not operation.values or not member.merge_fields:
        return ""
    return values_fingerprint({tag: member.merge_fields.get(tag, "") for tag in operation.values})


def _is_unknown(one: PushResult) -> bool:
    """Refused in words that this service does not know: somebody should look at them, and teach it."""
    return one.refusal is not None and one.refusal.code == "unknown"


def _is_owed(one: PushResult) -> bool:
    """An opt-out that Mailchimp did not take: it is tried again and again, whatever the refusal."""
    return one.result == "refused" and one.operation.action == "unsubscribe"


def _made_calls_fail(operation: Operation, known: dict[str, MemberStates], audience_id: str) -> bool:
    kept = _refusal_before(operation, known, audience_id)
    return kept is not None and kept.code == "no_answer"


def _refusal_before(operation: Operation, known: dict[str, MemberStates], audience_id: str) -> PushRefusal | None:
    member_states = known.get(operation.address_key)
    return member_states.member(audience_id).refusal if member_states else None


def _contact_before(one: PushResult, known: dict[str, MemberStates], audience_id: str) -> str:
    """The id of the contact that we knew under the address, if the write met another one; else nothing."""
    member_states = known.get(one.operation.address_key)
    before = member_states.member(audience_id).contact_id if member_states else ""
    if one.operation.action in ("add", "rename") or one.contact_id in ("", before):
        return ""
    return before


def _status_result(refused: PushResult, answer: MemberAnswer) -> PushResult:
    """An operation that was refused in the bulk call, after a call of its own."""
    if answer.outcome == "refused":
        return refused
    status: Status = "unsubscribed" if answer.outcome == "done" else "absent"
    return PushResult(refused.operation, "done", status=answer.member.status if answer.member is not None else status)


def _archive_result(operation: Operation, answer: MemberAnswer) -> PushResult:
    if answer.outcome == "done":
        return PushResult(operation, "done", status="archived")
    if answer.outcome == "absent" or answer.refused is None:
        return PushResult(operation, "done", status="absent")
    return PushResult(operation, "refused", refusal=_classified(answer.refused))


def _classified(refused: RefusedMember) -> Refusal:
    return classify(refused.text, refused.code, refused.field, refused.field_message, address=refused.address)


def _each_once(requests: list[Request]) -> list[Request]:
    """Without repetitions of a key, which DynamoDB's batches do not take; the last one counts."""
    by_key: dict[str, Request] = {}
    for request in requests:
        key = request["PutRequest"]["Item"] if "PutRequest" in request else request["DeleteRequest"]["Key"]
        by_key[key["sk"]["S"]] = request
    return list(by_key.values())


def _keys(operations: Iterable[Operation]) -> list[str]:
    return [operation.address_key for operation in operations]


def _old_keys(operations: Iterable[Operation]) -> list[str]:
    return [operation.old_address_key for operation in operations if operation.old_address_key]
