from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, cast

import pytest

from chalicelib.errors import RetryLater
from chalicelib.http_client.calls import Answer, Call, UncertainCreation
from chalicelib.mailchimp.api import MailchimpApi, bulk_read_seconds
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.errors import AudienceGone, RequestRefused, SegmentGone, UnexpectedAnswer, WholeCallRefused
from chalicelib.mailchimp.segments import SegmentCalls, SegmentChange
from tests.http_client.scripted import Asked, Reply, ScriptedServer, Waiting
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


def test_a_segment_is_looked_for_created_and_deleted_at_its_own_address(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    server.will(Reply(200, {"segments": [], "total_items": 0}), Reply(200, segment(7)), Reply(204), GONE)
    client.static_segments("list1")
    client.create_static_segment("list1", "Overdue")
    client.delete_segment("list1", 7)
    with pytest.raises(AudienceGone):
        client.create_static_segment("list1", "Overdue")
    assert [(asked.method, asked.path) for asked in server.asked] == [
        ("GET", "/3.0/lists/list1/segments"),
        ("POST", "/3.0/lists/list1/segments"),
        ("DELETE", PATH),
        ("POST", "/3.0/lists/list1/segments"),
    ]


def test_a_segment_that_could_not_be_deleted_is_not_taken_for_gone(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    server.will(Reply(400, {"title": "Bad Request", "detail": "not now"}))
    with pytest.raises(UnexpectedAnswer):
        client.delete_segment("list1", 7)


def test_who_is_in_a_segment_is_read_from_any_place_on_with_what_is_needed(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    server.otherwise = paged("members", people(*(f"m{n}" for n in range(1200))))
    pages = list(client.segment_members("list1", 7, start=1150))
    assert [member.address for page in pages for member in page] == [f"m{n}@clinic.test" for n in range(1150, 1200)]
    assert (server.asked[0].path, server.asked[0].query["offset"]) == (f"{PATH}/members", "1150")
    asked_for = set(server.asked[0].query["fields"].split(","))
    assert {"total_items", "members.email_address", "members.status", "members.last_changed"} <= asked_for


# ------------------------------------------------------------------------------------------- one change, in one call


def test_changes_add_up_field_by_field() -> None:
    names = [field.name for field in fields(SegmentChange)]
    each: Any = [
        {name: ((f"{name}{which}", ()),) if name == "errors" else (f"{name}{which}",) for name in names}
        for which in "12"
    ]
    one, other = (SegmentChange(**values) for values in each)
    total = one + other
    for name in names:
        assert getattr(total, name) == getattr(one, name) + getattr(other, name)
        assert len(getattr(total, name)) == 2


def test_five_hundred_each_way_go_in_one_call_and_one_more_in_none(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    server.will(Reply(200, {}))
    many = [f"m{n}@clinic.test" for n in range(501)]
    change = client.change_segment_members("list1", 7, add=many[:500], remove=many[:500])
    assert len(change.ignored) == 1000
    for add, remove in ((many, []), ([], many)):
        with pytest.raises(ValueError, match="500"):
            client.change_segment_members("list1", 7, add=add, remove=remove)
    assert len(server.asked) == 1


class Calls:
    """In the place of the calls of one key: what is sent is kept, and each is answered alike."""

    def __init__(self, status: int = 200, document: Any = None) -> None:
        self.made: list[Call] = []
        self._answer = Answer(status, {}, json.dumps(document if document is not None else {}).encode())

    def send(self, call: Call) -> Answer:
        self.made.append(call)
        return self._answer


@pytest.mark.parametrize("tries", [None, 1, 3])
def test_a_change_waits_longer_the_more_members_it_has_and_may_be_divided(tries: int | None) -> None:
    calls = Calls()
    segments = SegmentCalls(cast(MailchimpApi, calls))
    segments.change_segment_members("list1", 7, add=["a@b.test"] * 40, remove=["c@d.test"] * 10, tries=tries)
    (call,) = calls.made
    assert (call.tries, call.divisible, call.creates) == (tries, True, False)
    assert call.read_seconds == bulk_read_seconds(50) > bulk_read_seconds(40)


def test_the_other_half_is_tried_no_oftener() -> None:
    calls = Calls(400, json.loads(none_of("members_to_add").raw()))
    segments = SegmentCalls(cast(MailchimpApi, calls))
    segments.change_segment_members("list1", 7, add=["a@b.test"], remove=["c@d.test"], tries=1)
    assert [call.tries for call in calls.made] == [1, 1]


def answered(**document: Any) -> SegmentChange:
    """How a success that says this is read."""
    calls = SegmentCalls(cast(MailchimpApi, Calls(document=document)))
    return calls.change_segment_members("list1", 7, add=["Ann@clinic.test"], remove=["Bob@clinic.test"])


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([{"error": "Odd", "email_addresses": ["ANN@clinic.test", 5, None]}], (("odd", ("ann@clinic.test",)),)),
        ([{"error": "Odd", "email_addresses": "ann@clinic.test"}], (("odd", ()),)),
        ([{"error": "Odd"}], (("odd", ()),)),
        ([{"error": 5, "email_addresses": ["ann@clinic.test"]}], (("", ("ann@clinic.test",)),)),
        ([{"email_addresses": ["ann@clinic.test"]}], (("", ("ann@clinic.test",)),)),
        (["odd", None], ()),
        ("odd", ()),
        (None, ()),
    ],
)
def test_reasons_of_any_shape_lose_nobody(errors: Any, expected: Any) -> None:
    change = answered(errors=errors)
    assert change.errors == expected
    named = {address for _, group in expected for address in group}
    assert set(change.ignored) | named == {"ann@clinic.test", "bob@clinic.test"}


def test_an_address_that_mailchimp_speaks_of_is_not_ignored() -> None:
    change = answered(
        errors=[
            {"error": "email addresses already exist in it", "email_addresses": ["ann@clinic.test"]},
            {"error": "email addresses do not exist in it", "email_addresses": ["bob@clinic.test"]},
        ]
    )
    assert change == SegmentChange(already_in=("ann@clinic.test",), already_out=("bob@clinic.test",))


def test_what_became_of_the_good_half_is_kept_whole(client: MailchimpClient, server: ScriptedServer) -> None:
    """Whatever was said of it beside who was passed over in the other half."""
    said = {
        "members_added": people("ann"),
        "errors": [
            {"error": "already exist", "email_addresses": ["bea@clinic.test"]},
            {"error": "something new", "email_addresses": ["cid@clinic.test"]},
        ],
    }
    server.will(none_of("members_to_remove"), Reply(200, said))
    names = ["ann@clinic.test", "bea@clinic.test", "cid@clinic.test", "dot@clinic.test"]
    assert client.change_segment_members("list1", 7, add=names, remove=["eve@clinic.test"]) == SegmentChange(
        added=("ann@clinic.test",),
        already_in=("bea@clinic.test",),
        ignored=("dot@clinic.test", "eve@clinic.test"),
        errors=(("something new", ("cid@clinic.test",)),),
    )
    said = {"members_removed": people("ann"), "errors": [{"error": "do not exist", "email_addresses": [names[1]]}]}
    server.will(none_of("members_to_add"), Reply(200, said))
    change = client.change_segment_members("list1", 7, add=["eve@clinic.test"], remove=names[:2])
    assert (change.removed, change.already_out) == (("ann@clinic.test",), ("bea@clinic.test",))


# ---------------------------------------------------------------------------------- one change, in as many as it needs

ADDED = [f"m{n}@clinic.test" for n in range(16)]
REMOVED = [f"x{n}@clinic.test" for n in range(16)]


def sent(asked: Asked) -> tuple[list[str], list[str]]:
    body = asked.json()
    return body["members_to_add"], body["members_to_remove"]


def changed(asked: Asked) -> Reply:
    """Mailchimp takes the call as it is."""
    added, removed = sent(asked)
    return Reply(200, {"members_added": as_members(added), "members_removed": as_members(removed)})


def as_members(addresses: Sequence[str]) -> list[dict[str, str]]:
    return [{"email_address": address} for address in addresses]


def changes(server: ScriptedServer) -> list[tuple[int, int]]:
    """How many were to be added, and removed, in each call of a change."""
    return [(len(added), len(removed)) for added, removed in map(sent, posts(server))]


def posts(server: ScriptedServer) -> list[Asked]:
    return [asked for asked in server.asked if asked.method == "POST"]


def failing_for(*culprits: str, status: int = 500) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        if asked.method == "GET":
            return Reply(200, {"health_status": "ok"})
        fails = any(address in [*sent(asked)[0], *sent(asked)[1]] for address in culprits)
        return Reply(status, {"title": "Bad", "detail": "no"}) if fails else changed(asked)

    return answer


def test_a_change_that_goes_through_is_one_call(client: MailchimpClient, server: ScriptedServer) -> None:
    server.otherwise = changed
    change = client.change_segment_surely("list1", 7, add=ADDED, remove=REMOVED)
    assert change == SegmentChange(added=tuple(ADDED), removed=tuple(REMOVED))
    assert [(asked.path, *sent(asked)) for asked in server.asked] == [(PATH, ADDED, REMOVED)]
    assert client.change_segment_surely("list1", 7) == SegmentChange()
    assert client.change_segment_surely("list1", 7, add=ADDED[:1]).added == (ADDED[0],)
    assert client.change_segment_surely("list1", 7, remove=REMOVED[:1]).removed == (REMOVED[0],)
    assert changes(server) == [(16, 16), (1, 0), (0, 1)]


@pytest.mark.parametrize("culprit", [ADDED[5], REMOVED[0], REMOVED[15]])
def test_who_makes_the_call_fail_is_left_out_and_the_others_go(
    client: MailchimpClient, server: ScriptedServer, culprit: str
) -> None:
    server.otherwise = failing_for(culprit)
    change = client.change_segment_surely("list1", 7, add=ADDED, remove=REMOVED)
    assert change.failed == (culprit,)
    assert sorted(change.added) == sorted(set(ADDED) - {culprit})
    assert sorted(change.removed) == sorted(set(REMOVED) - {culprit})
    assert change.untried == ()


def test_where_the_whole_fails_who_loses_the_tag_goes_first_and_apart(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    server.otherwise = failing_for(ADDED[0], status=400)
    change = client.change_segment_surely("list1", 7, add=ADDED[:2], remove=REMOVED[:1])
    assert changes(server) == [(2, 1), (0, 1), (2, 0), (1, 0), (1, 0)]
    assert (change.removed, change.added) == ((REMOVED[0],), (ADDED[1],))


def test_a_part_of_a_call_that_fails_is_tried_once_and_whom_it_leaves_alone_once_more(
    client: MailchimpClient, server: ScriptedServer, waiting: Waiting
) -> None:
    server.otherwise = failing_for(ADDED[0])
    client.change_segment_surely("list1", 7, add=ADDED[:2])
    assert changes(server) == [(2, 0)] * 5 + [(1, 0)] * 3
    assert len(waiting.slept) == 4  # between the tries of the whole


@pytest.mark.parametrize("calls", [1, 2])
def test_without_time_for_another_call_the_rest_of_a_change_is_left_untried(
    client: MailchimpClient, server: ScriptedServer, calls: int
) -> None:
    server.otherwise = failing_for(ADDED[0], status=400)
    change = client.change_segment_surely(
        "list1", 7, add=ADDED, remove=REMOVED, go_on=lambda: len(server.asked) < 1 + calls
    )
    assert changes(server) == [(16, 16), (0, 16), (16, 0)][: 1 + calls]
    assert (change.removed, change.added, change.failed) == (tuple(REMOVED), (), ())
    assert sorted(change.untried) == sorted(ADDED)


def test_a_change_of_which_nothing_goes_through_raises_why(client: MailchimpClient, server: ScriptedServer) -> None:
    server.otherwise = failing_for(*ADDED, status=400)
    with pytest.raises(WholeCallRefused):
        client.change_segment_surely("list1", 7, add=ADDED[:3])
    server.otherwise = lambda asked: GONE
    with pytest.raises(SegmentGone):
        client.change_segment_surely("list1", 7, add=ADDED[:3])


def test_an_outage_blames_nobody(client: MailchimpClient, server: ScriptedServer) -> None:
    server.otherwise = lambda asked: Reply(500, {"title": "Bad"})
    with pytest.raises(RetryLater):
        client.change_segment_surely("list1", 7, add=["Ann@clinic.test"])


def test_an_address_that_fails_is_told_in_small_letters(client: MailchimpClient, server: ScriptedServer) -> None:
    server.otherwise = failing_for("Ann@clinic.test")
    change = client.change_segment_surely("list1", 7, add=["Ann@clinic.test", "bob@clinic.test"])
    assert (change.failed, change.added) == (("ann@clinic.test",), ("bob@clinic.test",))
