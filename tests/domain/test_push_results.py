"""What an outcome of the push means, and whether an operation is still right when its turn comes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from chalicelib.domain.consent.members import ConsentState, Member, OptOut, PushRefusal, Status
from chalicelib.domain.consent.observations import Observation
from chalicelib.domain.fieldmap import LeftOut
from chalicelib.domain.hold_reasons import HELD
from chalicelib.domain.logs import LedgerEntry, Record
from chalicelib.domain.planning import Action, Operation
from chalicelib.domain.push_results import (
    MOST_OPT_OUT_TRIES,
    PushResult,
    already_done,
    consent_news,
    consent_state_after,
    counted_as,
    is_newer,
    ledger_entry,
    left_archived,
    member_object,
    new_members,
    next_refusal,
    record_of,
    refused_already,
    refused_value,
    refused_values,
    renamed,
    status_foreseen,
    still_right,
    told_apart,
)
from chalicelib.domain.refusals import refusal
from chalicelib.domain.runs import Run

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HERE, ELSEWHERE = "audience-1", "audience-2"
VALUES: Any = {"FNAME": "Ann", "PHONE": ""}
ACTIONS: tuple[Action, ...] = get_args(Action)
DATA: tuple[Action, ...] = ("add", "update", "rename")  # what carries data and leaves a status that is known alone


def minutes(count: float) -> datetime:
    return NOON + timedelta(minutes=count)


def operation(action: Action, **fields: Any) -> Operation:
    known = {"rule": "a-rule", "customer_id": "7", "status": "subscribed", "values": VALUES, "inputs": "as-sent"}
    return Operation(**({"action": action, "address_key": "key", "address": "ann@clinic.test"} | known | fields))


def member(status: Status = "subscribed", **fields: Any) -> Member:
    return Member("key", "ann@clinic.test", status=status, **fields)


def result(planned: Action, became: Any = "done", **fields: Any) -> PushResult:
    rule = fields.pop("rule", "a-rule")
    return PushResult(operation(planned, rule=rule), became, **({"status": "subscribed"} | fields))


def shown(status: Status, contact_id: str = "") -> Observation:
    return Observation("ann@clinic.test", status, NOON, NOON, "sync", "told", contact_id=contact_id)


# ------------------------------------------------------------------------------------------------ what is sent


@pytest.mark.parametrize("action", ["add", "update"])
def test_data_go_with_a_status_for_new_members_only(action: Action) -> None:
    assert member_object(operation(action)) == {
        "email_address": "ann@clinic.test",
        "merge_fields": VALUES,
        "status_if_new": "subscribed",
    }


@pytest.mark.parametrize(("action", "status"), [("subscribe", "subscribed"), ("ask", "pending")])
def test_a_status_that_is_set_on_purpose_goes_as_one(action: Action, status: Status) -> None:
    sent = member_object(operation(action, status=status))
    assert sent == {"email_address": "ann@clinic.test", "merge_fields": VALUES, "status": status}


def test_an_opt_out_goes_bare_whatever_values_there_are() -> None:
    assert member_object(operation("unsubscribe")) == {"email_address": "ann@clinic.test", "status": "unsubscribed"}


def test_a_member_is_called_by_mailchimps_spelling_and_sent_no_values_where_there_are_none() -> None:
    sent = member_object(operation("add", spelling="ann@müller.test", values=None))
    assert (sent["email_address"], sent["merge_fields"]) == ("ann@müller.test", {})


@pytest.mark.parametrize("action", ACTIONS)
def test_an_update_leaves_the_status_and_an_archiving_hides_it(action: Action) -> None:
    foreseen = status_foreseen(operation(action, status="transactional"), member("pending"))
    assert foreseen == {"update": "pending", "archive": "archived"}.get(action, "transactional")


# -------------------------------------------------------------------------------- ours, or somebody else's word


@pytest.mark.parametrize("action", DATA)
def test_data_that_were_taken_are_sent_whatever_status_the_answer_shows(action: Action) -> None:
    one = result(action, status="unsubscribed")
    told = told_apart(one, shown("unsubscribed"), member("subscribed"))
    assert told == replace(one, status="subscribed", shown=shown("unsubscribed"))


@pytest.mark.parametrize("action", [action for action in ACTIONS if action not in DATA])
def test_a_status_set_on_purpose_that_is_not_there_any_more_is_decided_anew(action: Action) -> None:
    """Also for a restoring that Mailchimp did not carry out: it must not pass for done."""
    one = result(action, status="cleaned", contact_id="c1")
    told = told_apart(one, shown("cleaned"), member("subscribed"))
    assert told == PushResult(one.operation, "held", shown=shown("cleaned"))


@pytest.mark.parametrize("action", ACTIONS)
def test_what_was_not_done_is_told_with_what_the_answer_shows(action: Action) -> None:
    one = result(action, "refused", status="absent")
    assert told_apart(one, shown("cleaned"), member("subscribed")) == replace(one, shown=shown("cleaned"))


@pytest.mark.parametrize("action", ACTIONS)
def test_the_answer_that_was_expected_is_nobodys_word(action: Action) -> None:
    """The echo of what we set ourselves: whoever took it for an observation would have a no that nobody said."""
    known = member("subscribed", contact_id="c1")
    expected = status_foreseen(operation(action), known)
    assert expected is not None
    for contact in ("", "c1"):
        told = told_apart(result(action, status="absent"), shown(expected, contact), known)
        assert told == result(action, status=expected)
    refused = result(action, "refused", status="absent")
    assert told_apart(refused, shown(expected), known) == refused


@pytest.mark.parametrize("action", ACTIONS)
def test_another_contact_of_the_expected_status_is_told_but_for_one_we_add(action: Action) -> None:
    known = member("subscribed", contact_id="c1")
    expected = status_foreseen(operation(action), known)
    assert expected is not None
    told = told_apart(result(action), shown(expected, "c2"), known)
    assert told.shown == (None if action == "add" else shown(expected, "c2"))
    assert told_apart(result(action), shown(expected, "c2"), replace(known, contact_id="")).shown is None


def test_a_status_that_nobody_foresaw_keeps_what_mailchimp_made_of_it() -> None:
    one = PushResult(operation("add", status=None), "done", status="pending")
    assert told_apart(one, shown("pending"), member("absent")).status == "pending"


# --------------------------------------------------------------------------------------- what is known afterwards


def state_after(state: ConsentState, action: Action, became: Status, **fields: Any) -> ConsentState:
    return consent_state_after(state, operation(action, **fields), became, HERE, NOON)


def known(**fields: Any) -> ConsentState:
    before: dict[str, Any] = {"audience_id": HERE, "status": "transactional", "observed_at": minutes(-9)}
    return ConsentState(**(before | fields))


def test_the_moment_of_asking_is_kept() -> None:
    """By it alone a confirmation is known as the answer, and nobody is asked twice for one yes."""
    before = known(opt_out=OptOut(minutes(-60), "person"), archived_by_us=True)
    after = state_after(before, "ask", "pending", status="pending")
    assert after == replace(before, status="pending", observed_at=NOON, asked_at=NOON)


def test_of_another_audience_only_what_belongs_to_the_person_stays() -> None:
    no = OptOut(minutes(-60), "person")
    there = ConsentState(ELSEWHERE, "cleaned", minutes(-8), minutes(9), no, "pending", pre_existing=True, erased=True)
    after = state_after(there, "unsubscribe", "unsubscribed")
    assert after == ConsentState(HERE, "unsubscribed", observed_at=NOON, opt_out=no, erased=True)


def test_what_was_observed_while_the_call_ran_counts() -> None:
    assert state_after(known(observed_at=minutes(1)), "subscribe", "subscribed") == known(observed_at=minutes(1))
    assert state_after(known(observed_at=NOON), "subscribe", "subscribed").status == "subscribed"
    assert [is_newer(known(observed_at=at), NOON) for at in (None, minutes(-1), NOON, minutes(1))] == [
        *(False, False, False),
        True,
    ]


def test_archiving_keeps_what_the_member_was_the_first_time() -> None:
    after = state_after(known(), "archive", "archived", status="subscribed")
    assert (after.status, after.archived_by_us, after.before_archive) == ("archived", True, "subscribed")
    again = state_after(after, "archive", "archived", status="archived")
    assert (again.archived_by_us, again.before_archive) == (True, "subscribed")


@pytest.mark.parametrize("action", ["subscribe", "add"])
def test_a_yes_given_again_ends_the_no_that_the_plan_knew_and_no_other(action: Action) -> None:
    no = OptOut(minutes(-60), "pracbill")
    before = known(opt_out=no, archived_by_us=True, before_archive="unsubscribed")
    again = {"rule": "consent-given-again", "known_opt_out": no.at.isoformat()}
    ended = replace(before, status="subscribed", observed_at=NOON, archived_by_us=False)
    assert state_after(before, action, "subscribed", **again) == replace(ended, opt_out=None, no_seen_at=NOON)
    newer = replace(no, at=minutes(-5))
    assert state_after(replace(before, opt_out=newer), action, "subscribed", **again) == replace(ended, opt_out=newer)
    assert state_after(replace(before, opt_out=None), action, "subscribed", **again) == replace(ended, opt_out=None)


def test_a_no_that_mailchimp_showed_later_than_the_yes_stays_the_last_one_seen() -> None:
    no = OptOut(minutes(-60), "pracbill")
    again = {"rule": "consent-given-again", "known_opt_out": no.at.isoformat()}
    before = known(opt_out=no, no_seen_at=minutes(5))
    assert state_after(before, "subscribe", "subscribed", **again).no_seen_at == minutes(5)
    before = known(opt_out=no, no_seen_at=minutes(-5))
    assert state_after(before, "subscribe", "subscribed", **again).no_seen_at == NOON


def test_who_is_subscribed_again_was_not_archived_by_us_any_more_unless_they_still_are() -> None:
    away = known(status="archived", archived_by_us=True, before_archive="subscribed", opt_out=None)
    back = state_after(away, "subscribe", "subscribed")
    assert back == replace(away, status="subscribed", observed_at=NOON, archived_by_us=False, before_archive=None)
    still_away = state_after(away, "subscribe", "archived")
    assert still_away == replace(away, observed_at=NOON)


@pytest.mark.parametrize("action", ["add", "update", "rename", "unsubscribe"])
def test_other_operations_change_the_status_alone(action: Action) -> None:
    before = known(archived_by_us=True, before_archive="subscribed", opt_out=OptOut(NOON, "admin"))
    assert state_after(before, action, "unsubscribed") == replace(before, status="unsubscribed", observed_at=NOON)


# ------------------------------------------------------------------------------------- is it still right, or done


@pytest.mark.parametrize("action", ACTIONS)
def test_only_archiving_is_right_for_who_was_erased(action: Action) -> None:
    assert still_right(operation(action), member(erased=True)) is (action == "archive")


@pytest.mark.parametrize("action", ACTIONS)
def test_an_operation_is_right_while_the_no_is_the_one_that_the_plan_knew(action: Action) -> None:
    no = OptOut(NOON, "person")
    planned = operation(action, known_opt_out=no.at.isoformat())
    with_it, newer, without = member(opt_out=no), member(opt_out=replace(no, at=minutes(1))), member()
    right = [still_right(planned, one) for one in (with_it, newer, without)]
    assert right == {"archive": [True, True, True], "unsubscribe": [True, True, False]}.get(
        action, [True, False, False]
    )
    assert still_right(operation(action), without) is (action != "unsubscribe")
    assert still_right(operation(action), with_it) is (action in ("archive", "unsubscribe"))


@pytest.mark.parametrize("action", DATA)
def test_data_are_there_when_the_same_were_sent_and_the_member_is_there(action: Action) -> None:
    planned = operation(action, values_fingerprint="print")
    sent = member("subscribed", pushed_at=NOON, sent="print")
    assert already_done(planned, sent)
    assert not already_done(planned, replace(sent, sent="other"))
    assert not already_done(planned, replace(sent, status="absent"))
    assert not already_done(planned, replace(sent, status="archived"))


@pytest.mark.parametrize(
    ("action", "status"), [("subscribe", "subscribed"), ("ask", "pending"), ("unsubscribe", "unsubscribed")]
)
def test_a_status_is_there_when_it_is_known(action: Action, status: Status) -> None:
    planned = operation(action, status=status, values_fingerprint="print")
    assert already_done(planned, member(status, pushed_at=NOON))
    assert not already_done(planned, member("transactional", pushed_at=NOON, sent="print"))


@pytest.mark.parametrize("status", get_args(Status))
def test_who_is_archived_or_gone_needs_no_archiving(status: Status) -> None:
    done = already_done(operation("archive"), member(status, pushed_at=NOON))
    assert done is (status in ("archived", "absent"))


@pytest.mark.parametrize("action", ACTIONS)
def test_nothing_is_done_for_who_was_never_sent_or_was_refused(action: Action) -> None:
    planned = operation(action, values_fingerprint="print", status="unsubscribed")
    status: Status = "archived" if action == "archive" else "unsubscribed"
    there = member(status, pushed_at=NOON, sent="print")
    assert already_done(planned, there)
    assert not already_done(planned, replace(there, pushed_at=None))
    assert not already_done(planned, replace(there, refusal=kept_refusal()))


# ------------------------------------------------------------------------------------------------------ refusals


def kept_refusal(code: str = "invalid_email", attempts: int = 1, at: datetime = NOON, **fields: Any) -> PushRefusal:
    return PushRefusal(code, "Mailchimp's words", at, attempts, **({"inputs": "as-sent"} | fields))


def test_a_refusal_of_this_run_is_not_asked_for_again_when_the_chunk_comes_again() -> None:
    told = refused_already(
        operation("add"), member(refusal=kept_refusal("merge_field_invalid", field="PHONE")), minutes(-1)
    )
    assert told == refusal("merge_field_invalid", field="PHONE", words="Mailchimp's words")
    assert told is not None and "PHONE" in told.cause


@pytest.mark.parametrize(
    ("kept", "since"),
    [
        (None, minutes(-1)),
        (kept_refusal(), None),
        (kept_refusal(), minutes(1)),  # of an earlier run
        (kept_refusal(inputs="something else"), minutes(-1)),
    ],
)
def test_a_refusal_of_something_else_is_none(kept: PushRefusal | None, since: datetime | None) -> None:
    assert refused_already(operation("add"), member(refusal=kept), since) is None


def test_a_refusal_of_the_moment_at_which_sending_began_is_one_of_this_run() -> None:
    assert refused_already(operation("add"), member(refusal=kept_refusal()), NOON) is not None


@pytest.mark.parametrize(("action", "code"), [("unsubscribe", "no_answer"), ("add", "no_answer"), ("unsubscribe", "x")])
@pytest.mark.parametrize("attempts", [1, MOST_OPT_OUT_TRIES - 1, MOST_OPT_OUT_TRIES])
def test_only_an_opt_out_that_got_no_answer_is_tried_again_and_no_more_than_three_times(
    action: Action, code: str, attempts: int
) -> None:
    told = refused_already(operation(action), member(refusal=kept_refusal(code, attempts)), minutes(-1))
    is_tried = action == "unsubscribe" and code == "no_answer" and attempts < 3
    assert (told is None) is is_tried


@pytest.mark.parametrize(
    ("before", "attempts", "delay"),
    [
        (None, 1, timedelta(minutes=15)),
        (kept_refusal("no_answer", 1), 2, timedelta(hours=4)),
        (kept_refusal("no_answer", 3), 4, timedelta(days=7)),
        (kept_refusal("no_answer", 4), 5, None),
        (kept_refusal("unknown", 3), 1, timedelta(minutes=15)),
        (kept_refusal("no_answer", 3, inputs="edited since"), 1, timedelta(minutes=15)),
    ],
)
def test_the_same_refused_for_the_same_cause_waits_longer_each_time(
    before: PushRefusal | None, attempts: int, delay: timedelta | None
) -> None:
    met = refusal("no_answer", words="in vain")
    assert next_refusal(member(refusal=before), met, "as-sent", NOON) == PushRefusal(
        "no_answer", "in vain", NOON, attempts, "as-sent", NOON + delay if delay is not None else None
    )


def test_the_field_that_was_refused_is_kept_and_what_only_an_edit_mends_has_no_next_time() -> None:
    kept = next_refusal(member(), refusal("merge_field_invalid", field="PHONE"), "as-sent", NOON)
    assert (kept.field, kept.retry_at, kept.attempts) == ("PHONE", None, 1)


def test_a_refused_opt_out_alone_is_owed() -> None:
    for action in ACTIONS:
        assert result(action, "refused").is_owed is (action == "unsubscribe")
    for became in ("done", "held", "unsettled"):
        assert not result("unsubscribe", became).is_owed


@pytest.mark.parametrize(
    ("code", "field", "tag"),
    [
        ("merge_field_invalid", "PHONE", ""),  # sent empty: it cannot be what was refused
        ("merge_field_invalid", "FNAME", "FNAME"),
        ("merge_field_required", "FNAME", "FNAME"),
        ("merge_field_invalid", "LNAME", ""),  # not sent
        ("foreign_field_invalid", "FNAME", ""),
        ("invalid_email", "FNAME", ""),
    ],
)
def test_the_value_that_was_refused_is_known_where_it_was_sent(code: str, field: str, tag: str) -> None:
    met = refusal(code, field=field)
    assert refused_value(result("add", "refused", refusal=met)) == tag
    assert refused_value(result("add", "done", refusal=met)) == ""
    assert refused_value(result("add", "refused")) == ""
    assert refused_value(PushResult(operation("add", values=None), "refused", refusal=met)) == ""


def test_a_refused_value_may_be_named_in_mailchimps_words_alone() -> None:
    met = refusal("merge_field_invalid", words="FNAME is too strange")
    assert refused_value(result("update", "refused", refusal=met)) == "FNAME"


def test_what_the_plan_left_out_was_not_refused() -> None:
    codes: Any = ("value_refused", "state_missing", "cut", "us_phone", "field_unusable", "address_incomplete")
    left_out = [LeftOut("PHONE", code) for code in codes]
    assert refused_values(left_out) == tuple(left_out[:2])


# ---------------------------------------------------------------------------------------------- sorted by meaning


@pytest.mark.parametrize("action", ACTIONS)
def test_what_says_something_about_consent(action: Action) -> None:
    def is_news(one: PushResult) -> bool:
        return consent_news([one]) == [one]

    assert is_news(result(action)) is (action not in DATA)
    assert is_news(result(action, rule="consent-given-again"))
    for became in ("refused", "held", "unsettled"):
        assert not is_news(result(action, became, rule="consent-given-again"))
    for code in ("compliance_state", "previously_unsubscribed", "forgotten"):
        assert is_news(result(action, "refused", refusal=refusal(code)))
    assert not is_news(result(action, "refused", refusal=refusal("looks_fake")))


@pytest.mark.parametrize("action", ACTIONS)
def test_who_is_new_in_the_audience_with_the_status_we_asked_for(action: Action) -> None:
    one = result(action)
    assert (new_members([one]) == [one]) is (action in ("add", "rename"))
    others = (
        result(action, "held"),
        result(action, rule="consent-given-again"),
        result(action, shown=shown("subscribed")),
        result(action, status="transactional"),
    )
    assert new_members(others) == []


def test_a_member_goes_by_another_address_after_a_rename_that_was_one() -> None:
    assert renamed([result("rename", old="absent")]) == [result("rename", old="absent")]
    assert renamed([result("rename", old="archived"), result("rename"), result("add", old="absent")]) == []


def test_the_old_address_that_could_not_be_renamed_is_archived() -> None:
    planned = operation("rename", old_address_key="old", old_address="old@clinic.test")
    archived = left_archived(PushResult(planned, "done", status="subscribed", old="archived"))
    gone = Operation("archive", "old", "old@clinic.test", "a-rule", customer_id="7", status="subscribed")
    assert archived == PushResult(gone, "done", status="archived")
    assert left_archived(PushResult(planned, "done", old="absent")) is None
    assert left_archived(PushResult(planned, "done")) is None


def test_the_ledgers_time_is_the_same_in_a_repeat() -> None:
    """The entry's key is made of its time: a repeat by its own clock would be a second entry."""
    run = Run("d1", "run-1", "full", "manual", minutes(-9), apply_started_at=minutes(-5))
    one = result("subscribe", rule="yes-transactional")
    assert ledger_entry(run, one, "transactional", NOON) == LedgerEntry(
        at=minutes(-5),
        recorded_at=NOON,
        was="transactional",
        became="subscribed",
        who="this service",
        route="sync",
        rule="yes-transactional",
        evidence={"run": "run-1"},
    )
    assert ledger_entry(replace(run, apply_started_at=None), one, "transactional", NOON).at == NOON


