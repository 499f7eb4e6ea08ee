"""What the workflows of a run need from the outside: kept small, so that each can be given something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from chalicelib.domain.consent.observations import Observation, Told
from chalicelib.domain.departments import Department, OutboxBacklog
from chalicelib.domain.planning import AddressState, Operation
from chalicelib.domain.runs import Run
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.pracbill.client import PracBillClient
from chalicelib.store.customer_reading import CustomerReader

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


class Phase(Protocol):
    """A phase of a run that speaks to Mailchimp: pull, segments.

    `step` does what fits into the time left. It answers the run to continue with in a new message, or None at its end.
    """

    def step(self, run: Run, department: Department, remaining: Remaining) -> Run | None: ...


class WebhookKeeper(Protocol):
    """Sees that the audience has our webhook, and answers the department as stored."""

    def repair(self, department: Department, client: MailchimpClient, *, patient: bool = False) -> Department: ...


class CountKeeper(Protocol):
    """Counts the audience's members and keeps the count with the department."""

    def recount(self, department: Department, open_client: Callable[[], MailchimpClient]) -> Department: ...


class FieldKeeper(Protocol):
    """Keeps the audience's fields as we need them, and answers the department as stored."""

    def look(self, run: Run, department: Department, client: MailchimpClient) -> Department: ...

    def look_again(self, run: Run, department: Department, client: MailchimpClient) -> Department: ...


class ConsentObservations(Protocol):
    """Stores the observations that a sync makes, and sends PracBill the consent changes it lacks."""

    def apply(
        self,
        department: Department,
        observation: Iterable[Observation],
        *,
        touch: bool = True,
        who: list[str] | None = None,
    ) -> Counter[str]: ...

    def send_to_pracbill(self, department: Department, pracbill: PracBillClient) -> Told: ...

    def backlog(self, department_id: str) -> OutboxBacklog | None: ...

    def owe_pracbill(self, department: Department, states: Iterable[AddressState]) -> None: ...

    def refused(self, department: Department, operation: Operation, code: str, at: datetime) -> None: ...
