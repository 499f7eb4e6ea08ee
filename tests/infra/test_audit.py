"""Which advisories hold for which versions, by OSV's rules."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from infra.deploy import audit
from infra.deploy.audit import is_affected, pinned, weaknesses
from infra.deploy.package import PROJECT


def events(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"ranges": [{"type": "ECOSYSTEM", "events": [{kind: version} for kind, version in pairs]}]}


@pytest.mark.parametrize(
    ("version", "affected", "expected"),
    [
        ("1.5", events(("introduced", "1.0"), ("fixed", "2.0")), True),
        ("2.0", events(("introduced", "1.0"), ("fixed", "2.0")), False),
        ("0.9", events(("introduced", "1.0"), ("fixed", "2.0")), False),
        ("1.10", events(("introduced", "1.0"), ("fixed", "1.9")), False),
        ("0.1", events(("introduced", "0"), ("fixed", "1.0")), True),
        ("3.0", events(("introduced", "0")), True),
        ("2.0", events(("introduced", "1.0"), ("last_affected", "2.0")), True),
        ("2.1", events(("introduced", "1.0"), ("last_affected", "2.0")), False),
        ("3.5", events(("introduced", "1.0"), ("fixed", "2.0"), ("introduced", "3.0"), ("fixed", "4.0")), True),
        ("2.5", events(("introduced", "3.0"), ("fixed", "4.0"), ("introduced", "1.0"), ("fixed", "2.0")), False),
        ("1.0", {"versions": ["1.0"]}, True),
        ("1.1", {"versions": ["1.0"]}, False),
        ("1.0", {"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}, False),
    ],
)
def test_ranges_are_read_as_osv_means_them(version: str, affected: dict[str, Any], expected: bool) -> None:
    assert is_affected(version, affected) is expected


def advisory(**changes: Any) -> dict[str, Any]:
    found = {
        "id": "GHSA-1",
        "summary": "made up",
        "affected": [{"package": {"ecosystem": "PyPI", "name": "Typing_Extensions"}, **events(("introduced", "0"))}],
    }
    return {**found, **changes}


def test_names_are_compared_as_packages_are_named() -> None:
    assert [w.package for w in weaknesses({"typing-extensions": "4.0"}, [advisory()])] == ["typing-extensions"]


def test_withdrawn_advisories_and_other_ecosystems_do_not_count() -> None:
    other = advisory(
        affected=[{"package": {"ecosystem": "npm", "name": "typing-extensions"}, **events(("introduced", "0"))}]
    )
    assert weaknesses({"typing-extensions": "4.0"}, [advisory(withdrawn="2026-01-01T00:00:00Z"), other]) == []


def test_every_pinned_package_is_looked_at() -> None:
    versions = pinned(PROJECT / "constraints.txt")
    assert {"boto3", "cryptography", "requests"} <= versions.keys()
    assert all(version[0].isdigit() for version in versions.values())


def test_the_command_fails_until_a_weakness_is_accepted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("GHSA-1.json", json.dumps(advisory()))
    assert audit.main([str(archive)]) == 1
    assert "typing-extensions" in capsys.readouterr().out
    assert audit.main([str(archive), "--accept", "GHSA-1"]) == 0
    assert audit.main([str(tmp_path / "missing.zip")]) == 1
