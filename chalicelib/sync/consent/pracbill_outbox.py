"""The PracBill outbox: consent changes that PracBill has not confirmed yet, and how they are sent.

An entry goes in before the change counts as known, and out when PracBill has confirmed it. One that was sent and not
confirmed is sent again: sending twice changes nothing there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chalicelib.domain.consent.observations import OutboxEntry, OutboxResult
from chalicelib.domain.customers import address_in_letters, mail_address
from chalicelib.domain.departments import Department, OutboxBacklog
from chalicelib.errors import RetryLater, StopRun
from chalicelib.iteration import map_concurrently, slices
from chalicelib.pracbill.answers import MOST_CHANGES_A_CALL, ConsentChange
from chalicelib.pracbill.errors import ConsentRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.domain.consent.members import AddressCustomers, ConsentState, OptOut
    from chalicelib.domain.planning import AddressState
    from chalicelib.pracbill.client import PracBillClient
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.store.members import MemberStore
    from chalicelib.sync.ports import Clock, PracBillFor, Remaining

# Finding one change among 500 that PracBill refuses takes ten refused calls.
_MOST_REFUSED_CALLS = 30
_BEING_SENT = "They are being sent now."


@dataclass(slots=True)
class _Sending:
    entries: int = 0
    confirmed: int = 0
    refused_calls: int = 0
    refusal: ConsentRefused | None = None


class PracBillOutbox:
    def __init__(
        self, *, departments: DepartmentStore, members: MemberStore, pracbill_for: PracBillFor, clock: Clock
    ) -> None:
        self._departments = departments
        self._members = members
        self._pracbill_for = pracbill_for
        self._clock = clock

    def send(self, department: Department, remaining: Remaining) -> OutboxResult:
        """Send PracBill every consent change it has not confirmed.

        An entry that was replaced while it was sent stays for the next time. One that PracBill refuses stays as well,
        and keeps none of the others back. Raises what PracBillClient raises for other failures, after everything that
        was confirmed is noted; what waits is noted with the department either way.
        """
        pracbill, sending = self._pracbill_for(remaining), _Sending()
        try:
            for entries in slices(self._members.outbox(department.id), MOST_CHANGES_A_CALL):
                self._send(department, pracbill, entries, sending)
        except (RetryLater, StopRun) as failed:
            self.note_backlog(department.id, failed.message)
            raise
        if sending.refusal is None and not sending.entries and department.backlog is None:
            return OutboxResult()
        why = sending.refusal.message if sending.refusal is not None else ""
        return OutboxResult(sending.confirmed, self.note_backlog(department.id, why))

    def note_backlog(self, department_id: str, why: str) -> OutboxBacklog | None:
        """Count the entries and note that with the department, for its health; `why` they wait."""
        count, now = self._members.outbox_count(department_id), self._clock()

        def noted(known: Department) -> Department:
            since = known.backlog.since if known.backlog is not None else now
            return replace(known, backlog=OutboxBacklog(count, since, why or _BEING_SENT) if count else None)

        return self._departments.change(department_id, noted).backlog

    def backlog(self, department_id: str) -> OutboxBacklog | None:
        """What waits, as last noted."""
        department = self._departments.get(department_id)
        return department.backlog if department is not None else None

    def _send(
        self, department: Department, pracbill: PracBillClient, entries: Sequence[OutboxEntry], sending: _Sending
    ) -> None:
        """Send some entries; where PracBill refuses them, half and half, until it is known which ones it means."""
        if sending.refused_calls >= _MOST_REFUSED_CALLS:
            return
        changes = [change for entry in entries for change in self._changes_of(department, entry)]
        middle = len(entries) // 2
        if len(changes) > MOST_CHANGES_A_CALL and middle:
            self._send(department, pracbill, entries[:middle], sending)
            self._send(department, pracbill, entries[middle:], sending)
            return
        sending.entries += len(entries)
        try:
            written = pracbill.write_consent(department.id, changes)
        except ConsentRefused as refused:
            sending.refusal, sending.refused_calls = refused, sending.refused_calls + 1
            for part in (entries[:middle], entries[middle:]) if middle else ():
                self._send(department, pracbill, part, sending)
            return
        unknown = {email.strip().lower() for email in written.unknown}
        known = {mail_address(change.email) for change in changes if change.email.strip().lower() not in unknown}
        confirmed = [entry for entry in entries if mail_address(entry.email) in known]
        map_concurrently(lambda entry: self._note_sent(department.id, entry), confirmed)
        map_concurrently(
            lambda entry: self._members.drop_outbox_entry(department.id, entry.address_key, entry), entries
        )
        sending.confirmed += len(confirmed)

    def _changes_of(self, department: Department, entry: OutboxEntry) -> list[ConsentChange]:
        """What PracBill gets for an entry: in its own spelling of the address, in both where nobody has it."""
        in_letters = address_in_letters(entry.email)
        if in_letters == entry.email:
            return [_change_of(entry)]
        state = self._members.state(department.id, entry.address_key, department.audience_id)
        own = (
            {customer.email for customer in state.address_customers.customers}
            if state.address_customers is not None
            else set()
        )
        return [_change_of(replace(entry, email=email)) for email in sorted(own or {entry.email, in_letters})]

    def add_opt_outs(self, department: Department, states: Iterable[AddressState]) -> None:
        """Queue for PracBill the opt-outs that were observed before it had this customer with the address."""
        for state in states:
            opt_out, member = state.member.opt_out, state.member
            if state.address_customers is None or opt_out is None or member.erased:
                continue
            if opt_out.route == "pracbill" or state.address_customers.consent == "unsubscribed":
                continue
            if opt_out.customers and not state.address_customers.ids <= {*opt_out.customers}:
                continue  # PracBill would write it down for everybody who has the address
            if opt_out.sent_to_pracbill and not _was_never_sent(state.address_customers, opt_out):
                continue
            entry = OutboxEntry(
                member.address_key, member.address, "unsubscribed", opt_out.at, "mailchimp", opt_out.reason
            )
            self._members.keep_outbox_entry(department.id, entry)

    def _note_sent(self, department_id: str, entry: OutboxEntry) -> None:
        def sent(consent_state: ConsentState) -> ConsentState:
            opt_out = consent_state.opt_out
            if entry.status != "unsubscribed" or opt_out is None or opt_out.at > entry.occurred_at:
                return consent_state
            return replace(consent_state, opt_out=replace(opt_out, sent_to_pracbill=True))

        self._members.change_consent_state(department_id, entry.address_key, entry.email, sent)


def _was_never_sent(address_customers: AddressCustomers, no: OptOut) -> bool:
    """Whether PracBill, once it had the no, must have entered the customer anew: what it says now is older than that.

    A yes without a time is left alone: it may be later.
    """
    if address_customers.consent is None:
        return True
    return address_customers.consent_at is not None and address_customers.consent_at <= no.at


def _change_of(entry: OutboxEntry) -> ConsentChange:
    return ConsentChange(
        email=entry.email,
        status=entry.status,
        occurred_at=entry.occurred_at,
        source=entry.source,
        reason=entry.reason,
    )
