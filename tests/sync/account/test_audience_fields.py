"""The audience's fields while syncs go on: edited, emptied, deleted, changed, refused in Mailchimp."""

from __future__ import annotations

from typing import Any

import pytest

from infra.standins.mailchimp import Readings
from tests.sync.engine import Practice

pytest_plugins = ("tests.sync.engine_fixtures",)

HOME = {"line1": "1 High St", "city": "Melbourne", "state": "VIC", "postcode": "3000", "country": "AU"}
AUCKLAND = {"line1": "2 Quay St", "city": "Auckland", "postcode": "1010", "country": "New Zealand"}


def merges(practice: Practice, address: str) -> dict[str, Any]:
    fields: dict[str, Any] = practice.member(address)["merge_fields"]
    return fields


def without_writes(practice: Practice, run_type: Any) -> bool:
    """Whether another sync finds nothing to do and writes nothing to Mailchimp."""
    run = practice.sync(run_type)
    return run.status == "skipped" and practice.writes() == []


# ------------------------------------------------------------------------------------------------------- full sync


def test_a_full_sync_puts_right_what_was_edited_and_emptied_in_mailchimp(practice: Practice) -> None:
    practice.customer("1", "ann@clinic.test", first_name="Ann", last_name="Lee", address=HOME, phone="03 9123 4567")
    practice.customer("2", "bob@clinic.test", first_name="Bob", company_name="Clinic & Co", address=HOME)
    practice.customer("3", "cat@clinic.test", first_name="Cat")
    practice.sync()
    right = {name: merges(practice, name) for name in ("ann@clinic.test", "bob@clinic.test", "cat@clinic.test")}
    practice.act("admin_edit", "ann@clinic.test", {"LNAME": "Other", "PHONE": ""})
    practice.act("edit_profile", "bob@clinic.test", {"ADDRESS": "", "COMPANY": "Another"})
    assert practice.sync().status == "skipped"

    run = practice.sync("full")

    assert {name: merges(practice, name) for name in right} == right
    assert (run.status, run.counts["update"]) == ("success", 2)
    assert practice.pushed() == 2
    assert without_writes(practice, "full")
    assert without_writes(practice, "incremental")


@pytest.mark.parametrize("readings", [Readings(stats_cached_seconds=0, values_lose_spaces=True)])
def test_what_mailchimp_keeps_in_a_form_of_its_own_is_not_sent_again_by_each_full_sync(practice: Practice) -> None:
    practice.customer("1", "ann@clinic.test", first_name="Ann   Marie")
    practice.sync()
    assert merges(practice, "ann@clinic.test")["FNAME"] == "Ann Marie"
    assert without_writes(practice, "full")
    practice.act("admin_edit", "ann@clinic.test", {"FNAME": "Other"})
    assert practice.sync("full").counts["update"] == 1
    assert without_writes(practice, "full")


def test_a_full_sync_writes_nothing_where_somebody_entered_the_right_value_meanwhile(practice: Practice) -> None:
    practice.customer("1", "ann@clinic.test", first_name="Ann")
    practice.sync()
    practice.edit("1", first_name="Anna")
    practice.act("admin_edit", "ann@clinic.test", {"FNAME": "Anna"})
    assert without_writes(practice, "full")


def test_a_dry_run_shows_what_a_full_sync_would_put_right(practice: Practice) -> None:
    practice.customer("1", "ann@clinic.test", first_name="Ann")
    practice.sync()
    practice.act("admin_edit", "ann@clinic.test", {"FNAME": "Other"})
    run = practice.sync("full", dry_run=True)
    assert run.planned_counts == {"update": 1}
    assert practice.writes() == []
    practice.sync("full")
    assert merges(practice, "ann@clinic.test")["FNAME"] == "Ann"


def test_members_of_others_keep_what_they_hold(practice: Practice) -> None:
    practice.join("foreign@clinic.test", merge_fields={"FNAME": "Zoe"})
    practice.customers(1)
    practice.sync()
    practice.act("admin_edit", "foreign@clinic.test", {"FNAME": "Zoë"})
    assert without_writes(practice, "full")
    assert merges(practice, "foreign@clinic.test")["FNAME"] == "Zoë"


# ------------------------------------------------------------------------------------------ fields that are changed


def field_id(practice: Practice, tag: str) -> int:
    fields = practice.api("GET", "/merge-fields?count=100")["merge_fields"]
    return next(int(field["merge_id"]) for field in fields if field["tag"] == tag)


def delete_field(practice: Practice, tag: str) -> None:
    practice.api("DELETE", f"/merge-fields/{field_id(practice, tag)}")


