"""A run that waits for Mailchimp or PracBill says so at once, and its log entry names the cause."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sync.engine import Engine, Practice

pytest_plugins = ("tests.sync.engine_fixtures",)


def deliver_one(engine: Engine) -> None:
    message = engine.receive()
    assert message is not None
    engine.deliver(message)


def test_a_run_under_a_rate_limit_says_when_it_goes_on_and_then_says_nothing_more(
    engine: Engine, practice: Practice
) -> None:
    practice.customers(2)
    run_id = practice.start("full")
    engine.deliver_until(lambda: practice.run(run_id).apply_started_at is not None)
    practice.fail(method="POST", status=429, times=2)
    deliver_one(engine)
    run = practice.run(run_id)
    assert run.status == "running"
    assert run.message.startswith("Rate limit exceeded: Mailchimp asks this service to slow down. ")
    assert run.message.endswith(f"The sync continues automatically at {engine.clock():%H:%M:%S} UTC.")
    assert engine.views.of(run).message == run.message
    deliver_one(engine)
    assert "Rate limit" not in practice.run(run_id).message
    engine.work()
    run = practice.run(run_id)
    assert (run.status, run.counts, run.message) == ("success", {"add": 2}, "2 added.")


@pytest.mark.parametrize("side", ["Mailchimp", "PracBill"])
def test_a_run_that_waits_for_a_server_names_it(engine: Engine, practice: Practice, side: str) -> None:
    practice.customers(2)
    run_id = practice.start("full")
    if side == "Mailchimp":
        practice.control.inject_fault(path="/**", times=2, status=503)
    else:
        engine.deliver_until(lambda: practice.run(run_id).phase == "ingest")
        engine.pracbill.inject("status", status=503, calls=2)
    deliver_one(engine)
    run = practice.run(run_id)
    assert run.status == "running"
    assert run.message.startswith(f"Waiting for {side}. {side} has an internal error")
    assert "HTTP 503" in run.message and "continues automatically at" in run.message
    engine.work()
    assert practice.run(run_id).status == "success"


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ({"status": 429}, "Rate limit exceeded: Mailchimp has had too many requests from this account. Wait a few min"),
        ({"status": 500}, "Mailchimp has an internal error at the moment (HTTP 500)."),
    ],
    ids=["limit", "fault"],
)
def test_the_log_entry_of_chunks_that_failed_has_the_cause(
    practice: Practice, fault: dict[str, Any], cause: str
) -> None:
    practice.customers(3)
    practice.fail(method="POST", **fault)
    run = practice.sync("full")
    assert (run.status, run.chunks_failed) == ("error", 1)
    assert run.message.startswith(
        "1 of 1 parts of the sync could not be sent to Mailchimp. The next sync sends their customers again. " + cause
    )
    assert practice.log()[0].message == run.message
    assert "log entry of the sync gives the cause" in practice.records(run, "failed")[0].cause
