"""Customers of whom Mailchimp does not get all: what is left out or cut is sent without, counted and explained."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain import planning
from chalicelib.domain.runs import buckets, held_by_reason
from chalicelib.sync.account.audience_fields import AudienceFields
from chalicelib.sync.reports.customer_report import verdict_of
from chalicelib.sync.runs.records import record_counts
from infra.standins.mailchimp import Readings
from tests.sync.engine import Practice

pytest_plugins = ("tests.sync.engine_fixtures",)

HOME = {"line1": "1 High St", "city": "Melbourne", "state": "VIC", "postcode": "3000", "country": "AU"}
AUCKLAND = {"line1": "2 Quay St", "city": "Auckland", "postcode": "1010", "country": "New Zealand"}
TAKEN = Readings(stats_cached_seconds=0, stateless_addresses_taken=True)


def address(practice: Practice, email: str) -> Any:
    return practice.member(email)["merge_fields"]["ADDRESS"]


def told(practice: Practice, email: str, customer_id: str) -> str:
    """What the customer's page says."""
    department = practice.department
    state = practice.engine.members.state(practice.id, practice.key(email), practice.audience_id)
    return verdict_of(department, state, customer_id, (), practice.engine.clock()).words


@pytest.mark.parametrize(
    ("country", "code"),
    [
        ("AUS", "AU"),
        ("Aust.", "AU"),
        ("United States of America", "US"),
        ("Spain", "ES"),
        ("Hong Kong", "HK"),
        ("GBR", "GB"),
        ("", "AU"),
    ],
)
def test_a_country_is_sent_as_its_code_however_it_is_written(practice: Practice, country: str, code: str) -> None:
    practice.customer("1", "ann@clinic.test", address={**HOME, "country": country})
    run = practice.sync()
    assert address(practice, "ann@clinic.test")["country"] == code
    assert "partly_sent" not in run.counts


CASES: list[tuple[dict[str, Any], str, str, str]] = [
    ({"address": {**HOME, "country": "Atlantis"}}, "country_unknown", "country", "for example Australia or AU"),
    ({"address": {**HOME, "country": "XX"}}, "country_unknown", "country", "for example Australia or AU"),
    ({"address": {**HOME, "city": None}}, "address_incomplete", "no city", "Complete the address in PracBill"),
    ({"address": {**HOME, "state": None}}, "address_incomplete", "no state", "Complete the address in PracBill"),
    ({"address": {**AUCKLAND}}, "state_missing", "without a state", "in PracBill"),
    ({"address": {**HOME, "line1": "x" * 300}}, "cut", "first line", "Shorten the first line"),
    ({"company_name": "é" * 200}, "cut", "company name", "Shorten the company name in PracBill"),
]


@pytest.mark.parametrize(("fields", "code", "cause", "fix"), CASES)
def test_what_is_left_out_is_counted_and_explained(
    practice: Practice, fields: dict[str, Any], code: str, cause: str, fix: str
) -> None:
    practice.customer("1", "ann@clinic.test", first_name="Ann", **fields)
    practice.customer("2", "bob@clinic.test", first_name="Bob", address=HOME)

    run = practice.sync()

    assert practice.member("ann@clinic.test")["merge_fields"]["FNAME"] == "Ann"
    assert (run.status, run.counts) == ("success", {"add": 2, "partly_sent": 1})
    assert "1 customer is partly sent" in run.message
    (record,) = practice.records(run, "partly_sent")
    assert (record.customer_id, record.action, record.code) == ("1", "add", code)
    assert record_counts(run) == {"failed": 0, "refused": 0, "held": 0, "partly_sent": 1, "planned": 0, "done": 1}
    assert [one.customer_id for one in practice.records(run)] == ["1", "2"]
    page = told(practice, "ann@clinic.test", "1")
    for words in (record.cause, page):
        assert cause in words
        assert "Partly sent" in words
    for words in (record.fix, page):
        assert fix in words
    assert "Partly sent" not in told(practice, "bob@clinic.test", "2")


def test_a_full_sync_tells_of_everybody_who_is_partly_sent_and_sends_nothing_again(practice: Practice) -> None:
    practice.customer("1", "ann@clinic.test", address={**HOME, "city": None})
    practice.customer("2", "bob@clinic.test", address=AUCKLAND)
    practice.customer("3", "cat@clinic.test", address=HOME)
    practice.sync()
    run = practice.sync("full")
    assert (run.status, practice.writes()) == ("skipped", [])
    assert practice.codes(run, "partly_sent") == [("1", "address_incomplete"), ("2", "state_missing")]
    assert buckets(run.counts) == {"partly_sent": 2}
    assert held_by_reason(run.counts) == {}
    assert "2 customers are partly sent" in run.message
    assert record_counts(run)["partly_sent"] == 2
    assert record_counts(run)["done"] == 0
    run = practice.sync()
    assert (run.status, practice.records(run), practice.writes()) == ("skipped", [], [])


