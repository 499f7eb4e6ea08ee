from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.contract.account import AudienceSummary
from chalicelib.errors import KeyRejected, RefuseRequest, RetryLater
from chalicelib.store.requests import KeptRequest, RequestStore
from chalicelib.sync.account import audiences
from chalicelib.sync.account.webhook_registration import WebhookRecord, secret_hash
from tests.sync.office import NEW_AUDIENCE, Office


def refusal(call: Callable[[], Any]) -> RefuseRequest:
    with pytest.raises(RefuseRequest) as raised:
        call()
    return raised.value


def select(office: Office, audience_id: str) -> list[str]:
    """Select an audience; answers the codes of what staff are told."""
    overview = office.audiences.select(office.department_id, audience_id, by="user-1")
    assert overview.id == audience_id
    return [finding.code for finding in overview.health]


def synced_for_a_while(office: Office) -> None:
    office.change(
        audience=replace(office.audience, first_contact_done=True),
        customers_watermark="2026-03-01T00:00:00Z",
        members_watermark=datetime(2026, 3, 1, tzinfo=UTC),
        replan_all=False,
        last_synced_at=office.now,
    )


def merge_field(office: Office, audience_id: str, **fields: Any) -> None:
    office.api("POST", f"/lists/{audience_id}/merge-fields", {"name": fields["tag"].title(), **fields})


# --------------------------------------------------------------------------------------------------------- listing


@pytest.mark.fast
def test_the_accounts_audiences_are_listed_with_their_counts(office: Office) -> None:
    office.connect()
    first, second = office.new_audience("Clients"), office.new_audience("Friends")
    office.mailchimp.control.admin_import([{"email_address": "ann@clinic.test"}], audience_id=second)
    found = office.audiences.list(office.department_id)
    assert set(found.items) == {AudienceSummary(first, "Clients", 0), AudienceSummary(second, "Friends", 1)}
    assert (found.may_create, found.reason) == (True, None)


def test_audiences_of_one_name_are_those_that_staff_would_take_for_the_same(office: Office) -> None:
    office.connect()
    clients, _ = office.new_audience("Café Clients"), office.new_audience("Café Clients 2")
    for name in ("Café Clients", " CAFÉ clients ", "Cafe\u0301 Clients"):
        found = office.audiences.list(office.department_id, name=name)
        assert [one.id for one in found.items] == [clients], name
        assert found.may_create
    assert office.audiences.list(office.department_id, name="Café").items == ()


def test_a_plan_that_allows_no_further_audience_says_why(office: Office) -> None:
    office.connect()
    office.mailchimp.control.set_plan(1)
    office.new_audience()
    found = office.audiences.list(office.department_id)
    assert not found.may_create
    assert found.reason is not None
    assert "allows 1 audience, and it has 1" in found.reason


def test_listing_with_a_revoked_key_stops_the_schedule(office: Office) -> None:
    office.connect()
    office.mailchimp.control.revoke_key(office.mailchimp.api_key)
    with pytest.raises(KeyRejected):
        office.audiences.list(office.department_id)
    assert office.connections.status(office.department_id).state == "key_rejected"


# -------------------------------------------------------------------------------------------------------- creating


@pytest.mark.fast
def test_an_audience_is_created_with_the_whole_form_and_selected(office: Office) -> None:
    office.connect()
    overview = office.audiences.create(office.department_id, NEW_AUDIENCE, by="user-1")
    there = office.api("GET", f"/lists/{overview.id}")
    assert there["name"] == "Customer Newsletter"
    assert there["contact"] | {"phone": ""} == {
        "company": "North Practice",
        "address1": "1 High Road",
        "address2": "Level 2",
        "city": "Melbourne",
        "state": "VIC",
        "zip": "3000",
        "country": "AU",
        "phone": "",
    }
    assert there["campaign_defaults"] == {
        "from_name": "North Practice",
        "from_email": "hello@practice.test",
        "subject": "",
        "language": "en",
    }
    assert there["permission_reminder"] == "You are a client of ours."
    assert (overview.name, overview.member_count, overview.health) == ("Customer Newsletter", 0, ())
    assert office.audience.id == overview.id
    assert office.planned == [(office.department_id, "user-1")]


