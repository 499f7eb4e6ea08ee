from __future__ import annotations

import re
from datetime import timedelta

import pytest

from chalicelib.domain.refusals import REFUSALS, classify, mask_addresses, our_field, refusal

E = "ann@clinic.test"

# Wordings as documented, recorded or reported between 2016 and 2026; `<e>` stands for the address.
WORDINGS = [
    ("Please provide a valid email address.", "invalid_email"),
    ("An email address must contain a single @", "invalid_email"),
    ("Invalid Resource: An email address must contain a single @", "invalid_email"),
    ("Required fields were not provided: email_address", "invalid_email"),
    ("The domain portion of the email address is invalid (the portion after the @: clinic)", "invalid_email"),
    ("<e> has unsubscribed, and cannot be resubscribed by you", "previously_unsubscribed"),
    ("<e> unsubscribed before; only they can re-subscribe", "previously_unsubscribed"),
    ("<e> has too many recent signups", "signup_throttle"),
    ("<e> is already subscribed to the list.", "already_member"),
    ("Your account has reached the contact limit of its plan.", "plan_full"),
    ("Invalid interest ID: 'abc'.", "unknown"),
    ("Invalid Resource: Please provide a valid email address.", "invalid_email"),
    ("<e> looks fake or invalid, please enter a real email address.", "looks_fake"),
    ("Invalid Resource: <e> looks fake or invalid, please enter a real email address.", "looks_fake"),
    (
        "<e> is in a compliance state due to unsubscribe, bounce, or compliance review and cannot be subscribed.",
        "compliance_state",
    ),
    (
        "<e> is already a list member in compliance state due to unsubscribe, bounce, or compliance review.",
        "compliance_state",
    ),
    ("Member In Compliance State: something worded anew about <e>", "compliance_state"),
    ("<e> has been cleaned and can not be subscribed.", "compliance_state"),
    ("<e> cannot be subscribed, because mail to it bounced.", "compliance_state"),
    ("<e> cannot be subscribed: the plan's number of contacts is used up.", "unknown"),
    (
        "<e> was permanently deleted and cannot be re-imported. The contact must re-subscribe to get back on the list.",
        "forgotten",
    ),
    (
        "<e> was previously removed from this audience. To rejoin, they'll need to sign up using a Mailchimp form.",
        "forgotten",
    ),
    ("Forgotten Email Not Subscribed: worded anew", "forgotten"),
    ("<e> has previously unsubscribed from this list and must opt in again.", "previously_unsubscribed"),
    (
        "<e> has signed up to a lot of lists very recently; we're not allowing more signups for now",
        "signup_throttle",
    ),
    ("Member Exists: <e> is already a list member. Use PUT to insert or update list members.", "already_member"),
    (
        "<e> is already a list member, do you want to update? please provide update_existing:true in the request body",
        "already_member",
    ),
    (
        "Method Not Allowed: This list member cannot be removed. Can not archive a contact that is bounced, pending or "
        "archived. Please contact support.",
        "cannot_archive",
    ),
    (
        'This member\'s status is "cleaned." You can only update email addresses for members with a status of '
        '"subscribed."',
        "cannot_rename",
    ),
    ('"<e>" is already in this list with a status of "Subscribed".', "rename_clash"),
    ('"<e>" is already in this list with a status of "deleted".', "rename_clash"),
    ("The resource submitted could not be validated. For field-specific details, see the 'errors' array.", "unknown"),
    ("Invalid interest ID: 'abc'.", "unknown"),
    ("", "unknown"),
]


@pytest.mark.parametrize(("wording", "code"), WORDINGS)
def test_every_known_wording_is_recognised_whoever_it_is_about(wording: str, code: str) -> None:
    for address in (E, "compliance.permanently-deleted@looks-fake.test", "o'hara+valid@email.test"):
        found = classify(wording.replace("<e>", address), "ERROR_GENERIC", address=address)
        assert found.code == code
        assert address not in found.words


@pytest.mark.parametrize(("wording", "code"), WORDINGS)
def test_capitals_and_line_ends_do_not_matter(wording: str, code: str) -> None:
    assert classify(wording.replace("<e>", E).upper().replace(" ", "\n ")).code == code


def test_the_code_of_the_bulk_call_is_enough_for_an_existing_contact() -> None:
    assert classify("reworded", "ERROR_CONTACT_EXISTS").code == "already_member"
    assert classify("reworded", "ERROR_GENERIC").code == "unknown"


