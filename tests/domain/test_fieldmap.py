"""What goes into Mailchimp's merge fields, in the forms and lengths that Mailchimp takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.customers import Address, Customer
from chalicelib.domain.fieldmap import (
    WANTED_FIELDS,
    FieldMap,
    LeftOut,
    cut_to_bytes,
    held_fingerprint,
    prepare,
    us_phone,
    values_fingerprint,
)

HOME = Address("1 High St", "Flat 2", "Melbourne", "VIC", "3000", "AU")
EVERY_TAG = tuple(wanted.tag for wanted in WANTED_FIELDS)
ANN = Customer(
    id="1",
    updated_at="2026-03-01T00:00:00Z",
    first_name="Ann",
    last_name="O'Hara",
    company_name="Clinic & Co",
    phone="03 9123 4567",
    address=HOME,
)


def merge_values(customer: Customer, fields: FieldMap) -> Any:
    return prepare(customer, fields).values


def address_value(address: Address, default_country: str) -> Any:
    """Mailchimp's address object, or None where none is sent."""
    fields = FieldMap(("ADDRESS",), country=default_country)
    return merge_values(replace(ANN, address=address), fields)["ADDRESS"] or None


def test_each_field_goes_where_the_guide_says() -> None:
    assert merge_values(ANN, FieldMap(EVERY_TAG)) == {
        "FNAME": "Ann",
        "LNAME": "O'Hara",
        "COMPANY": "Clinic & Co",
        "PHONE": "03 9123 4567",
        "ADDRESS": {
            "addr1": "1 High St",
            "addr2": "Flat 2",
            "city": "Melbourne",
            "state": "VIC",
            "zip": "3000",
            "country": "AU",
        },
    }


def test_empty_fields_empty_mailchimps() -> None:
    nobody = Customer(id="1", updated_at="2026-03-01T00:00:00Z")
    assert merge_values(nobody, FieldMap(EVERY_TAG)) == dict.fromkeys(EVERY_TAG, "")


def test_fields_that_the_audience_does_not_let_us_fill_are_left_out() -> None:
    assert merge_values(ANN, FieldMap(("LNAME",))) == {"LNAME": "O'Hara"}


def test_a_field_that_no_customer_has_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError, match="BIRTHDAY"):
        merge_values(ANN, FieldMap(("BIRTHDAY",)))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a" * 255, "a" * 255),
        ("a" * 256, "a" * 255),
        ("é" * 128, "é" * 127),
        ("a" + "\U0001f600" * 64, "a" + "😀" * 63),
    ],
)
def test_long_values_are_cut_between_characters(text: str, kept: str) -> None:
    assert cut_to_bytes(text) == kept


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), st.integers(0, 300))
def test_a_cut_text_is_the_longest_beginning_that_fits(text: str, limit: int) -> None:
    cut = cut_to_bytes(text, limit)
    assert text.startswith(cut)
    assert len(cut.encode()) <= limit
    assert cut == text or len(text[: len(cut) + 1].encode()) > limit


@pytest.mark.parametrize("missing", ["line1", "city", "state", "postcode"])
def test_an_address_is_sent_whole_or_not_at_all(missing: str) -> None:
    parts = {name: getattr(HOME, name) for name in ("line1", "line2", "city", "state", "postcode", "country")}
    assert address_value(Address(**(parts | {missing: ""})), "AU") is None


def test_an_address_needs_a_state_only_where_addresses_have_one() -> None:
    sent = {"NZ": True, "Germany": True, "GBR": True, "US": False, "CAN": False, "": False}
    for country, is_sent in sent.items():
        value = address_value(Address("1 High St", "", "M", "", "3000", country), "AU")
        assert (value is not None) == is_sent, country
        assert value is None or value["state"] == ""


def left_out(fields: FieldMap, **changed: Any) -> list[tuple[str, str]]:
    return [(one.tag, one.code) for one in prepare(replace(ANN, **changed), fields).left_out]


