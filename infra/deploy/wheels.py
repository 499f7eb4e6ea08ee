"""The dependencies of the deployment zip: wheels for Lambda's Python and processor, whatever machine builds them.

Chalice would look at what its own interpreter's pip brings and build the rest from source. We know what we deploy to,
so pip is asked for exactly that: CPython 3.13, arm64, glibc 2.34 (Amazon Linux 2023), wheels only.
"""

from __future__ import annotations

import ast
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYTHON = "3.13"
ABI = "cp313"
MACHINE = "aarch64"
NEWEST_GLIBC_MINOR = 34
# botocore describes some 400 services in 20 MB; these are the ones that chalicelib talks to.
AWS_SERVICES = frozenset({"dynamodb", "kms", "secretsmanager", "sqs", "sts"})
# Chalice puts its two runtime modules into the zip itself; the rest of it, and what that needs, stays out.
ADDED_BY_CHALICE = "chalice"
# Environment markers are judged for Lambda, not for this machine.
LAMBDA_MARKERS = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": MACHINE,
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": f"{PYTHON}.0",
    "python_version": PYTHON,
    "sys_platform": "linux",
}


class MissingDependency(Exception):
    """The zip would lack something that one of its packages needs."""


class NoDependencies:
    """For packages that only carry our own sources."""

    def build_site_packages(self, abi: str, requirements_filepath: str, target_directory: str) -> None:
        """Leave `target_directory` empty."""


class WheelBuilder:
    """Fills a folder with the dependencies; what was built once for the same requirements is copied."""

    def __init__(self, *, cache: Path) -> None:
        self._cache = cache

    def build_site_packages(self, abi: str, requirements_filepath: str, target_directory: str) -> None:
        """Chalice's interface. Raises CalledProcessError when pip finds no wheel, MissingDependency."""
        if abi != ABI:
            raise ValueError(f"built for {ABI}, asked for {abi}")
        requirements = Path(requirements_filepath)
        shutil.copytree(self._built(requirements), target_directory, dirs_exist_ok=True)

    def _built(self, requirements: Path) -> Path:
        lines = deployed_requirements(requirements)
        constraints = requirements.with_name("constraints.txt")
        recipe = Path(__file__).read_bytes() + constraints.read_bytes() + "\n".join(lines).encode()
        finished = self._cache / hashlib.sha256(recipe).hexdigest()[:16]
        if not finished.is_dir():
            self._cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._cache) as scratch:
                site = Path(scratch) / "site"
                install_wheels(lines, constraints=constraints, target=site)
                trim(site)
                check_complete(site)
                site.rename(finished)
        return finished


def deployed_requirements(requirements: Path) -> list[str]:
    """The lines of requirements.txt that are installed into the zip."""
    lines = (line.partition("#")[0].strip() for line in requirements.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and canonicalize_name(Requirement(line).name) != ADDED_BY_CHALICE]


def install_wheels(requirements: list[str], *, constraints: Path, target: Path) -> None:
    """Ask pip for Lambda's wheels; nothing is compiled or built here."""
    # pip takes each --platform literally: a wheel for glibc 2.17 is not found under 2.34.
    platforms = [f"manylinux_2_{minor}_{MACHINE}" for minor in range(NEWEST_GLIBC_MINOR, 16, -1)]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", PYTHON, "--abi", ABI]
    command += [part for name in (*platforms, f"manylinux2014_{MACHINE}") for part in ("--platform", name)]
    command += ["--constraint", str(constraints), "--target", str(target), *requirements]
    subprocess.run(command, check=True)


def trim(site: Path) -> None:
    """Drop what no function needs: other AWS services' descriptions, scripts, pip's own records."""
    for entry in (site / "botocore" / "data").iterdir():
        if entry.is_dir() and entry.name not in AWS_SERVICES:
            shutil.rmtree(entry)
    for folder in (site / "bin", *site.rglob("__pycache__")):
        shutil.rmtree(folder, ignore_errors=True)
    for record in site.glob("*.dist-info/RECORD"):
        record.unlink()


def check_complete(site: Path) -> None:
    """Raise MissingDependency unless each package finds all it needs on Lambda.

    pip judges markers such as `python_version < "3.13"` by the interpreter that runs it, so a package that only
    Lambda's Python needs would silently stay out.
    """
    present = {canonicalize_name(found.name): found for found in distributions(path=[str(site)])}
    for found in present.values():
        for requirement in _needs(found):
            if canonicalize_name(requirement.name) not in present:
                raise MissingDependency(f"{found.name} needs {requirement}, which is not in the package")


def _needs(found: Distribution) -> list[Requirement]:
    requirements = [Requirement(text) for text in found.requires or []]
    return [r for r in requirements if r.marker is None or r.marker.evaluate(LAMBDA_MARKERS | {"extra": ""})]


def check_imports(archive: Path) -> None:
    """Raise MissingDependency when our sources in the zip import a package that the zip does not hold.

    A function on AWS has nothing but its zip, while a development machine finds everything that is installed.
    """
    with zipfile.ZipFile(archive) as content:
        names = content.namelist()
        held = {name.split("/")[0].removesuffix(".py") for name in names} | set(sys.stdlib_module_names)
        for name in names:
            if name == "app.py" or (name.startswith("chalicelib/") and name.endswith(".py")):
                for imported in _imports(ast.parse(content.read(name))):
                    if imported not in held:
                        raise MissingDependency(f"{name} imports {imported}, which is not in the package")


def _imports(node: ast.AST) -> Iterator[str]:
    """Top-level packages that a module imports when it runs; those under `if TYPE_CHECKING` it does not."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name.split(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module.split(".")[0]
    for child in ast.iter_child_nodes(node):
        yield from _imports(child)
