"""The plan: read PracBill's customers, store what changed, decide for every address concerned, write chunks.

Two phases, each of which may be stopped and taken up again at any page:

`store` compares PracBill's pages with the stored fingerprints. What changed is written in an order that loses nothing
when the function dies in between: first the mark that an address must be decided, then the customers' documents, last
the fingerprint by which a change counts as known.

`decide` asks the pure core for each address: all of them in a full run, the marked ones otherwise. Nothing is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from chalicelib.domain.addresses import mask_address, usable_address
from chalicelib.domain.customers import (
    Customer,
    RemovedCustomer,
    address_key,
    customer_key,
    customer_to_document,
    fingerprint,
    mail_address,
)
from chalicelib.domain.departments import Department
from chalicelib.domain.filterable import filterable, sample_of, sample_to_document
from chalicelib.domain.key_ranges import SplitPoints
from chalicelib.domain.logs import LedgerEntry, Record
from chalicelib.domain.members import Heard, Member, OptOut
from chalicelib.domain.moments import moment_text, parse_moment
from chalicelib.domain.opt_outs import newest_opt_out
from chalicelib.domain.outcomes import HELD
from chalicelib.domain.planning import AddressState, ChunkWriter, Held, Operation, plan_address, rename_of
from chalicelib.domain.reach import gets_mail
from chalicelib.domain.refusals import refusal
from chalicelib.domain.runs import Run
from chalicelib.domain.segment_state import TAGGABLE
from chalicelib.pracbill.client import BadRecord, PracBillClient
from chalicelib.store.batches import Request, ahead, side_by_side
from chalicelib.store.customers import CustomerStore, StoredCustomer, delete_customer, put_customer
from chalicelib.store.filterable_attributes import to_attributes
from chalicelib.store.logs import LedgerStore, LogStore
from chalicelib.store.mailable import put_mailable
from chalicelib.store.members import SHARDS, MemberStore
from chalicelib.store.runs import RunStore
from chalicelib.store.tag_checks import put_check
from chalicelib.sync.erase import erased_among
from chalicelib.sync.ports import Clock, ConsentHearing, Remaining

# Below this a step saves where it is and goes on in a new message: a page takes a few seconds at the worst.
ENOUGH_SECONDS = 45.0
# Changes are read again from a little before the last run's start: clocks differ, transactions commit late.
OVERLAP = timedelta(minutes=5)
_STATES_AT_ONCE = 200
_RECORDS_AT_ONCE = 500
_OPT_OUTS_AT_ONCE = 100  # what one transaction of DynamoDB takes
# The cursor of a phase that came to its end: a step that comes again must not begin anew.
ENDED = {"end": "yes"}


@dataclass(slots=True)
class Tally:
    """What a step has counted so far."""

    counts: dict[str, int] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    opt_outs: list[tuple[Member, OptOut]] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)  # touched marks of addresses with which nothing is to be done

    def add(self, name: str, value: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + value


@dataclass(frozen=True, slots=True)
class Pair:
    """A customer as PracBill has it (or no longer has it), and as we have stored it."""

    current: Customer | RemovedCustomer
    stored: StoredCustomer | None


@dataclass(frozen=True, slots=True)
class StoredPage:
    """One page to store, and where to go on after it: an empty cursor ends the listing."""

    cursor: dict[str, str]
    pairs: list[Pair]
    bad: list[BadRecord]
    watermark: str
    points: str = ""
    is_unsure: bool = False  # somebody may have been removed unnoticed: changes are read again from the last watermark


class Planner:
    def __init__(
        self,
        *,
        customers: CustomerStore,
        members: MemberStore,
        runs: RunStore,
        logs: LogStore,
        ledger: LedgerStore,
        hearing: ConsentHearing,
        clock: Clock,
    ) -> None:
        self._customers = customers
        self._members = members
        self._runs = runs
        self._logs = logs
        self._ledger = ledger
        self._hearing = hearing
        self._clock = clock

    # ------------------------------------------------------------------------------------------------------- store

    def store(self, run: Run, department: Department, pracbill: PracBillClient, remaining: Remaining) -> Run | None:
        """Store pages until they end or time does. Answers the run to continue with, or None when all is stored.

        The answered or saved run holds the cursor; a page that is stored twice changes nothing.
        """
        if run.cursor == ENDED:
            return None
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
                points=page.points,
                customers_read=stored.customers_read + len(page.pairs),
                counts=_sum(stored.counts, tally.counts),
                next_watermark=page.watermark if page.is_unsure else stored.next_watermark or page.watermark,
                progress_at=self._clock(),
            )

        return self._runs.change(run.department_id, run.id, saved)

    def _all_pages(self, run: Run, department: Department, pracbill: PracBillClient) -> Iterator[StoredPage]:
        """PracBill's customers and the stored ones, walked side by side in the same order."""
        watermark = moment_text(run.started_at - OVERLAP)
        after = run.cursor.get("after")
        points = SplitPoints.from_text(run.points) if after else SplitPoints()
        known = StoredBeside(self._customers, department.id, run.cursor)
        for page in ahead(pracbill.customers(department.id, after=after)):
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
            points = points.with_keys(current)
            cursor = {"after": last, **known.place} if last is not None else {}
            read_until = department.customers_watermark if is_unsure else watermark
            yield StoredPage(cursor, pairs, bad, read_until, points.to_text(), is_unsure)

    def _changed_pages(self, run: Run, department: Department, pracbill: PracBillClient) -> Iterator[StoredPage]:
        since, cursor_now = department.customers_watermark, run.cursor.get("cursor")
        # Only PracBill's page is fetched ahead: who changed twice must be compared with what the last page stored.
        for page in ahead(pracbill.changes(department.id, since=since, cursor=cursor_now)):
            latest = {r.id: r for r in page.records if not isinstance(r, BadRecord)}
            bad = [record for record in page.records if isinstance(record, BadRecord)]
            stored = self._customers.get(department.id, [customer_key(id) for id in latest])
            pairs = [Pair(record, stored.get(customer_key(id))) for id, record in latest.items()]
            cursor = {"cursor": page.next_cursor} if page.next_cursor is not None else {}
            yield StoredPage(cursor, pairs, bad, next_watermark(run.started_at, page.as_of))

    def _store_page(self, run: Run, department: Department, page: StoredPage) -> Tally:
        tally = Tally()
        changes = PageChanges(department, run, self._members, erased=self._erased_on(page, department))
        for pair in page.pairs:
            reason = changes.take(pair)
            if reason:
                tally.add("held")
                tally.add(reason)
                assert isinstance(pair.current, Customer)
                tally.records.append(self._record_held(pair.current, reason))
        for record in page.bad:
            tally.add("held")
            tally.records.append(self._record_bad(record))
        self._members.write(list(changes.marks.values()))
        self._members.write(list(changes.documents.values()))
        self._logs.add_records(run.department_id, run.id, tally.records)
        self._customers.write(changes.customers)
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

    # ------------------------------------------------------------------------------------------------------ decide

    def decide(self, run: Run, department: Department, remaining: Remaining) -> Run | None:
        """Decide until every address concerned is decided or time is over; answers as `store` does.

        A step keeps chunks open in memory only until it ends: the cursor is saved together with the full ones.
        """
        if run.cursor == ENDED:
            return None
        everything = run.type == "full" or department.decide_all
        states = self._every_state if everything else self._touched_states
        writer, tally, number = ChunkWriter.empty(), Tally(), run.chunks_total
        cursor = ENDED
        for batch, where in ahead(states(run, department)):
            for operation in self._decide_batch(run, department, batch, tally):
                for chunk in writer.add(operation):
                    number = self._put_chunk(run, number, chunk)
            if len(tally.records) + len(tally.opt_outs) >= _RECORDS_AT_ONCE:
                self._flush(run, department, tally)
            if remaining() < ENOUGH_SECONDS:
                cursor = where
                break
        for chunk in writer.rest():
            number = self._put_chunk(run, number, chunk)
        self._flush(run, department, tally)
        saved = self._save_decisions(run, cursor, number, tally)
        # Only now is everything kept that was decided about them; marks that stay behind are decided once more.
        self._members.write([self._members.delete_mark(department.id, mark) for mark in tally.cleared])
        return None if cursor == ENDED else saved

    def _every_state(self, run: Run, department: Department) -> Iterator[tuple[list[AddressState], dict[str, str]]]:
        """Every address, shard by shard."""
        first = int(run.cursor.get("shard", "0"))
        for index in range(first, len(SHARDS)):
            states = self._members.every_state(department.id, SHARDS[index], _audience_id(department))
            yield list(states), {"shard": str(index + 1)}

    def _touched_states(self, run: Run, department: Department) -> Iterator[tuple[list[AddressState], dict[str, str]]]:
        """The marked addresses, some hundred at a time."""
        waiting: dict[str, tuple[str, ...]] = {}
        for key, marks in self._members.touched(department.id, after=run.cursor.get("touched", "")):
            waiting[key] = marks
            if len(waiting) == _STATES_AT_ONCE:
                yield self._marked(department, waiting), {"touched": key}
                waiting = {}
        if waiting:
            yield self._marked(department, waiting), {"touched": next(reversed(waiting))}

    def _marked(self, department: Department, waiting: dict[str, tuple[str, ...]]) -> list[AddressState]:
        states = self._members.states(department.id, list(waiting), _audience_id(department))
        return [replace(state, marks=waiting[state.member.address_key]) for state in states]

    def _decide_batch(
        self, run: Run, department: Department, batch: Sequence[AddressState], tally: Tally
    ) -> list[Operation]:
        now = self._clock()
        batch = [self._with_no_of_a_move(run, department, state, now) for state in batch]
        decisions = [self._decide_one(department, state, now) for state in batch]
        operations = [decision for decision in decisions if isinstance(decision, Operation)]
        for operation in operations:
            tally.add(operation.action)
        held = [decision for decision in decisions if isinstance(decision, Held)]
        for one in held:
            if one.code and not (one.waits and one.marks):
                tally.add("held")
                tally.records.append(held_record(one, now))
        self._note_reach(run, department, batch, decisions)
        if not run.dry_run:
            self._hearing.owe_pracbill(department, batch)
            tally.opt_outs += [(s.member, said) for s in batch if (said := pracbill_opt_out(s, now))]
            tally.cleared += [mark for one in held if not one.waits for mark in one.marks]
        return operations

    def _note_reach(
        self, run: Run, department: Department, batch: Sequence[AddressState], decisions: Sequence[Operation | Held]
    ) -> None:
        """Note whom campaigns will reach, for previews of segments.

        Of every address in a shard that is known at once; touched ones are looked at when they were applied, and so is
        who may have left the audience, unless a full run reads back who carries the tags.
        """
        pairs = list(zip(batch, decisions, strict=True))
        if run.type == "full" or department.decide_all:
            reached = [s.member.address_key for s, decision in pairs if s.sharers and gets_mail(s, decision)]
            first = [batch[0].member.address_key] if batch else []
            self._members.write([put_mailable(department.id, reached, shard_of=key) for key in first])
        if run.type != "full" and not run.dry_run:
            keys = [
                s.member.address_key for s, decision in pairs if not department.decide_all or may_leave(s, decision)
            ]
            self._members.write([put_check(department.id, key) for key in keys])

    def _with_no_of_a_move(self, run: Run, department: Department, state: AddressState, now: datetime) -> AddressState:
        """The state with an opt-out that a customer said at the address before, or says at the one after."""
        other_key = state.moved_from or state.moved_to
        if not other_key:
            return state
        other = self._members.state(department.id, other_key, _audience_id(department))
        no = no_along_a_move(state, other, now)
        if no is None:
            return state
        member = state.member
        if not run.dry_run:
            entry = replace(_pracbill_entry(member, no, now), who="the customer's other address", rule="no-moved-along")
            self._ledger.append(department.id, member.address_key, entry)
            self._members.change_heard(
                department.id,
                member.address_key,
                member.address,
                lambda known: replace(known, opt_out=newest_opt_out(known.opt_out, no)),
            )
        return replace(state, member=replace(member, opt_out=no))

    def _decide_one(self, department: Department, state: AddressState, now: datetime) -> Operation | Held:
        """One address; a customer's move from one address to another is decided once, at the old address."""
        assert department.audience is not None
        policy, fields = department.settings.consent, department.audience.fields
        decision = plan_address(state, policy=policy, fields=fields, now=now)
        if not isinstance(decision, Operation):
            return decision
        audience_id = department.audience.id
        if state.moved_to and decision.action == "archive":
            new = self._members.state(department.id, state.moved_to, audience_id)
            new = replace(new, marks=self._members.marks(department.id, state.moved_to))
            return rename_of(state, new, policy=policy, fields=fields, now=now) or decision
        if state.moved_from and decision.action == "add":
            old = self._members.state(department.id, state.moved_from, audience_id)
            if old.moved_to == state.member.address_key and rename_of(
                old, state, policy=policy, fields=fields, now=now
            ):
                # Decided at the old address; the marks go when the rename is done.
                return replace(
                    Held(state.member.address_key, state.member.address, "", "", "address-renamed"), waits=True
                )
        return decision

    def _remember_opt_outs(self, department: Department, tally: Tally) -> None:
        """Remember PracBill's own opt-outs: they must stand when the customer is removed, or comes back silent."""
        now, told = self._clock(), tally.opt_outs
        for start in range(0, len(told), _OPT_OUTS_AT_ONCE):
            part = told[start : start + _OPT_OUTS_AT_ONCE]
            # Before the facet, by which a repeat would take the opt-out for known.
            self._ledger.append_all(department.id, [(m.address_key, _pracbill_entry(m, said, now)) for m, said in part])
            unheard = [(m.address_key, m.address, Heard(opt_out=said)) for m, said in part if not m.is_heard]
            if not unheard or not self._members.add_heard(department.id, unheard):
                unheard = []
            added = {key for key, _, _ in unheard}
            rest = [(m, said) for m, said in part if m.address_key not in added]
            side_by_side(lambda one: self._remember(department, *one), rest)
        tally.opt_outs.clear()

    def _remember(self, department: Department, member: Member, opt_out: OptOut) -> None:
        def heard(known: Heard) -> Heard:
            return replace(known, opt_out=newest_opt_out(known.opt_out, opt_out))

        self._members.change_heard(department.id, member.address_key, member.address, heard)

    def _put_chunk(self, run: Run, number: int, chunk: tuple[Operation, ...]) -> int:
        self._runs.put_chunk(run, number, chunk)
        return number + 1

    def _flush(self, run: Run, department: Department, tally: Tally) -> None:
        self._remember_opt_outs(department, tally)
        self._logs.add_records(run.department_id, run.id, tally.records)
        tally.records.clear()

    def _save_decisions(self, run: Run, cursor: dict[str, str], chunks_total: int, tally: Tally) -> Run:
        held = tally.counts.pop("held", 0)

        def saved(stored: Run) -> Run:
            return replace(
                stored,
                cursor=cursor,
                chunks_total=chunks_total,
                planned=stored.planned + sum(tally.counts.values()),
                planned_counts=_sum(stored.planned_counts, tally.counts),
                counts=_sum(stored.counts, {"held": held} if held else {}),
                progress_at=self._clock(),
            )

        return self._runs.change(run.department_id, run.id, saved)


