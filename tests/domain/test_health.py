from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.departments import (
    Audience,
    Connection,
    ConnectionState,
    Department,
    DepartmentSettings,
    Finding,
    OutboxBacklog,
)
from chalicelib.domain.fieldmap import FieldMap
from chalicelib.domain.health import OVERDUE_AFTER, health, webhook_missing, with_hook_finding
from chalicelib.domain.runs import Run, RunStatus

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
SOON = START + timedelta(hours=1)
LATE = START + OVERDUE_AFTER + timedelta(minutes=1)

CONNECTION = Connection(
    state="connected",
    account_id="acc",
    account_name="Example Practice",
    server_prefix="us21",
    key_hint="ab12",
    connected_at=START,
)
AUDIENCE = Audience(id="aud1", name="Clients", fields=FieldMap(tags=()), selected_at=START)
DEPARTMENT = Department(
    id="d1",
    name="North",
    timezone="UTC",
    country="AU",
    currency="AUD",
    address_salt="00",
    connection=CONNECTION,
    audience=AUDIENCE,
)


def run_that(status: RunStatus, **changes: Any) -> Run:
    return replace(Run("d1", "r1", "full", "schedule", START, phase="approval", status=status), **changes)


def codes(
    department: Department | None, *, run: Run | None = None, failed: Run | None = None, now: datetime = SOON
) -> list[str]:
    return [finding.code for finding in health(department, run=run, failed=failed, now=now)]


def test_a_department_that_works_has_nothing_to_say() -> None:
    assert codes(DEPARTMENT) == []


@pytest.mark.parametrize("department", [None, replace(DEPARTMENT, connection=None)])
def test_a_department_that_is_not_connected_is_well(department: Department | None) -> None:
    assert codes(department, now=LATE) == []


@pytest.mark.parametrize("state", ["key_rejected", "account_deactivated", "wrong_data_centre"])
def test_a_connection_that_does_not_work_is_an_error_of_its_own_code_and_not_overdue(state: ConnectionState) -> None:
    department = replace(DEPARTMENT, connection=replace(CONNECTION, state=state))
    (finding,) = health(department, run=None, failed=run_that("error"), now=LATE)
    assert (finding.code, finding.severity) == (state, "error")
    assert "Syncs are stopped" in finding.message
    assert finding.fix


def test_without_an_audience_nothing_is_synced() -> None:
    assert codes(replace(DEPARTMENT, audience=None), now=LATE) == ["no_audience"]


def test_what_the_pre_flight_found_is_shown_after_what_is_worse() -> None:
    info = Finding("double_optin", "info", "", "")
    warning = Finding("field_type_clash", "warning", "", "")
    department = replace(DEPARTMENT, audience=replace(AUDIENCE, findings=(info, warning)))
    assert codes(department, now=LATE) == ["no_recent_sync", "field_type_clash", "double_optin"]


def test_a_paused_department_is_told_so_and_never_overdue() -> None:
    department = replace(DEPARTMENT, settings=DepartmentSettings(paused=True))
    assert codes(department, now=LATE) == ["paused"]


def test_a_run_that_waits_for_approval_says_why() -> None:
    run = run_that("awaiting_approval", brake="It would archive 400 members.")
    (finding,) = health(DEPARTMENT, run=run, failed=None, now=SOON)
    assert finding.code == "approval_needed"
    assert "archive 400 members" in finding.message


def test_a_department_that_waits_for_approval_is_not_called_overdue_as_well() -> None:
    assert codes(DEPARTMENT, run=run_that("awaiting_approval"), now=LATE) == ["approval_needed"]


def test_a_sync_that_failed_says_when_and_why_and_where_to_go_on() -> None:
    failed = run_that("error", finished_at=START, message="PracBill does not answer. Check that it works.")
    (finding,) = health(DEPARTMENT, run=None, failed=failed, now=SOON)
    assert (finding.code, finding.severity) == ("last_sync_failed", "error")
    assert finding.message == (
        "The last full sync ended in an error on 2026-03-01 08:00 UTC. PracBill does not answer. Check that it works."
    )
    assert "Sync Now" in finding.fix
    assert (finding.params["type"], finding.params["at"]) == ("full", "2026-03-01T08:00:00.000000Z")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"type": "incremental"}, "The last incremental sync"),
        ({"type": "segments"}, "The last sync of segments"),
        ({"trigger": "selection", "dry_run": True}, "The last look at the audience"),
    ],
)
def test_what_failed_is_named(changes: dict[str, Any], words: str) -> None:
    (finding,) = health(DEPARTMENT, run=None, failed=run_that("error", **changes), now=SOON)
    assert finding.message.startswith(words)


def test_a_failed_sync_of_a_disconnected_department_is_no_finding() -> None:
    assert codes(replace(DEPARTMENT, connection=None), failed=run_that("error")) == []


def test_what_failed_before_a_new_key_was_given_is_no_finding_any_more() -> None:
    for moment, expected in ((START - timedelta(seconds=1), []), (START, ["last_sync_failed"])):
        assert codes(DEPARTMENT, failed=run_that("error", finished_at=moment)) == expected


def test_a_running_sync_is_no_finding() -> None:
    assert codes(DEPARTMENT, run=run_that("running")) == []


@pytest.mark.parametrize(
    ("last_synced_at", "now", "overdue"),
    [
        (None, START + OVERDUE_AFTER, False),
        (None, LATE, True),
        (LATE - timedelta(hours=1), LATE, False),
        (START - timedelta(days=30), SOON, False),  # connected anew an hour ago
        (START + timedelta(hours=1), LATE + timedelta(hours=1), True),
    ],
)
def test_a_day_without_a_success_is_overdue_counted_from_when_syncs_could_first_run(
    last_synced_at: datetime | None, now: datetime, overdue: bool
) -> None:
    department = replace(DEPARTMENT, last_synced_at=last_synced_at)
    assert ("no_recent_sync" in codes(department, now=now)) is overdue


@pytest.mark.parametrize(("hours", "severity"), [(0, "warning"), (24, "warning"), (25, "error")])
def test_what_pracbill_was_not_told_is_a_finding_with_count_time_and_cause(hours: int, severity: str) -> None:
    backlog = OutboxBacklog(3, SOON - timedelta(hours=hours), "PracBill cannot be reached.")
    (finding,) = health(replace(DEPARTMENT, backlog=backlog, last_synced_at=SOON), run=None, failed=None, now=SOON)
    assert (finding.code, finding.severity) == ("pracbill_waiting", severity)
    assert finding.message == (
        f"3 consent changes have been waiting to be sent to PracBill since {backlog.since:%Y-%m-%d %H:%M} UTC. "
        "PracBill cannot be reached."
    )
    assert finding.fix.startswith("Nothing is lost")


def test_each_look_at_the_webhook_replaces_what_the_last_one_found() -> None:
    other = Finding("double_optin", "info", "", "")
    once = with_hook_finding((other,), webhook_missing("Mailchimp cannot reach it.", "unreachable"))
    twice = with_hook_finding(once, webhook_missing("Mailchimp has a fault.", "no_answer"))
    assert [finding.code for finding in twice] == ["double_optin", "webhook_missing"]
    assert "has a fault" in twice[1].message
    assert twice[1].params == {"reason": "no_answer"}
    assert with_hook_finding(twice, None) == (other,)
