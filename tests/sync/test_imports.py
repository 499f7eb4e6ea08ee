"""The workflows speak to the stores in the stores' own words: DynamoDB's wire form stays in `store/`."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import chalicelib.sync

# Items and requests in DynamoDB's form, what builds them, and how addresses are spread over partitions.
WIRE = re.compile(r"Item|(Put|Delete)?Request|put(_\w+)?|delete(_\w+)?|query\w*|get_all|write_all|SHARDS|shard_of")
MODULES = [path for folder in chalicelib.sync.__path__ for path in Path(folder).rglob("*.py")]


def test_no_workflow_imports_the_wire_form_of_the_database() -> None:
    nodes = [(path, node) for path in MODULES for node in ast.walk(ast.parse(path.read_text()))]
    imports = [(path, node) for path, node in nodes if isinstance(node, ast.ImportFrom)]
    from_stores = [(path, node) for path, node in imports if (node.module or "").startswith("chalicelib.store")]
    found = [(path.name, name.name) for path, node in from_stores for name in node.names if WIRE.fullmatch(name.name)]
    assert len(from_stores) > 50
    assert found == []
