"""What a page of PracBill's customers changes here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from chalicelib.domain.addresses import usable_address
from chalicelib.domain.customers import (
    Customer,
    RemovedCustomer,
    address_key,
    customer_key,
    customer_to_document,
    fingerprint,
)
from chalicelib.domain.moments import moment_text, parse_moment
from chalicelib.domain.planning import Arrival
from chalicelib.domain.segments.filterable import filterable, sample_of
from chalicelib.store.customer_tags import TRIED_AGAIN
from chalicelib.store.customers import CustomerStore, StoredCustomer

if TYPE_CHECKING:
    from chalicelib.domain.departments import Department
    from chalicelib.domain.runs import Run
    from chalicelib.store.members import MemberStore


@dataclass(frozen=True, slots=True)
class Pair:
    """A customer as PracBill has it (or no longer has it), and as we have stored it."""

    current: Customer | RemovedCustomer
    stored: StoredCustomer | None


class PageChanges:
    """The writes that a page of customers asks for, in the three groups that must be written in order."""

    def __init__(
        self,
        department: Department,
        run: Run,
        members: MemberStore,
        customers: CustomerStore,
        erased: frozenset[str],
    ) -> None:
        self.marks = members.batch(department.id)
        self.documents = members.batch(department.id)
        self.customers = customers.batch(department.id)
        self.has_unreadable = False  # someone who is stored or removed has, or had, a value that cannot be read
        self._department = department
        self._run = run
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
            # An unchanged customer without an address is recorded again by a full run only.
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
        old_key = stored.address_key if stored else ""
        moved = old_key if old_key and old_key != key else ""
        arrival = self._arrival(customer, stored, moved)
        if moved:
            self._leave(moved, id_key, moved_to=key)
            self._check_tags(moved, key, stored)
        if not key:
            self._look_without_address(id_key)
        if key:
            self._mark(key)
            self.documents.put_document(key, id_key, document, arrival)
        known = StoredCustomer(
            customer_key=id_key,
            customer_id=customer.id,
            fingerprint=print_now,
            address_key=key,
            in_segments=stored.in_segments if stored and not moved else (),
            left_out=_tried_again(stored.left_out) if stored else (),
            previous_keys=_previous_keys(stored, key),
            moved_from=arrival.from_key if arrival else "",
            moved_at=moment_text(arrival.at) if arrival and arrival.at else "",
        )
        seen = filterable(customer, self._zone)
        self._note_unreadable(stored, is_readable=seen.is_readable)
        self.customers.put(known, seen, sample_of(customer))

    def _arrival(self, customer: Customer, stored: StoredCustomer | None, moved: str) -> Arrival | None:
        """From where the customer came to its address. Edits of other things do not make one forget it."""
        if moved:
            return Arrival(customer.id, moved, self._run.started_at)
        if stored is None or not stored.moved_from:
            return None
        return Arrival(customer.id, stored.moved_from, parse_moment(stored.moved_at))

    def _remove(self, stored: StoredCustomer | None) -> None:
        if stored is None:
            return
        if stored.address_key:
            self._leave(stored.address_key, stored.customer_key)
        self._check_gone(stored)
        self._note_unreadable(stored, is_readable=True)
        self.customers.remove(stored.customer_key)

    def _note_unreadable(self, stored: StoredCustomer | None, *, is_readable: bool) -> None:
        was_readable = stored is None or stored.is_readable
        self.has_unreadable = self.has_unreadable or not (was_readable and is_readable)

    def _leave(self, key: str, id_key: str, *, moved_to: str = "") -> None:
        self._mark(key)
        self.documents.remove_document(key, id_key)
        if moved_to:
            self.documents.put_move(key, moved_to)

    def _check_tags(self, left: str, joined: str, stored: StoredCustomer | None) -> None:
        """The tags that the member carried through this customer stay behind, or come along where it is renamed."""
        for key in (left, joined) if stored is not None and stored.in_segments else ():
            if key and stored is not None:
                self.marks.recheck(key, left_by=stored.customer_key, segments=stored.in_segments)

    def _check_gone(self, stored: StoredCustomer) -> None:
        """The tags that a removed customer's member carried stay behind, and the segments count one customer less."""
        if stored.in_segments or stored.left_out:
            self.marks.recheck(
                stored.address_key,
                left_by=stored.customer_key,
                segments=stored.in_segments,
                left_out=stored.left_out,
                is_gone=True,
            )

    def _look_without_address(self, id_key: str) -> None:
        """Segments look at a changed customer by its address, and at one without an address by itself."""
        if self._run.type != "full":
            self.marks.recheck("", left_by=id_key)

    def _mark(self, key: str) -> None:
        """A full run decides every address anyway, and leaves a note in the department until it has."""
        if self._run.type != "full":
            self.marks.mark(key, self._run.id)


def _tried_again(left_out: tuple[str, ...]) -> tuple[str, ...]:
    """Whom Mailchimp passed over for a tag is tried again after an edit, and counts as passed over until then."""
    return tuple(f"{text}{TRIED_AGAIN}" if text.endswith(":not_taken") else text for text in left_out)


def _previous_keys(stored: StoredCustomer | None, key: str) -> tuple[str, ...]:
    """The keys of the addresses that a customer had before the one with this key."""
    if stored is None:
        return ()
    return tuple(sorted({*stored.previous_keys, stored.address_key} - {key, ""}))


def _held_code(customer: Customer) -> str:
    return "invalid_email" if customer.email else "no_email"
