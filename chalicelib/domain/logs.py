"""What staff read afterwards: log entries, records of single customers, the consent ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Direction = Literal["push", "pull"]
LogStatus = Literal["success", "error", "skipped"]
LogType = Literal["incremental", "full"]
# What made an entry come about.
LogTrigger = Literal["schedule", "staff", "webhook", "segment_edit", "erasure"]
# `partly_sent`: in Mailchimp, but for values that were left out or cut.
# `planned`: what a dry run would do, or a run that waits for approval.
Outcome = Literal["done", "partly_sent", "held", "refused", "failed", "planned"]
Route = Literal["pracbill", "webhook", "pull", "admin", "sync"]
# An entry names so many customers at most.
MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the Sync Logs. What is about single customers, an event or an erasure, is `incremental`."""

    date: datetime
    direction: Direction
    type: LogType
    trigger: LogTrigger
    status: LogStatus
    message: str
    run_id: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    customer_ids: tuple[str, ...] = ()  # of an entry about a few customers: the first of them
    cancelled: bool = False  # the run was stopped before its end, by staff or for another one
    code: str = ""  # what the message says, and with `params` its figures and names
    params: dict[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which log entries are asked for; what is None lets everything through.

    `since` is the earliest time, `until` the first one that is too late.
    """

    direction: Direction | None = None
    type: LogType | None = None
    status: LogStatus | None = None
    trigger: LogTrigger | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """What the history keeps of a run, or of a change that was read: how it was then, and what was new."""

    at: datetime
    members: int | None = None
    customers: int | None = None
    added: int = 0
    opted_out: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """What a run did, or did not do, for one customer or address; `code` names the case, `cause` and `fix` tell why."""

    key: str  # the address_key, or the customer's: a repeated step writes the same record again
    customer_id: str
    address: str  # masked
    action: str
    outcome: Outcome
    code: str
    cause: str
    fix: str
    at: datetime
    params: dict[str, str | int] = field(default_factory=dict)  # the figures and names in cause and fix


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One change of consent: from what to what, who said so, by which way we know, and the rule that decided."""

    at: datetime  # when it happened, by the clock of who told us
    recorded_at: datetime
    was: str
    became: str
    who: str  # the person, a bounce, PracBill, somebody in Mailchimp, one of these two, this service
    route: Route
    rule: str
    evidence: dict[str, str] = field(default_factory=dict)  # reason, campaign id, Mailchimp's time, run id


def customers_in_words(customer_ids: Sequence[str]) -> str:
    """Customers by their ids, in a sentence: `customer 7`, `customers 7, 9`."""
    return f"customer{'s' if len(customer_ids) > 1 else ''} {', '.join(customer_ids)}"
