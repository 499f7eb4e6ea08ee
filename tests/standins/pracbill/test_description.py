"""What the stand-in answers is what docs/pracbill-api.yaml promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from infra.standins.pracbill import PracBillStandIn
from tests.standins.pracbill.conftest import LONG_AGO, Caller, opt_out

ROOT = Path(__file__).parents[3]
DESCRIPTION = yaml.safe_load((ROOT / "docs" / "pracbill-api.yaml").read_text(encoding="utf-8"))


def check(name: str, value: object) -> None:
    """Against the named schema, times included."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": DESCRIPTION["components"]}
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


def examples() -> list[tuple[str, Any]]:
    """(schema name, example) for every example of a body or an answer."""
    operations = [op for path in DESCRIPTION["paths"].values() for name, op in path.items() if name != "parameters"]
    places = [answer for op in operations for answer in op["responses"].values() if "content" in answer]
    places += [op["requestBody"] for op in operations if "requestBody" in op]
    places += DESCRIPTION["components"]["responses"].values()
    found = []
    for content in (content for place in places for content in place["content"].values()):
        schema = content["schema"]
        names = [s["$ref"].rsplit("/", 1)[1] for s in schema.get("oneOf", [schema])]
        found += [("|".join(names), example["value"]) for example in content["examples"].values()]
    return found


def test_the_description_is_valid_openapi() -> None:
    validate(DESCRIPTION)
    assert DESCRIPTION["openapi"].startswith("3.1")


@pytest.mark.parametrize(("names", "example"), examples())
def test_every_example_fits_exactly_one_of_its_schemas(names: str, example: object) -> None:
    schemas = [{"$ref": f"#/components/schemas/{name}"} for name in names.split("|")]
    validator = Draft202012Validator({"oneOf": schemas, "components": DESCRIPTION["components"]})
    assert validator.is_valid(example)


def test_answers_fit_their_schemas(seeded: Caller) -> None:
    check("Department", seeded.get().json())
    for after in ("", "900", "2000", "zzz"):
        check("CustomerPage", seeded.get("/customers", params={"limit": 400, "after": after}).json())
    for since in (LONG_AGO, "2026-03-01T00:00:00Z"):
        check("ChangePage", seeded.get("/customers", params={"limit": 200, "updated_since": since}).json())


def test_every_seeded_customer_fits_its_schema(seeded: Caller) -> None:
    schema = {"$ref": "#/components/schemas/Customer", "components": DESCRIPTION["components"]}
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    kinds = seeded.standin.kinds()
    odd = [i for kind, ids in kinds.items() if kind not in ("ordinary", "removed") for i in ids]
    for customer_id in odd + kinds["ordinary"][:50]:
        validator.validate(seeded.standin.customer(customer_id))


def test_the_result_of_writing_consent_fits(pracbill: PracBillStandIn, caller: Caller) -> None:
    pracbill.upsert("1", email="ann@clinic.test")
    check("ConsentChanges", {"changes": [opt_out("ann@clinic.test")]})
    check("ConsentResult", caller.post_consent(opt_out("ann@clinic.test"), opt_out("x@clinic.test")).json())


@pytest.mark.parametrize(("path", "status"), [("/customers?limit=0", 400), ("/nothing", 404)])
def test_refusals_fit_the_problem_schema(seeded: Caller, path: str, status: int) -> None:
    answer = seeded.get(path)
    check("Problem", answer.json())
    assert answer.json()["status"] == answer.status_code == status


def test_a_removed_customer_is_no_customer_to_the_schema() -> None:
    removed = {"id": "1", "deleted": True, "updated_at": "2026-03-04T05:06:07Z"}
    check("RemovedCustomer", removed)
    schema = {"$ref": "#/components/schemas/Customer", "components": DESCRIPTION["components"]}
    assert not Draft202012Validator(schema).is_valid(removed)
