from __future__ import annotations

import pytest

from chalicelib.domain.audiences import MergeField
from chalicelib.domain.fieldmap import WANTED_FIELDS
from chalicelib.domain.preflight import AudienceTraits, check_audience, missing_fields


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
    assert finding.code == "required_fields"
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
