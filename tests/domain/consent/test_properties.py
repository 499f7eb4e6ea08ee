"""Whatever happens in which order, nobody is mailed whose latest word was no."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import permutations
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from chalicelib.domain.consent.members import ConsentState, OptOut, OptOutRoute
from chalicelib.domain.consent.observations import Observation, apply_observation
from chalicelib.domain.consent.opt_outs import newest_opt_out
from chalicelib.domain.consent.rules import ConsentPolicy, OnRemoved, UnknownConsent
from chalicelib.domain.customers import ConsentWord
from tests.domain.consent.consent_world import World
from tests.examples import examples

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
Event = Callable[[World], None]

# Mostly about one address and one customer: what is rare shows where much happens to the same person.
addresses = st.sampled_from(("a@clinic.test", "a@clinic.test", "a@clinic.test", "b@clinic.test"))
customers = st.sampled_from(("1", "1", "1", "2", "3"))
words = st.sampled_from((*get_args(ConsentWord), *get_args(ConsentWord), None))
dated = st.sampled_from((True, True, True, False))


def write_consent(customer: str, word: ConsentWord | None, is_dated: bool, world: World) -> None:
    if customer in world.records:
        world.write_record(customer, world.records[customer].email, word, dated=is_dated)


def write(customer: str, address: str, word: ConsentWord | None, is_dated: bool, world: World) -> None:
    world.write_record(customer, address, word, dated=is_dated)


def remove(customer: str, world: World) -> None:
    world.remove_record(customer)


def act(name: str, address: str, world: World) -> None:
    getattr(world, name)(address)


def step(name: str, world: World) -> None:
    getattr(world, name)()


def apply_one(place: int, dies: bool, world: World) -> None:
    """A part of the last plan: perhaps for the second time, perhaps long after it was planned."""
    if world.chunk:
        world.apply(world.chunk[place % len(world.chunk)], dies=dies)


_ACTS = (
    *("person_signs_up", "person_signs_up", "person_confirms", "person_unsubscribes", "person_unsubscribes"),
    *("admin_subscribes", "admin_subscribes", "admin_unsubscribes", "admin_archives"),
    *("observe_by_webhook", "observe_by_webhook"),
)
_RARE_ACTS = ("admin_deletes", "address_bounces")
_STEPS = ("pull", "tell", "read", "decide", "plan")

events: st.SearchStrategy[Event] = st.one_of(
    st.builds(partial, st.just(write_consent), customers, words, dated),
    st.builds(partial, st.just(write), customers, addresses, words, dated),
    st.builds(partial, st.just(remove), customers),
    st.builds(partial, st.just(act), st.sampled_from(_ACTS), addresses),
    st.builds(partial, st.just(act), st.sampled_from(_ACTS + _RARE_ACTS), addresses),
    st.builds(partial, st.just(step), st.sampled_from(_STEPS)),
    st.builds(partial, st.just(apply_one), st.integers(0, 2), st.booleans()),
)


class Consent(RuleBasedStateMachine):
    """Staff, persons and colleagues act at any moment; runs are held up, die, and repeat themselves in between."""

    world: World

    @initialize(
        unknown=st.sampled_from(get_args(UnknownConsent)),
        removed=st.sampled_from(get_args(OnRemoved)),
        ask=st.booleans(),
        before=st.dictionaries(addresses, st.sampled_from(["subscribed", "blocked", "transactional"])),
        records=st.dictionaries(customers, st.tuples(addresses, words), min_size=1),
    )
    def begin(
        self,
        unknown: UnknownConsent,
        removed: OnRemoved,
        ask: bool,
        before: dict[str, str],
        records: dict[str, tuple[str, ConsentWord | None]],
    ) -> None:
        """An audience that may have members, whose first pull comes before the first push."""
        self.world = World(ConsentPolicy(unknown_consent=unknown, on_removed=removed, ask_again=ask))
        for address, kind in before.items():
            self.world.person_signs_up(address)
            if kind == "blocked":
                self.world.person_unsubscribes(address)
            if kind == "transactional":
                self.world.contacts[address].status = "transactional"
        for customer, (address, word) in records.items():
            self.world.write_record(customer, address, word, dated=True)
        self.world.run()

    @rule(happened=st.lists(events, min_size=1, max_size=5))
    def things_happen_and_then_a_whole_run_is_left_in_peace(self, happened: list[Event]) -> None:
        for event in happened:
            event(self.world)
        self.world.run()
        self.world.check()

    @rule(happened=st.lists(events, min_size=1, max_size=4))
    def a_plan_is_applied_after_things_have_happened(self, happened: list[Event]) -> None:
        self.world.plan()
        planned = list(self.world.chunk)
        for event in happened:
            event(self.world)
        for operation in planned:
            self.world.apply(operation)


Consent.TestCase.settings = settings(
    examples(200),
    stateful_step_count=12,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestNobodyIsMailedAgainstTheirLatestWord: Any = Consent.TestCase


def test_a_colleagues_unsubscribing_counts_against_an_older_yes_even_where_it_may_be_an_echo_of_ours() -> None:
    """PracBill had said no, then yes; between the two somebody signed the person up in Mailchimp, and took it back."""
    no = OptOut(NOON, "pracbill")
    later = NOON + timedelta(hours=1)
    there = OptOut(later, "admin", "unsubscribed by a user in Mailchimp")
    told = Observation("a@clinic.test", "unsubscribed", later, later, "pull", "unsubscribed-by-admin", there)
    known = apply_observation("a", ConsentState(opt_out=no), None, "a1", told).consent_state
    assert known.opt_out == OptOut(later, "pracbill")


@pytest.mark.parametrize(("first", "second"), [("person", "pracbill"), ("pracbill", "person")])
def test_pracbills_later_no_never_makes_the_persons_own_one_pracbills_to_take_back(
    first: OptOutRoute, second: OptOutRoute
) -> None:
    told = [OptOut(NOON, first), OptOut(NOON + timedelta(hours=1), second)]
    for one, other in permutations(told):
        assert newest_opt_out(one, other) == OptOut(NOON + timedelta(hours=1), "person")


def test_an_old_plan_subscribes_nobody_who_was_heard_to_say_no_since() -> None:
    world = World(ConsentPolicy())
    world.write_record("1", "a@clinic.test", None, dated=True)
    world.run()
    world.write_record("1", "a@clinic.test", "subscribed", dated=True)
    world.plan()
    assert [operation.rule for operation in world.chunk] == ["yes-transactional"]
    world.admin_unsubscribes("a@clinic.test")
    world.observe_by_webhook("a@clinic.test")
    for operation in world.chunk:
        world.apply(operation)
    assert world.contacts["a@clinic.test"].status == "unsubscribed"


def test_an_old_plan_subscribes_nobody_whose_no_a_newer_plan_has_read() -> None:
    world = World(ConsentPolicy())
    words_said: tuple[ConsentWord, ...] = ("unsubscribed", "subscribed")
    for word in words_said:
        world.write_record("1", "a@clinic.test", word, dated=True)
        world.plan()
    old = world.chunk
    assert [operation.rule for operation in old] == ["consent-given-again"]
    world.write_record("1", "a@clinic.test", "unsubscribed", dated=True)
    world.plan()
    for operation in old:
        world.apply(operation)
    assert "a@clinic.test" not in world.contacts
