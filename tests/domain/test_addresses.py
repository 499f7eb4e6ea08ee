"""Which addresses may leave, and how much of one may be shown."""

from __future__ import annotations

import pytest
from email_validator import validate_email
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import addresses
from chalicelib.domain.addresses import mask_address, usable_address
from chalicelib.domain.customers import address_in_letters, mail_address


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("Ann.Smith@Clinic.Test", "ann.smith@clinic.test"),
        ("  ann@clinic.test\n", "ann@clinic.test"),
        ("ann+news@clinic.example.com", "ann+news@clinic.example.com"),
        ("o'hara@clinic.test", "o'hara@clinic.test"),
    ],
)
def test_an_address_leaves_trimmed_and_in_small_letters(written: str, address: str) -> None:
    assert usable_address(written) == address


@pytest.mark.parametrize(
    "written",
    [
        *(
            "pair@müller-praxis.de",
            "pair@xn--mller-praxis-dlb.de",
            "PAIR@Müller-Praxis.DE",
            "pair@XN--MLLER-praxis-dlb.de",
        ),
        *("pair@mu\u0308ller-praxis.de", "pair@müller-praxis\u3002de"),
    ],
)
def test_all_spellings_of_a_domain_are_one_address(written: str) -> None:
    assert usable_address(written) == "pair@xn--mller-praxis-dlb.de"
    assert address_in_letters(mail_address(written)) == "pair@müller-praxis.de"


def test_a_domain_that_is_none_in_any_spelling_is_left_as_it_is() -> None:
    assert usable_address("pair@mül ler.de") is None
    assert address_in_letters("pair@xn--\u00e4.de") == "pair@xn--\u00e4.de"


@pytest.mark.parametrize("written", ["jürgen@clinic.test", "jürgen@müller-praxis.de", "佐藤@clinic.test"])
def test_letters_outside_ascii_before_the_sign_never_leave(written: str) -> None:
    assert usable_address(written) is None


@pytest.mark.parametrize(
    "written",
    [
        *("", " ", "ann", "ann@", "@clinic.test", "ann@clinic", "ann@@clinic.test", "ann@clinic..test"),
        *("ann smith@clinic.test", "Ann <ann@clinic.test>", "ann@clinic.test, bob@clinic.test", "ann@clinic.test;"),
        *(".ann@clinic.test", "ann..b@clinic.test", "ann@-clinic.test", "ann@clinic.test.", "ann@[127.0.0.1]"),
        *(
            "n/a",
            "none",
            "mailto:ann@clinic.test",
            "a" * 65 + "@clinic.test",
            "ann@" + "c" * 250 + ".test",
            "a\0@b.test",
        ),
    ],
)
def test_what_mailchimp_would_refuse_never_leaves(written: str) -> None:
    assert usable_address(written) is None


@given(st.text(max_size=60) | st.builds("{}@{}".format, st.text(max_size=20), st.text(max_size=20)))
def test_no_text_is_too_odd_to_be_looked_at(text: str) -> None:
    address = usable_address(text)
    assert address is None or usable_address(address) == address


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("ann.smith@clinic.test", "a***@clinic.test"),
        ("a@clinic.test", "a***@clinic.test"),
        ("@clinic.test", "***@clinic.test"),
        ("no address", "***"),
        ("", "***"),
        ("a@b@clinic.test", "a***@clinic.test"),
    ],
)
def test_a_masked_address_shows_its_first_letter_and_its_domain_only(address: str, shown: str) -> None:
    assert mask_address(address) == shown


@given(
    local=st.text(alphabet="ab9._+-@ ", min_size=1, max_size=70),
    domain=st.text(alphabet="ab9.-_", min_size=1, max_size=80),
    top=st.sampled_from(["", ".test", ".au", ".x1", ".c", "." + "a" * 70]),
)
def test_what_passes_as_a_plain_address_the_library_takes_too(local: str, domain: str, top: str) -> None:
    address = f"{local}@{domain}{top}".strip().lower()
    if addresses._PLAIN.match(address):
        validate_email(address, check_deliverability=False, strict=True)
