"""Countries as people write them, and the one code that Mailchimp takes."""

from __future__ import annotations

import json

import pytest

from chalicelib.domain.countries import NAMES_FILE, country_code, plain_name


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("AU", "AU"),
        ("au", "AU"),
        ("AUS", "AU"),
        ("Australia", "AU"),
        ("AUSTRALIA ", "AU"),
        ("Aust.", "AU"),
        ("UK", "GB"),
        ("U.K.", "GB"),
        ("GBR", "GB"),
        ("Great Britain", "GB"),
        ("England", "GB"),
        ("Northern Ireland", "GB"),
        ("USA", "US"),
        ("U.S.A.", "US"),
        ("U. S.", "US"),
        ("the United States of America", "US"),
        ("Spain", "ES"),
        ("Hong Kong", "HK"),
        ("Hong Kong SAR China", "HK"),
        ("Holland", "NL"),
        ("The Netherlands", "NL"),
        ("N.Z.", "NZ"),
        ("Viet Nam", "VN"),
        ("Vietnam", "VN"),
        ("Russia", "RU"),
        ("Russian Federation", "RU"),
        ("Korea, Republic of", "KR"),
        ("Republic of Korea", "KR"),
        ("South Korea", "KR"),
        ("Czech Republic", "CZ"),
        ("Czechia", "CZ"),
        ("Cote d'Ivoire", "CI"),
        ("Côte d’Ivoire", "CI"),
        ("Turkey", "TR"),
        ("Türkiye", "TR"),
        ("St. Lucia", "LC"),
        ("ST", "ST"),
        ("AND", "AD"),
        ("Trinidad & Tobago", "TT"),
        ("Myanmar (Burma)", "MM"),
        ("Guinea", "GN"),
        ("Papua New Guinea", "PG"),
        ("Ireland", "IE"),
    ],
)
def test_a_country_is_known_by_its_codes_names_and_short_forms(written: str, code: str) -> None:
    assert country_code(written) == code


@pytest.mark.parametrize(
    "written",
    [
        *("", "XX", "ZZ", "AA", "EU", "EN", "XK", "SU", "MI", "CT", "ÖS", "ÜS", "Saint"),
        *("Korea", "Virgin Islands", "Oz", "3000", "x" * 5000),
    ],
)
def test_what_names_no_country_or_several_is_no_code(written: str) -> None:
    assert country_code(written) == ""


def test_every_country_is_known_by_three_letters_and_by_a_name() -> None:
    names = json.loads(NAMES_FILE.read_text())
    codes = set(names.values())
    assert len(codes) == 249
    for code in codes:
        forms = [name for name, found in names.items() if found == code]
        assert code.lower() in forms
        assert any(len(form) == 3 for form in forms), code
        assert any(len(form) > 3 for form in forms), code


def test_the_names_are_stored_in_the_form_in_which_they_are_looked_up() -> None:
    for name in json.loads(NAMES_FILE.read_text()):
        assert plain_name(name) == name
