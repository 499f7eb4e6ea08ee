from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.errors import RetryLater
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.dividing import MOST_CALLS_IN_VAIN
from chalicelib.mailchimp.errors import AudienceGone, WholeCallRefused
from chalicelib.mailchimp.push import SPOILED_CALL
from tests.http_client.scripted import Asked, Reply, ScriptedServer, Waiting

NOT_VALIDATED = "The resource submitted could not be validated. For field-specific details, see the 'errors' array."


def member(number: int, **more: Any) -> dict[str, Any]:
    return {"email_address": f"m{number}@clinic.test", "status_if_new": "subscribed", **more}


def answered(asked: Asked) -> Reply:
    """All members are new, as far as Mailchimp is concerned."""
    made = [{"email_address": m["email_address"].upper(), "status": "subscribed"} for m in asked.json()["members"]]
    return Reply(200, {"new_members": made, "updated_members": [], "errors": []})


def refusing_whole(is_bad: Callable[[dict[str, Any]], bool], *, named: bool) -> Callable[[Asked], Reply]:
    """Refuses every call that holds a bad member; names its place or not."""

    def answer(asked: Asked) -> Reply:
        bad = [index for index, item in enumerate(asked.json()["members"]) if is_bad(item)]
        if not bad:
            return answered(asked)
        errors = (
            [{"field": f"members.item:{index}.status", "message": "not accepted"} for index in bad] if named else []
        )
        body = {"title": "Invalid Resource", "status": 400, "detail": NOT_VALIDATED, "errors": errors}
        return Reply(400, body)

    return answer


