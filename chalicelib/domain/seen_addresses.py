"""Who was seen in a long listing, in memory that does not grow with it: a Bloom filter over address keys.

Address keys are keyed hashes already, so their own digits choose the bits. Who was seen is always known as seen. Who
was not may be taken for seen: once in 40 million for an audience of 100,000, once in a thousand for one of a million.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BITS = 1 << 24
_BITS_A_KEY = 5
_DIGITS_A_BIT = 6  # 24 bits of the key; five times six of its 32 digits are used
# Parts of an equal size, small enough to be stored as one item each even when they do not compress.
PARTS = 16
_BYTES_A_PART = _BITS // 8 // PARTS


class SeenAddresses:
    def __init__(self, bits: bytearray | None = None) -> None:
        self._bits = bits if bits is not None else bytearray(_BITS // 8)

    @classmethod
    def from_parts(cls, parts: Sequence[bytes]) -> SeenAddresses:
        """What `parts` gave. Raises ValueError when it is not that."""
        try:
            bits = bytearray(b"".join(zlib.decompress(part) for part in parts))
        except zlib.error as damage:
            raise ValueError("not the parts of a seen set") from damage
        if len(bits) != _BITS // 8:
            raise ValueError("not all parts of a seen set")
        return cls(bits)

    def parts(self) -> list[bytes]:
        """The whole, compressed, in as many parts as PARTS says."""
        starts = range(0, len(self._bits), _BYTES_A_PART)
        return [zlib.compress(bytes(self._bits[start : start + _BYTES_A_PART]), 1) for start in starts]

    def add(self, address_key: str) -> None:
        for byte, bit in _places(address_key):
            self._bits[byte] |= bit

    def __contains__(self, address_key: str) -> bool:
        return all(self._bits[byte] & bit for byte, bit in _places(address_key))


def _places(address_key: str) -> list[tuple[int, int]]:
    """The byte and the bit in it that each part of the key stands for."""
    starts = range(0, _BITS_A_KEY * _DIGITS_A_BIT, _DIGITS_A_BIT)
    numbers = (int(address_key[start : start + _DIGITS_A_BIT], 16) for start in starts)
    return [(number >> 3, 1 << (number & 7)) for number in numbers]
