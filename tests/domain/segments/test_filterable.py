"""The form in which customers are compared: whatever PracBill sends, it never raises and never guesses."""

from __future__ import annotations

import json
import sys
import unicodedata
from dataclasses import replace
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.customers import Address, Customer
from chalicelib.domain.segments.fields import LONGEST_VALUE
from chalicelib.domain.segments.filterable import (
    LONGEST_TEXT,
    READABLE_ATTRIBUTES,
    Filterable,
    comparable_text,
    filterable,
    filterable_from_document,
    filterable_to_document,
    number_of,
    sample_from_document,
    sample_of,
    sample_to_document,
)
from tests.domain.messy_customers import ZONES, customers, days

MELBOURNE = ZoneInfo("Australia/Melbourne")
NOBODY = Customer(id="7", updated_at="2026-01-01T00:00:00Z")


def test_a_customer_of_which_nothing_is_known_has_no_attribute() -> None:
    assert filterable(NOBODY, MELBOURNE) == Filterable()
    assert filterable_to_document(Filterable()) == "[]"


def test_texts_are_trimmed_and_lose_their_case() -> None:
    customer = replace(NOBODY, company_name=" ACME Straße ", address=Address(state="\tVic\n", city=" \u00a0 "))
    found = filterable(customer, MELBOURNE)
    assert (found.company_name, found.state, found.city) == ("acme strasse", "vic", None)


def test_every_text_field_is_read_from_its_own_place() -> None:
    customer = replace(
        NOBODY,
        email="e",
        company_name="n",
        address=Address("l1", "l2", "ci", "st", "po", "co"),
        inactive="0",
        status="su",
        customer_type="ty",
    )
    assert filterable(customer, MELBOURNE) == Filterable(
        email="e",
        company_name="n",
        city="ci",
        state="st",
        postcode="po",
        country="co",
        inactive="0",
        status="su",
        customer_type="ty",
    )


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("3000", "3000"),
        (" 12 ", "12"),
        ("0800", "800"),
        ("-5", "-5"),
        ("3.50", "3.5"),
        ("-0", "0"),
        ("9" * 20, "9" * 20),
        ("0." + "0" * 18 + "1", "1e-19"),
    ],
)
def test_a_text_that_is_a_plain_number_gets_a_numeric_twin(written: str, number: str) -> None:
    found = filterable(replace(NOBODY, address=Address(postcode=written)), MELBOURNE)
    assert number_of(found.postcode) == Decimal(number)
    assert found.postcode == written.strip()


@pytest.mark.parametrize(
    "written",
    [
        "1e5",
        "$100",
        "1,000",
        "+5",
        ".5",
        "5.",
        "NaN",
        "Infinity",
        "0x10",
        "1_000",
        "１２",
        "٣",
        "1 2",
        "--1",
        "-",
    ],
)
def test_what_is_not_plainly_a_number_stays_a_text(written: str) -> None:
    found = filterable(replace(NOBODY, address=Address(postcode=written), balance=written), MELBOURNE)
    assert found.postcode == written.casefold()
    assert number_of(found.postcode) is None
    assert found.balance is None


def test_a_number_of_more_than_20_digits_is_a_text() -> None:
    assert number_of(filterable(replace(NOBODY, address=Address(postcode="9" * 21)), MELBOURNE).postcode) is None


@pytest.mark.parametrize(
    ("written", "balance"),
    [("0.30", "0.3"), ("-12.50", "-12.5"), ("9" * 38, "9" * 38), ("9" * 39, None), ("", None), ("12.5 AUD", None)],
)
def test_balances_are_exact_to_38_digits(written: str, balance: str | None) -> None:
    found = filterable(replace(NOBODY, balance=written), MELBOURNE).balance
    assert found == (None if balance is None else Decimal(balance))


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-01-05T12:59:59Z", "2026-01-05"),
        ("2026-01-05T13:00:00Z", "2026-01-06"),  # midnight in Melbourne, summer time
        ("2026-07-05T13:59:59Z", "2026-07-05"),
        ("2026-07-05T14:00:00Z", "2026-07-06"),  # midnight in Melbourne, winter time
        ("2026-01-05T23:59:59.999999999+11:00", "2026-01-05"),
        ("2026-01-05T00:00:00-11:00", "2026-01-05"),
        ("2026-01-05t13:00:00z", "2026-01-06"),
        ("2016-12-31T12:59:60Z", "2016-12-31"),  # a leap second
        ("2026-01-05 13:00:00", "2026-01-06"),  # without offset: UTC
        ("2026-01-05", "2026-01-05"),  # a bare date is that day
        ("2024-02-29T00:00:00Z", "2024-02-29"),
    ],
)
def test_moments_become_days_of_the_departments_calendar(moment: str, day: str) -> None:
    found = filterable(replace(NOBODY, created_at=moment, last_invoice_at=moment), MELBOURNE)
    assert (found.created_on, found.last_invoice_on) == (day, day)


