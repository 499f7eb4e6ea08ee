"""The records of a run as staff read them: problems first, by outcome, code, action and customer, with the address."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from chalicelib.contract.runs import RecordView
from chalicelib.domain.logs import LogFilter, Outcome, Record
from chalicelib.errors import RefuseRequest
from chalicelib.store import record_reading
from chalicelib.store.aws import dynamodb
from chalicelib.store.record_reading import BUCKET_COUNT
from chalicelib.sync.runs.records import record_counts
from tests.sync.engine import NOON, Engine, Practice

pytest_plugins = ("tests.sync.engine_fixtures",)


def listed(practice: Practice, run_id: str, *, limit: int = 100, **filters: Any) -> list[RecordView]:
    """All records that fit, page by page."""
    wanted = {"outcomes": (), "code": None, "action": None, "customer_id": None, **filters}
    found: list[RecordView] = []
    after = None
    for _ in range(100):
        page, after = practice.engine.records.list(practice.id, run_id, limit=limit, after=after, **wanted)
        assert len(page) <= limit
        found += page
        if after is None:
            return found
    raise AssertionError("pages without end")


def mixed_run(practice: Practice) -> str:
    """A run in which one of each kind happened."""
    practice.customers(3)
    practice.customer("7", "not an address")
    practice.customer("8", None)
    practice.customer("9", "gone@clinic.test", "unsubscribed")
    return practice.sync("full").id


def test_problems_come_first_and_pages_join_without_gap_or_repeat(practice: Practice) -> None:
    run_id = mixed_run(practice)
    whole = listed(practice, run_id)
    assert [record.outcome for record in whole] == ["held"] * 3 + ["done"] * 3
    for limit in (1, 2, 3, 4):
        assert listed(practice, run_id, limit=limit) == whole


def test_records_are_filtered_by_outcomes_code_action_and_customer(practice: Practice) -> None:
    run_id = mixed_run(practice)
    assert {r.customer_id for r in listed(practice, run_id, outcomes=("held", "failed"))} == {"7", "8", "9"}
    assert [r.customer_id for r in listed(practice, run_id, code="invalid_email")] == ["7"]
    assert [r.customer_id for r in listed(practice, run_id, code="invalid_email", outcomes=("done",))] == []
    assert {r.customer_id for r in listed(practice, run_id, action="add", limit=1)} == {"1", "2", "3"}
    assert [(r.customer_id, r.outcome) for r in listed(practice, run_id, customer_id="2")] == [("2", "done")]
    assert [(r.customer_id, r.code) for r in listed(practice, run_id, customer_id="8")] == [("8", "no_email")]
    assert listed(practice, run_id, customer_id="2", outcomes=("held",)) == []
    assert listed(practice, run_id, customer_id="unknown") == []


def test_who_may_read_the_customer_reads_the_address(practice: Practice) -> None:
    run_id = mixed_run(practice)
    addresses = {record.customer_id: record.address for record in listed(practice, run_id)}
    assert (addresses["1"], addresses["7"], addresses["8"]) == ("c1@clinic.test", "not an address", None)
    stored = practice.records(practice.run(run_id))
    assert not [record for record in stored if record.address == "c1@clinic.test"], "kept masked all the same"
    practice.edit("1", email="new@clinic.test")
    practice.remove("2")
    practice.sync()
    addresses = {record.customer_id: record.address for record in listed(practice, run_id)}
    # The record is of the address before: the one of now is none of its business.
    assert "*" in str(addresses["1"]) and "*" in str(addresses["2"])


def test_a_run_counts_its_records_by_outcome(practice: Practice) -> None:
    run_id = mixed_run(practice)
    view = practice.engine.staff.get(practice.id, run_id)
    assert view.record_counts == {"failed": 0, "refused": 0, "held": 3, "partly_sent": 0, "planned": 0, "done": 3}


@pytest.mark.parametrize("fault", [None, 500])
def test_the_counts_are_those_of_the_records(practice: Practice, fault: int | None) -> None:
    practice.customers(4)
    practice.customer("7", None)
    if fault:
        practice.fail(method="POST", status=fault)
    for run in (practice.sync("full", dry_run=True), practice.sync("full")):
        outcomes = [record.outcome for record in listed(practice, run.id)]
        assert record_counts(run) == {name: outcomes.count(name) for name in record_counts(run)}


def test_a_filter_that_finds_little_looks_at_so_many_and_says_where_to_go_on(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_reading, "_MOST_LOOKED_AT", 100)
    monkeypatch.setattr(record_reading, "_PAGE", 50)
    monkeypatch.setattr(record_reading, "_FILTERED_AT_ONCE", 50)
    run_id = practice.sync("full").id
    records = [
        Record(f"k{number}", str(number), "", "add" if number else "archive", "done", "x", "", "", NOON)
        for number in range(300)
    ]
    engine.logs.add_records(practice.id, run_id, records)
    page, after = engine.logs.records(practice.id, run_id, limit=10, after=None, action="archive")
    assert len(page) <= 1
    assert after is not None
    assert [record.customer_id for record in listed(practice, run_id, limit=10, action="archive")] == ["0"]


def test_calls_grow_with_what_is_answered_and_not_with_the_run(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One refused and one planned record among 2,000 that went well: one call a bucket, or two where a filter looks."""
    run_id = practice.sync("full").id
    outcomes: dict[int, Outcome] = {700: "refused", 1_400: "planned"}
    records = [
        Record(f"k{number}", str(number), "", "add", outcomes.get(number, "done"), "x", "", "", NOON)
        for number in range(2_000)
    ]
    engine.logs.add_records(practice.id, run_id, records)
    client, calls = dynamodb(), list[dict[str, Any]]()
    query = client.query

    def counted(**asked: Any) -> Any:
        calls.append(asked)
        return query(**asked)

    monkeypatch.setattr(client, "query", counted)
    for outcome, most in (("refused", BUCKET_COUNT), ("planned", 2 * BUCKET_COUNT)):
        calls.clear()
        found, after = engine.logs.records(practice.id, run_id, limit=100, after=None, outcomes=(outcome,))
        assert [record.outcome for record in found] == [outcome]
        assert after is None
        assert len(calls) <= most, outcome


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_pages_of_any_size_tell_every_record_once_in_one_order(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """A page is merged from buckets that are never read equally far."""
    monkeypatch.setattr(record_reading, "_PAGE", 1)
    monkeypatch.setattr(record_reading, "_FILTERED_AT_ONCE", 3)
    run_id = practice.sync("full").id
    chance = Random(limit)
    outcomes: list[Outcome] = ["held", "done", "refused", "planned", "failed"]
    records = [
        Record(f"k{number}", str(number), "", "add", chance.choice(outcomes), chance.choice("xyz"), "", "", NOON)
        for number in range(60)
    ]
    engine.logs.add_records(practice.id, run_id, records)

    def told(**asked: Any) -> list[Record]:
        found, after = engine.logs.records(practice.id, run_id, limit=limit, after=None, **asked)
        while after is not None:
            page, after = engine.logs.records(practice.id, run_id, limit=limit, after=after, **asked)
            found += page
        return found

    everything = told()
    assert sorted(record.key for record in everything) == sorted(record.key for record in records)
    order = {"failed": 0, "refused": 1, "held": 2}
    problems = [(order[record.outcome], record.code) for record in everything if record.outcome in order]
    assert [record.outcome for record in everything[: len(problems)] if record.outcome not in order] == []
    assert problems == sorted(problems)
    for outcome in outcomes:
        wanted = [record.key for record in everything if record.outcome == outcome]
        assert [record.key for record in told(outcomes=(outcome,))] == wanted
    assert {record.key for record in told(outcomes=("held",), code="y")} == {
        record.key for record in records if (record.outcome, record.code) == ("held", "y")
    }


@pytest.mark.parametrize("after", ["nonsense", "held:~~~~", "rest:~~~~", ":", "held:", "sesame:x"])
def test_a_key_of_nobody_leads_nowhere(practice: Practice, after: str) -> None:
    run_id = mixed_run(practice)
    found, _ = practice.engine.logs.records(practice.id, run_id, limit=10, after=after)
    assert len(found) <= 6


def test_an_unknown_run_has_no_records(practice: Practice) -> None:
    with pytest.raises(RefuseRequest) as refused:
        listed(practice, "20260101T000000000Z-none")
    assert refused.value.status == 404


def test_log_entries_of_some_days(engine: Engine, practice: Practice) -> None:
    runs = [practice.sync("full", days=1) for _ in range(3)]
    ends = [run.finished_at for run in runs]
    assert ends[0] is not None and ends[1] is not None and ends[2] is not None

    def found(**window: Any) -> list[str]:
        entries: list[str] = []
        after = None
        while True:
            page, after = engine.logs.entries(practice.id, LogFilter("push", **window), limit=1, after=after)
            entries += [entry.run_id for entry in page]
            if after is None:
                return entries

    assert found() == [runs[2].id, runs[1].id, runs[0].id]
    assert found(since=ends[1]) == [runs[2].id, runs[1].id]
    assert found(until=ends[1]) == [runs[0].id]
    assert found(since=ends[1], until=ends[2]) == [runs[1].id]
    assert found(since=ends[2], until=ends[0]) == []
