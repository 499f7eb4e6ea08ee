"""The guide for PracBill's developers keeps up with the description and the tools it tells of."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from infra.conformance.__main__ import _parse
from infra.standins.pracbill.department import ADDRESS_FIELDS, CUSTOMER_FIELDS
from tests.standins.pracbill.test_description import DESCRIPTION, ROOT, check

GUIDE = (ROOT / "docs" / "pracbill-developers.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def test_every_field_of_a_customer_is_explained() -> None:
    table = GUIDE[GUIDE.index("| field |") : GUIDE.index("Days and months are")]
    for name in (*CUSTOMER_FIELDS, "id", "updated_at"):
        assert f"`{name}`" in table, name
    assert all(name in table for name in ADDRESS_FIELDS)
    assert set(DESCRIPTION["components"]["schemas"]["Customer"]["properties"]) == {*CUSTOMER_FIELDS, "id", "updated_at"}


def test_json_in_the_guide_is_json_and_the_removed_customer_fits_its_schema() -> None:
    documents = [json.loads(block) for block in blocks("json")]
    check("RemovedCustomer", next(document for document in documents if "deleted" in document))
    check("ConsentResult", next(document for document in documents if "applied" in document))


def test_the_consent_call_of_the_guide_fits_its_schema() -> None:
    (call,) = blocks("http")
    check("ConsentChanges", json.loads(call.split("\n\n", 1)[1]))


def test_options_of_the_suite_that_the_guide_names_exist() -> None:
    part = GUIDE[GUIDE.index("## Check your server") : GUIDE.index("## Customers")]
    named = set(re.findall(r"--[a-z-]+", part)) - {"---"}
    options = {
        f"--{name.replace('_', '-')}" for name in vars(_parse(["--url", "u", "--token", "t", "--department", "d"]))
    }
    assert {name for name in named if name.strip("-")} == options


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node to read JavaScript")
def test_the_javascript_of_the_guide_is_javascript(tmp_path: Path) -> None:
    script = tmp_path / "guide.mjs"
    script.write_text("\n".join(blocks("js")), encoding="utf-8")
    result = subprocess.run(["node", "--check", str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
