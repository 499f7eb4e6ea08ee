"""The calls of one chunk, with what is known by now of its addresses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chalicelib.domain.planning import Operation, sendable
from chalicelib.domain.push_results import PushResult, already_done, refused_already, still_right
from chalicelib.errors import RetryLater, StopRun
from chalicelib.sync.runs.approval_phase import changed_since_plan
from chalicelib.sync.runs.sending import Known, Sending

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from chalicelib.domain.departments import Department
    from chalicelib.domain.runs import Run
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.store.members import MemberStore
    from chalicelib.store.runs import RunStore
    from chalicelib.sync.ports import Clock, MailchimpFor, Remaining
    from chalicelib.sync.runs.chunk_calls import ChunkCalls
    from chalicelib.sync.runs.chunk_results import ChunkResults


@dataclass(frozen=True, slots=True)
class SentChunk:
    """What the calls of a chunk brought, and what interrupted them."""

    number: int
    sending: Sending
    results: list[PushResult]
    interruption: RetryLater | StopRun | None


class ChunkSender:
    def __init__(
        self,
        *,
        departments: DepartmentStore,
        members: MemberStore,
        runs: RunStore,
        calls: ChunkCalls,
        results: ChunkResults,
        mailchimp_for: MailchimpFor,
        clock: Clock,
    ) -> None:
        self._departments = departments
        self._members = members
        self._runs = runs
        self._calls = calls
        self._results = results
        self._mailchimp_for = mailchimp_for
        self._clock = clock

    def send(self, run: Run, department: Department, number: int, remaining: Remaining) -> tuple[Run, SentChunk | None]:
        """Make the calls of a chunk. Answers the run as stored, and None where there is nothing to do any more."""
        mailchimp = self._mailchimp_for(department, remaining)
        operations = self._runs.chunk(run, number)
        run = self._begin(run, number) if operations is not None else run
        if operations is None or not run.is_open:
            return run, None
        assert department.audience is not None
        audience, now = department.audience, self._clock()
        operations = tuple(sendable(operation, audience, now) for operation in operations)
        address_keys = [*_keys(operations), *_old_keys(operations)]
        known = self._known(department, address_keys)
        # The clock is read before the call: a change observed while it runs is newer than its answer.
        sending = Sending(department, mailchimp, remaining, known, run.started_at, self._clock())
        changed = changed_since_plan(self._members, run, address_keys)
        fresh, results = _sort_out(operations, known, since=run.apply_started_at, changed=changed)
        self._results.note_begun(sending, fresh)
        sent, interruption = self._calls.send(run, sending, fresh)
        return run, SentChunk(number, sending, results + sent, interruption)

    def send_next(self, run: Run, number: int, remaining: Remaining) -> SentChunk | None:
        """Make the calls of a chunk whose own message is still to come: it finds the chunk closed, or repeats it.

        The department is read anew, since the chunk before may have changed what is known of it.
        """
        department = self._departments.get(run.department_id)
        return self.send(run, department, number, remaining)[1] if department is not None else None

    def sorted_out(
        self, run: Run, department: Department, operations: Sequence[Operation]
    ) -> tuple[list[Operation], list[PushResult]]:
        """The operations that are still to be carried out, and those that are finalised without a call."""
        return _sort_out(operations, self._known(department, _keys(operations)), since=run.apply_started_at)

    def _known(self, department: Department, address_keys: Sequence[str]) -> Known:
        return Known(department.audience_id, self._members.member_states(department.id, address_keys))

    def _begin(self, run: Run, number: int) -> Run:
        """Note the chunk as in flight: should the run be cancelled now, it is counted when these calls have ended."""

        def begun(stored: Run) -> Run:
            if not stored.is_open or number in stored.in_flight:
                return stored
            return replace(stored, in_flight=(*stored.in_flight, number))

        return self._runs.change(run.department_id, run.id, begun)


def _sort_out(
    operations: Iterable[Operation], known: Known, *, since: datetime | None, changed: frozenset[str] = frozenset()
) -> tuple[list[Operation], list[PushResult]]:
    """The operations to carry out, and those that are finalised without a call.

    Addresses that are `changed` since the plan wait for the next one; only a no does not.
    """
    fresh: list[Operation] = []
    results: list[PushResult] = []
    for operation in operations:
        member = known.member(operation.address_key, operation.address)
        is_changed = operation.address_key in changed or operation.old_address_key in changed
        if not still_right(operation, member) or (is_changed and operation.action != "unsubscribe"):
            results.append(PushResult(operation, "held"))
        elif already_done(operation, member):
            results.append(PushResult(operation, "done", status=member.status))
        elif refused := refused_already(operation, member, since):
            results.append(PushResult(operation, "refused", refusal=refused, is_kept=True))
        else:
            fresh.append(operation)
    return fresh, results


def _keys(operations: Iterable[Operation]) -> list[str]:
    return [operation.address_key for operation in operations]


def _old_keys(operations: Iterable[Operation]) -> list[str]:
    return [operation.old_address_key for operation in operations if operation.old_address_key]
