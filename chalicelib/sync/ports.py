"""What the workflows of a run need from the outside: kept small, so that each can be given something else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from chalicelib.domain.departments import Department
from chalicelib.store.customer_reading import CustomerReader

if TYPE_CHECKING:
    from chalicelib.domain.runs import Run
    from chalicelib.http_client.calls import CallMade
    from chalicelib.mailchimp.client import MailchimpClient
    from chalicelib.pracbill.client import PracBillClient

Clock = Callable[[], datetime]
# Seconds that the function may still run.
Remaining = Callable[[], float]
# Opens the customers of a department for a reading of all.
ReaderFor = Callable[[Department], CustomerReader]


class MailchimpFor(Protocol):
    """Opens the client of a department's key. Raises KeyRejected when the department has no key."""

    def __call__(self, department: Department, remaining: Remaining) -> MailchimpClient: ...


class PracBillFor(Protocol):
    """Opens the client towards PracBill."""

    def __call__(self, remaining: Remaining) -> PracBillClient: ...


class Meter(Protocol):
    """Counts what happens, for the operators' dashboard."""

    def count(self, name: str, value: float = 1, unit: str = "Count") -> None: ...


class ProcessMeter(Meter, Protocol):
    """A meter of a whole process: also of each call to Mailchimp; written out at the end of each invocation."""

    def mailchimp_call(self, call: CallMade) -> None: ...

    def flush(self) -> None: ...


class Phase(Protocol):
    """One phase of a run: pull, ingest, plan, apply, segments, close.

    `step` does what fits into the time left. It answers the run to go on with, or None at the phase's end. A step that
    comes again, or twice, changes nothing that the first one has done.
    """

    def step(self, run: Run, department: Department, remaining: Remaining) -> Run | None: ...


class LaneWork(Protocol):
    """What a phase has handed out to the account's lanes, a message for each number.

    Both answer the run as stored, and leave alone what is done already. `apply` raises RetryLater when the message is
    to come again; `fail` closes what never got to its end.
    """

    def apply(self, run: Run, department: Department, number: int, remaining: Remaining) -> Run: ...

    def fail(self, run: Run, department: Department, number: int) -> Run: ...
