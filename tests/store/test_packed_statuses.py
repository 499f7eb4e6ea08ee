"""Where the addresses of a shard stand, packed into bytes: what was put in comes out, and a change touches no other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.address_status import REASONS, AddressStatus
from chalicelib.store.packed_statuses import (
    LENGTH,
    MOST_CUSTOMERS,
    NOW,
    PLANNED,
    REASON_PLACES,
    STATUSES,
    Shard,
    changed_part,
    columns_of,
    is_nobodys,
    place_in,
    short_key,
)
from tests.examples import examples

Both = tuple[AddressStatus, AddressStatus]

NOBODY = AddressStatus("absent", "", is_reached=False, customer_count=0)
SUBSCRIBED = AddressStatus("subscribed", "", is_reached=True, customer_count=1)


def key(number: int) -> str:
    """An address key of shard ab; what stands for the address in it begins behind the shard's two digits."""
    return f"ab{number:014x}" + "0" * 16


_statuses = st.builds(
    AddressStatus,
    st.sampled_from(STATUSES),
    st.sampled_from(["", *REASONS]),
    is_reached=st.booleans(),
    customer_count=st.integers(0, MOST_CUSTOMERS),
)
_keys = st.integers(0, 40).map(key)


def _pair(now: AddressStatus, planned: AddressStatus) -> Both:
    """How many customers have an address does not depend on the plan."""
    return now, AddressStatus(planned.status, planned.reason, planned.is_reached, now.customer_count)


_pairs = st.builds(_pair, _statuses, _statuses)
_changes = st.dictionaries(_keys, _pairs, max_size=12)


def told(packed: bytes) -> dict[str, tuple[AddressStatus | None, AddressStatus | None]]:
    now, planned = Shard(packed), Shard(packed, is_planned=True)
    return {key(number): (now.get(key(number)), planned.get(key(number))) for number in range(42)}


def expected(known: dict[str, Both]) -> dict[str, tuple[AddressStatus | None, AddressStatus | None]]:
    """A status that is nobody's is as good as none."""
    both = {key(number): known.get(key(number), (NOBODY, NOBODY)) for number in range(42)}
    return {
        address: (None if is_nobodys(now) else now, None if is_nobodys(planned) else planned)
        for address, (now, planned) in both.items()
    }


@given(_changes)
@examples(100)
def test_what_is_packed_is_told_as_it_is_and_as_planned(known: dict[str, Both]) -> None:
    packed = changed_part(b"", known, without=set())
    assert told(packed) == expected(known)
    for address, (now, planned) in known.items():
        if not (is_nobodys(now) and is_nobodys(planned)):
            assert Shard(packed).is_reached(address) is now.is_reached
            assert Shard(packed, is_planned=True).is_reached(address) is planned.is_reached


@given(_changes, _changes)
@examples(100)
def test_a_change_takes_the_place_of_what_was_known_of_the_address_alone(
    known: dict[str, Both], changes: dict[str, Both]
) -> None:
    """What did not change is stored as it was: the same addresses make the same bytes, however they came there."""
    changed = changed_part(changed_part(b"", known, without=set()), changes, without=set())
    assert changed == changed_part(b"", known | changes, without=set())
    assert told(changed) == expected(known | changes)


@given(_changes, st.sets(_keys))
@examples(60)
def test_changes_that_are_kept_elsewhere_leave_the_part(changes: dict[str, Both], elsewhere: set[str]) -> None:
    packed = changed_part(
        changed_part(b"", changes, without=set()), changes, without={short_key(one) for one in elsewhere}
    )
    assert told(packed) == expected({address: one for address, one in changes.items() if address not in elsewhere})


@given(_changes)
@examples(60)
def test_entries_lie_by_ascending_keys_and_only_those_of_somebody(known: dict[str, Both]) -> None:
    packed = changed_part(b"", known, without=set())
    kept = sorted(address for address, both in known.items() if not all(is_nobodys(one) for one in both))
    assert len(packed) == len(kept) * LENGTH
    assert [place_in(packed, short_key(address)) for address in kept] == [n * LENGTH for n in range(len(kept))]


def test_an_address_that_is_not_there_is_nowhere_and_not_reached() -> None:
    packed = changed_part(b"", {key(n): (SUBSCRIBED, SUBSCRIBED) for n in (1, 3, 5)}, without=set())
    for missing in (0, 2, 4, 6):
        assert place_in(packed, short_key(key(missing))) == -1
        assert Shard(packed).get(key(missing)) is None
        assert not Shard(packed).is_reached(key(missing))
    assert place_in(b"", short_key(key(1))) == -1
    assert Shard().get(key(1)) is None


def test_more_customers_than_two_bytes_count_are_told_as_the_most_there_are() -> None:
    crowd = AddressStatus("subscribed", "", is_reached=True, customer_count=MOST_CUSTOMERS + 1)
    found = Shard(changed_part(b"", {key(1): (crowd, crowd)}, without=set())).get(key(1))
    assert found == AddressStatus("subscribed", "", is_reached=True, customer_count=MOST_CUSTOMERS)


def test_nobodys_is_what_belongs_to_no_customer_and_has_no_reason() -> None:
    assert is_nobodys(NOBODY)
    assert not is_nobodys(SUBSCRIBED)
    assert not is_nobodys(AddressStatus("subscribed", "foreign", is_reached=False, customer_count=0))


def test_a_column_has_one_byte_of_each_address() -> None:
    packed = changed_part(b"", {key(1): (SUBSCRIBED, NOBODY), key(2): (NOBODY, SUBSCRIBED)}, without=set())
    now, planned = columns_of(packed, NOW, PLANNED)
    reached, not_reached = 0x80 | STATUSES.index("subscribed") << 4, 0
    assert (list(now), list(planned)) == ([reached, not_reached], [not_reached, reached])


def test_places_of_statuses_and_reasons_are_stored_so_they_never_change() -> None:
    """New ones are added at the end, and here."""
    assert " ".join(STATUSES) == ("absent subscribed unsubscribed cleaned pending transactional archived forgotten")
    assert " ".join(REASON_PLACES) == (
        " no_address shared_address transactional pending opted_out no_consent cleaned forgotten archived erased "
        "refused not_yet foreign not_counted_yet"
    )
