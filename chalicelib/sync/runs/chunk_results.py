"""Keeping what became of a chunk's operations, each answer where it belongs.

Consent first, then records, then what was sent, change markers last: whoever reads a part of it finds nothing that is
not so, and a repeat writes the same again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from chalicelib.domain.consent.members import BegunCall, ConsentState, DeliveryState, Member
from chalicelib.domain.consent.overtaken import call_before
from chalicelib.domain.logs import LogEntry
from chalicelib.domain.push_results import (
    CONSENT_REFUSALS,
    PushResult,
    consent_news,
    consent_state_after,
    foreseen_on_purpose,
    is_newer,
    ledger_entry,
    left_archived,
    new_members,
    next_refusal,
    pushed_prints,
    record_of,
    refused_values,
    renamed,
    status_foreseen,
)
from chalicelib.iteration import map_concurrently
from chalicelib.sync.consent.erasure import erased_among
from chalicelib.sync.consent.overtaken_noes import OvertakenNoes
from chalicelib.sync.runs.progress import RETRY_MARK
from chalicelib.sync.runs.pull_message import pull_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.departments import Department
    from chalicelib.domain.planning import Operation
    from chalicelib.domain.runs import Run
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.store.logs import LedgerStore, LogStore
    from chalicelib.store.member_batch import MemberBatch
    from chalicelib.store.members import MemberStates, MemberStore
    from chalicelib.store.pushed_members import PushedMemberStore
    from chalicelib.sync.consent.observations import Observations
    from chalicelib.sync.ports import Meter
    from chalicelib.sync.runs.sending import Sending

# Where an answer does not tell when it changed a member, the change was made within this time of the call's beginning.
_LONGEST_CALL = timedelta(minutes=2)


class ChunkResults:
    def __init__(
        self,
        *,
        departments: DepartmentStore,
        members: MemberStore,
        logs: LogStore,
        ledger: LedgerStore,
        pushed_members: PushedMemberStore,
        observations: Observations,
        meter: Meter,
    ) -> None:
        self._departments = departments
        self._members = members
        self._logs = logs
        self._ledger = ledger
        self._pushed_members = pushed_members
        self._observations = observations
        self._overtaken = OvertakenNoes(members, observations)
        self._meter = meter

    def note_begun(self, sending: Sending, operations: Sequence[Operation]) -> None:
        """Note, before the calls, whose status they set: it must be known as our doing though no answer is kept."""
        batch = self._members.batch(sending.department.id)
        for operation in operations:
            status = foreseen_on_purpose(operation)
            if status is not None:
                delivery = _kept_delivery(sending.known.member_states.get(operation.address_key), sending.audience_id)
                begun = replace(delivery, begun=BegunCall(status, sending.asked_at))
                batch.put_delivery(operation.address_key, operation.address, begun)
        batch.flush()

    def keep(self, run: Run, number: int, sending: Sending, results: Sequence[PushResult]) -> list[PushResult]:
        """Keep the results of one delivery of a chunk; answers them as they were kept."""
        # Who was erased while the call ran may be there by it: the erasure came too early to find them.
        erased = self._erased(sending.department, results)
        results = [PushResult(o, "held") if (o := one.operation).address_key in erased else one for one in results]
        self._apply_observations(run, number, sending, results)
        self._keep(run, sending.department, results, sending.known.member_states, sending.asked_at)
        for address in {one.operation.address for one in results if one.operation.address_key in erased}:
            sending.mailchimp.delete_permanently(sending.audience_id, address)
        # Those kept by an earlier delivery as well: it may have died right here.
        subscribed = {one.operation.address_key for one in results if one.operation.action == "subscribe"}
        self._overtaken.apply(sending.department, subscribed, "sync")
        self._remember_pushed(run, number, sending, results)
        return results

    def _remember_pushed(self, run: Run, number: int, sending: Sending, results: Sequence[PushResult]) -> None:
        """Spare the next pull to read what this chunk wrote. Last of all: whoever dies before is read as ever."""
        prints = pushed_prints(results)
        self._pushed_members.add(run.department_id, sending.audience_id, f"{run.id}-{number}", prints, sending.asked_at)

    def keep_undelivered(self, run: Run, results: Sequence[PushResult], now: datetime) -> None:
        """Keep whom a chunk left out that could not be delivered to its end: they go with a later run."""
        later = [one for one in results if one.result in ("held", "unsettled")]
        self._logs.add_records(run.department_id, run.id, [record_of(one, now) for one in later])
        batch = self._members.batch(run.department_id)
        for one in later:
            _mark(batch, one)
        batch.flush()

    def _apply_observations(self, run: Run, number: int, sending: Sending, results: Sequence[PushResult]) -> None:
        """Take what Mailchimp's answers show and we did not ask for as the pull does: it is somebody else's word."""
        for one in results:
            if one.shown is not None and one.operation.action == "ask" and one.result == "held":
                # The person was asked all the same, and has answered already.
                asked = replace(one, status="pending")
                self._keep_consent(run, sending.department, asked, sending.known.member_states, sending.asked_at)
        counts = self._observations.apply(sending.department, [one.shown for one in results if one.shown is not None])
        told = {name: count for name, count in counts.items() if name != "status"}
        if not told:
            return
        self._meter.count("OptOutsHeard", counts["opted_out"] + counts["bounced"] + counts["deleted"])
        entry = LogEntry(
            date=sending.asked_at,
            direction="pull",
            type=run.log_type,
            trigger=run.log_trigger,
            status="success",
            message=pull_message(told),
            run_id=run.id,
            counts=told,
        )
        self._logs.add(run.department_id, entry, key=f"{run.id}:observed-{number}")

    def _erased(self, department: Department, results: Sequence[PushResult]) -> frozenset[str]:
        """Whose data were erased by now, of those to whom more was to be done than archiving."""
        now = self._departments.get(department.id)
        if now is None or not now.has_erasures:
            return frozenset()
        keys = [one.operation.address_key for one in results if one.operation.action != "archive"]
        return erased_among(self._members, department.id, keys)

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
        batch = self._members.batch(department.id)
        for one in new + moved:
            _put_delivery(batch, audience_id, one, known, now)
        batch.flush()
        for one in results:
            _mark(batch, one)
        batch.flush()

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
            # Before the consent state, by which a repeat would take the change for known. A repeat has the same time.
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


def _mark(batch: MemberBatch, one: PushResult) -> None:
    """Finalised addresses lose their change markers; what is to be tried again by itself keeps one."""
    if one.is_owed or one.result in ("held", "unsettled") or (one.refusal is not None and one.refusal.retry.delays):
        batch.mark(one.operation.address_key, RETRY_MARK)
        return
    for marker in one.operation.marks:
        batch.unmark(marker)


def _kept_delivery(before: MemberStates | None, audience_id: str) -> DeliveryState:
    """What was known to be sent to an address; of another audience only which call may have undone a no there."""
    kept = before.delivery if before is not None else None
    if kept is not None and kept.audience_id == audience_id:
        return kept
    return DeliveryState(audience_id, "absent", None, call_before=call_before(kept))


def _raised_at(one: PushResult, carried: DeliveryState, now: datetime) -> datetime | None:
    return (one.changed_at or now + _LONGEST_CALL) if one.operation.action == "subscribe" else carried.subscribed_at


def _still_begun(one: PushResult, now: datetime) -> BegunCall | None:
    """The call, begun at `now`, of which nobody knows whether it was carried out though its outcome is kept."""
    status = foreseen_on_purpose(one.operation)
    is_unknown = one.refusal is not None and one.refusal.code == "no_answer"
    return BegunCall(status, now) if is_unknown and status is not None else None


def _put_delivery(
    batch: MemberBatch, audience_id: str, one: PushResult, known: dict[str, MemberStates], now: datetime
) -> None:
    operation = one.operation
    before = known.get(operation.address_key)
    member = before.member(audience_id) if before else Member(operation.address_key, operation.address)
    # Which call may have undone a no goes along with the member to its new address, and outlives calls about data.
    carried = _kept_delivery(known.get(operation.old_address_key or operation.address_key), audience_id)
    begun = _still_begun(one, now) if foreseen_on_purpose(operation) else carried.begun
    if one.result == "done":
        delivery = DeliveryState(
            audience_id=audience_id,
            status=one.status,
            pushed_at=now,
            owner=operation.customer_id,
            sent=operation.values_fingerprint if operation.values is not None else member.sent,
            held=one.held if operation.values is not None else member.held,
            left_out=refused_values(operation.left_out) if operation.values is not None else member.left_out,
            rule=operation.rule,
            contact_id=one.contact_id or member.contact_id,
            subscribed_at=_raised_at(one, carried, now),
            begun=begun,
            call_before=carried.call_before,
        )
        batch.put_delivery(operation.address_key, operation.address, delivery)
        if one.old == "absent":
            batch.remove_delivery(operation.old_address_key)
        if one.shown is not None or one.status != status_foreseen(operation, member):
            batch.recheck(operation.address_key)
    elif one.result == "refused" and one.refusal is not None:
        delivery = DeliveryState(
            audience_id=audience_id,
            status=member.status,
            pushed_at=member.pushed_at,
            owner=member.owner or operation.customer_id,
            sent=member.sent,
            held=member.held,
            left_out=member.left_out,
            refusal=next_refusal(member, one.refusal, operation.inputs, now),
            contact_id=member.contact_id,
            subscribed_at=carried.subscribed_at,
            begun=begun,
            call_before=carried.call_before,
        )
        batch.put_delivery(operation.address_key, operation.address, delivery)
        # The plan took it for granted that campaigns would reach this one.
        batch.recheck(operation.address_key)
    elif one.shown is not None:
        if foreseen_on_purpose(operation):
            batch.put_delivery(operation.address_key, operation.address, carried)  # not carried out, as was shown
        batch.recheck(operation.address_key)
