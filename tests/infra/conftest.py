"""The packaged template, made once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.deploy.package import PROJECT
from infra.local.deployment import read_template


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `python -m infra.deploy.package --sources-only` fills: no credentials at hand, no network."""
    out = tmp_path_factory.mktemp("package")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "HOME": str(out)}
    command = [sys.executable, "-m", "infra.deploy.package", "--out", str(out), "--stage", "test", "--sources-only"]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, env=environment)
    return out


@pytest.fixture(scope="session")
def template(package: Path) -> dict[str, Any]:
    return read_template(package / "sam.yaml")


@pytest.fixture(scope="session")
def functions(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Properties of the functions by the name of their handler; that of the routes is called api_handler."""
    found = {}
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            handler = resource["Properties"]["Handler"].rpartition(".")[2]
            found["api_handler" if handler == "app" else handler] = resource["Properties"]
    assert found
    return found
