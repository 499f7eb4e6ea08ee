"""What logs, records and the consent ledger promise, alike on everything that stands for DynamoDB in tests."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pynamodb.models import Model

from chalicelib.domain.logs import LedgerEntry, LogEntry, LogFilter, Moment, Record
from chalicelib.store.logs import LedgerStore, LogStore
from chalicelib.store.models import LedgerItem, LogItem

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
_MODELS: tuple[type[Model], ...] = (LogItem, LedgerItem)


@pytest.fixture(autouse=True)
def tables(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", database)
    for model in _MODELS:
        monkeypatch.setattr(model, "_connection", None)  # it remembers the address it was made with
        if not model.exists():
            model.create_table(wait=True)


@pytest.fixture
def logs() -> LogStore:
    return LogStore(keep=timedelta(days=3650))


@pytest.fixture
def department() -> str:
    return uuid.uuid4().hex


def entry(minutes: int, **fields: Any) -> LogEntry:
    return replace(
        LogEntry(NOON + timedelta(minutes=minutes), "push", "full", "staff", "success", f"{minutes}"), **fields
    )


def record(number: int, outcome: Any, code: str = "", action: str = "add") -> Record:
    return Record(f"key-{number}", str(number), "a…@clinic.test", action, outcome, code, "cause", "fix", NOON)


def pages(read: Callable[[str | None], tuple[list[Any], str | None]]) -> list[list[Any]]:
    """All pages of a list, each asked for with what the one before said."""
    found, after = [], None
    for _ in range(20):
        page, after = read(after)
        found.append(page)
        if after is None:
            return found
    raise AssertionError("pages without end")


def test_log_entries_are_paged_newest_first_and_a_repetition_is_none(logs: LogStore, department: str) -> None:
    entries = [entry(number) for number in range(5)]
    for one in (*entries, entries[2]):
        logs.add(department, one, key=one.message)
    assert pages(lambda after: logs.entries(department, LogFilter(), limit=2, after=after)) == [
        [entries[4], entries[3]],
        [entries[2], entries[1]],
        [entries[0]],
    ]
    assert logs.entries("elsewhere", LogFilter(), limit=2, after=None) == ([], None)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"direction": "pull"}, "31"),
        ({"direction": "pull", "status": "error"}, "3"),
        ({"type": "incremental", "trigger": "webhook"}, "2"),
        ({"since": NOON + timedelta(minutes=1), "until": NOON + timedelta(minutes=3)}, "21"),
        ({"since": NOON + timedelta(minutes=9)}, ""),
        ({"since": NOON + timedelta(minutes=3), "until": NOON}, ""),
    ],
    ids=["direction", "direction-status", "type-trigger", "times", "later", "no-time"],
)
def test_log_entries_fit_every_filter(logs: LogStore, department: str, asked: dict[str, Any], expected: str) -> None:
    for one in (
        entry(0),
        entry(1, direction="pull"),
        entry(2, type="incremental", trigger="webhook"),
        entry(3, direction="pull", status="error"),
    ):
        logs.add(department, one, key=one.message)
    found, after = logs.entries(department, LogFilter(**asked), limit=9, after=None)
    assert ("".join(one.message for one in found), after) == (expected, None)


def test_filtered_pages_have_what_fits_and_go_on_behind_it(logs: LogStore, department: str) -> None:
    for number in range(6):
        one = entry(number, direction="pull" if number % 2 else "push")
        logs.add(department, one, key=one.message)
    found = pages(lambda after: logs.entries(department, LogFilter("pull"), limit=2, after=after))
    assert [[one.message for one in page] for page in found] == [["5", "3"], ["1"]]


def test_opt_outs_of_a_pull_are_kept_for_the_trend_apart_from_the_log(logs: LogStore, department: str) -> None:
    logs.add(department, entry(0, direction="pull", counts={"opted_out": 3}), key="pull")
    logs.add_to_history(department, Moment(NOON - timedelta(days=1), members=7), key="run")
    assert list(logs.history(department, NOON - timedelta(days=2))) == [
        Moment(NOON - timedelta(days=1), members=7),
        Moment(NOON, opted_out=3),
    ]
    assert [one.opted_out for one in logs.history(department, NOON)] == [3]
    assert len(logs.entries(department, LogFilter(), limit=9, after=None)[0]) == 1


_RECORDS = [
    record(1, "done"),
    record(2, "held", "no_consent"),
    record(3, "failed", "timeout"),
    record(4, "planned", action="archive"),
    record(5, "held", "cleaned"),
    record(6, "refused", "invalid"),
    record(7, "partly_sent", "phone"),
]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_records_are_paged_problems_first_and_none_is_missed(logs: LogStore, department: str, limit: int) -> None:
    logs.add_records(department, "run-1", _RECORDS[:4])
    logs.add_records(department, "run-1", _RECORDS[2:])  # a step that comes again writes the same ones
    logs.add_records(department, "run-2", [record(9, "done")])
    found = pages(lambda after: logs.records(department, "run-1", limit=limit, after=after))
    outcomes = [one.outcome for page in found for one in page]
    assert sorted(one.key for page in found for one in page) == [one.key for one in _RECORDS]
    assert outcomes[:5] == ["failed", "refused", "held", "held", "partly_sent"]
    assert max(len(page) for page in found) <= limit


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"outcomes": ["held"]}, "25"),
        ({"outcomes": ["held"], "code": "cleaned"}, "5"),
        ({"code": "timeout"}, "3"),
        ({"outcomes": ["planned", "done"]}, "14"),
        ({"action": "archive"}, "4"),
        ({"code": "clean"}, ""),
    ],
    ids=["outcome", "outcome-code", "code", "no-problems", "action", "part-of-a-code"],
)
def test_records_are_filtered(logs: LogStore, department: str, asked: dict[str, Any], expected: str) -> None:
    logs.add_records(department, "run-1", _RECORDS)
    found, after = logs.records(department, "run-1", limit=9, after=None, **asked)
    assert ("".join(sorted(one.customer_id for one in found)), after) == (expected, None)


def test_records_are_looked_up_by_their_keys(logs: LogStore, department: str) -> None:
    logs.add_records(department, "run-1", _RECORDS)
    found = logs.records_of(department, "run-1", ["key-2", "key-2", "key-7", "unknown"])
    assert sorted(found, key=lambda one: one.key) == [_RECORDS[1], _RECORDS[6]]
    assert logs.records_of(department, "run-2", ["key-2"]) == []


def change(minutes: int, became: str = "unsubscribed") -> LedgerEntry:
    at = NOON + timedelta(minutes=minutes)
    return LedgerEntry(at, at, "subscribed", became, "the person", "webhook", "told", {"campaign": "c1"})


def test_the_ledger_of_an_address_is_read_newest_first_and_has_each_change_once(department: str) -> None:
    ledger = LedgerStore()
    ledger.append(department, "a", change(1))
    ledger.append_all(department, [("a", change(2)), ("b", change(3)), ("a", change(2)), ("a", change(1))])
    ledger.append(department, "a", change(1, "cleaned"))
    found = ledger.entries(department, "a")
    assert found[0] == change(2)
    assert sorted(one.became for one in found[1:]) == ["cleaned", "unsubscribed"]
    assert ledger.entries(department, "a", most=1) == [change(2)]
    assert ledger.entries(department, "c") == []


def test_a_departments_whole_ledger_is_its_own(department: str) -> None:
    ledger = LedgerStore()
    ledger.append_all(department, [("a", change(1)), ("b", change(2))])
    ledger.append(f"{department}-too", "a", change(3))
    assert sorted(ledger.all_entries(department), key=lambda pair: pair[0]) == [("a", change(1)), ("b", change(2))]
