"""Records and log entries as CSV: for spreadsheets, page by page, and no cell of it a formula."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.api.answers import csv_answer, wants_csv
from chalicelib.contract.common import Page
from chalicelib.contract.runs import LogEntryView
from tests.api.conftest import ORIGIN, Api, assert_problem
from tests.api.fake_services import AT, FakeServices

D = "/departments/d1"
CSV = {"Accept": "text/csv"}


def rows(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode())))


def test_records_come_as_csv_where_that_is_asked_for(call: Api, reader: str, services: FakeServices) -> None:
    response = call("GET", f"{D}/syncs/run-1/records", token=reader, headers={**CSV, "Origin": ORIGIN})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="records.csv"'
    assert "Next-Cursor" in response.headers["Access-Control-Expose-Headers"]
    assert rows(response.body) == [
        ["customer_id", "address", "action", "outcome", "code", "cause", "fix", "at"],
        [
            "7",
            "kim@example.com",
            "add",
            "refused",
            "compliance_state",
            "Unsubscribed before.",
            "",
            "2026-03-01T10:30:00Z",
        ],
    ]
    assert services.asked[0][-2:] == (1000, None)


def test_pages_of_csv_are_put_together_as_they_are(call: Api, reader: str, services: FakeServices) -> None:
    first = call("GET", f"{D}/logs?limit=5", token=reader, headers=CSV)
    cursor = first.headers["Next-Cursor"]
    second = call("GET", f"{D}/logs?limit=5&cursor={cursor}", token=reader, headers=CSV)
    names, *entries = rows(first.body + second.body)
    assert names == ["date", "direction", "type", "trigger", "status", "code", "message", "run_id", "counts"]
    assert (
        entries
        == [["2026-03-01T10:30:00Z", "push", "full", "staff", "success", "synced", "4 added.", "run-1", '{"add":4}']]
        * 2
    )
    assert [asked[-2:] for asked in services.asked] == [(5, None), (5, "l1")]


@pytest.mark.parametrize("text", ["=1+1", "+61 3 9000", "-2", "@SUM(A1)", "\tx", "\rx"])
def test_no_cell_is_taken_for_a_formula(text: str) -> None:
    entry = LogEntryView(AT, "push", "full", "staff", "success", text, "run-1", {}, {}, False, ())
    (row,) = rows(csv_answer(Page((entry,), None), ("message", "run_id"), name="logs", with_names=False).body.encode())
    assert row == [f"'{text}", "run-1"]


def test_line_breaks_quotes_and_commas_stay_within_their_cell() -> None:
    entry = LogEntryView(AT, "push", "full", "staff", "success", 'a, "b"\nc', None, {}, {}, False, ())
    answer = csv_answer(
        Page((entry, replace(entry, message="ü")), None), ("message", "run_id"), name="x", with_names=False
    )
    assert rows(answer.body.encode()) == [['a, "b"\nc', ""], ["ü", ""]]
    assert "Next-Cursor" not in answer.headers


def test_json_is_answered_with_a_hundred_at_most_and_csv_with_a_thousand(call: Api, reader: str) -> None:
    problem = assert_problem(call("GET", f"{D}/logs?limit=101", token=reader), 400, "limit")
    assert problem["errors"][0]["params"] == {"most": 100}
    assert call("GET", f"{D}/logs?limit=1000", token=reader, headers=CSV).status_code == 200
    assert_problem(call("GET", f"{D}/logs?limit=1001", token=reader, headers=CSV), 400, "limit")


def test_a_refusal_is_a_problem_whatever_was_asked_for(call: Api, reader: str) -> None:
    assert_problem(call("GET", f"{D}/logs?since=yesterday", token=reader, headers=CSV), 400, "since")


def test_what_is_no_list_of_rows_stays_json(call: Api, reader: str) -> None:
    assert call("GET", f"{D}/segments", token=reader, headers=CSV).headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "accept, answer",
    [
        (None, False), ("", False), ("*/*", False), ("application/json", False), ("text/csv", True),
        ("text/csv, application/json", True), ("application/json, text/csv;q=0.5", False), ("TEXT/CSV; q=0.9", True),
        ("text/csv;q=0", False), ("text/csv;q=nonsense", False),
    ],
)  # fmt: skip
def test_csv_is_for_those_who_like_it_best(accept: Any, answer: bool) -> None:
    assert wants_csv(accept) is answer
