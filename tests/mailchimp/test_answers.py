"""Mailchimp's documents as values: every part is read from where Mailchimp puts it, and an odd one becomes empty."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import md5
from typing import Any

import pytest

from chalicelib.domain.audiences import MergeField
from chalicelib.domain.refusals import FAILING_CALL
from chalicelib.http_client.calls import FailedAlike
from chalicelib.http_client.retry import TransientError
from chalicelib.mailchimp.answers import (
    Account,
    Audience,
    Audiences,
    PushAnswer,
    RefusedMember,
    RemoteMember,
    Segment,
    Webhook,
    failed_member,
    id_of_spelling,
    objects,
    read_account,
    read_audience,
    read_audiences,
    read_member,
    read_merge_field,
    read_refused,
    read_segment,
    read_webhook,
    subscriber_hash,
    total_items,
)

# What no contract allows, and a gateway or a new version may send all the same.
ODD: tuple[Any, ...] = (None, [], {}, "odd", 7, True)


def test_an_account() -> None:
    document = {"account_id": "a1", "login_id": 17, "account_name": "North", "role": "owner"}
    assert read_account(document) == Account("a1", "North", "owner")
    assert read_account({}) == Account("", "", "")


AUDIENCE = {
    "id": "l1",
    "name": "Customers",
    "stats": {"member_count": 3, "unsubscribe_count": 4, "cleaned_count": 5, "total_contacts": 12},
    "double_optin": True,
    "marketing_permissions": True,
    "contact": {"company": "North Ltd"},
    "campaign_defaults": {"from_name": "Ann", "from_email": "ann@north.test", "language": "en"},
}


def test_an_audience() -> None:
    assert read_audience(AUDIENCE) == Audience("l1", "Customers", 3, True, True)
    assert read_audience({}) == Audience("", "", 0, False, False)
    for name in ("double_optin", "marketing_permissions"):
        assert getattr(read_audience({**AUDIENCE, name: "true"}), name) is False


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        (None, (True, None, 1)),  # nothing forbids it; creating tells
        ({"may_create": True, "max_instances": 3, "current_total_instances": 2}, (True, 3, 2)),
        ({"may_create": False, "max_instances": 0}, (False, 0, 1)),
        ({"may_create": None, "max_instances": -1, "current_total_instances": 0}, (True, None, 1)),
        ({"max_instances": "many"}, (True, None, 1)),
    ],
)
def test_how_many_audiences_there_may_be(constraints: Any, expected: tuple[bool, int | None, int]) -> None:
    read = read_audiences((AUDIENCE,), {"constraints": constraints})
    assert read == Audiences((read_audience(AUDIENCE),), *expected)


def test_a_merge_field() -> None:
    document = {
        "merge_id": 4,
        "tag": "PHONE",
        "name": "Phone Number",
        "type": "phone",
        "required": True,
        "options": {"phone_format": "US"},
    }
    assert read_merge_field(document) == MergeField(4, "PHONE", "phone", True, "US")
    assert read_merge_field({"required": 1}) == MergeField(0, "", "", False)


MEMBER = {
    "id": "m1",
    "contact_id": "c1",
    "email_address": "Ann@Clinic.test",
    "status": "unsubscribed",
    "last_changed": "2026-03-02T12:00:00+00:00",
    "unsubscribe_reason": "Not interested",
    "timestamp_opt": "2026-03-01T12:00:00+00:00",
    "merge_fields": {"FNAME": "Ann"},
}


def test_a_member() -> None:
    assert read_member(MEMBER) == RemoteMember(
        id="m1",
        contact_id="c1",
        address="ann@clinic.test",
        status="unsubscribed",
        last_changed=datetime(2026, 3, 2, 12, tzinfo=UTC),
        unsubscribe_reason="Not interested",
        timestamp_opt=datetime(2026, 3, 1, 12, tzinfo=UTC),
        merge_fields={"FNAME": "Ann"},
        spelling="",
    )


@pytest.mark.parametrize(
    ("written", "address", "spelling"),
    [
        ("Ann@MÜLLER.test", "ann@xn--mller-kva.test", "ann@müller.test"),
        ("ann@xn--mller-kva.test", "ann@xn--mller-kva.test", ""),
        ("Ann@clinic.test", "ann@clinic.test", ""),
        ("Änn@clinic.test", "änn@clinic.test", ""),
    ],
)
def test_mailchimps_spelling_is_kept_where_it_is_another(written: str, address: str, spelling: str) -> None:
    member = read_member({**MEMBER, "email_address": written})
    assert (member.address, member.spelling) == (address, spelling)


@pytest.mark.parametrize("word", [*ODD, "Subscribed", "something new"])
def test_a_status_that_nobody_knows_is_one_in_which_people_are_left_alone(word: Any) -> None:
    assert read_member({**MEMBER, "status": word}).status == "pending"


@pytest.mark.parametrize("odd", [one for one in ODD if one != "odd"])
def test_odd_parts_of_a_member_are_empty(odd: Any) -> None:
    assert read_member(dict.fromkeys(MEMBER, odd)) == RemoteMember("", "", "", "pending", None)


def test_a_text_where_something_else_belongs_is_nothing() -> None:
    read = read_member(dict.fromkeys(MEMBER, "odd"))
    assert (read.last_changed, read.timestamp_opt, read.merge_fields) == (None, None, {})


def test_half_characters_become_question_marks() -> None:
    """JSON can bring them, and no table can store them."""
    read = read_member({**MEMBER, "unsubscribe_reason": "broken \ud83d half, whole \u00fc"})
    assert read.unsubscribe_reason == "broken ? half, whole ü"


def test_a_refused_member() -> None:
    document = {
        "email_address": "Ann@Clinic.test",
        "error": "Odd",
        "error_code": "ERROR_GENERIC",
        "field": "PHONE",
        "field_message": "Wrong",
    }
    assert read_refused(document) == RefusedMember("ann@clinic.test", "Odd", "ERROR_GENERIC", "PHONE", "Wrong")


@pytest.mark.parametrize(("status", "text"), [(500, "HTTP 500"), (None, "")])
def test_a_member_for_whom_calls_fail(status: int | None, text: str) -> None:
    failed = FailedAlike("words for staff", TransientError(status, may_have_run=True))
    assert failed_member("ann@clinic.test", failed) == RefusedMember("ann@clinic.test", text, FAILING_CALL)


def test_a_segment() -> None:
    document = {"id": 5, "name": "VIP", "type": "static", "member_count": 2}
    assert read_segment(document) == Segment(5, "VIP", 2)
    assert read_segment({"id": "5"}) == Segment(0, "", 0)


def test_a_webhook() -> None:
    document = {
        "id": "h1",
        "url": "https://x.test",
        "signing_secret": "s",
        "events": {"subscribe": True, "cleaned": False, "odd": "true"},
        "sources": {"api": False, "user": True},
    }
    events, sources = {"subscribe": True, "cleaned": False, "odd": False}, {"api": False, "user": True}
    assert read_webhook(document) == Webhook("h1", "https://x.test", "s", events, sources)
    assert read_webhook({"signing_secret": ""}) == Webhook("", "", None, {}, {})


@pytest.mark.parametrize("odd", ODD)
def test_lists_hold_objects_and_totals_are_numbers(odd: Any) -> None:
    assert objects({"items": odd}, "items") == ()
    assert objects({"items": [odd, {"a": 1}]}, "items") == (({}, {"a": 1}) if odd == {} else ({"a": 1},))
    assert total_items({"total_items": odd}) == (odd if isinstance(odd, int) else None)


def test_answers_of_several_pushes_are_joined_part_by_part() -> None:
    member, refused = read_member(MEMBER), RefusedMember("x", "y")
    one = PushAnswer((member,), (), (refused,), ("a",), ("b",))
    other = PushAnswer((), (member,), (), ("c",), ("d",))
    assert one + other == PushAnswer((member,), (member,), (refused,), ("a", "c"), ("b", "d"))


def test_the_id_of_a_member_is_the_hash_of_its_address_as_we_compare_it() -> None:
    assert subscriber_hash(" Ann@MÜLLER.test ") == md5(b"ann@xn--mller-kva.test").hexdigest()
    assert id_of_spelling("ann@müller.test") == md5("ann@müller.test".encode()).hexdigest()
    assert len(id_of_spelling("broken \ud83d half")) == 32