@pytest.mark.parametrize(
    ("field", "message", "code", "named"),
    [
        ("PHONE", "Please enter a valid phone number", "merge_field_invalid", "the phone number (PHONE)"),
        ("LTV", "Please enter a number", "foreign_field_invalid", "the field LTV"),
        ("SHIPPING", "Please enter a complete address", "foreign_field_invalid", "the field SHIPPING"),
        ("merge_fields.ADDRESS.zip", "Please enter a value", "merge_field_required", "postal address"),
        ("merge_fields.X", "Data did not match any of the schemas described in anyOf.", "foreign_field_invalid", "X"),
        ("merge_fields.ADDRESS", "Please enter a complete address", "merge_field_invalid", "postal address"),
        ("MMERGE7", "Please enter a value", "foreign_field_required", "the field MMERGE7"),
        ("COMPANY", "This field is required", "merge_field_required", "company name"),
        ("COMPLIANCE", "Please enter a number", "foreign_field_invalid", "the field COMPLIANCE"),
        ("", "Data did not match: merge_fields.X", "merge_field_invalid", "one of the fields"),
        ("", "Schema describes string, integer found instead", "merge_field_invalid", "one of the fields"),
    ],
)
def test_a_refused_merge_field_is_named(field: str, message: str, code: str, named: str) -> None:
    found = classify("Your merge fields were invalid.", "ERROR_GENERIC", field, message)
    assert found.code == code
    assert named in found.cause


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("PHONE", "merge_field_invalid"),
        ("merge_fields.ADDRESS.zip", "merge_field_invalid"),
        ("MMERGE7", "foreign_field_invalid"),
        ("status", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_tag_alone_tells_that_a_field_was_refused(field: str, code: str) -> None:
    """Whatever words Mailchimp finds for it one day."""
    found = classify("Not accepted.", "ERROR_GENERIC", field, "Worded anew")
    assert (found.code, found.field) == (code, field if code != "unknown" else "")
    assert found.words == "Not accepted. Worded anew"


@pytest.mark.parametrize(
    ("field", "text", "tag"),
    [
        ("PHONE", "", "PHONE"),
        ("merge_fields.ADDRESS.zip", "", "ADDRESS"),
        ("merge_fields.FNAME", "PHONE is wrong", "FNAME"),
        ("LTV", "PHONE is wrong", ""),  # the field that is named counts, and this one is not ours
        ("", "PHONE is wrong", "PHONE"),
        ("", "merge_fields.PHONE: wrong", ""),
        ("", "PHONE and FNAME are wrong", ""),
        ("", "MYPHONE is wrong", ""),
        ("", "PHONE@clinic.test is wrong", ""),
        ("", "o.PHONE-line@clinic.test is wrong", ""),
        ("", "Please enter a complete address", "ADDRESS"),
        ("", "Please ENTER A COMPLETE ADDRESS", "ADDRESS"),
        ("", "Your merge fields were invalid.", ""),
    ],
)
def test_which_of_our_fields_is_meant(field: str, text: str, tag: str) -> None:
    assert our_field(field, text) == tag


_UNITS = {"minute": 60, "hour": 3600, "day": 86400}
_SPAN = re.compile(r"(\d+) (minute|hour|day)s?")


@pytest.mark.parametrize("code", REFUSALS)
def test_the_words_tell_the_days_on_which_it_is_tried_again(code: str) -> None:
    found = REFUSALS[code]
    spans = [timedelta(seconds=int(n) * _UNITS[unit]) for n, unit in _SPAN.findall(found.fix)]
    assert not spans or tuple(spans) == found.retry.delays
    assert ("twice more" not in found.fix) or len(found.retry.delays) == 2
    assert ("tried again" not in found.fix and "twice more" not in found.fix) or found.retry.delays


def test_some_words_do_tell_days() -> None:
    assert {code for code, found in REFUSALS.items() if _SPAN.search(found.fix)} == {"signup_throttle", "no_answer"}
    assert {code for code, found in REFUSALS.items() if "twice more" in found.fix} == {"plan_full", "unknown"}


def test_who_fails_the_call_is_told_so_whatever_the_text_says() -> None:
    found = classify("HTTP 500: already a list member", "FAILING_CALL")
    assert (found.code, found.words) == ("no_answer", "HTTP 500: already a list member")


def test_the_words_of_a_refusal_are_quoted_once_with_one_full_stop() -> None:
    found = refusal("plan_full", words="No room.")
    assert found.told == "Plan limit: The Mailchimp plan allows no further contacts. Mailchimp says: No room."
    assert refusal("plan_full").told == found.summary == "Plan limit: The Mailchimp plan allows no further contacts."


@pytest.mark.parametrize(
    ("field", "is_hinted"), [("PHONE", False), ("merge_fields.PHONE", False), ("", True), ("the phone", True)]
)
def test_who_does_not_learn_the_field_is_sent_to_the_contacts_profile(field: str, is_hinted: bool) -> None:
    for code in ("merge_field_invalid", "merge_field_required"):
        assert ("contact's profile" in refusal(code, field=field).fix) is is_hinted
        found = refusal(code, field=field, words="w")
        assert (found.field, found.words) == (field, "w")
        assert found.fix.startswith(("Correct ", "Enter it in PracBill"))
    assert "contact's profile" not in refusal("invalid_email").fix


@pytest.mark.parametrize(
    ("message", "is_required"),
    [
        ("Please enter a value", True),
        ("This field is required", True),
        ("It is a required field", True),
        ("You must provide one", True),
        ("It can't be blank", True),
        ("It cannot be blank", True),
        ("Please enter a number", False),
    ],
)
def test_a_value_that_is_missing_is_told_from_one_that_is_wrong(message: str, is_required: bool) -> None:
    assert classify("Odd.", "", "PHONE", message).code == f"merge_field_{'required' if is_required else 'invalid'}"


@pytest.mark.parametrize("length", [299, 300, 301])
def test_long_words_are_cut_at_three_hundred_characters(length: int) -> None:
    words = mask_addresses("x" * length)
    assert words == ("x" * length if length <= 300 else "x" * 299 + "…")


@pytest.mark.parametrize("message", ["Please enter a value", "Please enter a number"])
def test_a_field_is_mended_where_it_is_filled(message: str) -> None:
    for tag in ("COMPANY", "FNAME", "LNAME", "PHONE", "ADDRESS"):
        assert "in PracBill" in classify("Your merge fields were invalid.", "", tag, message).fix
    for tag in ("SHIPPING", "MMERGE7", "BIRTHDAY"):
        fix = classify("Your merge fields were invalid.", "", tag, message).fix
        assert "in Mailchimp" in fix and "PracBill" not in fix and "unsubscribe it" in fix


def test_a_refused_address_field_is_an_invalid_email() -> None:
    text = "The resource submitted could not be validated."
    assert classify(text, "", "email_address", "Schema describes string, NULL found instead").code == "invalid_email"
    assert classify(text, "", "email_address", "This value should not be blank.").code == "invalid_email"


def test_titles_are_those_of_the_user_guide() -> None:
    assert {REFUSALS[code].title for code in ("invalid_email", "looks_fake")} == {"Invalid email"}
    sealed = ("compliance_state", "previously_unsubscribed", "forgotten")
    assert {REFUSALS[code].title for code in sealed} == {"Compliance state"}


def test_every_refusal_explains_itself_completely() -> None:
    for code in REFUSALS:
        found = refusal(code, field="PHONE", words="w")
        assert found.code == code and found.words == "w"
        assert found.title and found.cause.endswith(".") and found.fix.endswith(".")
        assert "{" not in found.cause + found.fix


def test_a_code_that_was_kept_by_an_older_version_is_unknown() -> None:
    assert refusal("long_gone").code == "unknown"


def test_a_throttled_address_is_tried_after_five_minutes_and_one_two_and_seven_days() -> None:
    rule = REFUSALS["signup_throttle"].retry
    days = [timedelta(days=n) for n in (1, 2, 7)]
    assert [rule.next_delay(n) for n in range(1, 6)] == [timedelta(minutes=5), *days, None]
    assert rule.next_delay(0) is None


@pytest.mark.parametrize("code", ["invalid_email", "looks_fake", "merge_field_invalid"])
def test_what_only_an_edit_can_mend_waits_for_one(code: str) -> None:
    assert REFUSALS[code].retry.delays == ()
    assert REFUSALS[code].retry.next_delay(1) is None


@pytest.mark.parametrize("code", ["compliance_state", "previously_unsubscribed", "forgotten"])
def test_an_opt_out_is_never_tried_again_by_itself(code: str) -> None:
    assert REFUSALS[code].retry.delays == ()
    assert REFUSALS[code].retry.next_delay(1) is None


def test_unknown_words_are_kept_without_addresses_and_in_reasonable_length() -> None:
    found = classify(f"Der Kontakt <{E}> und {E.upper()}, oder mailto:{E} wurde abgelehnt." + "x" * 1000)
    assert found.code == "unknown"
    assert "clinic" not in found.words.lower()
    assert len(found.words) <= 300
    assert found.words.startswith("Der Kontakt <(address)> und (address), oder mailto:(address) wurde")


def test_an_address_that_is_none_is_masked_where_it_is_quoted() -> None:
    assert mask_addresses("AAAAA looks odd, aaaaa!", "AAAAA") == "(address) looks odd, (address)!"
    assert mask_addresses('"john doe"@x.test is odd', '"john doe"@x.test') == "(address) is odd"
    assert classify("a is not a valid email", address="a").code == "invalid_email"