def names(office: Office) -> list[str]:
    return sorted(audience.name for audience in office.audiences.list(office.department_id).items)


@pytest.mark.fast
def test_a_request_that_comes_again_with_its_key_makes_no_second_audience(office: Office) -> None:
    office.connect()
    first = office.audiences.create(office.department_id, NEW_AUDIENCE, by="user-1", key="k1")
    again = office.audiences.create(office.department_id, NEW_AUDIENCE, by="user-1", key="k1")
    assert again.id == first.id
    assert names(office) == ["Customer Newsletter"]
    other = replace(NEW_AUDIENCE, name="Another")
    refused = refusal(lambda: office.audiences.create(office.department_id, other, by="user-1", key="k1"))
    assert (refused.status, refused.code) == (422, "idempotency-key-reused")
    office.audiences.create(office.department_id, other, by="user-1", key="k2")
    office.later(days=2)
    office.audiences.create(office.department_id, replace(NEW_AUDIENCE, name="Third"), by="user-1", key="k1")
    assert names(office) == ["Another", "Customer Newsletter", "Third"]


def test_while_the_first_is_under_way_the_second_is_told_to_wait(office: Office) -> None:
    office.connect()
    digest = audiences.request_digest(NEW_AUDIENCE)
    RequestStore(keep=timedelta(days=1)).begin(office.department_id, "k1", KeptRequest(digest, office.now))
    office.later(seconds=20)
    refused = refusal(lambda: office.audiences.create(office.department_id, NEW_AUDIENCE, by="user-1", key="k1"))
    assert (refused.status, refused.code, refused.extra) == (409, "still-under-way", {"retry_after": 40})


@pytest.mark.parametrize("dies_at", ["before Mailchimp", "after Mailchimp", "after it was noted"])
def test_a_request_whose_function_died_is_gone_on_with(office: Office, dies_at: str) -> None:
    office.connect()
    before = office.new_audience("Customer Newsletter")  # of the same name, and not ours
    store = RequestStore(keep=timedelta(days=1))
    request = KeptRequest(audiences.request_digest(NEW_AUDIENCE), office.now)
    store.begin(office.department_id, "k1", request)
    request = store.about_to_create(office.department_id, "k1", request, [before])
    made = "" if dies_at == "before Mailchimp" else office.new_audience("Customer Newsletter")
    if dies_at == "after it was noted":
        store.made(office.department_id, "k1", request, made)
    office.later(seconds=61)
    overview = office.audiences.create(office.department_id, NEW_AUDIENCE, by="user-1", key="k1")
    assert overview.id != before
    assert made in ("", overview.id)
    assert names(office) == ["Customer Newsletter"] * 2


def test_a_request_that_was_refused_may_come_again_with_its_key(office: Office) -> None:
    office.connect()
    office.mailchimp.control.set_plan(1)
    office.new_audience("Clients")
    for _ in range(2):
        refused = refusal(lambda: office.audiences.create(office.department_id, NEW_AUDIENCE, by="user-1", key="k1"))
        assert refused.code == "plan-limit-reached"
    office.mailchimp.control.set_plan(2)
    assert office.audiences.create(office.department_id, NEW_AUDIENCE, by="user-1", key="k1").name == NEW_AUDIENCE.name


def test_when_the_plan_is_used_up_the_audiences_there_are_are_offered(office: Office) -> None:
    office.connect()
    office.mailchimp.control.set_plan(1)
    there = office.new_audience("Clients")
    office.mailchimp.control.reset_journal()
    refused = refusal(lambda: office.audiences.create(office.department_id, NEW_AUDIENCE, by="user-1"))
    assert (refused.status, refused.code) == (409, "plan-limit-reached")
    assert refused.extra["audiences"] == (AudienceSummary(there, "Clients", 0),)
    assert office.writes() == []


