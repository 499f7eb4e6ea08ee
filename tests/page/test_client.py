"""A TypeScript client of the service, generated from the description that the running service serves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from infra.deploy import page as building
from infra.local.stack import LocalStack
from tests.page.department import Department

pytestmark = pytest.mark.stack

PROGRAM = Path(__file__).parent / "client" / "program.ts"


@pytest.fixture(scope="module")
def generated(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `schema.d.ts`, made of what the service serves, and the program that uses it."""
    session = requests.Session()
    session.trust_env = False
    served = session.get(f"{stack.api_url}/openapi.json", timeout=60)
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_bytes(served.content)
    building.run_node(
        "node_modules/openapi-typescript/bin/cli.js", str(folder / "openapi.json"), "-o", str(folder / "schema.d.ts")
    )
    shutil.copy(PROGRAM, folder)
    (folder / "node_modules").symlink_to(building.WEB / "node_modules")
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def test_the_page_is_built_with_the_types_of_what_the_service_serves(generated: Path) -> None:
    assert (generated / "schema.d.ts").read_text() == building.TYPES.read_text()


@pytest.fixture
def busy(stack: LocalStack) -> Iterator[Department]:
    """A department whose next sync lasts until the faults are cleared."""
    made = Department.found(stack, customers=5)
    made.connect()
    made.mailchimp("inject_fault", method="POST", path="/lists/*", kind="hold")
    yield made
    made.mailchimp("clear_faults")
    made.rest()


def test_a_program_against_the_generated_types_compiles_and_runs(generated: Path, busy: Department) -> None:
    options = json.loads((building.WEB / "tsconfig.json").read_text())["compilerOptions"]
    (generated / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": ["*.ts"]}))
    building.run_node("node_modules/typescript/bin/tsc", "-p", str(generated))
    said = json.loads(building.run_node_text(str(generated / "program.ts"), busy.stack.api_url, busy.id, busy.token()))
    assert said["started"] and said["active"] == said["started"]
    assert said["previewed"] == 5
    assert said["access"] == "write"
