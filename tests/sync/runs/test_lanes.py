"""A lane's message goes on with the chunks after its own: results are kept while the next calls run."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain import planning
from chalicelib.errors import RetryLater
from chalicelib.store.queue import LANES
from chalicelib.sync.runs import apply_phase
from chalicelib.sync.runs.chunk_calls import ChunkCalls
from chalicelib.sync.runs.chunk_results import ChunkResults
from tests.sync.engine import Engine, Killed, Practice

pytest_plugins = ("tests.sync.engine_fixtures",)
pytestmark = pytest.mark.fast

CUSTOMERS = 2 * LANES + 1  # one a chunk: the first lane has three chunks, the others two
ADDRESSES = [f"c{number}@clinic.test" for number in range(1, CUSTOMERS + 1)]
LONG, SHORT = 30.0, 0.5
AUCKLAND = {"line1": "2 Quay St", "city": "Auckland", "postcode": "1010", "country": "New Zealand"}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MAX_CHUNK_OPERATIONS", 1)


def before_calls(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], object]) -> None:
    """Have something happen before the calls of each chunk; `act` gets how many chunks were sent before it."""
    send, numbers = ChunkCalls.send, iter(range(1000))

    def sent(self: ChunkCalls, *arguments: Any) -> Any:
        act(next(numbers))
        return send(self, *arguments)

    monkeypatch.setattr(ChunkCalls, "send", sent)


def before_keeping(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], object]) -> None:
    """The same before the results of a chunk are kept; `act` gets its number."""
    keep = ChunkResults.keep

    def kept(self: ChunkResults, run: Any, number: int, *arguments: Any) -> Any:
        act(number)
        return keep(self, run, number, *arguments)

    monkeypatch.setattr(ChunkResults, "keep", kept)


def check_all_are_there(practice: Practice, *, calls: int = CUSTOMERS) -> None:
    """Everybody was added once, whatever happened on the way."""
    run = practice.latest()
    assert (run.status, run.chunks_done, run.counts, run.failed) == ("success", CUSTOMERS, {"add": CUSTOMERS}, 0)
    assert run.in_flight == ()
    assert practice.audience() == dict.fromkeys(ADDRESSES, "subscribed")
    assert len(practice.records(run)) == CUSTOMERS
    assert all([entry.became for entry in practice.ledger(address)] == ["subscribed"] for address in ADDRESSES)
    assert [method for method, _ in practice.writes()] == ["POST"] * calls


def test_the_next_calls_of_a_lane_do_not_wait_until_results_are_kept(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.customers(CUSTOMERS)
    second_sent, waited = threading.Event(), list[bool]()
    before_calls(monkeypatch, lambda sent_before: second_sent.set() if sent_before == 1 else None)
    before_keeping(monkeypatch, lambda number: waited.append(second_sent.wait(LONG)) if number == 0 else None)
    practice.sync("full")
    assert waited == [True]
    check_all_are_there(practice)


def test_no_more_than_one_chunk_waits_to_be_kept_when_the_next_is_sent(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function that dies loses the answers of two chunks at most, whose messages repeat them."""
    practice.customers(CUSTOMERS)
    third_sent, waited = threading.Event(), list[bool]()
    before_calls(monkeypatch, lambda sent_before: third_sent.set() if sent_before == 2 else None)
    before_keeping(monkeypatch, lambda number: waited.append(third_sent.wait(SHORT)) if number == 0 else None)
    practice.sync("full")
    assert waited == [False]
    check_all_are_there(practice)


def test_every_chunk_has_a_message_that_finds_it_closed(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.customers(CUSTOMERS)
    sent_by = list[int]()
    before_calls(monkeypatch, lambda _: sent_by.append(engine.handled[-1][1]["number"]))
    practice.sync("full")
    assert Counter(sent_by) == {0: 3, **dict.fromkeys(range(1, LANES), 2)}
    messages = [body["number"] for _, body in engine.handled if body["kind"] == "chunk"]
    assert sorted(messages) == list(range(CUSTOMERS))
    check_all_are_there(practice)


def test_where_time_is_short_each_chunk_waits_for_its_own_message(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply_phase, "SECONDS_FOR_ANOTHER_CHUNK", 1000.0)
    practice.customers(CUSTOMERS)
    sent_by = list[int]()
    before_calls(monkeypatch, lambda _: sent_by.append(engine.handled[-1][1]["number"]))
    practice.sync("full")
    assert sorted(sent_by) == list(range(CUSTOMERS))
    check_all_are_there(practice)


def test_a_function_that_dies_over_the_next_chunk_keeps_the_results_of_the_last(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.customers(CUSTOMERS)
    before_calls(monkeypatch, lambda sent_before: die() if sent_before == 1 else None)
    practice.sync("full")
    check_all_are_there(practice)


def test_a_function_that_dies_over_results_keeps_those_of_the_next_chunk(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the chunk whose answer was lost is sent again."""
    practice.customers(CUSTOMERS)
    second_sent, deaths = threading.Event(), iter([True])

    def dies(number: int) -> None:
        if number == 0 and next(deaths, False):
            second_sent.wait(LONG)
            die()

    before_calls(monkeypatch, lambda sent_before: second_sent.set() if sent_before == 1 else None)
    before_keeping(monkeypatch, dies)
    practice.sync("full")
    check_all_are_there(practice, calls=CUSTOMERS + 1)


def test_a_wait_that_the_next_chunk_meets_holds_the_lane(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.customers(CUSTOMERS)

    def busy(sent_before: int) -> None:
        if sent_before == 1:
            raise RetryLater("Mailchimp asks for a pause.", after_seconds=77.0)

    before_calls(monkeypatch, busy)
    practice.sync("full")
    assert engine.queue.delays == [77.0]
    check_all_are_there(practice)


def test_an_interrupted_next_chunk_is_not_counted_before_its_own_message_ends_it(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.customers(CUSTOMERS)
    send, numbers = ChunkCalls.send, iter(range(1000))

    def interrupted(self: ChunkCalls, *arguments: Any) -> Any:
        results, interruption = send(self, *arguments)
        return results, RetryLater("The rest follows.") if next(numbers) == 1 else interruption

    monkeypatch.setattr(ChunkCalls, "send", interrupted)
    practice.sync("full")
    check_all_are_there(practice)


def test_a_cancelled_run_sends_no_next_chunk(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.customers(CUSTOMERS)

    def cancel(sent_before: int) -> None:
        engine.staff.cancel(practice.id, practice.latest().id, by="staff")

    before_calls(monkeypatch, cancel)
    run = practice.sync("full")
    assert (run.status, run.chunks_done, run.in_flight) == ("cancelled", 1, ())
    assert len(practice.audience()) == 1
    assert practice.department.active_run_id == ""


def test_the_next_chunk_knows_what_the_last_one_learned(practice: Practice) -> None:
    """That Mailchimp refuses addresses without a state: one refusal in the lane, and one call more."""
    for number in range(1, LANES + 2):
        practice.customer(str(number), f"c{number}@clinic.test", address=AUCKLAND)
    run = practice.sync("full")
    assert run.counts == {"add": LANES + 1, "partly_sent": LANES + 1}
    assert len(practice.writes()) == LANES + 2


def die() -> None:
    raise Killed