def test_a_limit_that_only_shows_when_creating_is_explained_as_well(office: Office) -> None:
    office.connect()
    there = office.new_audience("Clients")
    office.fail("/lists", method="POST", times=1, status=403, title="User action not permitted")
    refused = refusal(lambda: office.audiences.create(office.department_id, NEW_AUDIENCE, by="user-1"))
    assert (refused.status, refused.code) == (409, "plan-limit-reached")
    assert refused.extra["audiences"] == (AudienceSummary(there, "Clients", 0),)


@pytest.mark.fast
def test_a_creation_without_an_answer_is_looked_for_and_not_done_twice(office: Office) -> None:
    office.connect()
    office.fail("/lists", method="POST", times=1, kind="drop", executes=True)
    overview = office.audiences.create(office.department_id, NEW_AUDIENCE, by="user-1")
    (there,) = office.mailchimp.control.audiences()
    assert overview.id == there["audience_id"]


def test_a_creation_that_did_not_happen_is_said_so(office: Office) -> None:
    office.connect()
    office.new_audience(NEW_AUDIENCE.name)  # an older one of the same name is not taken for the new one
    office.fail("/lists", method="POST", times=1, kind="drop")
    with pytest.raises(RetryLater):
        office.audiences.create(office.department_id, NEW_AUDIENCE, by="user-1")
    assert office.department.audience is None


def test_a_field_that_mailchimp_refuses_is_named_as_our_form_names_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infra.standins.mailchimp import list_calls, problems

    def refuse(body: object) -> dict[str, Any]:
        raise problems.not_validated(problems.FieldError("contact.address1", "This value should not be blank."))

    office.connect()
    monkeypatch.setattr(list_calls, "read_list_settings", refuse)
    refused = refusal(lambda: office.audiences.create(office.department_id, NEW_AUDIENCE, by="user-1"))
    assert (refused.status, [error.field for error in refused.errors]) == (422, ["address.line1"])


def test_nothing_is_created_while_a_run_is_active(office: Office) -> None:
    office.connect()
    office.change(active_run_id="r1")
    refused = refusal(lambda: office.audiences.create(office.department_id, NEW_AUDIENCE, by="user-1"))
    assert refused.status == 409
    assert office.mailchimp.control.audiences() == []


# ------------------------------------------------------------------------------------------------------- selecting


@pytest.mark.fast
def test_selecting_creates_the_missing_fields_and_registers_the_webhook(office: Office) -> None:
    audience_id = office.connect_and_select()
    tags = {
        field["tag"]: field["type"] for field in office.api("GET", f"/lists/{audience_id}/merge-fields")["merge_fields"]
    }
    assert tags["COMPANY"] == "text"
    assert set(office.audience.fields.tags) == {"FNAME", "LNAME", "COMPANY", "PHONE", "ADDRESS"}
    assert office.audience.fields.country == "AU"
    assert office.audience.hook_id
    assert office.audience.selected_at == office.now
    assert not office.audience.first_contact_done
    assert office.planned == [(office.department_id, "user-1")]


def test_fields_beyond_the_first_page_are_seen(office: Office) -> None:
    office.connect()
    audience_id = office.new_audience()
    for number in range(10):
        merge_field(office, audience_id, tag=f"EXTRA{number}", type="text")
    merge_field(office, audience_id, tag="COMPANY", type="text")
    office.mailchimp.control.reset_journal()
    assert select(office, audience_id) == []
    assert ("POST", "/lists/{list_id}/merge-fields") not in office.calls()


def test_a_field_of_another_type_is_left_out_with_a_warning(office: Office) -> None:
    office.connect()
    audience_id = office.new_audience()
    merge_field(office, audience_id, tag="COMPANY", type="number")
    assert select(office, audience_id) == ["field_type_clash"]
    assert "COMPANY" not in office.audience.fields.tags


