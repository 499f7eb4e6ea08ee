from __future__ import annotations

import random
import zlib

import pytest

from chalicelib.domain.seen_addresses import PARTS, SeenAddresses

RANDOM = random.Random(1)


def keys(count: int) -> list[str]:
    return [f"{RANDOM.getrandbits(128):032x}" for _ in range(count)]


def test_who_was_seen_is_known_as_seen() -> None:
    seen_addresses, seen = SeenAddresses(), keys(20_000)
    for key in seen:
        seen_addresses.add(key)
    assert all(key in seen_addresses for key in seen)


def test_of_many_who_were_not_seen_hardly_anybody_is_taken_for_seen() -> None:
    seen_addresses = SeenAddresses()
    for key in keys(100_000):
        seen_addresses.add(key)
    assert sum(key in seen_addresses for key in keys(100_000)) == 0


def test_sightings_survive_being_taken_apart() -> None:
    seen_addresses, seen = SeenAddresses(), keys(1_000)
    for key in seen:
        seen_addresses.add(key)
    again = SeenAddresses.from_parts(seen_addresses.parts())
    assert all(key in again for key in seen)
    assert not any(key in again for key in keys(1_000))


def test_a_part_fits_into_an_item_of_the_database_even_when_it_does_not_compress() -> None:
    seen_addresses = SeenAddresses(bytearray(RANDOM.randbytes(1 << 21)))
    parts = seen_addresses.parts()
    assert len(parts) == PARTS
    assert max(len(part) for part in parts) < 140_000


@pytest.mark.parametrize("damage", [[], [b"x"] * PARTS], ids=["nothing", "nonsense"])
def test_parts_that_are_missing_or_damaged_are_refused(damage: list[bytes]) -> None:
    with pytest.raises(ValueError, match="parts of a seen set"):
        SeenAddresses.from_parts(damage)
    with pytest.raises(ValueError, match="not all parts of a seen set"):
        SeenAddresses.from_parts(SeenAddresses().parts()[1:])


@pytest.mark.parametrize("numbers", [(0, 1, 7, 8, 0xFFFFFF), (0x123456, 0x654321, 0xABCDEF, 0x800000, 0x7FFFFF)])
def test_the_bits_of_a_key_stay_the_same_for_ever(numbers: tuple[int, ...]) -> None:
    """A seen set is kept while a pull goes on: with other bits everybody in it would pass for deleted."""
    seen_addresses = SeenAddresses()
    seen_addresses.add("".join(f"{number:06x}" for number in numbers) + "99")
    bits = b"".join(zlib.decompress(part) for part in seen_addresses.parts())
    assert {8 * at + bit for at, byte in enumerate(bits) if byte for bit in range(8) if byte >> bit & 1} == set(numbers)
