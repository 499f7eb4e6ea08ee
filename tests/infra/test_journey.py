"""What a newcomer reads while a run goes on, and when a call of the journey is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from infra.local.journey import Api, JourneyFailed, progress_line


def answering(monkeypatch: pytest.MonkeyPatch, status: int, body: str) -> None:
    answer = requests.Response()
    answer.status_code = status
    answer._content = body.encode()
    monkeypatch.setattr(requests.Session, "request", lambda *arguments, **options: answer)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ({"detail": "Mailchimp cannot be reached."}, "Mailchimp cannot be reached."),
        (
            {"detail": "Some of it cannot be used.", "errors": [{"field": "name", "message": "is missing"}]},
            "Some of it cannot be used. name: is missing",
        ),
        ({"detail": "Not a key.", "errors": [{"field": "api_key", "message": "Not a key."}]}, "Not a key."),
    ],
)
def test_a_refusal_is_told_in_the_problems_words(
    monkeypatch: pytest.MonkeyPatch, problem: dict[str, Any], words: str
) -> None:
    answering(monkeypatch, 400, json.dumps(problem))
    with pytest.raises(JourneyFailed) as failed:
        Api("http://127.0.0.1:1", "north", "t").call("PUT", "D/connection", {})
    assert str(failed.value) == f"PUT /departments/north/connection answered 400: {words}"


@pytest.mark.parametrize("body", ["Bad Gateway", "[]", "{}", "null"])
def test_an_answer_that_is_no_problem_document_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    answering(monkeypatch, 502, body)
    with pytest.raises(JourneyFailed, match="answered 502"):
        Api("http://127.0.0.1:1", "north", "t").call("GET", "D/connection")


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        ({"done": 500, "failed": 0, "planned": None, "rate": 1398.2}, "  pull      500  1398/s  running"),
        ({"done": 496, "failed": 4, "planned": 1636, "rate": None}, "  pull      500/1636 (4 failed)  running"),
    ],
)
def test_progress_is_told_with_its_whole_only_where_that_is_known(progress: dict[str, Any], line: str) -> None:
    run = {"phase": "pull", "status": "running", "dry_run": False, "finished_at": None}
    assert progress_line(run | {"progress": {"eta": None} | progress}) == line


def test_a_run_that_only_plans_ends_with_what_it_planned() -> None:
    progress = {"done": 0, "failed": 0, "planned": 1636, "rate": None, "eta": None}
    run = {"phase": "plan", "status": "success", "dry_run": True, "finished_at": "2026-11-23T15:05:27Z"}
    assert progress_line(run | {"progress": progress}) == "  plan      1636 changes planned, nothing sent  success"
