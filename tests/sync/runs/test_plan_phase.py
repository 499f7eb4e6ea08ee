"""What a sync makes of PracBill's customers: who is in the audience, with what status and data, and who is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.customers import Customer, customer_from_json, customer_key
from chalicelib.domain.moments import moment_text
from chalicelib.domain.planning import AddressState, Held, Operation, plan_move
from chalicelib.pracbill.answers import BadRecord, ChangePage, CustomerPage
from chalicelib.store import batches, member_keys
from chalicelib.store import members as member_store
from chalicelib.sync.consent.observations import observation_of
from chalicelib.sync.runs import plan_phase as deciding
from infra.standins.mailchimp import Readings
from tests.sync.engine import PLENTY, Engine, Practice

pytest_plugins = ("tests.sync.engine_fixtures",)

HOME = {"line1": "1 High Road", "city": "Melbourne", "state": "VIC", "postcode": "3000", "country": "Australia"}


# ------------------------------------------------------------------------------------------------- statuses and fields


@pytest.mark.fast
def test_each_consent_gets_its_status(practice: Practice) -> None:
    practice.customer("1", "yes@clinic.test")
    practice.customer("2", "silent@clinic.test", None)
    practice.customer("3", "no@clinic.test", "unsubscribed")
    run = practice.sync("full")
    assert practice.audience() == {"yes@clinic.test": "subscribed", "silent@clinic.test": "transactional"}
    assert practice.codes(run, "held") == [("3", "opted_out")]


@pytest.mark.parametrize(
    ("choice", "status"), [("skip", None), ("transactional", "transactional"), ("subscribe", "subscribed")]
)
def test_the_setting_decides_about_customers_without_recorded_consent(
    practice: Practice, choice: str, status: str | None
) -> None:
    practice.change_policy(unknown_consent=choice)
    practice.customer("1", "silent@clinic.test", None)
    practice.sync("full")
    assert practice.audience().get("silent@clinic.test") == status


def test_merge_fields_hold_the_customer_s_data(practice: Practice) -> None:
    practice.customer(
        "1",
        "Ann@Clinic.test",
        company_name="Ann & Sons",
        first_name="Ann",
        last_name="Ö'Neil",
        phone="03 1234",
        address=HOME,
    )
    practice.sync("full")
    fields = practice.member("ann@clinic.test")["merge_fields"]
    assert {name: fields[name] for name in ("FNAME", "LNAME", "COMPANY", "PHONE")} == {
        "FNAME": "Ann",
        "LNAME": "Ö'Neil",
        "COMPANY": "Ann & Sons",
        "PHONE": "03 1234",
    }
    assert fields["ADDRESS"] == {
        "addr1": "1 High Road",
        "addr2": "",
        "city": "Melbourne",
        "state": "VIC",
        "zip": "3000",
        "country": "AU",
    }


def test_members_that_were_there_keep_their_status_and_get_the_data(practice: Practice) -> None:
    for status in ("subscribed", "unsubscribed", "transactional"):
        practice.join(f"{status}@clinic.test", status=status)
        practice.customer(status, f"{status}@clinic.test", None, first_name="Ann")
    practice.join("foreign@clinic.test")
    practice.sync("full")
    assert practice.audience() == {
        "subscribed@clinic.test": "subscribed",
        "unsubscribed@clinic.test": "unsubscribed",
        "transactional@clinic.test": "transactional",
        "foreign@clinic.test": "subscribed",
    }
    assert practice.member("subscribed@clinic.test")["merge_fields"]["FNAME"] == "Ann"
    assert practice.member("foreign@clinic.test")["merge_fields"]["FNAME"] == ""


def test_a_consent_withdrawn_in_pracbill_unsubscribes(practice: Practice) -> None:
    practice.customers(2)
    practice.sync("full")
    practice.engine.clock.move(minutes=10)
    practice.customer("1", "c1@clinic.test", "unsubscribed", first_name="Name 1")
    run = practice.sync()
    assert (run.counts, practice.audience()["c1@clinic.test"]) == ({"unsubscribe": 1}, "unsubscribed")
    assert [(e.was, e.became, e.rule) for e in practice.ledger("c1@clinic.test") if e.route == "sync"] == [
        ("absent", "subscribed", "yes-absent"),
        ("subscribed", "unsubscribed", "no-subscribed"),
    ]


@pytest.mark.parametrize(
    ("consent", "became", "rule"),
    [("subscribed", "subscribed", "yes-absent"), (None, "transactional", "unknown-add-transactional")],
)
def test_the_ledger_tells_how_a_customer_came_into_the_audience(
    practice: Practice, consent: str | None, became: str, rule: str
) -> None:
    practice.customer("1", "c1@clinic.test", consent)
    run = practice.sync("full")
    (entry,) = practice.ledger("c1@clinic.test")
    assert (entry.was, entry.became, entry.who, entry.rule) == ("absent", became, "this service", rule)
    assert entry.evidence == {"run": run.id}
    practice.sync("full")
    assert len(practice.ledger("c1@clinic.test")) == 1


def test_the_ledger_of_a_new_address_tells_that_its_member_was_renamed(practice: Practice) -> None:
    practice.customers(1)
    practice.sync("full")
    practice.edit("1", email="new@clinic.test")
    practice.sync()
    assert [(e.was, e.became, e.rule) for e in practice.ledger("new@clinic.test")] == [
        ("absent", "subscribed", "address-renamed")
    ]


def test_a_new_yes_raises_a_transactional_member(practice: Practice) -> None:
    practice.customer("1", "c1@clinic.test", None)
    practice.sync("full")
    practice.engine.clock.move(minutes=10)
    practice.customer(
        "1", "c1@clinic.test", marketing_consent={"status": "subscribed", "changed_at": "2026-03-02T12:05:00Z"}
    )
    assert practice.sync().counts == {"subscribe": 1}
    assert practice.audience() == {"c1@clinic.test": "subscribed"}


@pytest.mark.fast
def test_somebody_who_opted_out_in_mailchimp_stays_out_whatever_changes_in_pracbill(practice: Practice) -> None:
    practice.customers(2)
    practice.sync("full")
    practice.act("unsubscribe", "c1@clinic.test")
    practice.engine.clock.move(minutes=10)
    practice.edit("1", first_name="Anna")
    run = practice.sync()
    assert practice.audience()["c1@clinic.test"] == "unsubscribed"
    assert run.counts.get("subscribe", 0) == 0
    practice.sync("full")
    assert practice.audience()["c1@clinic.test"] == "unsubscribed"


# -------------------------------------------------------------------------------------------------------- removed ones


@pytest.mark.fast
def test_removed_customers_are_archived(practice: Practice) -> None:
    practice.customers(3)
    practice.sync("full")
    practice.engine.clock.move(minutes=10)
    practice.remove("1")
    assert practice.sync().counts == {"archive": 1}
    practice.remove("2")
    assert practice.sync("full").counts == {"archive": 1}
    assert practice.audience() == {
        "c1@clinic.test": "archived",
        "c2@clinic.test": "archived",
        "c3@clinic.test": "subscribed",
    }
    assert practice.sync("full").status == "skipped"


def test_removed_customers_are_kept_where_the_department_wants_it(practice: Practice) -> None:
    practice.change_policy(on_removed="keep")
    practice.customers(2)
    practice.sync("full")
    practice.engine.clock.move(minutes=10)
    practice.remove("1")
    assert practice.sync().status == "skipped"
    assert practice.audience()["c1@clinic.test"] == "subscribed"
    assert practice.marks() == {}


def test_where_mailchimp_keeps_a_returned_customer_archived_it_is_told_and_not_tried_again(practice: Practice) -> None:
    practice.customers(1)
    practice.customer("2", "c2@clinic.test", None)
    practice.sync("full")
    practice.remove("2")
    practice.sync()
    practice.customer("3", "c2@clinic.test", None)
    run = practice.sync()
    assert run.counts == {"refused": 1}
    assert practice.codes(run, "refused") == [("3", "stays_archived")]
    assert practice.sync("full").status == "skipped"
    practice.engine.clock.move(minutes=10)
    practice.edit("3", marketing_consent={"status": "subscribed", "changed_at": "2026-03-02T12:05:00Z"})
    assert practice.sync().counts == {"subscribe": 1}
    assert practice.audience()["c2@clinic.test"] == "subscribed"


def test_a_member_that_was_there_before_its_customer_is_never_archived(practice: Practice) -> None:
    practice.join("c1@clinic.test")
    practice.customers(2)
    practice.sync("full")
    assert practice.member("c1@clinic.test")["merge_fields"]["FNAME"] == "Name 1"
    practice.remove("1", "2")
    practice.sync("full")
    assert practice.audience() == {"c1@clinic.test": "subscribed", "c2@clinic.test": "archived"}


@pytest.mark.parametrize("run_type", ["incremental", "full"])
def test_a_customer_that_comes_back_is_restored_as_it_was(practice: Practice, run_type: str) -> None:
    practice.customers(1)
    practice.customer("2", "silent@clinic.test", None)
    practice.sync("full")
    practice.engine.clock.move(minutes=10)
    practice.remove("1", "2")
    assert practice.sync(run_type).counts == {"archive": 2}  # type: ignore[arg-type]
    practice.engine.clock.move(minutes=10)
    practice.customers(1)
    practice.sync(run_type)  # type: ignore[arg-type]
    assert practice.audience()["c1@clinic.test"] == "subscribed"
    assert practice.sync("full").status == "skipped"


def test_an_opt_out_outlives_the_customer(practice: Practice) -> None:
    practice.customer("1", "no@clinic.test", "unsubscribed")
    practice.sync("full")
    practice.engine.clock.move(minutes=10)
    practice.remove("1")
    practice.sync()
    practice.engine.clock.move(minutes=10)
    practice.customer("2", "no@clinic.test", None)
    run = practice.sync()
    assert practice.audience() == {}
    assert [record.customer_id for record in practice.records(run, "held")] == ["2"]


# --------------------------------------------------------------------------------------------------- changed addresses


def move(practice: Practice, customer_id: str, address: str) -> None:
    practice.engine.clock.move(minutes=10)
    practice.edit(customer_id, email=address)


@pytest.mark.parametrize("on_removed", ["archive", "keep"])
@pytest.mark.parametrize("run_type", ["incremental", "full"])
def test_a_changed_address_renames_the_member(practice: Practice, run_type: str, on_removed: str) -> None:
    practice.change_policy(on_removed=on_removed)
    practice.customers(2)
    practice.sync("full")
    before = practice.member("c1@clinic.test")["contact_id"]
    move(practice, "1", "new@clinic.test")
    run = practice.sync(run_type)  # type: ignore[arg-type]
    assert (run.counts, run.planned, run.done) == ({"rename": 1}, 1, 1)
    assert practice.audience() == {"new@clinic.test": "subscribed", "c2@clinic.test": "subscribed"}
    assert practice.member("new@clinic.test")["contact_id"] == before
    assert practice.marks() == {}
    assert practice.sync().status == "skipped"
    assert practice.sync("full").status == "skipped"


def test_an_address_that_changes_back_renames_back(practice: Practice) -> None:
    practice.customers(1)
    practice.sync("full")
    move(practice, "1", "new@clinic.test")
    practice.sync()
    move(practice, "1", "c1@clinic.test")
    assert practice.sync().counts == {"rename": 1}
    assert practice.audience() == {"c1@clinic.test": "subscribed"}
    assert practice.sync("full").status == "skipped"


def test_an_address_known_from_before_can_be_taken_again_after_a_rename(practice: Practice) -> None:
    practice.customer("1", "c1@clinic.test", None)
    practice.sync("full")
    practice.engine.clock.move(minutes=10)
    practice.edit("1", marketing_consent={"status": "subscribed", "changed_at": "2026-03-02T12:05:00Z"})
    practice.sync()
    move(practice, "1", "new@clinic.test")
    assert practice.sync().counts == {"rename": 1}
    practice.sync("full")
    move(practice, "1", "c1@clinic.test")
    practice.sync()
    assert practice.audience() == {"c1@clinic.test": "subscribed"}


@pytest.mark.parametrize(("on_removed", "left_as"), [("archive", "archived"), ("keep", "subscribed")])
def test_onto_a_member_that_is_there_the_old_address_is_left_and_the_other_updated(
    practice: Practice, on_removed: str, left_as: str
) -> None:
    practice.change_policy(on_removed=on_removed)
    practice.join("taken@clinic.test")
    practice.customers(1)
    practice.sync("full")
    move(practice, "1", "taken@clinic.test")
    run = practice.sync()
    assert run.status == "success"
    assert practice.audience() == {"c1@clinic.test": left_as, "taken@clinic.test": "subscribed"}
    assert practice.member("taken@clinic.test")["merge_fields"]["FNAME"] == "Name 1"


@pytest.mark.parametrize(("on_removed", "left_as"), [("archive", "archived"), ("keep", "subscribed")])
@pytest.mark.parametrize("readings", [Readings(patch_renames=False)])
def test_where_mailchimp_renames_nobody_the_old_address_is_left_and_the_new_one_added(
    practice: Practice, on_removed: str, left_as: str
) -> None:
    practice.change_policy(on_removed=on_removed)
    practice.customers(1)
    practice.sync("full")
    move(practice, "1", "new@clinic.test")
    run = practice.sync()
    assert (run.status, run.counts, run.planned, run.done) == ("success", {"add": 1}, 1, 1)
    assert practice.audience() == {"c1@clinic.test": left_as, "new@clinic.test": "subscribed"}
    assert practice.sync("full").status == "skipped"


def test_of_two_customers_who_come_to_one_address_one_takes_the_member_along(practice: Practice) -> None:
    practice.customers(2)
    practice.sync("full")
    move(practice, "1", "both@clinic.test")
    practice.edit("2", email="both@clinic.test")
    assert practice.sync("full").counts == {"rename": 1, "archive": 1}
    assert sorted(practice.audience().values()) == ["archived", "subscribed"]
    assert practice.audience()["both@clinic.test"] == "subscribed"


@pytest.mark.fast
def test_a_no_at_the_old_address_goes_along_although_the_customer_was_edited_since(
    engine: Engine, practice: Practice
) -> None:
    practice.customers(1)
    practice.sync("full")
    move(practice, "1", "new@clinic.test")
    run_id = practice.start()
    engine.deliver_until(lambda: practice.run(run_id).phase == "plan")
    engine.staff.cancel(practice.id, run_id, by="user-1")
    engine.work()
    practice.act("unsubscribe", "c1@clinic.test")
    practice.edit("1", first_name="Anna")
    practice.sync()
    assert practice.audience().get("new@clinic.test") != "subscribed"
    assert practice.known("new@clinic.test").opt_out is not None


@pytest.mark.parametrize("run_type", ["incremental", "full"])
def test_a_yes_that_comes_after_a_new_address_renames_the_member_that_was_kept(
    practice: Practice, run_type: str
) -> None:
    practice.change_policy(on_removed="keep", unknown_consent="skip")
    practice.customers(1)
    practice.sync("full")
    move(practice, "1", "new@clinic.test")
    practice.edit("1", marketing_consent={"status": None, "changed_at": None})
    run = practice.sync()
    assert practice.codes(run, "held") == [("1", "no_consent")]
    practice.engine.clock.move(minutes=10)
    practice.edit("1", marketing_consent={"status": "subscribed", "changed_at": "2026-02-01T00:00:00Z"})
    assert practice.sync(run_type).counts == {"rename": 1}  # type: ignore[arg-type]
    assert practice.audience() == {"new@clinic.test": "subscribed"}
    assert practice.marks() == {}
    assert practice.sync("full").status == "skipped"


def test_who_was_brought_back_by_somebody_else_is_not_waited_for(practice: Practice) -> None:
    """We archived the old address and somebody subscribed it again: it is theirs, and the new one is added."""
    practice.change_policy(unknown_consent="skip")
    practice.customers(1)
    practice.sync("full")
    move(practice, "1", "new@clinic.test")
    practice.edit("1", marketing_consent={"status": None, "changed_at": None})
    practice.sync()
    practice.act("resubscribe", "c1@clinic.test")
    practice.sync()
    practice.edit("1", marketing_consent={"status": "subscribed", "changed_at": "2026-02-01T00:00:00Z"})
    assert practice.sync().counts == {"add": 1}
    assert practice.audience() == {"c1@clinic.test": "subscribed", "new@clinic.test": "subscribed"}


@pytest.mark.parametrize("on_removed", ["archive", "keep"])
def test_an_address_that_waited_for_one_that_was_then_decided_otherwise_is_decided_by_the_next_run(
    engine: Engine, practice: Practice, on_removed: str
) -> None:
    practice.change_policy(on_removed=on_removed)
    # The new address is decided before the old one, which is heard to be archived between the two.
    names = [f"c{number}@clinic.test" for number in range(100)]
    new = next(name for name in names if int(practice.key(name)[0], 16) % 2 == 0)
    old = next(name for name in names if int(practice.key(name)[0], 16) % 2 == 1)
    practice.customer("1", old)
    practice.sync("full")
    move(practice, "1", new)

    def decided(state: AddressState, other: AddressState, **circumstances: Any) -> Operation | Held:
        decision = plan_move(state, other, **circumstances)
        if state.member.address == new:
            practice.act("admin_archive", old)
            asked_at = engine.clock()
            found = engine.mailchimp_for(practice.department, lambda: 60.0).member(practice.audience_id, old)
            assert found is not None
            engine.observations.apply(practice.department, [observation_of(found, asked_at, "webhook")])
        return decision

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deciding, "plan_move", decided)
        patch.setattr(member_store, "map_ahead", lambda work, parts, ahead: map(work, parts))
        assert practice.sync("full").counts == {}
    practice.sync()
    assert practice.audience() == {old: "archived", new: "subscribed"}
    assert practice.marks() == {}


def test_a_clash_that_nobody_knew_of_ends_in_archive_and_add(practice: Practice) -> None:
    practice.customers(1)
    practice.sync("full")
    move(practice, "1", "taken@clinic.test")
    run_id = practice.start()
    practice.engine.deliver_until(lambda: practice.run(run_id).phase == "apply")
    practice.join("taken@clinic.test")
    practice.engine.work()
    run = practice.run(run_id)
    assert (run.status, run.counts, run.planned, run.done) == ("success", {"add": 1}, 1, 1)
    assert practice.audience() == {"c1@clinic.test": "archived", "taken@clinic.test": "subscribed"}
    assert practice.sync().status == "skipped"
    # What was archived by us comes back with its customer.
    move(practice, "1", "c1@clinic.test")
    practice.sync()
    assert practice.audience()["c1@clinic.test"] == "subscribed"


def test_who_unsubscribed_unheard_is_not_added_anew_where_mailchimp_names_the_clash_first(
    engine: Engine, practice: Practice
) -> None:
    practice.customer("1", "old@clinic.test")
    practice.sync("full")
    practice.edit("1", email="new@clinic.test")
    engine.clock.move(minutes=10)
    run_id = practice.start()
    engine.deliver_until(lambda: practice.run(run_id).phase == "apply")
    practice.act("unsubscribe", "old@clinic.test")
    clash = '"new@clinic.test" is already in this list with a status of "Deleted".'
    practice.fail(method="PATCH", path="/members/*", status=400, title="Invalid Resource", detail=clash, times=1)
    engine.work()
    practice.sync()
    assert set(practice.audience()) == {"old@clinic.test"}
    opt_out = practice.known("new@clinic.test").opt_out
    assert opt_out is not None and opt_out.route == "person"


def test_an_unsubscribed_address_is_left_and_the_new_one_decided_by_itself(practice: Practice) -> None:
    practice.customers(1)
    practice.sync("full")
    practice.act("unsubscribe", "c1@clinic.test")
    practice.sync()
    move(practice, "1", "new@clinic.test")
    practice.sync()
    assert "unsubscribed" in (practice.audience()["c1@clinic.test"], practice.known("c1@clinic.test").before_archive)
    assert practice.audience().get("new@clinic.test") != "subscribed"


def test_an_opt_out_at_the_old_address_goes_along_to_the_new_one_whatever_pracbill_has_heard(
    practice: Practice,
) -> None:
    practice.customers(1)
    practice.sync("full")
    move(practice, "1", "new@clinic.test")  # before the opt-out, which PracBill can only be told for the old address
    practice.act("unsubscribe", "c1@clinic.test")
    practice.sync()
    assert practice.audience().get("new@clinic.test") != "subscribed"
    assert practice.known("new@clinic.test").opt_out is not None
    practice.sync("full")
    assert practice.audience().get("new@clinic.test") != "subscribed"


def test_a_no_that_comes_with_a_new_address_unsubscribes_the_old_one_even_where_members_are_kept(
    practice: Practice,
) -> None:
    practice.change_policy(on_removed="keep")
    practice.customers(1)
    practice.sync("full")
    practice.engine.clock.move(minutes=10)
    no = {"status": "unsubscribed", "changed_at": moment_text(practice.engine.clock())}
    practice.edit("1", email="new@clinic.test", marketing_consent=no)
    practice.sync()
    assert practice.audience().get("c1@clinic.test") == "unsubscribed"
    assert practice.audience().get("new@clinic.test") != "subscribed"


def test_a_customer_that_loses_its_address_is_archived_and_told(practice: Practice) -> None:
    practice.customers(1)
    practice.sync("full")
    move(practice, "1", "not an address")
    run = practice.sync()
    assert run.counts == {"archive": 1, "held": 1, "invalid_email": 1}
    assert practice.audience() == {"c1@clinic.test": "archived"}


@pytest.mark.fast
def test_two_customers_that_exchange_their_addresses_keep_both_members(practice: Practice) -> None:
    practice.customers(2)
    practice.sync("full")
    practice.engine.clock.move(minutes=10)
    practice.edit("1", email="c2@clinic.test")
    practice.edit("2", email="c1@clinic.test")
    practice.sync()
    assert practice.audience() == {"c1@clinic.test": "subscribed", "c2@clinic.test": "subscribed"}
    assert practice.member("c1@clinic.test")["merge_fields"]["FNAME"] == "Name 2"


# ---------------------------------------------------------------------------------------------------- shared addresses


def test_customers_who_share_an_address_are_one_member_with_the_strictest_consent(practice: Practice) -> None:
    practice.customer("1", "both@clinic.test", first_name="Older", inactive="1")
    practice.customer("2", "Both@Clinic.Test ", None, first_name="Active")
    practice.customer("3", "both@clinic.test", first_name="Late", inactive="1")
    practice.customer("4", "no@clinic.test", first_name="Yes")
    practice.customer("5", "no@clinic.test", "unsubscribed")
    run = practice.sync("full")
    assert practice.audience() == {"both@clinic.test": "transactional"}
    assert practice.member("both@clinic.test")["merge_fields"]["FNAME"] == "Active"
    assert (run.counts["add"], practice.pushed()) == (1, 1)


def test_sharers_in_different_pages_are_still_one_member(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.pracbill.client.PAGE_SIZE", 2)
    practice.customer("1", "both@clinic.test", None, first_name="First")
    practice.customers(4, start=2)
    practice.customer("9", "both@clinic.test", first_name="Last")
    run = practice.sync("full")
    assert run.counts == {"add": 5}
    assert practice.audience()["both@clinic.test"] == "transactional"
    assert practice.member("both@clinic.test")["merge_fields"]["FNAME"] == "Last"


def test_the_member_stays_while_one_sharer_is_left(practice: Practice) -> None:
    practice.customer("1", "both@clinic.test", first_name="One")
    practice.customer("2", "both@clinic.test", first_name="Two")
    practice.sync("full")
    practice.engine.clock.move(minutes=10)
    practice.remove("2")
    assert practice.sync().counts == {"update": 1}
    assert practice.member("both@clinic.test")["merge_fields"]["FNAME"] == "One"
    practice.engine.clock.move(minutes=10)
    practice.remove("1")
    assert practice.sync().counts == {"archive": 1}


# --------------------------------------------------------------------------------------------- customers without a way


@pytest.mark.fast
def test_missing_and_invalid_addresses_are_told_with_cause_and_fix_and_the_rest_is_synced(practice: Practice) -> None:
    practice.customers(2)
    practice.customer("3", None)
    practice.customer("4", "  ")
    practice.customer("5", "ann.clinic.test")
    practice.customer("6", "ann@@clinic.test")
    run = practice.sync("full")
    assert practice.audience() == {"c1@clinic.test": "subscribed", "c2@clinic.test": "subscribed"}
    wrong = [("3", "no_email"), ("4", "no_email"), ("5", "invalid_email"), ("6", "invalid_email")]
    assert practice.codes(run, "held") == wrong
    assert all(record.cause and record.fix for record in practice.records(run, "held"))
    assert run.message == "2 added. 4 customers are held back (2 Invalid email); the records say why."
    assert practice.codes(practice.sync(), "held") == []
    assert practice.codes(practice.sync("full"), "held") == wrong


def test_an_address_that_is_put_right_is_added(practice: Practice) -> None:
    practice.customer("1", "wrong")
    practice.sync("full")
    practice.engine.clock.move(minutes=10)
    practice.edit("1", email="right@clinic.test")
    assert practice.sync().counts == {"add": 1}


# ----------------------------------------------------------------------------------------------------------- long plans


@pytest.mark.fast
def test_a_plan_goes_on_in_a_new_message_when_time_runs_out(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.pracbill.client.PAGE_SIZE", 3)
    addresses = practice.customers(11)
    engine.looks_at_time = 1
    run = practice.sync("full")
    assert (run.status, run.counts, run.customers_read) == ("success", {"add": 11}, 11)
    assert set(practice.audience()) == set(addresses)
    assert practice.pushed() == 11
    steps = [body["number"] for _, body in engine.handled if body["kind"] == "step"]
    assert len(steps) > 8, "a message for each page and partition was expected"
    assert practice.sync("full").status == "skipped"


def test_decisions_that_are_made_in_several_messages_put_no_address_in_two_chunks(
    engine: Engine, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.customers(9)
    practice.sync("full")
    monkeypatch.setattr(deciding, "_STATES_AT_ONCE", 2)
    engine.clock.move(minutes=10)
    for number in range(1, 10):
        practice.edit(str(number), first_name="Changed")
    engine.looks_at_time = 1
    run = practice.sync()
    assert (run.counts, run.chunks_total) == ({"update": 9}, 3)
    assert practice.pushed() == 9
    assert practice.marks() == {}


def test_after_a_full_run_that_died_the_next_one_decides_everything(engine: Engine, practice: Practice) -> None:
    practice.customers(3)
    practice.sync("full")
    engine.clock.move(minutes=10)
    practice.edit("1", first_name="Anna")
    practice.remove("2")
    run_id = practice.start("full")
    engine.deliver_until(lambda: practice.run(run_id).phase == "plan")
    engine.staff.cancel(practice.id, run_id, by="user-1")
    engine.work()
    assert practice.department.replan_all
    assert practice.sync().counts == {"update": 1, "archive": 1}
    assert not practice.department.replan_all


# ------------------------------------------------------------------------------------------ the order of PracBill's ids


class ListOf:
    """A PracBill with given pages of customers."""

    def __init__(self, engine: Engine, *pages: list[str]) -> None:
        self._pages = pages
        self.department = engine.pracbill_for(lambda: PLENTY).department

    def customers(self, department_id: str, *, after: str | None = None) -> Iterator[CustomerPage]:
        start = next((i + 1 for i, page in enumerate(self._pages) if page[-1] == after), 0)
        for index in range(start, len(self._pages)):
            records: tuple[Customer | BadRecord, ...] = tuple(
                Customer(id, "2026-03-01T00:00:00Z", email=f"id-{id}@clinic.test".lower()) for id in self._pages[index]
            )
            is_last = index == len(self._pages) - 1
            yield CustomerPage(records, None if is_last else self._pages[index][-1])


def store(engine: Engine, practice: Practice, *pages: list[str]) -> None:
    """Have a full listing stored, a message a page."""
    run_id = practice.start("full")
    run: Any = engine.runs.change(practice.id, run_id, lambda stored: replace(stored, phase="ingest"))
    pracbill: Any = ListOf(engine, *pages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.service, "other_pracbill", pracbill)
        while run is not None:
            run = engine.ingest_phase.step(practice.run(run_id), practice.department, lambda: 1.0)
    engine.staff.cancel(practice.id, run_id, by="user-1")


@pytest.mark.parametrize(
    "pages",
    [
        (["7", "9", "10"], ["A1", "b2"]),  # digits first
        (["-5", "7"], ["10", "A1"], ["b2"]),  # by bytes: some names before digits
        (["7", "9"], ["10", "10A"], ["11", "A1"]),  # by bytes: a name between digits
    ],
    ids=["digits first", "a name before digits", "a name between digits"],
)
def test_nobody_who_is_listed_is_taken_for_removed_in_whatever_order_names_and_numbers_come(
    engine: Engine, practice: Practice, pages: tuple[list[str], ...]
) -> None:
    everybody = {customer_key(id) for page in pages for id in page}
    for _ in range(2):
        store(engine, practice, *pages)
        assert {stored.customer_key for stored in engine.customers.ascending(practice.id)} == everybody
    shorter = [[id for id in page if id not in ("10", "A1")] for page in pages]
    store(engine, practice, *[page for page in shorter if page])
    left = {stored.customer_id for stored in engine.customers.ascending(practice.id)}
    assert left == {id for page in shorter for id in page}


class ChangesOf:
    """A PracBill with given pages of changes."""

    def __init__(self, engine: Engine, *pages: list[Customer]) -> None:
        self._pages = pages
        self.department = engine.pracbill_for(lambda: PLENTY).department

    def changes(self, department_id: str, *, since: str, cursor: str | None = None) -> Iterator[ChangePage]:
        for number, page in enumerate(self._pages, 1):
            yield ChangePage(tuple(page), str(number) if number < len(self._pages) else None, since)


def test_a_customer_that_changes_while_the_list_is_read_is_left_at_its_last_address(
    engine: Engine, practice: Practice
) -> None:
    practice.customers(3)
    practice.sync("full")
    run_id = practice.start()
    run = engine.runs.change(practice.id, run_id, lambda stored: replace(stored, phase="ingest"))
    record = practice.engine.pracbill.customer("1", department_id=practice.id)
    first = replace(customer_from_json(record), email="first@clinic.test")
    other = replace(customer_from_json(record), id="2", email="c2@clinic.test", first_name="Changed")
    pracbill: Any = ChangesOf(engine, [first, other], [replace(first, email="second@clinic.test")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.service, "other_pracbill", pracbill)
        engine.ingest_phase.step(run, practice.department, lambda: PLENTY)
    holders = {
        address: engine.members.state(practice.id, practice.key(address), practice.audience_id).address_customers
        for address in ("c1@clinic.test", "first@clinic.test", "second@clinic.test")
    }
    assert [address for address, address_customers in holders.items() if address_customers] == ["second@clinic.test"]


# --------------------------------------------------------------------------------------------------- what a plan costs


def test_where_addresses_stand_is_noted_for_many_shards_in_one_call(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, noted = batches.write_all, Counter[int]()

    def write_and_note(client: Any, table: str, requests: list[Any]) -> None:
        items = [one.get("PutRequest", {}).get("Item", {}) for one in requests]
        address_statuses = [item for item in items if item.get("addresses", {}).get("B")]
        noted.update([len(address_statuses)] if address_statuses else [])
        write(client, table, requests)

    practice.customers(10)
    monkeypatch.setattr(batches, "write_all", write_and_note)
    practice.sync("full")
    assert noted == {len(member_keys.SHARDS): 1}  # of each as it is and as it will be, in one item


def test_a_customer_is_kept_with_the_addresses_it_had_before(practice: Practice) -> None:
    addresses = ["first@clinic.test", "", "second@clinic.test", "third@clinic.test", "first@clinic.test"]
    for address in addresses:
        practice.customer("1", address)
        practice.sync()
        practice.customer("1", address, phone="+61 3 9555 0000")
        practice.sync()
    (stored,) = practice.engine.customers.ascending(practice.id)
    assert stored.address_key == practice.key("first@clinic.test")
    assert set(stored.previous_keys) == {practice.key("second@clinic.test"), practice.key("third@clinic.test")}


def test_the_members_of_a_shard_are_those_of_its_addresses(practice: Practice) -> None:
    practice.customers(3)
    practice.customer("4", "no@clinic.test", "unsubscribed")
    practice.join("foreign@clinic.test")
    practice.sync("full")
    store(practice.engine, practice, ["1", "2", "3", "4", "5"])  # at other addresses, of which nothing is known yet
    members, audience_id = practice.engine.members, practice.audience_id
    states = [state for part, _ in members.walk(practice.id, audience_id) for state in part]
    known = [state.member for state in states if state.member.status != "absent" or state.member.has_consent_state]
    assert [member for part, _ in members.walk_members(practice.id, audience_id) for member in part] == known
    assert (len(states), len(known)) == (10, 5)


def test_stored_customers_are_read_from_behind_a_key_that_nobody_has(engine: Engine, practice: Practice) -> None:
    store(engine, practice, ["1", "3", "a", "c"])
    read = engine.customers.ascending
    for after, expected in {"": ["1", "3", "a", "c"], customer_key("2"): ["3", "a", "c"], "1": ["a", "c"]}.items():
        assert [stored.customer_id for stored in read(practice.id, after=after)] == expected
