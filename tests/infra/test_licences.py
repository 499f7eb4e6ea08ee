"""What ships is listed with its licence, and under terms that let us ship it."""

from __future__ import annotations

import re

from infra.deploy.licences import licence, shipped, table
from infra.deploy.package import PROJECT

# Terms that ask for no more than their notice, which lies in the zip. MPL: for changes to its files; we make none.
FREE = {"MIT", "MIT-0", "Apache-2.0", "BSD-3-Clause", "BSD-2-Clause", "ISC", "MPL-2.0", "PSF-2.0", "Unlicense"}


def test_the_list_is_current() -> None:
    written = (PROJECT / "docs" / "licences.md").read_text(encoding="utf-8")
    assert written == table(), "python -m infra.deploy.licences > docs/licences.md"


def test_terms_are_ones_we_know() -> None:
    packages = list(shipped())
    assert packages
    for package in packages:
        terms = set(re.split(r" (?:OR|AND) ", licence(package)))
        assert terms <= FREE, package.name


def test_what_packages_need_themselves_is_listed_too() -> None:
    names = {package.name.lower() for package in shipped()}
    assert {"botocore", "urllib3", "cryptography", "cffi"} <= names
    assert "pytest" not in names
