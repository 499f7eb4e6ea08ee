from __future__ import annotations

import pytest

from chalicelib.domain.audiences import MergeField
from chalicelib.domain.fieldmap import WANTED_FIELDS, FieldMap
from chalicelib.domain.preflight import AudienceTraits, check_audience, fields_message, missing_fields


def found(tag: str, type: str, *, required: bool = False, phone_format: str = "", merge_id: int = 0) -> MergeField:
    return MergeField(merge_id, tag, type, required, phone_format)


COMPLETE = (
    found("FNAME", "text"),
    found("LNAME", "text"),
    found("ADDRESS", "address"),
    found("PHONE", "phone", phone_format="none"),
    found("COMPANY", "text"),
)
PLAIN = AudienceTraits()


def with_field(changed: MergeField) -> tuple[MergeField, ...]:
    return tuple(changed if field.tag == changed.tag else field for field in COMPLETE)


def codes(*fields: MergeField, traits: AudienceTraits = PLAIN) -> list[str]:
    return [finding.code for finding in check_audience(fields, traits, country="AU").findings]


def test_an_audience_as_we_want_it_lacks_nothing_and_says_nothing() -> None:
    checked = check_audience(COMPLETE, PLAIN, country="au")
    assert missing_fields(COMPLETE) == ()
    assert set(checked.fields.tags) == {wanted.tag for wanted in WANTED_FIELDS}
    assert (checked.fields.us_phone, checked.fields.country) == (False, "AU")
    assert checked.findings == ()


def test_a_field_that_is_absent_is_missing_and_one_with_a_tag_in_small_letters_is_not() -> None:
    fields = (*COMPLETE[:3], found("phone", "phone"))
    assert [wanted.tag for wanted in missing_fields(fields)] == ["COMPANY"]


def test_a_field_of_another_type_is_not_missing_but_clashes_and_is_left_out() -> None:
    fields = with_field(found("COMPANY", "number"))
    assert missing_fields(fields) == ()
    checked = check_audience(fields, PLAIN, country="AU")
    assert "COMPANY" not in checked.fields.tags
    assert len(checked.fields.tags) == len(WANTED_FIELDS) - 1
    (finding,) = checked.findings
    assert (finding.code, finding.severity) == ("field_type_clash", "warning")
    assert "COMPANY" in finding.message
    assert "number" in finding.message
    assert finding.params == {"field": "COMPANY", "type": "number", "wanted": "text"}
    assert "select the audience again" in finding.fix


def test_a_field_whose_type_mailchimp_does_not_tell_is_of_an_unknown_one() -> None:
    (finding,) = check_audience(with_field(found("COMPANY", "")), PLAIN, country="AU").findings
    assert finding.params == {"field": "COMPANY", "type": "unknown", "wanted": "text"}
    assert "of type unknown instead of text" in finding.message


def test_fields_that_mailchimp_did_not_create_are_left_out_and_named_together() -> None:
    checked = check_audience(COMPLETE[:3], PLAIN, country="AU")
    assert set(checked.fields.tags) == {"FNAME", "LNAME", "ADDRESS"}
    (finding,) = checked.findings
    assert finding.code == "field_not_created"
    assert "COMPANY, PHONE" in finding.message
    assert finding.params == {"fields": "COMPANY, PHONE"}


def test_a_phone_field_that_takes_american_numbers_only_is_filled_with_those() -> None:
    checked = check_audience(with_field(found("PHONE", "phone", phone_format="US")), PLAIN, country="US")
    assert checked.fields.us_phone
    assert [finding.code for finding in checked.findings] == ["us_phone_only"]


def test_a_phone_field_of_another_type_says_nothing_about_its_format() -> None:
    assert codes(*with_field(found("PHONE", "text", phone_format="US"))) == ["field_type_clash"]


def test_a_required_field_that_we_do_not_fill_is_named() -> None:
    fields = (*COMPLETE, found("PET", "text", required=True), found("NOTE", "text"))
    (finding,) = check_audience(fields, PLAIN, country="AU").findings
    assert (finding.code, finding.severity) == ("required_fields", "info")
    assert "PET" in finding.message
    assert finding.params == {"fields": "PET"}
    assert "NOTE" not in finding.message