def test_a_push_is_one_call_that_updates_existing_members(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(
        Reply(
            200,
            {
                "new_members": [{"email_address": "M1@clinic.test", "status": "subscribed", "contact_id": "c1"}],
                "updated_members": [{"email_address": "m2@clinic.test", "status": "unsubscribed"}],
                "errors": [
                    {
                        "email_address": "M3@clinic.test",
                        "error": "m3@clinic.test looks fake or invalid, please enter a real email address.",
                        "error_code": "ERROR_GENERIC",
                    }
                ],
            },
        )
    )
    answer = client.push("list1", [member(1), member(2), member(3), member(4)])
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/3.0/lists/list1")
    assert asked.query == {"skip_merge_validation": "true"}
    assert {k: v for k, v in asked.json().items() if k != "members"} == {"update_existing": True, "sync_tags": False}
    assert [m.address for m in answer.created] == ["m1@clinic.test"]
    assert [(m.address, m.status) for m in answer.updated] == [("m2@clinic.test", "unsubscribed")]
    assert [(m.address, m.code) for m in answer.refused] == [("m3@clinic.test", "ERROR_GENERIC")]
    assert answer.unsettled == ("m4@clinic.test",)


def test_refusals_of_merge_fields_name_the_field(client: MailchimpClient, server: ScriptedServer) -> None:
    error = {
        "email_address": "m1@clinic.test",
        "error": "Your merge fields were invalid.",
        "error_code": "ERROR_GENERIC",
        "field": "LTV",
        "field_message": "Please enter a number",
    }
    server.will(Reply(200, {"errors": [error]}))
    (refused,) = client.push("list1", [member(1)]).refused
    assert (refused.field, refused.field_message) == ("LTV", "Please enter a number")


def test_values_do_not_show_addresses(client: MailchimpClient, server: ScriptedServer) -> None:
    server.otherwise = answered
    assert "m1@clinic.test" not in repr(client.push("list1", [member(1)])).lower()


def test_pushing_nobody_is_no_call_and_too_many_is_a_mistake(client: MailchimpClient, server: ScriptedServer) -> None:
    assert client.push("list1", []).created == ()
    assert client.push_surely("list1", []).created == ()
    with pytest.raises(ValueError, match="500"):
        client.push("list1", [member(n) for n in range(501)])
    assert server.asked == []


def test_a_push_is_repeated_after_a_time_out(client: MailchimpClient, server: ScriptedServer, waiting: Waiting) -> None:
    server.will(Reply(502, b"<html>"))
    server.otherwise = answered
    assert len(client.push("list1", [member(1)]).created) == 1
    assert len(waiting.slept) == 1


def test_a_push_to_a_deleted_audience_says_so(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(404, {"title": "Resource Not Found"}))
    with pytest.raises(AudienceGone):
        client.push("list1", [member(1)])


def test_a_call_refused_as_a_whole_tells_the_places(client: MailchimpClient, server: ScriptedServer) -> None:
    errors = [
        {"field": "members.item:2.status", "message": "Data presented is not one of the accepted values"},
        {"field": "", "message": "something else"},
        {"field": "members.item:11", "message": "odd"},
    ]
    server.will(Reply(400, {"title": "Invalid Resource", "detail": NOT_VALIDATED, "errors": errors}))
    with pytest.raises(WholeCallRefused) as raised:
        client.push("list1", [member(1)])
    assert [(e.index, e.field) for e in raised.value.errors] == [(2, "status"), (None, ""), (11, "")]
    assert raised.value.detail == NOT_VALIDATED


def test_named_spoilers_are_taken_out_and_the_others_go(client: MailchimpClient, server: ScriptedServer) -> None:
    server.otherwise = refusing_whole(lambda m: "bad" in m, named=True)
    members = [member(n, **({"bad": 1} if n in (3, 77) else {})) for n in range(100)]
    answer = client.push_surely("list1", members)
    assert {(r.address, r.code) for r in answer.refused} == {
        ("m3@clinic.test", SPOILED_CALL),
        ("m77@clinic.test", SPOILED_CALL),
    }
    assert {r.field for r in answer.refused} == {"status"}
    assert len(answer.created) == 98
    assert answer.unsettled == ()
    assert len(server.asked) == 2


def test_unnamed_spoilers_are_found_by_halving(client: MailchimpClient, server: ScriptedServer) -> None:
    server.otherwise = refusing_whole(lambda m: "bad" in m, named=False)
    members = [member(n, **({"bad": 1} if n in (0, 499) else {})) for n in range(500)]
    answer = client.push_surely("list1", members)
    assert {r.address for r in answer.refused} == {"m0@clinic.test", "m499@clinic.test"}
    assert len(answer.created) == 498
    assert answer.unsettled == ()
    assert len(server.asked) <= 40


def test_members_that_spoil_only_together_all_go(client: MailchimpClient, server: ScriptedServer) -> None:
    """Two spellings that Mailchimp takes for one address."""

    def answer(asked: Asked) -> Reply:
        twins = [m for m in asked.json()["members"] if "twin" in m]
        return Reply(400, {"detail": "duplicate"}) if len(twins) > 1 else answered(asked)

    server.otherwise = answer
    members = [member(n, **({"twin": 1} if n in (10, 12) else {})) for n in range(16)]
    result = client.push_surely("list1", members)
    assert len(result.created) == 16
    assert result.refused == ()


def test_however_many_spoil_the_call_the_others_go(client: MailchimpClient, server: ScriptedServer) -> None:
    server.otherwise = refusing_whole(lambda m: "bad" in m, named=False)
    members = [member(n, **({"bad": 1} if n % 16 == 5 else {})) for n in range(500)]
    answer = client.push_surely("list1", members)
    assert {r.address for r in answer.refused} == {f"m{n}@clinic.test" for n in range(5, 500, 16)}
    assert len(answer.created) == 500 - len(answer.refused)
    assert (answer.unsettled, answer.untried) == ((), ())


def test_spoilers_that_are_named_one_a_call_do_not_stop_the_others(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    everybody = refusing_whole(lambda m: "bad" in m, named=True)

    def first_only(asked: Asked) -> Reply:
        reply = everybody(asked)
        if reply.status == 400 and isinstance(reply.body, dict):
            reply.body["errors"] = reply.body["errors"][:1]
        return reply

    server.otherwise = first_only
    members = [member(n, **({"bad": 1} if n % 2 else {})) for n in range(100)]
    answer = client.push_surely("list1", members)
    assert (len(answer.created), len(answer.refused), answer.unsettled) == (50, 50, ())


def test_without_time_for_another_call_the_rest_is_left_untried(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    server.otherwise = refusing_whole(lambda m: "bad" in m, named=False)
    members = [member(n, **({"bad": 1} if n == 0 else {})) for n in range(8)]
    answer = client.push_surely("list1", members, go_on=lambda: len(server.asked) < 4)
    assert [r.address for r in answer.refused] == ["m0@clinic.test"]
    assert sorted(answer.untried) == [f"m{n}@clinic.test" for n in range(1, 8)]
    assert answer.unsettled == ()


@pytest.mark.parametrize("bad", ["status_if_new", "status"])
def test_opt_outs_go_first_and_in_a_call_of_their_own_where_the_whole_fails(
    client: MailchimpClient, server: ScriptedServer, bad: str
) -> None:
    """Whatever is wrong with others, and however little time is left: a no must not wait for them."""
    leaving = [{"email_address": f"no{n}@clinic.test", "status": "unsubscribed"} for n in range(2)]
    server.otherwise = refusing_whole(lambda m: "bad" in m, named=False)
    others = [member(n, **({"bad": 1} if n == 1 else {})) for n in range(4)]
    client.push_surely("list1", [*others, *leaving], go_on=lambda: len(server.asked) < 2)
    first, second = ([m["email_address"] for m in asked.json()["members"]] for asked in server.asked)
    assert first[:2] == second == ["no0@clinic.test", "no1@clinic.test"]


def test_a_spoiler_that_was_found_alone_carries_mailchimps_words(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    server.otherwise = refusing_whole(lambda m: "bad" in m, named=False)
    (refused,) = client.push_surely("list1", [member(1, bad=1), member(2)]).refused
    assert (refused.address, refused.text, refused.code) == ("m1@clinic.test", NOT_VALIDATED, SPOILED_CALL)
    assert (refused.field, refused.field_message) == ("", "")
    server.otherwise = refusing_whole(lambda m: "bad" in m, named=True)
    (refused,) = client.push_surely("list1", [member(1, bad=1), member(2)]).refused
    assert (refused.field, refused.field_message) == ("status", "not accepted")


def test_a_member_for_whom_mailchimp_does_not_answer_is_told_as_such(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    everybody = answered

    def failing(asked: Asked) -> Reply:
        if asked.method != "POST":
            return Reply(200, {"health_status": "Everything's Chimpy!"})
        broken = any("bad" in one for one in asked.json()["members"])
        return Reply(500) if broken else everybody(asked)

    server.otherwise = failing
    answer = client.push_surely("list1", [member(1, bad=1), member(2), member(3)])
    assert [(one.address, one.text, one.code) for one in answer.refused] == [
        ("m1@clinic.test", "HTTP 500", "FAILING_CALL")
    ]
    assert sorted(one.address for one in answer.created) == ["m2@clinic.test", "m3@clinic.test"]


def test_a_late_push_makes_its_first_call_anyway(client: MailchimpClient, server: ScriptedServer) -> None:
    """A chunk that begins with little time left would otherwise come back again and again, and nobody be sent."""
    server.otherwise = answered
    answer = client.push_surely("list1", [member(1), member(2)], go_on=lambda: False)
    assert (len(answer.created), answer.untried) == (2, ())


def test_a_fault_in_the_midst_keeps_what_was_settled(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(
        Reply(400, {"detail": "odd"}),
        Reply(200, {"new_members": [{"email_address": "m0@clinic.test", "status": "subscribed"}]}),
    )
    server.otherwise = lambda asked: Reply(503)
    answer = client.push_surely("list1", [member(0), member(1)])
    assert [m.address for m in answer.created] == ["m0@clinic.test"]
    assert answer.untried == ("m1@clinic.test",)
    with pytest.raises(RetryLater):
        client.push_surely("list1", [member(1)])


def test_where_mailchimp_refuses_everything_the_rest_is_left_unsettled(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    server.otherwise = refusing_whole(lambda m: True, named=False)
    answer = client.push_surely("list1", [member(n) for n in range(500)])
    assert len(server.asked) == MOST_CALLS_IN_VAIN
    told = {r.address for r in answer.refused} | set(answer.unsettled)
    assert told == {f"m{n}@clinic.test" for n in range(500)}
    assert len(answer.refused) + len(answer.unsettled) == 500


def test_places_beyond_the_call_are_not_believed(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(400, {"detail": "odd", "errors": [{"field": "members.item:9.status", "message": "no"}]}))
    server.otherwise = answered
    answer = client.push_surely("list1", [member(1), member(2)])
    assert len(answer.created) == 2
    assert answer.refused == ()


def test_a_person_whose_data_cannot_be_written_as_utf8_spoils_no_others(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    server.otherwise = answered
    members = [member(1, merge_fields={"FNAME": "broken \ud83d half"}), member(2)]
    assert len(client.push_surely("list1", members).created) == 2
