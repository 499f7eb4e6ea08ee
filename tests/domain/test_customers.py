"""Reading what PracBill sends, however messy, and the order of its ids."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.customers import (
    Address,
    Customer,
    RemovedCustomer,
    UnusableRecord,
    address_in_letters,
    address_key,
    change_from_json,
    customer_from_document,
    customer_from_json,
    customer_id_of,
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
    with pytest.raises(UnusableRecord, match=r"^a customer (without|that is not)"):
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


@pytest.mark.parametrize("word", ["subscribed", "unsubscribed"])
def test_a_clear_word_is_consent_with_its_time(word: str) -> None:
    record = {"id": "1", "updated_at": "now", "marketing_consent": {"status": word, "changed_at": " then "}}
    customer = customer_from_json(record)
    assert (customer.consent, customer.consent_changed_at) == (word, "then")
    assert customer_from_document(customer_to_document(customer)) == customer


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


@pytest.mark.parametrize("customer_id", ["0", "7", "007", "00", "10", "b", "1", "1b", "0b", "~", "1~1", "12345", "٣"])
def test_an_id_is_read_back_from_its_key(customer_id: str) -> None:
    assert customer_id_of(customer_key(customer_id)) == customer_id


@given(ids)
def test_any_id_is_read_back_from_its_key(customer_id: str) -> None:
    assert customer_id_of(customer_key(customer_id)) == customer_id


# -------------------------------------------------------------------------------------------------- a customer in full

FULL: dict[str, Any] = {
    "id": "7",
    "updated_at": "2026-03-01T00:00:00Z",
    "email": "zoe@clinic.test",
    "company_name": "Clinic",
    "first_name": "Zoë",
    "last_name": "Ng",
    "phone": "03 9999",
    "inactive": "0",
    "status": "open",
    "customer_type": "retail",
    "created_at": "2020-01-01",
    "last_invoice_at": "2026-02-01",
    "balance": "1.50",
    "address": {
        "line1": "1 High St",
        "line2": "Rear",
        "city": "Melbourne",
        "state": "VIC",
        "postcode": "3000",
        "country": "AU",
    },
    "marketing_consent": {"status": "unsubscribed", "changed_at": "2026-01-01T00:00:00Z"},
}


def test_every_field_of_a_record_is_read() -> None:
    customer = customer_from_json(FULL)
    assert customer == Customer(
        **{name: value for name, value in FULL.items() if name not in ("address", "marketing_consent")},
        address=Address("1 High St", "Rear", "Melbourne", "VIC", "3000", "AU"),
        consent="unsubscribed",
        consent_changed_at="2026-01-01T00:00:00Z",
    )
    assert json.loads(customer_to_document(customer)) == FULL


@pytest.mark.parametrize(
    "left_out", [field.name for field in fields(Customer) if field.name not in ("id", "updated_at")]
)
def test_a_document_holds_what_is_there_and_no_more(left_out: str) -> None:
    """Documents are stored once a customer: one written today must be the one written tomorrow."""
    empty = next(field.default for field in fields(Customer) if field.name == left_out)
    without: Any = {left_out: empty}
    customer = replace(customer_from_json(FULL), **without)
    document = customer_to_document(customer)
    assert customer_from_document(document) == customer
    if left_out in ("consent", "consent_changed_at"):
        assert json.loads(document).keys() == FULL.keys()
    else:
        assert json.loads(document).keys() == FULL.keys() - {left_out}


@pytest.mark.parametrize("part", ["line1", "line2", "city", "state", "postcode", "country"])
def test_a_part_of_an_address_is_kept_alone(part: str) -> None:
    customer = customer_from_json({"id": "7", "updated_at": "now", "address": {part: "x"}})
    assert customer.address == Address(**{part: "x"})
    assert json.loads(customer_to_document(customer)) == {"id": "7", "updated_at": "now", "address": {part: "x"}}
    assert customer_from_document(customer_to_document(customer)) == customer


@pytest.mark.parametrize(
    ("given_value", "kept"),
    [
        *((12.5, "12.5"), (0, "0"), (True, "true"), ([1, "x"], '[1, "x"]'), ({"a": None}, '{"a": null}')),
        *((" 1,250.00 ", "1,250.00"), (Decimal("1.50"), '"1.50"'), (None, ""), ("  ", "")),
    ],
)
@pytest.mark.parametrize("name", ["created_at", "last_invoice_at", "balance"])
def test_what_cannot_be_read_of_a_value_that_rules_look_at_does_not_pass_for_nothing(
    name: str, given_value: object, kept: str
) -> None:
    assert getattr(customer_from_json({"id": "1", "updated_at": "now", name: given_value}), name) == kept


@pytest.mark.parametrize(("length", "kept"), [(1_999, 1_999), (2_000, 2_000), (2_001, 2_000), (9_000, 2_000)])
def test_texts_are_cut_at_two_thousand_characters(length: int, kept: int) -> None:
    text = customer_from_json({"id": "1", "updated_at": "now", "company_name": "a" * length}).company_name
    assert text == "a" * kept


@pytest.mark.parametrize("length", [1, 200])
def test_an_id_may_have_two_hundred_characters(length: int) -> None:
    assert customer_from_json({"id": "i" * length, "updated_at": "now"}).id == "i" * length


def test_half_a_character_makes_no_text_unusable_but_the_id() -> None:
    customer = customer_from_json({"id": "ä", "updated_at": "now", "first_name": "half \ud800 of one"})
    assert customer.first_name.encode()
    assert len(fingerprint("half \ud800 of one", "UTC")) == 24


# ------------------------------------------------------------------------------------------------ one mailbox, one form


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("ann@bücher.test", "ann@xn--bcher-kva.test"),
        ("Ann@BÜCHER.test", "ann@xn--bcher-kva.test"),
        ("ann@bu\u0308cher.test", "ann@xn--bcher-kva.test"),
        ("ann@xn--bcher-kva.test", "ann@xn--bcher-kva.test"),
        ("josé@bücher.test", "josé@xn--bcher-kva.test"),
        ('"a@b"@bücher.test', '"a@b"@xn--bcher-kva.test'),
        ("josé@clinic.test", "josé@clinic.test"),
        ("bücher", "bücher"),
        ("ann@-ü-.test", "ann@-ü-.test"),
        ("ann@ü..test", "ann@ü..test"),
    ],
)
def test_a_domain_in_letters_and_in_punycode_is_one(written: str, form: str) -> None:
    assert mail_address(written) == form
    assert mail_address(form) == form


@pytest.mark.parametrize(
    ("form", "letters"),
    [
        ("ann@xn--bcher-kva.test", "ann@bücher.test"),
        ('"a@b"@xn--bcher-kva.test', '"a@b"@bücher.test'),
        ("xn--bcher-kva@clinic.test", "xn--bcher-kva@clinic.test"),
        ("ann@clinic.test", "ann@clinic.test"),
        ("ann@xn--\u00fc.test", "ann@xn--\u00fc.test"),
    ],
)
def test_the_other_spelling_of_an_address_is_in_letters(form: str, letters: str) -> None:
    assert address_in_letters(form) == letters


def test_an_address_key_stays_the_same_for_ever() -> None:
    """Another hash would lose every stored address."""
    assert address_key(b"salt", "ann@clinic.test") == "ea823a4236409a93f3d84378a50326a6"