def make_field(practice: Practice, tag: str, **definition: Any) -> None:
    practice.api("POST", "/merge-fields", {"tag": tag, "name": tag.title(), **definition})


def with_phones(practice: Practice) -> None:
    """Two customers with a phone number, one without, all synced."""
    practice.customer("1", "ann@clinic.test", first_name="Ann", phone="03 9123 4567", address=HOME)
    practice.customer("2", "bob@clinic.test", first_name="Bob", phone="03 9123 4568", address=HOME)
    practice.customer("3", "cat@clinic.test", first_name="Cat")
    practice.sync()


def phones(practice: Practice) -> list[str]:
    return [merges(practice, f"{name}@clinic.test").get("PHONE", "") for name in ("ann", "bob", "cat")]


def findings(practice: Practice) -> list[str]:
    audience = practice.department.audience
    assert audience is not None
    return [finding.code for finding in audience.findings]


@pytest.mark.fast
def test_a_deleted_field_is_made_again_and_its_values_are_sent_again(practice: Practice) -> None:
    with_phones(practice)
    delete_field(practice, "PHONE")
    run = practice.sync()
    assert phones(practice) == ["03 9123 4567", "03 9123 4568", ""]
    assert (run.status, run.counts["update"], practice.pushed()) == ("success", 2, 2)
    assert "PHONE" in practice.log()[0].message + practice.log()[1].message
    assert without_writes(practice, "incremental")
    assert without_writes(practice, "full")


def test_a_field_that_somebody_made_anew_between_two_syncs_is_filled_again(practice: Practice) -> None:
    with_phones(practice)
    delete_field(practice, "PHONE")
    make_field(practice, "PHONE", type="phone")
    practice.sync()
    assert phones(practice) == ["03 9123 4567", "03 9123 4568", ""]
    assert practice.pushed() == 2
    assert without_writes(practice, "incremental")


@pytest.mark.fast
@pytest.mark.parametrize("kind", ["number", "date", "birthday", "zip", "url", "text"])
def test_a_field_of_another_type_is_left_out_and_keeps_nobody_out(practice: Practice, kind: str) -> None:
    with_phones(practice)
    delete_field(practice, "PHONE")
    make_field(practice, "PHONE", type=kind)
    practice.customer("4", "dan@clinic.test", first_name="Dan", phone="03 9123 4569")
    practice.edit("1", first_name="Anna")

    run = practice.sync()

    assert practice.audience()["dan@clinic.test"] == "subscribed"
    assert merges(practice, "ann@clinic.test")["FNAME"] == "Anna"
    assert phones(practice) == ["", "", ""]
    assert (run.status, run.counts.get("refused", 0)) == ("success", 0)
    assert findings(practice) == ["field_type_clash"]
    assert without_writes(practice, "incremental")
    delete_field(practice, "PHONE")
    practice.sync()
    assert phones(practice) == ["03 9123 4567", "03 9123 4568", ""]
    assert merges(practice, "dan@clinic.test")["PHONE"] == "03 9123 4569"
    assert findings(practice) == []
    assert without_writes(practice, "full")


def test_an_address_field_made_anew_as_text_costs_nobody_the_rest(practice: Practice) -> None:
    with_phones(practice)
    delete_field(practice, "ADDRESS")
    make_field(practice, "ADDRESS", type="text")
    practice.edit("1", first_name="Anna")
    practice.sync()
    assert merges(practice, "ann@clinic.test") | {"COMPANY": ""} == {
        "FNAME": "Anna",
        "LNAME": "",
        "PHONE": "03 9123 4567",
        "COMPANY": "",
        "ADDRESS": "",
    }
    assert findings(practice) == ["field_type_clash"]


def test_a_phone_format_set_later_leaves_out_the_numbers_it_would_garble(practice: Practice) -> None:
    practice.customer("1", "ann@clinic.test", phone="0412 345 678")
    practice.customer("2", "bob@clinic.test", phone="+1 212 555 0123")
    practice.customer("3", "cat@clinic.test", phone="1300 736 155")
    practice.sync()
    options = {"name": "Phone", "options": {"phone_format": "US"}}
    practice.api("PATCH", f"/merge-fields/{field_id(practice, 'PHONE')}", options)
    for number in ("1", "2", "3"):
        practice.edit(number, first_name="New")
    practice.sync()
    assert phones(practice) == ["", "(212) 555-0123", ""]
    assert findings(practice) == ["us_phone_only"]
    assert without_writes(practice, "full")


