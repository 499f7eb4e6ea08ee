"""Who is to blame for a call that fails, whoever else was in it, and what becomes of all others."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import RetryLater
from chalicelib.http_client.calls import FailedAlike
from chalicelib.http_client.retry import TransientError
from chalicelib.mailchimp.dividing import (
    MOST_CALLS_IN_VAIN,
    MOST_FAULTS_IN_VAIN,
    Divided,
    DividedCall,
    halves,
)
from chalicelib.mailchimp.errors import ItemError, WholeCallRefused
from tests.examples import examples

FOREVER = 10**6
NONE: frozenset[int] = frozenset()


@dataclass
class Place:
    """Takes numbers, but for some: it refuses them by name or without one, or fails. It may go down, or be busy."""

    named: frozenset[int] = NONE
    silent: frozenset[int] = NONE
    faulty: frozenset[int] = NONE
    down_from: int = FOREVER  # the call from which on each fails
    busy_from: int = FOREVER
    stop_at: int = FOREVER  # as many calls may be made
    recovers: bool = False  # whoever fails is taken, or refused, when it comes alone for the second time
    calls: list[tuple[tuple[int, ...], bool]] = field(default_factory=list)
    looks: int = 0  # how often it was asked whether it answers at all

    def send(self, items: tuple[int, ...], is_last_try: bool) -> tuple[int, ...]:
        came_alone = self.recovers and any(items == before and len(items) == 1 for before, _ in self.calls)
        self.calls.append((items, is_last_try))
        if len(self.calls) >= self.busy_from:
            raise RetryLater("Too many calls.")
        if len(self.calls) >= self.down_from or (self.faulty & {*items} and not came_alone):
            raise FailedAlike("It failed.", TransientError(500, may_have_run=True))
        named = tuple(ItemError(at, "FNAME", f"not {item}") for at, item in enumerate(items) if item in self.named)
        if named or self.silent & {*items}:
            raise WholeCallRefused("Not so.", named or (ItemError(None, "", "some word"),))
        return items

    def is_up(self) -> bool:
        self.looks += 1
        return len(self.calls) < self.down_from

    def go_on(self) -> bool:
        return len(self.calls) < self.stop_at

    def make(self, items: int) -> Divided[int, tuple[int, ...]]:
        call = DividedCall(self.send, is_up=self.is_up, go_on=self.go_on, cut=halves)
        return call.make(range(items))


def taken(divided: Divided[int, tuple[int, ...]]) -> list[int]:
    return sorted(item for part in divided.got for item in part)


def blamed(divided: Divided[int, tuple[int, ...]]) -> list[int]:
    return sorted(culprit.item for culprit in divided.culprits)


_culprits = st.dictionaries(st.integers(0, 11), st.sampled_from(["named", "silent", "faulty"]), max_size=4)


def place(culprits: dict[int, str]) -> Place:
    named, silent, faulty = (
        frozenset(item for item, kind in culprits.items() if kind == one) for one in ("named", "silent", "faulty")
    )
    return Place(named, silent, faulty)


@given(_culprits)
@examples(100)
def test_whoever_is_to_blame_is_found_and_all_others_get_through_once(culprits: dict[int, str]) -> None:
    divided = place(culprits).make(12)
    assert blamed(divided) == sorted(culprits)
    assert taken(divided) == [item for item in range(12) if item not in culprits]
    assert divided.unsettled == divided.untried == []
    for culprit in divided.culprits:
        kind = culprits[culprit.item]
        assert isinstance(culprit.cause, FailedAlike if kind == "faulty" else WholeCallRefused)
        words = {"named": f"not {culprit.item}", "silent": "some word"}
        assert (culprit.error.message if culprit.error else None) == words.get(kind)


@given(
    _culprits,
    st.sampled_from(["down", "busy", "stopped"]),
    st.integers(1, 20),
)
@examples(200)
def test_whatever_breaks_off_nobody_is_lost_or_blamed_for_it(culprits: dict[int, str], ending: str, at: int) -> None:
    there = place(culprits)
    setattr(there, {"down": "down_from", "busy": "busy_from", "stopped": "stop_at"}[ending], at)
    try:
        divided = there.make(12)
    except RetryLater:
        return  # nothing was written: the whole comes again
    parts = [taken(divided), blamed(divided), divided.unsettled, divided.untried]
    assert sorted(item for part in parts for item in part) == list(range(12))
    assert {*blamed(divided)} <= {*culprits}


def test_a_call_that_goes_through_is_made_once_and_may_be_tried_again() -> None:
    there = Place(stop_at=0)
    assert taken(there.make(3)) == [0, 1, 2]
    assert there.calls == [((0, 1, 2), False)]
    assert there.looks == 0


def test_after_a_fault_calls_are_tried_once_until_somebody_gets_through() -> None:
    there = Place(faulty=frozenset({3}))
    divided = there.make(4)
    assert blamed(divided) == [3]
    assert there.calls == [
        ((0, 1, 2, 3), False),
        ((0, 1), True),
        ((2, 3), False),
        ((2,), True),
        ((3,), False),
        ((3,), True),
    ]


def test_while_somebody_is_suspected_calls_are_tried_once() -> None:
    there = Place(faulty=frozenset({0}))
    assert blamed(there.make(4)) == [0]
    assert there.calls[3:] == [((1,), True), ((2, 3), True), ((0,), True)]


def test_whether_it_answers_at_all_is_asked_at_the_first_fault_and_before_somebody_is_blamed() -> None:
    there = Place(faulty=frozenset({0}))
    there.make(4)
    assert there.looks == 2


def test_in_an_outage_the_first_call_is_the_last() -> None:
    there = Place(down_from=1)
    with pytest.raises(FailedAlike):
        there.make(500)
    assert len(there.calls) == 1


def test_faults_in_vain_are_bounded() -> None:
    """From so many items each cut would go on to a single one."""
    there = Place(faulty=frozenset(range(2**12)))
    with pytest.raises(FailedAlike):
        there.make(2**12)
    assert len(there.calls) == MOST_FAULTS_IN_VAIN + 1


def test_faults_after_somebody_got_through_leave_the_rest_for_later() -> None:
    there = Place(faulty=frozenset(range(2**12, 2**13)))
    divided = there.make(2**13)
    assert divided.culprits == []
    assert taken(divided) == list(range(2**12))
    assert sorted(divided.untried) == list(range(2**12, 2**13))
    assert len(there.calls) == 2 + MOST_FAULTS_IN_VAIN + 1  # the whole, the half that went through, then in vain


def test_refusals_in_vain_are_bounded_and_the_rest_stays_unsettled() -> None:
    there = Place(silent=frozenset(range(500)))
    divided = there.make(500)
    assert len(there.calls) == MOST_CALLS_IN_VAIN
    assert divided.culprits
    assert sorted([*blamed(divided), *divided.unsettled]) == list(range(500))


def test_those_who_are_named_one_a_call_are_no_calls_in_vain() -> None:
    calls: list[int] = []

    def send(items: tuple[int, ...], _is_last_try: bool) -> tuple[int, ...]:
        calls.append(len(items))
        raise WholeCallRefused("Not so.", (ItemError(0, "FNAME", "no"),))

    call = DividedCall(send, is_up=lambda: True, go_on=lambda: True, cut=halves)
    divided = call.make(range(100))
    assert blamed(divided) == list(range(100))
    assert calls == list(range(100, 0, -1))


@pytest.mark.parametrize("index", [2, 3, None])
def test_a_place_that_is_not_in_the_call_names_nobody(index: int | None) -> None:
    def send(items: tuple[int, ...], _is_last_try: bool) -> tuple[int, ...]:
        if 1 in items:
            raise WholeCallRefused("Not so.", (ItemError(index, "FNAME", "no"),))
        return items

    divided = DividedCall(send, is_up=lambda: True, go_on=lambda: True, cut=halves).make(range(2))
    assert (taken(divided), blamed(divided)) == ([0], [1])


def test_of_several_reasons_for_one_the_first_is_kept() -> None:
    reasons = (ItemError(0, "FNAME", "first"), ItemError(0, "LNAME", "second"))

    def send(_items: tuple[int, ...], _is_last_try: bool) -> tuple[int, ...]:
        raise WholeCallRefused("Not so.", reasons)

    (culprit,) = DividedCall(send, is_up=lambda: True, go_on=lambda: True, cut=halves).make(range(1)).culprits
    assert culprit.error == reasons[0]


@pytest.mark.parametrize("reasons", [(), (ItemError(None, "", "first"), ItemError(None, "", "second"))])
def test_who_is_alone_is_to_blame_with_the_first_reason_that_is_told(reasons: tuple[ItemError, ...]) -> None:
    def send(_items: tuple[int, ...], _is_last_try: bool) -> tuple[int, ...]:
        raise WholeCallRefused("Not so.", reasons)

    (culprit,) = DividedCall(send, is_up=lambda: True, go_on=lambda: True, cut=halves).make(range(1)).culprits
    assert culprit.error == (reasons[0] if reasons else None)


def test_one_member_alone_that_fails_is_to_blame_where_all_else_answers() -> None:
    assert blamed(Place(faulty=frozenset({0})).make(1)) == [0]


def test_two_that_fail_and_nobody_who_gets_through_are_an_outage() -> None:
    with pytest.raises(FailedAlike):
        Place(faulty=frozenset({0, 1})).make(2)


def test_two_that_fail_among_others_are_to_blame() -> None:
    assert blamed(Place(faulty=frozenset({0, 1})).make(3)) == [0, 1]


@pytest.mark.parametrize(("silent", "to_blame"), [(NONE, []), (frozenset({0}), [0])])
def test_a_suspect_may_turn_out_to_be_taken_or_refused(silent: frozenset[int], to_blame: list[int]) -> None:
    divided = Place(faulty=frozenset({0}), silent=silent, recovers=True).make(4)
    assert blamed(divided) == to_blame
    assert taken(divided) == [item for item in range(4) if item not in to_blame]
    for culprit in divided.culprits:
        assert isinstance(culprit.cause, WholeCallRefused)
        assert culprit.error is not None


@pytest.mark.parametrize(
    ("ending", "at", "to_blame", "untried"),
    [
        ("stop_at", 7, [], [0, 3]),
        ("busy_from", 8, [], [0, 3]),
        ("down_from", 8, [], [0, 3]),
        ("stop_at", 8, [0], [3]),
        ("busy_from", 9, [0], [3]),
    ],
)
def test_suspects_who_are_not_tried_again_come_later(
    ending: str, at: int, to_blame: list[int], untried: list[int]
) -> None:
    """Both are found within seven calls; the eighth judges the first of them, the ninth the other."""
    there = Place(faulty=frozenset({0, 3}))
    setattr(there, ending, at)
    divided = there.make(4)
    assert (taken(divided), blamed(divided), sorted(divided.untried)) == ([1, 2], to_blame, untried)


def test_in_an_outage_while_suspects_are_judged_all_of_them_come_later() -> None:
    there = Place(faulty=frozenset({0, 3}), down_from=8, stop_at=8)
    divided = there.make(4)
    assert (taken(divided), blamed(divided), sorted(divided.untried)) == ([1, 2], [], [0, 3])


def test_who_is_alone_is_not_to_blame_when_all_else_fails_by_then() -> None:
    with pytest.raises(FailedAlike):
        Place(faulty=frozenset({0}), down_from=2).make(1)


def test_parts_are_tried_in_order_so_that_opt_outs_go_first() -> None:
    there = Place(silent=frozenset({3}))
    there.make(4)
    assert [items for items, _ in there.calls] == [(0, 1, 2, 3), (0, 1), (2, 3), (2,), (3,)]


def test_halves_are_two_parts_in_order() -> None:
    assert halves((1, 2, 3, 4, 5)) == [(1, 2), (3, 4, 5)]
