"""The outside check itself: it must see every kind of wrong, and nothing where all is right."""

from __future__ import annotations

from typing import Any

import pytest

from infra.local.verify import Mailchimp, PracBill, Report, Verification
from tests.http_client.scripted import Reply, scripted_server

ADDRESS = {"line1": "1 High St", "line2": "", "city": "Perth", "state": "WA", "postcode": "0800", "country": "au"}
MEMBER_ADDRESS = {"addr1": "1 High St", "addr2": "", "city": "Perth", "state": "WA", "zip": "0800", "country": "AU"}


def customer(number: str = "1", **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "email": "Ann@Clinic.test ",
        "first_name": "Ann",
        "last_name": "Lee",
        "company_name": "Clinic",
        "phone": "0491 570 156",
        "address": ADDRESS,
        "inactive": "0",
        "marketing_consent": {"status": "subscribed", "changed_at": None},
        "updated_at": "2026-03-04T05:06:07Z",
        **changes,
    }


def consent(word: str | None) -> dict[str, Any]:
    return {"marketing_consent": {"status": word, "changed_at": None}}


def member(status: str = "subscribed", **values: Any) -> dict[str, Any]:
    fields = {"FNAME": "Ann", "LNAME": "Lee", "COMPANY": "Clinic", "PHONE": "0491 570 156", "ADDRESS": MEMBER_ADDRESS}
    return {"email_address": "Ann@Clinic.test", "status": status, "merge_fields": {**fields, **values}, "tags": []}


def check(
    customers: list[dict[str, Any]],
    members: dict[str, Any],
    *,
    before: dict[str, Any] | None = None,
    refused: tuple[str, ...] = (),
    **options: Any,
) -> Report:
    return Verification(
        customers, members, before=before or {}, is_refused=lambda address: address in refused, **options
    ).compare()


@pytest.mark.parametrize(
    ("word", "status"), [("subscribed", "subscribed"), (None, "transactional"), ("unsubscribed", None)]
)
def test_a_right_audience_has_no_differences(word: str | None, status: str | None) -> None:
    members = {"ann@clinic.test": member(status)} if status else {}
    assert check([customer(**consent(word))], members).differences == []


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("subscribed", None),
        ("subscribed", "transactional"),
        ("subscribed", "archived"),
        (None, "subscribed"),
        (None, None),
        ("unsubscribed", "subscribed"),
        ("unsubscribed", "transactional"),
    ],
)
def test_a_wrong_status_is_seen(word: str | None, status: str | None) -> None:
    members = {"ann@clinic.test": member(status)} if status else {}
    assert len(check([customer(**consent(word))], members).differences) == 1


@pytest.mark.parametrize("setting", ["skip", "transactional", "subscribe"])
def test_silence_is_what_the_department_makes_of_it(setting: str) -> None:
    status = {"transactional": "transactional", "subscribe": "subscribed"}.get(setting)
    members = {"ann@clinic.test": member(status)} if status else {}
    assert check([customer(**consent(None))], members, unknown_consent=setting).differences == []


@pytest.mark.parametrize("words", [("subscribed", "unsubscribed"), ("unsubscribed", None)])
def test_one_no_of_several_customers_is_a_no(words: tuple[str | None, str | None]) -> None:
    sharers = [customer(str(number), **consent(word)) for number, word in enumerate(words)]
    assert check(sharers, {}).differences == []
    assert check(sharers, {"ann@clinic.test": member("subscribed")}).differences


@pytest.mark.parametrize("tag", ["FNAME", "LNAME", "COMPANY", "PHONE", "ADDRESS"])
def test_a_wrong_field_is_seen(tag: str) -> None:
    report = check([customer()], {"ann@clinic.test": member(**{tag: ""})})
    assert [difference for difference in report.differences if tag in difference]


def test_the_active_and_latest_customer_speaks_for_a_shared_address() -> None:
    older = customer("1", first_name="Old")
    inactive = customer("2", first_name="Gone", inactive="1", updated_at="2026-09-01T00:00:00Z")
    newer = customer("3", updated_at="2026-05-01T00:00:00Z")
    assert check([older, inactive, newer], {"ann@clinic.test": member()}).differences == []
    assert check([older, inactive, newer], {"ann@clinic.test": member(FNAME="Gone")}).differences


def test_an_incomplete_address_is_not_sent_at_all() -> None:
    incomplete = customer(address={**ADDRESS, "city": None})
    assert check([incomplete], {"ann@clinic.test": member(ADDRESS="")}).differences == []
    assert check([incomplete], {"ann@clinic.test": member()}).differences


def test_long_values_are_cut_at_a_character() -> None:
    assert check([customer(company_name="é" * 200)], {"ann@clinic.test": member(COMPANY="é" * 127)}).differences == []