@pytest.mark.parametrize(
    "moment",
    [
        "never",
        "0000-00-00",
        "2025-02-29T10:00:00Z",
        "2026-13-01",
        "2026-01-05T25:00:00Z",
        "2026-01-05T10:00:00+99:00",
        "20260105",
        "2026-W02-1",
        "1767571200",
        "12026-01-05T10:00:00Z",
        "9999-12-31T23:00:00Z",  # the year 10000 in Melbourne
        "2026-01-05" * 100_000,
        "2026-01-\ud800",
    ],
)
def test_what_is_no_moment_is_no_day(moment: str) -> None:
    assert filterable(replace(NOBODY, created_at=moment), MELBOURNE).created_on is None


def test_the_first_day_of_the_calendar_may_lie_before_it_elsewhere() -> None:
    first = replace(NOBODY, created_at="0001-01-01T00:00:00Z")
    assert filterable(first, ZoneInfo("America/New_York")).created_on is None
    assert filterable(first, ZoneInfo("UTC")).created_on == "0001-01-01"


def test_no_value_of_a_rule_grows_so_long_that_a_cut_text_could_equal_it() -> None:
    # What Unicode has given no meaning to has neither case nor parts: nothing becomes of it but itself.
    meant = [sign for sign in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(sign) not in ("Cn", "Co")]
    longest = max(len(comparable_text(sign) or "") for sign in meant)
    assert longest * LONGEST_VALUE < LONGEST_TEXT


@given(st.text(max_size=20))
def test_a_text_compared_twice_is_the_same(text: str) -> None:
    once = comparable_text(text) or ""
    assert (comparable_text(once) or "") == once


def test_half_characters_are_replaced_because_no_database_stores_them() -> None:
    found = filterable(replace(NOBODY, company_name="A\ud800B"), MELBOURNE)
    assert found.company_name == "a?b"


def test_endless_texts_are_cut_so_that_a_customer_always_fits_into_the_database() -> None:
    endless = "\U0001f600" * 400_000
    address = Address(endless, endless, endless, endless, endless, endless)
    customer = Customer("7", "2026-01-01T00:00:00Z", endless, endless, endless, endless, endless, address, endless)
    customer = replace(customer, status=endless, customer_type=endless, created_at=endless, balance=endless)
    document = filterable_to_document(filterable(customer, MELBOURNE))
    assert {len(text) for text in json.loads(document) if text} == {LONGEST_TEXT}
    assert len(document.encode()) + len(sample_to_document(sample_of(customer)).encode()) < 100_000


def test_a_sample_shows_what_pracbill_wrote_and_survives_storing() -> None:
    customer = replace(NOBODY, email="Jo@Example.com", company_name='Łódź "Bau" \ud800', first_name="Jo")
    sample = sample_of(customer)
    assert (sample.id, sample.email, sample.company_name) == ("7", "Jo@Example.com", 'Łódź "Bau" ?')
    assert sample_from_document("7", sample_to_document(sample)) == sample
    sample_to_document(sample).encode()


@given(days.flatmap(customers), st.sampled_from(ZONES))
def test_any_customer_can_be_stored_and_read_back(customer: Customer, zone: ZoneInfo) -> None:
    found = filterable(customer, zone)
    document = filterable_to_document(found)
    assert filterable_from_document(document) == found
    assert document.encode()
    assert set(found.unreadable) == {
        name for name in READABLE_ATTRIBUTES if getattr(found, f"{name}_unreadable") is not None
    }


def test_a_common_customer_takes_few_bytes() -> None:
    """Each reading of all customers pays for them."""
    customer = replace(
        NOBODY,
        email="someone@clinic.example",
        company_name="Harbour Health Pty Ltd",
        address=Address(city="Melbourne", state="VIC", postcode="3000", country="AU"),
        inactive="0",
        status="Active",
        customer_type="Business",
        created_at="2024-03-05T10:00:00Z",
        last_invoice_at="2026-06-30T10:00:00Z",
        balance="1250.00",
    )
    assert filterable_to_document(filterable(customer, MELBOURNE)) == (
        '["harbour health pty ltd","someone@clinic.example","melbourne","vic","3000","au","0","active","business",'
        '"2024-03-05","2026-06-30","1250.00"]'
    )
