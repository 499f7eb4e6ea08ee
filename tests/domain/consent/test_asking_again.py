"""*Ask again* from end to end: after an opt-out and a later yes in PracBill, Mailchimp asks the person, once."""

from __future__ import annotations

import pytest

from chalicelib.domain.consent.rules import ConsentPolicy
from tests.domain.consent.consent_world import World

ANN = "ann@clinic.test"


def asking_world(by: str = "person") -> World:
    """Ann was subscribed, has been unsubscribed in Mailchimp, and staff have written down a later yes."""
    world = World(ConsentPolicy(ask_again=True))
    world.write_record("1", ANN, "subscribed", dated=True)
    world.run()
    if by == "person":
        world.person_unsubscribes(ANN)
    else:
        world.admin_unsubscribes(ANN)
    world.run()
    assert word(world) == "unsubscribed", "PracBill has been told"
    world.write_record("1", ANN, "subscribed", dated=True)
    return world


def word(world: World) -> str | None:
    """What PracBill has recorded for her."""
    return world.records["1"].word


def actions(world: World) -> list[str]:
    return [operation.action for operation in world.chunk]


def test_who_agreed_again_is_asked_once_and_the_moment_of_asking_is_kept() -> None:
    world = asking_world()
    before = world.now
    world.run()
    assert (actions(world), world.contacts[ANN].status) == (["ask"], "pending")
    asked_at = world.consent_state[ANN].asked_at
    assert asked_at is not None and asked_at > before
    for _ in range(3):
        world.write_record("1", ANN, "subscribed", dated=True)  # edited, the same word
        world.run()
        assert actions(world) == ["update"], "data go on being sent"
        assert (world.contacts[ANN].status, world.consent_state[ANN].asked_at) == ("pending", asked_at)
    assert world.member(ANN).opt_out is not None, "an unanswered question takes no no back"


@pytest.mark.parametrize("by_webhook", [True, False])
@pytest.mark.parametrize("by", ["person", "admin"])
def test_who_confirms_is_subscribed_and_pracbill_is_told(by: str, by_webhook: bool) -> None:
    world = asking_world(by)
    world.run()
    world.person_confirms(ANN)
    if by_webhook:
        world.observe_by_webhook(ANN)
        assert world.backlog[ANN].status == "subscribed"
    world.run()
    world.check()
    assert (world.contacts[ANN].status, world.member(ANN).opt_out) == ("subscribed", None)
    assert word(world) == "subscribed"
    world.person_unsubscribes(ANN)
    world.run()
    assert word(world) == "unsubscribed", "and may leave again"


def test_who_declines_stays_out_and_is_asked_again_only_after_another_yes() -> None:
    """Whoever declines answers nothing: the contact stays pending until somebody removes it."""
    world = asking_world()
    world.run()
    world.contacts[ANN].status = "unsubscribed"
    world.contacts[ANN].reason = "Not interested"
    world.contacts[ANN].last_changed = world.tick()
    world.run()
    world.run()
    assert (actions(world), world.contacts[ANN].status) == ([], "unsubscribed")
    assert word(world) == "unsubscribed"
    world.write_record("1", ANN, "subscribed", dated=True)
    world.run()
    assert (actions(world), world.contacts[ANN].status) == (["ask"], "pending")


def test_who_is_pending_no_more_without_an_answer_is_not_asked_for_the_same_yes_again() -> None:
    """A colleague has made the waiting contact a non-subscribed one."""
    world = asking_world()
    world.run()
    world.contacts[ANN].status = "transactional"
    world.contacts[ANN].last_changed = world.tick()
    world.run()
    assert (actions(world), world.contacts[ANN].status) == ([], "transactional")
    world.write_record("1", ANN, "unsubscribed", dated=True)
    world.run()
    world.write_record("1", ANN, "subscribed", dated=True)
    world.run()
    assert world.contacts[ANN].status == "pending"


def test_nobody_is_asked_where_the_department_does_not_want_it() -> None:
    world = asking_world()
    world.policy = ConsentPolicy(ask_again=False)
    world.run()
    assert (actions(world), world.contacts[ANN].status) == ([], "unsubscribed")


def test_a_question_that_mailchimp_got_although_the_function_died_is_asked_no_second_time() -> None:
    world = asking_world()
    world.plan()
    (asking,) = world.chunk
    world.apply(asking, dies=True)
    asked = world.contacts[ANN].last_changed
    world.run()
    assert (world.contacts[ANN].status, world.contacts[ANN].last_changed) == ("pending", asked)
    world.person_confirms(ANN)
    world.run()
    world.check()
