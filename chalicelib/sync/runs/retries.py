"""Taking up what failed or was refused in an earlier run, whatever its back-off says.

A run that staff start as a retry marks the addresses itself, in as many steps as it takes: there may be more of them
than fit into a request. Then it goes on like any other run, and its plan decides what is marked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.sync.runs.progress import ENOUGH_SECONDS, RETRY_MARK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.runs import Run
    from chalicelib.store.logs import LogStore
    from chalicelib.store.members import MemberStore
    from chalicelib.store.runs import RunStore
    from chalicelib.sync.ports import Clock, Remaining

FAILED = ("failed", "refused")
_RECORDS_A_PAGE = 500


class Retries:
    def __init__(self, *, members: MemberStore, runs: RunStore, logs: LogStore, clock: Clock) -> None:
        self._members = members
        self._runs = runs
        self._logs = logs
        self._clock = clock

    def take_up(self, run: Run, remaining: Remaining) -> Run:
        """Mark what the run is to try again. Its answer's `retry_of` is empty when all is marked.

        A page that is marked twice changes nothing. Should the run die, what it marked is left to the next one.
        """
        while run.retry_of:
            records, after = self._logs.records(
                run.department_id,
                run.retry_of,
                limit=_RECORDS_A_PAGE,
                after=run.retry_after or None,
                outcomes=FAILED,
            )
            self._mark(run.department_id, [record.key for record in records])
            run = self._save(run, after)
            if remaining() < ENOUGH_SECONDS:
                break
        return run

    def _mark(self, department_id: str, address_keys: Sequence[str]) -> None:
        batch = self._members.batch(department_id)
        for key, known in self._members.member_states(department_id, address_keys).items():
            if known.delivery is not None and known.delivery.refusal is not None:
                # Refused ones may be tried again at once.
                batch.put_delivery(key, known.address, replace(known.delivery, refusal=None))
        for key in address_keys:
            batch.mark(key, RETRY_MARK)
        batch.flush()

    def _save(self, run: Run, after: str | None) -> Run:
        def saved(stored: Run) -> Run:
            retry_of = stored.retry_of if after is not None else ""
            return replace(stored, retry_of=retry_of, retry_after=after or "", progress_at=self._clock())

        return self._runs.change(run.department_id, run.id, saved)
