from __future__ import annotations

import json

from chalicelib.domain.countries import NAMES_FILE
from infra.deploy.countries import country_names


def test_the_names_of_countries_that_ship_are_those_of_the_libraries_in_use() -> None:
    """Otherwise run ``python -m infra.deploy.countries``."""
    assert json.loads(NAMES_FILE.read_text()) == country_names()
    assert NAMES_FILE.stat().st_size < 40_000
