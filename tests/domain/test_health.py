from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.departments import (
    Audience,
    AudienceStatus,
    Connection,
    ConnectionState,
    Department,
    DepartmentSettings,
    Finding,
    OutboxBacklog,
    RefusedOptOuts,
    Unreadable,
)
from chalicelib.domain.fieldmap import FieldMap
from chalicelib.domain.health import (
    MAILCHIMP_AWAY,
    OVERDUE_AFTER,
    health,
    webhook_missing,
    with_hook_finding,
)
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


# ------------------------------------------------------------- code, severity and params, by which the page has words


def the_finding(department: Department = DEPARTMENT, **given: Any) -> Finding:
    (finding,) = health(department, **{"run": None, "failed": None, "now": SOON, **given})
    assert finding.message.endswith(".")
    assert finding.fix.endswith(".")
    return finding


@pytest.mark.parametrize(
    ("changes", "params"),
    [
        ({}, {"cause": "error", "type": "full"}),
        ({"code": "pracbill_away"}, {"cause": "pracbill_away", "type": "full"}),
        ({"trigger": "selection"}, {"cause": "error", "type": "selection"}),
        ({"type": "segments", "finished_at": START + timedelta(minutes=2)}, {"cause": "error", "type": "segments"}),
    ],
)
def test_a_failed_sync_tells_its_run_time_cause_and_type(changes: dict[str, Any], params: dict[str, str]) -> None:
    finding = the_finding(failed=run_that("error", **changes))
    minute = "02" if "finished_at" in changes else "00"
    assert finding.params == {"run": "r1", "at": f"2026-03-01T08:{minute}:00.000000Z", **params}


def test_an_approval_tells_its_run_and_what_the_brake_counted() -> None:
    counted = {"count": 400, "limit": 100}
    finding = the_finding(run=run_that("awaiting_approval", brake_params=counted))
    assert (finding.code, finding.severity, finding.params) == ("approval_needed", "warning", {"run": "r1", **counted})
    assert "exceeds the limits" in finding.message


def test_a_backlog_tells_how_many_and_since_when() -> None:
    finding = the_finding(replace(DEPARTMENT, backlog=OutboxBacklog(3, START, "PracBill cannot be reached.")))
    assert finding.params == {"count": 3, "since": "2026-03-01T08:00:00.000000Z"}


@pytest.mark.parametrize(
    ("count", "who"), [(1, "1 person who opted out is"), (2, "2 people who opted out are"), (12, "12 people who")]
)
def test_opt_outs_that_mailchimp_refuses_are_an_error(count: int, who: str) -> None:
    finding = the_finding(replace(DEPARTMENT, refused_opt_outs=RefusedOptOuts(count, START)))
    assert (finding.code, finding.severity) == ("opt_out_refused", "error")
    assert finding.message.startswith(who)
    assert "since 2026-03-01 08:00 UTC" in finding.message
    assert finding.params == {"count": count, "since": "2026-03-01T08:00:00.000000Z"}


@pytest.mark.parametrize(
    ("attribute", "code", "named"),
    [
        ("balance", "unreadable_balance", "a balance"),
        ("last_invoice_on", "unreadable_last_invoice_at", "a last invoice date"),
        ("created_on", "unreadable_created_at", "a creation date"),
    ],
)
@pytest.mark.parametrize(
    ("count", "who", "example"),
    [(1, "1 customer has", "(customer 17)"), (2, "2 customers have", "(for example customer 17)")],
)
def test_values_that_cannot_be_read_are_counted_with_an_example(
    attribute: str, code: str, named: str, count: int, who: str, example: str
) -> None:
    finding = the_finding(replace(DEPARTMENT, unreadable=(Unreadable(attribute, count, "17"),)))
    assert (finding.code, finding.severity) == (code, "warning")
    assert finding.params == {"count": count, "example": "17"}
    assert finding.message.startswith(f"{who} {named} that cannot be read {example}.")


@pytest.mark.parametrize(
    ("last", "when", "params"),
    [
        (None, "yet", {}),
        (START + timedelta(hours=1), "since 2026-03-01 09:00 UTC", {"since": "2026-03-01T09:00:00.000000Z"}),
    ],
)
def test_an_overdue_sync_tells_since_when(last: datetime | None, when: str, params: dict[str, str]) -> None:
    finding = the_finding(replace(DEPARTMENT, last_synced_at=last), now=LATE + timedelta(hours=1))
    assert (finding.code, finding.severity, finding.params) == ("no_recent_sync", "error", params)
    assert finding.message.startswith(f"No sync has succeeded {when}, ")


def test_a_missing_webhook_is_a_warning() -> None:
    finding = webhook_missing("Mailchimp cannot reach it.", "unreachable")
    assert (finding.severity, finding.params) == ("warning", {"reason": "unreachable"})
    assert finding.fix.startswith("Nothing is lost")


def test_what_the_last_look_at_the_audience_found_counts_while_the_connection_works() -> None:
    looked = replace(AUDIENCE, status=AudienceStatus(START, findings=(MAILCHIMP_AWAY,)))
    assert codes(replace(DEPARTMENT, audience=looked)) == ["mailchimp_away"]
    rejected = replace(CONNECTION, state="key_rejected")
    assert codes(replace(DEPARTMENT, connection=rejected, audience=looked)) == ["key_rejected"]
