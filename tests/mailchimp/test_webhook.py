"""Reading a webhook call: the signature, the form, the event."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.customers import mail_address
from chalicelib.mailchimp.webhook import (
    MAX_SIGNATURE_AGE_SECONDS,
    HookEvent,
    event_of,
    is_signed,
    parse_form,
    read_event,
    write_event,
)
from infra.standins.mailchimp.delivery import sign

NOW = 1_767_607_200
SECRET = "0f" * 32
FIRED_AT = "2026-01-05 10:00:00"
UNSUBSCRIBE = {
    "type": "unsubscribe",
    "fired_at": FIRED_AT,
    "data[action]": "unsub",
    "data[reason]": "manual",
    "data[id]": "8a25ff1d98",
    "data[list_id]": "abc123def4",
    "data[email]": "ann@clinic.test",
    "data[email_type]": "html",
    "data[ip_opt]": "203.0.113.5",
    "data[campaign_id]": "cb398d21d2",
    "data[merges][EMAIL]": "ann@clinic.test",
    "data[merges][FNAME]": "Ann",
}


def event(**fields: str) -> HookEvent | None:
    """The event of the form above with other fields; an empty value stands for a field that is missing."""
    form = {name: value for name, value in (UNSUBSCRIBE | fields).items() if value}
    return event_of(parse_form(urlencode(form).encode()), "north")


# --------------------------------------------------------------------------------------------------------------- events


def test_an_unsubscribe_is_read_with_its_reason_and_campaign() -> None:
    assert event() == HookEvent(
        type="unsubscribe",
        department_id="north",
        audience_id="abc123def4",
        address="ann@clinic.test",
        fired_at=FIRED_AT,
        action="unsub",
        reason="manual",
        campaign_id="cb398d21d2",
    )


def test_a_bounce_is_read_though_it_has_neither_id_nor_merges() -> None:
    form = "type=cleaned&fired_at=2026-01-05+10%3A00%3A00&data%5Blist_id%5D=abc123def4&data%5Breason%5D=hard"
    found = event_of(
        parse_form(form.encode() + b"&data%5Bcampaign_id%5D=4fj&data%5Bemail%5D=ann%40clinic.test"), "north"
    )
    assert found is not None
    assert (found.type, found.address, found.reason) == ("cleaned", "ann@clinic.test", "hard")


def test_a_change_of_address_is_read_with_both_addresses() -> None:
    changes = {"data[new_email]": "bob@clinic.test", "data[old_email]": "Ann@Clinic.test", "data[email]": ""}
    found = event(type="upemail", **changes)
    assert found is not None
    assert (found.address, found.old_address) == ("bob@clinic.test", "ann@clinic.test")


@pytest.mark.parametrize("type", ["subscribe", "profile"])
def test_sign_ups_and_profiles_are_read(type: str) -> None:
    found = event(type=type)
    assert found is not None
    assert (found.type, found.address) == (type, "ann@clinic.test")


@pytest.mark.parametrize(
    "type", ["campaign", "sms_subscribe", "UNSUBSCRIBE", "", "unsubscribe\n", pytest.param("x" * 9_999, id="long")]
)
def test_events_of_other_types_are_of_no_use(type: str) -> None:
    assert event(type=type) is None


@pytest.mark.parametrize("missing", ["data[email]", "data[list_id]"])
def test_an_event_that_does_not_say_what_it_is_about_is_of_no_use(missing: str) -> None:
    assert event(**{missing: ""}) is None


@pytest.mark.parametrize("old", ["", "nobody"])
def test_a_change_of_address_without_an_old_address_is_of_no_use(old: str) -> None:
    assert event(type="upemail", **{"data[new_email]": "bob@clinic.test", "data[old_email]": old}) is None


@pytest.mark.parametrize("address", ["nobody", " ", pytest.param("x" * 400 + "@clinic.test", id="long")])
def test_what_cannot_be_an_address_is_of_no_use(address: str) -> None:
    assert event(**{"data[email]": address}) is None


def test_addresses_are_compared_trimmed_and_in_lower_case() -> None:
    found = event(**{"data[email]": " Ann@CLINIC.test "})
    assert found is not None
    assert found.address == "ann@clinic.test"


def test_an_accent_written_as_two_signs_is_the_letter_written_as_one() -> None:
    found = event(**{"data[email]": "jose\u0301@clinic.test"})
    assert found is not None
    assert found.address == mail_address("jos\u00e9@clinic.test")


def test_an_address_with_a_plus_comes_through_the_form() -> None:
    found = event(**{"data[email]": "ann+news@clinic.test"})
    assert found is not None
    assert found.address == "ann+news@clinic.test"


def test_other_texts_are_cut_to_a_length_that_fits_a_message() -> None:
    found = event(**{"data[reason]": "x" * 10_000, "data[campaign_id]": "y" * 10_000, "fired_at": "z" * 10_000})
    assert found is not None
    assert len(write_event(found)) < 1_000


def test_the_time_of_an_event_is_read_as_utc() -> None:
    found = event()
    assert found is not None
    assert found.fired_at_moment == datetime(2026, 1, 5, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01 00:00:00", "2026-01-05T10:00:00Z"])
def test_a_time_that_is_none_is_no_time(text: str) -> None:
    found = event(fired_at=text)
    assert found is not None
    assert found.fired_at_moment is None


def test_an_event_without_a_time_happened_when_it_arrived() -> None:
    """All events of a kind about one address would else pass for repeats of the first."""
    at = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
    nowhen = event_of({name: value for name, value in UNSUBSCRIBE.items() if name != "fired_at"}, "north")
    assert nowhen is not None and nowhen.fired_at == ""
    assert nowhen.arrived(at.timestamp()) == replace(nowhen, fired_at="2026-01-05 10:00:00")
    timed = event()
    assert timed is not None
    assert timed.arrived(0.0) is timed


def test_a_form_without_a_type_is_of_no_use() -> None:
    assert event_of({name: value for name, value in UNSUBSCRIBE.items() if name != "type"}, "north") is None


def test_a_form_that_is_no_text_is_read_as_far_as_possible() -> None:
    body = b"type=unsubscribe&data[list_id]=abc&data[email]=ann\xff@clinic.test&\x00&=&&data[reason"
    found = event_of(parse_form(body), "north")
    assert found is not None
    assert found.audience_id == "abc"


def test_a_form_of_absurdly_many_fields_is_refused() -> None:
    with pytest.raises(ValueError):
        parse_form(b"&".join(b"a=1" for _ in range(5_000)))


@given(st.binary(max_size=400))
def test_no_body_whatsoever_breaks_the_reading(body: bytes) -> None:
    event_of(parse_form(body), "north")


# ------------------------------------------------------------------------------------------------------------- identity


def test_every_delivery_of_an_event_has_the_same_identity() -> None:
    first, again = event(), event(**{"data[merges][FNAME]": "Anna", "data[id]": "other"})
    assert first is not None
    assert again is not None
    assert first.identity == again.identity


@pytest.mark.parametrize(
    "other",
    [
        {"type": "cleaned"},
        {"audience_id": "other"},
        {"address": "bob@clinic.test"},
        {"fired_at": "2026-01-05 10:00:01"},
        {"department_id": "south"},
        {"old_address": "old@clinic.test"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_events_that_differ_in_what_counts_have_different_identities(other: dict[str, str]) -> None:
    found = event()
    assert found is not None
    assert replace(found, **other).identity != found.identity  # type: ignore[arg-type]


def test_an_identity_is_fit_to_name_a_message_and_tells_no_address() -> None:
    found = event()
    assert found is not None
    assert len(found.identity) <= 128
    assert found.identity.isalnum()
    assert "ann" not in found.identity
    assert "ann" not in repr(found)


def test_an_event_comes_out_of_the_queue_as_it_went_in() -> None:
    found = event()
    assert found is not None
    assert read_event(write_event(found)) == found


@pytest.mark.parametrize("body", ["", "null", "[]", "{}", '{"type": "unsubscribe", "surprise": 1}'])
def test_a_message_that_is_no_event_of_ours_is_refused(body: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        read_event(body)


# ------------------------------------------------------------------------------------------------------------ signature

BODY = urlencode(UNSUBSCRIBE).encode()


def test_what_mailchimp_signs_is_accepted() -> None:
    assert is_signed(BODY, sign(BODY, SECRET, NOW), SECRET, now=NOW + 2.5)


def test_the_signature_is_hmac_sha256_over_the_time_a_dot_and_the_raw_body() -> None:
    """Computed with openssl: printf '1767607200.type=profile' | openssl dgst -sha256 -hmac secret."""
    made_elsewhere = "520412edd86557b82214cc74a6007365c66b6bcff7180b8fe1528c0434e73d89"
    assert is_signed(b"type=profile", f"t=1767607200,v1={made_elsewhere}", "secret", now=1_767_607_200)
    assert is_signed(b"type=profile", f"t=1767607200,v1={made_elsewhere.upper()}", "secret", now=1_767_607_200)


def test_a_signature_is_good_for_five_minutes() -> None:
    """For longer a recording could be played back, for less a slow delivery be lost."""
    assert MAX_SIGNATURE_AGE_SECONDS == 5 * 60


@pytest.mark.parametrize("age", [-MAX_SIGNATURE_AGE_SECONDS, MAX_SIGNATURE_AGE_SECONDS])
def test_a_signature_of_up_to_five_minutes_is_accepted(age: int) -> None:
    assert is_signed(BODY, sign(BODY, SECRET, NOW - age), SECRET, now=NOW)


@pytest.mark.parametrize("age", [-MAX_SIGNATURE_AGE_SECONDS - 1, MAX_SIGNATURE_AGE_SECONDS + 1, NOW])
def test_a_signature_from_long_ago_or_from_the_future_is_refused(age: int) -> None:
    assert not is_signed(BODY, sign(BODY, SECRET, NOW - age), SECRET, now=NOW)


def test_a_signature_over_another_body_is_refused() -> None:
    assert not is_signed(BODY + b"&", sign(BODY, SECRET, NOW), SECRET, now=NOW)


def test_a_signature_with_another_secret_is_refused() -> None:
    assert not is_signed(BODY, sign(BODY, "1f" * 32, NOW), SECRET, now=NOW)


def test_a_signature_whose_time_was_changed_is_refused() -> None:
    header = sign(BODY, SECRET, NOW - 3_600).replace(f"t={NOW - 3_600}", f"t={NOW}")
    assert not is_signed(BODY, header, SECRET, now=NOW)


def test_one_right_signature_among_several_is_enough() -> None:
    right = sign(BODY, SECRET, NOW).partition(",")[2]
    assert is_signed(BODY, f"t={NOW}, v1={'0' * 64}, {right}, v2=abc", SECRET, now=NOW)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "v1=abc",
        f"t={NOW}",
        f"t={NOW},v1=",
        f"t={NOW},v1=é",
        f"t={NOW},v1=\ud83d",
        f"t={NOW},t={NOW},v1=abc",
        "t=,v1=abc",
        "t=now,v1=abc",
        "t=-1,v1=abc",
        "t=١٧٦٧,v1=abc",
        "t=" + "9" * 5_000 + ",v1=abc",
        "t=1e9,v1=abc",
        "=,=,",
        ",".join(["v1=abc"] * 10_000),
    ],
    ids=lambda header: re.sub(r"\W", "_", header[:20], flags=re.ASCII) or "empty",
)
def test_a_header_that_is_no_signature_is_refused(header: str) -> None:
    assert not is_signed(BODY, header, SECRET, now=NOW)


@given(st.text(max_size=80))
def test_no_header_whatsoever_breaks_the_check(header: str) -> None:
    assert not is_signed(BODY, header, SECRET, now=NOW)


def signed(at: str) -> str:
    """A header whose signature is right, over a time written like this."""
    return f"t={at},v1={hmac.digest(SECRET.encode(), at.encode() + b'.' + BODY, 'sha256').hex()}"


@pytest.mark.parametrize("at", [str(NOW), f"0{NOW}"])
def test_a_time_in_up_to_eleven_digits_is_read(at: str) -> None:
    assert is_signed(BODY, signed(at), SECRET, now=NOW)


@pytest.mark.parametrize("at", ["١٧٦٧٦٠٧٢٠٠", "1_767_607_200", f"+{NOW}", f" {NOW}", f"00{NOW}", f"{'0' * 99}{NOW}"])
def test_a_time_written_otherwise_is_refused_however_well_it_is_signed(at: str) -> None:
    """Python would read each as the same number."""
    assert int(at) == NOW
    assert not is_signed(BODY, signed(at), SECRET, now=NOW)


@pytest.mark.parametrize("more", ["t=1", "t=1=2", "t"])
def test_a_second_time_beside_the_signed_one_is_refused(more: str) -> None:
    assert not is_signed(BODY, f"{more},{signed(str(NOW))}", SECRET, now=NOW)


@pytest.mark.parametrize(("length", "is_read"), [(1_000, True), (1_001, False)])
def test_a_header_of_more_than_a_thousand_characters_is_not_read(length: int, is_read: bool) -> None:
    header = signed(str(NOW)) + ",v2="
    assert is_signed(BODY, header.ljust(length, "x"), SECRET, now=NOW) is is_read


# ------------------------------------------------------------------------------------------------------ at the edges


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock shows Melbourne's time."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Australia/Melbourne")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
def test_an_event_arrives_by_universal_time_wherever_the_machine_stands() -> None:
    found = event(fired_at="")
    assert found is not None
    assert found.arrived(NOW).fired_at == FIRED_AT


def test_a_field_that_is_empty_is_there() -> None:
    assert parse_form(b"a=&b=1&a=&c") == {"a": "", "b": "1", "c": ""}


def test_only_a_change_of_address_has_an_old_one() -> None:
    found = event(**{"data[old_email]": "old@clinic.test"})
    assert found is not None
    assert found.old_address == ""


@pytest.mark.parametrize(("length", "is_read"), [(320, True), (321, False)])
def test_an_address_has_at_most_320_characters(length: int, is_read: bool) -> None:
    found = event(**{"data[email]": "@clinic.test".rjust(length, "x")})
    assert (found is not None) is is_read
