"""What PracBill's front end gets: the same bytes each time, the same script as the service serves."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path

import pytest

from chalicelib import __version__
from infra.deploy import page_package
from infra.deploy.page import PROJECT, WEB, PageFailed, integrity
from infra.deploy.page_package import write_page_package


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    script = PROJECT / "build" / "test-page.js"
    script.parent.mkdir(exist_ok=True)
    script.write_text("/* ä */", encoding="utf-8")
    monkeypatch.setattr(page_package, "BUNDLE", script)
    return script


def test_the_package_holds_script_types_and_contract(built: Path, tmp_path: Path) -> None:
    package, script, hashes = write_page_package(tmp_path / "page")
    assert package.name == f"pracbill-mailchimp-{__version__}.tgz"
    assert script.read_bytes() == built.read_bytes()
    assert f"{script.name} {integrity(built)}" in hashes.read_text()
    with tarfile.open(fileobj=io.BytesIO(package.read_bytes())) as archive:
        files = {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]
    manifest = json.loads(files["package/package.json"])
    assert (manifest["name"], manifest["version"]) == ("pracbill-mailchimp", __version__)
    assert files["package/pracbill-mailchimp.js"] == built.read_bytes()
    for path in (manifest["types"], manifest["exports"]["."]["default"]):
        assert f"package/{path.removeprefix('./')}" in files
    assert b"getToken" in files["package/README.md"]


def test_the_same_sources_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    first, second = (write_page_package(tmp_path / name)[0].read_bytes() for name in ("a", "b"))
    assert first == second


def test_without_a_page_there_is_no_package(built: Path, tmp_path: Path) -> None:
    built.unlink()
    with pytest.raises(PageFailed, match="make page"):
        write_page_package(tmp_path / "page")


def test_the_page_and_the_service_have_one_version() -> None:
    for name in ("package.json", "package-lock.json"):
        assert json.loads((WEB / name).read_text())["version"] == __version__


def test_the_lock_names_no_registry() -> None:
    assert "resolved" not in (WEB / "package-lock.json").read_text()


def test_what_is_pinned_is_pinned_exactly() -> None:
    manifest = json.loads((WEB / "package.json").read_text())
    versions = {**manifest["dependencies"], **manifest["devDependencies"]}
    assert [name for name, version in versions.items() if not version[0].isdigit()] == []
    assert len(manifest["dependencies"]) == 2


def test_the_contract_is_the_same_in_words_in_types_and_in_the_sources() -> None:
    words = (PROJECT / "docs" / "page.md").read_text(encoding="utf-8")
    types = (WEB / "pracbill-mailchimp.d.ts").read_text(encoding="utf-8")
    source = (WEB / "src" / "ui" / "page.ts").read_text(encoding="utf-8")
    events = set(re.findall(r"'(pbm-[a-z-]+)'", source))
    assert events
    assert set(re.findall(r"`(pbm-[a-z-]+)`", words)) == events
    assert set(re.findall(r"'(pbm-[a-z-]+)'", types)) == events
    styles = (WEB / "src" / "ui" / "tokens.ts").read_text(encoding="utf-8")
    assert set(re.findall(r"--pbm-[a-z-]+", words)) == set(re.findall(r"--pbm-[a-z-]+", styles)) - {"--pbm-"}
