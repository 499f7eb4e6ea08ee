from __future__ import annotations

from typing import Any

import pytest

from chalicelib.http_client.calls import UncertainCreation
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.errors import AudienceGone, RequestRefused, SegmentGone, WholeCallRefused
from chalicelib.mailchimp.segments import SegmentChange
from tests.http_client.scripted import Reply, ScriptedServer, Waiting
from tests.mailchimp.test_audiences import paged

PATH = "/3.0/lists/list1/segments/7"
GONE = Reply(404, {"title": "Resource Not Found"})
NONE_OF_THEM = "None of the emails provided were subscribed to the list"


def segment(number: int, name: str = "Overdue") -> dict[str, Any]:
    return {"id": number, "name": name, "type": "static", "member_count": 3}


def none_of(*fields: str) -> Reply:
    errors = [{"field": name, "message": NONE_OF_THEM} for name in fields]
    return Reply(400, {"title": "Invalid Resource", "status": 400, "detail": NONE_OF_THEM, "errors": errors})


def people(*names: str) -> list[dict[str, Any]]:
    return [{"email_address": f"{name}@clinic.test", "status": "subscribed"} for name in names]


def test_all_static_segments_are_read(client: MailchimpClient, server: ScriptedServer) -> None:
    server.otherwise = paged("segments", [segment(n) for n in range(1500)])
    assert [s.id for s in client.static_segments("list1")] == list(range(1500))
    assert server.asked[0].query["type"] == "static"
    server.will(GONE)
    with pytest.raises(AudienceGone):
        client.static_segments("list1")


def test_a_segment_is_created_empty_and_not_twice(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(200, segment(7)), Reply(504))
    assert client.create_static_segment("list1", "Overdue").id == 7
    assert server.asked[0].json() == {"name": "Overdue", "static_segment": []}
    with pytest.raises(UncertainCreation):
        client.create_static_segment("list1", "Overdue")
    assert len(server.asked) == 2


def test_renaming_leaves_the_members_alone(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(200, segment(7, "Late")), GONE)
    assert client.rename_segment("list1", 7, "Late").name == "Late"
    assert (server.asked[0].method, server.asked[0].path) == ("PATCH", PATH)
    assert server.asked[0].json() == {"name": "Late"}
    with pytest.raises(SegmentGone):
        client.rename_segment("list1", 7, "Late")


def test_a_name_that_mailchimp_refuses_is_a_refused_request(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(400, {"title": "Bad Request", "errors": [{"field": "name", "message": "too odd"}]}))
    with pytest.raises(RequestRefused, match="name"):
        client.create_static_segment("list1", "odd")


def test_deleting_what_is_gone_is_fine(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(204), GONE)
    client.delete_segment("list1", 7)
    client.delete_segment("list1", 7)
    assert [asked.method for asked in server.asked] == ["DELETE", "DELETE"]


