"""The brake, and how a run ends, in the words that staff read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.contract.runs import RunView
from chalicelib.domain.brake import brake_reason
from chalicelib.domain.departments import BrakeLimits
from chalicelib.domain.runs import (
    BUCKETS,
    Run,
    buckets,
    cancelled_message,
    closing_code,
    closing_message,
    closing_params,
    closing_status,
    given_up_message,
    held_by_reason,
    may_wait,
    partly_sent,
    rate_and_finish,
    side_of,
    waiting_message,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LIMITS = BrakeLimits()


def run(**fields: Any) -> Run:
    return replace(Run("d1", "r1", "incremental", "schedule", NOON), **fields)


@pytest.mark.parametrize(
    ("unsubscribe", "archive", "audience", "brakes"),
    [
        (100, 0, 300, False),
        (101, 0, 1000, True),
        (60, 41, 1000, True),
        (60, 40, 1000, False),
        (200, 0, 2000, False),
        (201, 0, 2000, True),
        (101, 0, 1019, False),
        (0, 0, 0, False),
    ],
)
def test_more_removals_than_both_limits_brake_every_run(
    unsubscribe: int, archive: int, audience: int, brakes: bool
) -> None:
    for trigger in ("schedule", "manual"):
        planned = run(trigger=trigger, planned_counts={"unsubscribe": unsubscribe, "archive": archive})
        assert bool(brake_reason(planned, audience, audience, LIMITS)) is brakes


@pytest.mark.parametrize(
    ("unsubscribe", "archive", "members", "brakes"),
    [
        (0, 60, 60, True),
        (60, 0, 60, True),
        (0, 40, 60, True),
        (10, 11, 60, True),
        (10, 10, 60, False),
        (0, 1, 3, False),
        (0, 1, 2, True),
        (1, 0, 1, True),
        (0, 0, 60, False),
    ],
)
def test_more_than_a_third_of_the_members_brakes_whatever_their_number(
    unsubscribe: int, archive: int, members: int, brakes: bool
) -> None:
    for trigger in ("schedule", "manual", "retry"):
        planned = run(trigger=trigger, planned_counts={"unsubscribe": unsubscribe, "archive": archive})
        # Members of others, of whom there may be many, do not count.
        assert bool(brake_reason(planned, 5000, members, LIMITS)) is brakes


@pytest.mark.parametrize("action", ["add", "subscribe", "ask"])
def test_whoever_would_newly_get_mail_counts_as_an_addition(action: str) -> None:
    assert brake_reason(run(planned_counts={action: 501}), 100, 100, LIMITS)
    assert brake_reason(run(planned_counts={action: 250, "add": 250}), 100, 100, LIMITS) is None


@pytest.mark.parametrize(
    ("additions", "audience", "brakes"), [(500, 0, False), (501, 0, True), (2000, 10_000, False), (2001, 10_000, True)]
)
def test_many_additions_brake_scheduled_runs_only(additions: int, audience: int, brakes: bool) -> None:
    planned = run(planned_counts={"add": additions})
    assert bool(brake_reason(planned, audience, audience, LIMITS)) is brakes
    assert brake_reason(replace(planned, trigger="manual"), audience, audience, LIMITS) is None


def test_an_approved_run_goes_on() -> None:
    planned = run(planned_counts={"archive": 5000}, approved_by="kim")
    assert brake_reason(planned, 5000, 5000, LIMITS) is None


@pytest.mark.parametrize(
    ("leaving", "members", "brakes"), [(1, 3, False), (2, 5, True), (100, 2_000, False), (501, 5_000, True)]
)
def test_members_who_stay_and_would_lose_all_tags_brake_like_removals(leaving: int, members: int, brakes: bool) -> None:
    """Where removed customers stay members nothing is archived, and yet segments would be emptied."""
    assert bool(brake_reason(run(), members, members, LIMITS, leaving_segments=leaving)) is brakes
    assert brake_reason(run(approved_by="user-2"), members, members, LIMITS, leaving_segments=leaving) is None


def test_the_brake_on_lost_tags_names_the_members_and_not_more_than_there_are() -> None:
    stop = brake_reason(run(), 5000, 100, LIMITS, leaving_segments=60)
    assert stop is not None
    assert (stop.code, stop.params) == ("segments", {"planned": 60, "members": 100})
    assert "60 of the department's 100 members" in stop.message
    # Counted at two moments, those who leave may be more than the members.
    stop = brake_reason(run(), 5000, 50, LIMITS, leaving_segments=60)
    assert stop is not None
    assert (stop.code, stop.params) == ("segments", {"planned": 60, "members": 60})


def test_lost_tags_brake_before_removals_are_looked_at() -> None:
    stop = brake_reason(run(planned_counts={"archive": 300}), 5000, 600, LIMITS, leaving_segments=300)
    assert stop is not None
    assert stop.code == "segments"


def test_the_brake_on_additions_says_how_many_and_the_limit() -> None:
    stop = brake_reason(run(planned_counts={"add": 3000, "subscribe": 1}), 10_000, 100, LIMITS)
    assert stop is not None
    assert (stop.code, stop.params) == ("additions", {"planned": 3001, "audience": 10_000, "limit": 2000})
    assert "3001 members to 10000" in stop.message


def test_a_limit_that_is_a_share_is_told_in_whole_members() -> None:
    stop = brake_reason(run(planned_counts={"archive": 300}), 2005, 1500, LIMITS)
    assert stop is not None
    assert stop.params["limit"] == 200
    assert "limit of 200." in stop.message


def test_shares_count_whole_members_of_the_audience() -> None:
    limits = replace(LIMITS, removals=0, additions=0, removals_percent=10, additions_percent=20)
    for audience, brakes in ((1009, True), (1010, False)):
        assert bool(brake_reason(run(planned_counts={"archive": 101}), audience, 5000, limits)) is brakes


def test_a_department_may_brake_on_everything() -> None:
    everything = BrakeLimits(removals=0, removals_percent=0, additions=0, additions_percent=0)
    assert brake_reason(run(planned_counts={"archive": 1}), 1000, 1000, everything)
    assert brake_reason(run(planned_counts={"add": 1}), 1000, 1000, everything)
    assert brake_reason(run(planned_counts={"update": 9999}), 1000, 1000, everything) is None


def test_the_brake_says_how_many_of_how_many_and_what_to_do() -> None:
    stop = brake_reason(run(planned_counts={"archive": 300, "unsubscribe": 1}), 2000, 1500, LIMITS)
    assert stop is not None
    assert (stop.code, stop.params) == ("removals", {"planned": 301, "audience": 2000, "limit": 200})
    reason = stop.message
    assert "unsubscribe or archive 301 of 2000 members" in reason
    assert "limit of 200" in reason
    assert "approve or cancel" in reason
    stop = brake_reason(run(planned_counts={"archive": 40}), 2000, 60, LIMITS)
    assert stop is not None
    reason = stop.message
    assert "unsubscribe or archive 40 of the department's 60 members, more than a third of them" in reason
    everybody = brake_reason(run(planned_counts={"archive": 60}), 2000, 60, LIMITS)
    assert everybody is not None
    assert (everybody.code, everybody.params) == ("share", {"planned": 60, "members": 60})
    assert "60 of the department's 60 members, all of them" in everybody.message


def test_the_buckets_of_the_counts_add_up_and_held_ones_are_split_by_reason() -> None:
    counts = {"add": 4, "refused": 2, "held": 7, "invalid_email": 3, "opted_out": 3, "segment_added": 9}
    assert buckets(counts) == {"add": 4, "refused": 2, "held": 7, "segment_added": 9}
    # One changed while the run was under way: held by its chunk, which names no reason.
    assert held_by_reason(counts) == {"invalid_email": 3, "opted_out": 3, "changed_meanwhile": 1}
    assert sum(held_by_reason(counts).values()) == counts["held"]
    assert held_by_reason({"add": 4}) == {}


def test_the_api_description_tells_what_each_key_of_the_counts_means() -> None:
    described = RunView.__doc__ or ""
    assert all(f"`{name}`" in described for name in BUCKETS)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, "skipped"),
        ({"counts": {"held": 3}}, "skipped"),
        ({"done": 2}, "success"),
        ({"done": 2, "failed": 1}, "success"),
        ({"failed": 1}, "error"),
        ({"failed": 1, "counts": {"refused": 1, "segment_added": 2}}, "success"),
        ({"done": 400, "chunks_failed": 1}, "error"),
        ({"counts": {"segment_removed": 1}}, "success"),
        ({"dry_run": True}, "success"),
    ],
)
def test_a_run_ends_as_success_error_or_skipped(fields: dict[str, Any], status: str) -> None:
    assert closing_status(run(**fields)) == status


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "No changes to sync."),
        ({"counts": {"held": 3}}, "No changes to sync. 3 customers are held back; the records say why."),
        (
            {"counts": {"held": 3, "compliance_state": 2, "opted_out": 1}},
            "No changes to sync. 3 customers are held back (2 Compliance state); the records say why.",
        ),
        (
            {"counts": {"held": 309, "invalid_email": 35, "compliance_state": 14, "no_consent": 260}},
            "No changes to sync. 309 customers are held back (35 Invalid email, 14 Compliance state); the records say "
            "why.",
        ),
        (
            {"counts": {"held": 1, "invalid_email": 1}},
            "No changes to sync. 1 customer is held back (1 Invalid email); the records say why.",
        ),
        (
            {"done": 4, "counts": {"update": 3, "add": 1, "refused": 2}, "failed": 2},
            "1 added, 3 updated, 2 refused by Mailchimp.",
        ),
        ({"counts": {"segment_added": 7}}, "7 segment tags added."),
        (
            {"failed": 2, "counts": {"lost": 2}},
            "Nothing went through. 2 not sent (the next sync sends them again). The records say why for each customer.",
        ),
        (
            {"failed": 1, "counts": {"refused": 1}, "failure": "Invalid email: The format is wrong."},
            "Nothing went through. 1 refused by Mailchimp. Invalid email: The format is wrong.",
        ),
        (
            {"failed": 2, "counts": {"refused": 2}, "failure": "Invalid email: The format is wrong."},
            "Nothing went through. 2 refused by Mailchimp. Invalid email: The format is wrong. The records say why for "
            "each customer.",
        ),
        (
            {"done": 1, "failed": 1, "counts": {"add": 1, "refused": 1}, "failure": "Invalid email: It is wrong."},
            "1 added, 1 refused by Mailchimp.",
        ),
        (
            {"chunks_failed": 1, "chunks_total": 3, "done": 5, "counts": {"add": 5}},
            "1 of 3 parts of the sync could not be sent to Mailchimp. The next sync sends their customers again. "
            "Done: 5 added.",
        ),
        (
            {"chunks_failed": 1, "chunks_total": 1},
            "1 of 1 parts of the sync could not be sent to Mailchimp. The next sync sends their customers again. "
            "Done: nothing.",
        ),
        ({"dry_run": True}, "Dry run, nothing was sent. The plan: no changes."),
        (
            {"dry_run": True, "planned_counts": {"add": 12, "archive": 3}},
            "Dry run, nothing was sent. The plan: 12 added, 3 archived.",
        ),
    ],
)
def test_a_run_ends_with_a_message_in_plain_words(fields: dict[str, Any], message: str) -> None:
    assert closing_message(run(**fields)) == message


def test_a_run_that_failed_never_says_that_there_was_nothing_to_sync() -> None:
    for fields in ({"failed": 1, "counts": {"lost": 1}}, {"failed": 1, "counts": {"refused": 1}}):
        failed = run(**fields)
        assert closing_status(failed) == "error"
        assert "No changes" not in closing_message(failed)


def test_rate_and_finish_follow_from_what_is_done() -> None:
    going = run(apply_started_at=NOON, planned=300, done=90, failed=10)
    assert rate_and_finish(going, NOON + timedelta(seconds=50)) == (2.0, NOON + timedelta(seconds=150))


def test_once_all_is_through_the_rate_stays_and_no_finish_lies_in_the_past() -> None:
    last = NOON + timedelta(seconds=10)
    through = run(apply_started_at=NOON, last_chunk_at=last, planned=20, done=18, failed=2, phase="segments")
    for later in (last, last + timedelta(minutes=5)):
        assert rate_and_finish(through, later) == (2.0, None)
    ended = replace(through, status="success", finished_at=last + timedelta(minutes=5))
    assert rate_and_finish(ended, NOON + timedelta(days=1)) == (2.0, None)


def test_rate_and_finish_are_unknown_before_anything_is_done() -> None:
    assert rate_and_finish(run(), NOON) == (None, None)
    assert rate_and_finish(run(apply_started_at=NOON, planned=3), NOON + timedelta(seconds=9)) == (None, None)
    assert rate_and_finish(run(apply_started_at=NOON, planned=3, done=1), NOON) == (None, None)


def test_an_ended_run_has_a_rate_and_no_finish_to_come() -> None:
    ended = run(apply_started_at=NOON, planned=20, done=20, finished_at=NOON + timedelta(seconds=10), status="success")
    assert rate_and_finish(ended, NOON + timedelta(days=1)) == (2.0, None)


@pytest.mark.parametrize(
    ("fields", "code", "params"),
    [
        ({"dry_run": True}, "dry_run", {}),
        ({}, "nothing_to_do", {}),
        ({"done": 2, "planned": 2}, "synced", {}),
        ({"chunks_total": 3, "chunks_failed": 1, "done": 2}, "chunks_lost", {"chunks": 3, "lost": 1}),
        ({"failed": 2, "counts": {"refused": 2}}, "nothing_went_through", {"failed": 2}),
        ({"done": 1, "failed": 2, "counts": {"add": 1, "refused": 2}}, "synced", {}),
    ],
)
def test_the_end_is_said_in_a_code_with_its_figures(fields: dict[str, Any], code: str, params: dict[str, int]) -> None:
    assert (closing_code(run(**fields)), closing_params(run(**fields))) == (code, params)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"phase": "pull", "planned": 5, "done": 1}, "Stopped by Kim."),
        ({"phase": "apply", "planned": 5, "done": 1, "dry_run": True}, "Stopped by Kim."),
        ({"phase": "apply"}, "Stopped by Kim."),
        ({"phase": "apply", "planned": 5}, "Stopped by Kim. Nothing was sent to Mailchimp."),
        (
            {"phase": "apply", "planned": 5, "done": 2},
            "Stopped by Kim. Stopped after 2 of 5 changes. The next sync makes the remaining changes.",
        ),
        ({"phase": "apply", "planned": 5, "done": 5}, "Stopped by Kim. Stopped after 5 of 5 changes."),
    ],
)
def test_a_cancelled_run_says_how_far_it_came(fields: dict[str, Any], told: str) -> None:
    assert cancelled_message(run(reason="Stopped by Kim.", **fields)) == told


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (
            "PracBill does not answer. Mailchimp is up.",
            "Waiting for PracBill. PracBill does not answer. The sync continues automatically at 12:00:00 UTC.",
        ),
        (
            "Mailchimp does not answer.",
            "Waiting for Mailchimp. Mailchimp does not answer. The sync continues automatically at 12:00:00 UTC.",
        ),
        (
            "Rate limit exceeded (429).",
            "Rate limit exceeded: Mailchimp asks this service to slow down. "
            "The sync continues automatically at 12:00:00 UTC.",
        ),
        ("The table is busy. PracBill is up.", ""),
    ],
)
def test_a_run_that_waits_says_for_whom_and_until_when(reason: str, told: str) -> None:
    assert waiting_message(reason, NOON) == told


@pytest.mark.parametrize(
    ("reason", "side"),
    [("PracBill is away. Mailchimp is up.", "PracBill"), ("Mailchimp is away.", "Mailchimp"), ("Busy. PracBill", "")],
)
def test_the_first_sentence_of_a_reason_tells_which_server_it_is_about(reason: str, side: str) -> None:
    assert side_of(reason) == side


def test_a_run_that_was_given_up_says_what_stays_and_what_to_check() -> None:
    stopped = "Every retry failed for several minutes, so the sync was stopped."
    assert given_up_message(run(done=3), "PracBill is away. Try later.") == (
        f"PracBill is away. {stopped} The changes sent before that stay. "
        "Check that PracBill works and can be reached, then start the sync again."
    )
    assert given_up_message(run(), "The table is busy.") == (
        f"The table is busy. {stopped} Nothing was sent to Mailchimp."
    )


def test_a_run_that_was_asked_to_wait_for_too_long_says_until_when() -> None:
    until = datetime(2026, 3, 4, 15, 6, tzinfo=UTC)
    assert given_up_message(run(), "PracBill is busy. A sync continues automatically.", until) == (
        "PracBill is busy. PracBill asks this service to wait until 2026-03-04 15:06 UTC, longer than a sync can wait, "
        "so the sync was stopped. Nothing was sent to Mailchimp. Start it again after that time, or leave it to the "
        "next scheduled sync."
    )


@pytest.mark.parametrize(("minutes", "waits"), [(19, True), (20, False), (60, False)])
def test_a_run_waits_until_it_would_be_closed_as_stuck(minutes: int, waits: bool) -> None:
    quiet = run(progress_at=datetime(2026, 3, 4, 14, 0, tzinfo=UTC))
    assert may_wait(quiet, minutes * 60.0, datetime(2026, 3, 4, 14, 10, tzinfo=UTC)) is waits


def test_partly_sent_customers_are_those_sent_and_those_found_unchanged() -> None:
    assert partly_sent({"partly_sent": 2, "partly_unchanged": 3, "add": 9}) == 5
    assert partly_sent({}) == 0
