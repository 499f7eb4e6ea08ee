"""The switches of the open questions do what they say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from infra.standins.mailchimp import Latency, MailchimpStandIn, Readings

from .conftest import Home, settle

ANN = "ann@clinic.test"


@contextmanager
def reading(**switches: Any) -> Iterator[Home]:
    with MailchimpStandIn(latency=Latency.none(), readings=Readings(**switches)) as running:
        yield settle(running, datacenter="us6")


def archived(home: Home) -> None:
    home.add(ANN)
    home.api.delete(home.member_path(ANN))


def test_status_if_new_may_restore_the_archived() -> None:
    with reading(archived_restored_by_status_if_new=True) as home:
        archived(home)
        answer = home.bulk({"email_address": ANN, "status_if_new": "transactional"}, update_existing=True).json()
        assert (answer["total_created"], answer["new_members"][0]["status"]) == (1, "transactional")


def test_other_statuses_may_restore_the_archived() -> None:
    with reading(archived_restored_by=("subscribed", "pending", "transactional", "unsubscribed")) as home:
        archived(home)
        assert home.put(ANN, status="transactional").json()["status"] == "transactional"
    with reading() as home:
        archived(home)
        assert home.put(ANN, status="transactional").json()["status"] == "archived"


def test_a_bulk_call_may_judge_the_addresses_of_members_that_are_there() -> None:
    fake = "ann@gmail.con"
    for judged in (False, True):
        with reading(bulk_judges_known_addresses=judged) as home:
            home.act("admin_import", [{"email_address": fake, "status": "subscribed"}])
            answer = home.bulk({"email_address": fake, "status": "unsubscribed"}, update_existing=True).json()
            assert answer["error_count"] == judged
            patched = home.api.patch(home.member_path(fake), {"status": "unsubscribed"})
            assert patched.json()["status"] == "unsubscribed"


def test_answers_may_keep_the_order_sent() -> None:
    with reading(answer_order="sent") as home:
        answer = home.bulk(*[{"email_address": f"{name}@clinic.test", "status": "subscribed"} for name in "abc"]).json()
        assert [member["email_address"][0] for member in answer["new_members"]] == ["a", "b", "c"]


def test_a_refused_call_may_have_written_the_part_before_the_fault() -> None:
    members = [{"email_address": f"{name}@clinic.test", "status": "subscribed"} for name in "abac"]
    with reading(refused_call_writes_part=True) as home:
        assert home.bulk(*members).status_code == 400
        assert sorted(home.listed()) == ["a@clinic.test", "b@clinic.test"]


def test_a_bulk_call_may_confirm_the_pending() -> None:
    with reading(bulk_confirms_pending=True) as home:
        home.add(ANN, "pending")
        home.bulk({"email_address": ANN, "status": "subscribed"}, update_existing=True)
        assert home.member(ANN)["status"] == "subscribed"


def test_foreign_keys_may_be_let_pass() -> None:
    with reading(foreign_keys_refused=False) as home:
        assert home.bulk({"email_address": ANN, "status": "subscribed", "id": "x"}).json()["total_created"] == 1


def test_sync_tags_without_tags_may_leave_them() -> None:
    with reading(sync_tags_without_tags_clears=False) as home:
        home.add(ANN, tags=["Client"])
        home.bulk({"email_address": ANN}, update_existing=True, sync_tags=True)
        assert len(home.member(ANN)["tags"]) == 1


def test_put_may_honour_tags_of_known_members() -> None:
    with reading(put_tags_on_existing=True) as home:
        home.add(ANN)
        assert [tag["name"] for tag in home.put(ANN, tags=["B"]).json()["tags"]] == ["B"]


def test_addresses_may_read_back_in_small_letters() -> None:
    with reading(address_case="lower") as home:
        assert home.add("Ann@Clinic.Test")["email_address"] == "ann@clinic.test"


def test_segments_may_take_members_of_other_statuses() -> None:
    with reading(segment_statuses=("subscribed", "unsubscribed")) as home:
        home.add(ANN, "unsubscribed")
        made = home.api.post(f"{home.path}/segments", {"name": "A", "static_segment": []}).json()
        answer = home.api.post(f"{home.path}/segments/{made['id']}", {"members_to_add": [ANN]}).json()
        assert answer["total_added"] == 1


def test_the_error_count_of_segments_may_count_addresses() -> None:
    with reading(segment_error_count="addresses") as home:
        emails = [home.add(f"{name}@clinic.test")["email_address"] for name in "ab"]
        made = home.api.post(f"{home.path}/segments", {"name": "A", "static_segment": emails}).json()
        answer = home.api.post(f"{home.path}/segments/{made['id']}", {"members_to_add": emails}).json()
        assert (answer["error_count"], len(answer["errors"])) == (2, 1)


def test_a_second_segment_of_a_name_may_be_refused() -> None:
    with reading(duplicate_segment_names=False) as home:
        body = {"name": "A", "static_segment": []}
        assert home.api.post(f"{home.path}/segments", body).status_code == 200
        assert home.api.post(f"{home.path}/segments", body).status_code == 400


def test_webhooks_to_this_machine_may_be_refused() -> None:
    with reading(private_webhook_urls=False) as home:
        response = home.api.post(f"{home.path}/webhooks", {"url": "http://127.0.0.1:9/x"})
        assert response.json()["errors"] == [{"field": "url", "message": "Invalid URL"}]


def test_opted_out_members_may_refuse_their_merge_fields() -> None:
    with reading(opted_out_take_profile=False) as home:
        home.add(ANN)
        home.act("unsubscribe", ANN)
        assert home.put(ANN, merge_fields={"FNAME": "Ann"}).json()["title"] == "Member In Compliance State"


def test_required_fields_may_count_on_creation_only() -> None:
    with reading(required_fields_on_every_write=False) as home:
        home.add(ANN)
        body = {"name": "Must", "tag": "MUST", "type": "text", "required": True}
        home.api.post(f"{home.path}/merge-fields", body)
        assert home.put(ANN, merge_fields={"FNAME": "Ann"}).status_code == 200


def test_the_refusals_may_have_their_older_wording() -> None:
    with reading(wording="older") as home:
        home.add(ANN)
        home.act("unsubscribe", ANN)
        assert home.put(ANN, status="subscribed").json()["detail"] == (
            f"{ANN} is already a list member in compliance state due to unsubscribe, bounce, or compliance review."
        )
        home.act("admin_delete", ANN)
        assert home.put(ANN, status="subscribed").json()["detail"] == (
            f"{ANN} was previously removed from this audience. "
            "To rejoin, they'll need to sign up using a Mailchimp form."
        )


def test_the_wrong_data_centre_may_be_a_401() -> None:
    with reading(wrong_datacenter_status=401) as home:
        home.api.key = home.api.key.replace("-us6", "-us7")
        assert home.api.get("/ping").json()["title"] == "API Key Invalid"


def test_very_old_dates_may_be_answered() -> None:
    with reading(old_dates_hang=False) as home:
        home.add(ANN)
        assert home.listed(since_last_changed="1970-01-01T00:00:00Z") == [ANN]


def test_the_cache_of_stats_may_be_switched_off() -> None:
    with reading(stats_cached_seconds=0) as home:
        home.api.get(home.path)
        home.add(ANN)
        assert home.api.get(home.path).json()["stats"]["member_count"] == 1


def test_patch_may_pass_over_a_new_address() -> None:
    for renames, address in ((True, "new@clinic.test"), (False, ANN)):
        with reading(patch_renames=renames) as home:
            home.add(ANN)
            answer = home.api.patch(home.member_path(ANN), {"email_address": "new@clinic.test"}).json()
            assert answer["email_address"] == address
            assert home.listed() == [address]