def test_what_is_mended_in_pracbill_is_sent(practice: Practice) -> None:
    practice.customer("1", "ann@clinic.test", address=AUCKLAND)
    practice.sync()
    practice.edit("1", address={**AUCKLAND, "state": "Auckland"})
    run = practice.sync()
    assert address(practice, "ann@clinic.test")["state"] == "Auckland"
    assert run.counts == {"update": 1}
    assert "Partly sent" not in told(practice, "ann@clinic.test", "1")


@pytest.mark.parametrize("readings", [TAKEN])
def test_an_address_without_a_state_is_sent_where_mailchimp_takes_it(practice: Practice) -> None:
    practice.customer("1", "ann@clinic.test", address=AUCKLAND)
    run = practice.sync()
    assert address(practice, "ann@clinic.test") == {
        "addr1": "2 Quay St",
        "addr2": "",
        "city": "Auckland",
        "state": "",
        "zip": "1010",
        "country": "NZ",
    }
    assert run.counts == {"add": 1}
    run = practice.sync("full")
    assert (run.status, practice.writes()) == ("skipped", [])


def test_one_refused_address_in_many_costs_one_more_call(practice: Practice) -> None:
    practice.customers(30)
    practice.customer("99", "kim@clinic.test", address=AUCKLAND)
    run = practice.sync()
    assert run.counts == {"add": 31, "partly_sent": 1}
    assert [method for method, _ in practice.writes()] == ["POST", "POST"]
    assert practice.pushed() == 32


def test_what_one_refused_address_taught_is_not_asked_again(practice: Practice) -> None:
    practice.customer("98", "jo@clinic.test", address=AUCKLAND)
    practice.sync()
    practice.customers(30)
    practice.customer("99", "kim@clinic.test", address=AUCKLAND)
    run = practice.sync()
    assert run.counts == {"add": 31, "partly_sent": 1}
    assert practice.codes(run, "partly_sent") == [("99", "state_missing")]
    assert ([method for method, _ in practice.writes()], practice.pushed()) == (["POST"], 31)
    assert "without a state" in told(practice, "kim@clinic.test", "99")


def test_of_lanes_that_begin_at_once_only_one_is_taught(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample customers of a first full sync, in chunks of a tenth of the usual size. No chunk knows of another."""
    monkeypatch.setattr(planning, "MAX_CHUNK_OPERATIONS", 50)
    monkeypatch.setattr(AudienceFields, "note_state_required", lambda fields, department: department)
    practice.engine.pracbill.generate(2_000, department_id=practice.id)
    run = practice.sync("full")
    assert sum(code == "state_missing" for _, code in practice.codes(run, "partly_sent")) > 1
    assert run.chunks_total == -(-run.planned // 50) > 30
    assert [method for method, _ in practice.writes()] == ["POST"] * (run.chunks_total + 1)


def test_a_missing_state_explains_the_refusal_so_that_the_fields_are_not_looked_at_again(practice: Practice) -> None:
    practice.customer("1", "ann@clinic.test", address=AUCKLAND)
    practice.sync()
    entries = practice.control.journal()["entries"]
    assert sum(one["path"].endswith("/merge-fields") for one in entries) == 1


def test_an_address_without_a_state_is_tried_again_after_a_month(practice: Practice) -> None:
    practice.customer("1", "ann@clinic.test", address=AUCKLAND)
    practice.sync()
    practice.engine.clock.move(days=31)
    practice.customer("2", "bob@clinic.test", address=AUCKLAND)
    practice.sync()
    assert [method for method, _ in practice.writes()] == ["POST", "POST"]


def test_what_is_known_of_states_is_of_one_audience(practice: Practice) -> None:
    practice.customer("1", "ann@clinic.test", address=AUCKLAND)
    practice.sync()
    audience, now = practice.department.audience, practice.engine.clock()
    assert audience is not None
    assert audience.requires_state(now)
    assert not audience.requires_state(now + timedelta(days=30))
    assert not replace(audience, state_required_at=None).requires_state(now)


def test_a_dry_run_says_what_would_be_left_out(practice: Practice) -> None:
    practice.customer("1", "ann@clinic.test", address={**HOME, "city": None})
    run = practice.sync(dry_run=True)
    (record,) = practice.records(run, "planned")
    assert "no city" in record.cause
    assert practice.writes() == []


@pytest.mark.parametrize("consent", [None, "unsubscribed"])
def test_nothing_is_said_of_values_that_are_not_to_be_sent(practice: Practice, consent: str | None) -> None:
    practice.change_policy(unknown_consent="skip")
    practice.customer("1", "ann@clinic.test", consent, address={**HOME, "city": None})
    run = practice.sync()
    assert "partly_sent" not in run.counts
    assert "Partly sent" not in told(practice, "ann@clinic.test", "1")
