"""What queue, secrets and the stores of documents promise, the same on everything that stands for AWS in tests."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from chalicelib.domain.departments import Department
from chalicelib.domain.runs import PhaseCount, Run
from chalicelib.store import runs as store_runs
from chalicelib.store.departments import DepartmentStore
from chalicelib.store.models import ChunkItem, DepartmentItem, PhaseItem, RunItem, transactions
from chalicelib.store.queue import Step, SyncQueue, read_step
from chalicelib.store.runs import RunStore
from chalicelib.store.secret_store import SecretStore
from tests.aws_emulator import emulator_running
from tests.store.conftest import moto_running

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FIFO = {"FifoQueue": "true", "ContentBasedDeduplication": "false", "VisibilityTimeout": "360"}
OpenClient = Callable[[str], Any]


@contextmanager
def _moto() -> Iterator[OpenClient]:
    with moto_running():
        yield lambda service: boto3.client(service, region_name="eu-central-1")


@contextmanager
def _emulator() -> Iterator[OpenClient]:
    with emulator_running() as address:
        yield lambda service: boto3.client(service, region_name="eu-central-1", endpoint_url=address)


@pytest.fixture(params=[_moto, _emulator], ids=["moto", "ministack"])
def open_client(request: pytest.FixtureRequest) -> Iterator[OpenClient]:
    with request.param() as opened:
        yield opened


# ---------------------------------------------------------------------------------------------------------- the queue


class Queue:
    """A FIFO queue as AWS shows it to those who receive."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.url = client.create_queue(QueueName=f"{uuid.uuid4().hex}.fifo", Attributes=FIFO)["QueueUrl"]
        self.store = SyncQueue(client, self.url)

    def receive(self) -> list[dict[str, Any]]:
        answer = self.client.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
        )
        return list(answer.get("Messages", []))

    def take(self) -> list[int]:
        """The numbers of the steps that are visible, which are removed."""
        taken = []
        for message in self.receive():
            taken.append(read_step(message["Body"]).number)
            self.client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return taken


@pytest.fixture
def queue(open_client: OpenClient) -> Queue:
    return Queue(open_client("sqs"))


def step(number: int, **rest: Any) -> Step:
    return Step("chunk", "north", "run-1", number, **rest)


def test_messages_of_a_group_come_in_the_order_they_were_sent_in_calls_of_ten(queue: Queue) -> None:
    queue.store.send_all([(step(number), "one") for number in range(25)])
    assert [number for _ in range(3) for number in queue.take()] == list(range(25))
    assert queue.take() == []


def test_a_step_that_is_sent_again_is_one_message_but_for_the_sweepers_nudge(queue: Queue) -> None:
    for again in (step(1), step(1), step(1, nudge=7)):
        queue.store.send(again, group="one")
    assert queue.take() == [1, 1]


def test_a_group_waits_for_its_message_in_flight_and_others_do_not(queue: Queue) -> None:
    queue.store.send(step(1), group="one")
    (held,) = queue.receive()
    assert held["Attributes"]["MessageGroupId"] == "one"
    queue.store.send(step(2), group="one")
    queue.store.send(step(3), group="two")
    assert queue.take() == [3]
    queue.store.change_visibility(held["ReceiptHandle"], 0)
    (again,) = [message for message in queue.receive() if read_step(message["Body"]).number == 1]
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"


def test_a_message_that_is_held_on_to_stays_with_its_function(queue: Queue) -> None:
    queue.store.send(step(1), group="one")
    (held,) = queue.receive()
    queue.store.extend_visibility(held["ReceiptHandle"])
    assert queue.receive() == []


# ------------------------------------------------------------------------------------------------------------ secrets


def test_a_secret_is_stored_replaced_removed_and_stored_again(open_client: OpenClient) -> None:
    client = open_client("secretsmanager")
    ours, others = (SecretStore(client, sleep=lambda seconds: None) for _ in range(2))
    assert ours.fields("key") == {}
    for fields in ({"api_key": "first"}, {"api_key": "second", "more": "x"}):
        ours.put("key", fields)
        assert ours.fields("key") == others.fields_now("key") == fields
    ours.remove("key")
    assert ours.fields("key") == others.fields_now("key") == {}
    ours.remove("key")
    ours.put("key", {"api_key": "third"})
    assert others.fields_now("key") == {"api_key": "third"}


# ---------------------------------------------------------------------------------------------------- documents, runs


@pytest.fixture
def tables(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables of departments and runs."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", database)
    transactions.cache_clear()
    for model in (DepartmentItem, RunItem, ChunkItem, PhaseItem):
        monkeypatch.setattr(model, "_connection", None)  # it remembers the address it was made with
    for model in (DepartmentItem, RunItem):
        if not model.exists():
            model.create_table(wait=True)


def a_department(department_id: str) -> Department:
    return Department(department_id, "North", "Australia/Melbourne", "AU", "AUD", "00" * 16)


