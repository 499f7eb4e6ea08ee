"""What `make run` prints at its end must work when it is pasted into a shell."""

from __future__ import annotations

from typing import Any

import pytest

from infra.local.__main__ import where_to_look

ABOUT: dict[str, Any] = {
    "api_url": "http://127.0.0.1:1/api",
    "department_id": "north",
    "logs": "/x/.local",
    "mailchimp": None,
    "pracbill": None,
}


@pytest.mark.parametrize(
    ("write", "command"),
    [
        ("a.b.c", 'TOKEN=$(python3 -c \'import json; print(json.load(open("/x/.local/stack.json"))'),
        (None, "TOKEN=$ACCESS_TOKEN\n"),
    ],
)
def test_the_token_to_try_comes_from_whoever_issues_it(write: str | None, command: str) -> None:
    assert command in where_to_look({**ABOUT, "tokens": {"read": write, "write": write}})


def test_the_page_comes_first() -> None:
    said = where_to_look({**ABOUT, "tokens": {"read": None, "write": None}, "host_url": "http://127.0.0.1:4600"})
    assert said.strip().startswith("Open http://127.0.0.1:4600\n")
