"""What Mailchimp's problem documents become, read from the documents alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.errors import FieldError, KeyRejected, RefuseRequest, ServiceError
from chalicelib.http_client.calls import Answer
from chalicelib.http_client.retry import TransientError
from chalicelib.mailchimp.errors import (
    BLOCKED,
    AudienceGone,
    ItemError,
    NotPermitted,
    PlanLimitReached,
    Problem,
    RequestRefused,
    SegmentGone,
    UnexpectedAnswer,
    WebhookRefused,
    explain_fault,
    problem_of,
    raise_refusal,
    refused_request,
    refused_webhook,
    refused_whole,
    unreadable,
)


def answer(status: int, document: Any = None) -> Answer:
    return Answer(status, {}, b"" if document is None else json.dumps(document).encode())


def problem(*errors: tuple[str, str], status: int = 400, title: str = "", detail: str = "") -> Problem:
    return Problem(status, title, detail, errors)


def told(raised: RefuseRequest) -> tuple[int, str, str]:
    return raised.status, raised.title, raised.code


# ------------------------------------------------------------------------------------------------------- as it came


def test_a_problem_is_read_with_all_its_parts() -> None:
    errors = [{"field": "f", "message": "m"}, {"message": "n"}, "odd", {"field": 7, "message": None}]
    read = problem_of(answer(400, {"title": "T", "detail": "D", "errors": errors}))
    assert read == Problem(400, "T", "D", (("f", "m"), ("", "n"), ("", "")))
    assert read.words == "t d f m  n  "


@pytest.mark.parametrize("document", [None, [], "text", {}, {"title": 7, "detail": [], "errors": "odd"}])
def test_parts_that_are_missing_or_odd_are_empty(document: Any) -> None:
    assert problem_of(answer(502, document)) == Problem(502, "", "", ())


# ------------------------------------------------------------------------------------------------ what staff asked for


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("This field is REQUIRED", "Mailchimp needs a value here."),
        ("It must not be blank", "Mailchimp needs a value here."),
        ("Please enter a value", "Mailchimp needs a value here."),
        ("Please enter a number", "Mailchimp does not accept this value."),
    ],
)
def test_a_refused_request_names_its_fields_in_our_words(message: str, words: str) -> None:
    refused = refused_request(problem(("contact.zip", message), ("", "something")))
    assert refused.errors == (FieldError("contact.zip", words, "refused_by_mailchimp"),)
    assert refused.message == "Mailchimp does not accept: contact.zip."
    assert told(refused) == (422, "Refused by Mailchimp", "refused-by-mailchimp")


def test_a_refused_request_without_fields_says_what_is_known() -> None:
    refused = refused_request(problem(("", "something")))
    assert (refused.message, refused.errors) == ("Mailchimp does not accept what was sent.", ())
    assert RequestRefused("Odd.").errors == ()
    both = refused_request(problem(("a", "x"), ("b", "y")))
    assert both.message == "Mailchimp does not accept: a, b."


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("You can't set up MULTIPLE WEBHOOKS for one URL", "exists"),
        ("We couldn't verify the URL", "unreachable"),
        ("HTTP Code: 403", "unreachable"),
        ("Invalid URL", "invalid_url"),
        ("Something new", "other"),
    ],
)
def test_a_refused_webhook_says_why(message: str, reason: str) -> None:
    refused = refused_webhook(problem(("url", message)))
    assert refused.reason == reason
    assert told(refused) == (422, "Webhook refused", "webhook-refused")
    assert refused.message == WebhookRefused(reason).message
    others = {WebhookRefused(other).message for other in ("unreachable", "invalid_url", "exists", "other")}
    assert len(others) == 4


def test_a_full_plan_is_a_conflict() -> None:
    assert told(PlanLimitReached()) == (409, "No further audience", "plan-limit-reached")
    assert "Select an existing audience" in PlanLimitReached().message


def test_a_whole_call_refused_keeps_mailchimps_words_and_the_places() -> None:
    named = (("members.item:3.merge_fields", "odd"), ("members.item:12", "very"), ("status", "wrong"))
    refused = refused_whole(problem(*named, detail="See errors."))
    assert refused.detail == "See errors."
    assert refused.errors == (
        ItemError(3, "merge_fields", "odd"),
        ItemError(12, "", "very"),
        ItemError(None, "status", "wrong"),
    )


# ------------------------------------------------------------------------------------------------------ other refusals


def refusal_of(status: int, *, missing: Any = None, **document: str) -> ServiceError:
    with pytest.raises(ServiceError) as raised:
        raise_refusal(answer(status, document), missing=missing)
    return raised.value


@pytest.mark.parametrize(
    ("detail", "code"),
    [
        ("User Disabled", "account_deactivated"),
        ("It was DEACTIVATED", "account_deactivated"),
        ("suspended for now", "account_deactivated"),
        ("linked to datacenter us6", "wrong_data_centre"),
        ("linked to data center us6", "wrong_data_centre"),
    ],
)
def test_each_word_for_a_dead_key_is_understood(detail: str, code: str) -> None:
    for part in ("title", "detail"):
        refused = refusal_of(403, **{part: detail})
        assert isinstance(refused, KeyRejected) and refused.code == code


def test_refusals_by_status() -> None:
    rejected = refusal_of(401)
    assert isinstance(rejected, KeyRejected) and rejected.code == "key_rejected"
    assert isinstance(refusal_of(403, detail="no"), NotPermitted)
    gone = AudienceGone()
    assert refusal_of(404, missing=gone) is gone
    assert isinstance(refusal_of(404), UnexpectedAnswer)
    assert isinstance(refusal_of(400, missing=SegmentGone()), UnexpectedAnswer)
    assert "HTTP 418" in refusal_of(418).message


# ------------------------------------------------------------------------------------------------ faults that may pass


@pytest.mark.parametrize(
    ("status", "is_page", "start"),
    [
        (403, True, BLOCKED),
        (403, False, "Rate limit exceeded"),
        (429, False, "Rate limit exceeded"),
        (429, True, "Rate limit exceeded"),
        (200, False, "Mailchimp's answer could not be read"),
        (299, False, "Mailchimp's answer could not be read"),
        (300, False, "Mailchimp has an internal error at the moment (HTTP 300)"),
        (503, True, "Mailchimp has an internal error at the moment (HTTP 503)"),
        (None, False, "Mailchimp cannot be reached"),
    ],
)
def test_a_fault_is_explained_by_its_status(status: int | None, is_page: bool, start: str) -> None:
    assert explain_fault(TransientError(status, may_have_run=False, is_page=is_page)).startswith(start)


def test_an_answer_that_cannot_be_read_fails_alike_for_who_asks_again() -> None:
    failed = unreadable(207)
    assert failed.transient == TransientError(207, may_have_run=True)
    assert failed.message.startswith("Mailchimp's answer could not be read")
    assert unreadable().transient.status == 200
