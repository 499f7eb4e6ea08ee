"""What a run did, or did not do, for single customers, as staff read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from chalicelib.contract.runs import RecordView
from chalicelib.domain.customers import customer_key
from chalicelib.domain.hold_reasons import reason
from chalicelib.domain.planning import Action
from chalicelib.domain.runs import Run, partly_sent
from chalicelib.errors import not_found

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from chalicelib.domain.logs import Outcome, Record
    from chalicelib.store.customer_reading import CustomerRow
    from chalicelib.store.customers import CustomerStore
    from chalicelib.store.logs import LogStore
    from chalicelib.store.runs import RunStore

# Records of customers without an address are filed under the customer.
_OF_CUSTOMER = "customer:"


class Records:
    """Records hold masked addresses. Who may read them may read the customer: a list shows the address in full, as the
    customer has it now; where the customer has another one by now, or is gone, it stays masked."""

    def __init__(self, *, runs: RunStore, logs: LogStore, customers: CustomerStore) -> None:
        self._runs = runs
        self._logs = logs
        self._customers = customers

    def list(
        self,
        department_id: str,
        run_id: str,
        *,
        outcomes: Collection[str],
        code: str | None,
        action: str | None,
        customer_id: str | None,
        limit: int,
        after: str | None,
    ) -> tuple[Sequence[RecordView], str | None]:
        """Records of a run that fit every filter, problems first. Raises RefuseRequest (404) for an unknown run."""
        if self._runs.get(department_id, run_id) is None:
            raise not_found("There is no such run in this department.")
        if customer_id is not None:
            found = self._of_customer(department_id, run_id, customer_id)
            records = [one for one in found if _fits(one, outcomes, code, action)]
            next_key = None
        else:
            records, next_key = self._logs.records(
                department_id,
                run_id,
                outcomes=outcomes,
                code=code or "",
                action=action or "",
                limit=limit,
                after=after,
            )
        # A record that PracBill sent without an id has no customer.
        keys = dict.fromkeys(customer_key(record.customer_id) for record in records if record.customer_id)
        known = self._customers.rows(department_id, list(keys))
        return [_view(record, known) for record in records], next_key

    def _of_customer(self, department_id: str, run_id: str, customer_id: str) -> Sequence[Record]:
        """The records of the customer itself and of its address, of now and of before."""
        key = customer_key(customer_id)
        stored = self._customers.get(department_id, [key]).get(key)
        addresses = (stored.address_key, *stored.previous_keys) if stored else ()
        keys = [f"{_OF_CUSTOMER}{customer_id}", *(address for address in addresses if address)]
        return self._logs.records_of(department_id, run_id, keys)


def record_counts(run: Run) -> dict[Outcome, int]:
    """How many records a run has of each outcome."""
    refused = run.counts.get("refused", 0)
    # A plan is shown by records for a dry run, and when somebody is asked to approve it.
    is_shown = run.dry_run or bool(run.brake or run.approved_by)
    return {
        "failed": run.failed - refused,
        "refused": refused,
        "held": run.counts.get("held", 0),
        "partly_sent": partly_sent(run.counts),
        "planned": max(0, run.planned - run.done - run.failed) if is_shown else 0,
        "done": sum(run.counts.get(action, 0) for action in get_args(Action)) - run.counts.get("partly_sent", 0),
    }


def _fits(record: Record, outcomes: Collection[str], code: str | None, action: str | None) -> bool:
    if outcomes and record.outcome not in outcomes:
        return False
    return code in (None, record.code) and action in (None, record.action)


def _view(record: Record, known: Mapping[str, CustomerRow]) -> RecordView:
    customer = known.get(customer_key(record.customer_id) if record.customer_id else "")
    address = record.address
    if customer is not None and record.key in (customer.address_key, f"{_OF_CUSTOMER}{customer.customer_id}"):
        address = customer.sample.email or address
    return RecordView(
        customer_id=record.customer_id,
        address=address or None,
        action=record.action,
        outcome=record.outcome,
        code=record.code,
        # Thousands of records have the same one, so it is told when they are read.
        cause=record.cause or reason(record.action, record.code),
        fix=record.fix or None,
        at=record.at,
        params=dict(record.params),
    )