class PageChanges:
    """The writes that a page of customers asks for, in the three groups that must be written in order; no key twice."""

    def __init__(
        self, department: Department, run: Run, members: MemberStore, *, erased: frozenset[str] = frozenset()
    ) -> None:
        self.marks: dict[str, Request] = {}
        self.documents: dict[str, Request] = {}
        self.customers: list[Request] = []
        self._department = department
        self._run = run
        self._members = members
        self._erased = erased
        self._zone = ZoneInfo(department.timezone)

    def take(self, pair: Pair) -> str:
        """Take one customer; answers why it can have no member, or nothing."""
        if isinstance(pair.current, RemovedCustomer):
            self._remove(pair.stored)
            return ""
        customer, stored = pair.current, pair.stored
        document = customer_to_document(customer)
        print_now = fingerprint(document, self._department.timezone)
        if stored is not None and stored.fingerprint == print_now:
            # An unchanged customer without an address is told again by a full run only.
            return _held_code(customer) if not stored.address_key and self._run.type == "full" else ""
        address = usable_address(customer.email)
        key = address_key(self._department.salt, address) if address else ""
        if key in self._erased:
            self._remove(stored)
            return "erased"
        self._put(customer, stored, document, print_now, key)
        return "" if address else _held_code(customer)

    def _put(self, customer: Customer, stored: StoredCustomer | None, document: str, print_now: str, key: str) -> None:
        id_key = customer_key(customer.id)
        department_id = self._department.id
        old_key = stored.address_key if stored else ""
        moved = old_key if old_key and old_key != key else ""
        if moved:
            self._leave(moved, id_key, moved_to=key)
            self._check_tags(moved, key, stored)
        if key:
            self._mark(key)
            put = self._members.put_document(department_id, key, id_key, document, moved_from=moved)
            self.documents[f"{key}#c#{id_key}"] = put
        known = StoredCustomer(
            customer_key=id_key,
            customer_id=customer.id,
            fingerprint=print_now,
            address_key=key,
            in_segments=stored.in_segments if stored and not moved else (),
        )
        attributes = to_attributes(filterable(customer, self._zone))
        sample = sample_to_document(sample_of(customer))
        self.customers.append(put_customer(department_id, known, attributes, sample))

    def _remove(self, stored: StoredCustomer | None) -> None:
        if stored is None:
            return
        if stored.address_key:
            self._leave(stored.address_key, stored.customer_key)
            self._check_tags(stored.address_key, "", stored)
        self.customers.append(delete_customer(self._department.id, stored.customer_key))

    def _leave(self, key: str, id_key: str, *, moved_to: str = "") -> None:
        self._mark(key)
        self.documents[f"{key}#c#{id_key}"] = self._members.delete_document(self._department.id, key, id_key)
        if moved_to:
            self.documents[f"{key}#m"] = self._members.put_move(self._department.id, key, moved_to)

    def _check_tags(self, left: str, joined: str, stored: StoredCustomer | None) -> None:
        """The tags that the member carried through this customer stay behind, or come along where it is renamed."""
        for key in (left, joined) if stored is not None and stored.in_segments else ():
            if key and stored is not None:
                check = put_check(self._department.id, key, stored.customer_key, stored.in_segments)
                self.marks[f"{key}#{stored.customer_key}"] = check

    def _mark(self, key: str) -> None:
        """A full run decides every address anyway, and leaves a note in the department until it has."""
        if self._run.type != "full":
            self.marks[key] = self._members.put_mark(self._department.id, key, self._run.id)


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


