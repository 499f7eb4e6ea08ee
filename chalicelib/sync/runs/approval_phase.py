"""What an approved run does first: look whom PracBill changed since the plan.

A run may wait for its approval for hours or days, and its plan grows as old as that. Who said no to PracBill meanwhile
must not be subscribed by it, and who came back must not be archived: their addresses are marked, the chunks leave them
out, and the next plan decides about them. Nothing else of the change is stored here; the next run reads it as ever.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain.addresses import usable_address
from chalicelib.domain.customers import (
    RemovedCustomer,
    address_key,
    customer_key,
    customer_to_document,
    fingerprint,
)
from chalicelib.domain.moments import moment_text
from chalicelib.pracbill.answers import BadRecord
from chalicelib.sync.runs.progress import ENOUGH_SECONDS, OVERLAP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.customers import Customer
    from chalicelib.domain.departments import Department
    from chalicelib.domain.runs import Run
    from chalicelib.pracbill.answers import ChangePage
    from chalicelib.store.customers import CustomerStore, StoredCustomer
    from chalicelib.store.members import MemberStore
    from chalicelib.store.runs import RunStore
    from chalicelib.sync.ports import Clock, PracBillFor, Remaining


class ApprovalPhase:
    def __init__(
        self,
        *,
        customers: CustomerStore,
        members: MemberStore,
        runs: RunStore,
        pracbill_for: PracBillFor,
        clock: Clock,
    ) -> None:
        self._customers = customers
        self._members = members
        self._runs = runs
        self._pracbill_for = pracbill_for
        self._clock = clock

    def step(self, run: Run, department: Department, remaining: Remaining) -> Run | None:
        """Mark addresses page by page; a page that is read twice marks the same."""
        since = run.next_watermark or moment_text(run.started_at - OVERLAP)
        pages = self._pracbill_for(remaining).changes(department.id, since=since, cursor=run.cursor.get("cursor"))
        for page in pages:
            self._mark_changed(run, department, page)
            if page.next_cursor is not None:
                run = self._save(run, page.next_cursor)
                if remaining() < ENOUGH_SECONDS:
                    return run
        return None

    def _mark_changed(self, run: Run, department: Department, page: ChangePage) -> None:
        records = [record for record in page.records if not isinstance(record, BadRecord)]
        stored = self._customers.get(department.id, [customer_key(record.id) for record in records])
        concerned = [
            key
            for record in records
            for key in _addresses_concerned(department, record, stored.get(customer_key(record.id)))
        ]
        self._members.mark(department.id, concerned, _mark_of(run))

    def _save(self, run: Run, cursor: str) -> Run:
        def saved(stored: Run) -> Run:
            return replace(stored, cursor={"cursor": cursor}, progress_at=self._clock())

        return self._runs.change(run.department_id, run.id, saved)


def changed_since_plan(members: MemberStore, run: Run, address_keys: Sequence[str]) -> frozenset[str]:
    """Those of the addresses whose customers PracBill has changed since an approved run's plan."""
    return members.with_marker(run.department_id, address_keys, _mark_of(run)) if run.approved_by else frozenset()


def _mark_of(run: Run) -> str:
    return f"{run.id}-changed"


def _addresses_concerned(
    department: Department, record: Customer | RemovedCustomer, stored: StoredCustomer | None
) -> set[str]:
    """The keys of the addresses that the customer had or has; none where the plan knew all of it."""
    before = {stored.address_key} if stored is not None else set()
    if isinstance(record, RemovedCustomer):
        return before - {""}
    if stored is not None and stored.fingerprint == fingerprint(customer_to_document(record), department.timezone):
        return set()
    address = usable_address(record.email)
    return (before | ({address_key(department.salt, address)} if address else set())) - {""}