def test_when_no_further_field_is_allowed_the_selection_stands_with_a_finding(office: Office) -> None:
    office.connect()
    audience_id = office.new_audience()
    for number in range(26):
        merge_field(office, audience_id, tag=f"EXTRA{number}", type="text")
    assert select(office, audience_id) == ["field_not_created"]
    assert set(office.audience.fields.tags) == {"FNAME", "LNAME", "PHONE", "ADDRESS"}


def test_the_pre_flight_tells_what_is_special_about_an_audience(office: Office) -> None:
    office.connect()
    audience_id = office.new_audience(double_optin=True)
    office.mailchimp.world.audience(audience_id).settings["marketing_permissions"] = True
    merge_field(office, audience_id, tag="PET", type="text", required=True)
    fields = office.api("GET", f"/lists/{audience_id}/merge-fields")["merge_fields"]
    phone = next(field for field in fields if field["tag"] == "PHONE")
    office.api(
        "PATCH",
        f"/lists/{audience_id}/merge-fields/{phone['merge_id']}",
        {"name": "Phone", "options": {"phone_format": "US"}},
    )
    office.api("POST", f"/lists/{audience_id}/webhooks", {"url": f"{office.mailchimp.control_url}?secret=of-others"})

    told = select(office, audience_id)

    assert set(told) == {
        "required_fields",
        "us_phone_only",
        "double_optin",
        "marketing_permissions",
        "foreign_webhooks",
    }
    assert office.audience.double_optin
    assert office.audience.fields.us_phone
    assert "of-others" not in str(office.audience.findings)


