"""Makes chalicelib/domain/country_names.json: by which names practices may write a country, and its ISO 3166-1 code.

The names are those of ISO 3166-1 (pycountry: short, official and common names, three-letter codes) and of Unicode CLDR
(babel: everyday English names). Only the outcome ships: 18 kB instead of the libraries' 60 MB. Run
``python -m infra.deploy.countries`` after either library was renewed.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pycountry
from babel import Locale

from chalicelib.domain.countries import NAMES_FILE, plain_name

# Usual short forms that neither source has.
_SHORT_FORMS = {
    "America": "US",
    "Aust": "AU",
    "Austl": "AU",
    "Britain": "GB",
    "Burma": "MM",
    "Cape Verde": "CV",
    "Czech Rep": "CZ",
    "DR Congo": "CD",
    "DRC": "CD",
    "East Timor": "TL",
    "Eire": "IE",
    "Great Britain": "GB",
    "Holland": "NL",
    "Ivory Coast": "CI",
    "KSA": "SA",
    "Macau": "MO",
    "Macedonia": "MK",
    "PNG": "PG",
    "PRC": "CN",
    "Republic of Ireland": "IE",
    "ROC": "TW",
    "Southern Ireland": "IE",
    "Swaziland": "SZ",
    "The States": "US",
    "Trinidad": "TT",
    "Turkey": "TR",
    "UAE": "AE",
    "UK": "GB",
    "U.S. of A.": "US",
    "Vatican": "VA",
}


def country_names() -> dict[str, str]:
    """Plain names and their codes; a name that stands for two countries is left out."""
    assigned = {country.alpha_2 for country in pycountry.countries}
    codes: dict[str, set[str]] = defaultdict(set)
    for name, code in _names():
        if code in assigned:
            codes[plain_name(name)].add(code)
    # A whole name counts more than a part of another one: "Congo" is what ISO calls the republic.
    for country in pycountry.countries:
        codes[plain_name(country.name)] = {country.alpha_2}
    for name, code in _SHORT_FORMS.items():
        codes[plain_name(name)] = {code}
    return {name: next(iter(found)) for name, found in sorted(codes.items()) if name and len(found) == 1}


def _names() -> Iterator[tuple[str, str]]:
    english = Locale("en")
    for code, name in english.territories.items():
        yield from ((form, code) for form in _forms(name))
    for country in pycountry.countries:
        yield country.alpha_2, country.alpha_2
        yield country.alpha_3, country.alpha_2
        for kind in ("name", "official_name", "common_name"):
            yield from ((form, country.alpha_2) for form in _forms(getattr(country, kind, "")))
    for part in pycountry.subdivisions.get(country_code="GB"):
        if part.type in ("Country", "Province", "Nation"):
            yield re.sub(r"\s*\[.*", "", part.name), "GB"


def _forms(name: str) -> Iterator[str]:
    """A name as it stands, without what is in brackets, that alone, and the right way round."""
    yield name
    bracketed = re.search(r"\((.+)\)", name)
    if bracketed:
        yield re.sub(r"\s*\(.+\)", "", name)
        if "part" not in bracketed[1]:
            yield bracketed[1]
    if ", " in name:
        first, rest = name.split(", ", 1)
        yield f"{rest} {first}"
        yield first


def main() -> None:
    names = country_names()
    text = json.dumps(names, ensure_ascii=True, indent=0, sort_keys=True)
    Path(NAMES_FILE).write_text(text + "\n", encoding="ascii")
    print(f"{len(names)} names of countries in {NAMES_FILE.name}, {len(text) // 1024} kB")


if __name__ == "__main__":
    main()
