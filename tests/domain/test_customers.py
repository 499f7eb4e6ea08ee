"""Reading what PracBill sends, however messy, and the order of its ids."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.customers import (
    Customer,
    RemovedCustomer,
    UnusableRecord,
    address_key,
    change_from_json,
    customer_from_document,
    customer_from_json,
    customer_key,
    customer_to_document,
    fingerprint,
    mail_address,
)

FIELDS = (
    *("id", "email", "company_name", "first_name", "last_name", "phone", "address", "inactive", "status"),
    *("customer_type", "created_at", "last_invoice_at", "balance", "marketing_consent", "updated_at", "deleted"),
    *("line1", "city", "changed_at"),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.just("half \ud800 of one"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
    max_leaves=12,
)
messy_records = st.fixed_dictionaries(
    {"id": st.text(min_size=1, max_size=9), "updated_at": st.text(min_size=1, max_size=9)},
    optional={name: json_values for name in FIELDS if name not in ("id", "updated_at", "deleted")},
)
plain_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
ids = st.from_regex(r"[0-9]{1,6}", fullmatch=True) | plain_text


def in_pracbills_order(customer_id: str) -> tuple[int, int, bytes]:
    """Ids of digits numerically and first, others by bytes."""
    digits = customer_id.isascii() and customer_id.isdigit()
    return (0, int(customer_id), b"") if digits else (1, 0, customer_id.encode())


@given(st.lists(ids, unique=True))
def test_keys_sort_by_bytes_as_pracbill_sorts_ids(some: list[str]) -> None:
    by_key = sorted(some, key=lambda one: customer_key(one).encode())
    ranks = [in_pracbills_order(one) for one in by_key]
    assert ranks == sorted(ranks)


@given(ids, ids)
def test_no_two_customers_share_a_key(one: str, other: str) -> None:
    assert (customer_key(one) == customer_key(other)) == (one == other)


def test_leading_zeros_come_behind_the_number_they_stand_for() -> None:
    assert sorted(["b", "10", "007", "8", "7", "B", "-1", "٣"], key=customer_key) == [
        *("7", "007", "8", "10"),
        *("-1", "B", "b", "٣"),
    ]


@given(json_values)
def test_no_record_raises_anything_but_that_it_is_unusable(record: object) -> None:
    for read in (customer_from_json, change_from_json):
        try:
            read(record)
        except UnusableRecord:
            continue


@given(messy_records)
def test_a_document_is_read_back_as_the_customer_it_was_made_of(record: dict[str, Any]) -> None:
    try:
        customer = customer_from_json(record)
    except UnusableRecord:
        return
    document = customer_to_document(customer)
    assert customer_from_document(document) == customer_from_json(json.loads(document)) == customer
    assert customer_to_document(customer_from_document(document)) == document


@given(messy_records)
def test_every_customer_can_be_stored(record: dict[str, Any]) -> None:
    try:
        customer = customer_from_json(record)
    except UnusableRecord:
        return
    assert len(customer_to_document(customer).encode()) < 300_000
    assert customer_key(customer.id).encode()
    assert len(fingerprint(customer_to_document(customer), "UTC")) == 24


def test_a_cut_text_is_read_back_the_same() -> None:
    customer = customer_from_json({"id": "1", "updated_at": "now", "company_name": "a" * 1999 + " b" * 9})
    assert customer_from_document(customer_to_document(customer)) == customer


@pytest.mark.parametrize(
    "record",
    [
        *(None, [], "1", {}, {"id": "1"}, {"updated_at": "now"}, {"id": "", "updated_at": "now"}),
        *({"id": None, "updated_at": "now"}, {"id": True, "updated_at": "now"}, {"id": 1.5, "updated_at": "now"}),
        *({"id": "1", "updated_at": 5}, {"id": "1", "updated_at": " "}, {"id": "i" * 201, "updated_at": "now"}),
        {"id": "half \ud800", "updated_at": "now"},
    ],
)
def test_a_record_without_a_usable_id_and_time_is_unusable(record: object) -> None:
    with pytest.raises(UnusableRecord):
        customer_from_json(record)


def test_a_number_may_be_an_id() -> None:
    assert customer_from_json({"id": 42, "updated_at": "now"}).id == "42"


def test_texts_are_trimmed_and_what_is_no_text_is_missing() -> None:
    record = {"id": "1", "updated_at": "now", "first_name": " Ann ", "phone": 612, "status": ["x"], "email": None}
    customer = customer_from_json(record | {"address": "1 High St", "inactive": True})
    assert (customer.first_name, customer.phone, customer.status, customer.email) == ("Ann", "612", "", "")
    assert (customer.address.line1, customer.inactive) == ("", "")


@pytest.mark.parametrize("word", ["Subscribed", "yes", "", True, 1, None, ["subscribed"], {"status": "subscribed"}])
def test_only_a_clear_word_is_consent(word: object) -> None:
    record = {"id": "1", "updated_at": "now", "marketing_consent": {"status": word, "changed_at": "then"}}
    assert customer_from_json(record).consent is None


@pytest.mark.parametrize("consent", ["subscribed", True, None, [], {}])
def test_consent_of_another_shape_is_none(consent: object) -> None:
    record = {"id": "1", "updated_at": "now", "marketing_consent": consent}
    assert customer_from_json(record).consent is None


def test_a_removed_customer_is_told_by_true_alone() -> None:
    record = {"id": "1", "updated_at": "now"}
    assert change_from_json(record | {"deleted": True}) == RemovedCustomer("1", "now")
    for other in (False, None, "true", 1):
        assert isinstance(change_from_json(record | {"deleted": other}), Customer)


def test_only_a_one_marks_a_customer_as_inactive() -> None:
    record = {"id": "1", "updated_at": "now"}
    marks = {mark: customer_from_json(record | {"inactive": mark}).is_active for mark in ("1", "0", "", "yes")}
    assert marks == {"1": False, "0": True, "": True, "yes": True}


def test_the_fingerprint_knows_every_field_and_the_zone() -> None:
    record = {"id": "1", "updated_at": "now"}
    plain = fingerprint(customer_to_document(customer_from_json(record)), "UTC")
    assert fingerprint(customer_to_document(customer_from_json(dict(record))), "UTC") == plain
    assert fingerprint(customer_to_document(customer_from_json(record)), "Australia/Melbourne") != plain
    for change in ({"email": "a@b.test"}, {"address": {"city": "M"}}, {"marketing_consent": {"changed_at": "then"}}):
        assert fingerprint(customer_to_document(customer_from_json(record | change)), "UTC") != plain


def test_addresses_are_compared_trimmed_and_in_small_letters() -> None:
    assert mail_address(" Ann@Clinic.TEST ") == "ann@clinic.test"
    one_sign, two_signs = "jos\u00e9@clinic.test", "JOSE\u0301@clinic.test"
    assert mail_address(two_signs) == mail_address(one_sign) == one_sign


def test_an_address_key_tells_nothing_without_the_departments_salt() -> None:
    key = address_key(b"salt", "ann@clinic.test")
    assert len(key) == 32
    assert key == address_key(b"salt", "ann@clinic.test") != address_key(b"other", "ann@clinic.test")