def test_what_is_left_out_is_named() -> None:
    home, american = FieldMap(EVERY_TAG, country="AU"), FieldMap(EVERY_TAG, us_phone=True)
    assert left_out(home) == []
    assert left_out(home, address=Address(country="Atlantis")) == []
    assert left_out(home, address=replace(HOME, country="Atlantis")) == [("ADDRESS", "country_unknown")]
    assert left_out(home, address=Address(city="Melbourne")) == [("ADDRESS", "address_incomplete")]
    assert left_out(home, company_name="x" * 256, first_name="é" * 128) == [("FNAME", "cut"), ("COMPANY", "cut")]
    assert left_out(american) == [("PHONE", "us_phone")]
    assert left_out(american, phone="") == []


def test_a_value_without_a_usable_field_is_left_out_where_there_is_one() -> None:
    names = FieldMap(("FNAME", "LNAME", "COMPANY"))
    assert left_out(names) == [("PHONE", "field_unusable"), ("ADDRESS", "field_unusable")]
    assert left_out(names, phone="", address=Address(country="AU")) == []


def test_what_is_left_out_or_cut_is_named_by_field_and_part() -> None:
    long = "x" * 256
    texts = {"first_name": "FNAME", "last_name": "LNAME", "company_name": "COMPANY", "phone": "PHONE"}
    for attribute, tag in texts.items():
        changed: dict[str, Any] = {attribute: long}
        cut = prepare(replace(ANN, **changed), FieldMap(EVERY_TAG)).left_out
        assert cut == (LeftOut(tag, "cut"),)
    parts = prepare(replace(ANN, address=replace(HOME, line2=long, city=long)), FieldMap(EVERY_TAG)).left_out
    assert parts == (LeftOut("ADDRESS", "cut", ("line2", "city")),)
    lacking = prepare(replace(ANN, address=Address("1 High St", country="US")), FieldMap(EVERY_TAG)).left_out
    assert lacking == (LeftOut("ADDRESS", "address_incomplete", ("city", "state", "postcode")),)


@pytest.mark.parametrize("tag", EVERY_TAG)
def test_each_value_without_a_field_is_named_beside_what_is_cut(tag: str) -> None:
    others = tuple(other for other in EVERY_TAG if other != tag)
    cut = "LNAME" if tag == "FNAME" else "FNAME"
    changed: dict[str, Any] = {"last_name" if tag == "FNAME" else "first_name": "x" * 256}
    found = prepare(replace(ANN, **changed), FieldMap(others)).left_out
    assert found == (LeftOut(cut, "cut"), LeftOut(tag, "field_unusable"))
    nobody = Customer(id="1", updated_at="2026-03-01T00:00:00Z", address=Address(country="AU"))
    assert prepare(nobody, FieldMap(others)).left_out == ()
    attributes = {"FNAME": "first_name", "LNAME": "last_name", "COMPANY": "company_name", "PHONE": "phone"}
    only: dict[str, Any] = {attributes.get(tag, "address"): HOME if tag == "ADDRESS" else "x"}
    assert prepare(replace(nobody, **only), FieldMap(others)).left_out == (LeftOut(tag, "field_unusable"),)


@pytest.mark.parametrize("part", ["line1", "line2", "city", "state", "postcode"])
def test_any_part_but_the_country_makes_an_address(part: str) -> None:
    one = prepare(replace(ANN, address=Address(**{part: "x", "country": "AU"})), FieldMap(EVERY_TAG)).left_out
    assert [left.code for left in one] == ["address_incomplete"]


@pytest.mark.parametrize("part", ["addr1", "addr2", "city", "state", "zip", "country"])
def test_every_part_of_an_address_counts_in_the_fingerprint(part: str) -> None:
    """Spaces around it do not, nor how the country is written."""
    fields = FieldMap(("ADDRESS",))
    held: Any = merge_values(ANN, fields)["ADDRESS"]
    ours = values_fingerprint({"ADDRESS": held})
    assert held_fingerprint({"ADDRESS": held | {part: "another"}}, fields) != ours
    assert held_fingerprint({"ADDRESS": held | {part: f" {held[part]} "}}, fields) == ours
    assert held_fingerprint({"ADDRESS": held | {"country": "au"}}, fields) == ours
    alone = {part: "x", "country": "AU"} if part != "country" else {"country": "AU"}
    is_nothing = held_fingerprint({"ADDRESS": alone}, fields) == values_fingerprint({"ADDRESS": ""})
    assert is_nothing is (part == "country")


