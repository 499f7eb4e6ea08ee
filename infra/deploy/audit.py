"""Known weaknesses of the packages we pin, from a file of advisories: it needs no network.

    python -m infra.deploy.audit all.zip [--accept GHSA-... ...]

`all.zip` is the Python ecosystem's export of the OSV database, fetched once on a machine that may:
https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip
The schema is OSV's (https://ossf.github.io/osv-schema/); what it says of affected versions is judged here.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from infra.deploy.licences import shipped
from infra.deploy.package import PROJECT

Advisory = Mapping[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Weakness:
    """One advisory that holds for a pinned package."""

    package: str
    version: str
    advisory: str
    summary: str


def pinned(constraints: Path) -> dict[str, str]:
    """Versions by package name, as constraints.txt fixes them."""
    lines = (line.partition("#")[0].strip() for line in constraints.read_text(encoding="utf-8").splitlines())
    requirements = [Requirement(line) for line in lines if line]
    return {canonicalize_name(r.name): str(next(iter(r.specifier)).version) for r in requirements}


def read_advisories(archive: Path) -> Iterator[Advisory]:
    """Every advisory of an export: a zip of JSON files."""
    with zipfile.ZipFile(archive) as content:
        for name in content.namelist():
            if name.endswith(".json"):
                yield json.loads(content.read(name))


def weaknesses(versions: Mapping[str, str], advisories: Iterable[Advisory]) -> list[Weakness]:
    """The advisories that hold for these versions; withdrawn ones do not."""
    found = []
    for advisory in advisories:
        if advisory.get("withdrawn"):
            continue
        for affected in advisory.get("affected", []):
            package = affected.get("package", {})
            name = canonicalize_name(package.get("name", ""))
            if package.get("ecosystem") == "PyPI" and name in versions and is_affected(versions[name], affected):
                found.append(Weakness(name, versions[name], advisory["id"], advisory.get("summary", "")))
    return sorted(set(found))


def is_affected(version: str, affected: Mapping[str, Any]) -> bool:
    """Whether a version is listed, or lies in one of the ranges of versions. Ranges of commits say nothing here."""
    if version in affected.get("versions", []):
        return True
    ranges = [r["events"] for r in affected.get("ranges", []) if r.get("type") == "ECOSYSTEM"]
    return any(_is_within(Version(version), events) for events in ranges)


def _is_within(version: Version, events: Iterable[Mapping[str, str]]) -> bool:
    """OSV: the last event at or before the version decides; `last_affected` still counts itself."""
    within = False
    for event in sorted(events, key=_moment):
        ((kind, text),) = event.items()
        at = _version(text)
        if kind == "introduced" and version >= at:
            within = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            within = False
    return within


def _moment(event: Mapping[str, str]) -> tuple[Version, bool]:
    ((kind, text),) = event.items()
    return _version(text), kind != "introduced"


def _version(text: str) -> Version:
    try:
        return Version("0.dev0" if text == "0" else text)  # "0" stands for the very beginning
    except InvalidVersion:
        return Version("0.dev0")


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 when there is a weakness that was not accepted."""
    parser = argparse.ArgumentParser(prog="python -m infra.deploy.audit", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("advisories", type=Path, help="OSV's export for PyPI (all.zip)")
    parser.add_argument("--accept", nargs="*", default=[], metavar="ID", help="advisories that were looked at")
    options = parser.parse_args(arguments)
    if not options.advisories.is_file():
        print(f"{options.advisories} is not there; python -m infra.deploy.audit --help says where it comes from.")
        return 1
    versions = pinned(PROJECT / "constraints.txt")
    found = weaknesses(versions, read_advisories(options.advisories))
    ours = {canonicalize_name(package.name) for package in shipped()}
    for weakness in found:
        where = "ships" if weakness.package in ours else "development only"
        accepted = ", accepted" if weakness.advisory in options.accept else ""
        print(f"{weakness.package} {weakness.version} ({where}{accepted}): {weakness.advisory} {weakness.summary}")
    age = datetime.now(UTC) - datetime.fromtimestamp(options.advisories.stat().st_mtime, UTC)
    print(f"{len(versions)} packages looked at, {len(found)} weaknesses; the advisories are {age.days} days old")
    return int(any(weakness.advisory not in options.accept for weakness in found))


if __name__ == "__main__":
    sys.exit(main())
