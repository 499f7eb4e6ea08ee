"""Who is somewhere else than a chunk's calls took them to be: people change their addresses in Mailchimp."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.push_results import PushResult
from chalicelib.errors import RetryLater, StopRun
from chalicelib.sync.consent.address_changes import AddressChange, AddressChanges
from chalicelib.sync.consent.observations import gone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from chalicelib.domain.planning import Operation
    from chalicelib.mailchimp.answers import RemoteMember
    from chalicelib.sync.ports import Clock
    from chalicelib.sync.runs.sending import Sending
    from chalicelib.sync.runs.single_calls import Interruption

# New contacts are rare; should an audience get many at once, the next full pull finds who moved.
_MOST_CONTACTS_ASKED = 20


class MovedContacts:
    def __init__(self, address_changes: AddressChanges, clock: Clock) -> None:
        self._address_changes = address_changes
        self._clock = clock

    def find(self, sending: Sending, results: Sequence[PushResult]) -> tuple[list[PushResult], Interruption | None]:
        """Look after those whose write met another contact than the one we knew; the rest is answered as it was.

        Where that could not be done, what interrupted it is answered too, and who is left out comes with the repeat.
        """
        kept: list[PushResult] = []
        asked = 0
        interruption: Interruption | None = None
        for one in results:
            before = _contact_before(one, sending)
            if not before or asked == _MOST_CONTACTS_ASKED:
                kept.append(one)
            elif interruption is None:
                asked += 1
                try:
                    kept.append(self._moved_unnoticed(sending, one, before))
                except (RetryLater, StopRun) as unasked:
                    # Also where only this call fails: until it is known where the person is, the write must not count.
                    interruption = unasked
        return kept, interruption

    def _moved_unnoticed(self, sending: Sending, one: PushResult, before: str) -> PushResult:
        """When the contact we knew is found under another address, the person changed it without our noticing, and the
        write made a new member of the old address. It goes again, and a no goes to where the person is.
        """
        operation, audience_id = one.operation, sending.audience_id
        asked_at = self._clock()
        found = sending.mailchimp.contact(audience_id, before)
        if found is None or found.address in ("", operation.address):
            return one
        sending.mailchimp.archive_member(audience_id, operation.address)
        self.apply(sending, operation.old_address or operation.address, found, asked_at)
        return PushResult(operation, "held")

    def apply(self, sending: Sending, address: str, found: RemoteMember, asked_at: datetime) -> None:
        change = AddressChange(address, found.address, found, found.last_changed or asked_at, asked_at, "sync")
        self._address_changes.apply(sending.department, sending.mailchimp, change, was_there=True)

    def missing(self, sending: Sending, operation: Operation, address: str, contact_id: str) -> PushResult:
        """Nobody is there any more under an address that we knew: the person changed it, or the contact was deleted."""
        asked_at = self._clock()
        sending.mailchimp.audience(sending.audience_id)  # all are missing where the audience itself was deleted
        found = sending.mailchimp.contact(sending.audience_id, contact_id) if contact_id else None
        if found is not None and found.address not in ("", address):
            self.apply(sending, address, found, asked_at)
            return PushResult(operation, "held")
        return PushResult(operation, "held", shown=gone(address, asked_at, asked_at, "sync"))


def _contact_before(one: PushResult, sending: Sending) -> str:
    """The id of the contact that we knew under the address, if the write met another one; else nothing."""
    operation = one.operation
    if operation.action == "add" or one.action == "add" or not one.contact_id:
        return ""
    before = sending.member(operation.old_address_key or operation.address_key).contact_id
    return before if before != one.contact_id else ""