def test_an_address_without_a_value_has_one_fingerprint_however_mailchimp_shows_it() -> None:
    fields = FieldMap(EVERY_TAG)
    nothing = values_fingerprint(dict.fromkeys(EVERY_TAG, ""))
    for empty in ("", None, {}, {"addr1": "", "addr2": "", "city": "", "state": "", "zip": "", "country": "US"}):
        assert held_fingerprint({"ADDRESS": empty, "OTHER": "x"}, fields) == nothing
    values = merge_values(ANN, fields)
    assert held_fingerprint({**values, "OTHER": 3}, fields) == values_fingerprint(values)
    assert held_fingerprint({**values, "FNAME": "Anna"}, fields) != values_fingerprint(values)


def test_the_second_line_of_an_address_may_be_missing() -> None:
    value = address_value(Address("1 High St", "", "Melbourne", "VIC", "3000", "AU"), "")
    assert value is not None
    assert value["addr2"] == ""


def test_parts_of_an_address_are_cut_as_texts_are() -> None:
    value = address_value(Address("é" * 200, "", "M", "VIC", "3000", "AU"), "")
    assert value is not None
    assert value["addr1"] == "é" * 127


@pytest.mark.parametrize(
    ("country", "code"),
    [
        ("", "AU"),
        ("nz", "NZ"),
        ("New Zealand", "NZ"),
        ("UNITED KINGDOM", "GB"),
        ("UK", "GB"),
        ("uk", "GB"),
        ("Österreich", None),
        ("ÖS", None),
        ("Atlantis", None),
        ("AUS", "AU"),
        ("Aust.", "AU"),
        ("United States of America", "US"),
        ("XX", None),
        ("EU", None),
    ],
)
def test_countries_are_codes_known_names_or_no_address(country: str, code: str | None) -> None:
    value = address_value(Address("1 High St", "", "M", "VIC", "3000", country), "AU")
    assert (value and value["country"]) == code


def test_without_any_country_there_is_no_address() -> None:
    assert address_value(Address("1 High St", "", "M", "VIC", "3000"), "") is None


@pytest.mark.parametrize(
    ("phone", "sent"),
    [
        ("212 555 0123", "(212) 555-0123"),
        ("+1 (212) 555-0123", "(212) 555-0123"),
        ("12125550123", "(212) 555-0123"),
        ("212.555.0123", "(212) 555-0123"),
        ("22125550123", ""),
        ("0412 345 678", ""),
        ("1300 736 155", ""),
        ("(03) 9123 4567", ""),
        ("+64 27 555 1234", ""),
        ("+61 2 9123 4567", ""),
        ("212 055 0123", ""),
        ("212 555 0123 ext 4", ""),
        ("212 555 012 or 3", ""),
        ("03 9123 456", ""),
        ("٢١٢٥٥٥٠١٢٣", ""),
        ("", ""),
    ],
)
def test_an_american_phone_field_gets_american_numbers_only(phone: str, sent: str) -> None:
    assert us_phone(phone) == sent


def test_the_fingerprint_knows_every_value_and_not_their_order() -> None:
    values = merge_values(ANN, FieldMap(EVERY_TAG))
    assert values_fingerprint(values) == values_fingerprint(dict(reversed(values.items())))
    for tag in EVERY_TAG:
        assert values_fingerprint(values | {tag: ""}) != values_fingerprint(values)


def test_a_fingerprint_stays_the_same_for_ever() -> None:
    """With another one all members would be sent again, or pass for changed in Mailchimp."""
    address: dict[str, str] = {"addr1": "1 High St", "city": "M", "state": "VIC", "zip": "3000", "country": "AU"}
    assert values_fingerprint({"FNAME": "Zoë", "ADDRESS": address, "PHONE": ""}) == "864ceae67986c2c36935"
