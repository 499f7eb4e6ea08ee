"""Byte code in the zip: that of Lambda's Python, taken without a look at the sources."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.deploy.bytecode import NO_PYTHON, NotCompiled, add_byte_code, find_python

# PEP 552: the lowest bit says that a hash stands in place of the source's time, the next that it is checked.
UNCHECKED = 0b01


@pytest.fixture
def python() -> str:
    found = find_python()
    if found is None:
        pytest.skip("no Python of Lambda's version on this machine")
    return found


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "deployment.zip"
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("app.py", "import ours.part\n")
        content.writestr("ours/__init__.py", "")
        content.writestr("ours/part.py", "def where():\n    return where.__code__.co_filename\n")
        content.writestr("ours/data.json", "{}")
    return path


def test_each_source_has_byte_code_beside_it_that_is_taken_unchecked(archive: Path, python: str) -> None:
    assert add_byte_code(archive, python=python) == 3
    with zipfile.ZipFile(archive) as content:
        made = [name for name in content.namelist() if name.endswith(".pyc")]
        assert sorted(made) == [
            "__pycache__/app.cpython-313.pyc",
            "ours/__pycache__/__init__.cpython-313.pyc",
            "ours/__pycache__/part.cpython-313.pyc",
        ]
        for name in made:
            assert int.from_bytes(content.read(name)[4:8], "little") == UNCHECKED


def test_python_runs_it_without_reading_the_source(archive: Path, python: str, tmp_path: Path) -> None:
    add_byte_code(archive, python=python)
    folder = tmp_path / "task"
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder)
    (folder / "ours" / "part.py").write_text("raise RuntimeError('the source was read')\n")
    code = "import sys; sys.path.insert(0, sys.argv[1]); import app, ours.part; print(ours.part.where())"
    ran = subprocess.run([python, "-I", "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str(folder / "ours" / "part.py")


def test_the_same_sources_make_the_same_zip(archive: Path, python: str, tmp_path: Path) -> None:
    other = tmp_path / "other.zip"
    other.write_bytes(archive.read_bytes())
    for path in (archive, other):
        add_byte_code(path, python=python)
    assert archive.read_bytes() == other.read_bytes()


def test_what_is_no_source_of_this_python_is_named(archive: Path, python: str) -> None:
    with zipfile.ZipFile(archive, "a") as content:
        content.writestr("broken.py", "def (:\n")
    with pytest.raises(NotCompiled, match=r"broken\.py"):
        add_byte_code(archive, python=python)


def test_another_python_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretender = tmp_path / "python3.13"
    pretender.write_text("#!/bin/sh\nexit 1\n")
    pretender.chmod(0o755)
    monkeypatch.setenv("PYTHON313", str(pretender))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    assert find_python() is None
    assert "twice as long" in NO_PYTHON and "PYTHON313" in NO_PYTHON


def test_the_one_that_is_named_is_taken(monkeypatch: pytest.MonkeyPatch, python: str) -> None:
    if sys.version_info[:2] != (3, 13):
        monkeypatch.setenv("PYTHON313", python)
        assert find_python() == python