def a_run(department_id: str, number: int = 0) -> Run:
    started = NOON + timedelta(minutes=number)
    return Run(department_id, store_runs.run_id(started, "9f3c"), "full", "manual", started, chunks_total=2)


@pytest.mark.usefixtures("tables")
def test_of_changes_at_the_same_moment_none_is_lost() -> None:
    store, name = DepartmentStore(), uuid.uuid4().hex
    store.add(a_department(name))
    assert store.add(replace(a_department(name), name="South")).name == "North"  # the one that is there wins
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: store.change(name, lambda known: replace(known, name=f"{known.name}!")), range(8)))
    known = store.get(name)
    assert known is not None and known.name == "North" + "!" * 8


@pytest.mark.usefixtures("tables")
def test_what_was_read_a_moment_ago_is_changed_without_reading_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store, name, reads = DepartmentStore(), uuid.uuid4().hex, list[str]()
    store.add(a_department(name))
    get = DepartmentItem.get

    def counted(key: str, **options: Any) -> DepartmentItem:
        reads.append(key)
        return get(key, **options)

    monkeypatch.setattr(DepartmentItem, "get", counted)
    for number in range(3):
        store.change(name, lambda known, number=number: replace(known, name=f"North {number}"))  # type: ignore[misc]
    assert reads == []
    assert DepartmentStore().change(name, lambda known: replace(known, name=f"{known.name}!")).name == "North 2!"
    assert reads == [name]


@pytest.mark.usefixtures("tables")
def test_what_was_read_before_somebody_else_wrote_is_read_again() -> None:
    ours, others, name = DepartmentStore(), DepartmentStore(), uuid.uuid4().hex
    ours.add(a_department(name))
    others.change(name, lambda known: replace(known, country="NZ"))
    assert ours.change(name, lambda known: replace(known, currency="NZD")).country == "NZ"


@pytest.mark.usefixtures("tables")
def test_nothing_to_change_and_a_refusal_are_found_in_what_is_stored_now() -> None:
    ours, others, name = DepartmentStore(), DepartmentStore(), uuid.uuid4().hex
    ours.add(replace(a_department(name), active_run_id="first"))
    others.release(name, "first")
    assert ours.claim(name, "second").active_run_id == "second"
    others.release(name, "second")

    def refused(known: Department) -> Department:
        if known.active_run_id:
            raise PermissionError
        return replace(known, active_run_id="third")

    assert ours.change(name, refused).active_run_id == "third"


@pytest.mark.usefixtures("tables")
def test_a_change_whose_write_went_wrong_is_not_carried_out_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    store, name = DepartmentStore(), uuid.uuid4().hex
    store.add(a_department(name))

    def longer(known: Department) -> Department:
        return replace(known, name=f"{known.name}!")

    for _ in range(2):  # of what was at hand, and of what was read anew
        with monkeypatch.context() as patch:
            patch.setattr(DepartmentItem, "save", lambda self: (_ for _ in ()).throw(ConnectionError))
            with pytest.raises(ConnectionError):
                store.change(name, longer)
    assert store.change(name, longer).name == "North!"


@pytest.mark.usefixtures("tables")
def test_only_one_run_holds_a_department_and_only_it_gives_it_free() -> None:
    store, name = DepartmentStore(), uuid.uuid4().hex
    store.add(a_department(name))
    assert [store.claim(name, run).active_run_id for run in ("first", "second")] == ["first", "first"]
    assert store.release(name, "second").active_run_id == "first"
    assert store.release(name, "first").active_run_id == ""


@pytest.mark.usefixtures("tables")
def test_a_chunk_is_closed_once_and_counted_with_it() -> None:
    store, run = RunStore(keep=timedelta(days=3650)), a_run(uuid.uuid4().hex)
    store.add(run)
    for number in range(2):
        store.put_chunk(run, number, ())

    def counted(stored: Run) -> Run:
        return replace(stored, chunks_done=stored.chunks_done + 1)

    assert store.chunk(run, 0) == ()
    assert [store.complete_chunk(run, 0, "done", counted).chunks_done for _ in range(2)] == [1, 1]
    assert (store.chunk(run, 0), store.chunk(run, 1), store.chunk(run, 2)) == (None, (), None)
    assert store.complete_chunk(run, 1, "failed", counted).chunks_done == 2


@pytest.mark.usefixtures("tables")
def test_runs_are_paged_newest_first_and_their_phases_lie_apart() -> None:
    store, name = RunStore(keep=timedelta(days=3650)), uuid.uuid4().hex
    runs = [a_run(name, number) for number in range(5)]
    for run in runs:
        store.add(run)
        store.put_phase(run, "pull", PhaseCount(1, 2, NOON))
    first, after = store.page(name, limit=3, after=None)
    rest, end = store.page(name, limit=3, after=after)
    assert ([*first, *rest], end) == (runs[::-1], None)
    assert store.phases(runs[0]) == {"pull": PhaseCount(1, 2, NOON)}
