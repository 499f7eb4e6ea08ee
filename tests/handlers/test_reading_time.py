"""A request that would read for too long ends with an answer that says so, before the gateway cuts it off."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chalicelib.api.problems import problem_for
from chalicelib.errors import RetryLater
from chalicelib.foundations import Foundations, Seams
from chalicelib.store.customer_reading import CustomerReader


class Pages:
    """A table of pages without end, each of which takes its time."""

    def __init__(self, clock: SimpleNamespace) -> None:
        self.clock, self.read = clock, 0

    def query(self, **asked: Any) -> dict[str, Any]:
        self.read += 1
        self.clock.left -= 3
        return {"Items": [], "LastEvaluatedKey": {"customer_key": {"S": "x"}}}


def test_reading_ends_while_there_is_time_to_say_so() -> None:
    clock = SimpleNamespace(left=25.0)
    foundations = cast(Foundations, SimpleNamespace(seams=SimpleNamespace(request_time=lambda: clock.left)))
    pages = Pages(clock)
    reader = CustomerReader(
        cast(Any, pages),
        "customers",
        "d1",
        concurrency=1,
        check_time=lambda: Foundations._check_request_time(foundations),
    )
    with pytest.raises(RetryLater) as told:
        list(reader.rows())
    assert clock.left > 0
    assert 7 <= pages.read <= 8
    answer = problem_for(told.value, request_id="r1")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    detail = json.loads(answer.body)["detail"]
    assert "took longer than one request may take" in detail
    assert "Try again" in detail


def test_a_function_that_answers_no_request_reads_to_the_end() -> None:
    assert Seams().request_time() > 2
