from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.audiences import NewAudience
from chalicelib.domain.customers import Address
from chalicelib.errors import RefuseRequest
from chalicelib.http_client.calls import UncertainCreation
from chalicelib.mailchimp.answers import Account
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.errors import PlanLimitReached, RequestRefused
from tests.http_client.scripted import Asked, Reply, ScriptedServer
from tests.mailchimp.test_errors import FORBIDDEN

NEW = NewAudience(
    name="Clients",
    from_name="Clinic",
    from_email="hi@clinic.test",
    company="Clinic",
    address=Address("1 Road", "", "Town", "VIC", "3000", "AU"),
    language="en",
    permission_reminder="You are a client.",
)


def audience(number: int) -> dict[str, Any]:
    return {
        "id": f"list{number}",
        "name": f"Audience {number}",
        "stats": {"member_count": number, "unsubscribe_count": 2, "cleaned_count": 3},
        "campaign_defaults": {"from_name": "X", "from_email": "x@clinic.test", "language": "en"},
        "contact": {"company": "X"},
        "double_optin": True,
        "marketing_permissions": False,
    }


def paged(name: str, items: list[dict[str, Any]], **more: Any) -> Any:
    """A list as Mailchimp pages it: 10 unless asked for, at most 1000."""

    def answer(asked: Asked) -> Reply:
        count = min(int(asked.query.get("count", "10")), 1000)
        offset = int(asked.query.get("offset", "0"))
        return Reply(200, {name: items[offset : offset + count], "total_items": len(items), **more})

    return answer


def test_the_account_is_read(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(
        Reply(200, {"account_id": "0a1b", "login_id": 12345, "account_name": "Clinic", "role": "owner", "extra": {}})
    )
    assert client.account() == Account("0a1b", "Clinic", "owner")


def test_all_audiences_are_read_and_whether_another_may_be_made(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    limits = {"may_create": False, "max_instances": 5, "current_total_instances": 5}
    server.otherwise = paged("lists", [audience(n) for n in range(12)], constraints=limits)
    audiences = client.audiences()
    assert [item.id for item in audiences.items] == [f"list{n}" for n in range(12)]
    assert (audiences.may_create, audiences.max_instances, audiences.current) == (False, 5, 5)
    first = audiences.items[7]
    assert (first.member_count, first.double_optin) == (7, True)


def test_the_subscribed_are_counted_without_reading_them(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(200, {"total_items": 1234}))
    assert client.subscribed_count("list1") == 1234
    asked = server.asked[-1]
    assert (asked.path, asked.query["status"], asked.query["count"]) == ("/3.0/lists/list1/members", "subscribed", "1")


def test_minus_one_means_that_a_plan_sets_no_limit(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(200, {"lists": [], "total_items": 0, "constraints": {"may_create": True, "max_instances": -1}}))
    audiences = client.audiences()
    assert (audiences.may_create, audiences.max_instances, audiences.items) == (True, None, ())


def test_lists_longer_than_a_page_are_read_to_their_end(client: MailchimpClient, server: ScriptedServer) -> None:
    fields = [{"merge_id": n, "tag": f"M{n}", "name": "x", "type": "text", "required": n == 3} for n in range(2001)]
    server.otherwise = paged("merge_fields", fields)
    found = client.merge_fields("list1")
    assert [field.merge_id for field in found] == list(range(2001))
    assert [asked.query["offset"] for asked in server.asked] == ["0", "1000", "2000"]
    assert [field.tag for field in found if field.required] == ["M3"]


def test_one_audience_is_asked_for(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(200, audience(4)))
    assert client.audience("list4").member_count == 4
    assert (server.asked[0].path, server.asked[0].query) == ("/3.0/lists/list4", {})


def test_an_audience_is_created_with_what_mailchimp_requires(client: MailchimpClient, server: ScriptedServer) -> None:
    server.will(Reply(200, audience(1)))
    assert client.create_audience(NEW).id == "list1"
    body = server.asked[0].json()
    assert body["contact"] == {
        "company": "Clinic",
        "address1": "1 Road",
        "address2": "",
        "city": "Town",
        "state": "VIC",
        "zip": "3000",
        "country": "AU",
        "phone": "",
    }
    assert body["campaign_defaults"] == {
        "from_name": "Clinic",
        "from_email": "hi@clinic.test",
        "subject": "",
        "language": "en",
    }
    assert {"name", "permission_reminder", "email_type_option", "double_optin"} <= set(body)


def test_a_full_plan_refuses_the_request_instead_of_stopping_anything(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    server.will(FORBIDDEN)
    with pytest.raises(PlanLimitReached, match="existing audience") as raised:
        client.create_audience(NEW)
    assert isinstance(raised.value, RefuseRequest)
    assert raised.value.status == 409


def test_refused_fields_are_named_without_mailchimps_words(client: MailchimpClient, server: ScriptedServer) -> None:
    errors = [
        {"field": "campaign_defaults.from_email", "message": "hi@clinic.test is on a blocked domain"},
        {"field": "contact.zip", "message": "Required fields were not provided: zip"},
    ]
    server.will(Reply(400, {"title": "Invalid Resource", "status": 400, "detail": "hi@clinic.test", "errors": errors}))
    with pytest.raises(RequestRefused) as raised:
        client.create_audience(NEW)
    assert [(e.field, e.message) for e in raised.value.errors] == [
        ("campaign_defaults.from_email", "Mailchimp does not accept this value."),
        ("contact.zip", "Mailchimp needs a value here."),
    ]
    assert "hi@clinic.test" not in raised.value.message


@pytest.mark.parametrize(
    "make",
    [lambda c: c.create_audience(NEW), lambda c: c.create_merge_field("l", tag="COMPANY", name="Company", type="text")],
)
def test_a_creation_that_ran_into_a_time_out_is_not_made_twice(
    client: MailchimpClient, server: ScriptedServer, make: Any
) -> None:
    server.will(Reply(502, b"<html>"))
    with pytest.raises(UncertainCreation):
        make(client)
    assert len(server.asked) == 1


def test_the_tag_of_a_new_merge_field_is_the_one_mailchimp_gave(
    client: MailchimpClient, server: ScriptedServer
) -> None:
    answer = {"merge_id": 9, "tag": "COMPANYNAM", "name": "Company", "type": "text", "required": False}
    server.will(Reply(200, answer))
    field = client.create_merge_field("list1", tag="COMPANYNAME", name="Company", type="text")
    assert (field.tag, field.merge_id) == ("COMPANYNAM", 9)
    assert server.asked[0].json()["required"] is False


def test_formats_of_merge_fields_are_read(client: MailchimpClient, server: ScriptedServer) -> None:
    phone = {"merge_id": 4, "tag": "PHONE", "type": "phone", "options": {"phone_format": "US"}}
    server.will(Reply(200, {"merge_fields": [phone, "nonsense", None], "total_items": 1}))
    (field,) = client.merge_fields("list1")
    assert (field.phone_format, field.required) == ("US", False)
