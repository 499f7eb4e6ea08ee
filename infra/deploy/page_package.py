"""The page for PracBill's front end: an npm package, the script under its version, and its integrity hash.

    build/page/pracbill-mailchimp-<version>.tgz   npm install ./pracbill-mailchimp-<version>.tgz
    build/page/pracbill-mailchimp-<version>.js    the script alone
    build/page/integrity.txt                      its hash, and the element to load it with

The same sources give the same bytes.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

from chalicelib import __version__
from infra.deploy.page import BUNDLE, PROJECT, WEB, PageFailed, integrity

NAME = "pracbill-mailchimp"


def write_page_package(out: Path) -> list[Path]:
    """Write the three files to `out`. Raises PageFailed where the page is not built, or is of another version."""
    if not BUNDLE.exists():
        raise PageFailed(f"{BUNDLE.relative_to(PROJECT)} is missing: make page builds it.")
    manifest = json.loads((WEB / "package.json").read_text(encoding="utf-8"))
    if manifest["version"] != __version__:
        raise PageFailed(f"web/package.json says {manifest['version']}, chalicelib says {__version__}.")
    out.mkdir(parents=True, exist_ok=True)
    script = out / f"{NAME}-{__version__}.js"
    script.write_bytes(BUNDLE.read_bytes())
    package = out / f"{NAME}-{__version__}.tgz"
    package.write_bytes(_tgz(_contents(manifest)))
    hashes = out / "integrity.txt"
    hashes.write_text(_integrity_text(script), encoding="utf-8")
    return [package, script, hashes]


def _contents(manifest: dict[str, object]) -> dict[str, bytes]:
    shipped = {
        "name": NAME,
        "version": manifest["version"],
        "description": manifest["description"],
        "license": manifest["license"],
        "type": "module",
        "exports": {".": {"types": f"./{NAME}.d.ts", "default": f"./{NAME}.js"}},
        "types": f"./{NAME}.d.ts",
        "sideEffects": True,
    }
    return {
        "package.json": (json.dumps(shipped, indent=2) + "\n").encode(),
        f"{NAME}.js": BUNDLE.read_bytes(),
        f"{NAME}.d.ts": (WEB / f"{NAME}.d.ts").read_bytes(),
        "README.md": (PROJECT / "docs" / "page.md").read_bytes(),
    }


def _tgz(files: dict[str, bytes]) -> bytes:
    """An npm package: everything below package/, without times or owners, so that it is the same each time."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def _integrity_text(script: Path) -> str:
    hashed = integrity(script)
    return (
        f"{script.name} {hashed}\n\n"
        f'<script type="module" src="https://API/page/{script.name}" integrity="{hashed}" crossorigin></script>\n'
    )