def test_another_departments_webhook_is_no_other_tool_but_a_warning(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.connect()
    audience_id = office.new_audience()
    hook = f"{office.public_url}/webhooks/mailchimp/hobart-south/its-token"
    others = WebhookRecord(secret_hash("its-token"), secret_hash(hook), "account", audience_id)
    monkeypatch.setattr(office.hook_address, "record_of", lambda department_id: others)
    office.api("POST", f"/lists/{audience_id}/webhooks", {"url": hook})
    told = select(office, audience_id)
    assert "audience_shared" in told
    assert "foreign_webhooks" not in told
    assert "its-token" not in str(office.audience.findings)
    monkeypatch.undo()
    assert "audience_shared" not in select(office, office.new_audience("Of its own"))


@pytest.mark.parametrize("unknown", ["0123456789", "../ping", "a b"])
def test_an_audience_that_is_none_of_the_accounts_is_refused_and_those_there_are_are_offered(
    office: Office, unknown: str
) -> None:
    office.connect()
    there = office.new_audience("Clients")
    refused = refusal(lambda: select(office, unknown))
    assert refused.status == 404
    assert refused.extra["audiences"] == (AudienceSummary(there, "Clients", 0),)
    assert office.department.audience is None


def test_selecting_needs_a_connection(office: Office) -> None:
    refused = refusal(lambda: office.audiences.select(office.department_id, "0123456789", by="user-1"))
    assert (refused.status, refused.code) == (409, "not-connected")


def test_without_mailchimp_nothing_is_selected(office: Office) -> None:
    office.connect()
    audience_id = office.new_audience()
    office.fail("/lists/*/merge-fields")
    with pytest.raises(RetryLater):
        office.audiences.select(office.department_id, audience_id, by="user-1")
    assert office.department.audience is None
    assert office.planned == []


def test_selecting_the_same_audience_again_repairs_and_keeps_what_is_known(office: Office) -> None:
    audience_id = office.connect_and_select()
    synced_for_a_while(office)
    before = office.department
    (hook,) = office.hooks_at_mailchimp(audience_id)
    office.api("DELETE", f"/lists/{audience_id}/webhooks/{hook['id']}")
    office.later(days=1)

    assert select(office, audience_id) == []

    assert len(office.hooks_at_mailchimp(audience_id)) == 1
    changed = {"hook_id": office.audience.hook_id, "status": office.audience.status}
    assert office.audience == replace(before.audience, **changed)  # type: ignore[type-var]
    # The next sync reads what members hold, and sends again what is missing there.
    assert replace(office.department, audience=None) == replace(before, audience=None, values_unsure_since=office.now)
    assert len(office.planned) == 1


def test_selecting_the_same_audience_again_forgets_that_a_state_was_missed(office: Office) -> None:
    audience_id = office.connect_and_select()
    office.change(audience=replace(office.audience, state_required_at=office.now))
    select(office, audience_id)
    assert not office.audience.requires_state(office.now)


def test_a_repair_that_changes_the_fields_has_every_customer_decided_anew(office: Office) -> None:
    office.connect()
    audience_id = office.new_audience()
    merge_field(office, audience_id, tag="COMPANY", type="number")
    select(office, audience_id)
    synced_for_a_while(office)
    (field,) = office.api("GET", f"/lists/{audience_id}/merge-fields?type=number")["merge_fields"]
    office.api("DELETE", f"/lists/{audience_id}/merge-fields/{field['merge_id']}")

    assert select(office, audience_id) == []

    assert "COMPANY" in office.audience.fields.tags
    assert office.department.replan_all
    assert office.department.customers_watermark == "2026-03-01T00:00:00Z"


def test_the_same_audience_may_be_repaired_while_a_run_is_active(office: Office) -> None:
    audience_id = office.connect_and_select()
    office.change(active_run_id="r1")
    select(office, audience_id)
    assert office.department.active_run_id == "r1"


@pytest.mark.fast
def test_another_audience_starts_from_nothing_and_takes_the_webhook_along(office: Office) -> None:
    first = office.connect_and_select("First")
    synced_for_a_while(office)
    second = office.new_audience("Second")

    select(office, second)

    department = office.department
    assert (office.audience.id, office.audience.name) == (second, "Second")
    assert not office.audience.first_contact_done
    assert (department.customers_watermark, department.members_watermark) == ("", None)
    assert (department.replan_all, department.last_synced_at) == (True, None)
    assert office.hooks_at_mailchimp(first) == []
    (hook,) = office.hooks_at_mailchimp(second)
    assert office.audience.hook_id == hook["id"]
    assert len(office.planned) == 2


def test_another_audience_is_refused_while_a_run_is_active(office: Office) -> None:
    first = office.connect_and_select("First")
    second = office.new_audience("Second")
    office.change(active_run_id="r1")
    office.mailchimp.control.reset_journal()
    refused = refusal(lambda: select(office, second))
    assert (refused.status, refused.code) == (409, "run-active")
    assert refused.extra["run"] == office.view(office.active_run(office.department))
    assert office.audience.id == first
    assert office.writes() == []


def test_a_run_that_starts_during_the_pre_flight_is_not_overtaken(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = office.connect_and_select("First")
    second = office.new_audience("Second")
    foreign_hosts = office.hooks.foreign_hosts

    def as_a_run_starts(*args: Any) -> tuple[str, ...]:
        office.change(active_run_id="r1")
        return foreign_hosts(*args)

    monkeypatch.setattr(office.hooks, "foreign_hosts", as_a_run_starts)
    assert refusal(lambda: select(office, second)).code == "run-active"
    assert office.audience.id == first
    assert len(office.hooks_at_mailchimp(first)) == 1


def test_a_disconnection_during_the_pre_flight_wins(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.connect()
    audience_id = office.new_audience()
    foreign_hosts = office.hooks.foreign_hosts

    def as_somebody_disconnects(*args: Any) -> tuple[str, ...]:
        office.connections.disconnect(office.department_id, by="user-2")
        return foreign_hosts(*args)

    monkeypatch.setattr(office.hooks, "foreign_hosts", as_somebody_disconnects)
    assert refusal(lambda: select(office, audience_id)).code == "not-connected"
    assert office.department.audience is None
    assert office.hooks_at_mailchimp(audience_id) == []


# -------------------------------------------------------------------------------------------------------- overview


@pytest.mark.fast
def test_the_overview_shows_name_members_segments_and_last_sync(office: Office) -> None:
    # Mailchimp's own count of an audience is minutes old; the overview must not be.
    office.connect_and_select()
    office.mailchimp.control.admin_import(
        [{"email_address": "ann@clinic.test"}, {"email_address": "bob@clinic.test", "status": "unsubscribed"}]
    )
    synced_for_a_while(office)
    synced_at = office.now
    office.later(minutes=1)
    overview = office.audiences.overview(office.department_id)
    assert (overview.name, overview.member_count, overview.counted_at) == ("Clients", 1, office.now)
    assert overview.segments == 3
    assert (overview.last_synced_at, overview.active_run, overview.health) == (synced_at, None, ())


def test_both_panels_show_one_count_and_mailchimp_is_asked_for_it_once_a_minute(office: Office) -> None:
    audience_id = office.connect_and_select()
    office.mailchimp.control.admin_import([{"email_address": "ann@clinic.test"}], audience_id)
    office.later(minutes=1)
    office.mailchimp.control.reset_journal()
    for _ in range(2):
        overview = office.audiences.overview(office.department_id)
        summary = office.connections.status(office.department_id).audience
        assert summary is not None
        assert (
            (overview.member_count, overview.counted_at)
            == (summary.member_count, summary.counted_at)
            == (1, office.now)
        )
    assert len(office.calls()) == 2, "one look: the audience's name and the count of its members"


def test_a_new_name_in_mailchimp_is_shown(office: Office) -> None:
    audience_id = office.connect_and_select()
    office.mailchimp.world.audience(audience_id).settings["name"] = "Clients and friends"
    office.later(minutes=1)
    assert office.audiences.overview(office.department_id).name == "Clients and friends"


def test_the_overview_shows_the_active_run(office: Office) -> None:
    office.connect_and_select()
    office.change(active_run_id="r1")
    active = office.audiences.overview(office.department_id).active_run
    assert active is not None
    assert active.id == "r1"


def test_without_mailchimp_the_overview_keeps_the_last_count_and_says_so(office: Office) -> None:
    office.connect_and_select()
    selected_at = office.now
    office.fail("/lists/*", times=10)
    for codes in ([], ["mailchimp_away"]):
        office.later(minutes=1)
        overview = office.audiences.overview(office.department_id)
        assert (overview.name, overview.member_count, overview.counted_at) == ("Clients", 0, selected_at)
        assert [finding.code for finding in overview.health] == codes


def test_an_audience_that_was_deleted_in_mailchimp_is_an_error_of_the_overview(office: Office) -> None:
    audience_id = office.connect_and_select()
    office.api("DELETE", f"/lists/{audience_id}")
    office.later(minutes=1)
    overview = office.audiences.overview(office.department_id)
    assert (overview.name, overview.member_count) == ("Clients", None)
    assert [(f.code, f.severity) for f in overview.health] == [("audience_gone", "error")]


def test_a_key_that_was_revoked_shows_in_the_overview(office: Office) -> None:
    office.connect_and_select()
    office.mailchimp.control.revoke_key(office.mailchimp.api_key)
    office.later(minutes=1)
    assert "key_rejected" in [f.code for f in office.audiences.overview(office.department_id).health]


def test_while_not_connected_the_overview_is_refused_like_the_list_of_audiences(office: Office) -> None:
    office.connect_and_select()
    office.connections.disconnect(office.department_id, by="user-1")
    office.mailchimp.control.reset_journal()
    for ask in (office.audiences.overview, office.audiences.list):
        refused = refusal(lambda ask=ask: ask(office.department_id))  # type: ignore[misc]
        assert (refused.status, refused.code) == (409, "not-connected")
    assert office.calls() == []
    kept = office.connections.status(office.department_id).audience
    assert kept is not None
    assert kept.name == "Clients"


def test_without_a_selected_audience_there_is_no_overview(office: Office) -> None:
    office.connect()
    assert refusal(lambda: office.audiences.overview(office.department_id)).status == 404
