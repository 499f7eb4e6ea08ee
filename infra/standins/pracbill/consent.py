"""What PracBill does with a consent change it is told of: one pure rule, free of clock and storage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

Status = Literal["subscribed", "unsubscribed"]


@dataclass(frozen=True, slots=True)
class ConsentChange:
    """One entry of `POST .../marketing-consent`; `email` is kept as it was sent."""

    email: str
    status: Status
    occurred_at: datetime
    source: str | None = None
    reason: str | None = None


class Effect(StrEnum):
    """What became of a change for one customer, or, as UNKNOWN, that no customer has its address."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    STALE = "stale"
    UNKNOWN = "unknown"


def decide(*, status: str | None, heard_at: datetime | None, change: ConsentChange) -> Effect:
    """The effect of `change` on a customer whose consent is `status`, last heard of at `heard_at`.

    The newest word of the person counts, in whatever order words arrive. At the very same instant the opt-out counts.
    A consent of unknown time (None) is taken for older than any change.
    """
    if status == change.status:
        return Effect.UNCHANGED
    if status is None or heard_at is None or change.occurred_at > heard_at:
        return Effect.CHANGED
    is_opt_out = change.status == "unsubscribed"
    return Effect.CHANGED if is_opt_out and change.occurred_at == heard_at else Effect.STALE


def address_key(email: str | None) -> str:
    """The form in which addresses are compared: trimmed, lower case. Empty for no address."""
    return (email or "").strip().lower()