def test_what_else_changes_at_an_audience_is_known_with_the_next_sync(practice: Practice) -> None:
    with_phones(practice)
    make_field(practice, "CLUB", type="text", required=True)
    practice.control.edit_audience(practice.audience_id, name="Friends", double_optin=True)
    practice.customer("4", "dan@clinic.test")
    assert practice.sync().counts["add"] == 1
    audience = practice.department.audience
    assert audience is not None
    assert (audience.name, audience.double_optin) == ("Friends", True)
    assert sorted(findings(practice)) == ["double_optin", "required_fields"]


def test_a_sync_of_a_deleted_audience_says_so_in_health(practice: Practice) -> None:
    with_phones(practice)
    practice.api("DELETE", "")
    run = practice.sync()
    assert run.status == "error"
    assert "no longer exists" in run.message
    audience = practice.department.audience
    assert audience is not None
    assert audience.status is not None
    assert [finding.code for finding in audience.status.findings] == ["audience_gone"]


def test_where_there_is_no_room_for_a_field_it_is_asked_for_once_a_day(practice: Practice) -> None:
    with_phones(practice)
    delete_field(practice, "PHONE")
    for number in range(30 - 4):
        make_field(practice, f"OTHER{number}", type="text")
    practice.sync()
    assert findings(practice) == ["field_not_created"]
    assert without_writes(practice, "incremental")
    practice.control.reset_journal()
    delete_field(practice, "OTHER1")
    practice.sync()
    assert phones(practice) == ["03 9123 4567", "03 9123 4568", ""]
    assert findings(practice) == []


def test_a_dry_run_creates_no_field(practice: Practice) -> None:
    with_phones(practice)
    delete_field(practice, "PHONE")
    practice.sync("full", dry_run=True)
    assert practice.writes() == []
    practice.sync()
    assert phones(practice) == ["03 9123 4567", "03 9123 4568", ""]


def planned(practice: Practice, run_type: Any = "incremental") -> str:
    """A run that has its plan and is about to send."""
    practice.engine.clock.move(minutes=10)
    practice.control.reset_journal()
    run_id = practice.start(run_type)
    practice.engine.deliver_until(lambda: practice.run(run_id).phase == "apply")
    return run_id


def test_a_field_that_changes_after_the_plan_keeps_nobody_out(practice: Practice) -> None:
    practice.customer("1", "ann@clinic.test", first_name="Ann", phone="03 9123 4567")
    practice.customer("2", "bob@clinic.test", first_name="Bob", phone="17")
    practice.customer("3", "cat@clinic.test", first_name="Cat")
    run_id = planned(practice, "full")
    delete_field(practice, "PHONE")
    make_field(practice, "PHONE", type="number")

    practice.engine.work()

    run = practice.run(run_id)
    assert set(practice.audience()) == {"ann@clinic.test", "bob@clinic.test", "cat@clinic.test"}
    assert (run.status, run.counts["add"], run.counts.get("refused", 0)) == ("success", 3, 0)
    assert "field_type_clash" in findings(practice)
    (record,) = [record for record in practice.records(run, "partly_sent") if record.customer_id == "1"]
    assert record.code == "field_unusable"
    assert "phone number" in record.cause
    # What the number field took of the others is nothing of ours any more; what was planned before is put right.
    practice.sync()
    assert without_writes(practice, "incremental")
    delete_field(practice, "PHONE")
    practice.sync()
    assert phones(practice) == ["03 9123 4567", "17", ""]
    assert without_writes(practice, "full")


def test_a_changed_address_is_carried_out_though_a_field_is_refused(practice: Practice) -> None:
    with_phones(practice)
    practice.edit("1", email="anna@clinic.test", phone="03 9123 9999")
    run_id = planned(practice)
    delete_field(practice, "PHONE")
    make_field(practice, "PHONE", type="number")
    practice.engine.work()
    assert practice.run(run_id).status == "success"
    assert practice.audience()["anna@clinic.test"] == "subscribed"
    assert practice.audience().get("ann@clinic.test") in (None, "archived")
    assert merges(practice, "anna@clinic.test")["FNAME"] == "Ann"


def test_selecting_the_audience_again_has_a_refused_value_tried_again(practice: Practice) -> None:
    practice.customer("1", "kim@clinic.test", address={**AUCKLAND, "state": ""})
    practice.sync()
    assert merges(practice, "kim@clinic.test")["ADDRESS"] == ""
    assert without_writes(practice, "full")
    practice.engine.departments.change(practice.id, lambda d: d.with_values_unsure(practice.engine.clock()))
    practice.sync()
    assert practice.pushed() == 2
    assert without_writes(practice, "full")
