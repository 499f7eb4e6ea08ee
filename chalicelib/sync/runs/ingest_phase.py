"""The plan's first phase: read PracBill's customers and store what changed.

PracBill's pages are compared with the stored fingerprints. What changed is written in an order that loses nothing when
the function dies in between: first the mark that an address must be decided, then the customers' documents, last the
fingerprint by which a change counts as known. The phase may be stopped and taken up again at any page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from chalicelib.domain.addresses import mask_address
from chalicelib.domain.customers import (
    Customer,
    RemovedCustomer,
    address_key,
    customer_key,
    mail_address,
)
from chalicelib.domain.hold_reasons import HELD
from chalicelib.domain.logs import Record
from chalicelib.domain.moments import moment_text, parse_moment
from chalicelib.errors import StopRun
from chalicelib.iteration import prefetch
from chalicelib.pracbill.answers import BadRecord
from chalicelib.sync.consent.erasure import erased_among
from chalicelib.sync.runs.page_changes import PageChanges, Pair
from chalicelib.sync.runs.phase_progress import PhaseReporter
from chalicelib.sync.runs.progress import ENDED, ENOUGH_SECONDS, OVERLAP, Tally, summed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from chalicelib.domain.departments import Department
    from chalicelib.domain.runs import Run
    from chalicelib.pracbill.client import PracBillClient
    from chalicelib.store.customers import CustomerStore, StoredCustomer
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.store.logs import LogStore
    from chalicelib.store.members import MemberStore
    from chalicelib.store.runs import RunStore
    from chalicelib.sync.ports import Clock, PracBillFor, Remaining
    from chalicelib.sync.runs.unreadable import UnreadableCounts


@dataclass(frozen=True, slots=True)
class StoredPage:
    """One page to store, and where to go on after it: an empty cursor ends the listing."""

    cursor: dict[str, str]
    pairs: list[Pair]
    bad: list[BadRecord]
    watermark: str
    is_unsure: bool = False  # somebody may have been removed unnoticed: changes are read again from the last watermark


class IngestPhase:
    def __init__(
        self,
        *,
        departments: DepartmentStore,
        customers: CustomerStore,
        members: MemberStore,
        runs: RunStore,
        logs: LogStore,
        unreadable: UnreadableCounts,
        pracbill_for: PracBillFor,
        clock: Clock,
    ) -> None:
        self._departments = departments
        self._customers = customers
        self._members = members
        self._runs = runs
        self._logs = logs
        self._unreadable = unreadable
        self._pracbill_for = pracbill_for
        self._clock = clock

    def step(self, run: Run, department: Department, remaining: Remaining) -> Run | None:
        """Store pages until they end or time does; a page that is stored twice changes nothing."""
        pracbill = self._pracbill_for(remaining)
        if not run.cursor:
            department = self._refresh(department, pracbill)
        if run.type == "full" and not department.replan_all:
            # From here on fingerprints may be ahead of what was decided: should this run die, the next one decides all.
            department = self._departments.change(department.id, lambda d: replace(d, replan_all=True))
        unfinished = self._store_pages(run, department, pracbill, remaining)
        if unfinished is None:
            self._unreadable.recount(department.id)
        return unfinished

    def _refresh(self, department: Department, pracbill: PracBillClient) -> Department:
        """The department with PracBill's present name, time zone, country and currency."""
        now = pracbill.department(department.id)
        return self._departments.change(
            department.id,
            lambda d: replace(d, name=now.name, timezone=now.timezone, country=now.country, currency=now.currency),
        )

    def _store_pages(
        self, run: Run, department: Department, pracbill: PracBillClient, remaining: Remaining
    ) -> Run | None:
        if run.cursor == ENDED:
            return None
        if not run.cursor:
            # Of changes PracBill does not say how many there are; of all customers there were so many the last time.
            known = department.customer_count if run.type == "full" else None
            PhaseReporter(self._runs, run, "ingest", self._clock).expect_more(known)
        pages = self._all_pages if run.type == "full" else self._changed_pages
        for page in pages(run, department, pracbill):
            run = self._save_page(run, page, self._store_page(run, department, page))
            if run.cursor == ENDED or not run.is_open:
                return None
            if remaining() < ENOUGH_SECONDS:
                return run
        return None

    def _save_page(self, run: Run, page: StoredPage, tally: Tally) -> Run:
        def saved(stored: Run) -> Run:
            return replace(
                stored,
                cursor=page.cursor or ENDED,
                customers_read=stored.customers_read + len(page.pairs),
                counts=summed(stored.counts, tally.held),
                next_watermark=page.watermark if page.is_unsure else stored.next_watermark or page.watermark,
                progress_at=self._clock(),
            )

        return self._runs.change(run.department_id, run.id, saved)

    def _all_pages(self, run: Run, department: Department, pracbill: PracBillClient) -> Iterator[StoredPage]:
        """PracBill's customers and the stored ones, walked side by side in the same order."""
        watermark = moment_text(run.started_at - OVERLAP)
        after = run.cursor.get("after")
        known = StoredBeside(self._customers, department.id, run.cursor)
        for page in prefetch(pracbill.customers(department.id, after=after)):
            if run.trigger == "schedule" and not (after or page.records or page.next_after):
                self._refuse_empty_list(department)
            current = {customer_key(c.id): c for c in page.records if isinstance(c, Customer)}
            bad = [record for record in page.records if isinstance(record, BadRecord)]
            last = page.next_after
            listed = [*current, customer_key(last)] if last is not None else None
            stored = {s.customer_key: s for s in known.take(listed)}
            pairs = [Pair(customer, stored.get(key)) for key, customer in current.items()]
            missing = [_gone(known_one) for key, known_one in stored.items() if key not in current]
            # An unusable record may be any of those that seem to be missing.
            is_unsure = bool(bad and missing)
            pairs += [] if is_unsure else missing
            cursor = {"after": last, **known.place} if last is not None else {}
            read_until = department.customers_watermark if is_unsure else watermark
            yield StoredPage(cursor, pairs, bad, read_until, is_unsure)

    def _refuse_empty_list(self, department: Department) -> None:
        """Nobody is watching a scheduled run: where there were customers, a list without any is taken for a fault."""
        if not self._customers.is_empty(department.id):
            raise StopRun(
                "PracBill sent an empty list of customers, although this department has had customers. Nothing was "
                "changed. Check PracBill. If the department really has no customers any more, start a Full Sync."
            )

    def _changed_pages(self, run: Run, department: Department, pracbill: PracBillClient) -> Iterator[StoredPage]:
        since, cursor_now = department.customers_watermark, run.cursor.get("cursor")
        # Only PracBill's page is fetched ahead: who changed twice must be compared with what the last page stored.
        for page in prefetch(pracbill.changes(department.id, since=since, cursor=cursor_now)):
            latest = {r.id: r for r in page.records if not isinstance(r, BadRecord)}
            bad = [record for record in page.records if isinstance(record, BadRecord)]
            stored = self._customers.get(department.id, [customer_key(id) for id in latest])
            pairs = [Pair(record, stored.get(customer_key(id))) for id, record in latest.items()]
            cursor = {"cursor": page.next_cursor} if page.next_cursor is not None else {}
            yield StoredPage(cursor, pairs, bad, next_watermark(run.started_at, page.as_of))

    def _store_page(self, run: Run, department: Department, page: StoredPage) -> Tally:
        tally = Tally()
        changes = PageChanges(department, run, self._members, self._customers, self._erased_on(page, department))
        for pair in page.pairs:
            reason = changes.take(pair)
            if reason:
                tally.hold(reason)
                assert isinstance(pair.current, Customer)
                tally.records.append(self._record_held(pair.current, reason))
        for record in page.bad:
            tally.hold("unusable_record")
            tally.records.append(self._record_bad(record))
        if changes.has_unreadable:
            self._unreadable.expect_change(department.id)
        changes.marks.flush()
        changes.documents.flush()
        self._logs.add_records(run.department_id, run.id, tally.records)
        changes.customers.flush()
        return tally

    def _erased_on(self, page: StoredPage, department: Department) -> frozenset[str]:
        """Addresses of the page whose owners asked to be erased: nothing of them is stored again."""
        if not department.has_erasures:
            return frozenset()
        current = [pair.current for pair in page.pairs]
        addresses = {mail_address(c.email) for c in current if isinstance(c, Customer) and c.email}
        return erased_among(self._members, department.id, [address_key(department.salt, a) for a in addresses])

    def _record_held(self, customer: Customer, code: str) -> Record:
        words = HELD[code]
        return Record(
            key=f"customer:{customer.id}",
            customer_id=customer.id,
            address=mask_address(customer.email) if customer.email and code != "erased" else "",
            action="none",
            outcome="held",
            code=code,
            cause=words.cause,
            fix=words.fix,
            at=self._clock(),
        )

    def _record_bad(self, bad: BadRecord) -> Record:
        words = HELD["unusable_record"]
        return Record(
            key=f"bad:{bad.position}:{bad.cause}",
            customer_id="",
            address="",
            action="none",
            outcome="held",
            code="unusable_record",
            cause=f"{words.cause} ({bad.cause})",
            fix=words.fix,
            at=self._clock(),
        )


