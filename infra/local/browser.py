"""A Chromium for tests and screenshots: one that is installed, else npm's, without root or apt.

`CHROMIUM` names one; else chromium, chromium-browser or google-chrome of the path; else npm's @sparticuz/chromium. That
one is for Linux on x86-64 and is unpacked into build/chromium once.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.deploy import page

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_UNPACK = "import chromium from '@sparticuz/chromium'; console.log(await chromium.executablePath());"
# Makes the package unpack the libraries, too, that a machine without a desktop lacks (nss, nspr, expat).
_AS_ON_LAMBDA = {"AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x"}
# The package's own file looks for fonts below /tmp and /opt only. Its font is the one where the machine has none.
_FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>/usr/share/fonts</dir>
  <dir prefix="xdg">fonts</dir>
  <dir>{folder}/fonts</dir>
  <cachedir>{folder}/fonts-cache</cachedir>
</fontconfig>
"""


class NoBrowser(Exception):
    """There is no Chromium; the message says how to get one."""


@dataclass(frozen=True, slots=True)
class Browser:
    """How a Chromium is started. `environment` is beside what the process has anyway."""

    path: str
    environment: Mapping[str, str]
    sandbox: bool

    def launch_options(self) -> dict[str, Any]:
        """What Playwright's `launch` is told."""
        environment = {**os.environ, **self.environment}
        return {"executable_path": self.path, "env": environment, "chromium_sandbox": self.sandbox}


def find_browser() -> Browser:
    """Raises NoBrowser."""
    named = os.environ.get("CHROMIUM")
    if named and shutil.which(named) is None:
        raise NoBrowser(f"CHROMIUM names {named}, which is no program here.")
    installed = named or next(filter(None, map(shutil.which, _NAMES)), None)
    sandbox = os.geteuid() != 0  # it does not work for root; for everybody else it stays on
    if installed:
        return Browser(installed, {}, sandbox)
    program = _unpacked()
    return Browser(str(program), _surroundings(program), sandbox)


def _unpacked() -> Path:
    folder = page.PROJECT / "build" / "chromium"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may need it at once
        try:
            page.install()
            environment = {"TMPDIR": str(folder), **_AS_ON_LAMBDA}
            return Path(page.run_node_text("--input-type=module", "--eval", _UNPACK, environment=environment).strip())
        except page.PageFailed as error:
            raise NoBrowser(
                "There is no Chromium: neither CHROMIUM nor the path has one, and npm's could not be unpacked "
                f"(it is for Linux on x86-64 only). Install Chromium or set CHROMIUM to its path.\n{error}"
            ) from error


def _surroundings(program: Path) -> dict[str, str]:
    folder = program.parent
    fonts = folder / "fonts.conf"
    fonts.write_text(_FONTS.format(folder=folder))
    found = {"FONTCONFIG_FILE": str(fonts)}
    missing = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
    if "not found" in missing:
        found["LD_LIBRARY_PATH"] = str(folder / "al2023" / "lib")
    return found
