"""Byte code for the zip: without it, each function that starts compiles all that it imports, as /var/task is read-only.

It must be made by the Python that runs the functions; on the local stack, where each poller and function has a copy
of the code, that is the one that starts it. It is *unchecked*: Python takes it without looking at the source, whose
times a zip does not keep.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

VERSION = "3.13"
TAG = "cpython-313"
# Where Lambda unpacks the zip. Byte code names its source, and would else name the folder it was made in.
TASK_ROOT = "/var/task"
NO_PYTHON = (
    f"There is no Python {VERSION} here, so the zip has no byte code: functions take about twice as long to start. "
    f"Install one, or name it in PYTHON{VERSION.replace('.', '')}, and package again."
)
_IS_IT = f"import sys; sys.exit(sys.implementation.cache_tag != {TAG!r})"
_COMPILE = """
import compileall, py_compile, sys
folder, root = sys.argv[1:]
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
sys.exit(not compileall.compile_dir(folder, maxlevels=50, quiet=1, force=True, invalidation_mode=mode,
                                    stripdir=folder, prependdir=root))
"""


class NotCompiled(Exception):
    """Something in the zip is no source of this Python; the message has the compiler's words."""


def find_python() -> str | None:
    """A Python of the functions' version: this one, what PYTHON313 names, one on the path, or one of pyenv's."""
    return next((path for path in _candidates() if _is_it(path)), None)


def _candidates() -> Iterator[str]:
    yield sys.executable
    yield os.environ.get(f"PYTHON{VERSION.replace('.', '')}", "")
    yield shutil.which(f"python{VERSION}") or ""
    yield from map(str, sorted(Path.home().glob(f".pyenv/versions/{VERSION}.*/bin/python{VERSION}")))


def _is_it(path: str) -> bool:
    if not path:
        return False
    try:
        return subprocess.run([path, "-I", "-c", _IS_IT], capture_output=True, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def add_byte_code(archive: Path, *, python: str) -> int:
    """Put the byte code of every source beside it in the zip; answers how many there are. Raises NotCompiled."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with zipfile.ZipFile(archive) as content:
            content.extractall(folder, [name for name in content.namelist() if name.endswith(".py")])
        compiled = subprocess.run(
            [python, "-I", "-c", _COMPILE, str(folder), TASK_ROOT], capture_output=True, text=True, check=False
        )
        if compiled.returncode:
            raise NotCompiled(f"{archive}: {compiled.stdout}{compiled.stderr}")
        made = sorted(folder.rglob("*.pyc"))
        with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as content:
            for path in made:
                # One time for all: the same sources make the same zip.
                entry = zipfile.ZipInfo(str(path.relative_to(folder)), (1980, 1, 1, 0, 0, 0))
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                content.writestr(entry, path.read_bytes())
    return len(made)