# -------------------------------------------------------------------------------------------- what staff read of it


def record(**fields: Any) -> Record:
    told = {"action": "add", "outcome": "done", "code": "a-rule", "cause": "", "fix": ""} | fields
    return Record(key="key", customer_id="7", address="a…@clinic.test", at=NOON, **told)


def masked(one: PushResult) -> Record:
    told = record_of(one, NOON)
    assert "ann@" not in told.address and told.address.endswith("@clinic.test")
    return replace(told, address="a…@clinic.test")


def test_what_was_done_is_recorded_under_what_was_really_done() -> None:
    assert masked(result("add")) == record()
    assert masked(result("rename", action="add")) == record()


def test_a_refusal_is_recorded_with_mailchimps_words_and_the_way_out() -> None:
    met = refusal("looks_fake", words="No such thing")
    assert masked(result("add", "refused", refusal=met)) == record(
        outcome="refused", code="looks_fake", cause=met.told, fix=met.fix, params={"said": "No such thing"}
    )


def test_what_was_held_late_and_what_failed_have_words_of_their_own() -> None:
    for became, outcome, code in (("held", "held", "changed_meanwhile"), ("unsettled", "failed", "chunk_failed")):
        told = record(outcome=outcome, code=code, cause=HELD[code].cause, fix=HELD[code].fix)
        assert masked(result("add", became)) == told


def test_who_is_there_without_a_value_is_partly_sent() -> None:
    left_out = (LeftOut("PHONE", "us_phone"), LeftOut("FNAME", "cut"))
    told = masked(PushResult(operation("update", left_out=left_out), "done"))
    assert (told.outcome, told.code, told.action) == ("partly_sent", "us_phone", "update")
    assert told.cause.startswith("Partly sent: ") and "first name" in told.cause
    assert "Shorten the first name" in told.fix


def test_outcomes_are_counted_by_what_was_really_done() -> None:
    assert [counted_as(result("rename")), counted_as(result("rename", action="add"))] == ["rename", "add"]
    assert [counted_as(result("add", became)) for became in ("refused", "held", "unsettled")] == [
        *("refused", "held"),
        "lost",
    ]
