"""Erasure: a person wants to be forgotten. Deleted for good in Mailchimp, removed from our tables, never added again.

What stays is a keyed hash of the address with the note `erased`, so that a customer whom PracBill still lists is not
added anew, and ledger entries under that hash, which hold no address.

Every call finishes what an earlier one left undone: the note comes first, so that nothing adds the address while it is
being erased, and the customer, by whom the address is found, goes last.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.config import API_SECONDS
from chalicelib.contract.customers import ErasureReceipt
from chalicelib.domain.addresses import usable_address
from chalicelib.domain.consent.members import ConsentState, OptOut
from chalicelib.domain.consent.opt_outs import newest_opt_out
from chalicelib.domain.customers import address_key, customer_key, mail_address
from chalicelib.domain.logs import LedgerEntry, LogEntry
from chalicelib.errors import FieldError, bad_input, conflict, not_found

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from chalicelib.domain.departments import Department
    from chalicelib.domain.planning import AddressState
    from chalicelib.store.customers import CustomerStore, StoredCustomer
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.store.logs import LedgerStore, LogStore
    from chalicelib.store.members import MemberStore
    from chalicelib.sync.ports import Clock, MailchimpFor


class Erasure:
    def __init__(
        self,
        *,
        departments: DepartmentStore,
        customers: CustomerStore,
        members: MemberStore,
        ledger: LedgerStore,
        logs: LogStore,
        mailchimp_for: MailchimpFor,
        clock: Clock,
    ) -> None:
        self._departments = departments
        self._customers = customers
        self._members = members
        self._ledger = ledger
        self._logs = logs
        self._mailchimp_for = mailchimp_for
        self._clock = clock

    def erase(self, department_id: str, customer_id: str, *, by: str) -> ErasureReceipt:
        """Erase a customer's address in Mailchimp and here. Raises RefuseRequest (404) for a customer we do not have.

        Raises KeyRejected, StopRun and RetryLater when Mailchimp cannot be told; calling again goes on from there.
        """
        department = self._departments.get(department_id)
        stored = self._stored(department_id, customer_id)
        if department is None or stored is None:
            raise not_found("There is no customer with this id here, so there is nothing to erase.")
        now = self._clock()
        may_differ = not stored.is_readable
        self._departments.change(
            department_id,
            lambda known: replace(
                known, has_erasures=True, unreadable_may_differ=known.unreadable_may_differ or may_differ
            ),
        )
        audience_id = department.audience.id if department.audience else ""
        states = self._states(department, stored, audience_id)
        for state in states:
            if state.address_customers is not None:
                self._note(department_id, state, audience_id, now)
        deleted = self._delete_in_mailchimp(department, audience_id, states)
        for state in states:
            # A previous address was in no danger of being added; without its consent state it would not be found again.
            self._note(department_id, state, audience_id, now)
            self._record(department_id, state, by, now)
            self._remove_traces(department_id, state, stored)
        self._log(department_id, now)
        self._remove_customer(department_id, stored)
        return ErasureReceipt(customer_id, now, _message(states, customer_id, deleted=deleted))

    def key_of(self, department_id: str, address: str) -> str:
        """What an address is filed under. Raises RefuseRequest for what is no address or no department."""
        _, state = self._of_address(department_id, address)
        return state.member.address_key

    def customers_of(self, department_id: str, address: str) -> tuple[str, ...]:
        """The ids of the customers whose address this is now. Raises RefuseRequest as `key_of` does."""
        _, state = self._of_address(department_id, address)
        return tuple(customer.id for customer in state.address_customers.customers) if state.address_customers else ()

    def erase_address(self, department_id: str, address: str, *, by: str) -> tuple[ErasureReceipt, ...]:
        """Erase whoever has an address: each of its customers, or else the address alone, in Mailchimp and here.

        A person may ask to be forgotten whom PracBill does not list any more, or never did. Raises as `erase` does.
        """
        ids = self.customers_of(department_id, address)
        if ids:
            return tuple(self.erase(department_id, customer_id, by=by) for customer_id in ids)
        department, state = self._of_address(department_id, address)
        state = replace(state, member=replace(state.member, address=mail_address(address)))
        now, audience_id = self._clock(), department.audience_id
        self._departments.change(department_id, lambda known: replace(known, has_erasures=True))
        self._note(department_id, state, audience_id, now)
        deleted = self._delete_in_mailchimp(department, audience_id, [state])
        self._record(department_id, state, by, now)
        key = state.member.address_key
        self._members.drop_outbox_entry(department_id, key)
        batch = self._members.batch(department_id)
        batch.remove_delivery(key)
        batch.flush()
        self._log(department_id, now)
        return (ErasureReceipt("", now, _message_of_address(deleted=deleted)),)

    def _of_address(self, department_id: str, address: str) -> tuple[Department, AddressState]:
        usable, department = usable_address(address), self._departments.get(department_id)
        if usable is None:
            raise bad_input(FieldError("address", "must be an e-mail address", "bad_form"))
        if department is None:
            raise not_found("This department is not known here.")
        key = address_key(department.salt, usable)
        return department, self._members.state(department_id, key, department.audience_id)

    def _stored(self, department_id: str, customer_id: str) -> StoredCustomer | None:
        key = customer_key(customer_id)
        return self._customers.get(department_id, [key]).get(key)

    def _states(self, department: Department, stored: StoredCustomer, audience_id: str) -> list[AddressState]:
        """The customer's address, those it had before, and those to which the person went on in Mailchimp.

        Others than the customer's own are left alone when somebody else has them now.
        """
        others = list(stored.previous_keys)
        found: dict[str, AddressState] = {}
        if stored.address_key:
            state = self._members.state(department.id, stored.address_key, audience_id)
            found[stored.address_key] = state
            others.append(state.member.successor_key)
        while others:
            key = others.pop()
            if not key or key in found:
                continue
            other = self._members.state(department.id, key, audience_id)
            if other.address_customers is None:
                found[key] = other
                others.append(other.member.successor_key)
        # The customer's own last: by it the others are found.
        return list(found.values())[::-1]

    def _note(self, department_id: str, state: AddressState, audience_id: str, now: datetime) -> None:
        """The note that keeps the address out, and the address itself out of it."""

        def erased(known: ConsentState) -> ConsentState:
            if known.erased:
                return known
            no = newest_opt_out(known.opt_out, OptOut(now, "person", "erased", sent_to_pracbill=True))
            # Where the person went on is a hash as well; a repeat finds the way by it.
            left = known.successor_key if known.audience_id == audience_id else ""
            return ConsentState(
                audience_id, "forgotten", status_at=now, observed_at=now, opt_out=no, erased=True, successor_key=left
            )

        member = state.member
        self._members.change_consent_state(department_id, member.address_key, member.address, erased)

    def _delete_in_mailchimp(self, department: Department, audience_id: str, states: list[AddressState]) -> bool:
        """Delete the members for good; answers False where no audience is connected that could have them."""
        if not audience_id or department.connection is None:
            return False
        addresses = [state.member.address for state in states if state.member.address]
        if not addresses:
            return True
        mailchimp = self._mailchimp_for(department, lambda: API_SECONDS)
        for address in addresses:
            if mailchimp.delete_permanently(audience_id, address).outcome == "refused":
                raise conflict(
                    "Mailchimp did not delete the contact. No sync adds it again; delete it in Mailchimp by hand, "
                    "then erase the customer here again.",
                    code="not-deleted",
                )
        return True

    def _record(self, department_id: str, state: AddressState, by: str, now: datetime) -> None:
        entry = LedgerEntry(
            at=now,
            recorded_at=now,
            was=state.member.status,
            became="forgotten",
            who="the person",
            route="admin",
            rule="erased",
            evidence={"by": by},
        )
        self._ledger.append(department_id, state.member.address_key, entry)

    def _remove_traces(self, department_id: str, state: AddressState, stored: StoredCustomer) -> None:
        """Everything of the address that can be read; of other customers who share it only the pushes go."""
        key = state.member.address_key
        self._members.drop_outbox_entry(department_id, key)
        batch = self._members.batch(department_id)
        batch.remove_delivery(key)
        batch.remove_document(key, stored.customer_key)
        batch.flush()
        if state.address_customers is None or len(state.address_customers.customers) < 2:
            for marker in self._members.marks(department_id, key):
                batch.unmark(marker)
            batch.flush()

    def _remove_customer(self, department_id: str, stored: StoredCustomer) -> None:
        # Segments count one customer less; the address is looked at by its key alone.
        news = self._members.batch(department_id)
        news.recheck(
            stored.address_key,
            left_by=stored.customer_key,
            segments=stored.in_segments,
            left_out=stored.left_out,
            is_gone=True,
        )
        news.flush()
        customers = self._customers.batch(department_id)
        customers.remove(stored.customer_key)
        customers.flush()

    def _log(self, department_id: str, now: datetime) -> None:
        entry = LogEntry(
            date=now,
            direction="push",
            type="incremental",
            trigger="erasure",
            status="success",
            message="A customer's data was erased, in Mailchimp and here.",
            code="erased",
        )
        self._logs.add(department_id, entry, key="erasure")


def erased_among(members: MemberStore, department_id: str, address_keys: Iterable[str]) -> frozenset[str]:
    """Which of these addresses are erased: nothing that can be read may be stored of their customers again."""
    known = members.member_states(department_id, address_keys)
    return frozenset(
        key
        for key, member_states in known.items()
        if member_states.consent_state is not None and member_states.consent_state.erased
    )


def _message_of_address(*, deleted: bool) -> str:
    done = "deleted in Mailchimp for good" if deleted else "not deleted in Mailchimp, since no audience is connected"
    return f"No customer here has this address. It is noted as erased, so that no sync adds it, and {done}."


def _message(states: list[AddressState], customer_id: str, *, deleted: bool) -> str:
    parts = [
        "The customer is erased here, and deleted in Mailchimp for good: no sync adds the address again."
        if deleted
        else "The customer is erased here. No Mailchimp audience is connected, so nothing was deleted there.",
        "Erase the customer in PracBill too.",
    ]
    others = [
        c.id
        for state in states
        if state.address_customers
        for c in state.address_customers.customers
        if c.id != customer_id
    ]
    if others:
        parts.append(f"The same address belongs to other customers, who are no longer synced: {', '.join(others)}.")
    return " ".join(parts)
