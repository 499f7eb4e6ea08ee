"""Where the addresses of one shard stand, eleven bytes an address, by ascending keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chalicelib.domain.address_status import REASONS, AddressStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.consent.members import Status

# Stored as places in these lists, three bits and four: new ones are added at the end.
STATUSES: Final[tuple[Status, ...]] = (
    "absent",
    "subscribed",
    "unsubscribed",
    "cleaned",
    "pending",
    "transactional",
    "archived",
    "forgotten",
)
REASON_PLACES: Final = ("", *REASONS)
assert len(STATUSES) <= 8 and len(REASON_PLACES) <= 16
SHORT_KEY = 7
# The short key; whether campaigns reach it, status, reason; both as planned; how many customers have it (two bytes).
LENGTH: Final = SHORT_KEY + 4
NOW, PLANNED, MORE_CUSTOMERS, CUSTOMERS = range(SHORT_KEY, LENGTH)
MOST_CUSTOMERS = 0xFFFF
FOREIGN: Final = AddressStatus("subscribed", "foreign", is_reached=False, customer_count=0)


@dataclass(frozen=True, slots=True)
class Shard:
    """The addresses of one shard, by ascending keys. `is_planned`: they stand as the plan foresaw."""

    packed: bytes = b""
    is_planned: bool = False
    foreign: int = 0

    @property
    def column(self) -> int:
        return PLANNED if self.is_planned else NOW

    def get(self, address_key: str) -> AddressStatus | None:
        start = place_in(self.packed, short_key(address_key))
        found = unpacked_entry(self.packed, start, self.column) if start >= 0 else None
        return found if found is not None and not is_nobodys(found) else None

    def is_reached(self, address_key: str) -> bool:
        start = place_in(self.packed, short_key(address_key))
        return start >= 0 and self.packed[start + self.column] >= 0x80


def changed_part(
    packed: bytes, changes: Mapping[str, tuple[AddressStatus, AddressStatus]], *, without: set[bytes]
) -> bytes:
    """A shard's addresses, sorted, so that what did not change is stored as it was; `without` are kept elsewhere."""
    known = {
        packed[start : start + SHORT_KEY]: packed[start : start + LENGTH] for start in range(0, len(packed), LENGTH)
    }
    for address_key, (now, planned) in changes.items():
        short = short_key(address_key)
        known.pop(short, None)
        if short not in without and not (is_nobodys(now) and is_nobodys(planned)):
            known[short] = short + packed_entry(now, planned)
    return b"".join(known[short] for short in sorted(known))


def is_nobodys(one: AddressStatus) -> bool:
    """Whether it belongs to no customer and makes no difference: strangers who opted out, or left."""
    return not one.customer_count and not one.reason


def packed_entry(now: AddressStatus, planned: AddressStatus) -> bytes:
    return bytes((packed_byte(now), packed_byte(planned), *divmod(min(now.customer_count, MOST_CUSTOMERS), 256)))


def packed_byte(one: AddressStatus) -> int:
    return one.is_reached << 7 | STATUSES.index(one.status) << 4 | REASON_PLACES.index(one.reason)


def unpacked_entry(packed: bytes, start: int, column: int) -> AddressStatus:
    byte = packed[start + column]
    return AddressStatus(
        STATUSES[(byte >> 4) & 0x07],
        REASON_PLACES[byte & 0x0F],
        byte >= 0x80,
        256 * packed[start + MORE_CUSTOMERS] + packed[start + CUSTOMERS],
    )


def place_in(packed: bytes, short: bytes) -> int:
    """Where the entry of an address begins; -1 without one."""
    low, high = 0, len(packed) // LENGTH
    while low < high:
        middle = (low + high) // 2
        if packed[middle * LENGTH : middle * LENGTH + SHORT_KEY] < short:
            low = middle + 1
        else:
            high = middle
    start = low * LENGTH
    return start if packed[start : start + SHORT_KEY] == short else -1


def columns_of(packed: bytes, *columns: int) -> list[bytes]:
    return [packed[column::LENGTH] for column in columns]


def short_key(address_key: str) -> bytes:
    """What stands for an address within its shard, whose two digits come before."""
    return bytes.fromhex(address_key[2 : 2 + 2 * SHORT_KEY])