def test_a_required_field_that_we_fill_is_no_finding() -> None:
    assert codes(*with_field(found("FNAME", "text", required=True))) == []


def test_a_required_field_of_ours_with_the_wrong_type_stays_empty_and_is_named_as_well() -> None:
    assert codes(*with_field(found("COMPANY", "date", required=True))) == ["field_type_clash", "required_fields"]


@pytest.mark.parametrize(
    ("traits", "code"),
    [
        (AudienceTraits(double_optin=True), "double_optin"),
        (AudienceTraits(marketing_permissions=True), "marketing_permissions"),
        (AudienceTraits(foreign_hook_hosts=("crm.test", "crm.test", "shop.test")), "foreign_webhooks"),
    ],
)
def test_what_is_merely_good_to_know_is_told_as_information(traits: AudienceTraits, code: str) -> None:
    (finding,) = check_audience(COMPLETE, traits, country="AU").findings
    assert (finding.code, finding.severity) == (code, "info")


def test_an_audience_that_another_department_keeps_too_is_a_warning() -> None:
    (finding,) = check_audience(COMPLETE, AudienceTraits(is_shared=True), country="AU").findings
    assert (finding.code, finding.severity) == ("audience_shared", "warning")


def test_each_server_with_a_webhook_is_named_once() -> None:
    traits = AudienceTraits(foreign_hook_hosts=("shop.test", "crm.test", "crm.test"))
    (finding,) = check_audience(COMPLETE, traits, country="AU").findings
    assert "changes to: crm.test, shop.test." in finding.message
    assert finding.params == {"hosts": "crm.test, shop.test"}


KNOWN = FieldMap(("FNAME", "LNAME", "PHONE"), country="AU", ids=(1, 2, 4))
SENT_AGAIN = "Customers with values that are missing in Mailchimp are sent again."


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (KNOWN, ""),
        (
            FieldMap(("FNAME", "LNAME", "PHONE", "COMPANY"), country="AU", ids=(1, 2, 4, 5)),
            "The audience's field COMPANY can be filled from now on. ",
        ),
        (
            FieldMap(("FNAME",), country="AU", ids=(1,)),
            "The audience's fields LNAME, PHONE can no longer be filled; the connection's health says why. ",
        ),
        (
            FieldMap(("FNAME", "LNAME", "PHONE"), country="AU", ids=(1, 9, 4)),
            "The audience's field LNAME was deleted in Mailchimp and created again. ",
        ),
        (
            FieldMap(("FNAME", "LNAME", "PHONE"), country="AU", ids=(8, 9, 4)),
            "The audience's fields FNAME, LNAME were deleted in Mailchimp and created again. ",
        ),
        (
            FieldMap(("FNAME", "LNAME", "PHONE"), us_phone=True, country="AU", ids=(1, 2, 4)),
            "The format of the field PHONE changed. ",
        ),
        (FieldMap(("FNAME", "LNAME", "PHONE"), country="NZ", ids=(1, 2, 4)), "The department's country changed. "),
        # Where PHONE cannot be filled its format is of no interest; one field after another, all are told.
        (
            FieldMap(("FNAME", "ADDRESS"), us_phone=True, country="NZ", ids=(9, 3)),
            "The audience's field ADDRESS can be filled from now on. "
            "The audience's field FNAME was deleted in Mailchimp and created again. "
            "The audience's fields LNAME, PHONE can no longer be filled; the connection's health says why. "
            "The department's country changed. ",
        ),
        # A map that was kept before ids were: nothing is known to have been created again.
        (FieldMap(("FNAME", "LNAME", "PHONE"), country="AU"), ""),
    ],
)
def test_what_changed_of_the_fields_is_told_in_words(now: FieldMap, told: str) -> None:
    assert fields_message(KNOWN, now) == told + SENT_AGAIN


def test_fields_that_were_kept_before_ids_were_are_not_taken_for_new_ones() -> None:
    assert fields_message(FieldMap(("FNAME",)), FieldMap(("FNAME",), ids=(7,))) == SENT_AGAIN
