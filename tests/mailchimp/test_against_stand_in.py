"""The client against the stand-in: two readings of Mailchimp's contract that must agree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.refusals import classify
from chalicelib.errors import KeyRejected, RetryLater
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.errors import (
    AudienceGone,
    NotPermitted,
    PlanLimitReached,
    SegmentGone,
    WebhookRefused,
    WholeCallRefused,
)
from chalicelib.mailchimp.keys import parse_api_key
from chalicelib.mailchimp.push import SPOILED_CALL
from infra.standins.mailchimp import Latency, MailchimpStandIn, Readings
from tests.http_client.scripted import Waiting
from tests.mailchimp.test_audiences import NEW

pytestmark = pytest.mark.server


class Clock:
    def __init__(self) -> None:
        self.seconds = datetime(2026, 1, 5, 10, 0, 0, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.seconds

    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def mailchimp(request: pytest.FixtureRequest, clock: Clock) -> Iterator[MailchimpStandIn]:
    readings = Readings(tie_order=getattr(request, "param", "stable"))
    with MailchimpStandIn(latency=Latency.none(), now=clock, readings=readings) as stand_in:
        yield stand_in


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture
def client(mailchimp: MailchimpStandIn, waiting: Waiting) -> MailchimpClient:
    return open_client(mailchimp, mailchimp.api_key, waiting)


@pytest.fixture
def audience(client: MailchimpClient) -> str:
    return client.create_audience(NEW).id


def open_client(mailchimp: MailchimpStandIn, key: str, waiting: Waiting) -> MailchimpClient:
    return MailchimpClient(
        parse_api_key(key),
        url_template=mailchimp.url,
        remaining=waiting.remaining,
        sleep=waiting.sleep,
        random=waiting.random,
    )


def people(count: int, *, start: int = 0, status: str = "subscribed") -> list[dict[str, object]]:
    return [
        {"email_address": f"m{n}@clinic.test", "status_if_new": status, "merge_fields": {"FNAME": f"M{n}"}}
        for n in range(start, start + count)
    ]


def read(client: MailchimpClient, audience: str, since: datetime | None, before: datetime | None = None) -> list[str]:
    pages = client.members_changed(audience, since=since, before=before)
    return [member.address for page in pages for member in page]


def test_account_and_audiences(client: MailchimpClient) -> None:
    account = client.account()
    assert account.account_name == "Example Practice" and account.account_id and account.role == "owner"
    created = [client.create_audience(NEW).id for _ in range(3)]
    with pytest.raises(PlanLimitReached):
        client.create_audience(NEW)
    audiences = client.audiences()
    assert {item.id for item in audiences.items} == set(created)
    assert (audiences.may_create, audiences.current) == (False, 3)
    assert client.audience(created[0]).name == NEW.name
    with pytest.raises(AudienceGone):
        client.audience("nowhere")


def test_keys_and_rights(mailchimp: MailchimpStandIn, client: MailchimpClient, waiting: Waiting) -> None:
    viewer = mailchimp.control.create_key(user_id="reader", role="viewer")["api_key"]
    with pytest.raises(NotPermitted):
        open_client(mailchimp, viewer, waiting).create_static_segment(
            mailchimp.control.create_audience()["audience_id"], "X"
        )
    elsewhere = mailchimp.api_key.replace("-us21", "-us6")
    with pytest.raises(KeyRejected) as raised:
        open_client(mailchimp, elsewhere, waiting).account()
    assert raised.value.code == "wrong_data_centre"
    mailchimp.control.deactivate_account()
    with pytest.raises(KeyRejected) as raised:
        client.account()
    assert raised.value.code == "account_deactivated"
    mailchimp.control.reactivate_account()
    mailchimp.control.revoke_key(mailchimp.api_key)
    with pytest.raises(KeyRejected) as raised:
        client.account()
    assert raised.value.code == "key_rejected"


def test_merge_fields(client: MailchimpClient, audience: str) -> None:
    made = client.create_merge_field(audience, tag="COMPANYNAME", name="Company", type="text")
    assert made.tag == "COMPANYNAM"
    tags = {field.tag: field.type for field in client.merge_fields(audience)}
    assert {"FNAME": "text", "ADDRESS": "address", "COMPANYNAM": "text"}.items() <= tags.items()


def test_a_push_answers_member_by_member(mailchimp: MailchimpStandIn, client: MailchimpClient, audience: str) -> None:
    first = client.push(audience, people(3))
    assert sorted(member.address for member in first.created) == [f"m{n}@clinic.test" for n in range(3)]
    mailchimp.control.unsubscribe("m1@clinic.test", audience_id=audience)
    mailchimp.control.throttle("slow@clinic.test", audience_id=audience)
    bad = ["foo@example.com", "slow@clinic.test", "a@b"]
    second = client.push(audience, [*people(3), *({"email_address": a, "status_if_new": "subscribed"} for a in bad)])
    assert {(m.address, m.status) for m in second.updated} == {
        ("m0@clinic.test", "subscribed"),
        ("m1@clinic.test", "unsubscribed"),
        ("m2@clinic.test", "subscribed"),
    }
    codes = {r.address: classify(r.text, r.code, r.field, r.field_message).code for r in second.refused}
    assert codes == {"foo@example.com": "looks_fake", "slow@clinic.test": "signup_throttle", "a@b": "invalid_email"}
    assert second.unsettled == ()


@pytest.mark.parametrize("wording", ["current", "older"])
def test_every_refusal_of_the_stand_in_is_known(wording: str, waiting: Waiting) -> None:
    with MailchimpStandIn(latency=Latency.none(), readings=Readings(wording=wording)) as mailchimp:
        client = open_client(mailchimp, mailchimp.api_key, waiting)
        audience = mailchimp.control.create_audience()["audience_id"]
        client.push(audience, people(4))
        mailchimp.control.unsubscribe("m0@clinic.test")
        mailchimp.control.bounce("m1@clinic.test")
        assert client.delete_permanently(audience, "m2@clinic.test").outcome == "done"
        client.create_merge_field(audience, tag="LTV", name="Value", type="number")
        wanted = [{"email_address": f"m{n}@clinic.test", "status": "subscribed"} for n in range(3)]
        broken = {"email_address": "m3@clinic.test", "merge_fields": {"LTV": "much"}}
        refused = client.push(audience, [*wanted, broken]).refused
        found = {r.address: classify(r.text, r.code, r.field, r.field_message, address=r.address) for r in refused}
        assert {address: refusal.code for address, refusal in found.items()} == {
            "m0@clinic.test": "compliance_state",
            "m1@clinic.test": "compliance_state",
            "m2@clinic.test": "forgotten",
            "m3@clinic.test": "foreign_field_invalid",
        }
        assert "LTV" in found["m3@clinic.test"].cause
        assert not any("clinic.test" in refusal.words for refusal in found.values())
        single = client.set_member_status(audience, "m0@clinic.test", "subscribed").refused
        assert single is not None
        assert classify(single.text, single.code, single.field, single.field_message).code == "compliance_state"


def test_a_required_field_of_somebody_else_keeps_nobody_out(
    mailchimp: MailchimpStandIn, client: MailchimpClient, audience: str
) -> None:
    field = client.create_merge_field(audience, tag="CLUB", name="Club", type="text")
    with mailchimp.world.lock:
        for known in mailchimp.world.audience(audience).merge_fields:
            known.required = known.required or known.merge_id == field.merge_id
    assert any(f.required for f in client.merge_fields(audience))
    assert len(client.push(audience, people(2)).created) == 2


def test_a_spoiled_call_goes_without_its_spoiler(client: MailchimpClient, audience: str) -> None:
    odd: dict[str, object] = {"email_address": "odd@clinic.test", "status": "frozen"}
    spoiled = [*people(40), odd, *people(40, start=40)]
    with pytest.raises(WholeCallRefused):
        client.push(audience, spoiled)
    answer = client.push_surely(audience, spoiled)
    assert [(r.address, r.code) for r in answer.refused] == [("odd@clinic.test", SPOILED_CALL)]
    assert len(answer.created) == 80


@pytest.mark.parametrize("mailchimp", ["stable", "shuffled"], indirect=True)
def test_the_feed_reads_bulk_writes_of_one_second_whole(client: MailchimpClient, audience: str, clock: Clock) -> None:
    for start in range(0, 2500, 500):
        client.push(audience, people(500, start=start))
    clock.seconds += 5
    client.push(audience, people(30, start=2500))
    assert sorted(read(client, audience, None)) == sorted(f"m{n}@clinic.test" for n in range(2530))
    assert len(read(client, audience, clock.moment())) == 30
    assert len(read(client, audience, None, clock.moment() - timedelta(seconds=1))) == 2500
    assert read(client, audience, clock.moment() + timedelta(days=1)) == []


def test_archived_members_are_asked_for_by_themselves(
    mailchimp: MailchimpStandIn, client: MailchimpClient, audience: str
) -> None:
    client.push(audience, people(3))
    assert client.archive_member(audience, "M1@clinic.test").outcome == "done"
    assert client.archive_member(audience, "m1@clinic.test").outcome == "done"
    assert client.archive_member(audience, "nobody@clinic.test").outcome == "absent"
    mailchimp.control.bounce("m2@clinic.test", audience_id=audience)
    bounced = client.archive_member(audience, "m2@clinic.test")
    assert bounced.outcome == "refused" and bounced.refused is not None
    assert classify(bounced.refused.text).code == "cannot_archive"
    pages = client.members_changed(audience, since=None, status="archived")
    assert [(m.address, m.status) for page in pages for m in page] == [("m1@clinic.test", "archived")]
    member = client.member(audience, "m1@clinic.test")
    assert member is not None and member.merge_fields["FNAME"] == "M1"


def test_renaming(mailchimp: MailchimpStandIn, client: MailchimpClient, audience: str) -> None:
    client.push(audience, people(3))
    before = client.member(audience, "m0@clinic.test")
    answer = client.rename_member(audience, "m0@clinic.test", "New@clinic.test", {"FNAME": "New"})
    assert answer.outcome == "done" and answer.member is not None and before is not None
    assert (answer.member.address, answer.member.contact_id) == ("new@clinic.test", before.contact_id)
    assert client.rename_member(audience, "m0@clinic.test", "other@clinic.test", {}).outcome == "absent"
    clash = client.rename_member(audience, "m1@clinic.test", "m2@clinic.test", {}).refused
    assert clash is not None and classify(clash.text, "", clash.field, clash.field_message).code == "rename_clash"
    mailchimp.control.admin_unsubscribe("m1@clinic.test", audience_id=audience)
    fixed = client.rename_member(audience, "m1@clinic.test", "free@clinic.test", {}).refused
    assert fixed is not None and classify(fixed.text, "", fixed.field, fixed.field_message).code == "cannot_rename"


def test_statuses(mailchimp: MailchimpStandIn, client: MailchimpClient, audience: str) -> None:
    client.push(audience, people(1))
    assert client.set_member_status(audience, "m0@clinic.test", "unsubscribed").outcome == "done"
    assert client.set_member_status(audience, "m0@clinic.test", "pending").outcome == "done"
    assert client.set_member_status(audience, "nobody@clinic.test", "pending").outcome == "absent"
    assert [m["status"] for m in mailchimp.control.members(audience_id=audience)] == ["pending"]


def test_segments(mailchimp: MailchimpStandIn, client: MailchimpClient, audience: str) -> None:
    client.push(audience, people(4))
    segment = client.create_static_segment(audience, "Overdue")
    assert [s.name for s in client.static_segments(audience)] == ["Overdue"]
    addresses = [f"m{n}@clinic.test" for n in range(3)]
    first = client.change_segment_members(audience, segment.id, add=[*addresses, "stranger@clinic.test"])
    assert sorted(first.added) == addresses and first.ignored == ("stranger@clinic.test",)
    second = client.change_segment_members(
        audience, segment.id, add=["m0@clinic.test", "m3@clinic.test"], remove=["m1@clinic.test"]
    )
    assert (second.added, second.already_in, second.removed) == (
        ("m3@clinic.test",),
        ("m0@clinic.test",),
        ("m1@clinic.test",),
    )
    strangers = client.change_segment_members(audience, segment.id, add=["x@y.test"], remove=["m2@clinic.test"])
    assert (strangers.ignored, strangers.removed) == (("x@y.test",), ("m2@clinic.test",))
    members = [m.address for page in client.segment_members(audience, segment.id) for m in page]
    assert sorted(members) == ["m0@clinic.test", "m3@clinic.test"]
    assert client.rename_segment(audience, segment.id, "Late").name == "Late"
    client.delete_segment(audience, segment.id)
    client.delete_segment(audience, segment.id)
    with pytest.raises(SegmentGone):
        client.change_segment_members(audience, segment.id, add=addresses)


def test_webhooks(client: MailchimpClient, audience: str) -> None:
    with pytest.raises(WebhookRefused) as raised:
        client.create_webhook(audience, "http://127.0.0.1:9/nobody-listens", events=["unsubscribe"])
    assert raised.value.reason == "unreachable"
    with pytest.raises(WebhookRefused) as raised:
        client.create_webhook(audience, "not a url", events=["unsubscribe"])
    assert raised.value.reason == "invalid_url"
    assert client.webhooks(audience) == ()
    client.delete_webhook(audience, "gone")


def test_faults_pass(mailchimp: MailchimpStandIn, client: MailchimpClient, audience: str, waiting: Waiting) -> None:
    for fault in (
        {"status": 429, "body": "empty"},
        {"status": 403, "body": "empty"},
        {"status": 502, "body": "html", "executes": True},
        {"kind": "drop"},
    ):
        mailchimp.control.inject_fault(**fault)
    answer = client.push(audience, people(2))
    assert len(answer.updated) == 2  # the call behind the 502 had been carried out
    assert len(waiting.slept) == 4
    mailchimp.control.inject_fault(status=500, times=5)
    with pytest.raises(RetryLater, match="HTTP 500"):
        client.account()


def test_members_with_ids_of_old_are_found_changed_and_archived(
    mailchimp: MailchimpStandIn, client: MailchimpClient, audience: str
) -> None:
    mailchimp.control.admin_import(
        [{"email_address": "Old.Ann@Clinic.test", "status": "subscribed", "old_id": True}], audience_id=audience
    )
    member = client.member(audience, "old.ann@clinic.test")
    assert member is not None and member.address == "old.ann@clinic.test"
    assert client.set_member_status(audience, "old.ann@clinic.test", "unsubscribed").outcome == "done"
    assert client.archive_member(audience, "old.ann@clinic.test").outcome == "done"
    assert [m["status"] for m in mailchimp.control.members(audience_id=audience)] == ["archived"]
