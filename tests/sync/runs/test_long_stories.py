"""Stories of one person over several syncs, in which a no could get lost on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.client import BaseClient

from chalicelib.domain.customers import customer_key
from chalicelib.http_client.calls import HttpCalls
from chalicelib.mailchimp.webhook import HookEvent, write_event
from chalicelib.sync.consent.webhook_events import Events
from tests.sync.engine import Engine, Killed, Practice

pytest_plugins = ("tests.sync.engine_fixtures",)

ANN, BOB = "ann@clinic.test", "bob@clinic.test"
_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})


def told(practice: Practice) -> list[tuple[str, str]]:
    """What PracBill was told, oldest first."""
    lines = practice.engine.pracbill.consent_changes(department_id=practice.id)
    return [(line.change.email, line.change.status) for line in lines]


def consent_of(practice: Practice, customer_id: str) -> str | None:
    record = practice.engine.pracbill.customer(customer_id, department_id=practice.id)
    assert record is not None
    status: str | None = (record.get("marketing_consent") or {}).get("status")
    return status


def said_no_now(practice: Practice) -> dict[str, Any]:
    return {"status": "unsubscribed", "changed_at": practice.engine.clock().isoformat()}


# ---------------------------------------------------------------------------------------------------- changed addresses


def test_a_member_of_ours_whose_address_changed_unheard_is_no_opt_out(practice: Practice) -> None:
    practice.customer("1", ANN)
    practice.sync("full")
    practice.act("change_address", ANN, BOB)
    practice.sync("full")
    assert (practice.audience(), told(practice)) == ({BOB: "subscribed"}, [])
    assert practice.sync("full").counts.get("add") is None
    assert (practice.audience(), consent_of(practice, "1")) == ({BOB: "subscribed"}, "subscribed")


def test_who_changed_the_address_and_unsubscribed_unheard_is_not_subscribed_anew_by_an_update(
    practice: Practice,
) -> None:
    """The update of the old address finds nobody, and makes a subscribed member of it."""
    practice.customer("1", ANN, first_name="Ann")
    practice.sync("full")
    practice.act("change_address", ANN, BOB)
    practice.act("unsubscribe", BOB)
    practice.edit("1", first_name="Anna")
    practice.sync()
    assert practice.audience() == {ANN: "archived", BOB: "unsubscribed"}
    assert consent_of(practice, "1") == "unsubscribed"
    practice.edit("1", first_name="Anne")
    practice.sync()
    practice.sync("full")
    assert practice.audience() == {ANN: "archived", BOB: "unsubscribed"}


def test_a_fault_while_a_moved_contact_is_looked_for_leaves_it_to_the_repeat(practice: Practice) -> None:
    practice.customer("1", ANN, first_name="Ann")
    practice.customer("2", "cat@clinic.test")
    practice.sync("full")
    contact_id = practice.known(ANN).contact_id
    practice.act("change_address", ANN, BOB)
    practice.act("unsubscribe", BOB)
    practice.edit("1", first_name="Anna")
    practice.edit("2", first_name="Cat")
    practice.fail(method="GET", path=f"/members/{contact_id}", status=503, times=3)
    run = practice.sync()
    assert (run.status, run.counts["update"], run.counts["held"]) == ("success", 1, 1)
    assert practice.audience() == {ANN: "archived", BOB: "unsubscribed", "cat@clinic.test": "subscribed"}


def test_pracbill_hears_of_who_unsubscribed_under_a_new_address(practice: Practice) -> None:
    practice.customer("1", ANN)
    practice.sync("full")
    practice.act("change_address", ANN, BOB)
    practice.act("unsubscribe", BOB)
    practice.sync("full")
    assert consent_of(practice, "1") == "unsubscribed"
    practice.edit("1", email="cat@clinic.test")
    practice.sync()
    assert "cat@clinic.test" not in practice.audience()


def test_pracbills_no_reaches_who_changed_the_address_unheard(practice: Practice) -> None:
    practice.customer("1", ANN)
    practice.sync("full")
    practice.act("change_address", ANN, BOB)
    practice.edit("1", marketing_consent=said_no_now(practice))
    practice.sync()
    assert practice.audience() == {ANN: "archived", BOB: "unsubscribed"}


def test_a_member_who_came_back_as_a_new_contact_is_updated(practice: Practice) -> None:
    practice.customer("1", ANN, first_name="Ann")
    practice.sync("full")
    practice.act("change_address", ANN, BOB)
    practice.act("admin_delete", BOB)
    practice.join(ANN)
    practice.edit("1", first_name="Anna")
    practice.sync()
    assert practice.audience() == {ANN: "subscribed"}
    assert practice.member(ANN)["merge_fields"]["FNAME"] == "Anna"


def test_pracbills_no_holds_for_the_address_that_its_customer_moved_to_in_mailchimp(practice: Practice) -> None:
    practice.customer("1", ANN)
    practice.sync("full")
    practice.act("change_address", ANN, BOB)
    practice.sync("full")
    practice.edit("1", marketing_consent=said_no_now(practice))
    practice.sync()
    practice.sync()
    assert practice.audience() == {BOB: "unsubscribed"}
    assert [entry.rule for entry in practice.ledger(BOB)][-2:] == ["no-moved-along", "removed-opt-out-carried"]


# -------------------------------------------------------------------------------------------- removed and entered anew


def test_who_opted_out_and_is_entered_anew_stays_out_and_pracbill_hears_it_again(practice: Practice) -> None:
    practice.customer("1", ANN)
    practice.sync("full")
    practice.act("unsubscribe", ANN)
    practice.sync()
    assert consent_of(practice, "1") == "unsubscribed"
    practice.remove("1")
    practice.sync()
    practice.customer("2", ANN)
    practice.customer("3", ANN, None)
    practice.sync()
    assert practice.audience()[ANN] != "subscribed"
    assert (consent_of(practice, "2"), consent_of(practice, "3")) == ("unsubscribed", "unsubscribed")


# ------------------------------------------------------------------------------------------------------ dying functions


@contextmanager
def killed_before(write: int) -> Iterator[list[str]]:
    """Whoever works here is ended before the given write to a table or call to the outside; tells what that was."""
    passed, killed = 0, []

    def pass_by(what: str) -> None:
        nonlocal passed
        passed += 1
        if passed == write:
            killed.append(what)
            raise Killed(what)

    with pytest.MonkeyPatch.context() as patch:
        call_aws, exchange = BaseClient._make_api_call, HttpCalls._exchange  # type: ignore[attr-defined]

        def watched_aws(self: Any, operation: str, arguments: Any) -> Any:
            if operation in _WRITES:
                pass_by(operation)
            return call_aws(self, operation, arguments)

        def watched_exchange(self: Any, call: Any, read_seconds: float) -> Any:
            pass_by(f"{call.method} {call.template}")
            return exchange(self, call, read_seconds)

        patch.setattr(BaseClient, "_make_api_call", watched_aws)
        patch.setattr(HttpCalls, "_exchange", watched_exchange)
        yield killed


def worker_of(engine: Engine) -> Events:
    return engine.service.events


def event(practice: Practice, type: Any, address: str, **fields: str) -> HookEvent:
    fired_at = practice.engine.clock().strftime("%Y-%m-%d %H:%M:%S")
    return HookEvent(type, practice.id, practice.audience_id, address, fired_at, **fields)


def until_it_dies_no_more(work: Any) -> int:
    """Do `work` to its end after being killed before its first write, its second, and so on; answers how many."""
    for write in range(1, 60):
        with killed_before(write) as killed:
            try:
                work(write)
            except Killed:
                continue
        assert not killed
        return write - 1
    raise AssertionError("writes without end")


def test_an_unsubscribe_reaches_everybody_wherever_its_function_dies(engine: Engine, practice: Practice) -> None:
    events = worker_of(engine)
    for number in range(40):
        practice.customer(str(number), f"c{number}@clinic.test")
    practice.sync("full")
    waiting: dict[int, HookEvent] = {}

    def one(number: int) -> None:
        practice.act("unsubscribe", f"c{number}@clinic.test")
        waiting[number] = event(practice, "unsubscribe", f"c{number}@clinic.test", action="unsub", reason="manual")
        events.apply_event(write_event(waiting[number]), lambda: 200.0)

    assert until_it_dies_no_more(one) > 5
    for again in waiting.values():
        engine.clock.move(seconds=30)
        events.apply_event(write_event(again), lambda: 200.0)
    for number in waiting:
        known = practice.known(f"c{number}@clinic.test")
        assert known.opt_out is not None and known.opt_out.route == "person"
        assert [entry.rule for entry in practice.ledger(f"c{number}@clinic.test")][-1:] == ["unsubscribed-there"]
        assert consent_of(practice, str(number)) == "unsubscribed"
    assert engine.members.outbox_count(practice.id) == 0
    practice.sync("full")
    assert not [a for n in waiting if practice.audience()[a := f"c{n}@clinic.test"] != "unsubscribed"]


def test_a_no_follows_a_changed_address_wherever_the_function_dies(engine: Engine, practice: Practice) -> None:
    events = worker_of(engine)
    for number in range(40):
        practice.customer(str(number), f"c{number}@clinic.test")
    practice.sync("full")
    waiting: dict[int, HookEvent] = {}

    def one(number: int) -> None:
        old, new = f"c{number}@clinic.test", f"n{number}@clinic.test"
        said = said_no_now(practice)
        practice.edit(str(number), marketing_consent=said)
        practice.act("change_address", old, new)
        waiting[number] = event(practice, "upemail", new, old_address=old)
        events.apply_event(write_event(waiting[number]), lambda: 200.0)

    assert until_it_dies_no_more(one) > 5
    for again in waiting.values():
        engine.clock.move(seconds=30)
        events.apply_event(write_event(again), lambda: 200.0)
    practice.sync("full")
    practice.sync()
    now = practice.audience()
    assert {now[f"n{number}@clinic.test"] for number in waiting} == {"unsubscribed"}
    assert not [address for address in now if address in {f"c{number}@clinic.test" for number in waiting}]


def test_an_erased_person_stays_away_wherever_the_function_dies(engine: Engine, practice: Practice) -> None:
    eraser = engine.eraser
    for number in range(20):
        practice.customer(str(number), f"c{number}@clinic.test")
    practice.sync("full")
    tried: list[int] = []

    def one(number: int) -> None:
        tried.append(number)
        eraser.erase(practice.id, str(number), by="user-1")

    assert until_it_dies_no_more(one) > 4
    practice.sync("full")
    for number in tried[:-1]:
        engine.clock.move(minutes=1)
        if engine.customers.get(practice.id, [customer_key(str(number))]):
            eraser.erase(practice.id, str(number), by="user-1")
    practice.sync("full")
    assert not [number for number in tried if f"c{number}@clinic.test" in practice.audience()]
    for number in tried:
        key = practice.key(f"c{number}@clinic.test")
        member_states = engine.members.member_states(practice.id, [key])[key]
        assert (member_states.address, member_states.delivery) == ("", None)
