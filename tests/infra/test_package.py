"""The deployment zip: what is in it, and that nothing is missing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from infra.deploy.licences import shipped
from infra.deploy.package import PROJECT, PackageTooLarge, check_size
from infra.deploy.wheels import (
    AWS_SERVICES,
    MissingDependency,
    check_complete,
    check_imports,
    deployed_requirements,
    trim,
)


def write_distribution(site: Path, name: str, *, needs: str = "") -> None:
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir(parents=True)
    requires = f"Requires-Dist: {needs}\n" if needs else ""
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}")


def write_archive(path: Path, **sources: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, source in sources.items():
            archive.writestr(name.replace("__", "/") + ".py", source)
    return path


def test_a_package_of_sources_holds_ours_and_chalices_runtime_only(package: Path) -> None:
    names = zipfile.ZipFile(package / "deployment.zip").namelist()
    assert {"app.py", "chalicelib/config.py", "chalice/app.py"} <= set(names)
    assert {name.split("/")[0] for name in names} == {"app.py", "chalicelib", "chalice"}
    assert [name for name in names if name.startswith("chalice/")] == ["chalice/app.py", "chalice/__init__.py"]
    assert not [name for name in names if "__pycache__" in name]


# Imports every module of the zip and finds every handler, with nothing else in reach: no environment's packages.
ALONE = """
import importlib, json, pkgutil, sys
archive, site, handlers = sys.argv[1], sys.argv[2], sys.argv[3:]
sys.path[:0] = [archive, site]
import app, chalice, chalicelib
modules = [m.name for m in pkgutil.walk_packages(chalicelib.__path__, "chalicelib.")]
loaded = [importlib.import_module(name) for name in modules]
from chalicelib.store import aws
aws.dynamodb(), aws.sqs(), aws.secretsmanager(), aws.kms()
assert all(m.__file__.startswith(archive) for m in [app, chalice, chalicelib, *loaded])
missing = [h for h in handlers if not callable(pkgutil.resolve_name(":".join(h.rsplit(".", 1))))]
print(json.dumps({"modules": len(modules), "missing": missing}))
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The dependencies that the zip holds, built for this machine instead of Lambda's: links to what is installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    for distribution in shipped():
        tops = {file.parts[0] for file in distribution.files or [] if file.parts[0] not in {"..", "__pycache__"}}
        for top in tops:
            (folder / top).symlink_to(Path(str(distribution.locate_file(top))))
    return folder


def test_every_handler_starts_from_what_the_zip_holds(
    package: Path, functions: dict[str, dict[str, Any]], site: Path, tmp_path: Path
) -> None:
    """-S leaves out the environment's packages, -I everything else that could help."""
    handlers = [properties["Handler"] for properties in functions.values()]
    command = [sys.executable, "-I", "-S", "-c", ALONE, str(package / "deployment.zip"), str(site), *handlers]
    environment = {"STAGE": "test", "AWS_DEFAULT_REGION": "eu-central-1"}
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert answer["missing"] == []
    assert answer["modules"] > 50


def test_a_zip_that_grew_is_refused(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.zip", app="import json")
    check_size(archive)
    with pytest.raises(PackageTooLarge):
        check_size(archive, most=10)


def test_chalice_is_not_installed_into_the_zip() -> None:
    names = [line.partition("=")[0] for line in deployed_requirements(PROJECT / "requirements.txt")]
    assert "botocore" in names
    assert "chalice" not in names


def test_a_package_that_only_lambdas_python_needs_is_missed(tmp_path: Path) -> None:
    write_distribution(tmp_path, "ours", needs='backport; python_version >= "3.13" and platform_machine == "aarch64"')
    with pytest.raises(MissingDependency, match="ours needs backport"):
        check_complete(tmp_path)


def test_what_only_other_machines_need_is_not_missed(tmp_path: Path) -> None:
    write_distribution(tmp_path, "ours", needs='colorama; sys_platform == "win32"')
    check_complete(tmp_path)


def test_extras_are_not_missed(tmp_path: Path) -> None:
    write_distribution(tmp_path, "ours", needs='speedups; extra == "fast"')
    check_complete(tmp_path)


def test_an_import_that_the_zip_does_not_hold_is_named(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.zip", app="import json", chalicelib__queue="from pytest import fixture")
    with pytest.raises(MissingDependency, match=r"chalicelib/queue\.py imports pytest"):
        check_imports(archive)


def test_imports_for_the_type_checker_alone_need_not_be_held(tmp_path: Path) -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pytest\n"
    check_imports(write_archive(tmp_path / "a.zip", app=source))


def test_descriptions_of_services_we_do_not_use_are_dropped(tmp_path: Path) -> None:
    for service in ("dynamodb", "ec2"):
        (tmp_path / "botocore" / "data" / service).mkdir(parents=True)
        (tmp_path / "boto3" / "data" / service).mkdir(parents=True)
    (tmp_path / "botocore" / "data" / "endpoints.json").write_text("{}")
    trim(tmp_path)
    assert {path.name for path in (tmp_path / "botocore" / "data").iterdir()} == {"dynamodb", "endpoints.json"}


def test_every_service_the_code_asks_for_stays() -> None:
    asked = set()
    for path in (PROJECT / "chalicelib").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr in {"client", "create_client", "resource"}
                and call.args
                and isinstance(call.args[0], ast.Constant)
            ):
                asked.add(call.args[0].value)
    assert asked
    assert asked <= AWS_SERVICES
