"""What several of the contract's values share.

All of chalicelib/contract crosses the HTTP edge: what workflows answer, and the few values they are asked with. Field
names are those of the API's documents, so the edge only writes them out: times as RFC 3339 in UTC, tuples as lists,
decimals as text. Every time is an aware datetime. Nothing here carries a key; addresses appear masked unless a field
says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Item = TypeVar("Item")
Access = Literal["read", "write"]
# The figures and names of a sentence, beside the code of what it says.
Params = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Health:
    """Liveness."""

    status: Literal["ok"]
    version: str


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list. `next_cursor` fetches the next one with the same filters; null at the end."""

    items: tuple[Item, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Explained:
    """A case: `code` names it, `cause` and `fix` tell it in plain words."""

    code: str
    cause: str
    fix: str | None


@dataclass(frozen=True, slots=True)
class DifferenceReason:
    """A part of the difference: `count` is signed, positive for customers that are not members."""

    code: str
    count: int
    explanation: str
