from __future__ import annotations

import random

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
    with pytest.raises(ValueError):
        SeenAddresses.from_parts(damage)
    with pytest.raises(ValueError):
        SeenAddresses.from_parts(SeenAddresses().parts()[1:])