def test_every_address_of_a_change_is_accounted_for(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(
        Reply(
            200,
            {
                "members_added": people("Ann"),
                "members_removed": people("dan"),
                "errors": [
                    {
                        "email_addresses": ["BEA@clinic.test"],
                        "error": "Email addresses already exist in the static segment",
                    },
                    {
                        "email_addresses": ["eve@clinic.test"],
                        "error": "Email addresses do not exist in the static segment",
                    },
                    {"email_addresses": ["fay@clinic.test"], "error": "Something new"},
                ],
            },
        )
    )
    change = client.change_segment_members(
        "list1",
        7,
        add=["ann@clinic.test", "bea@clinic.test", "cid@clinic.test"],
        remove=["dan@clinic.test", "eve@clinic.test", "fay@clinic.test"],
    )
    assert server.asked[0].json() == {
        "members_to_add": ["ann@clinic.test", "bea@clinic.test", "cid@clinic.test"],
        "members_to_remove": ["dan@clinic.test", "eve@clinic.test", "fay@clinic.test"],
    }
    assert change == SegmentChange(
        added=("ann@clinic.test",),
        removed=("dan@clinic.test",),
        already_in=("bea@clinic.test",),
        already_out=("eve@clinic.test",),
        ignored=("cid@clinic.test",),
        errors=(("something new", ("fay@clinic.test",)),),
    )
    assert "clinic.test" not in repr(change)


def test_a_change_that_is_repeated_after_a_time_out_finds_them_there(
    client: MailchimpClient, server: ScriptedServer, waiting: Waiting
) -> None:
    error = {"email_addresses": ["ann@clinic.test"], "error": "Email addresses already exist in the static segment"}
    server.will(Reply(502, b"<html>"), Reply(200, {"members_added": [], "errors": [error]}))
    assert client.change_segment_members("list1", 7, add=["ann@clinic.test"]).already_in == ("ann@clinic.test",)
    assert len(waiting.slept) == 1


def test_addresses_that_are_not_in_the_audience_are_no_exception(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    server.will(none_of("members_to_add"))
    change = client.change_segment_members("list1", 7, add=["Ann@clinic.test"])
    assert change == SegmentChange(ignored=("ann@clinic.test",))


@pytest.mark.parametrize(
    ("field", "sent_again", "expected"),
    [
        (
            "members_to_add",
            {"members_to_add": [], "members_to_remove": ["dan@clinic.test"]},
            SegmentChange(removed=("dan@clinic.test",), ignored=("ann@clinic.test",)),
        ),
        (
            "members_to_remove",
            {"members_to_add": ["ann@clinic.test"], "members_to_remove": []},
            SegmentChange(added=("ann@clinic.test",), ignored=("dan@clinic.test",)),
        ),
    ],
)
def test_the_half_that_was_good_is_sent_again(
    client: MailchimpClient, server: ScriptedServer, field: str, sent_again: dict[str, Any], expected: SegmentChange
) -> None:
    answer = {
        "members_added": people(*["ann"] * bool(expected.added)),
        "members_removed": people(*["dan"] * bool(expected.removed)),
    }
    server.will(none_of(field), Reply(200, answer))
    change = client.change_segment_members("list1", 7, add=["ann@clinic.test"], remove=["dan@clinic.test"])
    assert server.asked[1].json() == sent_again
    assert change == expected


def test_when_both_halves_are_strangers_nothing_is_sent_again(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(none_of("members_to_add", "members_to_remove"))
    change = client.change_segment_members("list1", 7, add=["ann@clinic.test"], remove=["dan@clinic.test"])
    assert change.ignored == ("ann@clinic.test", "dan@clinic.test")
    server.will(none_of("members_to_add"), none_of("members_to_remove"))
    change = client.change_segment_members("list1", 7, add=["ann@clinic.test"], remove=["dan@clinic.test"])
    assert set(change.ignored) == {"ann@clinic.test", "dan@clinic.test"}
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    "reply",
    [GONE, Reply(400, {"detail": 'A Static Segment with an id of "7" does not exist for this list.'})],
)
def test_a_segment_that_is_gone_is_told_apart(client: MailchimpClient, server: ScriptedServer, reply: Reply) -> None:
    server.will(reply)
    with pytest.raises(SegmentGone):
        client.change_segment_members("list1", 7, add=["ann@clinic.test"])


def test_another_refusal_of_the_whole_call_is_told_as_one(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(400, {"title": "Invalid Resource", "detail": "no", "errors": []}))
    with pytest.raises(WholeCallRefused):
        client.change_segment_members("list1", 7, add=["ann@clinic.test"])


def test_changing_nobody_is_no_call_and_too_many_is_a_mistake(client: MailchimpClient, server: ScriptedServer) -> None:
    assert client.change_segment_members("list1", 7) == SegmentChange()
    with pytest.raises(ValueError, match="500"):
        client.change_segment_members("list1", 7, remove=["x@clinic.test"] * 501)
    assert server.asked == []


def test_who_is_in_a_segment_is_read_whatever_their_status(client: MailchimpClient, server: ScriptedServer) -> None:
    server.otherwise = paged("members", people(*(f"m{n}" for n in range(1200))))
    pages = list(client.segment_members("list1", 7))
    assert [len(page) for page in pages] == [1000, 200]
    query = server.asked[0].query
    assert (query["include_cleaned"], query["include_transactional"], query["include_unsubscribed"]) == ("true",) * 3
    server.will(GONE)
    with pytest.raises(SegmentGone):
        list(client.segment_members("list1", 7))
