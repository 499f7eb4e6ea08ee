"""What ships with the functions, and under which licences.

    python -m infra.deploy.licences > docs/licences.md

Read from the metadata of the packages in this environment; a test holds the file against them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.deploy.wheels import ADDED_BY_CHALICE, LAMBDA_MARKERS, deployed_requirements

PROJECT = Path(__file__).resolve().parents[2]
REQUIREMENTS = PROJECT / "requirements.txt"
# How packages that name their licence by classifier or in words say it, in SPDX's terms.
_SPDX = {
    "Apache Software License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}


def shipped(requirements: Path = REQUIREMENTS) -> list[Distribution]:
    """The packages of the deployment zip: those of requirements.txt and all that they need on Lambda, by name."""
    found: dict[str, Distribution] = {}
    waiting = [Requirement(line) for line in deployed_requirements(requirements)]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name not in found or wanted.extras:
            found[name] = distribution(name)
            waiting.extend(_needs(found[name], extras={"", *wanted.extras}))
    return [found[name] for name in sorted(found)]


def _needs(package: Distribution, *, extras: set[str]) -> Iterator[Requirement]:
    for text in package.requires or []:
        needed = Requirement(text)
        if needed.marker is None or any(needed.marker.evaluate(LAMBDA_MARKERS | {"extra": extra}) for extra in extras):
            yield needed


def licence(package: Distribution) -> str:
    """The package's licence in SPDX's terms, as far as it says so; else in its own words."""
    metadata = package.metadata
    if "License-Expression" in metadata:
        return str(metadata["License-Expression"])
    classifiers = [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier", []) if c.startswith("License ::")]
    named = [_SPDX.get(c, c) for c in classifiers if c != "OSI Approved"]
    words = str(metadata.json.get("license") or "unknown").splitlines()[0]
    return " OR ".join(named) or _SPDX.get(words, words)


def shipped_to_browsers(lock: Path = PROJECT / "web" / "package-lock.json") -> list[tuple[str, str, str]]:
    """Name, version and terms of npm's packages that the page is made of."""
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    return [
        (path.removeprefix("node_modules/"), package["version"], f"{package['license']} (the page)")
        for path, package in packages.items()
        if path and not package.get("dev")
    ]


def table() -> str:
    """docs/licences.md."""
    chalice = distribution(ADDED_BY_CHALICE)
    rows = [(chalice.name, chalice.version, f"{licence(chalice)} (two of its modules)")]
    rows += [(package.name, package.version, licence(package)) for package in shipped()]
    rows += shipped_to_browsers()
    lines = [f"| {name} | {version} | {terms} |" for name, version, terms in sorted(rows, key=lambda r: r[0].lower())]
    return "\n".join(
        [
            "# Licences of what ships",
            "",
            "The deployment zip holds these packages beside our own sources; each brings its licence's text along in",
            "its `.dist-info` folder (Chalice: https://github.com/aws/chalice/blob/master/LICENSE). Made by",
            "`python -m infra.deploy.licences`; packages for development and the local stack are not shipped.",
            "What the page is made of comes from npm; the licences stand at the end of its script.",
            "",
            "| package | version | licence |",
            "| --- | --- | --- |",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(table())
