"""What staff read about values that Mailchimp does not get: which value, why, and what mends it."""

from __future__ import annotations

from typing import get_args

import pytest

from chalicelib.domain.fieldmap import WANTED_FIELDS, LeftOut, LeftOutCode
from chalicelib.domain.partly_sent import explain_left_out, explain_partly_sent

# One value of each case, with what its cause and what its fix must name.
CASES = [
    (LeftOut("FNAME", "cut"), "the end of the first name is cut off", "Shorten the first name in PracBill."),
    (
        LeftOut("ADDRESS", "cut", ("line1", "line2")),
        "the end of the first line and second line of the postal address is cut off",
        "Shorten the first line and second line of the postal address in PracBill.",
    ),
    (LeftOut("ADDRESS", "address_incomplete", ("city",)), "address has no city, so", "Complete the address"),
    (
        LeftOut("ADDRESS", "address_incomplete", ("line1", "city", "postcode")),
        "address has no first line, city and postcode, so",
        "Complete the address",
    ),
    (LeftOut("ADDRESS", "country_unknown"), "The country of the postal address is not known", "AU"),
    (LeftOut("ADDRESS", "state_missing"), "without a state", "Enter the state"),
    (LeftOut("PHONE", "us_phone"), "(123) 456-7890, so the phone number is left out.", "phone format to international"),
    (LeftOut("COMPANY", "field_unusable"), "no field COMPANY of the right type, so the company name", "Fix the field"),
    (LeftOut("LNAME", "value_refused"), "not accept the last name, so it is left out.", "Correct the last name"),
    (
        LeftOut("PHONE", "value_refused", ("Not a phone number.",)),
        "the phone number, so it is left out. Mailchimp says: Not a phone number.",
        "Correct the phone number",
    ),
]


def test_each_case_is_among_the_examples() -> None:
    assert {left_out.code for left_out, _, _ in CASES} == set(get_args(LeftOutCode))


@pytest.mark.parametrize(("left_out", "cause", "fix"), CASES)
def test_a_value_is_told_by_its_name_with_what_mends_it(left_out: LeftOut, cause: str, fix: str) -> None:
    told = explain_left_out(left_out)
    assert cause in told.cause
    assert fix in told.fix
    for sentence in (told.cause, told.fix):
        assert sentence.endswith(".") and not sentence.endswith("..")


@pytest.mark.parametrize("code", ["us_phone", "field_unusable"])
def test_where_the_field_is_at_fault_staff_are_led_to_its_page(code: LeftOutCode) -> None:
    assert "Audience fields and *|MERGE|* tags" in explain_left_out(LeftOut("PHONE", code)).fix


@pytest.mark.parametrize("tag", [wanted.tag for wanted in WANTED_FIELDS])
def test_each_field_has_a_name_that_staff_know(tag: str) -> None:
    (noun,) = [wanted.noun for wanted in WANTED_FIELDS if wanted.tag == tag]
    assert noun in explain_left_out(LeftOut(tag, "value_refused")).fix


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("line1", "first line"),
        ("line2", "second line"),
        ("city", "city"),
        ("state", "state"),
        ("postcode", "postcode"),
        ("country", "country"),
    ],
)
def test_each_part_of_an_address_has_a_name_that_staff_know(part: str, name: str) -> None:
    assert f"has no {name}, so" in explain_left_out(LeftOut("ADDRESS", "address_incomplete", (part,))).cause


def test_a_part_that_was_kept_under_another_name_is_told_by_it() -> None:
    """What was stored by another version must not keep staff from reading the rest."""
    told = explain_left_out(LeftOut("ADDRESS", "address_incomplete", ("district", "city")))
    assert "has no district and city, so" in told.cause


def test_all_values_of_a_customer_are_told_in_one_go_and_nothing_twice() -> None:
    first = LeftOut("ADDRESS", "address_incomplete", ("city",))
    second = LeftOut("ADDRESS", "address_incomplete", ("postcode",))
    told = explain_partly_sent([first, second, first])
    assert told.cause == (
        "Partly sent: The postal address has no city, so it is left out. "
        "The postal address has no postcode, so it is left out."
    )
    assert told.fix == "Complete the address in PracBill."


def test_fixes_of_several_values_follow_each_other() -> None:
    told = explain_partly_sent([LeftOut("FNAME", "cut"), LeftOut("LNAME", "cut")])
    assert told.fix == "Shorten the first name in PracBill. Shorten the last name in PracBill."