def test_a_field_that_is_not_ours_to_fill_is_not_judged() -> None:
    wrong = {"ann@clinic.test": member(COMPANY=7, ADDRESS="", PHONE="(049) 157-0156")}
    foreign = {"COMPANY", "ADDRESS", "PHONE"}
    assert check([customer()], wrong, foreign_fields=foreign).differences == []
    assert check([customer()], {"ann@clinic.test": member(FNAME="")}, foreign_fields=foreign).differences


@pytest.mark.parametrize("odd", [{"status": "maybe"}, {"status": True}, "subscribed", {}])
def test_what_is_not_a_clear_yes_is_silence(odd: Any) -> None:
    assert check([customer(marketing_consent=odd)], {"ann@clinic.test": member("transactional")}).differences == []


def test_a_number_counts_as_it_was_written() -> None:
    assert check([customer(phone=39000)], {"ann@clinic.test": member(PHONE="39000")}).differences == []


@pytest.mark.parametrize("moment", ["2026-03-04T05:06:07z", "2026-03-04t05:06:07.5+10:30"])
def test_times_may_have_every_form_of_rfc_3339(moment: str) -> None:
    latest = customer("2", first_name="Later", updated_at="2026-09-01T00:00:00Z")
    members = {"ann@clinic.test": member(FNAME="Later")}
    assert check([customer(updated_at=moment), latest], members).differences == []


def test_a_refused_address_may_be_missing_but_not_there() -> None:
    assert check([customer()], {}, refused=("ann@clinic.test",)).refused == 1
    assert check([customer()], {"ann@clinic.test": member()}, refused=("ann@clinic.test",)).differences


def test_a_member_nobody_knows_is_seen() -> None:
    assert check([], {"x@y.test": member()}).differences


class TestFirstContact:
    @pytest.mark.parametrize("status", ["subscribed", "unsubscribed", "cleaned", "transactional", "archived"])
    def test_mailchimps_status_stands(self, status: str) -> None:
        before = {"ann@clinic.test": member(status)}
        assert check([customer()], before, before=before).differences == []

    def test_an_opt_out_that_was_overruled_is_seen(self) -> None:
        before = {"ann@clinic.test": member("unsubscribed")}
        assert check([customer()], {"ann@clinic.test": member("subscribed")}, before=before).differences

    @pytest.mark.parametrize(
        ("given", "status"),
        [("2026-03-02T00:00:00z", "subscribed"), ("2026-03-01T00:00:00Z", "transactional"), (None, "transactional")],
    )
    def test_only_a_yes_that_came_later_raises_a_non_subscribed_member(self, given: str | None, status: str) -> None:
        before = {"ann@clinic.test": {**member("transactional"), "last_changed": "2026-03-01T12:00:00+00:00"}}
        agreed = customer(marketing_consent={"status": "subscribed", "changed_at": given})
        assert check([agreed], {"ann@clinic.test": member(status)}, before=before).differences == []
        other = "subscribed" if status == "transactional" else "transactional"
        assert check([agreed], {"ann@clinic.test": member(other)}, before=before).differences

    def test_a_member_whose_changes_mailchimp_refuses_keeps_its_values(self) -> None:
        before = {"ann@clinic.test": member(FNAME="Anna")}
        assert check([customer()], before, before=before, refused=("ann@clinic.test",)).differences == []
        assert check([customer()], before, before=before).differences

    def test_pracbills_no_unsubscribes(self) -> None:
        before = {"ann@clinic.test": member("subscribed")}
        after = {"ann@clinic.test": member("unsubscribed")}
        assert check([customer(**consent("unsubscribed"))], after, before=before).differences == []
        assert check([customer(**consent("unsubscribed"))], before, before=before).differences

    def test_foreign_members_are_as_they_were(self) -> None:
        before = {"x@y.test": member()}
        assert check([], before, before=before).differences == []
        assert check([], {"x@y.test": member(COMPANY2="")}, before=before).differences == []
        assert check([], {}, before=before).differences
        assert check([], {"x@y.test": member("archived")}, before=before).differences
        assert check([], {"x@y.test": member(FNAME="Other")}, before=before).differences


def test_differences_show_no_whole_address() -> None:
    (difference,) = check([customer()], {}).differences
    assert "ann@clinic.test" not in difference
    assert "a***@clinic.test" in difference


def test_addresses_of_servers_may_end_with_a_slash() -> None:
    with scripted_server() as server:
        server.will(Reply(200, {"lists": [{"id": "l1"}], "total_items": 1}), Reply(200, {"country": "AU"}))
        assert Mailchimp(f"{server.url}/3.0/", "key-us21").audience_ids() == ["l1"]
        assert PracBill(f"{server.url}/", "token", "d1").country() == "AU"
        assert [asked.path for asked in server.asked] == ["/3.0/lists", "/departments/d1"]