class StoredBeside:
    """The stored customers beside PracBill's listing of all.

    Ids of digits and other ids ascend each among themselves, but PracBill may mix the two kinds in more than one way.
    So they are walked apart: nobody counts as passed over before the listing has come further in their own kind.
    """

    def __init__(self, customers: CustomerStore, department_id: str, cursor: dict[str, str]) -> None:
        # How far the listing has come in each kind, by the first character of its keys: the form of a cursor.
        self.place = {kind: cursor[kind] for kind in "01" if kind in cursor}
        self._walks = {
            kind: Lookahead(
                takewhile(
                    lambda stored, kind=kind: stored.customer_key.startswith(kind),  # type: ignore[misc]
                    customers.ascending(department_id, after=self.place.get(kind, kind)),
                )
            )
            for kind in "01"
        }

    def take(self, listed: Iterable[str] | None) -> Iterator[StoredCustomer]:
        """Those up to the keys of a page, its last one among them; all that are left when there is no further page."""
        if listed is None:
            for walk in self._walks.values():
                yield from walk.take_until(None)
            return
        for key in listed:
            self.place[key[0]] = max(key, self.place.get(key[0], key))
        for kind, last in self.place.items():
            yield from self._walks[kind].take_until(last)


class Lookahead:
    """Stored customers in order, taken up to a key."""

    def __init__(self, stored: Iterator[StoredCustomer]) -> None:
        self._stored = stored
        self._next = next(stored, None)

    def take_until(self, last: str | None) -> Iterator[StoredCustomer]:
        """Those up to and including `last`; all that are left for None."""
        while self._next is not None and (last is None or self._next.customer_key <= last):
            yield self._next
            self._next = next(self._stored, None)


def next_watermark(started_at: datetime, as_of: str) -> str:
    """Where the next run begins to read changes: never past this run's start, nor past PracBill's own clock."""
    theirs = parse_moment(as_of)
    return moment_text(min(started_at, theirs or started_at) - OVERLAP)


def _gone(stored: StoredCustomer) -> Pair:
    return Pair(RemovedCustomer(id=stored.customer_id, updated_at=""), stored)
