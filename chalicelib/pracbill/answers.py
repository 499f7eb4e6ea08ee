"""What PracBill's answers and our changes for it come to: apart from the calls, so that holding them loads no HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.domain.customers import ConsentWord, Customer, RemovedCustomer

MOST_CHANGES_A_CALL = 500


@dataclass(frozen=True, slots=True)
class Department:
    """A department of PracBill. `note` says what had to be assumed about it, for staff; empty when nothing."""

    id: str
    name: str
    timezone: str
    country: str
    currency: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be used: `position` in its page (from 0) and why."""

    position: int
    cause: str


@dataclass(frozen=True, slots=True)
class CustomerPage:
    """One page of all customers, by ascending id. `next_after` is None on the last one."""

    records: tuple[Customer | BadRecord, ...] = field(repr=False)
    next_after: str | None


@dataclass(frozen=True, slots=True)
class ChangePage:
    """One page of changes. `as_of` is PracBill's time up to which changes are complete, as it wrote it."""

    records: tuple[Customer | RemovedCustomer | BadRecord, ...] = field(repr=False)
    next_cursor: str | None
    as_of: str


@dataclass(frozen=True, slots=True)
class ConsentChange:
    """A consent to write back, with its address, when and where it was observed, and why."""

    email: str = field(repr=False)
    status: ConsentWord
    occurred_at: datetime
    source: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ConsentWritten:
    """How many changes PracBill took, and the addresses that none of its customers has."""

    applied: int = 0
    unknown: tuple[str, ...] = field(default=(), repr=False)
