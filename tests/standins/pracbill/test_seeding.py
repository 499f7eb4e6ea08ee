"""What the seeded department is made of."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from infra.standins.pracbill import PracBillStandIn, composition, survey
from infra.standins.pracbill.consent import address_key
from infra.standins.pracbill.moments import parse_time
from infra.standins.pracbill.seeding import KINDS, seed_records
from tests.standins.pracbill.conftest import NOON, Caller, Clock

SAFE_ENDINGS = (".test", "@example.com", "@gmail.con")


@pytest.fixture(scope="session")
def by_kind(seeded: Caller) -> dict[str, list[dict[str, Any]]]:
    standin = seeded.standin
    return {kind: [found for i in ids if (found := standin.customer(i))] for kind, ids in standin.kinds().items()}


def test_the_same_seed_and_moment_give_the_same_customers() -> None:
    first, second = (seed_records(customers=300, seed=5, now=NOON) for _ in range(2))
    assert [record.encoded for record in first] == [record.encoded for record in second]
    assert first[0].encoded != seed_records(customers=300, seed=6, now=NOON)[0].encoded


def test_the_composition_is_what_is_there(by_kind: dict[str, list[dict[str, Any]]]) -> None:
    assert {kind: len(documents) for kind, documents in by_kind.items()} == composition()


@pytest.mark.parametrize("customers", [1, 30, 150, 5_000])
def test_the_composition_adds_up_for_any_size(customers: int) -> None:
    records = seed_records(customers=customers, seed=1, now=NOON)
    found = Counter(record.kind for record in records)
    assert {kind: count for kind, count in composition(customers).items() if count} == dict(found)
    assert sum(composition(customers).values()) - composition(customers)["removed"] == customers


def test_four_in_five_are_ordinary(by_kind: dict[str, list[dict[str, Any]]]) -> None:
    assert 0.75 <= len(by_kind["ordinary"]) / 2_000 <= 0.85


def test_no_address_can_belong_to_a_real_person(by_kind: dict[str, list[dict[str, Any]]]) -> None:
    malformed = {kind for kind in by_kind if kind.startswith(("email_with_", "email_without_", "email_of_"))}
    for kind in by_kind.keys() - malformed - {"removed"}:
        for document in by_kind[kind]:
            address = address_key(document.get("email"))
            assert not address or address.endswith(SAFE_ENDINGS)


def test_sharers_share_and_their_consents_differ(by_kind: dict[str, list[dict[str, Any]]]) -> None:
    couples = by_kind["couple_with_differing_consent"]
    by_address: dict[str, set[str]] = {}
    for document in couples:
        by_address.setdefault(address_key(document["email"]), set()).add(document["marketing_consent"]["status"])
    assert len(by_address) == len(couples) / 2
    assert all(len(statuses) == 2 for statuses in by_address.values())
    accountant = by_kind["companies_of_one_accountant"]
    assert len({document["email"] for document in accountant}) == 1
    assert {d["marketing_consent"]["status"] for d in accountant} == {"subscribed", "unsubscribed", None}


def test_long_names_have_a_character_across_the_255th_byte(by_kind: dict[str, list[dict[str, Any]]]) -> None:
    across = 0
    for document in by_kind["name_over_255_bytes"]:
        raw = document["company_name"].encode()
        assert len(raw) > 255
        across += raw[255] & 0xC0 == 0x80  # a continuation byte: the cut falls inside a character
    assert across >= 6


def test_what_is_missing_is_missing_in_every_way(by_kind: dict[str, list[dict[str, Any]]]) -> None:
    assert all(document["email"] is None for document in by_kind["email_null"])
    assert all("email" not in document for document in by_kind["email_absent"])
    assert all(document["email"].strip() == "" for document in by_kind["email_blank"])
    assert all(document.keys() == {"id", "updated_at"} for document in by_kind["only_required_fields"])
    assert all(d["address"]["postcode"].startswith("0") for d in by_kind["postcode_with_leading_zero"])


def test_every_kind_is_there(by_kind: dict[str, list[dict[str, Any]]]) -> None:
    assert {kind.name for kind in KINDS} <= by_kind.keys()


def test_the_survey_finds_every_state_in_numbers(seeded: Caller) -> None:
    counts = survey(seeded.standin.customers(), now=NOON)
    states = ["consent_subscribed", "consent_unsubscribed", "consent_unknown", "inactive_0", "inactive_1", "owing"]
    ages = ["invoice_recent", "invoice_old", "invoice_never"]
    assert all(counts[name] > 100 for name in states + ages)
    assert counts["shared_addresses"] == 16 + 8 + 10 + 1
    assert counts["without_address"] == 10 + 10 + 6 + 4 + composition()["only_required_fields"]


def test_updated_at_is_never_before_what_it_tells_of_nor_in_the_future(
    by_kind: dict[str, list[dict[str, Any]]],
) -> None:
    for document in (d for kind, documents in by_kind.items() if kind != "removed" for d in documents):
        consent = document.get("marketing_consent") or {}
        told = [document.get("created_at"), document.get("last_invoice_at"), consent.get("changed_at")]
        moments = [parse_time(text) for text in told if text]
        assert all(moment <= parse_time(document["updated_at"]) <= NOON for moment in moments)


def test_an_import_gave_many_customers_one_updated_at(by_kind: dict[str, list[dict[str, Any]]]) -> None:
    (_, count), *_ = Counter(d["updated_at"] for d in by_kind["ordinary"]).most_common(1)
    assert count > 50


def test_the_second_department_shares_some_addresses_with_the_first(seeded: Caller) -> None:
    standin = seeded.standin
    second = standin.customers(department_id=standin.second_department_id)
    first = {address_key(document.get("email")) for document in standin.customers()} - {""}
    assert len([d for d in second if address_key(d.get("email")) in first]) == 10


def test_generated_customers_are_new_changes_and_keep_clear_of_known_ids() -> None:
    clock = Clock()
    with PracBillStandIn(customers=100, now=clock) as standin:
        known = {document["id"] for document in standin.customers()}
        clock.moment += timedelta(hours=1)
        standin.generate(100)
        new = [document for document in standin.customers() if document["id"] not in known]
        assert len(new) == 100
        assert {parse_time(document["updated_at"]) for document in new} == {clock.moment}