def pracbill_opt_out(state: AddressState, now: datetime) -> OptOut | None:
    """PracBill's no for an address, when it is not known yet."""
    if state.sharers is None or state.sharers.consent != "unsubscribed" or state.member.erased:
        return None
    at = state.sharers.consent_at
    known = state.member.opt_out
    if known is not None and (at is None or at <= known.at):
        return None
    # A no dated in the future would outlive every yes until then.
    return OptOut(at=min(at, now) if at else now, route="pracbill", told_pracbill=True)


def no_along_a_move(state: AddressState, other: AddressState, now: datetime) -> OptOut | None:
    """The no that goes along when a customer moves between two addresses, where it is not known at `state` yet.

    A bounce belongs to the address alone.
    """
    no = other.member.opt_out or pracbill_opt_out(other, now)
    if no is None or no.route == "bounce" or state.member.erased:
        return None
    merged = newest_opt_out(state.member.opt_out, no)
    return merged if merged != state.member.opt_out else None


def may_leave(state: AddressState, decision: Operation | Held) -> bool:
    """Whether an address that carried tags may carry none after the decision: it left the audience, or does so now."""
    if state.sharers is None or not (state.member.is_heard or state.member.pushed_at):
        return False
    return state.member.status not in TAGGABLE or (isinstance(decision, Operation) and decision.action == "unsubscribe")


def _pracbill_entry(member: Member, opt_out: OptOut, now: datetime) -> LedgerEntry:
    return LedgerEntry(
        at=opt_out.at,
        recorded_at=now,
        was=member.status,
        became="unsubscribed",
        who="PracBill",
        route="pracbill",
        rule="no-recorded",
    )


def held_record(held: Held, at: datetime) -> Record:
    """The record of an address for which nothing was sent."""
    words = HELD[held.code] if held.code in HELD else refusal(held.code)
    return Record(
        key=held.address_key,
        customer_id=held.customer_id,
        address=mask_address(held.address),
        action="none",
        outcome="held",
        code=held.code,
        cause=words.cause,
        fix=words.fix,
        at=at,
    )


def _held_code(customer: Customer) -> str:
    return "invalid_email" if customer.email else "no_email"


def _gone(stored: StoredCustomer) -> Pair:
    return Pair(RemovedCustomer(id=stored.customer_id, updated_at=""), stored)


def _audience_id(department: Department) -> str:
    return department.audience.id if department.audience else ""


def _sum(counts: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    return {name: counts.get(name, 0) + more.get(name, 0) for name in counts | more}
